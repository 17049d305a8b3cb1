# SPDX-License-Identifier: Apache-2.0
"""Torch modules to ONNX graphs of one opset, and the smaller copies of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxscript  # noqa: F401  torch.onnx needs it; where it is missing that is found before the work
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from talksplat._arrays import FloatArray
from talksplat.encoders.folder import OPSET
from talksplat.errors import EncoderInvalid

from .quiet import quiet

MAX_GRAPH_BYTES = (1 << 31) - (16 << 20)  # of protobuf, less what is no weight


def export_graph(module: torch.nn.Module, inputs: dict[str, torch.Tensor], outputs: Sequence[str], path: Path) -> None:
    """Write the module, run on inputs of exactly these shapes, as one ONNX file of opset OPSET.

    Raises EncoderInvalid where the file cannot hold the weights, or has another opset.
    """
    n_bytes = sum(weight.numel() * weight.element_size() for weight in module.state_dict().values())
    if n_bytes > MAX_GRAPH_BYTES:
        raise EncoderInvalid(
            f"{path.name}: the weights have {n_bytes} bytes, and one ONNX file holds {MAX_GRAPH_BYTES}. Export a lower "
            "hidden layer (--layer), or a smaller model."
        )
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            module, tuple(inputs.values()), dynamo=True, opset_version=OPSET, input_names=list(inputs),
            output_names=list(outputs), external_data=False, verbose=False,
        )  # fmt: skip
        assert program is not None
        program.save(str(path), external_data=False)
    require_opset(path)


def require_opset(path: Path) -> None:
    """Raises EncoderInvalid where the graph's operators are not those of OPSET: the exporter could not convert them."""
    found = {entry.domain: entry.version for entry in onnx.load(str(path), load_external_data=False).opset_import}
    if found.get("", 0) != OPSET:
        raise EncoderInvalid(
            f"{path.name}: came out of torch {torch.__version__} in opset {found.get('', 'none')}; the format has "
            f"{OPSET}. Install a newer torch and onnxscript: pip install --upgrade torch onnxscript"
        )


def write_int8(fp32: Path, path: Path) -> None:
    """The graph with int8 weights in its matrix products, whose other factor is quantised as it comes.

    Convolutions stay: onnxruntime's ConvInteger is slower than float32.
    """
    with quiet():
        quantize_dynamic(fp32, path, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8)


def halved(module: torch.nn.Module) -> torch.nn.Module:
    """A copy that computes in float16, with float32 inputs and outputs."""
    return _Half(copy.deepcopy(module).half()).eval()


class _Half(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.inner(window.half()).float()
        return features


def run_graph(path: Path, inputs: dict[str, FloatArray]) -> list[FloatArray]:
    """The graph's outputs, by onnxruntime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    outputs: list[Any] = session.run(None, inputs)
    return [np.asarray(output, np.float32) for output in outputs]
