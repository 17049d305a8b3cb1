# SPDX-License-Identifier: Apache-2.0
"""The 52 ARKit blendshapes, and breath, as displacement fields of rest positions: surfaces that touch stay together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from talksplat.arkit import ARKIT_NAMES

from ..spec import Array
from . import breath, eyes, head, mouth
from .mesh import Surface
from .sdf import bell, smoothstep

NAMES = (*ARKIT_NAMES, "breath")  # in the file's order
JAW_ANGLE = 0.38  # radians at jawOpen = 1
LOOK_ANGLE = {"In": 0.42, "Out": 0.42, "Up": 0.32, "Down": 0.36}
GLINT = 0.75  # how far reflections follow the eye
SIDES = ((1.0, "Left"), (-1.0, "Right"))
REST = {"mouthSmile": 0.24, "cheekSquint": 0.20}
ROLLED = {"lower_teeth": 4.4, "upper_teeth": 2.5}  # millimetres that they make way for a lower lip that rolls inwards
SKIN = ("skin", "mouth", "eye_ring")
Fields = Iterator[tuple[str, Array]]


def vec(x: Array | float, y: Array | float, z: Array | float) -> Array:
    return np.stack(np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (x, y, z))), -1)


def turn_x(p: Array, angle: Array | float) -> Array:
    """p turned about the x axis: positive angles tip the front down."""
    s, c = np.sin(angle), np.cos(angle)
    return np.stack([p[..., 0], c * p[..., 1] - s * p[..., 2], s * p[..., 1] + c * p[..., 2]], -1)


class MouthField:
    """Coordinates of a surface's nodes around the mouth: lower is 0 at the upper lip, 1 at the lower one, 0.5 at the
    corners."""

    def __init__(self, surface: Surface) -> None:
        p, half, along = surface.nodes(), nodes_of(surface, surface.half), nodes_of(surface, surface.along)
        self.p = p
        x = self.x = np.abs(p[..., 0])
        self.line = mouth.line(np.minimum(x, head.MOUTH_HALF))
        self.below = self.line - p[..., 1]
        sign = np.sign(self.below) if half is None else np.where(half == 0, np.sign(self.below), -half)
        beyond = np.maximum(x - head.MOUTH_HALF, 0)
        column = x if along is None else np.abs(along)
        self.e = np.sqrt(np.maximum(0, 1 - (column / head.MOUTH_HALF) ** 2))
        reach = 27 + 0.35 * beyond
        self.sign = sign
        self.lower = 0.5 + 0.5 * sign * (self.e + (1 - self.e) * smoothstep(np.abs(self.below), 0, reach))
        self.upper = 1 - self.lower
        out = np.maximum(np.abs(self.below) - mouth.red_height(np.minimum(x, head.MOUTH_HALF), -sign), 0)
        self.away = np.hypot(beyond, out)  # from the lips' red
        self.front = smoothstep(p[..., 2], 15.0, 50.0)
        self.jaw: Array = self.lower * smoothstep(p[..., 2], -2.0, 52.0)

    def lips(self, reach: float) -> Array:
        out: Array = self.front * np.exp(-((self.away / reach) ** 2))
        return out

    def corner(self, side: float, reach: float) -> Array:
        dx = self.p[..., 0] - side * head.MOUTH_HALF
        inside = np.where(dx * side < 0, 1.25, 1.0)  # reaches further along the lips
        return self.front * np.exp(-((dx / (reach * inside)) ** 2 + (self.below / reach) ** 2))


def left_share(x: Array, side: float) -> Array:
    """Of a movement that has two sides: the two shares add up to 1."""
    return smoothstep(side * x, -9.0, 9.0)


def jaw_turn(p: Array, share: Array) -> Array:
    q = p - head.JAW_PIVOT
    out: Array = share[..., None] * (turn_x(q, JAW_ANGLE) - q)
    return out


def jaw_share(surface: Surface) -> Array | float:
    """How far the nodes follow the jaw, 0..1."""
    if surface.name in SKIN:
        return MouthField(surface).jaw
    if surface.name == "cavity":
        half = nodes_of(surface, surface.half)
        assert half is not None
        front = smoothstep(surface.nodes()[..., 2], 22.0, 45.0)  # its back stays, or the neck would show
        out: Array = front * (0.5 - 0.5 * np.clip(2.5 * half, -1, 1))
        return out
    return {"lower_teeth": 1.0, "tongue": 0.94}.get(surface.name, 0.0)


def nodes_of(surface: Surface, value: Array | None) -> Array | None:
    return None if value is None else value[:: surface.stride, :: surface.stride]


def at_rest(surface: Surface) -> Surface:
    """The surface as the neutral face has it: it smiles a little. The shapes start from there, but their fields are
    laid out over the surface as it was made."""
    if surface.name not in SKIN:
        return surface
    fields = MouthField(replace(surface, stride=1))
    moved = surface.point
    for side, name in SIDES:
        for shape, delta in (*_mouth_side(fields, side, name), *_brow_and_cheek(fields, side, name)):
            moved = moved + REST.get(shape.removesuffix(name), 0.0) * delta
    return replace(surface, point=moved)


def shapes(surface: Surface) -> dict[str, Array]:
    """name -> displacement of nodes(), [r,c,3] mm at weight 1."""
    out: dict[str, Array] = {}
    p = surface.nodes()
    share = np.broadcast_to(jaw_share(surface), p.shape[:2])
    for name, delta in _all(surface, p, share):
        out[name] = out[name] + delta if name in out else delta
    return out


def _all(surface: Surface, p: Array, share: Array) -> Fields:
    if (share > 0).any():
        yield "jawOpen", jaw_turn(p, share)
        yield "jawForward", vec(0, 0, 7.0) * share[..., None]
        yield "jawLeft", vec(7.5, 0, 0) * share[..., None]
        yield "jawRight", vec(-7.5, 0, 0) * share[..., None]
    if surface.name in SKIN:
        m = MouthField(surface)
        yield from _lips(m)
        for side, name in SIDES:
            yield from _mouth_side(m, side, name)
            yield from _brow_and_cheek(m, side, name)
        yield from _middle(m)
    if surface.name in ROLLED:
        yield "mouthRollLower", vec(0, 0, np.full(p.shape[:-1], -ROLLED[surface.name]))
    if surface.name == "eye_ring":
        yield from _eye_ring(surface, p)
    if surface.name == "lid":
        yield from _lid(surface, p)
    if surface.name in ("eyeball", "glint"):
        follows = 1.0 if surface.name == "eyeball" else GLINT
        yield from ((name, delta * follows) for name, delta in _look(surface, p))
    if surface.name in breath.SURFACES:
        yield "breath", breath.inwards(p)
    if surface.name == "tongue":
        tip = smoothstep(p[..., 2], 44.0, 76.0)
        low = smoothstep(head.MOUTH_Y - 10.5 - p[..., 1], -4.0, 4.0)  # its underside rises more: the tip gets thin
        yield "tongueOut", vec(-0.12 * p[..., 0] * tip, (11.0 + 6.0 * low) * tip, 25.0 * tip)


def _lips(m: MouthField) -> Fields:
    p, x = m.p, m.p[..., 0]
    near, wide = m.lips(7.0), m.lips(14.0)
    yield "jawOpen", vec(-0.10 * x * m.lips(16.0), 0, -1.2 * m.lips(16.0) * (1 - m.e))
    meet = 0.5 - 0.22 * m.e  # where the lips meet on the jaw's way
    yield "mouthClose", jaw_turn(p, (meet - m.jaw) * m.lips(11.0))
    yield "mouthClose", vec(0.10 * x * m.lips(16.0), 0, 1.2 * m.lips(16.0) * (1 - m.e))
    open_ = m.e * near
    level = -3.0 * wide * np.minimum(1, (x / head.MOUTH_HALF) ** 2)  # of the corners: round lips do not smile
    apart = open_ * (2.8 * m.upper - 4.6 * m.lower)
    yield "mouthFunnel", vec(-0.30 * x * wide, apart + 0.7 * level, 5.0 * wide + 2.2 * open_)
    grow = np.clip(np.abs(m.below), 0, 9) * 0.20 * -m.sign
    yield "mouthPucker", vec(-0.45 * x * wide, grow * near + level, 6.5 * wide + 2.0 * open_)
    shift = m.lips(20.0)
    for side, name in ((1.0, "mouthLeft"), (-1.0, "mouthRight")):
        lift = 0.8 * side * x / head.MOUTH_HALF
        yield name, vec(9.0 * side, lift, -1.5 * left_share(x, side)) * shift[..., None]
    red = m.front * np.exp(-((m.away / 5.0) ** 2))
    for name, lip, way in (("mouthRollLower", m.lower, 1.0), ("mouthRollUpper", m.upper, -1.0)):
        amount = red * smoothstep(lip, 0.45, 0.9)
        yield name, vec(0, amount * (0.72 * np.clip(m.below, -9, 9) + 0.5 * way), -4.4 * amount)
    yield "mouthShrugLower", vec(0, 4.2 * m.lower * m.lips(18.0) + 2.4 * m.upper * near * m.e, 2.2 * m.lower * near)
    yield "mouthShrugUpper", vec(0, 3.2 * m.upper * m.lips(10.0) + 1.6 * m.lower * near * m.e, 1.0 * m.upper * near)


def _mouth_side(m: MouthField, side: float, name: str) -> Fields:
    p, x = m.p, m.p[..., 0]
    part = left_share(x, side)
    corner, cheek = m.corner(side, 15.0), m.front * bell(x - side * 40, 14) * bell(p[..., 1] + 34, 13)
    whole = part * m.lips(13.0)
    pull = 0.16 * x * whole
    lift = 0.5 * corner + 0.5 * m.corner(side, 11.0)
    fuller = part * m.lips(7.0) * m.e * np.clip(np.abs(m.below) / 4, 0, 1)  # the lips stay together
    yield (
        f"mouthSmile{name}",
        (
            vec(side * 4.0 * lift + pull, 6.8 * lift + 1.2 * whole, -4.0 * lift)
            + vec(side * 1.2 * cheek, 3.6 * cheek, 3.4 * cheek)
            + vec(0, fuller * (1.2 * m.upper - 0.6 * m.lower), -1.2 * part * m.lips(9.0) * m.e)
        ),
    )
    yield f"mouthFrown{name}", vec(side * 0.6 * corner, -7.4 * lift, -0.6 * corner)
    yield f"mouthDimple{name}", vec(side * 4.6 * corner, 0.8 * corner, -4.4 * m.corner(side, 11.0))
    yield (
        f"mouthStretch{name}",
        vec(side * 4.2 * corner + pull, -2.6 * corner, -3.8 * corner)
        + vec(0, -1.4 * part * m.lower * m.lips(8.0) * m.e, -0.8 * whole * m.e),
    )
    red = part * m.front * np.exp(-((m.away / 5.0) ** 2))
    yield (
        f"mouthPress{name}",
        vec(0.8 * side * corner, red * 0.48 * np.clip(m.below, -9, 9), -1.7 * red)
        + vec(0, 0, 0.8 * part * (m.lips(16.0) - m.lips(6.0))),
    )
    down = part * m.lower * m.lips(12.0) * (0.25 + 0.75 * m.e)
    yield f"mouthLowerDown{name}", vec(0.05 * x * down, -8.0 * down, 0.6 * down)
    up = part * m.upper * m.lips(11.0) * (0.25 + 0.75 * m.e)
    yield f"mouthUpperUp{name}", vec(0.05 * x * up, 6.4 * up, 0.8 * up) + vec(0, 1.2 * cheek, 1.2 * cheek)


def _brow_and_cheek(m: MouthField, side: float, name: str) -> Fields:
    x, y = m.p[..., 0] * side, m.p[..., 1]
    brow = m.front * bell(y - 31, 11) * smoothstep(y, 10.0, 22.0)
    inner, outer, whole = brow * bell(x - 13, 11), brow * bell(x - 45, 12), brow * bell(x - 30, 19)
    yield "browInnerUp", vec(0.0, 7.5 * inner, 0.8 * inner)
    yield f"browOuterUp{name}", vec(0, 7.5 * outer + 1.8 * whole, 0.5 * outer)
    yield f"browDown{name}", vec(-side * 2.2 * inner, -5.4 * whole - 1.8 * inner, 1.2 * inner)
    cheek = m.front * bell(x - 38, 13) * bell(y + 24, 11)
    yield f"cheekSquint{name}", vec(0, 5.0 * cheek, 2.6 * cheek)
    puff = m.front * bell(x - 44, 15) * bell(y + 58, 17)
    yield "cheekPuff", vec(side * 7.0 * puff, 0, 5.5 * puff)
    wing = m.front * bell(x - 12, 6) * bell(y + 33, 8)
    fold = m.front * bell(x - 17, 8) * bell(y + 44, 10)
    bridge = m.front * bell(x - 6, 6) * bell(y - 2, 10)
    yield f"noseSneer{name}", vec(0.8 * side * wing, 3.6 * wing + 2.2 * fold + 1.2 * bridge, 1.4 * wing + 1.2 * fold)


def _middle(m: MouthField) -> Fields:
    y = m.p[..., 1]
    yield "mouthFunnel", vec(0, 0, -1.0 * m.front * bell(m.x - 42, 12) * bell(y + 62, 14))
    yield "mouthPucker", vec(0, 0, -2.0 * m.front * bell(m.x - 42, 12) * bell(y + 62, 14))
    chin = m.front * bell(m.x, 14) * bell(y + 92, 9)
    yield "mouthShrugLower", vec(0, 2.6 * chin, 1.0 * chin)


def _local(surface: Surface, p: Array) -> tuple[Array, Array, Array]:
    """Points relative to the eye as if it were the left one, t, and 0..1 inside the opening's width."""
    q = p * (surface.side, 1, 1) - head.EYE
    t = np.clip(q[..., 0] / eyes.HALF, -1, 1)
    return q, t, np.exp(-((np.maximum(np.abs(q[..., 0]) - 13.0, 0) / 6.0) ** 2))


