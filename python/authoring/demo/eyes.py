# SPDX-License-Identifier: Apache-2.0
"""Eyeballs, upper lids and lashes. Lids follow x, the way across the eye; t is x over the opening's half width."""

from __future__ import annotations

import numpy as np

from ..spec import Array
from . import head
from .mesh import EYE_LEFT, Surface, Tufts, strand_axes
from .sdf import bell, smoothstep, unit

HALF = 18.4  # of the opening; relative to the eye's centre from here on, the left eye's outer corner at +x
IRIS, PUPIL = 9.4, 3.1  # radii
GAZE = unit(np.array([0.02, 0.0, 1.0]))
WHITE = np.array([0.955, 0.945, 0.935])
IRIS_DARK, IRIS_LIGHT, RIM = np.array([0.27, 0.36, 0.22]), np.array([0.60, 0.66, 0.40]), np.array([0.11, 0.13, 0.10])
LASH = np.array([0.085, 0.055, 0.045])
LID_SPAN = 1.15  # radians of shell above the margin


def corner_line(t: Array) -> Array:
    return -0.5 + 1.3 * t


def upper_margin(t: Array) -> Array:
    inside = np.maximum(0, 1 - np.abs(t) ** 2.3)
    return corner_line(t) + 8.7 * inside**0.74 * (1 - 0.06 * t)


def lower_margin(t: Array) -> Array:
    inside = np.maximum(0, 1 - np.abs(t) ** 2.2)
    return corner_line(t) - 7.1 * inside**0.85 * (1 + 0.08 * t)


def closed_margin(t: Array) -> Array:
    out: Array = corner_line(t) - 4.3 * np.maximum(0, 1 - t**2)
    return out


def hole(t: Array, upper: Array) -> tuple[Array, Array]:
    """Where the ring of skin ends: the fold above the upper lid, and the lower lid's margin."""
    fold = upper_margin(t) + 1.2 + 2.4 * np.maximum(0, 1 - t**2)
    return (HALF + 0.6) * t, np.where(upper, fold, lower_margin(t))


def ring_look(centre: Array, rows_in: int, upper: Array, skin: dict[str, Array]) -> dict[str, Array]:
    """Of the cells of face.eye_ring(), whose centres these are and which would look like skin."""
    up = (upper[:-1] | upper[1:])[None, :]
    row = np.arange(centre.shape[0])[:, None] - rows_in
    rel = centre - head.EYE
    margin = np.exp(-np.maximum(row + 0.5, 0) / 1.3)
    pink = np.where(up, 0.0, 0.55 * margin)
    inner = row < 0
    albedo = skin["albedo"] + pink[..., None] * (np.array([0.80, 0.50, 0.45]) - skin["albedo"])
    albedo = np.where((inner & ~up)[..., None], np.array([0.86, 0.60, 0.54]), albedo)
    liner = np.where(up, 0.0, 0.30 * bell(row + 0.3, 0.8)) * smoothstep(rel[..., 0], -12.0, 8.0)
    corner = smoothstep(-rel[..., 0], 10.0, 16.0)
    shade = np.where(up, 0.50 * np.exp(-np.maximum(row + 0.5, 0) / 1.1), 0.0) * (1 - 0.75 * corner)
    below = 0.07 * bell(rel[..., 1] + 11.5, 2.6) * bell(rel[..., 0], 11.0)
    dark = np.clip(liner + shade + below, 0, 0.8)
    albedo = albedo * (1 - dark[..., None] * np.array([0.75, 1.0, 1.05]))
    return {"albedo": albedo, "gloss": np.where(inner & ~up, 1.0, skin["gloss"])}


