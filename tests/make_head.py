# SPDX-License-Identifier: Apache-2.0
"""A small head of our own that talks, blinks and turns: python tests/make_head.py OUT.tsplat

Every surface is a formula, so the file carries nobody's face and nobody's licence. One Gaussian covers each triangle
of the mesh and is bound to it. Metres; y up, the face looks along +z, its left is +x.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talksplat.arkit import ARKIT_NAMES
from talksplat.authoring import camera, rotation, spec
from talksplat.authoring.gaussians import gaussians, morton_sorted

FPS, SECONDS = 30.0, 4.0
SKULL = np.array([0.078, 0.115, 0.096])  # half axes
MOUTH_Y, MOUTH_HALF = -0.052, 0.025
EYE, EYE_RADIUS, LID_RADIUS = np.array([0.033, 0.016, 0.070]), 0.0185, 0.0215
LIGHT = np.array([0.35, 0.55, 0.76])
BODY, NECK, HEAD = range(3)
PIVOTS = np.array([[0.0, -0.30, -0.02], [0.0, -0.155, -0.02], [0.0, -0.085, -0.015]])

SKIN, BLUSH, LIP = np.array([0.90, 0.70, 0.58]), np.array([0.93, 0.55, 0.47]), np.array([0.79, 0.47, 0.43])
HAIR, SHIRT, TOOTH = np.array([0.27, 0.17, 0.11]), np.array([0.23, 0.45, 0.55]), np.array([0.96, 0.95, 0.91])
MOUTH, TONGUE = np.array([0.28, 0.09, 0.09]), np.array([0.80, 0.42, 0.42])
WHITE, IRIS, PUPIL = np.array([0.96, 0.96, 0.95]), np.array([0.25, 0.46, 0.42]), np.array([0.05, 0.05, 0.06])


@dataclass
class Part:
    """A grid of quads: vertex [R,C,3], what moves it, and its colour by position [n,3] and normal [n,3]."""

    vertex: np.ndarray
    moves: str
    color: Callable[[np.ndarray, np.ndarray], np.ndarray]
    weights: np.ndarray  # [3] of body, neck, head; or [R,C,3]
    matte: float = 1.0  # how much the light shapes it


def bump(p: np.ndarray, centre: tuple[float, float], width: float, height: float | None = None) -> np.ndarray:
    """A bell over x and y, 1 at centre."""
    return np.exp(-(((p[..., 0] - centre[0]) / width) ** 2 + ((p[..., 1] - centre[1]) / (height or width)) ** 2) / 2)


def step(x: np.ndarray, low: float, high: float) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def skull(lon: np.ndarray, lat: np.ndarray, grow: float = 0.0) -> np.ndarray:
    """The head's surface by longitude (0 in front) and latitude; grow in metres outwards."""
    direction = np.stack([np.sin(lon) * np.cos(lat), np.sin(lat), np.cos(lon) * np.cos(lat)], -1)
    p = direction * (SKULL + grow)
    front = step(p[..., 2], 0.0, 0.06)
    p[..., 0] *= 1 - 0.13 * step(-p[..., 1], 0.02, 0.115)  # jaw
    p[..., 0] *= 1 + 0.15 * bump(p, (0, 0.078), 1.0, 0.035)
    z = p[..., 2].copy()
    z -= 0.004 * front
    z += 0.006 * front * bump(p, (0, -0.098), 0.022, 0.018)  # chin
    z += 0.006 * front * bump(p, (0, MOUTH_Y), 0.026, 0.020)  # muzzle
    z += 0.019 * front * bump(p, (0, -0.016), 0.0085, 0.011)  # tip of the nose
    z += 0.010 * front * bump(p, (0, 0.010), 0.0075, 0.020)  # its bridge
    for side in (-1, 1):
        z += 0.005 * front * bump(p, (side * 0.011, -0.021), 0.006, 0.006)  # nostrils
        z += 0.004 * front * bump(p, (side * 0.043, -0.022), 0.018, 0.016)  # cheeks
        z -= 0.010 * front * bump(p, (side * EYE[0], EYE[1]), 0.017, 0.012)  # sockets
    p[..., 2] = z
    return p


