# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU: the engine that needs nothing but its wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..._text import shortened
from ..folder import SPEAKERS
from .base import Engine, Graph, GraphError, GraphSpec, require_spec

NAME = "onnxruntime"


def open_engine(threads: int) -> Engine:
    """Raises ImportError where it is not installed."""
    import onnxruntime

    def load(path: Path, spec: GraphSpec, precision: str) -> Graph:
        return _load(path, spec, threads)

    return Engine(NAME, onnxruntime.__version__, {"int8": "int8", "fp32": "fp32"}, threads, load)


def _load(path: Path, spec: GraphSpec, threads: int) -> Graph:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(
            str(path), quiet_options(threads, spec), providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its exceptions have no class in common
        raise GraphError(
            f"cannot be loaded by ONNX Runtime {onnxruntime.__version__}: {shortened(str(error))}"
        ) from None
    require_described(session, spec)
    return BoundOnCpu(session, spec)


def quiet_options(threads: int, spec: GraphSpec) -> Any:
    """A session's options: so many threads, which do not spin, no log, and as many speakers as the spec has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that spin between two hops would take the time of the one that draws.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4
    options.add_free_dimension_override_by_name(SPEAKERS, next(iter(spec.inputs.values()))[0])
    return options


def require_described(session: Any, spec: GraphSpec) -> None:
    """require_spec() of what a session says of its graph."""
    require_spec(spec, _described(session.get_inputs()), _described(session.get_outputs()))


def _described(arguments: Any) -> dict[str, object]:
    """Shapes of float32; of other types the type, which is no shape."""
    return {a.name: list(a.shape) if a.type == "tensor(float)" else a.type for a in arguments}


class BoundOnCpu(Graph):
    """Inputs and outputs in the host's memory; a session on a GPU copies them."""

    def __init__(self, session: Any, spec: GraphSpec) -> None:
        super().__init__(spec)
        self._session = session
        self._binding = session.io_binding()
        for name, array in self.inputs.items():
            self._binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        for name, array in self.outputs.items():
            self._binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)
