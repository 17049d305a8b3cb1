# SPDX-License-Identifier: Apache-2.0
"""From surfaces to Gaussians in the frames of their triangles (FORMAT.md, How a frame is posed, 5)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .. import rotation
from ..gaussians import Gaussians, gaussians, morton_sorted
from ..spec import Array
from . import shading
from .mesh import Surface, Tufts
from .sdf import length, unit

THICKNESS = 0.22  # mm, one standard deviation
OPACITY = 0.99  # as solid as a splat is drawn
METRE = 1e-3  # per millimetre
CLOTH = ("shirt", "collar", "cap")  # light does not go under these


@dataclass(frozen=True)
class Splats:
    """mean [n,3] mm, axes [n,3,3] whose columns are one standard deviation each, sRGB color [n,3], opacity [n]."""

    mean: Array
    axes: Array
    color: Array
    opacity: Array


def of_cells(surface: Surface) -> Splats:
    """One flat Gaussian for each cell that is kept, with the cell's own sides."""
    keep = surface.cells
    u, v = (side[keep] * surface.spread for side in surface.extents())
    n, mean = surface.normals()[keep], surface.centres()[keep]
    look = {name: value[keep] for name, value in surface.look.items()}
    if "color" in look:
        color = look["color"]
    else:
        lit = surface if surface.lit is None else replace(surface, point=surface.lit)
        soft = 0.0 if surface.name in CLOTH else 1.0
        color = shading.shade(lit.centres()[keep], lit.normals()[keep], look, soft)
    return Splats(mean, np.stack([u, v, n * THICKNESS], -1), color, np.full(len(mean), OPACITY))


def of_tufts(tufts: Tufts) -> Splats:
    color = tufts.color
    if tufts.along is not None and tufts.outward is not None:
        color = shading.strand_shade(tufts.mean, tufts.along, tufts.outward, color)
    return Splats(tufts.mean, tufts.axes, color, tufts.opacity)


def together(parts: list[Splats]) -> Splats:
    columns = zip(*((s.mean, s.axes, s.color, s.opacity) for s in parts), strict=True)
    return Splats(*(np.concatenate(column) for column in columns))


def nearest(points: Array, centres: Array) -> Array:
    """Index of the nearest centre, [n]."""
    return np.array([((centres - p) ** 2).sum(1).argmin() for p in points], np.int64)


def bind(s: Splats, vertex: Array, corners: Array) -> Gaussians:
    """s in the frames of triangles corners [n,3] of vertex [V,3] mm; the binding counts corners' unique rows."""
    a, b, c = (vertex[corners[:, k]] for k in range(3))
    a0 = unit(b - a)
    a1 = unit(np.cross(a0, c - a))
    a2 = -unit(np.cross(a1, a0))
    size = (length(b - a) + np.abs((a2 * (c - a)).sum(1))) / 2
    to_local = np.stack([a0, a1, a2], 1) / size[:, None, None]
    axes = to_local @ s.axes
    spread, turn = np.linalg.eigh(axes @ axes.transpose(0, 2, 1))
    turn[:, :, 2] = np.cross(turn[:, :, 0], turn[:, :, 1])
    cloud = gaussians(
        "demo",
        mean=(to_local @ (s.mean - (a + b + c) / 3)[..., None])[..., 0],
        quat=rotation.quat_of_matrix(turn),
        scale=np.sqrt(np.maximum(spread, 1e-12)),
        opacity=s.opacity,
        color=np.clip(s.color, 0, 1),
        binding=np.unique(corners, axis=0, return_inverse=True)[1].ravel(),
    )
    return morton_sorted(cloud, s.mean)
