# SPDX-License-Identifier: Apache-2.0
"""finish in float64: background, straight alpha, 8-bit and NV12 conversion. Values are exact: before rounding."""

import numpy as np


def composite_ref(color: np.ndarray, transmittance: np.ndarray, background: np.ndarray | None) -> np.ndarray:
    """color [...,3] premultiplied, transmittance [...]; background [3], [...,3] or None, which shows black."""
    return color if background is None else color + transmittance[..., None] * np.asarray(background, np.float64)


def rgba8_ref(color: np.ndarray, transmittance: np.ndarray, background: np.ndarray | None) -> np.ndarray:
    """[...,4] in 0..255: opaque over a background, else straight colour and coverage."""
    if background is not None:
        rgb, alpha = composite_ref(color, transmittance, background), np.ones_like(transmittance)
    else:
        alpha = 1 - transmittance
        rgb = np.divide(color, alpha[..., None], out=np.zeros_like(color), where=alpha[..., None] > 1e-9)
    return 255 * np.clip(np.concatenate([rgb, alpha[..., None]], axis=-1), 0, 1)


def nv12_ref(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """rgb [H,W,3] in 0..1 -> luma [H,W] and chroma [H/2,W/2,2] (Cb, Cr) of ITU-R BT.709 in the limited range."""
    rgb = np.clip(rgb, 0, 1)
    kr, kg, kb = 0.2126, 0.7152, 0.0722
    luma = rgb @ [kr, kg, kb]
    height, width = luma.shape
    mean = rgb.reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))
    mean_luma = mean @ [kr, kg, kb]
    cb = (mean[..., 2] - mean_luma) / (2 * (1 - kb))
    cr = (mean[..., 0] - mean_luma) / (2 * (1 - kr))
    return 16 + 219 * luma, 128 + 224 * np.stack([cb, cr], axis=-1)
