# SPDX-License-Identifier: Apache-2.0
"""Lips' outline, and what is behind them: teeth with gums, tongue, the dark of the mouth."""

from __future__ import annotations

import numpy as np

from ..spec import Array
from . import head
from .mesh import Surface, middles
from .sdf import bell, smoothstep

LIP = np.array([0.785, 0.440, 0.410])
INNER = np.array([0.62, 0.24, 0.24])
TOOTH = np.array([0.965, 0.945, 0.905])
GUM = np.array([0.72, 0.36, 0.36])
TONGUE = np.array([0.80, 0.40, 0.40])
UPPER_WIDTHS = (8.4, 6.6, 7.4, 6.6, 6.2, 8.0)  # from the middle outwards
LOWER_WIDTHS = (5.4, 5.8, 6.6, 6.6, 6.6, 9.0)


def line(x: Array) -> Array:
    """y where the lips meet: a soft bow, its ends raised."""
    t = x / head.MOUTH_HALF
    return head.MOUTH_Y - 0.5 * bell(x, 4.0) + 2.8 * t**2 - 0.5 * bell(np.abs(t) - 0.55, 0.2)


def red_height(x: Array, sign: Array) -> Array:
    """How far the red reaches from the line, up (sign +1) or down."""
    e = np.maximum(0, 1 - (x / head.MOUTH_HALF) ** 2)
    bow = 1 - 0.16 * bell(x, 3.0) + 0.08 * bell(np.abs(x) - 6.5, 3.2)
    return np.where(sign > 0, 7.8 * e**0.85 * bow, 9.9 * e**0.72)


def lip_look(surface: Surface, rows_in: int, rows_red: int, skin: dict[str, Array]) -> dict[str, Array]:
    c = surface.centres()
    row = np.arange(c.shape[0])[:, None] - rows_in
    assert surface.along is not None
    t = np.clip(middles(surface.along) / head.MOUTH_HALF, -1, 1)
    e = np.sqrt(1 - t**2)
    r = (row + 0.5) / rows_red
    red = (1 - smoothstep(r, 0.93, 1.12)) * smoothstep(e, 0.0, 0.15)
    lip = np.broadcast_to(LIP, c.shape)
    lower = c[..., 1] < line(c[..., 0])
    lip = np.where(lower[..., None], lip * np.array([1.04, 1.05, 1.05]), lip * np.array([0.95, 0.92, 0.93]))
    albedo = skin["albedo"] + red[..., None] * (lip - skin["albedo"])
    albedo = np.where((row < 0)[..., None], INNER * (1 + 0.20 * (row + 1)[..., None]), albedo)
    seam = np.where(row >= 0, 0.55 * np.exp(-np.maximum(row, 0) / 0.9), 0) * smoothstep(e, 0.0, 0.4)
    from_line = c[..., 1] - line(np.clip(c[..., 0], -head.MOUTH_HALF, head.MOUTH_HALF))
    fold = 0.08 * bell(np.abs(c[..., 0]) - head.MOUTH_HALF + 0.3, 1.5) * bell(from_line, 1.4)
    albedo = albedo * (1 - np.clip(seam + fold, 0, 0.8)[..., None] * np.array([0.8, 1.0, 1.0]))
    white_roll = 0.06 * bell(r - 1.18, 0.10) * e
    albedo = albedo + white_roll[..., None] * (1 - albedo)
    gloss = np.where(row < 0, 0.9, skin["gloss"] + red * 0.3)
    return {"albedo": albedo, "gloss": gloss}


def arch(s: Array, front: float, open_: float) -> tuple[Array, Array]:
    """x and z of a dental arch at s mm from its middle."""
    x = open_ * np.sin(s / open_ * 0.86) / 0.86
    return x, front - 0.030 * x**2


