# SPDX-License-Identifier: Apache-2.0
"""Which engine runs an encoder here, and in which precision: the first that makes the golden features, and a cheaper
graph where it is faster on this machine and its features are near enough."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import FloatArray
from .._files import whole_file
from .._text import shortened, shown
from ..errors import EncoderInvalid, EncoderRefused
from .engines import ENGINES, Engine, Graph, GraphError, GraphSpec, installed, open_engine
from .folder import FRONT, EncoderFolder, again, cache_folder

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
    when it was loaded.  error: RMS of its features from the golden ones, of their deviation over time."""

    name: str
    version: str
    precision: str
    threads: int
    hop_ms: float
    error: float


@dataclass(frozen=True)
class Loaded:
    front: Graph
    transformer: Graph
    info: EngineInfo


@dataclass(frozen=True)
class _Tried:
    """A transformer that was run on the golden window."""

    graph: Graph
    precision: str
    run_ms: float
    error: float


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
    trial = _Trial(folder)
    missing, failed = [], []
    for name in ENGINES if engine == AUTO else (engine,):
        if not installed(name):
            missing.append(f"{name} is not installed (pip install {ENGINES[name]})")
            continue
        try:
            opened = open_engine(name, threads)
        except (ImportError, OSError, RuntimeError) as error:  # a wheel of another machine, libraries that are missing
            missing.append(f"{name} cannot be used here: {shortened(str(error))}")
            continue
        if precision != AUTO and precision not in opened.precisions:
            missing.append(f"{name} {opened.version} has {', '.join(opened.precisions)} here, and no {precision}")
            continue
        try:
            return trial.load(opened, precision)
        except GraphError as error:
            failed.append(str(error))
    if failed:
        raise EncoderInvalid(f"{folder.path}: {'; '.join(failed)}. {again(folder.name, folder.path)}")
    raise EncoderRefused(f"load_encoder: no engine can run {folder.path}: {'; '.join(missing)}.")


class _Trial:
    """One folder, tried on one engine after the other."""

    def __init__(self, folder: EncoderFolder) -> None:
        self._folder = folder
        self._golden = folder.golden()
        self._state = folder.state()[0]

    def load(self, engine: Engine, precision: str) -> Loaded:
        """Raises GraphError, which names the file, where the engine cannot run it or makes something else of it."""
        front, front_ms = self._front(engine)
        chosen = self._transformer(engine, precision)
        # Of what the transformer takes in a step, the front makes so many calls.
        hop_ms = chosen.run_ms + front_ms * self._folder.fronts_per_step
        info = EngineInfo(engine.name, engine.version, chosen.precision, engine.threads, hop_ms, chosen.error)
        return Loaded(front, chosen.graph, info)

    def _front(self, engine: Engine) -> tuple[Graph, float]:
        # Sums over the whole sound pass through it: no other precision will do.
        graph = self._open(engine, FRONT, front_spec(self._folder), "fp32")
        graph.inputs["samples"][0] = self._golden["samples"]
        for name, value in self._state.items():
            graph.inputs[f"state_{name}"][:] = value
        took_ms = _timed(graph, FRONT)
        made = {"rows": graph.outputs["rows"][0]}
        made.update({f"state/{name}": graph.outputs[f"new_state_{name}"] for name in self._state})
        for name, values in made.items():
            wanted = self._golden[name]
            error = _rms(values - wanted) / max(_rms(wanted), 1e-12)
            if not error <= MAX_ERROR:
                raise GraphError(f"{FRONT} makes other {name} with {engine.name} than its model (error {error:.2g})")
        return graph, took_ms

    def _transformer(self, engine: Engine, precision: str) -> _Tried:
        folder = self._folder
        if precision != AUTO:
            return self._try(engine, precision)
        cheaper = [name for name, graph in engine.precisions.items() if name != "fp32" and graph in folder.graphs]
        if not cheaper:
            return self._try(engine, "fp32")
        remembered = _Choice(folder, engine, cheaper)
        known = remembered.read()
        if known is not None:
            with contextlib.suppress(GraphError):  # then it is chosen anew
                return self._try(engine, known)
        best = self._try(engine, "fp32")
        for name in cheaper:
            with contextlib.suppress(GraphError):
                tried = self._try(engine, name)
                best = tried if tried.run_ms < best.run_ms else best
        remembered.write(best.precision)
        return best

    def _try(self, engine: Engine, precision: str) -> _Tried:
        file = self._folder.graphs.get(engine.precisions[precision])
        if file is None:
            raise GraphError(f"the folder has no graph that {engine.name} could run in {precision}")
        graph = self._open(engine, file, transformer_spec(self._folder), precision)
        graph.inputs["window"][0] = self._golden["window"]
        took_ms = _timed(graph, file)
        wanted = self._golden["features"]
        apart = _rms(graph.outputs["features"][0] - wanted)
        error = apart / max(float(self._golden["deviation"][0]), 1e-12)
        right = apart <= MAX_ERROR * max(_rms(wanted), 1e-12) if precision == "fp32" else error <= MAX_SHARE
        if not right:
            raise GraphError(
                f"{file} makes other features with {engine.name} {engine.version} in {precision} than its model (RMS "
                f"error {error:.2g} of their deviation over time)"
            )
        return _Tried(graph, precision, took_ms, error)

    def _open(self, engine: Engine, file: str, spec: GraphSpec, precision: str) -> Graph:
        path = self._folder.intact(file)
        try:
            return engine.load(path, spec, precision)
        except GraphError as error:
            raise GraphError(f"{file} {error}") from None


class _Choice:
    """The precision that was the fastest on this machine, kept in the cache: timing takes both graphs into memory."""

    def __init__(self, folder: EncoderFolder, engine: Engine, cheaper: list[str]) -> None:
        graphs = [folder.graphs[engine.precisions[name]] for name in ("fp32", *cheaper)]
        hashes = [folder.files[file][1] for file in graphs]
        key = json.dumps([hashes, engine.name, engine.version, engine.threads, _cpu(), os.cpu_count()])
        self._path = cache_folder() / "engines" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
        self._known = ("fp32", *cheaper)

    def read(self) -> str | None:
        try:
            found = json.loads(self._path.read_bytes())["precision"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if found in self._known else None

    def write(self, precision: str) -> None:
        # A cache that cannot be written to is one that costs a second at every start.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self._path) as file:
                file.write(json.dumps({"precision": precision}).encode())


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


def _timed(graph: Graph, file: str) -> float:
    """Milliseconds of a run, the median."""
    took = []
    try:
        graph.run()
        for _ in range(RUNS):
            begun = time.perf_counter()
            graph.run()
            took.append(time.perf_counter() - begun)
    except Exception as error:  # engines have no class of errors in common
        raise GraphError(f"{file} fails when it is run: {shortened(str(error))}") from None
    return 1e3 * sorted(took)[RUNS // 2]


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _cpu() -> str:
    """The CPU's model and its instructions, which a virtual machine may hide, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first, _, _ = file.read().partition("\n\n")
        told = [line for line in first.splitlines() if line.startswith(("model name", "flags", "Features"))]
        return "\n".join(told) or platform.machine()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
