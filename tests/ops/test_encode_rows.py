# SPDX-License-Identifier: Apache-2.0
"""kernels/triton/encode.py itself, under Triton's interpreter: many streams in a block, against float64."""

import os
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from ops.voices import tower
from reference.encode import Tower
from talksplat.authoring.voice.export import random_voice
from tolerances import require_close

pytestmark = [
    pytest.mark.skipif("TALKSPLAT_TEST_INTERPRETED" not in os.environ, reason="run by tests/test_triton.py"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # numpy's, where it interprets a kernel
]
ROWS, N_MELS = 16, 7
SHAPES = {
    "least": tower(width=16, heads=1, layers=1, window=1, taps=1, hidden=1),
    "heads": tower(width=34, heads=2, layers=2, window=5, taps=3, hidden=33),
    "wide": tower(width=144, heads=3, layers=1, window=70, taps=11, hidden=150),
}


def padded(n: int) -> int:
    return -(-n // 16) * 16


class Records:
    """kernels/cuda/encode.h's records of a tower and of streams, in this process's memory."""

    def __init__(self, shape: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
        self.shape, self.tensors, self.kept = shape, tensors, []
        width, window, taps = (shape[name] for name in ("width", "window", "taps"))
        self.width_p, self.window_p = padded(width), padded(window)
        self.outputs_p = padded(len(shape["channels"]))
        layers = b"".join(self.layer(i) for i in range(shape["layers"]))
        hidden_p, self.head_width = padded(shape["hidden"]), width // shape["heads"]
        sizes = (width, self.width_p, shape["heads"], self.head_width, padded(self.head_width), window, self.window_p)
        self.tower = self.at(
            struct.pack("11i4x", *sizes, taps, hidden_p, len(shape["channels"]), self.outputs_p)
            + self.linear("stem") + self.linear("head")
            + struct.pack("i4xq", shape["layers"], self.at(layers))
        )  # fmt: skip
        self.scratch = 2 * self.width_p + max(3 * self.width_p, hidden_p) + self.window_p

    def at(self, value: np.ndarray | bytes) -> int:
        """The address of a copy that stays."""
        copy = np.frombuffer(bytearray(value), np.uint8) if isinstance(value, bytes) else np.ascontiguousarray(value)
        self.kept.append(copy)
        return int(copy.ctypes.data)

    def floats(self, *shape: int) -> np.ndarray:
        self.kept.append(np.zeros(shape, np.float32))
        return self.kept[-1]

    def linear(self, name: str, sections: int = 1) -> bytes:
        weight, bias = (self.tensors[f"tower/0/{name}/{part}"].astype(np.float32) for part in ("weight", "bias"))
        rows, columns = weight.shape[0] // sections, weight.shape[1]
        packed = np.zeros((sections, padded(rows), padded(columns)), np.float32)
        packed[:, :rows, :columns] = weight.reshape(sections, rows, columns)
        terms = np.zeros((sections, padded(rows)), np.float32)
        terms[:, :rows] = bias.reshape(sections, rows)
        blocks = packed.reshape(-1, 16, padded(columns)).transpose(0, 2, 1)
        return struct.pack("2i2q", sections * padded(rows), padded(columns), self.at(blocks), self.at(terms))

    def layer(self, i: int) -> bytes:
        tensors = {name: self.tensors[f"tower/0/layer/{i}/{name}"] for name in ("age_bias", "conv/weight", "conv/bias")}
        heads, window = tensors["age_bias"].shape
        age_bias = np.zeros((heads, 2 * self.window_p), np.float32)
        age_bias[:, : 2 * window] = np.tile(tensors["age_bias"][:, ::-1], 2)
        conv, conv_bias = np.zeros((self.shape["taps"], self.width_p), np.float32), np.zeros(self.width_p, np.float32)
        conv[:, : self.shape["width"]] = tensors["conv/weight"].T
        conv_bias[: self.shape["width"]] = tensors["conv/bias"]
        linears = (("qkv", 3), ("out", 1), ("gate", 2), ("mix", 1), ("up", 1), ("down", 1))
        return b"".join(self.linear(f"layer/{i}/{name}", sections) for name, sections in linears) + struct.pack(
            "3q", self.at(age_bias), self.at(conv), self.at(conv_bias)
        )


class Stream:
    def __init__(self, records: Records) -> None:
        self.records, self.steps = records, 0
        shape = records.shape
        self.rings = [
            ring
            for _ in range(shape["layers"])
            for ring in (
                records.floats(shape["width"], records.window_p),
                records.floats(shape["heads"], shape["window"], padded(records.head_width)),
                records.floats(shape["taps"], records.width_p),
            )
        ]
        self.states = records.at(struct.pack(f"{len(self.rings)}q", *(ring.ctypes.data for ring in self.rings)))
        self.input = records.floats(padded(2 * N_MELS))
        self.feature, self.output = records.floats(records.width_p), records.floats(records.outputs_p)
        self.scratch = records.floats(records.scratch)

    def job(self, heard: np.ndarray) -> bytes:
        self.input[: len(heard)] = heard
        self.steps += 1
        arrays = (self.input, self.feature, self.output, self.scratch)
        places = (array.ctypes.data for array in arrays)
        return struct.pack("7q", self.records.tower, self.states, self.steps - 1, *places)


def launch(*blocks: list[bytes]) -> None:
    import aot
    import encode

    (constants, *_) = (spec.constants for spec in aot.SPECIALISATIONS if spec.kernel == "encode_rows_kernel")
    jobs = b"".join(b"".join(block) + bytes(56 * (ROWS - len(block))) for block in blocks)
    memory = np.frombuffer(bytearray(jobs), np.uint8)
    encode.encode_rows_kernel[(1, len(blocks))](int(memory.ctypes.data), *constants)


def made(shape: str, seed: int) -> tuple[Records, Mapping[str, Any], Mapping[str, np.ndarray]]:
    manifest, tensors = random_voice(seed, n_mels=N_MELS, towers=[SHAPES[shape]])
    return Records(manifest["towers"][0], tensors), manifest["towers"][0], tensors


@pytest.mark.parametrize(("shape", "streams"), [("least", 16), ("heads", 1), ("heads", 16), ("wide", 5)])
def test_every_row_is_its_stream(shape: str, streams: int) -> None:
    """Streams that began at different times."""
    records, tower_of, tensors = made(shape, 1)
    rows = [Stream(records) for _ in range(streams)]
    oracles = [Tower(tower_of, "tower/0", tensors) for _ in rows]
    rng = np.random.default_rng(2)
    for turn in range(4):
        on = [i for i in range(streams) if i % 3 <= turn]
        heard = {i: rng.normal(size=2 * N_MELS).astype(np.float32) for i in on}
        launch([rows[i].job(heard[i]) for i in on])
        for i in on:
            channel, feature = oracles[i].step(heard[i].astype(np.float64))
            require_close("encode", "float32", rows[i].output[: len(channel)], channel, name=f"{shape} {turn} {i}")
            require_close("encode", "float32", rows[i].feature[: len(feature)], feature, name=f"{shape} {turn} {i}")
            assert not rows[i].output[len(channel) :].any() and not rows[i].feature[len(feature) :].any()


def test_the_past_comes_round() -> None:
    """More steps than the window and the taps have, and then step numbers beyond 32 bits."""
    records, tower_of, tensors = made("heads", 3)
    stream, oracle = Stream(records), Tower(tower_of, "tower/0", tensors)
    for k in range(9):
        heard = np.random.default_rng(k).normal(size=2 * N_MELS).astype(np.float32)
        if k == 7:
            later = (1 << 40) - 1
            assert later % (tower_of["window"] * tower_of["taps"]) == 0  # the same places in the rings
            stream.steps += later
        launch([stream.job(heard)])
        channel, _ = oracle.step(heard.astype(np.float64))
        require_close("encode", "float32", stream.output[: len(channel)], channel, name=str(k))


def test_neighbours_change_no_bit() -> None:
    """Nor does one that hears what is no number, nor a block of another voice."""
    records, _, _ = made("heads", 4)
    other, _, _ = made("least", 5)
    together, alone = [Stream(records) for _ in range(4)], [Stream(records) for _ in range(4)]
    foreign = Stream(other)
    rng = np.random.default_rng(6)
    for turn in range(2):
        heard = rng.normal(size=(5, 2 * N_MELS)).astype(np.float32)
        heard[3, 5] = (np.nan, -np.inf)[turn]
        launch([foreign.job(heard[4])], [stream.job(heard[i]) for i, stream in enumerate(together)])
        for i in (0, 2, 3):
            launch([alone[i].job(heard[i])])
            np.testing.assert_array_equal(alone[i].output, together[i].output)
            np.testing.assert_array_equal(alone[i].feature, together[i].feature)
            assert np.isfinite(alone[i].output).all() == (i != 3)
    assert np.isfinite(foreign.output).all()