def teeth(upper: bool) -> Surface:
    widths = np.array(UPPER_WIDTHS if upper else LOWER_WIDTHS)
    per = 6
    edge = np.concatenate([[0.0], np.cumsum(widths)])
    inside = np.linspace(0, 1, per + 1)[:-1]
    s = np.concatenate([(edge[:-1, None] + widths[:, None] * inside).ravel(), edge[-1:]])
    within = np.concatenate([np.tile(inside, len(widths)), [0.0]])
    s, within = np.concatenate([-s[:0:-1], s]), np.concatenate([within[:0:-1], within])
    sign = 1.0 if upper else -1.0
    number = np.minimum(np.searchsorted(edge, np.abs(s), side="right") - 1, len(widths) - 1)
    middle = np.abs(2 * within - 1)  # 0 in a tooth's middle, 1 between two
    x, z = arch(s, 86.0 if upper else 83.5, 25.0 if upper else 23.0)
    tall = (np.array([9.6, 8.8, 9.6, 8.2, 7.6, 7.0]) if upper else np.array([7.6, 7.8, 8.4, 7.8, 7.2, 6.6]))[number]
    tip = np.array([0.0, 0.5, -0.2, 0.5, 0.7, 0.9])[number] + 0.7 * middle**4
    rows_tooth, rows_gum = 8, 2
    cut = head.MOUTH_Y + (-2.6 if upper else -4.2)
    rings = []
    for k in range(rows_tooth + 1):
        r = k / rows_tooth
        y = cut + sign * (tip + (tall - tip - 0.8 * middle**2) * r)
        bulge = 1.0 * (1 - middle**2) * np.sin(np.pi * (0.25 + 0.75 * r)) - 0.5 * middle**6
        rings.append(np.stack([x, y, z + bulge - (0.8 if k == 0 else 0) - 1.2 * r], -1))
    for k in range(1, rows_gum + 1):
        top = rings[rows_tooth]
        rings.append(top + np.stack([0 * x, np.full_like(x, sign * 3.0 * k), np.full_like(x, 0.9 - 1.2 * k)], -1))
    point = np.stack(rings)
    if not upper:
        point = point[::-1]
    surface = Surface("upper_teeth" if upper else "lower_teeth", point, stride=2, spread=0.64)
    c = surface.centres()
    row = np.arange(c.shape[0])[:, None]
    if not upper:
        row = row[::-1]
    gap = smoothstep((middle[1:] + middle[:-1]) / 2, 0.70, 0.98)[None, :]
    high = (row + 0.5) / rows_tooth
    color = TOOTH * (1 - 0.10 * smoothstep(high, 0.4, 1.0))[..., None] * (1 - 0.30 * gap)[..., None]
    color = color - smoothstep(high, 0.6, 1.0)[..., None] * np.array([0.0, 0.02, 0.06])
    color = np.where((high > 1)[..., None], GUM, color)
    away = smoothstep(np.abs(c[..., 0]), 7.0, 25.0)
    dim = (1 - 0.62 * away) * (1 - (0.16 if upper else 0.10) * np.clip(high, 0, 1)) * (0.97 if upper else 0.86)
    dim = np.where(high > 1, dim * (1 - 0.25 * (high - 1) * 2), dim)
    surface.look = {"color": np.clip(color * dim[..., None], 0, 1)}
    return surface


def tongue() -> Surface:
    columns, rows = 20, 24
    u, v = np.meshgrid(np.linspace(-1, 1, columns + 1), np.linspace(0, 1, rows + 1))
    turn = -0.75 + v * 2.6  # under the tip .. tip .. top .. back
    width = 17.5 * np.sqrt(np.maximum(0, 1 - (np.abs(turn - 0.9) / 2.6) ** 2))
    z = 60 + 20 * np.cos(np.clip(turn, -2, np.pi / 2)) * (1 - 0.25 * u**2) - np.maximum(0, turn - np.pi / 2) * 55
    y = head.MOUTH_Y - 10.5 + 6.5 * np.sin(np.clip(turn, -2, np.pi / 2)) * (1 - 0.35 * u**2)
    y = y - 1.6 * bell(u, 0.18) * (turn > 0.3)
    point = np.stack([width * u, y, z], -1)
    surface = Surface("tongue", point, stride=2)
    c = surface.centres()
    back = smoothstep(-c[..., 2], -74.0, -42.0)
    groove = 0.16 * bell(c[..., 0], 2.0)
    light = 0.72 + 0.28 * smoothstep(surface.normals()[..., 1], -0.6, 0.5)
    light = light + 0.10 * bell(c[..., 0], 6.0) * bell(c[..., 2] - 77, 5)
    light = light * (1 - 0.35 * smoothstep(np.abs(c[..., 0]), 8, 17)) * (1 - 0.72 * back - groove * (1 - back))
    surface.look = {"color": np.clip(TONGUE * light[..., None], 0, 1)}
    return surface


def cavity() -> Surface:
    """A dark bag behind lips and teeth, open in front."""
    columns, rows = 36, 14
    turn = np.linspace(0, 2 * np.pi, columns + 1)
    rings = []
    for depth in np.linspace(1, 0, rows + 1):
        wide = np.sqrt(1 - 0.98 * (1 - depth) ** 3)
        rings.append(
            np.stack([31 * wide * np.cos(turn), head.MOUTH_Y - 2 + 21 * wide * np.sin(turn),
                      22 + 54 * depth - 0.012 * (31 * wide * np.cos(turn)) ** 2 * depth], -1)
        )  # fmt: skip
    point = np.stack(rings)[:, ::-1]
    half = np.sin(turn)[None, ::-1] * np.linspace(1, 0.0, rows + 1)[:, None]
    surface = Surface("cavity", point, stride=2, half=half, spread=0.95)
    depth = (surface.centres()[..., 2] - 22) / 54
    color = np.array([0.10, 0.022, 0.026]) + np.clip(depth, 0, 1)[..., None] ** 2 * np.array([0.16, 0.045, 0.045])
    surface.look = {"color": color}
    return surface
