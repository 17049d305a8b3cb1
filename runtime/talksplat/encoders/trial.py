# SPDX-License-Identifier: Apache-2.0
"""A folder's graphs, tried on an engine: whether they make the golden features there, and how long that takes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from .._arrays import FloatArray
from .._text import shortened
from .engines import ENGINES, Engine, EngineMissing, Graph, GraphError, GraphSpec
from .folder import FRONT, EncoderFolder

AUTO = "auto"
PRECISIONS = ("fp32", "bf16", "fp16", "int8")
# Of the golden values' own size: what is another order of the same sums stays far below it.
MAX_ERROR = 1e-3
# Of the golden features' deviation over time, for precisions below float32: a tenth of what cutting sound into windows
# changes, which is about a whole deviation.
MAX_SHARE = 0.1
# Of what so many speakers take one after the other: below that it is worth a second copy of the weights on the GPU.
WORTH = 0.9
# Of a run that takes fewer speakers than it might: the GPU is left alone for so long after it, for those who draw on
# it, and so that more windows are full by the next.
PAUSE = 0.18
RUNS = 5  # of a hop, of which the median counts


@dataclass(frozen=True)
class EngineInfo:
    """What runs an encoder. precision: of the transformer; the front is float32.  hop_ms: what a hop takes, measured
    when it was loaded.  error: RMS of its features from the golden ones, of their deviation over time.  note: why it is
    not the engine that was chosen at first, or "".
    front_ms: the front's part of hop_ms.  batch, batch_ms: how many speakers the transformer may take at once, and what
    that takes; 1 where they take turns.  turns: why they do on a GPU, or ""."""

    name: str
    version: str
    precision: str
    threads: int
    hop_ms: float
    error: float
    note: str = ""
    front_ms: float = 0.0
    batch: int = 1
    batch_ms: float = 0.0
    turns: str = ""

    def hops_ms(self, speakers: int) -> float:
        """What a hop of so many speakers takes, all told."""
        if self.batch == 1:
            return speakers * self.hop_ms
        batches = math.ceil(speakers / self.batch)
        return min(speakers * self.hop_ms, speakers * self.front_ms + batches * self.batch_ms)

    def wait_ms(self, speakers: int) -> float:
        """How long a step of one of so many takes at most: with those of others, in the round of turns that goes on and
        in its own, and the pauses after both."""
        if self.batch == 1:
            return speakers * self.hop_ms
        alone_ms = self.hop_ms - self.front_ms
        batches = 1 + math.ceil(speakers / self.batch) + 2 * PAUSE
        return speakers * self.front_ms + min(speakers * (1 + PAUSE) * alone_ms, batches * self.batch_ms)


class Keeper(Protocol):
    """What sees to it that graphs which fail are replaced."""

    def batch_failed(self, batch: Batch, why: str) -> None: ...


@dataclass
class Batch:
    """The transformer for `size` speakers at once, each of whose features depend on its own window alone."""

    graph: Graph
    size: int


@dataclass
class Loaded:
    """info: of what runs now, whose place another may take.  batch: None where speakers take turns."""

    front: Graph
    transformer: Graph
    info: EngineInfo
    batch: Batch | None = None
    keeps: Keeper | None = None
    kept: list[object] = field(default_factory=list)  # of a GPU that failed

    def take_batch(self, other: Loaded) -> None:
        """Of the same engine: its graph for several, or why there is none."""
        self.batch = other.batch
        self.info = replace(self.info, batch=other.info.batch, batch_ms=other.info.batch_ms, turns=other.info.turns)

    def drop_batch(self, failed: Batch, why: str) -> None:
        """It failed while it ran, and another may be here by now."""
        self.kept.append(failed)  # nothing is given back while nobody knows what the GPU does
        if self.batch is failed:
            self.batch = None
            self.info = replace(self.info, batch=1, batch_ms=0.0, turns=why)


@dataclass(frozen=True)
class _Tried:
    """A transformer that was run on the golden window."""

    graph: Graph
    precision: str
    run_ms: float
    error: float


class Trial:
    """One folder, tried on one engine after the other."""

    def __init__(self, folder: EncoderFolder) -> None:
        self.folder = folder
        self._golden = folder.golden()
        self._state = folder.state()[0]
        self._fronts: dict[str, tuple[Graph, float] | GraphError] = {}  # by engine

    def precisions(self, engine: Engine, precision: str) -> list[str]:
        """Those to try: the one that is asked for, or all that there are graphs of; of an engine that takes minutes to
        make one, the first."""
        if precision != AUTO:
            return [precision]
        found = [name for name, graph in engine.precisions.items() if graph in self.folder.graphs]
        return found if engine.is_made is None else found[:1]

    def is_made(self, engine: Engine, precision: str) -> bool:
        if engine.is_made is None:
            return True
        file = self.folder.graphs.get(engine.precisions[self.precisions(engine, precision)[0]])
        front = engine.is_made(self.folder.path / FRONT, front_spec(self.folder), "fp32")
        if file is None or not front:
            return file is None  # which load() will say
        return engine.is_made(self.folder.path / file, transformer_spec(self.folder), precision)

    def load(self, engine: Engine, precision: str) -> Loaded:
        """Raises GraphError, which names the file, where the engine cannot run it or makes something else of it."""
        if engine.name not in self._fronts:
            try:
                self._fronts[engine.name] = self._front(engine)
            except GraphError as error:
                self._fronts[engine.name] = error.with_traceback(None)  # which would keep the graph
        known = self._fronts[engine.name]
        if isinstance(known, GraphError):
            raise known
        front, front_ms = known
        chosen = self._try(engine, precision)
        # Of what the transformer takes in a step, the front makes so many calls.
        fronts_ms = front_ms * self.folder.fronts_per_step
        info = EngineInfo(
            engine.name, engine.version, chosen.precision, engine.threads, chosen.run_ms + fronts_ms, chosen.error,
            front_ms=fronts_ms,
        )  # fmt: skip
        return Loaded(front, chosen.graph, info)

    def batch_is_made(self, engine: Engine, precision: str) -> bool:
        """Whether batch() would have to make nothing that takes minutes."""
        file = self.folder.graphs.get(engine.precisions[precision])
        if engine.is_made is None or engine.together == 1 or not self._may_batch(engine, precision) or file is None:
            return True
        return engine.is_made(self.folder.path / file, transformer_spec(self.folder, engine.together), precision)

    def _may_batch(self, engine: Engine, precision: str) -> bool:
        return engine.precisions[precision] in self.folder.batches

    def batch(self, loaded: Loaded, engine: Engine) -> None:
        """Adds what runs several speakers at once, where that is sooner done and makes the same features; else why not,
        as info.turns."""
        size, precision = engine.together, loaded.info.precision
        if size == 1:
            return
        alone_ms = loaded.info.hop_ms - loaded.info.front_ms
        try:
            if not self._may_batch(engine, precision):
                raise GraphError(f"there is no graph of several speakers in {precision}")
            file, spec = self.folder.graphs[engine.precisions[precision]], transformer_spec(self.folder, size)
            graph = self._open(engine, file, spec, precision)
            took_ms = self._alike(loaded.transformer, graph, file, engine, precision)
            if took_ms > WORTH * size * alone_ms:
                raise GraphError(f"{size} speakers at once take {took_ms:.1f} ms, and one {alone_ms:.1f}")
        except GraphError as error:
            loaded.info = replace(loaded.info, turns=str(error))
            return
        loaded.batch = Batch(graph, size)
        loaded.info = replace(loaded.info, batch=size, batch_ms=took_ms)

    def _alike(self, alone: Graph, graph: Graph, file: str, engine: Engine, precision: str) -> float:
        """That each speaker's features are those of `alone`, whatever its neighbours say; milliseconds of a run."""
        windows, features = graph.inputs["window"], graph.outputs["features"]
        wanted = np.empty_like(features)
        for place, window in enumerate(windows):
            window[...] = np.roll(self._golden["window"], place, axis=0)
            alone.inputs["window"][0] = window
            _run(alone, file, engine)
            wanted[place] = alone.outputs["features"][0]
        took_ms = _timed(graph, file, engine)
        right = all(self._is_right(a, b, precision) for a, b in zip(features, wanted, strict=True))
        for place in range(len(windows)):
            others = np.arange(len(windows)) != place
            kept = windows[others]
            windows[others] = np.nan
            _run(graph, file, engine)
            right = right and self._is_right(features[place], wanted[place], precision)
            windows[others] = kept
        if not right:
            self._forget(engine, file, transformer_spec(self.folder, len(windows)), precision)
            raise GraphError(f"{file} makes other features of several speakers than of one")
        return took_ms

    def _front(self, engine: Engine) -> tuple[Graph, float]:
        # Sums over the whole sound pass through it: no other precision will do.
        graph = self._open(engine, FRONT, front_spec(self.folder), "fp32")
        graph.inputs["samples"][0] = self._golden["samples"]
        for name, value in self._state.items():
            graph.inputs[f"state_{name}"][:] = value
        took_ms = _timed(graph, FRONT, engine)
        made = {"rows": graph.outputs["rows"][0]}
        made.update({f"state/{name}": graph.outputs[f"new_state_{name}"] for name in self._state})
        for name, values in made.items():
            wanted = self._golden[name]
            error = _rms(values - wanted) / max(_rms(wanted), 1e-12)
            if not error <= MAX_ERROR:
                self._forget(engine, FRONT, front_spec(self.folder), "fp32")
                raise GraphError(f"{FRONT} makes other {name} with {engine.name} than its model (error {error:.2g})")
        return graph, took_ms

    def _try(self, engine: Engine, precision: str) -> _Tried:
        file = self.folder.graphs.get(engine.precisions[precision])
        if file is None:
            raise GraphError(f"the folder has no graph that {engine.name} could run in {precision}")
        graph = self._open(engine, file, transformer_spec(self.folder), precision)
        graph.inputs["window"][0] = self._golden["window"]
        took_ms = _timed(graph, file, engine)
        wanted = self._golden["features"]
        apart = _rms(graph.outputs["features"][0] - wanted)
        error = apart / max(float(self._golden["deviation"][0]), 1e-12)
        if not self._is_right(graph.outputs["features"][0], wanted, precision):
            self._forget(engine, file, transformer_spec(self.folder), precision)
            raise GraphError(
                f"{file} makes other features with {engine.name} {engine.version} in {precision} than its model (RMS "
                f"error {error:.2g} of their deviation over time)"
            )
        return _Tried(graph, precision, took_ms, error)

    def _is_right(self, features: FloatArray, wanted: FloatArray, precision: str) -> bool:
        apart = _rms(features - wanted)
        if precision == "fp32":
            return apart <= MAX_ERROR * max(_rms(wanted), 1e-12)
        return apart <= MAX_SHARE * max(float(self._golden["deviation"][0]), 1e-12)

    def _forget(self, engine: Engine, file: str, spec: GraphSpec, precision: str) -> None:
        if engine.forget is not None:
            engine.forget(self.folder.path / file, spec, precision)

    def _open(self, engine: Engine, file: str, spec: GraphSpec, precision: str) -> Graph:
        path = self.folder.intact(file)
        try:
            return engine.load(path, spec, precision)
        except GraphError as error:
            raise type(error)(f"{file} {error}") from None


