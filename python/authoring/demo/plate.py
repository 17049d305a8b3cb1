# SPDX-License-Identifier: Apache-2.0
"""The studio wall behind the head: a soft light on it."""

from __future__ import annotations

import numpy as np

from ..spec import Array

LIT, EDGE = np.array([0.600, 0.690, 0.720]), np.array([0.235, 0.300, 0.345])


def bayer(levels: int) -> Array:
    """[2^levels, 2^levels] thresholds in 0..1 for ordered dithering (Bayer 1973)."""
    pattern = np.zeros((1, 1))
    for _ in range(levels):
        pattern = np.block([[4 * pattern, 4 * pattern + 2], [4 * pattern + 3, 4 * pattern + 1]])
    return (pattern + 0.5) / pattern.size


def background(size: int) -> Array:
    """[size,size,3] uint8; dithered, because the steps of a smooth wall show."""
    y, x = np.mgrid[0:size, 0:size] / size
    far = np.sqrt(((x - 0.56) / 0.62) ** 2 + ((y - 0.42) / 0.66) ** 2)
    glow = np.exp(-(far**2) * 1.15)[..., None]
    warm = np.exp(-(((x - 0.12) / 0.35) ** 2 + ((y - 0.95) / 0.5) ** 2))[..., None]
    color = EDGE + glow * (LIT - EDGE) + warm * np.array([0.05, 0.025, 0.01])
    threshold = np.tile(bayer(3), (-(-size // 8), -(-size // 8)))[:size, :size, None]
    out: Array = np.clip(np.floor(color * 255 + threshold), 0, 255).astype(np.uint8)
    return out
