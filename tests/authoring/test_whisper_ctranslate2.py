# SPDX-License-Identifier: Apache-2.0
"""CTranslate2's file of Whisper: every weight finds its place, and no file of strangers does harm."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs the extra encoders-export")

from authoring.whisper_models import model_bin, tensor, tensors_of, text, tiny_encoder
from talksplat.authoring.encoders.whisper_ctranslate2 import EncoderSizes, read_encoder, read_sizes
from talksplat.errors import EncoderInvalid

Tensors = dict[str, np.ndarray]
ENCODER = tiny_encoder(20)
TENSORS = tensors_of(ENCODER)
QUERY = "encoder/layer_0/self_attention/linear_0/weight"
START = struct.pack("<I", 6) + text("WhisperSpec")


def changed(**tensors: np.ndarray | None) -> bytes:
    """The file with other tensors in place of these, or without those that are None; __ stands for / in names."""
    new = {name.replace("__", "/"): array for name, array in tensors.items()}
    return model_bin({name: array for name, array in {**TENSORS, **new}.items() if array is not None})


def test_every_weight_finds_its_place() -> None:
    sizes, weights = read_encoder("model.bin", model_bin(TENSORS))
    assert sizes == EncoderSizes(n_mels=80, width=32, n_layers=2, n_heads=4, n_inner=48, n_positions=20)
    assert read_sizes("model.bin", model_bin(TENSORS)) == sizes
    state = ENCODER.state_dict()
    assert weights.keys() == state.keys()
    for name, array in weights.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, state[name].numpy(), err_msg=name)


def test_float16_is_read_as_it_is_rounded() -> None:
    halves = {name: array.astype(np.float16) if array.dtype == np.float32 else array for name, array in TENSORS.items()}
    _, weights = read_encoder("model.bin", model_bin(halves))
    for name, array in weights.items():
        np.testing.assert_array_equal(array, ENCODER.state_dict()[name].half().float().numpy(), err_msg=name)


def test_bfloat16_is_the_upper_half_of_float32() -> None:
    good = model_bin(TENSORS)
    whole = tensor("encoder/conv1/bias", TENSORS["encoder/conv1/bias"])
    upper = TENSORS["encoder/conv1/bias"].view("<u2")[1::2].tobytes()
    packed = text("encoder/conv1/bias") + struct.pack("<BIBI", 1, 32, 5, 64) + upper
    _, weights = read_encoder("model.bin", good.replace(whole, packed))
    found = weights["conv1.bias"]
    np.testing.assert_array_equal(found.view("<u2")[1::2].tobytes(), upper)
    assert not found.view("<u2")[::2].any()


def test_a_bias_of_the_keys_is_dropped() -> None:
    bias = TENSORS["encoder/layer_0/self_attention/linear_0/bias"].copy()
    bias[32:64] = 7
    _, weights = read_encoder("model.bin", changed(encoder__layer_0__self_attention__linear_0__bias=bias))
    assert weights.keys() == ENCODER.state_dict().keys()


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is cut off: 4 bytes should follow at byte 0 of 0"),
    "another layout": (lambda: struct.pack("<I", 5), "its layout 6; it begins with 5"),
    "a zip": (lambda: b"PK\3\4" + bytes(99), "its layout 6"),
    "another model": (lambda: struct.pack("<I", 6) + text("TransformerSpec") + bytes(8), "'TransformerSpec' 0"),
    "a newer revision": (lambda: START + struct.pack("<II", 4, 0), "'WhisperSpec' 4"),
    "too many tensors": (lambda: START + struct.pack("<II", 3, 0xFFFFFFFF), "at most 16384 tensors; it says that it"),
    "tensors that are not there": (lambda: START + struct.pack("<II", 3, 9), "is cut off"),
    "an empty name": (lambda: START + struct.pack("<IIH", 3, 1, 1) + b"\0", "one has 0"),
    "a long name": (lambda: START + struct.pack("<IIH", 3, 1, 0xFFFF), "one has 65534"),
    "a name without an end": (lambda: START + struct.pack("<IIH", 3, 1, 2) + b"ab", "a zero byte after them"),
    "a name to write over a line": (lambda: START + struct.pack("<IIH", 3, 1, 3) + b"\xff\x1b\0", r"\\xff\\x1b"),
    "too many axes": (lambda: START + struct.pack("<II", 3, 1) + text("a") + b"\xff", "'a' has 255"),
    "an unknown type": (
        lambda: START + struct.pack("<II", 3, 1) + text("a") + struct.pack("<BBI", 0, 6, 4), "'a' is of type 6"
    ),
    "lengths whose product overflows": (
        lambda: START + struct.pack("<II", 3, 1) + text("a") + struct.pack("<B4IBI", 4, *[0xFFFFFFFF] * 4, 0, 0),
        "gives 'a' 0 bytes",
    ),
    "numbers that are not there": (
        lambda: START + struct.pack("<II", 3, 1) + text("a") + struct.pack("<BIBI", 1, 1 << 29, 0, 1 << 31),
        "is cut off",
    ),
    "a tensor twice": (
        lambda: START + struct.pack("<II", 3, 2) + 2 * tensor("a", np.zeros(1, np.float32)), "has two tensors 'a'"
    ),
    "an alias of nothing": (
        lambda: START + struct.pack("<III", 3, 0, 1) + text("a") + text("b"), "an alias 'a' of 'b'"
    ),
    "more after the end": (lambda: model_bin(TENSORS) + b"x", "has 1 bytes after its end"),
    "cut off": (lambda: model_bin(TENSORS)[:-1], "is cut off"),
    "no encoder": (lambda: model_bin({"decoder/embeddings/weight": np.zeros(2, np.float32)}), "has no tensor encoder/"),
    "a missing weight": (lambda: changed(encoder__conv2__bias=None), "has no tensor encoder/conv2/bias"),
    "a missing layer": (
        lambda: model_bin({name: array for name, array in TENSORS.items() if "layer_0" not in name}),
        "has no tensor encoder/layer_0/",
    ),
    "a weight too many": (
        lambda: changed(encoder__adapter=np.zeros(1, np.float32)), "no Whisper encoder has: encoder/adapter"
    ),
    "int8": (
        lambda: changed(encoder__conv1__weight_scale=np.zeros(32, np.float32)), "quantised to whole numbers"
    ),
    "int8 without scales": (
        lambda: changed(encoder__conv1__bias=np.zeros(32, np.int8)), "encoder/conv1/bias as floating-point numbers"
    ),
    "another shape": (
        lambda: changed(encoder__conv1__bias=np.zeros(31, np.float32)), "encoder/conv1/bias as [32]; got [31]"
    ),
    "axes that are missing": (
        lambda: changed(encoder__conv1__weight=np.zeros(32, np.float32)), "encoder/conv1/weight with 3 axes; got [32]"
    ),
    "not a number": (
        lambda: changed(encoder__conv1__bias=np.full(32, np.nan, np.float32)), "finite numbers in encoder/conv1/bias"
    ),
    "infinity in float16": (
        lambda: changed(encoder__conv1__bias=np.full(32, np.inf, np.float16)), "finite numbers in encoder/conv1/bias"
    ),
    "no heads": (lambda: changed(encoder__num_heads=np.array(0, np.int16)), "1 to 32 heads; it has 0"),
    "heads below zero": (lambda: changed(encoder__num_heads=np.array(-4, np.int16)), "1 to 32 heads; it has -4"),
    "heads that do not divide": (lambda: changed(encoder__num_heads=np.array(5, np.int16)), "divides its 32 channels"),
    "heads of several numbers": (lambda: changed(encoder__num_heads=np.zeros(2, np.int16)), "one whole number"),
    "no positions": (
        lambda: changed(encoder__position_encodings__encodings=np.zeros((0, 32), np.float32)), "positions; it has 0"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_by_name(name: str) -> None:
    make, message = HOSTILE[name]
    with pytest.raises(EncoderInvalid) as error:
        read_encoder("model.bin", make())
    assert str(error.value).startswith("model.bin: ")
    assert message in str(error.value)
    assert "ct2-transformers-converter" in str(error.value)


def test_every_cut_is_refused() -> None:
    data = model_bin(TENSORS)
    for length in (*range(400), *range(400, len(data), 997)):
        with pytest.raises(EncoderInvalid):
            read_encoder("model.bin", data[:length])


def test_no_flipped_bit_of_the_heads_does_more_than_an_error() -> None:
    data = model_bin(TENSORS)
    for i in range(8 * 300):
        broken = bytearray(data)
        broken[i // 8] ^= 1 << i % 8
        try:
            read_encoder("model.bin", bytes(broken))
        except EncoderInvalid:
            continue