def face_color(p: np.ndarray, n: np.ndarray) -> np.ndarray:
    cheeks = bump(p, (0.045, -0.024), 0.017, 0.014) + bump(p, (-0.045, -0.024), 0.017, 0.014)
    warm = np.clip(0.55 * cheeks + 0.45 * bump(p, (0, -0.018), 0.012), 0, 1) * (p[:, 2] > 0)
    dark = 0.25 * (bump(p, (0.007, -0.028), 0.0035, 0.002) + bump(p, (-0.007, -0.028), 0.0035, 0.002))
    dark = dark + 0.10 * (bump(p, (EYE[0], EYE[1]), 0.020, 0.014) + bump(p, (-EYE[0], EYE[1]), 0.020, 0.014))
    dark = np.where(p[:, 2] > 0, dark, 0) + 0.22 * step(-p[:, 1], 0.095, 0.125)
    base = SKIN + warm[:, None] * (BLUSH - SKIN)
    scalp = np.arcsin(np.clip(p[:, 1] / SKULL[1], -1, 1)) > hairline(np.arctan2(p[:, 0], p[:, 2])) + 0.03
    base = np.where(scalp[:, None], HAIR, base)
    return base * (1 - np.clip(dark, 0, 0.6))[:, None]


def hairline(lon: np.ndarray) -> np.ndarray:
    """Its latitude: high in front, above the ears, low behind."""
    lon = np.abs(lon)
    return 0.62 - 0.52 * step(lon, 0.75, 1.45) - 0.75 * step(lon, 1.8, 2.4) + 0.04 * np.cos(5 * lon)


