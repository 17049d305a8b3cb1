# SPDX-License-Identifier: Apache-2.0
"""Rooms, lines and speakers: what happens to speech between a mouth and a microphone.

What changes the wave (speed, room, telephone) is done once per copy, when the corpus is made; what only colours or
covers it (equaliser, noise, gain) is drawn anew for every training example, on band powers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .export import Array

SPEED = (0.88, 1.14)
WARP = (0.86, 1.18)
ROOM_SHARE, TELEPHONE_SHARE = 0.4, 1 / 7
NOISE_SHARE, SNR_DB = 0.75, (3.0, 40.0)
EQ_KNOTS, EQ_SPREAD_DB, TILT_DB = 5, 2.6, 5.0
GAIN_DB = (-34.0, -6.0)


@dataclass(frozen=True)
class Disguise:
    """Ranges of speed and of the bands' frequencies, and the share of copies that are in another room."""

    speed: tuple[float, float]
    warp: tuple[float, float]
    room_share: float


AS_ANYBODY = Disguise(SPEED, WARP, ROOM_SHARE)
AS_ONESELF = Disguise((0.97, 1.03), (0.95, 1.05), 0.0)


def resample(x: Array, rate_hz: float, new_rate_hz: float, band_hz: tuple[float, float] | None = None) -> Array:
    """Whole-signal resampling through the Fourier transform; band_hz keeps only that band, with soft edges."""
    n = max(1, round(len(x) * new_rate_hz / rate_hz))
    spectrum = np.fft.rfft(x.astype(np.float64))
    if band_hz is not None:
        f = np.arange(len(spectrum)) * rate_hz / len(x)
        spectrum *= 1 / (1 + (band_hz[0] / np.maximum(f, 1e-3)) ** 8) / (1 + (f / band_hz[1]) ** 20)
    kept = np.zeros(n // 2 + 1, complex)
    m = min(len(kept), len(spectrum))
    kept[:m] = spectrum[:m]
    return (np.fft.irfft(kept, n) * (n / len(x))).astype(np.float32)


def room(rng: np.random.Generator, x: Array, rate_hz: int) -> Array:
    """A short synthetic reverberation: noise that decays by 60 dB in 0.1..0.5 s, 3..20 dB below the direct sound."""
    decay_s = rng.uniform(0.1, 0.5)
    n = int(decay_s * rate_hz)
    tail = rng.normal(size=n) * 10 ** (-3 * np.arange(n) / n)
    tail[: int(rng.uniform(0.001, 0.01) * rate_hz)] = 0
    tail *= 10 ** (-rng.uniform(3, 20) / 20) / np.sqrt(np.sum(tail**2) + 1e-12)
    tail[0] = 1.0
    size = len(x) + n
    wet = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(tail, size), size)[: len(x)]
    return wet.astype(np.float32)


def equaliser(rng: np.random.Generator, count: int, n_mels: int) -> Array:
    """[count,n_mels] dB: a smooth random curve and a tilt for each of `count` examples."""
    knots = rng.normal(0, EQ_SPREAD_DB, (count, EQ_KNOTS))
    at = np.linspace(0, EQ_KNOTS - 1, n_mels)
    left = np.minimum(at.astype(int), EQ_KNOTS - 2)
    mix = (1 - np.cos(np.pi * (at - left))) / 2
    curve = knots[:, left] * (1 - mix) + knots[:, left + 1] * mix
    tilt = rng.uniform(-TILT_DB, TILT_DB, (count, 1)) * np.linspace(-1, 1, n_mels)
    return np.asarray(curve + tilt)
