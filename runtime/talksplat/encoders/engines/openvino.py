# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU: in int8, in bfloat16 where the CPU has instructions for it, and in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..._text import shortened
from .base import Engine, Graph, GraphError, GraphSpec, require_spec
from .signal_stack import signal_stack_stays

NAME = "openvino"


def open_engine(threads: int) -> Engine:
    """Raises ImportError where it is not installed."""
    import openvino

    core = openvino.Core()
    with signal_stack_stays():  # the plugin is loaded
        capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    bf16 = {"bf16": "fp32"} if "BF16" in capabilities else {}

    def load(path: Path, spec: GraphSpec, precision: str) -> Graph:
        return _load(core, path, spec, threads, precision)

    version = openvino.__version__.partition("-")[0]
    return Engine(NAME, version, {"int8": "int8-static", **bf16, "fp32": "fp32"}, threads, load)


def _load(core: Any, path: Path, spec: GraphSpec, threads: int, precision: str) -> Graph:
    import openvino

    # Of what is not int8: left to itself it takes bfloat16 wherever there is an instruction for it.
    hint = openvino.Type.bf16 if precision == "bf16" else openvino.Type.f32
    try:
        model = core.read_model(path)
        require_spec(spec, _described(model.inputs), _described(model.outputs))
        with signal_stack_stays():
            compiled = core.compile_model(
                model, "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": hint}
            )
    except GraphError:
        raise
    except Exception as error:  # RuntimeError for everything, and others of its parsers
        raise GraphError(f"cannot be loaded by OpenVINO {openvino.__version__}: {shortened(str(error))}") from None
    return _Bound(compiled.create_infer_request(), spec)


def _described(ports: Any) -> dict[str, object]:
    """Shapes of float32; of other types the type, which is no shape."""
    return {
        port.get_any_name(): list(port.shape)
        if port.partial_shape.is_static and port.element_type.get_type_name() == "f32"
        else f"{port.element_type.get_type_name()}{port.partial_shape}"
        for port in ports
    }


class _Bound(Graph):
    def __init__(self, request: Any, spec: GraphSpec) -> None:
        import openvino

        super().__init__(spec)
        self._request = request
        for name, array in {**self.inputs, **self.outputs}.items():
            request.set_tensor(name, openvino.Tensor(array, shared_memory=True))

    def run(self) -> None:
        self._request.infer()
