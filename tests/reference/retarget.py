# SPDX-License-Identifier: Apache-2.0
"""retarget in float64: ARKit weights and a head pose as the inputs of an avatar, over plain dictionaries and arrays.

- A rig that lacks some ARKit shapes: a missing one goes to the nearest combination of those it has.
- A FLAME avatar: jaw, eyes and neck turn as the weights say; lips become expression coefficients. FLAME's expressions
  are principal components: none of them is a pucker or a smile. So every lip weight is said as what it does to the lips
  of an average face, in mouth widths, and the coefficients that move the avatar's 30 lip vertices so are found by least
  squares, where the rest of the face and large coefficients cost something too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from talksplat.arkit import ARKIT_NAMES

Doubles = NDArray[np.float64]
_SIDES = ("Left", "Right")


def _both(name: str, share: float) -> dict[str, float]:
    return {f"{name}{side}": share for side in _SIDES}


# Missing shape → what stands in for it per unit, the best first; used where the rig has all of a combination.
# SIDE is Left or Right. Sizes were judged on lips: how far they open, part, round and widen.
STAND_INS: dict[str, tuple[dict[str, float], ...]] = {
    "jawOpen": (_both("mouthLowerDown", 0.6),),
    "mouthClose": ({"jawOpen": -1.0},),
    "mouthFunnel": ({"mouthPucker": 0.6, "jawOpen": 0.2}, {"mouthPucker": 0.6}, {"jawOpen": 0.2}),
    "mouthPucker": ({"mouthFunnel": 0.7},),
    "mouthRollLower": (_both("mouthPress", 0.5), {"mouthShrugLower": 0.4}),
    "mouthRollUpper": (_both("mouthPress", 0.5),),
    "mouthPressSIDE": ({"mouthRollLower": 0.25, "mouthRollUpper": 0.25}, {"mouthRollLower": 0.3}),
    "mouthLowerDownSIDE": ({"mouthShrugLower": -0.2, "jawOpen": 0.04}, {"jawOpen": 0.08}),
    "mouthUpperUpSIDE": ({"noseSneerSIDE": 0.5}, {"mouthShrugUpper": 0.5}),
    "mouthShrugLower": (_both("mouthPress", 0.4),),
    "mouthShrugUpper": (_both("mouthUpperUp", 0.3),),
    "mouthStretchSIDE": (
        {"mouthSmileSIDE": 0.4, "mouthFrownSIDE": 0.5}, {"mouthDimpleSIDE": 0.6}, {"mouthSmileSIDE": 0.4},
    ),
    "mouthSmileSIDE": ({"mouthDimpleSIDE": 0.8}, {"mouthStretchSIDE": 0.5}),
    "mouthDimpleSIDE": ({"mouthSmileSIDE": 0.4}, {"mouthStretchSIDE": 0.4}),
    "mouthFrownSIDE": ({"mouthStretchSIDE": 0.4},),
    "mouthSIDE": ({"jawSIDE": 0.7},),
    "jawSIDE": ({"mouthSIDE": 0.4},),
    "noseSneerSIDE": ({"mouthUpperUpSIDE": 0.4},),
    "cheekSquintSIDE": ({"eyeSquintSIDE": 0.5},),
    "eyeSquintSIDE": ({"cheekSquintSIDE": 0.5}, {"eyeBlinkSIDE": 0.25}),
    "eyeLookDownSIDE": ({"eyeBlinkSIDE": 0.3},),  # the lid's part of it
    "browInnerUp": (_both("browOuterUp", 0.5),),
    "browOuterUpSIDE": ({"browInnerUp": 0.5},),
}  # fmt: skip

# FLAME's joints turn about x (+: down, so the jaw opens), y (+: to the face's left) and z.
JAW_OPEN_RAD = 0.44  # the lower teeth of the ICT-FaceKit face turn so far at jawOpen 1
JAW_SIDE_RAD = 0.09  # and its lower lip is carried so far aside at jawLeft 1
EYE_RAD = 0.5  # eyes seldom turn further
_EYES = {  # weight → (column of eyes_pose, direction); eyes_pose is the left eye, then the right one
    "eyeLookDownLeft": (0, 1), "eyeLookUpLeft": (0, -1), "eyeLookOutLeft": (1, 1), "eyeLookInLeft": (1, -1),
    "eyeLookDownRight": (3, 1), "eyeLookUpRight": (3, -1), "eyeLookInRight": (4, 1), "eyeLookOutRight": (4, -1),
}  # fmt: skip

# The outer lip rings, from the left corner of the mouth to the right one (vertex ids of FLAME's topology).
UPPER_LIP = (1713, 1715, 1716, 1735, 1696, 1694, 1657, 3543, 2774, 2811, 2813, 2850, 2833, 2832, 2830)
LOWER_LIP = (1576, 1577, 1773, 1774, 1795, 1802, 1865, 3503, 2948, 2905, 2898, 2881, 2880, 2713, 2712)
N_VERTICES = 5023  # of FLAME; teeth may follow

Point = tuple[float, float, float]  # x to the face's left, y up, z out of the face, in mouth widths


def _even(corner: Point, upper: Point, lower: Point) -> tuple[Point, Point, Point, Point]:
    return corner, upper, lower, (-corner[0], corner[1], corner[2])


def _left(corner: Point, upper: Point, lower: Point) -> tuple[Point, Point, Point, Point]:
    return corner, upper, lower, (0.0, 0.0, 0.0)


def _mirrored(left: Point, upper: Point, lower: Point, right: Point) -> tuple[Point, Point, Point, Point]:
    return tuple((-x, y, z) for x, y, z in (right, upper, lower, left))  # type: ignore[return-value]


# What weight 1 does to the left corner, the middle of the upper and of the lower lip, and the right corner. Measured on
# the outer lips of the ICT-FaceKit generic face (USC-ICT, MIT licence) and rounded.
_LIPS: dict[str, tuple[Point, Point, Point, Point]] = {
    "mouthFunnel": _even((-0.07, 0.00, 0.16), (0, 0.12, 0.14), (0, -0.18, 0.08)),
    "mouthPucker": _even((-0.09, 0.04, 0.19), (0, 0.07, 0.16), (0, -0.04, 0.12)),
    "mouthRollLower": _even((0.01, -0.01, -0.01), (0, 0.00, 0.00), (0, 0.18, -0.09)),
    "mouthRollUpper": _even((0.03, 0.01, -0.02), (0, -0.11, -0.13), (0, 0.00, 0.00)),
    "mouthShrugLower": _even((0.01, 0.03, 0.04), (0, 0.00, 0.00), (0, 0.15, 0.10)),
    "mouthShrugUpper": _even((0.00, 0.00, 0.00), (0, 0.11, 0.00), (0, 0.00, 0.00)),
    "mouthPressLeft": _left((0.00, 0.03, 0.01), (0, -0.01, -0.01), (0, 0.03, 0.02)),
    "mouthLowerDownLeft": _left((0.00, -0.02, 0.00), (0, 0.00, 0.00), (0, -0.07, -0.02)),
    "mouthUpperUpLeft": _left((0.00, 0.09, 0.01), (0, 0.08, -0.01), (0, 0.00, 0.00)),
    "mouthStretchLeft": _left((0.13, -0.06, -0.14), (0, -0.01, -0.02), (0, 0.01, -0.02)),
    "mouthSmileLeft": _left((0.14, 0.21, -0.18), (0, 0.03, -0.03), (0, 0.04, -0.02)),
    "mouthFrownLeft": _left((0.04, -0.09, -0.04), (0, -0.01, -0.01), (0, 0.00, 0.00)),
    "mouthDimpleLeft": _left((0.02, 0.05, -0.12), (0, 0.00, 0.00), (0, 0.02, -0.02)),
    "mouthLeft": ((0.12, 0.11, -0.08), (0.32, 0.02, -0.07), (0.31, 0.01, -0.07), (0.31, 0.01, 0.18)),
}
for _name in [name for name in _LIPS if name.endswith("Left")]:
    _LIPS[_name.removesuffix("Left") + "Right"] = _mirrored(*_LIPS[_name])
LIP_NAMES: tuple[str, ...] = tuple(_LIPS)

# What else costs as much as lips that are off by so much: a coefficient of 1, its spread among people's expressions;
# and three times so much elsewhere on the face.
_COEFFICIENT_COST = 0.01  # mouth widths
_ELSEWHERE_COST = 1 / 3
_MOUTH_REACH = 0.9  # mouth widths from its middle: cheeks and chin go along


def stand_ins(available: frozenset[str]) -> dict[str, Mapping[str, float]]:
    """ARKit name that is not available → the combination of available names that stands in for it; none: left out.

    Names without a side (eyeBlink for eyeBlinkLeft) count as available for both.
    """
    found: dict[str, Mapping[str, float]] = {}
    for name in ARKIT_NAMES:
        if name in available:
            continue
        side = next((s for s in _SIDES if name.endswith(s) and name.removesuffix(s) not in ("jaw", "mouth")), "")
        whole = name.removesuffix(side)
        if side and whole in available:
            found[name] = {whole: 0.5}
            continue
        options = _options(name)
        for option in options:
            if option.keys() <= available:
                found[name] = option
                break
    return found


def _options(name: str) -> tuple[dict[str, float], ...]:
    for pattern, options in STAND_INS.items():
        for side in _SIDES:
            if pattern.replace("SIDE", side) == name:
                return tuple({into.replace("SIDE", side): share for into, share in o.items()} for o in options)
    return ()


def to_rig(weights: Mapping[str, Doubles], available: frozenset[str]) -> dict[str, Doubles]:
    """ARKit weights on a rig that has the shapes `available`.

    A stand-in adds to what the rig's own shape is told, and takes it neither below 0 nor above 1 unless it was there.
    """
    out = {name: np.asarray(rows, np.float64) for name, rows in weights.items() if name in available}
    added: dict[str, Doubles] = {}
    for name, rows in weights.items():
        for into, share in stand_ins(available).get(name, {}).items():
            added[into] = added.get(into, 0.0) + share * np.asarray(rows, np.float64)
    for into, change in added.items():
        own = out.get(into, np.zeros(len(change)))
        out[into] = np.clip(own + change, np.minimum(own, 0), np.maximum(own, 1))
    return out


def to_flame(
    weights: Mapping[str, Doubles], head_pose: Doubles | None, defaults: Mapping[str, Doubles], lips: Doubles | None
) -> dict[str, Doubles]:
    """FLAME's parameters, [T,size] by name.

    defaults: of the avatar's inputs, by name.  lips: solve_lips(); None for a mesh that is not FLAME's.
    """

    def weight(name: str) -> Doubles | float:
        return np.asarray(weights[name], np.float64) if name in weights else 0.0

    frames = len(next(iter(weights.values()))) if weights else len(head_pose) if head_pose is not None else 0

    def rest(name: str) -> Doubles:
        return np.tile(np.asarray(defaults[name], np.float64), (frames, 1))

    out: dict[str, Doubles] = {}
    if weights and "jaw_pose" in defaults:
        # Lips that mouthClose keeps shut have no place to be but the closed jaw's.
        out["jaw_pose"] = rest("jaw_pose")
        out["jaw_pose"][:, 0] += JAW_OPEN_RAD * np.maximum(0, weight("jawOpen") - weight("mouthClose"))
        out["jaw_pose"][:, 1] += JAW_SIDE_RAD * (weight("jawLeft") - weight("jawRight"))
    if weights and len(defaults.get("eyes_pose", ())) == 6:
        out["eyes_pose"] = rest("eyes_pose")
        for name, (column, sign) in _EYES.items():
            out["eyes_pose"][:, column] += sign * EYE_RAD * weight(name)
    if weights and lips is not None and "expr" in defaults:
        moved = np.zeros((frames, len(LIP_NAMES)))
        for i, name in enumerate(LIP_NAMES):
            moved[:, i] = weight(name)
        out["expr"] = rest("expr") + moved @ lips
    turned = next((name for name in ("neck_pose", "rotation") if len(defaults.get(name, ())) == 3), None)
    if head_pose is not None and turned is not None:
        out[turned] = rest(turned) + head_pose
    return out


def solve_lips(rest: Doubles, expressions: Doubles) -> Doubles:
    """[len(LIP_NAMES),E]: coefficients per unit of each lip weight.

    rest: [V,3] of FLAME's topology.  expressions: [E,V,3], how a unit of each moves it.
    """
    rest, moved = rest[:N_VERTICES], np.asarray(expressions, np.float64)[:, :N_VERTICES]
    n_expr = len(moved)
    upper, lower = rest[list(UPPER_LIP)], rest[list(LOWER_LIP)]
    width = float(np.linalg.norm((upper[0] + lower[0] - upper[-1] - lower[-1]) / 2))
    middle = (upper.mean(0) + lower.mean(0)) / 2
    lips = [*UPPER_LIP, *LOWER_LIP]
    moved = moved / width
    elsewhere = np.linalg.norm(rest - middle, axis=1) > _MOUTH_REACH * width
    at_lips = moved[:, lips].reshape(n_expr, -1)
    at_rest = moved[:, elsewhere].reshape(n_expr, -1)
    cost = at_lips @ at_lips.T + len(lips) * _COEFFICIENT_COST**2 * np.eye(n_expr)
    if elsewhere.any():
        cost += len(lips) * _ELSEWHERE_COST**2 / elsewhere.sum() * (at_rest @ at_rest.T)
    wanted = np.stack([lip_movement(name, rest).reshape(-1) for name in LIP_NAMES])
    solved: Doubles = np.linalg.solve(cost, at_lips @ wanted.T).T
    return solved


def lip_movement(name: str, rest: Doubles) -> Doubles:
    """[30,3]: how weight 1 of `name` moves the upper ring, then the lower one, in mouth widths.

    Linear between the corners and the middle.  rest: vertices [V,3] of FLAME's topology.
    """
    left, top, bottom, right = (np.array(p) for p in _LIPS[name])
    rows = []
    for ring, centre in ((UPPER_LIP, top), (LOWER_LIP, bottom)):
        x = rest[list(ring), 0]
        side = np.interp(x, [x[-1], x[len(x) // 2], x[0]], [-1.0, 0.0, 1.0])[:, None]
        rows.append((1 - abs(side)) * centre + np.maximum(side, 0) * left + np.maximum(-side, 0) * right)
    return np.concatenate(rows)
