# SPDX-License-Identifier: Apache-2.0
"""Short hair, parted on the left: a cap over the skull, and strands combed over it."""

from __future__ import annotations

import numpy as np

from ..spec import Array
from . import head
from .mesh import Surface, Tufts, strand_axes
from .sdf import bearing, bell, normal, seen_from, smoothstep, trace, unit

HAIR = np.array([0.370, 0.225, 0.140])
CENTRE = np.array([0.0, 10.0, -8.0])
PART_X = 24.0
# Height of the hairline by longitude (0 in front, the left side positive).
LINE_LON = np.array([-1.95, -1.8, -1.62, -1.48, -1.40, -1.32, -1.22, -1.05, -0.85, -0.55, -0.25, 0.05, 0.30, 0.45, 0.7,
                     0.9, 1.05, 1.22, 1.32, 1.40, 1.48, 1.62, 1.8, 1.95])  # fmt: skip
LINE_Y = np.array([-20, 8, 15, 10, -4, -6, 18, 46, 60, 71, 78, 82, 86, 82, 70,
                   56, 44, 18, -6, -4, 10, 15, 8, -20.0])  # fmt: skip
BACK_LON, BACK_Y = np.array([1.95, 2.15, 2.45, np.pi]), np.array([-20, -54, -70, -74.0])


def above_line(p: Array) -> Array:
    """Height over the hairline."""
    lon = np.arctan2(p[..., 0], p[..., 2])
    back = np.interp(np.abs(lon), BACK_LON, BACK_Y)
    out: Array = p[..., 1] - np.where(np.abs(lon) > 1.95, back, np.interp(lon, LINE_LON, LINE_Y))
    return out


def thickness(p: Array) -> Array:
    x, y, z = np.moveaxis(p, -1, 0)
    full = 4.0 + 10.0 * smoothstep(y, 30.0, 105.0) + 7.0 * bell(z - 40, 32) * bell(y - 98, 28) * bell(x + 12, 42)
    full = full - 4.0 * bell(x - PART_X, 5.0) * smoothstep(y, 60.0, 90.0) * smoothstep(z, -30.0, 20.0)
    full = full + 3.0 * smoothstep(-z, 20.0, 70.0)
    return full * np.sqrt(smoothstep(above_line(p), -3.0, 42.0))


def solid(p: Array) -> Array:
    return head.skin(p) - thickness(p)


def cap() -> Surface:
    lon, lat = np.meshgrid(np.linspace(-np.pi, np.pi, 73), np.linspace(-1.0, 1.5, 33))
    point = seen_from(lambda p: solid(p) + 2.2, CENTRE, bearing(lon, lat), 190.0)  # below the strands
    surface = Surface("cap", point, stride=4, spread=0.85)
    c = surface.centres()
    surface.keep = above_line(c) > 7.0
    surface.look = {"albedo": np.broadcast_to(HAIR * 0.66, c.shape), "gloss": np.zeros(c.shape[:2])}
    return surface


def flow(p: Array, out: Array) -> Array:
    """The way the hair is combed at p: away from the part, then down and back."""
    x, n_y, n_z = p[..., 0], out[..., 1], out[..., 2]
    away = np.tanh((x - PART_X) / 6.0)
    top = np.stack([away, 0 * x, -0.45 - 0.25 * (away > 0)], -1)
    side = np.stack([0 * x, -1 + 0 * x, -0.60 * smoothstep(p[..., 1], -10, 35)], -1)
    behind = np.stack([0.15 * np.sign(x), -1 + 0 * x, 0 * x], -1)
    f = smoothstep(n_z, 0.15, 0.65)[..., None]
    side = (1 - f) * side + f * np.stack([away, -0.42 + 0 * x, -0.25 + 0 * x], -1)
    a, b = smoothstep(n_y, 0.25, 0.80)[..., None], smoothstep(-n_z, 0.25, 0.75)[..., None]
    way = a * top + (1 - a) * ((1 - b) * side + b * behind)
    return unit(way - (way * out).sum(-1, keepdims=True) * out)


def strands(rng: np.random.Generator) -> Tufts:
    """Streamlines of the flow from all over the cap, and the fringe: from the part across the forehead."""
    count = 950
    u, v = rng.uniform(-1, 1, count), rng.uniform(0, 2 * np.pi, count)
    u = np.where(np.cos(v) < -0.2, u, np.maximum(u, -0.2))
    out = np.stack([np.sin(v) * np.sqrt(1 - u * u), u, np.cos(v) * np.sqrt(1 - u * u)], -1)
    everywhere = seen_from(solid, CENTRE, out, 190.0)
    edge = 360
    lon = rng.uniform(-2.2, 2.2, edge)
    line = np.interp(lon, LINE_LON, LINE_Y) + rng.uniform(0.5, 7.0, edge)
    hairline = seen_from(solid, np.stack([0 * lon, line, 0 * lon], -1), bearing(lon), 190.0)
    fringe = 210
    root = np.stack([PART_X - rng.uniform(0, 7, fringe), np.full(fringe, 140.0), rng.uniform(8, 74, fringe)], -1)
    down = np.broadcast_to(np.array([0.0, -1.0, 0.0]), root.shape)
    fringe_root = trace(solid, root, down, 120.0)
    grown = [
        comb(everywhere, rng.uniform(-0.8, 1.8, count), 6, 0.5, rng.normal(0, 0.13, count)),
        comb(hairline, rng.uniform(-0.3, 0.8, edge), 3, 0.0, rng.normal(0, 0.13, edge), 0.7),
        comb(fringe_root, rng.uniform(0.5, 3.6, fringe), 14, -7.0, rng.normal(0.03, 0.14, fringe)),
    ]
    mean, axes, color, along, outward = (np.concatenate(x) for x in zip(*grown, strict=True))
    return Tufts("cap", mean, axes, color, np.full(len(mean), 0.9), 0.0, along, outward)


def comb(p: Array, lift: Array, pieces: int, lowest: float, tone: Array, fine: float = 1.0) -> tuple[Array, ...]:
    """mean, axes, albedo, along and outward of strands from the roots p; none reaches lowest mm above the hairline."""
    step = 7.2
    rows: list[tuple[Array, ...]] = []
    for k in range(pieces):
        out = normal(solid, p, 1.5)
        along = flow(p, out)
        along = unit(along + (0.10 * np.sin(0.9 * k + 7 * tone))[:, None] * np.cross(out, along))
        at = p + out * (lift * np.sin(np.pi * (k + 0.7) / (pieces + 0.4)))[:, None]
        above = above_line(at)
        inside = above > lowest + 4 * tone
        thin = 1.45 * fine * (1 - 0.5 * abs(2 * k / (pieces - 1) - 0.8) ** 2)
        shade = np.clip(1 + tone, 0.6, 1.5) * (0.74 + 0.26 * smoothstep(above, 0.0, 14.0))
        axes = strand_axes(along, out, 5.0, thin, 0.8)
        rows.append((at[inside], axes[inside], (HAIR * shade[:, None])[inside], along[inside], out[inside]))
        p = p + step * along
        p = p - (normal(solid, p, 1.5) * solid(p)[:, None]) * 0.9
    return tuple(np.concatenate(x) for x in zip(*rows, strict=True))
