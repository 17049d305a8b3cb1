# SPDX-License-Identifier: Apache-2.0
"""Tiny encoders: folders of hand-made graphs, and what they compute, once more, in numpy and over the whole sound."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from talksplat.encoders.folder import FORMAT, FRONT, GOLDEN, GRAPHS, MANIFEST, OPSET, SPEAKERS, STATE

Floats = NDArray[np.float32]
WIDTH, ROW = 6, 5


@dataclass(frozen=True)
class Tiny:
    """front: rows are a convolution, less their running mean, as a model that normalises over time.  transformer: mixes
    the rows of a window, and their channels."""

    left: int = 3
    chunk: int = 2
    right: int = 2
    front_chunk: int = 2
    fps: float | None = None
    width: int = WIDTH
    seed: int = 0

    @property
    def window(self) -> int:
        return self.left + self.chunk + self.right

    @property
    def kernel(self) -> Floats:
        return self._random(1, (ROW, 400)) / np.float32(20)

    @property
    def over_time(self) -> Floats:
        return self._random(2, (self.chunk, self.window))

    @property
    def over_channels(self) -> Floats:
        return self._random(3, (ROW, self.width))

    @property
    def rest_row(self) -> Floats:
        return self._random(4, (ROW,))

    def _random(self, what: int, shape: tuple[int, ...]) -> Floats:
        return np.random.default_rng([self.seed, what]).normal(size=shape).astype(np.float32)

    def rows(self, sound: Floats, count: int) -> Floats:
        """The front's first rows of a whole sound, zeros behind it."""
        padded = np.concatenate([sound, np.zeros(320 * (count + self.front_chunk) + 400, np.float32)]).astype(
            np.float64
        )
        plain = np.stack([self.kernel @ padded[320 * i : 320 * i + 400] for i in range(count + self.front_chunk)])
        out = []
        for i in range(count):
            seen = self.front_chunk * (i // self.front_chunk + 1)  # a call's rows count before they are used
            out.append(plain[i] - plain[:seen].sum(axis=0) / (1 + seen))
        return np.array(out, np.float32)

    def features(self, rows: Floats, count: int) -> Floats:
        """The first features of rows that are there."""
        steps = -(-count // self.chunk)
        before = np.concatenate([np.tile(self.rest_row, (self.left, 1)), rows]).astype(np.float64)
        made = [
            np.tanh(self.over_time @ before[self.chunk * n : self.chunk * n + self.window] @ self.over_channels)
            for n in range(steps)
        ]
        return np.concatenate(made)[:count].astype(np.float32)


def write_folder(
    folder: Path, tiny: Tiny = Tiny(), int8_error: float | None = None, fp16: Any = None, **changes: Any
) -> Path:
    """changes: of encoder.json.  int8_error: there are graphs of int8, whose features are so much larger.  fp16: there
    is a graph of fp16 (whose numbers are float32) of any number of speakers, and it is this one if that is a model."""
    folder.mkdir(parents=True, exist_ok=True)
    n_samples = 320 * tiny.front_chunk + 80
    onnx.save(_front(tiny, n_samples), str(folder / FRONT))
    graphs = {"fp32": GRAPHS["fp32"]}
    onnx.save(transformer(tiny, 1.0), str(folder / GRAPHS["fp32"]))
    if int8_error is not None:
        for name in ("int8", "int8-static"):
            graphs[name] = GRAPHS[name]
            onnx.save(transformer(tiny, 1 + int8_error), str(folder / GRAPHS[name]))
    if fp16 is not None:
        graphs["fp16"] = GRAPHS["fp16"]
        onnx.save(transformer(tiny, 1.0, SPEAKERS) if fp16 is True else fp16, str(folder / GRAPHS["fp16"]))
        changes = {"batches": ["fp16"], **changes}
    save_file(
        {
            "state/count": np.ones(1, np.float32), "state/total": np.zeros(ROW, np.float32),
            "rest_row": tiny.rest_row,
        },
        str(folder / STATE),
    )  # fmt: skip
    samples = np.random.default_rng(5).normal(size=n_samples).astype(np.float32)
    rows = tiny.rows(samples, tiny.front_chunk)
    plain = np.stack([tiny.kernel @ samples[320 * i : 320 * i + 400] for i in range(tiny.front_chunk)])
    window = np.random.default_rng(6).normal(size=(tiny.window, ROW)).astype(np.float32)
    save_file(
        {
            "samples": samples, "rows": rows, "window": window,
            "state/count": np.float32([1 + tiny.front_chunk]), "state/total": plain.sum(axis=0).astype(np.float32),
            "features": np.tanh(tiny.over_time @ window @ tiny.over_channels).astype(np.float32),
            "deviation": np.float32([0.5]),
        },
        str(folder / GOLDEN),
    )  # fmt: skip
    manifest = {
        "format": FORMAT, "name": "tests/tiny", "family": "hubert", "rate_hz": 16000, "feature_hz": 50,
        "width": tiny.width, "hidden_layer": 1, "preset": "cpu", "left": tiny.left, "chunk": tiny.chunk,
        "right": tiny.right, "order": "front-transformer" if tiny.fps is None else "front-resample-transformer",
        "front": {
            "chunk": tiny.front_chunk, "hop": 320 * tiny.front_chunk, "samples": n_samples, "lead": 0, "centre": 200,
            "width": ROW, "state": [{"name": "count", "shape": [1]}, {"name": "total", "shape": [ROW]}],
        },
        "graphs": graphs, "opset": OPSET, "versions": {"torch": "none"},
    }  # fmt: skip
    if tiny.fps is not None:
        manifest["fps"] = tiny.fps
    seal(folder, {**manifest, **changes})
    return folder


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Writes encoder.json with the sizes and hashes that the files have now."""
    files = {}
    for path in folder.iterdir():
        if path.name != MANIFEST:
            data = path.read_bytes()
            files[path.name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps({"files": files, **manifest}))


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    del manifest["files"]
    return manifest


def _value(name: str, shape: tuple[int | str, ...]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def _model(name: str, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, Any]) -> Any:
    weights = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


def _front(tiny: Tiny, n_samples: int) -> Any:
    node = helper.make_node
    return _model(
        "front",
        [
            node("Reshape", ["samples", "as_channel"], ["sound"]),
            node("Conv", ["sound", "kernel"], ["plain"], strides=[320]),
            node("Transpose", ["plain"], ["in_time"], perm=[0, 2, 1]),
            node("ReduceSum", ["plain", "time_axes"], ["added"], keepdims=0),
            node("Add", ["state_total", "added"], ["new_state_total"]),
            node("Add", ["state_count", "n_rows"], ["new_state_count"]),
            node("Div", ["new_state_total", "new_state_count"], ["mean"]),
            node("Sub", ["in_time", "mean"], ["rows"]),
        ],
        [_value("samples", (1, n_samples)), _value("state_count", (1,)), _value("state_total", (ROW,))],
        [
            _value("rows", (1, tiny.front_chunk, ROW)), _value("new_state_count", (1,)),
            _value("new_state_total", (ROW,)),
        ],
        {
            "as_channel": np.int64([1, 1, n_samples]), "kernel": tiny.kernel[:, None, :],
            "time_axes": np.int64([0, 2]), "n_rows": np.float32([tiny.front_chunk]),
        },
    )  # fmt: skip


def transformer(tiny: Tiny, scale: float, speakers: int | str = 1) -> Any:
    node = helper.make_node
    return _model(
        "transformer",
        [
            node("MatMul", ["over_time", "window"], ["mixed"]),
            node("MatMul", ["mixed", "over_channels"], ["sums"]),
            node("Tanh", ["sums"], ["plain"]),
            node("Mul", ["plain", "scale"], ["features"]),
        ],
        [_value("window", (speakers, tiny.window, ROW))],
        [_value("features", (speakers, tiny.chunk, tiny.width))],
        {"over_time": tiny.over_time[None], "over_channels": tiny.over_channels[None], "scale": np.float32([scale])},
    )