def plain(color: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda p, n: np.broadcast_to(color, p.shape)


def face() -> Part:
    """Skin all round, with a row of vertices on the mouth's line, where it is slit."""
    lat_mouth = math.asin(MOUTH_Y / SKULL[1])
    below = np.linspace(-math.pi / 2, lat_mouth, 17)
    above = np.linspace(lat_mouth, math.pi / 2, 33)
    t = np.linspace(-math.pi, math.pi, 61)
    lon, lat = np.meshgrid(t - 0.45 * np.sin(t), np.concatenate([below, above]))  # rows 16 and 17 coincide
    return Part(skull(lon, lat), "skin", face_color, np.eye(3)[HEAD])


def lips() -> list[Part]:
    """Upper and lower lip: from the slit outwards, bulging."""
    u, v = np.linspace(-1, 1, 25), np.linspace(0, 1, 6)
    x, out = np.meshgrid(u, v)
    fade = np.sqrt(np.maximum(0, 1 - x**2))
    parts = []
    for sign, height in ((1, 0.0075), (-1, 0.0095)):
        bow = 1 - 0.25 * np.exp(-((x / 0.16) ** 2)) if sign > 0 else 1.0
        y = MOUTH_Y + sign * out * height * fade * bow
        p = on_face(x * MOUTH_HALF, y)
        p[..., 2] += 0.0010 + (0.0045 if sign < 0 else 0.0038) * np.sin(math.pi * np.clip(out * 0.9 + 0.1, 0, 1)) * fade
        p = p if sign > 0 else p[::-1]
        parts.append(Part(p, "upper" if sign > 0 else "lower", lip_color, np.eye(3)[HEAD]))
    return parts


def lip_color(p: np.ndarray, n: np.ndarray) -> np.ndarray:
    crease = np.exp(-(((p[:, 1] - MOUTH_Y) / 0.0012) ** 2))
    return LIP * (1 - 0.45 * crease)[:, None]


def on_face(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The skin's point at x, y of the front."""
    lat = np.arcsin(np.clip(y / SKULL[1], -1, 1))
    lon = np.zeros_like(x)
    for _ in range(30):  # x grows with longitude: the fixed point is quick
        lon = lon + (x - skull(lon, lat)[..., 0]) / SKULL[0]
    return skull(lon, lat)


def mouth() -> list[Part]:
    """Behind the lips: a dark hollow, two rows of teeth, a tongue."""
    u, v = np.meshgrid(np.linspace(-1, 1, 15), np.linspace(-1, 1, 11))
    hollow = np.stack([u * 0.030, MOUTH_Y - 0.002 + v * 0.020, 0.062 - 0.028 * u**2 - 0.010 * v**2], -1)
    parts = [Part(hollow, "hollow", plain(MOUTH), np.eye(3)[HEAD], matte=0.2)]
    u, v = np.meshgrid(np.linspace(-1, 1, 25), np.linspace(0, 1, 5))
    gaps = lambda p, n: TOOTH * (1 - 0.16 * np.exp(-(((np.mod(p[:, :1] + 0.0036, 0.0072) - 0.0036) / 0.0006) ** 2)))  # noqa: E731
    for sign, moves in ((1, "upper_teeth"), (-1, "lower_teeth")):
        y = MOUTH_Y + (0.006 - v * 0.0085 if sign > 0 else -0.012 + v * 0.0065)
        teeth = np.stack([u * 0.0200, y, 0.0780 - 0.016 * u**2 - (0.006 if sign < 0 else 0)], -1)
        parts.append(Part(teeth[::-1] if sign > 0 else teeth, moves, gaps, np.eye(3)[HEAD], matte=0.3))
    u, v = np.meshgrid(np.linspace(-1, 1, 11), np.linspace(-1, 1, 7))
    tongue = np.stack([u * 0.015, MOUTH_Y - 0.010 + 0.004 * v - 0.003 * u**2, 0.067 - 0.006 * v**2 - 0.006 * u**2], -1)
    parts.append(Part(tongue, "lower_teeth", plain(TONGUE), np.eye(3)[HEAD], matte=0.5))
    return parts


def eye(side: int) -> list[Part]:
    """Eyeball with iris, and the two lids as shells around it; side is 1 for the head's left."""
    centre = EYE * (side, 1, 1)
    gaze = np.array([-0.05 * side, 0.0, 1.0])
    ring = np.concatenate([np.linspace(0, 0.20, 4)[1:], np.linspace(0.24, 0.50, 6), np.linspace(0.56, 1.5, 9)])
    turn = np.linspace(0, 2 * math.pi, 25)
    angle, around = np.meshgrid(ring, turn, indexing="ij")
    ball = np.stack([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)], -1)
    ball[..., 0] += 0.05 * -side * ball[..., 2]

    def color(p: np.ndarray, n: np.ndarray) -> np.ndarray:
        d = (p - centre) / EYE_RADIUS
        a = np.arccos(np.clip(d @ gaze / np.linalg.norm(d, axis=1) / np.linalg.norm(gaze), -1, 1))[:, None]
        fibre = 1 + 0.12 * np.cos(23 * np.arctan2(d[:, 1], d[:, 0]))[:, None]
        iris = IRIS * fibre * np.where(a > 0.43, 0.45, 1.0) * (1.25 - 0.5 * d[:, 1:2])
        c = np.where(a < 0.21, PUPIL, np.where(a < 0.50, iris, WHITE * (1 - 0.14 * (d[:, 1:2] > 0.30))))
        glint = np.linalg.norm(d[:, :2] - (0.14, 0.17), axis=1)[:, None] < 0.10
        return np.clip(np.where(glint, 1.0, c), 0, 1)

    cap = np.array([[0, 0, EYE_RADIUS]]) + np.zeros((1, len(turn), 3))
    ball = np.concatenate([cap, ball * EYE_RADIUS])[:, ::-1] + centre
    parts = [Part(ball, "fixed", color, np.eye(3)[HEAD], matte=0.25)]
    for upper, moves, matte in ((True, f"upper_lid{side:+d}", 0.9), (False, "fixed", 0.4)):
        parts.append(Part(lid_shell(side, upper, 0.0), moves, lid_color(centre, upper), np.eye(3)[HEAD], matte))
    return parts


def lid_shell(side: int, upper: bool, closed: float) -> np.ndarray:
    """[R,C,3]: latitudes from the lid's edge to its root; the edge moves with closed, the root stays."""
    u, v = np.meshgrid(np.linspace(-1.45, 1.45, 17), np.linspace(0, 1, 8))
    arch = np.cos(u / 1.45 * math.pi / 2)
    opened = (0.52 if upper else -0.42) * arch - 0.05
    edge = opened + closed * (-0.42 * arch - 0.05 - opened)
    lat = edge + v * ((1.35 if upper else -1.15) - edge)
    radius = LID_RADIUS - (0.0 if upper else 0.0006)
    p = np.stack([np.sin(u) * np.cos(lat), np.sin(lat), np.cos(u) * np.cos(lat)], -1) * radius
    return (p if upper else p[::-1]) + EYE * (side, 1, 1)


def lid_color(centre: np.ndarray, upper: bool) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def color(p: np.ndarray, n: np.ndarray) -> np.ndarray:
        d = (p - centre) / LID_RADIUS
        lon, lat = np.arctan2(d[:, 0], d[:, 2]), np.arcsin(np.clip(d[:, 1], -1, 1))
        edge = (0.52 if upper else -0.42) * np.cos(np.clip(lon / 1.45, -1, 1) * math.pi / 2) - 0.05
        lash = np.exp(-(((lat - edge) / (0.10 if upper else 0.05)) ** 2)) * (0.85 if upper else 0.35)
        return (SKIN * 0.97) * (1 - lash)[:, None] + HAIR * 0.5 * lash[:, None]

    return color


def brow(side: int) -> Part:
    u, v = np.meshgrid(np.linspace(0, 1, 13), np.linspace(-1, 1, 4))
    x = side * (0.014 + 0.036 * u)
    y = 0.047 + 0.008 * np.sin(math.pi * (0.15 + 0.75 * u)) + v * 0.0034 * (1 - 0.65 * u**2)
    p = on_face(x, y)
    p[..., 2] += 0.0035
    return Part(p[:, ::side], "face", plain(HAIR * 0.85), np.eye(3)[HEAD], matte=0.6)


def hair() -> Part:
    t = np.linspace(-math.pi, math.pi, 57)
    lon = t - 0.2 * np.sin(t)
    line = hairline(lon)
    v = np.linspace(0, 1, 22)[:, None]
    lat = line + v * (math.pi / 2 - line)
    quiff = np.exp(-(((lon - 0.3) / 0.55) ** 2)) * step(v, 0, 0.3) * (1 - step(v, 0.45, 0.95))
    grow = 0.003 + 0.009 * step(v, 0, 0.2) + 0.012 * quiff
    lon = np.broadcast_to(lon, lat.shape)
    p = skull(lon, lat)
    p += (p / np.linalg.norm(p, axis=-1, keepdims=True)) * grow[..., None]

    def color(p: np.ndarray, n: np.ndarray) -> np.ndarray:
        strand = np.sin(38 * np.arctan2(p[:, 0], p[:, 2] + 0.02) + 9 * np.sin(30 * p[:, 1]))
        return HAIR * (1 + 0.12 * strand)[:, None]

    return Part(p, "fixed", color, np.eye(3)[HEAD])


def ear(side: int) -> Part:
    a, b = np.meshgrid(np.linspace(-math.pi, math.pi, 15), np.linspace(-1.5, 1.5, 9))
    p = np.stack([0.007 * np.cos(b) * np.cos(a), 0.021 * np.sin(b), 0.012 * np.cos(b) * np.sin(a)], -1)
    p = p[:, ::-1] + np.array([side * 0.079, -0.008, -0.002])

    def color(p: np.ndarray, n: np.ndarray) -> np.ndarray:
        return SKIN * (1 - 0.25 * bump(p[:, [2, 1]], (-0.006, -0.004), 0.004, 0.010))[:, None]

    return Part(p, "fixed", color, np.eye(3)[HEAD])


def neck() -> Part:
    a, v = np.meshgrid(np.linspace(-math.pi, math.pi, 29), np.linspace(0, 1, 12))
    radius = 0.044 + 0.016 * (1 - v) ** 3
    p = np.stack([radius * np.sin(a), -0.185 + 0.115 * v, radius * np.cos(a) - 0.018], -1)
    blend = step(v, 0.1, 0.9)
    weights = np.stack([np.zeros_like(v), 1 - blend, blend], -1)
    shade = lambda p, n: SKIN * (0.93 - 0.30 * step(p[:, 1], -0.15, -0.10))[:, None]  # noqa: E731
    return Part(p, "fixed", shade, weights)


def shirt() -> Part:
    a, v = np.meshgrid(np.linspace(-math.pi, math.pi, 41), np.linspace(0, 1, 17))
    out = np.sin(v * math.pi / 2)
    width, depth = 0.058 + 0.135 * out, 0.052 + 0.045 * out
    y = -0.156 - 0.045 * v - 0.085 * (1 - np.cos(v * math.pi / 2)) - 0.012 * np.cos(a) * (1 - v)
    p = np.stack([width * np.sin(a), y, depth * np.cos(a) - 0.02], -1)[::-1]
    seam = lambda p, n: SHIRT * (1 - 0.30 * np.exp(-(((p[:, 1] + 0.158) / 0.006) ** 2)))[:, None]  # noqa: E731
    return Part(p, "fixed", seam, np.eye(3)[BODY])


def shapes(part: Part) -> dict[str, np.ndarray]:
    """ARKit shape -> displacement like part.vertex. Fields of position, so parts that touch stay together."""
    p = part.vertex
    moves = "face" if part.moves == "skin" else part.moves
    zero = np.zeros_like(p)
    out = {}
    if moves in ("face", "upper", "lower", "hollow", "upper_teeth", "lower_teeth"):
        open_ = np.sqrt(np.maximum(0, 1 - (p[..., 0] / MOUTH_HALF) ** 2))
        front = step(p[..., 2], -0.02, 0.05)
        under = step(MOUTH_Y - p[..., 1], 0.0, 0.030)
        jaw = front * (open_ + under * (1 - open_)) * (p[..., 1] <= MOUTH_Y + 1e-9)
        if part.moves == "skin":
            jaw[17] = 0  # the upper edge of the slit
        lift = -0.10 * front * open_ * np.exp(-np.maximum(0, p[..., 1] - MOUTH_Y) / 0.010)
        drop = {
            "upper": lift, "upper_teeth": np.full(jaw.shape, -0.02), "lower": np.where(jaw > 0, jaw, open_ * front),
            "lower_teeth": np.full(jaw.shape, 0.85), "hollow": np.full(jaw.shape, 0.45),
            "face": np.where(jaw > 0, jaw, np.where(p[..., 1] >= MOUTH_Y, lift, 0)),
        }[moves]  # fmt: skip
        out["jawOpen"] = drop[..., None] * np.array([0.0, -0.030, -0.008])
    if moves in ("face", "upper", "lower"):
        for side, name in ((1, "mouthSmileLeft"), (-1, "mouthSmileRight")):
            pull = bump(p, (side * MOUTH_HALF, MOUTH_Y), 0.015, 0.014) * step(p[..., 2], 0.02, 0.06)
            cheek = bump(p, (side * 0.045, -0.022), 0.016, 0.012) * step(p[..., 2], 0.02, 0.06)
            out[name] = pull[..., None] * np.array([side * 0.0075, 0.0105, -0.004])
            out[name] = out[name] + cheek[..., None] * np.array([0.0, 0.003, 0.003])
        near = bump(p, (0, MOUTH_Y), 0.028, 0.018) * step(p[..., 2], 0.02, 0.06)
        out["mouthPucker"] = np.stack([-0.42 * p[..., 0] * near, 0.12 * (p[..., 1] - MOUTH_Y) * near, 0.010 * near], -1)
    if moves == "face":
        brow_up = step(p[..., 2], 0.0, 0.05) * bump(p, (0, 0.052), 0.024, 0.014)
        out["browInnerUp"] = brow_up[..., None] * np.array([0.0, 0.009, 0.001])
    for side, name in ((1, "eyeBlinkLeft"), (-1, "eyeBlinkRight")):
        if part.moves == f"upper_lid{side:+d}":
            out[name] = lid_shell(side, True, 1.0) - p
    return {name: delta + zero for name, delta in out.items()}


def triangles(part: Part, first: int) -> np.ndarray:
    rows, columns = part.vertex.shape[:2]
    i = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel() + first
    quads = np.stack([i, i + 1, i + columns, i + columns + 1], 1)
    if part.moves == "skin":  # the quads inside the slit join its two edges: they have no area, and are no skin
        quads = np.delete(quads, slice(16 * (columns - 1), 17 * (columns - 1)), axis=0)
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [1, 3, 2]]])


