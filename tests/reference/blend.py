# SPDX-License-Identifier: Apache-2.0
"""blend in float64: splats in depth order to premultiplied colour, one matrix of pixels by splats."""

from dataclasses import dataclass

import numpy as np

from reference.bin import Binned
from reference.project import MIN_ALPHA, Projected

MAX_ALPHA = 0.99
MIN_TRANSMITTANCE = 1e-4


@dataclass(frozen=True)
class Blended:
    """color [P,3] premultiplied, transmittance [P], depth [P] the weighted sum; ambiguous [P]: rounding may decide
    whether a splat counts (its alpha is near 1/255, its tile doubtful, or the pixel near its end)."""

    color: np.ndarray
    transmittance: np.ndarray
    depth: np.ndarray
    ambiguous: np.ndarray


def blend_ref(splats: Projected, binned: Binned, pixels: np.ndarray) -> Blended:
    row = binned.order
    dx = pixels[:, :1] - splats.xy[row, 0]
    dy = pixels[:, 1:] - splats.xy[row, 1]
    a, b, c = splats.conic[row].T
    power = np.minimum(0, -0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)
    alpha = np.minimum(MAX_ALPHA, splats.opacity[row] * np.exp(power))
    near_threshold = np.abs(alpha / MIN_ALPHA - 1) < 1e-4
    visible = alpha >= MIN_ALPHA

    after = np.cumprod(np.where(visible & binned.covers, 1 - alpha, 1), axis=1)
    reached = after >= MIN_TRANSMITTANCE  # falls once and stays: the first splat past the limit stops the pixel
    before = np.concatenate([np.ones((len(pixels), 1)), after[:, :-1]], axis=1)
    weight = np.where(visible & binned.covers & reached, alpha * before, 0)

    # Anything that happens at a pixel that has stopped is of no account.
    open_ = np.concatenate([np.ones((len(pixels), 1), bool), reached[:, :-1]], axis=1)
    doubt = (near_threshold & (binned.covers | binned.doubtful)) | (binned.doubtful & visible)
    doubt |= np.abs(after / MIN_TRANSMITTANCE - 1) < 1e-3
    return Blended(
        color=weight @ splats.rgb[row],
        transmittance=1 - weight.sum(1),
        depth=weight @ splats.depth[row],
        ambiguous=(doubt & open_).any(1),
    )
