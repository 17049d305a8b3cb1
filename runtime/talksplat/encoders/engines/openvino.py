# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU: in bfloat16 where the CPU has instructions for it, else in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..._text import shortened
from .base import Engine, Graph, GraphError, GraphSpec, require_spec

NAME = "openvino"
FRONT_OUTPUT = "rows"


def open_engine(threads: int) -> Engine:
    """Raises ImportError where it is not installed."""
    import openvino

    core = openvino.Core()
    able = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return Engine(
        NAME,
        openvino.__version__.partition("-")[0],
        ("fp32",),
        threads,
        lambda path, spec: _load(core, path, spec, threads, able),
        "bf16" if able else "",
    )


def _load(core: Any, path: Path, spec: GraphSpec, threads: int, bf16: bool) -> Graph:
    import openvino

    # Sums over the whole sound pass through the front: it stays in float32.
    precision = openvino.Type.bf16 if bf16 and FRONT_OUTPUT not in spec.outputs else openvino.Type.f32
    try:
        model = core.read_model(path)
        require_spec(spec, _described(model.inputs), _described(model.outputs))
        compiled = core.compile_model(
            model, "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision}
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