def assemble() -> tuple[dict[str, np.ndarray], list[str]]:
    """The tensors of the head without its motion, and the names of its shapes."""
    parts = [face(), *lips(), *mouth(), *eye(1), *eye(-1), brow(1), brow(-1), hair(), ear(1), ear(-1), neck(), shirt()]
    vertices, faces, colors, weights, moves = [], [], [], [], {}
    first = 0
    for part in parts:
        moved = shapes(part)
        v = part.vertex.reshape(-1, 3)
        t = triangles(part, 0)
        corner = v[t]
        area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
        t = t[area > 1e-10]
        normal = smooth_normals(v, t)
        n = normal[t].mean(1)
        n /= np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-9)
        light = 0.66 + 0.42 * np.maximum(0, n @ LIGHT) - 0.10 * np.maximum(0, -n[:, 1])
        shade = 1 + part.matte * (light - 1)
        colors.append(np.clip(part.color(v[t].mean(1), n) * shade[:, None], 0, 1))
        # At rest it smiles a little.
        smile = [delta for name, delta in moved.items() if name.startswith("mouthSmile")]
        vertices.append(v + 0.5 * sum(smile, np.zeros_like(part.vertex)).reshape(-1, 3))
        faces.append(t + first)
        weights.append(np.broadcast_to(part.weights, part.vertex.shape).reshape(-1, 3))
        for name, delta in moved.items():
            moves.setdefault(name, []).append((first, delta.reshape(-1, 3)))
        first += len(v)
    vertex, face_ = np.concatenate(vertices), np.concatenate(faces)
    names = [n for n in ARKIT_NAMES if n in moves]
    starts, index, deltas = [0], [], []
    for name in names:
        for begin, delta in moves[name]:
            moved = np.flatnonzero(np.abs(delta).max(1) > 1e-6)
            index.append(moved + begin)
            deltas.append(delta[moved])
        starts.append(sum(len(x) for x in index))
    rest = np.tile(np.eye(3, 4), (3, 1, 1))
    rest[:, :, 3] = PIVOTS - np.concatenate([np.zeros((1, 3)), PIVOTS[:-1]])
    inverse = np.tile(np.eye(3, 4), (3, 1, 1))
    inverse[:, :, 3] = -PIVOTS
    tensors = {
        **bound_gaussians(vertex, face_, np.concatenate(colors)),
        "rig/vertex": vertex.astype(np.float32),
        "rig/triangle": face_.astype(np.uint32),
        "rig/blendshape/start": np.array(starts, np.uint32),
        "rig/blendshape/vertex": np.concatenate(index).astype(np.uint32),
        "rig/blendshape/delta": np.concatenate(deltas).astype(np.float32),
        "rig/joint/parent": np.array([-1, 0, 1], np.int32),
        "rig/joint/rest_local": rest.astype(np.float32),
        "rig/joint/inverse_bind": inverse.astype(np.float32),
        "rig/skin/joint": np.tile(np.arange(3, dtype=np.uint16), (len(vertex), 1)),
        "rig/skin/weight": np.concatenate(weights).astype(np.float32),
    }
    return tensors, names


