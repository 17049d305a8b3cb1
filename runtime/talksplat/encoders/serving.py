# SPDX-License-Identifier: Apache-2.0
"""An encoder's graphs while they are used: the CPU's take the place of a GPU's that fail, and an engine's that are made
while others serve."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import replace

from .._text import shortened
from ..errors import EncoderRefused, TalksplatError
from . import building
from .engines import ENGINES, Engine, Graph, GraphError
from .engines.engine_cache import PlanCache
from .engines.nvidia import TOGETHER
from .failure import Failure
from .folder import EncoderFolder
from .spare import Failed, Replaceable
from .trial import Batch, EngineInfo, Loaded, Trial, front_spec, transformer_spec

OnCpu = Callable[[], Loaded]


def served(folder: EncoderFolder, loaded: Loaded, on_cpu: OnCpu) -> tuple[Loaded, Serving]:
    """The same graphs, whose place others may take. on_cpu: loads those that go on where a GPU fails."""
    serving = Serving(folder, on_cpu)
    failed = serving.failed_of(loaded)
    made = Loaded(
        Replaceable(loaded.front, front_spec(folder), failed),
        Replaceable(loaded.transformer, transformer_spec(folder), failed),
        loaded.info,
        loaded.batch,
        serving,
    )
    serving.serve(made)
    return made, serving


class Serving:
    """Kept by what it serves, and refers to it weakly: graphs go as soon as nobody uses them."""

    def __init__(self, folder: EncoderFolder, on_cpu: OnCpu) -> None:
        self._folder, self._on_cpu = folder, on_cpu
        self._lock = threading.Lock()  # held by who decides what runs
        self._gone: set[str] = set()  # engines that failed while they ran
        self._served: weakref.ref[Loaded] | None = None

    def serve(self, loaded: Loaded) -> None:
        self._served = weakref.ref(loaded)

    def failed_of(self, loaded: Loaded) -> Failed | None:
        if not ENGINES[loaded.info.name].on_gpu:
            return None
        known = weakref.ref(self)

        def failed(graph: Graph, error: Exception) -> None:
            serving = known()
            if serving is None:
                raise error
            serving._failed(graph, error)

        return failed

    def _failed(self, graph: Graph, error: Exception) -> None:
        """A GPU's run."""
        with self._lock:
            served = self._served() if self._served is not None else None
            if served is None:
                raise error
            if graph not in (place.graph for place in _places(served)):
                return  # another has taken its place meanwhile
            why = f"{served.info.name} failed while it ran: {_said(error)}"
            try:
                other = self._on_cpu()
            except TalksplatError as reason:
                raise EncoderRefused(f"{self._folder.path}: {why}; and nothing else can go on: {reason}") from None
            self._gone.add(served.info.name)
            self._take(served, other, why, keep=True)

    def _take(self, served: Loaded, other: Loaded, note: str = "", keep: bool = False) -> None:
        failed = self.failed_of(other)
        for place, graph in zip(_places(served), (other.front, other.transformer), strict=True):
            place.replace(graph, failed, keep)
        if keep:
            served.kept.append(served.batch)
        served.batch = other.batch
        served.info = replace(other.info, note=note)

    def batch_failed(self, batch: Batch, why: str) -> None:
        """While it ran; those that run alone go on."""
        with self._lock:
            served = self._served() if self._served is not None else None
            if served is not None:
                served.drop_batch(batch, why)

    def make(self, engine: Engine, precision: str, asked: bool) -> None:
        """Makes what the engine needs, and lets it take the place of what runs. asked: also where it is slower."""
        known, folder = weakref.ref(self), self._folder
        failure = Failure(folder, engine, precision)

        def load() -> Loaded:
            trial = Trial(folder)
            other = trial.load(engine, precision)
            if trial.batch_is_made(engine, precision):
                trial.batch(other, engine)
            return other

        def made(why_not: str, passes: bool = False) -> None:
            failure.remember("" if passes else why_not)
            other, reason = _loaded(why_not, load) if known() is not None else (None, why_not)
            serving = known()
            if serving is None:
                return
            useful = serving._made(engine.name, other, reason, asked)
            untried = other is not None and other.batch is None and not other.info.turns
            if useful and untried and engine.together > 1:
                serving.make_batch(engine, precision, asked)

        failed = "" if asked else failure.reason()
        if failed:
            self._note(f"{engine.name} is not used: {failed} (it will be tried again a day after that)")
        elif PlanCache().keeps():
            self._note(f"{engine.name} is being made ready for this machine")
            building.build(folder.path, engine.name, precision, made)
        elif asked:
            self._note(f"{engine.name} is being made ready, as at every start: its cache cannot be written to")
            building.begin(engine.name, lambda: made(""))
        else:
            self._note(f"{engine.name} is not used: its cache cannot be written to")

    def make_batch(self, engine: Engine, precision: str, asked: bool) -> None:
        """Makes what the engine needs for several speakers, and adds it to what runs."""
        known, folder = weakref.ref(self), self._folder
        failure = Failure(folder, engine, precision, several=True)

        def load() -> Loaded:
            trial = Trial(folder)
            if not trial.batch_is_made(engine, precision):
                raise GraphError("what was made is gone")
            other = trial.load(engine, precision)  # those that run cannot be tried meanwhile
            trial.batch(other, engine)
            return other

        def made(why_not: str, passes: bool = False) -> None:
            failure.remember("" if passes else why_not)
            loaded = _loaded(why_not, load) if known() is not None else (None, why_not)
            serving = known()
            if serving is not None:
                serving._batch_made(engine.name, precision, *loaded)

        failed = "" if asked else failure.reason()
        if failed:
            self._batch_made(engine.name, precision, None, f"{failed} (it will be tried again a day after that)")
        elif PlanCache().keeps():
            self._batch_made(engine.name, precision, None, "what it needs for several speakers is being made")
            building.build(folder.path, engine.name, precision, made, several=True)
        else:
            self._batch_made(engine.name, precision, None, "its cache cannot be written to")

    def _batch_made(self, name: str, precision: str, other: Loaded | None, reason: str) -> None:
        with self._lock:
            served = self._served() if self._served is not None else None
            if served is None:
                return
            if (served.info.name, served.info.precision) == (name, precision):
                if other is not None:
                    served.take_batch(other)
                else:
                    served.info = replace(served.info, turns=reason)
            elif other is not None and name not in self._gone and _is_better(other.info, served.info):
                self._take(served, other)  # which was slower for several before

    def _made(self, name: str, other: Loaded | None, reason: str, asked: bool) -> bool:
        """Whether it is used, or might be if it ran several speakers at once."""
        with self._lock:
            served = self._served() if self._served is not None else None
            if served is None or name in self._gone:
                return False
            if other is not None and (asked or _is_better(other.info, served.info)):
                self._take(served, other)
                return True
            useful = other is not None and other.info.hop_ms < served.info.hop_ms
            if other is not None:
                reason = f"it takes {other.info.hop_ms:.1f} ms a step"
                if useful:
                    reason += f", and {other.info.hops_ms(TOGETHER):.1f} for {TOGETHER} speakers"
            note = f"{name} is not used: {reason}"
            # What is being made says nothing any more; that something failed stays.
            before = served.info.note if " failed while it ran" in served.info.note else ""
            served.info = replace(served.info, note="; ".join(filter(None, (before, note))))
            return useful

    def _note(self, note: str) -> None:
        with self._lock:
            served = self._served() if self._served is not None else None
            if served is not None:
                served.info = replace(served.info, note=note)


def _loaded(why_not: str, load: Callable[[], Loaded]) -> tuple[Loaded | None, str]:
    """What load() loads, or why there is nothing."""
    if why_not:
        return None, why_not
    try:
        return load(), ""
    except Exception as error:  # the folder may be gone by now
        return None, _said(error)


def _is_better(one: EngineInfo, other: EngineInfo) -> bool:
    """For one speaker, and for the several that may speak already."""
    return one.hop_ms < other.hop_ms and one.hops_ms(TOGETHER) <= other.hops_ms(TOGETHER)


def _places(served: Loaded) -> tuple[Replaceable, Replaceable]:
    front, transformer = served.front, served.transformer
    assert isinstance(front, Replaceable) and isinstance(transformer, Replaceable)
    return front, transformer


def _said(error: Exception) -> str:
    return shortened(str(error)) or type(error).__name__
