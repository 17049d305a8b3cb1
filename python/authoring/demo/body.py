# SPDX-License-Identifier: Apache-2.0
"""Ears, neck and a shirt."""

from __future__ import annotations

import numpy as np

from ..spec import Array
from . import face, head
from .mesh import BODY, NECK, Surface
from .sdf import bearing, bell, seen_from, smoothstep, unit

SHIRT = np.array([0.215, 0.300, 0.440])
NECK_AXIS = np.array([0.0, 0.0, -34.0])


def ear() -> Surface:
    """The left one: a disc bent into rim, inner ridge, hollow and lobe."""
    radial = np.array([0.04, 0.14, 0.26, 0.38, 0.48, 0.57, 0.66, 0.74, 0.80, 0.85, 0.89, 0.93, 0.96, 0.985, 1.0])
    rho, theta = np.meshgrid(radial, np.linspace(0, 2 * np.pi, 57), indexing="ij")
    up = unit(np.array([0.10, 1.0, -0.22]))
    back = unit(np.array([0.52, 0.0, -0.85]))
    back = unit(back - (back @ up) * up)
    out = np.cross(up, back)
    outline = 1 + 0.13 * np.sin(theta) - 0.10 * np.cos(2 * theta - 0.6) + 0.06 * np.sin(3 * theta + 0.4)
    a, b = rho * outline * 15.5 * np.cos(theta), rho * outline * 25.0 * np.sin(theta)
    rim = bell(rho - 0.88, 0.08) * (0.45 + 0.55 * smoothstep(np.cos(theta - 0.9), -0.7, 0.3))
    ridge = bell(rho - 0.56, 0.10) * smoothstep(np.cos(theta - 0.5), -0.2, 0.6)
    hollow = bell(np.hypot(a + 2.5, b + 3.5), 6.5)
    h = 3.8 * rim + 2.4 * ridge - 7.5 * hollow - 5.0 * smoothstep(rho, 0.92, 1.0) ** 2 + 2.5 * rho**2
    base = np.array([74.0, -9.0, -6.0])
    point = base + a[..., None] * back + b[..., None] * up + h[..., None] * out
    surface = Surface("ear", point, stride=2, side=1.0, spread=0.58)
    c = surface.centres() - base
    a, b = c @ back, c @ up
    groove = bell(np.hypot(a / 15.5, b / 28) - 0.70, 0.07)
    depth = np.clip(0.75 * bell(np.hypot(a + 2.5, b + 3.5), 6.0) + 0.35 * groove, 0, 0.85)
    albedo = face.SKIN * np.array([1.0, 0.93, 0.90]) * (1 - depth[..., None] * np.array([0.45, 0.62, 0.64]))
    surface.look = {"albedo": albedo, "gloss": np.full(c.shape[:2], 0.3)}
    return surface


def neck() -> Surface:
    y = np.linspace(-188, -44, 33)
    lon = face.spaced(-np.pi, np.pi, lambda a: 4.2 + 5.8 * smoothstep(np.abs(a), 1.5, 2.2), 43, 2)
    lon, y = np.meshgrid(lon, y)
    axis = np.stack([0 * y, y, -26 - 0.06 * (-60 - y)], -1)
    surface = Surface("neck", seen_from(head.neck, axis, bearing(lon), 130.0), stride=2, joint=NECK)
    c = surface.centres()
    albedo = np.broadcast_to(face.SKIN * np.array([0.97, 0.95, 0.95]), c.shape)
    surface.look = {"albedo": albedo, "gloss": np.full(c.shape[:2], 0.15)}
    return surface


def collar_y(lon: Array) -> Array:
    return -157 - 8.0 * np.cos(lon)


def shirt() -> Surface:
    lon = face.spaced(-np.pi, np.pi, lambda a: 5.4 + 12.0 * smoothstep(np.abs(a), 1.7, 2.2), 120, 4)
    lat = np.linspace(-0.35, 1.35, 49)
    lon, lat = np.meshgrid(lon, lat)
    point = seen_from(head.torso, np.array([0.0, -262.0, -28.0]), bearing(lon, lat), 330.0)
    surface = Surface("shirt", point, stride=4, joint=BODY, spread=0.64)
    c = surface.centres()
    lon = np.arctan2(c[..., 0], c[..., 2] - NECK_AXIS[2])
    radius = np.hypot(c[..., 0], c[..., 2] - NECK_AXIS[2])
    surface.keep = ((c[..., 1] < collar_y(lon) - 1) | (radius > 90)) & (c[..., 1] > -262)
    knit = 0.030 * np.sin(c[..., 0] * 0.9) * np.sin(c[..., 1] * 0.9)
    x, y = np.abs(c[..., 0]), c[..., 1]
    seam = x - 50 - 0.62 * (-163 - y)  # from the collar to below the arm
    knit = knit - (0.18 * bell(seam, 1.6) - 0.07 * bell(seam - 4.5, 2.2)) * smoothstep(y, -236.0, -205.0)
    fold = np.sin(0.10 * x - 0.075 * y + 1.2 * np.sin(0.03 * x)) * smoothstep(x, 50.0, 110.0)
    fold = fold + 0.6 * np.sin(0.16 * y + 0.05 * x) * bell(x - 30, 40) * smoothstep(-y, 205.0, 235.0)
    knit = knit + 0.055 * fold
    surface.look = {"albedo": SHIRT * (1 + knit)[..., None], "gloss": np.zeros(c.shape[:2])}
    return surface


def collar() -> Surface:
    lon = np.linspace(-np.pi, np.pi, 81)
    y = collar_y(lon)
    out = bearing(lon)
    axis = np.stack([0 * lon, y, np.full_like(lon, NECK_AXIS[2])], -1)
    ring = seen_from(head.torso, axis, out, 150.0)
    up = np.array([0.0, 1.0, 0.0])
    across, along = 0.75 * out + 0.65 * up, 0.75 * up - 0.65 * out
    tube = [ring + 3.4 * np.cos(a) * across + 5.0 * np.sin(a) * along for a in np.linspace(-2.4, 2.4, 9)]
    surface = Surface("collar", np.stack(tube), stride=4, joint=BODY, spread=0.72)
    c = surface.centres()
    rib = 0.07 * np.cos(np.arange(c.shape[1]) * np.pi)
    albedo = np.broadcast_to((SHIRT * 0.90) * (1 + rib)[None, :, None], c.shape)
    surface.look = {"albedo": albedo, "gloss": np.zeros(c.shape[:2])}
    return surface
