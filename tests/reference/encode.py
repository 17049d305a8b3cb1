# SPDX-License-Identifier: Apache-2.0
"""encode in float64: mel columns, leveller and network one after the other, step by step.

The network also in float32, which tells how far rounding alone takes a network from its float64.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

HOP, WINDOW, FFT, RATE_HZ = 160, 400, 512, 16000
LEAST_POWER = 1e-10

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Encoded:
    """channel [steps,n_channels], feature [steps,width of tower 0], step k at row k."""

    channel: np.ndarray
    feature: np.ndarray


def encode_ref(
    samples: np.ndarray, n_steps: int, manifest: Mapping[str, Any], tensors: Tensors, dtype: Any = np.float64
) -> Encoded:
    """samples: [n] 16 kHz mono; as many zeros follow as n_steps need. dtype: the network's."""
    columns = mel_columns(np.asarray(samples, np.float64), 2 * n_steps, manifest)
    # The core hands features to its network as float32; so are the weights.
    steps = columns.astype(np.float32).astype(dtype).reshape(n_steps, -1)
    towers = [Tower(tower, f"tower/{i}", tensors, dtype) for i, tower in enumerate(manifest["towers"])]
    names = list(dict.fromkeys(name for tower in manifest["towers"] for name in tower["channels"]))
    squashed = [any(name in tower["sigmoid"] for tower in manifest["towers"]) for name in names]
    channel, feature = np.zeros((n_steps, len(names))), np.zeros((n_steps, manifest["towers"][0]["width"]))
    for k, step in enumerate(steps):
        said = [tower.step(step) for tower in towers]
        for tower, (y, _) in zip(towers, said, strict=True):
            channel[k, [names.index(name) for name in tower.shape["channels"]]] += y
        feature[k] = said[0][1]
    return Encoded(np.where(squashed, sigmoid(channel), channel), feature)


# ---- mel ----


def mel_columns(x: np.ndarray, n_columns: int, manifest: Mapping[str, Any]) -> np.ndarray:
    """[n_columns,n_mels] levelled log-mel features."""
    before = WINDOW - HOP
    padded = np.zeros(before + n_columns * HOP)
    n = min(len(x), n_columns * HOP)
    padded[before : before + n] = x[:n]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    triangles = mel_triangles(manifest["n_mels"], manifest["f_min_hz"], manifest["f_max_hz"])
    leveller, feature = manifest["leveller"], manifest["feature"]
    level = leveller["start_db"]
    rows = []
    for i in range(n_columns):
        spectrum = np.fft.rfft(window * padded[i * HOP : i * HOP + WINDOW], FFT)
        band = triangles @ (np.abs(spectrum) ** 2 / (window**2).sum())
        loudness = 10 * np.log10(band.mean() + LEAST_POWER)
        if loudness > level:
            level += (loudness - level) * (1 - np.exp(-0.010 / leveller["attack_s"]))
        else:
            level = max(level - leveller["release_db_per_s"] * 0.010, loudness)
        level = max(level, leveller["floor_db"])
        decibels = 10 * np.log10(band + LEAST_POWER)
        x_i = (decibels - level - feature["offset_db"]) / feature["scale_db"]
        rows.append(np.clip(x_i, feature["clip_low"], feature["clip_high"]))
    return np.array(rows).reshape(n_columns, -1)


def mel_triangles(n_mels: int, f_min_hz: float, f_max_hz: float) -> np.ndarray:
    """[n_mels,257], each row of sum 1."""

    def mel(hz: float) -> float:
        return 2595 * np.log10(1 + hz / 700)

    points = 700 * (10 ** (np.linspace(mel(f_min_hz), mel(f_max_hz), n_mels + 2) / 2595) - 1)
    hz = np.arange(FFT // 2 + 1) * RATE_HZ / FFT
    rows = np.zeros((n_mels, len(hz)))
    for m, (low, middle, high) in enumerate(zip(points[:-2], points[1:-1], points[2:], strict=True)):
        rows[m] = np.maximum(0, np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)))
        if rows[m].sum() == 0:
            rows[m, np.argmin(np.abs(hz - middle))] = 1
    return rows / rows.sum(axis=1, keepdims=True)


# ---- network ----


class Tower:
    """One tower and all that it remembers: every key, value and gated row since the first step."""

    def __init__(self, shape: Mapping[str, Any], at: str, tensors: Tensors, dtype: Any = np.float64) -> None:
        self.shape, self.at = shape, at
        self.tensors = {name: np.asarray(value, dtype) for name, value in tensors.items()}
        self.past: list[dict[str, list[np.ndarray]]] = [
            {"key": [], "value": [], "gated": []} for _ in range(shape["layers"])
        ]

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        weight, bias = (self.tensors[f"{self.at}/{name}/{part}"] for part in ("weight", "bias"))
        if x.dtype == np.float32:  # one term after the other, whatever this machine's BLAS does
            return np.add.accumulate(weight * x, axis=1)[:, -1] + bias
        return weight @ x + bias

    def step(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(channels before sigmoids, what the head reads) of the next step."""
        x = self.linear("stem", features)
        for i in range(self.shape["layers"]):
            x = x + self.attend(i, norm(x))
            x = x + self.convolve(i, norm(x))
            x = x + self.linear(f"layer/{i}/down", silu(self.linear(f"layer/{i}/up", norm(x))))
        h = norm(x)
        return self.linear("head", h), h

    def attend(self, i: int, a: np.ndarray) -> np.ndarray:
        heads, window = self.shape["heads"], self.shape["window"]
        q, k, v = np.split(self.linear(f"layer/{i}/qkv", a), 3)
        past = self.past[i]
        past["key"].append(k)
        past["value"].append(v)
        age_bias = self.tensors[f"{self.at}/layer/{i}/age_bias"]
        d = len(q) // heads
        read = []
        for h in range(heads):
            own = slice(h * d, (h + 1) * d)
            ages = range(min(window, len(past["key"])))
            score = np.array([q[own] @ past["key"][-1 - age][own] / math.sqrt(d) + age_bias[h, age] for age in ages])
            weight = np.exp(score - score.max())
            weight /= weight.sum()
            read.append(sum(w * past["value"][-1 - age][own] for w, age in zip(weight, ages, strict=True)))
        return self.linear(f"layer/{i}/out", np.concatenate(read))

    def convolve(self, i: int, c: np.ndarray) -> np.ndarray:
        left, right = np.split(self.linear(f"layer/{i}/gate", c), 2)
        gated = self.past[i]["gated"]
        gated.append(left * sigmoid(right))
        weight = self.tensors[f"{self.at}/layer/{i}/conv/weight"]
        y = self.tensors[f"{self.at}/layer/{i}/conv/bias"].copy()
        for age in range(min(self.shape["taps"], len(gated))):
            y += weight[:, age] * gated[-1 - age]
        return self.linear(f"layer/{i}/mix", silu(y))


def norm(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def silu(x: np.ndarray) -> np.ndarray:
    return x * sigmoid(x)
