# SPDX-License-Identifier: Apache-2.0
"""Solids as signed distances: points [...,3] -> [...], negative inside. The blends are polynomial smooth minima."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..spec import Array

TRACE_STEPS = 70  # of sphere tracing
Solid = Callable[[Array], Array]
Point = tuple[float, float, float]


def length(x: Array) -> Array:
    out: Array = np.sqrt((x * x).sum(-1))
    return out


def unit(x: Array) -> Array:
    return x / np.maximum(length(x), 1e-12)[..., None]


def smoothstep(x: Array, low: float | Array, high: float | Array) -> Array:
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def bell(x: Array, width: float | Array) -> Array:
    """exp(-x²/2 width²)."""
    return np.exp(-0.5 * (x / width) ** 2)


def folded(p: Array) -> Array:
    """Both halves folded onto the left one."""
    return np.concatenate([np.abs(p[..., :1]), p[..., 1:]], -1)


def bearing(lon: Array, lat: Array | float = 0.0) -> Array:
    """Unit directions: lon is 0 in front and positive to the left, lat positive upwards."""
    level = np.cos(lat)
    return np.stack(np.broadcast_arrays(np.sin(lon) * level, np.sin(lat), np.cos(lon) * level), -1)


def sphere(p: Array, centre: Point, radius: float) -> Array:
    return length(p - np.array(centre)) - radius


def ellipsoid(p: Array, centre: Point, radii: Point) -> Array:
    """First-order distance: exact on the surface, a bound near it."""
    q = (p - np.array(centre)) / np.array(radii)
    k0, k1 = length(q), length(q / np.array(radii))
    out: Array = k0 * (k0 - 1) / np.maximum(k1, 1e-9)
    return out


def capsule(p: Array, a: Point, b: Point, radius_a: float, radius_b: float) -> Array:
    """From a to b, its radius going from radius_a to radius_b."""
    start, axis = np.array(a), np.array(b) - np.array(a)
    t = np.clip((p - start) @ axis / (axis @ axis), 0.0, 1.0)
    out: Array = length(p - start - t[..., None] * axis) - (radius_a + t * (radius_b - radius_a))
    return out


def join(a: Array, b: Array, k: float) -> Array:
    """Union whose seam is rounded over k."""
    h = np.maximum(k - np.abs(a - b), 0.0) / k
    out: Array = np.minimum(a, b) - h * h * k / 4
    return out


def cut(a: Array, b: Array, k: float) -> Array:
    """a without b, the edge rounded over k."""
    return -join(-a, b, k)


def normal(solid: Solid, p: Array, step: float = 0.25) -> Array:
    """Outward unit normals, by central differences."""
    out = np.empty_like(p)
    for axis in range(3):
        offset = np.zeros(3)
        offset[axis] = step
        out[..., axis] = solid(p + offset) - solid(p - offset)
    return unit(out)


def trace(solid: Solid, start: Array, direction: Array, far: float) -> Array:
    """First points of the surface on the way from start along unit directions; start + far·direction where none is."""
    t = np.zeros(np.broadcast_shapes(start.shape, direction.shape)[:-1])
    for _ in range(TRACE_STEPS):
        t = np.minimum(t + 0.85 * solid(start + t[..., None] * direction), far)
    return start + t[..., None] * direction


def seen_from(solid: Solid, centre: Array, out: Array, far: float) -> Array:
    """First points of the surface on the way to centre, from far away along out."""
    return trace(solid, centre + far * out, -out, far)
