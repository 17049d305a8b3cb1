# SPDX-License-Identifier: Apache-2.0
"""Surfaces as grids: a fine one that Gaussians cover, and every stride-th of its points as the mesh that moves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..spec import Array
from .sdf import unit

BODY, NECK, HEAD, JAW, EYE_LEFT, EYE_RIGHT = range(6)


def middles(value: Array) -> Array:
    """[R-1,C-1,...] of the cells between points whose values are [R,C,...]."""
    out: Array = (value[:-1, :-1] + value[:-1, 1:] + value[1:, :-1] + value[1:, 1:]) / 4
    return out


@dataclass
class Surface:
    """point [R,C,3] with R-1 and C-1 multiples of stride; what moves it; how it looks."""

    name: str
    point: Array
    stride: int = 1
    side: float = 0.0  # of a pair: +1 left, -1 right
    half: Array | None = None  # [R,C] around the mouth: +1 upper lip's half, -1 lower lip's
    along: Array | None = None  # [R,C] mm sideways where the lips' opening is as wide as here, if not its own x
    joint: int = HEAD
    keep: Array | None = None  # [R-1,C-1] cells that get a Gaussian
    spread: float = 0.74  # standard deviation over the cell's extent
    lit: Array | None = None  # [R,C,3] where its light is worked out, if not at point
    look: dict[str, Array] = field(default_factory=dict)  # [R-1,C-1,...] material of the cells

    def __post_init__(self) -> None:
        rows, columns = self.point.shape[:2]
        if (rows - 1) % self.stride or (columns - 1) % self.stride:
            raise ValueError(f"{self.name}: {rows}x{columns} points do not fit stride {self.stride}.")

    @property
    def cells(self) -> Array:
        """[R-1,C-1] bool."""
        shape = (self.point.shape[0] - 1, self.point.shape[1] - 1)
        return np.ones(shape, bool) if self.keep is None else self.keep

    def mirrored(self) -> Surface:
        """The other of a pair."""
        flip = None if self.keep is None else self.keep[:, ::-1]
        other = {EYE_LEFT: EYE_RIGHT, EYE_RIGHT: EYE_LEFT}.get(self.joint, self.joint)
        return replace(
            self, point=(self.point * (-1, 1, 1))[:, ::-1], side=-self.side, joint=other, keep=flip,
            look={name: value[:, ::-1] for name, value in self.look.items()},
            lit=None if self.lit is None else (self.lit * (-1, 1, 1))[:, ::-1],
        )  # fmt: skip

    def corners(self) -> tuple[Array, Array, Array, Array]:
        p = self.point
        return p[:-1, :-1], p[:-1, 1:], p[1:, :-1], p[1:, 1:]

    def centres(self) -> Array:
        return middles(self.point)

    def extents(self) -> tuple[Array, Array]:
        """Each cell's sides along columns and rows, [R-1,C-1,3]."""
        a, b, c, d = self.corners()
        return (b - a + d - c) / 2, (c - a + d - b) / 2

    def normals(self) -> Array:
        """[R-1,C-1,3] unit; columns × rows must point outwards."""
        u, v = self.extents()
        return unit(np.cross(u, v))

    def nodes(self) -> Array:
        """[r,c,3] vertices of the mesh."""
        return self.point[:: self.stride, :: self.stride]

    def triangles(self) -> tuple[Array, Array]:
        """[F,3] into nodes().reshape(-1, 3), and [R-1,C-1] the triangle of each cell."""
        rows, columns = (n - 1 for n in self.nodes().shape[:2])
        i = np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)
        upper = np.stack([i, i + 1, i + columns + 1], -1).reshape(-1, 3)
        lower = np.stack([i + columns + 2, i + columns + 1, i + 1], -1).reshape(-1, 3)
        r, c = np.indices(self.cells.shape)
        s = self.stride
        quad = (r // s) * columns + c // s
        beyond = (r % s + c % s + 1) > s  # of the quad's diagonal
        return np.concatenate([upper, lower]), quad + np.where(beyond, rows * columns, 0)


@dataclass
class Tufts:
    """Loose Gaussians: mean [n,3], axes [n,3,3] whose columns are one standard deviation each; they hold on to the
    nearest triangle of the surface called `on` (of the same side, if it is a pair's). color [n,3] is what is seen,
    or the albedo of strands that run along [n,3] over a surface whose normal is outward [n,3]."""

    on: str
    mean: Array
    axes: Array
    color: Array
    opacity: Array
    side: float = 0.0
    along: Array | None = None
    outward: Array | None = None

    def mirrored(self) -> Tufts:
        m = np.array([-1.0, 1.0, 1.0])
        return replace(
            self, mean=self.mean * m, axes=self.axes * m[:, None], side=-self.side,
            along=None if self.along is None else self.along * m,
            outward=None if self.outward is None else self.outward * m,
        )  # fmt: skip


def strand_axes(along: Array, outward: Array, long: Array | float, wide: Array | float, thick: float) -> Array:
    """[n,3,3] for Tufts: long along, wide across, thick outwards, in millimetres."""
    t = unit(along)
    b = unit(np.cross(outward, t))
    ones = np.ones((len(t), 1))
    sizes = [ones * np.reshape(s, (-1, 1)) for s in (long, wide, thick)]
    return np.stack([t * sizes[0], b * sizes[1], np.cross(t, b) * sizes[2]], -1)
