# SPDX-License-Identifier: Apache-2.0
"""Which engine runs an encoder here, and in which precision: the fastest of those that make the golden features, where
cheaper precisions may be off by as much as nobody hears."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from .._text import shown
from ..errors import EncoderInvalid, EncoderRefused
from .choice import Choice
from .engines import ENGINES, Engine, EngineMissing, GraphError, open_engine
from .folder import EncoderFolder, again
from .memory import give_back_memory
from .serving import served
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
    loaded = _load(folder, list(ENGINES) if engine == AUTO else [engine], precision, threads)
    give_back_memory()
    return loaded


def _load(folder: EncoderFolder, names: Sequence[str], precision: str, threads: int) -> Loaded:
    """By the fastest of these engines; by one on the CPU while what others need is being made."""

    def on_cpu() -> Loaded:
        """In the precision that is asked for, if an engine has it."""
        with contextlib.suppress(EncoderRefused, EncoderInvalid):
            return _load(folder, ON_CPU, precision, threads)
        return _load(folder, ON_CPU, AUTO, threads)

    opened, missing = _opened(names, precision, threads)
    trial = Trial(folder)
    unmade = [engine for engine in opened if not trial.is_made(engine, precision)]
    ready = [engine for engine in opened if engine not in unmade]
    loaded, failed = _fastest(trial, ready, precision) if ready else (None, [])
    if loaded is None and ready and any(not trial.is_made(engine, precision) for engine in ready):
        return _load(folder, names, precision, threads)  # what was made is wrong, and deleted
    if loaded is None and unmade:
        try:
            loaded = on_cpu()
        except (EncoderRefused, EncoderInvalid):  # then it is waited for
            loaded, failed = _fastest(trial, unmade, precision)
            unmade = []
    if loaded is None:
        reasons = "; ".join([*map(str, failed), *missing])
        if all(isinstance(error, EngineMissing) for error in failed):
            raise EncoderRefused(f"load_encoder: no engine can run {folder.path}: {reasons}.")
        raise EncoderInvalid(f"{folder.path}: {reasons}. {again(folder.name, folder.path)}")
    several = []
    for engine in opened:
        if engine.name == loaded.info.name and trial.batch_is_made(engine, loaded.info.precision):
            trial.batch(loaded, engine)
        elif engine.name == loaded.info.name:
            several.append(engine)
    if not unmade and not ENGINES[loaded.info.name].on_gpu:
        return loaded
    loaded, serving = served(folder, loaded, on_cpu)
    asked = len(names) == 1 or precision != AUTO
    for engine in unmade:
        serving.make(engine, trial.precisions(engine, precision)[0], asked)
    for engine in several:
        serving.make_batch(engine, loaded.info.precision, asked)
    return loaded


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


def prepare(folder: EncoderFolder, engine: str, precision: str, several: bool = False) -> None:
    """Makes what an engine needs for a folder, and tries it; several: and for several speakers at once.

    Raises EncoderRefused and EncoderInvalid.
    """
    opened, missing = _opened([engine], precision, 1)
    if not opened:
        raise EncoderRefused(f"{folder.path}: {'; '.join(missing)}.")
    trial = Trial(folder)
    known = trial.is_made(opened[0], precision)
    try:
        try:
            loaded = trial.load(opened[0], precision)
        except GraphError:
            if not known or trial.is_made(opened[0], precision):
                raise
            loaded = Trial(folder).load(opened[0], precision)  # what was made before is wrong, and deleted
        if several:
            trial.batch(loaded, opened[0])
            if not trial.batch_is_made(opened[0], loaded.info.precision):
                raise GraphError(loaded.info.turns)
    except GraphError as error:
        kind = EncoderRefused if isinstance(error, EngineMissing) else EncoderInvalid
        raise kind(f"{folder.path}: {error}.") from None


def _fastest(trial: Trial, engines: Sequence[Engine], precision: str) -> tuple[Loaded | None, list[GraphError]]:
    """And why others failed."""
    ways = [(engine, name) for engine in engines for name in trial.precisions(engine, precision)]
    if len(ways) == 1:
        try:
            return trial.load(*ways[0]), []
        except GraphError as error:
            return None, [error.with_traceback(None)]  # which would keep the graphs of its frames
    choice = Choice(trial.folder, engines, precision)
    known = choice.read()
    for engine, name in ways:
        if known is not None and (engine.name, name) == known[:2]:
            with contextlib.suppress(GraphError):  # then it is chosen anew
                return trial.load(engine, name), []
    best, failed, passes = None, list[GraphError](), False
    for engine, name in ways:
        try:
            tried = trial.load(engine, name)
        except GraphError as error:
            failed.append(error.with_traceback(None))
            passes = passes or ENGINES[engine.name].on_gpu  # it may be full of something else today
            continue
        best = tried if best is None or tried.info.hop_ms < best.info.hop_ms else best
        del tried  # before the next one takes its memory
    if best is not None and not passes:
        choice.write(best.info.name, best.info.precision, best.info.hop_ms)
    return best, failed
