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
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from talksplat._arrays import FloatArray
from talksplat.encoders.folder import OPSET, SPEAKERS
from talksplat.errors import EncoderInvalid

from .int8 import Int8Plan, Range, input_step
from .positions import without_spectrum
from .quiet import quiet

MAX_GRAPH_BYTES = (1 << 31) - (16 << 20)  # of protobuf, less what is no weight


def export_graph(
    module: torch.nn.Module,
    inputs: dict[str, torch.Tensor],
    outputs: Sequence[str],
    path: Path,
    *,
    any_speakers: bool = False,
) -> None:
    """Write the module, run on inputs of exactly these shapes, as one ONNX file of opset OPSET.

    any_speakers: the first length of its one input, and of what it makes of it, is open, and called SPEAKERS.
    Raises EncoderInvalid where the file cannot hold the weights, or has another opset.
    """
    n_bytes = sum(weight.numel() * weight.element_size() for weight in module.state_dict().values())
    if n_bytes > MAX_GRAPH_BYTES:
        raise EncoderInvalid(
            f"{path.name}: the weights have {n_bytes} bytes, and one ONNX file holds {MAX_GRAPH_BYTES}. Export a lower "
            "hidden layer (--layer), or a smaller model."
        )
    given = tuple(inputs.values())
    if any_speakers:
        given = tuple(value.expand(2, *value.shape[1:]) for value in given)  # of one, torch would make a constant
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            module, given, dynamo=True, opset_version=OPSET, input_names=list(inputs),
            output_names=list(outputs), external_data=False, verbose=False,
            dynamic_shapes=({0: torch.export.Dim(SPEAKERS)},) if any_speakers else None,
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


def write_int8(fp32: Path, path: Path, plan: Int8Plan) -> None:
    """The graph with products of int8, whose inputs are measured as they come: what onnxruntime runs fast.

    Convolutions stay: onnxruntime's ConvInteger is slower than float32.
    """
    model = onnx.load(str(fp32))
    products = _products(model, plan)
    names = [node.name for node in products]
    others = [node.name for node in model.graph.node if node.op_type == "MatMul" and node.name not in names]
    with quiet():
        quantize_dynamic(
            fp32, path, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8, per_channel=True,
            nodes_to_exclude=[*(names[i] for i in plan.whole), *others],
            extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip


def write_int8_static(fp32: Path, path: Path, plan: Int8Plan) -> None:
    """The graph with products of int8, whose inputs have a known range: what OpenVINO runs fast.

    Its weights are int8 with a scale for each column; QuantizeLinear and DequantizeLinear stand before a product.
    """
    model = onnx.load(str(fp32))
    products = _products(model, plan)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    before: dict[str, list[Any]] = {}
    rounded: dict[tuple[str, Range], str] = {}
    for i, (node, known) in enumerate(zip(products, plan.ranges, strict=True)):
        if i in plan.whole_static:
            continue
        given, name = node.input
        values = numpy_helper.to_array(weights[name])
        scale = np.maximum(np.abs(values).max(axis=0) / np.float32(127), np.float32(1e-12))
        weights[name].CopyFrom(numpy_helper.from_array(np.rint(values / scale).astype(np.int8), name))
        constants = _constants(model, name, scale, np.zeros(len(scale), np.int8))
        nodes = [helper.make_node("DequantizeLinear", [name, *constants], [f"{name}_whole"], axis=1)]
        if (given, known) not in rounded:
            step, zero = input_step(known)
            constants = _constants(model, f"{given}_{i}", np.float32(step), np.uint8(zero))
            rounded[given, known] = f"{given}_{i}_rounded"
            nodes += [
                helper.make_node("QuantizeLinear", [given, *constants], [f"{given}_{i}_int8"]),
                helper.make_node("DequantizeLinear", [f"{given}_{i}_int8", *constants], [rounded[given, known]]),
            ]
        node.input[:] = [rounded[given, known], f"{name}_whole"]
        before[node.name] = nodes
    nodes = [new for node in model.graph.node for new in (*before.get(node.name, ()), node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(path))


def _products(model: Any, plan: Int8Plan) -> list[Any]:
    """The products with a constant matrix of weights, in the order of the plan."""
    constants = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 2}
    found = [node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in constants]
    if len(found) != len(plan.ranges) or len({node.input[1] for node in found}) != len(found):
        raise EncoderInvalid(
            f"the graph has {len(found)} products of constant weights and the model {len(plan.ranges)} layers: another "
            "version of torch or onnxscript exports them otherwise. Tried were torch 2.13 and onnxscript 0.7."
        )
    return found


def _constants(model: Any, name: str, scale: Any, zero: Any) -> list[str]:
    names = [f"{name}_scale", f"{name}_zero"]
    model.graph.initializer.extend(map(numpy_helper.from_array, map(np.asarray, (scale, zero)), names))
    return names


def halved(module: torch.nn.Module) -> torch.nn.Module:
    """A copy that computes in float16, with float32 inputs and outputs."""
    return _Half(without_spectrum(copy.deepcopy(module)).half()).eval()


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