def _roll(surface: Surface, q: Array, angle: Array, grow: Array | float = 0.0) -> Array:
    """Displacement of q turned up by angle [..] about the eye's x axis, and pushed outwards by grow mm."""
    moved = turn_x(q, -angle)
    out = moved / np.maximum(np.linalg.norm(moved, axis=-1), 1e-6)[..., None]
    delta: Array = (moved + out * np.asarray(grow)[..., None] - q) * (surface.side, 1, 1)
    return delta


def _name(surface: Surface) -> str:
    return dict(SIDES)[surface.side]


def _angles(x: Array, t: Array) -> tuple[Array, Array, Array]:
    """Of the upper, lower and closed margins on the lid's sphere."""
    x = np.clip(x, -eyes.HALF, eyes.HALF)
    return tuple(  # type: ignore[return-value]
        eyes.lid_angle(x, f(t), head.LID_RADIUS) for f in (eyes.upper_margin, eyes.lower_margin, eyes.closed_margin)
    )


def _lid(surface: Surface, p: Array) -> Fields:
    q, t, _ = _local(surface, p)
    upper, _, closed = _angles(q[..., 0], t)
    name, way = _name(surface), closed + 0.05 - upper
    yield f"eyeBlink{name}", _roll(surface, q, way, 0.5)
    yield f"eyeSquint{name}", _roll(surface, q, 0.20 * way, 0.1)
    yield f"eyeWide{name}", _roll(surface, q, 0.14 * np.maximum(0, 1 - t**2))
    yield f"eyeLookDown{name}", _roll(surface, q, 0.42 * way, 0.2)
    yield f"eyeLookUp{name}", _roll(surface, q, 0.12 * np.maximum(0, 1 - t**2))