def smooth_normals(vertex: np.ndarray, face_: np.ndarray) -> np.ndarray:
    a, b, c = np.moveaxis(vertex[face_], 1, 0)
    flat = np.cross(b - a, c - a)
    normal = np.zeros_like(vertex)
    for k in range(3):
        np.add.at(normal, face_[:, k], flat)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)


def bound_gaussians(vertex: np.ndarray, face_: np.ndarray, color: np.ndarray) -> dict[str, np.ndarray]:
    """One flat Gaussian per triangle, with the triangle's own spread, in the triangle's frame (FORMAT.md, 5)."""
    a, b, c = np.moveaxis(vertex[face_], 1, 0)
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)  # noqa: E731
    a0 = unit(b - a)
    a1 = unit(np.cross(a0, c - a))
    a2 = -unit(np.cross(a1, a0))
    size = (np.linalg.norm(b - a, axis=1) + np.abs((a2 * (c - a)).sum(1))) / 2
    frame = np.stack([a0, a1, a2], axis=2)
    centre = (a + b + c) / 3
    local = np.einsum("nji,nkj->nki", frame, np.stack([a, b, c], 1) - centre[:, None]) / size[:, None, None]
    flat = local[:, :, [0, 2]]
    spread, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", flat, flat) / 12)
    turn = np.zeros((len(face_), 3, 3))
    turn[:, 1, 1] = 1
    turn[:, 0, 0], turn[:, 2, 0] = axes[:, 0, 1], axes[:, 1, 1]
    turn[:, :, 2] = np.cross(turn[:, :, 0], turn[:, :, 1])
    deviation = 2.1 * np.sqrt(np.maximum(spread, 1e-4))  # neighbours overlap to a closed surface
    scale = np.stack([deviation[:, 1], np.full(len(face_), 0.03), deviation[:, 0]], 1)
    cloud = gaussians(
        "head",
        mean=np.zeros_like(centre),
        quat=rotation.quat_of_matrix(turn),
        scale=scale,
        opacity=np.full(len(face_), 0.99),
        color=color,
        binding=np.arange(len(face_)),
    )
    return morton_sorted(cloud, centre).tensors()


