# SPDX-License-Identifier: Apache-2.0
"""bin without tiles' lists: every visible splat against every pixel, in depth order."""

from dataclasses import dataclass

import numpy as np

from reference.project import TILE, Projected


@dataclass(frozen=True)
class Binned:
    """order [M]: rows of visible splats, nearest first. covers, doubtful [P,M]: whether the pixel is in the splat's
    support, and whether rounding may decide that."""

    order: np.ndarray
    covers: np.ndarray
    doubtful: np.ndarray


def depth_order(splats: Projected) -> np.ndarray:
    """By float32 depth, ties by index."""
    order = np.argsort(splats.depth.astype(np.float32), kind="stable")
    return order[splats.visible[order]]


def bin_ref(splats: Projected, pixels: np.ndarray) -> Binned:
    """pixels: [P,2] of (column, row)."""
    order = depth_order(splats)
    tile = np.asarray(pixels) // TILE
    covers, sure, maybe = (in_rect(rect[order], tile) for rect in (splats.rect, splats.sure, splats.maybe))
    return Binned(order, covers, maybe & ~sure)


def in_rect(rect: np.ndarray, tile: np.ndarray) -> np.ndarray:
    x, y = tile[:, :1], tile[:, 1:]
    return (rect[:, 0] <= x) & (x < rect[:, 2]) & (rect[:, 1] <= y) & (y < rect[:, 3])