def _eye_ring(surface: Surface, p: Array) -> Fields:
    q, t, inside = _local(surface, p)
    _, lower, closed = _angles(q[..., 0], t)
    y = q[..., 1]
    middle = eyes.corner_line(t)
    low = inside * np.exp(-((np.maximum(eyes.lower_margin(t) - y, 0) / 5.0) ** 2)) * (y < middle + 1e-6)
    high = inside * np.exp(-((np.maximum(y - eyes.hole(t, np.ones_like(t, bool))[1], 0) / 8.0) ** 2)) * (y > middle)
    name = _name(surface)
    shut = closed - lower
    yield f"eyeBlink{name}", _roll(surface, q, low * shut - 0.09 * high * (1 - t**2))
    yield f"eyeSquint{name}", _roll(surface, q, 0.95 * low * shut - 0.09 * high * (1 - t**2))
    yield f"eyeWide{name}", _roll(surface, q, -0.03 * low + 0.10 * high * (1 - t**2))
    yield f"eyeLookDown{name}", _roll(surface, q, -0.12 * low * (1 - t**2) - 0.04 * high * (1 - t**2))
    yield f"eyeLookUp{name}", _roll(surface, q, 0.05 * low * (1 - t**2) + 0.08 * high * (1 - t**2))


def _look(surface: Surface, p: Array) -> Fields:
    q = p - head.EYE * (surface.side, 1, 1)
    name = _name(surface)
    for way, angle in LOOK_ANGLE.items():
        if way in ("Up", "Down"):
            moved = turn_x(q, angle * (1 if way == "Down" else -1))
        else:
            yaw = angle * surface.side * (1 if way == "Out" else -1)
            s, c = np.sin(yaw), np.cos(yaw)
            moved = np.stack([c * q[..., 0] + s * q[..., 2], q[..., 1], c * q[..., 2] - s * q[..., 0]], -1)
        yield f"eyeLook{way}{name}", moved - q