def demo_motion(names: list[str]) -> dict[str, np.ndarray]:
    """Four seconds: two phrases with a breath between, blinks, a look to each side."""
    t = np.arange(int(FPS * SECONDS)) / FPS
    arkit = {name: np.zeros(len(t)) for name in names}
    voice = step(t, 0.25, 0.45) * (1 - step(t, 1.75, 1.95)) + step(t, 2.25, 2.45) * (1 - step(t, 3.55, 3.8))
    syllable = np.maximum(0, np.sin(2 * math.pi * 3.6 * t + 0.6 * np.sin(5.1 * t)))
    arkit["jawOpen"] = voice * (0.08 + 0.55 * syllable * (0.65 + 0.35 * np.sin(2.3 * t + 1)))
    arkit["mouthPucker"] = voice * np.maximum(0, np.sin(2 * math.pi * 1.3 * t + 2)) ** 2 * 0.7
    smile = 0.35 + 0.30 * step(t, 3.3, 3.8) - 0.12 * voice
    arkit["mouthSmileLeft"], arkit["mouthSmileRight"] = smile, smile * 0.94
    blink = sum(np.exp(-(((t - at) / 0.065) ** 2)) for at in (0.9, 2.05, 3.5))
    arkit["eyeBlinkLeft"] = arkit["eyeBlinkRight"] = np.clip(blink * 1.1, 0, 1)
    arkit["browInnerUp"] = 0.55 * np.exp(-(((t - 1.2) / 0.25) ** 2)) + 0.35 * np.exp(-(((t - 2.8) / 0.2) ** 2))
    pitch = 0.05 * np.sin(2 * math.pi * 0.9 * t) * voice + 0.03 * np.sin(2 * math.pi * t / SECONDS)
    yaw = 0.30 * np.sin(2 * math.pi * t / SECONDS)
    roll = 0.05 * np.sin(2 * math.pi * t / SECONDS * 2)
    table = np.zeros((len(t), len(ARKIT_NAMES)), np.float32)
    for name, values in arkit.items():
        table[:, ARKIT_NAMES.index(name)] = values
    turn = np.stack([pitch, yaw, roll], 1)
    head, neck_ = (0.65 * turn).astype(np.float32), (0.35 * turn).astype(np.float32)
    return {"arkit": table, "head_pose": head, "neck_pose": neck_}