def front_spec(folder: EncoderFolder) -> GraphSpec:
    front = folder.front
    return GraphSpec(
        {"samples": (1, front.samples), **{f"state_{name}": shape for name, shape in front.state.items()}},
        {
            "rows": (1, front.chunk, front.width),
            **{f"new_state_{name}": shape for name, shape in front.state.items()},
        },
    )


def transformer_spec(folder: EncoderFolder, speakers: int = 1) -> GraphSpec:
    return GraphSpec(
        {"window": (speakers, folder.window, folder.front.width)},
        {"features": (speakers, folder.chunk, folder.width)},
    )


def _timed(graph: Graph, file: str, engine: Engine) -> float:
    """Milliseconds of a run, the median."""
    took = []
    _run(graph, file, engine)
    for _ in range(RUNS):
        begun = time.perf_counter()
        _run(graph, file, engine)
        took.append(time.perf_counter() - begun)
    return 1e3 * sorted(took)[RUNS // 2]


def _run(graph: Graph, file: str, engine: Engine) -> None:
    try:
        graph.run()
    except Exception as error:  # engines have no class of errors in common
        kind = EngineMissing if ENGINES[engine.name].on_gpu else GraphError  # a GPU fails of itself
        raise kind(f"{file} fails when it is run by {engine.name}: {shortened(str(error))}") from None


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