def ball() -> Surface:
    fine = [0.3, 1.2, 1.9, 2.5, 3.1, 4.2, 5.3, 6.2, 7.1, 8.0, 8.8, 9.4]  # pupil, iris, its rim
    ring = np.array([*fine, 10.2, 11.2, 12.8, 14.6, 16.5, 18.7, 21.2, 24.0, 27.0])
    around = np.linspace(0, 2 * np.pi, 49)
    angle, around = np.meshgrid(ring / head.EYE_RADIUS, around, indexing="ij")
    out = np.stack([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)], -1)
    right = unit(np.cross(np.array([0.0, 1, 0]), GAZE))
    basis = np.stack([right, np.cross(GAZE, right), GAZE], 1)
    point = head.EYE_RADIUS * out[:, ::-1] @ basis.T
    surface = Surface("eyeball", point, stride=2, side=1.0, joint=EYE_LEFT, spread=0.70)
    c = surface.centres()
    a = np.arccos(np.clip(unit(c) @ GAZE, -1, 1)) * head.EYE_RADIUS
    turn = np.arctan2(c[..., 1], c[..., 0])
    fibre = 0.5 + 0.5 * np.cos(19 * turn + 1.3 * np.sin(7 * turn)) * smoothstep(a, PUPIL, IRIS)
    glow = smoothstep(-np.sin(turn), -0.6, 1.0)  # light from above gathers in the lower half
    iris = IRIS_DARK + (IRIS_LIGHT - IRIS_DARK) * (0.15 + 0.45 * glow + 0.40 * fibre * bell(a - 5.4, 2.2))[..., None]
    iris = iris + bell(a - 4.3, 1.0)[..., None] * np.array([0.10, 0.05, -0.01])
    iris = iris + smoothstep(a, 7.5, 9.0)[..., None] * (RIM - iris)
    white = WHITE - smoothstep(a, 11.0, 20.0)[..., None] * np.array([0.10, 0.20, 0.21])
    soft = smoothstep(a, 8.8, 9.8)[..., None]
    color = np.where((a < PUPIL)[..., None], np.array([0.025, 0.02, 0.02]), iris * (1 - soft) + white * soft)
    y = c[..., 1]
    color = color * (1 - 0.26 * smoothstep(y, 3.0, 10.0) - 0.10 * smoothstep(-y, 4.0, 9.0))[..., None]
    surface.look = {"color": np.clip(color, 0, 1)}
    surface.point = point + head.EYE
    return surface


def lid_point(x: Array, phi: Array, radius: float) -> Array:
    r = np.sqrt(np.maximum(radius**2 - x**2, 1.0))
    return np.stack([x, r * np.sin(phi), r * np.cos(phi)], -1)


def lid_angle(x: Array, y: Array, radius: float) -> Array:
    return np.arcsin(np.clip(y / np.sqrt(np.maximum(radius**2 - x**2, 1.0)), -1, 1))


def lid() -> Surface:
    """The upper lid: a piece of a sphere whose upper part hides under the fold when the eye is open."""
    columns, rows = 36, 26
    t = np.linspace(-1.05, 1.05, columns + 1)
    x = HALF * t
    phi = lid_angle(x, upper_margin(np.clip(t, -1, 1)), head.LID_RADIUS)
    # Close together at the dark margin: of Gaussians that face the viewer the nearest lies over all that it touches.
    rise = np.concatenate([[0.0], LID_SPAN * (np.arange(rows) / (rows - 1)) ** 1.5])
    radius = np.concatenate([[head.EYE_RADIUS - 0.3], np.full(rows, head.LID_RADIUS)])
    point = np.stack([lid_point(x, phi + a, r) for a, r in zip(rise, radius, strict=True)])
    surface = Surface("lid", point, stride=2, side=1.0, spread=0.85)
    c = surface.centres()
    up = np.broadcast_to(rise[:-1, None] * head.LID_RADIUS, c.shape[:2])  # millimetres above the margin
    albedo = np.broadcast_to(np.array([0.845, 0.585, 0.480]), c.shape).copy()
    albedo = albedo * (1 - 0.10 * bell(up - 5.0, 2.5))[..., None]
    liner = (
        0.93
        * np.exp(-np.maximum(up, 0) / 1.1)
        * smoothstep(c[..., 0], -17.5, -10.0)
        * smoothstep(-c[..., 0], -19.0, -17.6)
    )
    albedo = albedo + liner[..., None] * (LASH - albedo)
    surface.look = {"albedo": albedo, "gloss": np.where(up > 2, 0.45, 0.1)}
    surface.point = point + head.EYE
    shut = lid_angle(x, closed_margin(np.clip(t, -1, 1)), head.LID_RADIUS)
    surface.lit = np.stack([lid_point(x, shut + a, head.LID_BULGE + 0.6) for a in rise * 0.8]) + head.EYE
    return surface