def make_head(path: str | Path) -> Path:
    """Write the head to path."""
    tensors, names = assemble()
    motion = demo_motion(names)
    frames = len(motion["arkit"])
    tensors.update({f"clip/demo/{name}": table for name, table in motion.items()})
    canvas: spec.Canvas = {"width": 512, "height": 512}
    eye_, target = np.array([0.0, -0.02, 0.95]), np.array([0.0, -0.045, 0.0])
    pose = camera.look_at(eye_, target, np.array([0.0, 1.0, 0.0]))
    n = len(tensors["gaussians/mean"])
    shapes_ = [names.index(name) if name in names else -1 for name in ARKIT_NAMES]
    manifest = spec.manifest(
        name="small head",
        method="mesh",
        fps=FPS,
        canvas=canvas,
        camera=camera.camera(pose, canvas, camera.focal_of(math.radians(23), canvas["height"])),
        background=(0.86, 0.90, 0.92),
        color="rgb",
        source_count=n,
        rig="arkit",
        binding="triangle",
        inputs=[
            {"name": "arkit", "size": len(ARKIT_NAMES), "target": "blendshape", "names": list(ARKIT_NAMES),
             "shapes": shapes_},
            {"name": "neck_pose", "size": 3, "target": "joint_rotation", "joints": [NECK]},
            {"name": "head_pose", "size": 3, "target": "joint_rotation", "joints": [HEAD]},
            {"name": "translation", "size": 3, "target": "translation"},
        ],
        clips=[{"name": "demo", "fps": FPS, "frames": frames, "inputs": list(motion)}],
        licence="Apache-2.0",
        subject_consent="nobody's likeness: every surface is a formula",
        provenance={"source_format": "generated", "files": [], "tool": "tests/make_head.py", "tool_version": "1",
                    "notes": ""},
    )  # fmt: skip
    return spec.write(path, manifest, tensors)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/make_head.py OUT.tsplat")
    print(make_head(sys.argv[1]))
