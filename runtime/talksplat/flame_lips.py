"""FLAME's expression coefficients for ARKit's lip weights, solved on the avatar's own mesh.

FLAME's expressions are principal components: none of them is a pucker or a smile, and their meaning differs between
releases. So every lip weight is said as what it does to the lips of an average face, in mouth widths, and the
coefficients that move the avatar's 30 lip vertices so are found by least squares. The rest of the face and large
coefficients cost something too, so what the lips do not need does not move.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .driven import Rigged

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


def solve_lips(avatar: Rigged) -> NDArray[np.float64]:
    """[len(LIP_NAMES),n_expr]: coefficients of `expr` per unit of each lip weight.

    avatar: on FLAME's topology, with an input `expr`.
    """
    n_expr = avatar.inputs["expr"].size
    rest = avatar.vertices().astype(np.float64)[:N_VERTICES]
    upper, lower = rest[list(UPPER_LIP)], rest[list(LOWER_LIP)]
    width = float(np.linalg.norm((upper[0] + lower[0] - upper[-1] - lower[-1]) / 2))
    middle = (upper.mean(0) + lower.mean(0)) / 2
    lips = [*UPPER_LIP, *LOWER_LIP]
    moved = np.empty((n_expr, N_VERTICES, 3))
    for i in range(n_expr):
        moved[i] = avatar.vertices({"expr": np.eye(n_expr, dtype=np.float32)[i]})[:N_VERTICES] - rest
    moved /= width
    elsewhere = np.linalg.norm(rest - middle, axis=1) > _MOUTH_REACH * width

    at_lips = moved[:, lips].reshape(n_expr, -1)
    at_rest = moved[:, elsewhere].reshape(n_expr, -1)
    cost = at_lips @ at_lips.T + len(lips) * _COEFFICIENT_COST**2 * np.eye(n_expr)
    if elsewhere.any():
        cost += len(lips) * _ELSEWHERE_COST**2 / elsewhere.sum() * (at_rest @ at_rest.T)
    wanted = np.stack([lip_movement(name, rest).reshape(-1) for name in LIP_NAMES])
    solved: NDArray[np.float64] = np.linalg.solve(cost, at_lips @ wanted.T).T
    return solved


def lip_movement(name: str, rest: NDArray[np.float64]) -> NDArray[np.float64]:
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
