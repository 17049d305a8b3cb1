# SPDX-License-Identifier: Apache-2.0
"""Whisper's encoder out of a model.bin of CTranslate2, by the names that transformers has for its weights.

Such a file is a list of tensors (CTranslate2's python/ctranslate2/specs/model_spec.py writes it), little-endian:

    u32 version of this layout (6) · text name of the model's kind · u32 its revision
    u32 number of tensors, and of each: text name · u8 number of axes · u32 lengths · u8 type · u32 bytes · the numbers
    u32 number of aliases, and of each: text alias · text name of a tensor

where a text is a u16 length, its letters and a zero byte, which the length counts. CTranslate2 holds the projections
of query, key and value in one matrix.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from talksplat._arrays import FloatArray, shape_text
from talksplat._text import listed, shown
from talksplat.encoders.folder import MAX_LAYER, MAX_WIDTH
from talksplat.errors import EncoderInvalid

LAYOUT = 6  # written since version 3 of CTranslate2, the first that knew Whisper's models as they are now
KIND, MAX_REVISION = "WhisperSpec", 3
MAX_TENSORS = 1 << 14  # Whisper's largest model has 1260
MAX_AXES = 4
MAX_NAME_BYTES = 256
MAX_POSITIONS = 1 << 16  # 1500 in every published model, half a minute
MAX_MELS = 1024
CONVERT = "Convert it again: ct2-transformers-converter --model MODEL --quantization float16 --output_dir FOLDER"
_FLOATS = {0: "<f4", 4: "<f2", 5: "bfloat16"}
_INTS = {1: "i1", 2: "<i2", 3: "<i4"}
_ITEM_BYTES = {0: 4, 1: 1, 2: 2, 3: 4, 4: 2, 5: 2}


@dataclass(frozen=True)
class EncoderSizes:
    """What a WhisperEncoder is built from; read off the shapes of its tensors, but for the number of heads."""

    n_mels: int
    width: int
    n_layers: int
    n_heads: int
    n_inner: int
    n_positions: int


@dataclass(frozen=True)
class _Tensor:
    shape: tuple[int, ...]
    kind: int
    data: memoryview


def read_sizes(where: str, data: bytes) -> EncoderSizes:
    """The sizes of the encoder in a model.bin, which is looked through but not converted. Raises EncoderInvalid."""
    return _Encoder(where, _Reader(where, data).tensors()).sizes()


def read_encoder(where: str, data: bytes) -> tuple[EncoderSizes, dict[str, FloatArray]]:
    """The sizes of the encoder in a model.bin, and its float32 weights as transformers' WhisperEncoder names them.

    Raises EncoderInvalid, which begins with where, for another kind of file, one that is cut off or contradicts itself,
    weights that are quantised, missing, not finite or of the wrong shape, and sizes that no encoder has.
    """
    return _Encoder(where, _Reader(where, data).tensors()).read()


class _Reader:
    """Steps through the file; no length in it is believed before that much is known to follow."""

    def __init__(self, where: str, data: bytes) -> None:
        self._where, self._data, self._at = where, memoryview(data), 0

    def tensors(self) -> dict[str, _Tensor]:
        if (layout := self._number("<I")) != LAYOUT:
            raise self._wrong(f"must be a model.bin of CTranslate2 in its layout {LAYOUT}; it begins with {layout}")
        kind, revision = self._text(), self._number("<I")
        if kind != KIND or revision > MAX_REVISION:
            raise self._wrong(f"must hold a {KIND} of revision {MAX_REVISION} or older; got {shown(kind)} {revision}")
        n_tensors = self._count("tensors")
        tensors: dict[str, _Tensor] = {}
        for _ in range(n_tensors):
            name = self._text()
            if name in tensors:
                raise self._wrong(f"has two tensors {shown(name)}")
            tensors[name] = self._tensor(name)
        for _ in range(self._count("aliases")):
            alias, name = self._text(), self._text()  # of the decoder alone, whose output matrix is its embedding
            if name not in tensors:
                raise self._wrong(f"has an alias {shown(alias)} of {shown(name)}, which it does not have")
        if self._at != len(self._data):
            raise self._wrong(f"has {len(self._data) - self._at} bytes after its end")
        return tensors

    def _tensor(self, name: str) -> _Tensor:
        n_axes = self._number("B")
        if n_axes > MAX_AXES:
            raise self._wrong(f"must have tensors of at most {MAX_AXES} axes; {shown(name)} has {n_axes}")
        shape = tuple(self._number("<I") for _ in range(n_axes))
        kind, n_bytes = self._number("B"), self._number("<I")
        if kind not in _ITEM_BYTES:
            raise self._wrong(f"must have types from 0 to 5; {shown(name)} is of type {kind}")
        if prod(shape) * _ITEM_BYTES[kind] != n_bytes:
            raise self._wrong(f"gives {shown(name)} {n_bytes} bytes, for {shape_text(shape)} of type {kind}")
        return _Tensor(shape, kind, self._take(n_bytes))

    def _count(self, what: str) -> int:
        count = self._number("<I")
        if count > MAX_TENSORS:
            raise self._wrong(f"must have at most {MAX_TENSORS} {what}; it says that it has {count}")
        return count

    def _text(self) -> str:
        n_bytes = self._number("<H")
        if not 1 < n_bytes <= MAX_NAME_BYTES:
            raise self._wrong(f"must have names of 1 to {MAX_NAME_BYTES - 1} letters; one has {n_bytes - 1}")
        raw = bytes(self._take(n_bytes))
        if raw[-1] or not raw[:-1].isascii():
            raise self._wrong(f"must have names in ASCII with a zero byte after them; got {shown(repr(raw))}")
        return raw[:-1].decode("ascii")

    def _number(self, layout: str) -> int:
        (value,) = struct.unpack(layout, self._take(struct.calcsize(layout)))
        return int(value)

    def _take(self, n_bytes: int) -> memoryview:
        piece = self._data[self._at : self._at + n_bytes]
        if len(piece) < n_bytes:
            raise self._wrong(f"is cut off: {n_bytes} bytes should follow at byte {self._at} of {len(self._data)}")
        self._at += n_bytes
        return piece

    def _wrong(self, what: str) -> EncoderInvalid:
        return EncoderInvalid(f"{self._where}: {what}. {CONVERT}")


class _Encoder:
    """The tensors below encoder/ on their way to transformers' names; each is taken once, and none may be left over."""

    def __init__(self, where: str, tensors: Mapping[str, _Tensor]) -> None:
        self._where = where
        self._left = {name: tensor for name, tensor in tensors.items() if name.startswith("encoder/")}

    def read(self) -> tuple[EncoderSizes, dict[str, FloatArray]]:
        sizes = self.sizes()
        width, inner = sizes.width, sizes.n_inner
        weights = {
            "conv1.weight": self._take("conv1/weight", width, sizes.n_mels, 3),
            "conv1.bias": self._take("conv1/bias", width),
            "conv2.weight": self._take("conv2/weight", width, width, 3),
            "conv2.bias": self._take("conv2/bias", width),
            "embed_positions.weight": self._take("position_encodings/encodings", sizes.n_positions, width),
        }
        self._norm(weights, "layer_norm", "layer_norm", width)
        for i in range(sizes.n_layers):
            here, there = f"layer_{i}", f"layers.{i}"
            self._attention(weights, f"{here}/self_attention", f"{there}.self_attn", width)
            self._norm(weights, f"{here}/self_attention/layer_norm", f"{there}.self_attn_layer_norm", width)
            self._norm(weights, f"{here}/ffn/layer_norm", f"{there}.final_layer_norm", width)
            self._linear(weights, f"{here}/ffn/linear_0", f"{there}.fc1", inner, width)
            self._linear(weights, f"{here}/ffn/linear_1", f"{there}.fc2", width, inner)
        if self._left:
            raise self._wrong(f"has tensors that no Whisper encoder has: {listed(self._left, len(self._left))}")
        return sizes, weights

    def sizes(self) -> EncoderSizes:
        """Raises EncoderInvalid. What says them is taken, but for the tensors that have numbers."""
        if any(name.endswith("/weight_scale") for name in self._left):
            raise self._wrong("holds weights that were quantised to whole numbers, with a loss")
        for name in ("pre_norm", "activation"):  # said of every Whisper model alike: norms come first, GELU
            self._left.pop(f"encoder/{name}", None)
        n_layers = len({name.split("/")[1] for name in self._left if name.startswith("encoder/layer_") and "/" in name})
        n_layers -= 1  # the norm after the last layer is named like one of them
        width, n_mels, _ = self._shape("conv1/weight", 3)
        n_inner, _ = self._shape("layer_0/ffn/linear_0/weight", 2)
        n_positions, _ = self._shape("position_encodings/encodings", 2)
        n_heads = self._whole_number("num_heads")
        bounds = (
            ("layers", n_layers, MAX_LAYER), ("channels", width, MAX_WIDTH), ("mel bands", n_mels, MAX_MELS),
            ("inner channels", n_inner, 16 * MAX_WIDTH), ("positions", n_positions, MAX_POSITIONS),
            ("heads", n_heads, width),
        )  # fmt: skip
        for what, count, most in bounds:
            if not 1 <= count <= most:
                raise self._wrong(f"must have 1 to {most} {what}; it has {count}")
        if width % n_heads:
            raise self._wrong(f"must have a number of heads that divides its {width} channels; it has {n_heads}")
        return EncoderSizes(n_mels, width, n_layers, n_heads, n_inner, n_positions)

    def _attention(self, weights: dict[str, FloatArray], here: str, there: str, width: int) -> None:
        matrices = np.split(self._take(f"{here}/linear_0/weight", 3 * width, width), 3)
        biases = np.split(self._take(f"{here}/linear_0/bias", 3 * width), 3)
        for part, matrix, bias in zip("qkv", matrices, biases, strict=True):
            weights[f"{there}.{part}_proj.weight"] = matrix
            # Whisper's keys have no bias, for which CTranslate2 writes zeros. Any other would change nothing: it adds
            # one number to all scores of a query, and softmax takes it away.
            if part != "k":
                weights[f"{there}.{part}_proj.bias"] = bias
        self._linear(weights, f"{here}/linear_1", f"{there}.out_proj", width, width)

    def _linear(self, weights: dict[str, FloatArray], here: str, there: str, n_out: int, n_in: int) -> None:
        weights[f"{there}.weight"] = self._take(f"{here}/weight", n_out, n_in)
        weights[f"{there}.bias"] = self._take(f"{here}/bias", n_out)

    def _norm(self, weights: dict[str, FloatArray], here: str, there: str, width: int) -> None:
        weights[f"{there}.weight"] = self._take(f"{here}/gamma", width)
        weights[f"{there}.bias"] = self._take(f"{here}/beta", width)

    def _take(self, name: str, *shape: int) -> FloatArray:
        tensor = self._get(name)
        if tensor.shape != shape:
            raise self._wrong(f"must have encoder/{name} as {shape_text(shape)}; got {shape_text(tensor.shape)}")
        if tensor.kind not in _FLOATS:
            raise self._wrong(f"must have encoder/{name} as floating-point numbers; got type {tensor.kind}")
        del self._left[f"encoder/{name}"]
        if _FLOATS[tensor.kind] == "bfloat16":
            numbers = (np.frombuffer(tensor.data, "<u2").astype("<u4") << 16).view("<f4")
        else:
            numbers = np.frombuffer(tensor.data, _FLOATS[tensor.kind]).astype(np.float32)
        if not np.isfinite(numbers).all():
            raise self._wrong(f"must have finite numbers in encoder/{name}")
        return numbers.reshape(shape)

    def _whole_number(self, name: str) -> int:
        tensor = self._get(name)
        if tensor.shape or tensor.kind not in _INTS:
            raise self._wrong(f"must have encoder/{name} as one whole number; got {shape_text(tensor.shape)}")
        del self._left[f"encoder/{name}"]
        value: Any = np.frombuffer(tensor.data, _INTS[tensor.kind])[0]
        return int(value)

    def _shape(self, name: str, n_axes: int) -> tuple[int, ...]:
        shape = self._get(name).shape
        if len(shape) != n_axes:
            raise self._wrong(f"must have encoder/{name} with {n_axes} axes; got {shape_text(shape)}")
        return shape

    def _get(self, name: str) -> _Tensor:
        tensor = self._left.get(f"encoder/{name}")
        if tensor is None:
            raise self._wrong(f"has no tensor encoder/{name}")
        return tensor

    def _wrong(self, what: str) -> EncoderInvalid:
        return EncoderInvalid(f"{self._where}: {what}. {CONVERT}")
