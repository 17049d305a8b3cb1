# SPDX-License-Identifier: Apache-2.0
"""Which engine runs an encoder here, and in which precision: the fastest of those that make the golden features, where
cheaper precisions may be off by as much as nobody hears. And what takes its place: the CPU's, when a GPU fails; a
GPU's, when what it needs has been made."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .._text import shortened, shown
from ..errors import EncoderInvalid, EncoderRefused
from . import building
from .choice import Choice
from .engines import ENGINES, Engine, EngineMissing, GraphError, open_engine
from .folder import EncoderFolder, again
from .spare import Replaceable
from .trial import AUTO, PRECISIONS, EngineInfo, Loaded, Trial, front_spec, transformer_spec

__all__ = ["AUTO", "EngineInfo", "Loaded", "front_spec", "load_graphs", "prepare", "transformer_spec"]

ON_CPU = tuple(name for name, wanted in ENGINES.items() if not wanted.on_gpu)


def load_graphs(folder: EncoderFolder, engine: Any, precision: Any, threads: int) -> Loaded:
    """The front and the transformer, tried on the golden sound.

    Raises ValueError for arguments, EncoderInvalid where the folder is damaged or no engine makes the golden features
    of it, and EncoderRefused where none is installed.
    """
    if engine != AUTO and engine not in ENGINES:
        raise ValueError(f"load_encoder: engine must be {AUTO} or one of {', '.join(ENGINES)}; got {shown(engine)}.")
    if precision != AUTO and precision not in PRECISIONS:
        raise ValueError(
            f"load_encoder: precision must be {AUTO} or one of {', '.join(PRECISIONS)}; got {shown(precision)}."
        )
    return _load(folder, list(ENGINES) if engine == AUTO else [engine], precision, threads)


def _load(folder: EncoderFolder, names: Sequence[str], precision: str, threads: int) -> Loaded:
    """By the fastest of these engines; by one on the CPU while what others need is being made."""
    opened, missing = _opened(names, precision, threads)
    trial = Trial(folder)
    unmade = [engine for engine in opened if not trial.is_made(engine, precision)]
    ready = [engine for engine in opened if engine not in unmade]
    if unmade and not ready:
        on_cpu, _ = _opened(ON_CPU, AUTO, threads)
        loaded, failed = _fastest(trial, on_cpu or unmade, AUTO if on_cpu else precision)  # without, it is waited for
        unmade = unmade if on_cpu else []
    else:
        loaded, failed = _fastest(trial, ready, precision) if ready else (None, [])
        if loaded is None and any(not trial.is_made(engine, precision) for engine in ready):
            return _load(folder, names, precision, threads)  # what was made is wrong, and deleted
    if loaded is None:
        reasons = "; ".join([*map(str, failed), *missing])
        if all(isinstance(error, EngineMissing) for error in failed):
            raise EncoderRefused(f"load_encoder: no engine can run {folder.path}: {reasons}.")
        raise EncoderInvalid(f"{folder.path}: {reasons}. {again(folder.name, folder.path)}")
    if not unmade and not ENGINES[loaded.info.name].on_gpu:
        return loaded
    shared = _Shared(folder, loaded, threads)
    for engine in unmade:
        shared.make(engine, trial.precisions(engine, precision)[0], asked=len(names) == 1)
    return shared.loaded


def _opened(names: Sequence[str], precision: str, threads: int) -> tuple[list[Engine], list[str]]:
    """Those that can be used here, and why others cannot."""
    opened, missing = [], []
    for name in names:
        try:
            engine = open_engine(name, threads)
        except ImportError as error:
            missing.append(str(error))
            continue
        if precision != AUTO and precision not in engine.precisions:
            missing.append(f"{name} {engine.version} has {', '.join(engine.precisions)} here, and no {precision}")
            continue
        opened.append(engine)
    return opened, missing


def prepare(folder: EncoderFolder, engine: str, precision: str) -> None:
    """Makes what an engine needs for a folder, and tries it. Raises EncoderRefused and EncoderInvalid."""
    opened, missing = _opened([engine], precision, 1)
    if not opened:
        raise EncoderRefused(f"{folder.path}: {'; '.join(missing)}.")
    trial = Trial(folder)
    known = trial.is_made(opened[0], precision)
    try:
        try:
            trial.load(opened[0], precision)
        except GraphError:
            if not known or trial.is_made(opened[0], precision):
                raise
            Trial(folder).load(opened[0], precision)  # what was made before is wrong, and deleted
    except GraphError as error:
        raise EncoderInvalid(f"{folder.path}: {error}.") from None


class _Shared:
    """What runs, and what takes its place."""

    def __init__(self, folder: EncoderFolder, loaded: Loaded, threads: int) -> None:
        self._folder, self._threads = folder, threads
        failed = self._failed if ENGINES[loaded.info.name].on_gpu else None
        self.loaded = Loaded(
            Replaceable(loaded.front, front_spec(folder), failed),
            Replaceable(loaded.transformer, transformer_spec(folder), failed),
            loaded.info,
        )

    def _take(self, other: Loaded, note: str = "") -> None:
        failed = self._failed if ENGINES[other.info.name].on_gpu else None
        for place, graph in ((self.loaded.front, other.front), (self.loaded.transformer, other.transformer)):
            assert isinstance(place, Replaceable)
            place.replace(graph, failed)
        self.loaded.info = replace(other.info, note=note)

    def _failed(self, error: Exception) -> None:
        """A GPU's run."""
        name = self.loaded.info.name
        self._take(
            _load(self._folder, ON_CPU, AUTO, self._threads), f"{name} failed while it ran: {shortened(str(error))}"
        )

    def make(self, engine: Engine, precision: str, asked: bool) -> None:
        """asked: it takes the place also where it is slower."""
        folder, known = self._folder, weakref.ref(self)

        def made(why_not: str) -> None:
            shared = known()
            if shared is None:
                return
            reason = why_not
            if not reason:
                try:
                    if not Trial(folder).is_made(engine, precision):
                        raise GraphError("what was made for it cannot be kept in the cache")
                    other = Trial(folder).load(engine, precision)
                    if asked or other.info.hop_ms < shared.loaded.info.hop_ms:
                        shared._take(other)
                        return
                    reason = f"it takes {other.info.hop_ms:.1f} ms a step"
                except GraphError as error:
                    reason = str(error)
            shared.loaded.info = replace(shared.loaded.info, note=f"{engine.name} is not used: {reason}")

        self.loaded.info = replace(self.loaded.info, note=f"{engine.name} is being made ready for this machine")
        self.loaded.keeps = self
        building.build(folder.path, engine.name, precision, made)


def _fastest(trial: Trial, engines: Sequence[Engine], precision: str) -> tuple[Loaded | None, list[GraphError]]:
    """And why others failed."""
    ways = [(engine, name) for engine in engines for name in trial.precisions(engine, precision)]
    if len(ways) == 1:
        try:
            return trial.load(*ways[0]), []
        except GraphError as error:
            return None, [error]
    choice = Choice(trial.folder, engines, precision)
    known = choice.read()
    for engine, name in ways:
        if known is not None and (engine.name, name) == known[:2]:
            with contextlib.suppress(GraphError):  # then it is chosen anew
                return trial.load(engine, name), []
    best, failed = None, list[GraphError]()
    for engine, name in ways:
        try:
            tried = trial.load(engine, name)
        except GraphError as error:
            failed.append(error)
            continue
        best = tried if best is None or tried.info.hop_ms < best.info.hop_ms else best
    if best is not None:
        choice.write(best.info.name, best.info.precision, best.info.hop_ms)
    return best, failed
