# SPDX-License-Identifier: Apache-2.0
"""Skin: the head all round, and finer rings around the mouth and the eyes. Colours are sRGB albedos."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..spec import Array
from . import eyes, hair, head, mouth
from .mesh import Surface, Tufts, strand_axes
from .sdf import bearing, bell, normal, seen_from, smoothstep, trace, unit

SKIN = np.array([0.900, 0.695, 0.590])
BLUSH = np.array([0.885, 0.500, 0.440])
BROW = np.array([0.255, 0.160, 0.112])
CENTRE = np.array([0.0, -5.0, 0.0])  # the head is seen whole from here
MOUTH_RING = (43.0, 18.0, 26.0)  # half axes: sideways, up, down
EYE_RING = (27.0, 22.0)
EYE_RING_Y = 3.0
LAP = 3.0  # mm by which surfaces lie on each other


def front_z(x: Array, y: Array) -> Array:
    """z of the skin in front, at x and y."""
    start = np.stack([x, y, np.full(np.shape(x), 130.0)], -1)
    return trace(head.skin, start, np.array([0.0, 0.0, -1.0]), 130.0)[..., 2]


def spaced(low: float, high: float, spacing: Callable[[Array], Array], radius: float, multiple: int) -> Array:
    """Angles from low to high about spacing(angle) mm apart at radius mm, a multiple of `multiple` steps."""
    x = np.linspace(low, high, 2001)
    count = np.concatenate([[0.0], np.cumsum(np.diff(x) * radius / spacing((x[1:] + x[:-1]) / 2))])
    steps = max(1, round(count[-1] / multiple)) * multiple
    return np.interp(np.linspace(0, count[-1], steps + 1), count, x)


def skin_look(p: Array) -> dict[str, Array]:
    """Albedo and gloss of skin at p."""
    x, y, z = np.abs(p[..., 0]), p[..., 1], p[..., 2]
    front = smoothstep(z, 20.0, 55.0)
    cheek = front * bell(x - 40.0, 13.0) * bell(y + 28.0, 12.0)
    nose = front * bell(x, 10.0) * bell(y + 29.0, 9.0)
    chin = front * bell(x, 14.0) * bell(y + 89.0, 9.0)
    eye = front * bell(x - 32.0, 16.0) * bell(y - 6.0, 10.0)
    warm = np.clip(0.48 * cheek + 0.42 * nose + 0.20 * chin + 0.22 * eye, 0, 1)[..., None]
    albedo = SKIN + warm * (BLUSH - SKIN)
    pale = front * (0.05 * bell(x, 30.0) * bell(y - 58.0, 20.0) + 0.03 * bell(x, 5.0) * bell(y - 5.0, 18.0))
    albedo = albedo + pale[..., None] * (1 - albedo)
    nostril = front * bell(x - 5.2, 2.0) * smoothstep(-y, 34.0, 37.5) * smoothstep(y, -43.0, -40.0)
    albedo = albedo * (1 - nostril[..., None] * np.array([0.55, 0.68, 0.72]))
    gloss = 0.30 + 0.45 * nose + 0.25 * front * bell(x, 25.0) * bell(y - 55.0, 18.0) + 0.2 * cheek
    return {"albedo": albedo, "gloss": gloss}


def skull() -> Surface:
    fine, coarse, nose = 2.6, 10.0, 1.0  # mm between points; so much less on the nose

    def across(lon: Array) -> Array:
        return fine - nose * bell(lon, 0.13) + (coarse - fine) * smoothstep(np.abs(lon), 1.35, 2.1)

    def up(lat: Array) -> Array:
        return fine - nose * bell(lat + 0.32, 0.09) + (coarse - fine) * smoothstep(lat, 0.85, 1.3)

    lon, lat = np.meshgrid(spaced(-np.pi, np.pi, across, 82, 2), spaced(-1.50, 1.45, up, 84, 2))
    surface = Surface("skin", seen_from(head.skin, CENTRE, bearing(lon, lat), 170.0), stride=2)
    c = surface.centres()
    x, y, z = np.abs(c[..., 0]), c[..., 1], c[..., 2]
    height = np.where(y > head.MOUTH_Y, MOUTH_RING[1], MOUTH_RING[2])
    in_mouth = (x / (MOUTH_RING[0] - LAP)) ** 2 + ((y - head.MOUTH_Y) / (height - LAP)) ** 2 < 1
    eye_x, eye_y = x - head.EYE[0], y - head.EYE[1] - EYE_RING_Y
    in_eye = (eye_x / (EYE_RING[0] - LAP)) ** 2 + (eye_y / (EYE_RING[1] - LAP)) ** 2 < 1
    surface.keep = ~((in_mouth | in_eye) & (z > 40)) & (hair.above_line(c) < 10.0)
    surface.look = skin_look(c)
    return surface


def around_a_slit(columns: int, denser: float) -> tuple[Array, Array]:
    """From the left corner, t = +1, to the right one, t = -1, and back: [columns+1] t, denser at the corners, and
    whether it is the upper half. The lower half comes first, so that outwards is outwards."""
    s = np.linspace(0, 1, columns // 2 + 1)
    t = denser * np.cos(np.pi * s) + (1 - denser) * (1 - 2 * s)
    return np.concatenate([t, t[::-1][1:]]), np.arange(columns + 1) > columns // 2


def mouth_ring() -> Surface:
    """Inner lip, red of the lips, skin: rings around the line where the lips meet."""
    rows_in, rows_red, rows_out, columns = 4, 10, 10, 120
    t, upper = around_a_slit(columns, 0.80)
    half = np.where(upper, 1.0, -1.0)
    half[[0, columns // 2, columns]] = 0.0
    sign = np.where(half == 0, -1.0, half)
    x = head.MOUTH_HALF * t
    e = np.sqrt(np.maximum(0, 1 - t**2))
    line, red = mouth.line(x), mouth.red_height(x, sign)
    z_line = front_z(x, line) + 0.6 * e
    rings = []
    # A column of the lips moves as one: where the outer rows went by their own x, beyond the corners, they would stay
    # behind while the inner rows go, and the lips would turn inside out.
    along = []
    for k in range(rows_in, 0, -1):
        r = k / rows_in
        along.append(x)
        rings.append(np.stack([x * (1 - 0.06 * r), line + sign * e * 7.0 * r**1.5, z_line - 1.0 * r - 9.0 * r * e], -1))
    for k in range(rows_red + 1):
        r = k / rows_red
        y = line + sign * red * r
        fat = np.where(sign > 0, 2.7 * np.sin(np.pi * r**0.85), 4.0 * np.sin(np.pi * r**0.75))
        out = x + 1.2 * t * (1 - e) * r
        along.append(x)
        outside = 1 - (1 - r) ** 3  # without a kink, which would shine as a row of dots
        z = z_line + outside * (front_z(out, y) + e * fat - z_line)
        rings.append(np.stack([out, y, z], -1))
    border = rings[-1]
    wide, up, down = MOUTH_RING
    outer_y = head.MOUTH_Y + sign * np.where(sign > 0, up, down) * e
    for k in range(1, rows_out + 1):
        r = (k / rows_out) ** 1.15
        px, py = border[:, 0] + r * (wide * t - border[:, 0]), border[:, 1] + r * (outer_y - border[:, 1])
        along.append(x + r**3 * (px - x))
        rings.append(np.stack([px, py, front_z(px, py) + 0.5 * e * np.exp(-3.0 * k / 2)], -1))
    half = np.broadcast_to(half, (len(rings), columns + 1))
    surface = Surface("mouth", np.stack(rings), stride=2, half=half, along=np.stack(along))
    inside = np.arange(len(rings) - 1)[:, None] < rows_in
    surface.keep = ~(inside & (np.abs(t[1:] + t[:-1]) / 2 > 0.985))  # nothing to see but its edges
    surface.look = mouth.lip_look(surface, rows_in, rows_red, skin_look(surface.centres()))
    return surface


def eye_ring() -> Surface:
    """From the hole that shows the eye and its upper lid out to the skin."""
    rows_in, rows_out, columns = 2, 10, 64
    t, upper = around_a_slit(columns, 0.5)
    x, y = eyes.hole(t, upper)
    sign = np.where(upper, 1.0, -1.0)
    edge = np.stack([x, y, front_z(x + head.EYE[0], y + head.EYE[1]) - head.EYE[2]], -1)
    rings = []
    for k in range(rows_in, 0, -1):
        r = k / rows_in
        radius = np.linalg.norm(edge, axis=1)
        target = np.where(upper, head.LID_RADIUS - 0.6, head.EYE_RADIUS + 0.1)
        shrink = r * (target / radius - 1)
        rings.append(edge * np.stack([1 + 0.35 * shrink, 1 + 0.6 * shrink, 1 + 1.2 * shrink], -1))
    outer = np.stack([EYE_RING[0] * t, EYE_RING_Y + sign * EYE_RING[1] * np.sqrt(np.maximum(0, 1 - t**2))], -1)
    for k in range(rows_out + 1):
        r = (k / rows_out) ** 1.3
        xy = edge[:, :2] + r * (outer - edge[:, :2])
        rings.append(np.stack([*xy.T, front_z(xy[:, 0] + head.EYE[0], xy[:, 1] + head.EYE[1]) - head.EYE[2]], -1))
    point = np.stack(rings) + head.EYE
    middle = (point[:-1, :-1] + point[1:, 1:]) / 2
    look = eyes.ring_look(middle, rows_in, upper, skin_look(middle))
    return Surface("eye_ring", point, stride=2, side=1.0, look=look)


def brow(rng: np.random.Generator) -> Tufts:
    """Hairs along an arch, from the nose outwards and slightly up, then down."""
    n = 230
    t = (np.arange(n) + rng.uniform(0, 1, n)) / n
    across = rng.uniform(-1, 1, n)
    x = 12.5 + 40.5 * t
    arch = 31.2 + 5.6 * np.sin(np.pi * np.clip(t * 0.80 + 0.03, 0, 1)) - 2.5 * t**3
    half = 3.1 * (1 - 0.70 * t**1.6) * smoothstep(t, -0.12, 0.10)
    y = arch + across * half
    z = front_z(x, y)
    out = normal(head.skin, np.stack([x, y, z], -1))
    lean = 0.85 - 0.95 * smoothstep(t, 0.0, 0.45) - 0.55 * smoothstep(t, 0.55, 1.0) - 0.35 * across
    along = np.stack([np.cos(lean), np.sin(lean), -0.25 * t], -1)
    along = unit(along - (along * out).sum(-1, keepdims=True) * out)
    mean = np.stack([x, y, z], -1) + 0.7 * out
    axes = strand_axes(along, out, 1.9, 0.50, 0.2)
    color = BROW * (1 + 0.22 * rng.uniform(-1, 1, (n, 1)))
    return Tufts("skin", mean, axes, color, np.full(n, 0.72), 1.0)
