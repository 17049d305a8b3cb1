# SPDX-License-Identifier: Apache-2.0
"""What the network hears: log-mel bands relative to a running level, at 100 mel columns a second and causal.

Mel column i covers samples [160 i - 240, 160 i + 160) of 16 kHz sound, zeros before the start and after the end.
The core computes the same numbers one column at a time; here whole files and batches are done at once.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .export import FFT, HOP, RATE_HZ, WINDOW, Array, Feature, Leveller, Manifest

TINY = 1e-10  # added to powers before the logarithm: -100 dB


@lru_cache(maxsize=256)
def mel_filters(n_mels: int = 40, f_min_hz: float = 60.0, f_max_hz: float = 7600.0, warp: float = 1.0) -> Array:
    """[n_mels,257]: triangles on the HTK mel scale, each of sum 1.

    warp multiplies the bands' frequencies (a longer or shorter vocal tract, for augmentation); 1 is what runs.
    """

    def mel(f: float) -> float:
        return 2595 * float(np.log10(1 + f / 700))

    points = np.linspace(mel(f_min_hz), mel(f_max_hz), n_mels + 2)
    points_hz = np.minimum(700 * (10 ** (points / 2595) - 1) * warp, RATE_HZ / 2)
    bins_hz = np.arange(FFT // 2 + 1) * RATE_HZ / FFT
    low, mid, high = points_hz[:-2, None], points_hz[1:-1, None], points_hz[2:, None]
    rise = (bins_hz - low) / np.maximum(mid - low, 1e-9)
    fall = (high - bins_hz) / np.maximum(high - mid, 1e-9)
    triangles = np.maximum(0.0, np.minimum(rise, fall))
    for row, centre in zip(triangles, points_hz[1:-1], strict=True):
        if row.sum() <= 0:  # narrower than a bin
            row[int(np.argmin(np.abs(bins_hz - centre)))] = 1.0
    return np.asarray(triangles / triangles.sum(1, keepdims=True))


def mel_power(samples: Array, n_columns: int, filters: Array) -> Array:
    """[n_columns,n_mels] float32: power in each band; white noise of variance v has expectation v in every band.

    samples: [n] float, 16 kHz mono.
    """
    before = WINDOW - HOP
    padded = np.zeros(before + n_columns * HOP, np.float32)
    kept = min(len(samples), n_columns * HOP)
    padded[before : before + kept] = samples[:kept]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    out = np.empty((n_columns, len(filters)), np.float32)
    scale = 1 / float(np.sum(window.astype(np.float64) ** 2))
    for first in range(0, n_columns, 4096):  # bounds the memory of long files
        spectrum = np.fft.rfft(windows[first : first + 4096] * window, FFT)
        power = (spectrum.real**2 + spectrum.imag**2) * scale
        out[first : first + 4096] = power @ filters.T
    return out


def decibels(power: Array) -> Array:
    return 10 * np.log10(power + TINY)


def levels(loudness_db: Array, leveller: Leveller, start_db: Array | float | None = None) -> Array:
    """The running level, dB: rises to speech in tens of milliseconds, falls over seconds, never below the floor.

    loudness_db: [..., n_columns]; start_db: the level before the first column, broadcast over the leading axes.
    Returns the level of each column after its own update, shaped like loudness_db.
    """
    rise = 1 - np.exp(-(HOP / RATE_HZ) / leveller["attack_s"])
    fall = leveller["release_db_per_s"] * HOP / RATE_HZ
    start = leveller["start_db"] if start_db is None else start_db
    level = np.broadcast_to(np.asarray(start, np.float64), loudness_db.shape[:-1])
    out = np.empty(loudness_db.shape)
    for i in range(loudness_db.shape[-1]):
        e = loudness_db[..., i]
        level = np.where(e > level, level + (e - level) * rise, np.maximum(level - fall, e))
        level = np.maximum(level, leveller["floor_db"])
        out[..., i] = level
    return out


def features_of_power(
    power: Array, leveller: Leveller, feature: Feature, start_db: Array | float | None = None
) -> Array:
    """[..., n_columns, n_mels] band powers -> the network's input, float32, same shape."""
    level = levels(decibels(power.mean(-1, dtype=np.float64)), leveller, start_db)
    x = (decibels(power) - level[..., None] - feature["offset_db"]) / feature["scale_db"]
    return np.clip(x, feature["clip_low"], feature["clip_high"]).astype(np.float32)


def features(samples: Array, n_steps: int, manifest: Manifest) -> Array:
    """[n_steps, 2 n_mels] float32: what the network reads at each of its 20 ms steps (two columns side by side)."""
    filters = mel_filters(manifest["n_mels"], manifest["f_min_hz"], manifest["f_max_hz"])
    power = mel_power(samples, 2 * n_steps, filters)
    return features_of_power(power, manifest["leveller"], manifest["feature"]).reshape(n_steps, -1)
