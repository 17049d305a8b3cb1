# SPDX-License-Identifier: Apache-2.0
"""A folder's graphs, tried on an engine: whether they make the golden features there, and how long that takes."""

from __future__ import annotations

import time
from dataclasses import dataclass

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
RUNS = 5  # of a hop, of which the median counts


@dataclass(frozen=True)
class EngineInfo:
    """What runs an encoder. precision: of the transformer; the front is float32.  hop_ms: what a hop takes, measured
    when it was loaded.  error: RMS of its features from the golden ones, of their deviation over time.  note: why it is
    not the engine that was chosen at first, or ""."""

    name: str
    version: str
    precision: str
    threads: int
    hop_ms: float
    error: float
    note: str = ""


@dataclass
class Loaded:
    """info: of what runs now, whose place another may take."""

    front: Graph
    transformer: Graph
    info: EngineInfo
    keeps: object = None  # what sees to it


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
        hop_ms = chosen.run_ms + front_ms * self.folder.fronts_per_step
        info = EngineInfo(engine.name, engine.version, chosen.precision, engine.threads, hop_ms, chosen.error)
        return Loaded(front, chosen.graph, info)

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
        right = apart <= MAX_ERROR * max(_rms(wanted), 1e-12) if precision == "fp32" else error <= MAX_SHARE
        if not right:
            self._forget(engine, file, transformer_spec(self.folder), precision)
            raise GraphError(
                f"{file} makes other features with {engine.name} {engine.version} in {precision} than its model (RMS "
                f"error {error:.2g} of their deviation over time)"
            )
        return _Tried(graph, precision, took_ms, error)

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


def transformer_spec(folder: EncoderFolder) -> GraphSpec:
    return GraphSpec({"window": (1, folder.window, folder.front.width)}, {"features": (1, folder.chunk, folder.width)})


def _timed(graph: Graph, file: str, engine: Engine) -> float:
    """Milliseconds of a run, the median."""
    took = []
    try:
        graph.run()
        for _ in range(RUNS):
            begun = time.perf_counter()
            graph.run()
            took.append(time.perf_counter() - begun)
    except Exception as error:  # engines have no class of errors in common
        kind = EngineMissing if ENGINES[engine.name].on_gpu else GraphError  # a GPU fails of itself
        raise kind(f"{file} fails when it is run by {engine.name}: {shortened(str(error))}") from None
    return 1e3 * sorted(took)[RUNS // 2]


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