def lashes(rng: np.random.Generator) -> Tufts:
    """Curved rows of lashes on the lid's margin, longer outwards."""
    means, axes = [], []
    for t in np.linspace(-0.52, 1.0, 28):
        x = HALF * t
        phi = lid_angle(np.array(x), upper_margin(np.array(t)), head.LID_RADIUS)
        root = lid_point(np.array(x), phi, head.LID_RADIUS + 1.3)
        long = 3.0 + 3.4 * smoothstep(np.array(t), -0.7, 0.9) + rng.uniform(-0.6, 0.6)
        lean = np.array([0.10 + 0.85 * t + rng.uniform(-0.08, 0.08), 0.0, 0.0])
        at, piece = root, long / 2
        for k, rise in enumerate((-0.42, 0.05)):
            along = unit(lean * (1 + 0.5 * k) + np.array([0.0, np.sin(rise), np.cos(rise)]))
            means.append(at + along * piece / 2)
            axes.append(strand_axes(along[None], np.array([[0.0, 0.3, 1.0]]), piece * 0.52, 0.19 - 0.06 * k, 0.13)[0])
            at = at + along * piece
    n = len(means)
    color = np.broadcast_to(LASH, (n, 3))
    return Tufts("lid", np.array(means) + head.EYE, np.array(axes), color, np.tile([0.92, 0.60], n // 2), 1.0)


def corner_flesh() -> Tufts:
    """The pink in the inner corner."""
    x, y, radius = np.array([-18.0, -17.2]), corner_line(np.array([-0.98, -0.93])), 20.6
    at = lid_point(x, lid_angle(x, y, radius), radius)
    along, out = np.tile([[1.0, 0.1, 0.9]], (2, 1)), np.tile([[-0.3, 0.0, 1.0]], (2, 1))
    axes = strand_axes(along, out, 1.5, np.array([1.0, 1.3]), 0.4)
    color = np.array([[0.80, 0.47, 0.43], [0.86, 0.56, 0.52]])
    return Tufts("eye_ring", at + head.EYE, axes, color, np.array([0.95, 0.85]), 1.0)


def glint() -> Surface:
    """Nothing to see: what reflections on the cornea hold on to; they follow the eye less than the iris does."""
    x, y = np.meshgrid([-5.0, 5.0], [-5.0, 5.0])
    point = np.stack([x, y, np.full_like(x, head.EYE_RADIUS)], -1) + head.EYE
    return Surface("glint", point, side=1.0, joint=EYE_LEFT, keep=np.zeros((1, 1), bool),
                   look={"color": np.zeros((1, 1, 3))})  # fmt: skip


def highlights(side: float) -> Tufts:
    """The key light's reflection on the cornea, and a fainter one opposite."""
    spots = [
        ((-3.7, 4.0), 1.75, 0.98, (1.0, 1.0, 1.0)),
        *[((-3.7, 4.0), 1.45, 0.98, (1.0, 1.0, 1.0))] * 2,  # again: one Gaussian alone has a soft edge
        ((3.1, -3.4), 0.9, 0.42, (0.85, 0.92, 1.0)),
    ]
    means, axes, colors, opacity = [], [], [], []
    for (x, y), radius, alpha, color in spots:
        z = np.sqrt((head.EYE_RADIUS + 0.3) ** 2 - x**2 - y**2)
        out = np.array([x, y, z]) / head.EYE_RADIUS
        means.append(head.EYE * (side, 1, 1) + np.array([x + GAZE[0] * 16 * side, y, z]))
        axes.append(strand_axes(np.array([[1.0, 0, 0]]), out[None], radius, radius, 0.1)[0])
        colors.append(color)
        opacity.append(alpha)
    return Tufts("glint", np.array(means), np.array(axes), np.array(colors), np.array(opacity), side)
