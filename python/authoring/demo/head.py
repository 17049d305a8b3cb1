# SPDX-License-Identifier: Apache-2.0
"""The head's skin without ears, lips and lids' edges, and where its features are. Millimetres."""

from __future__ import annotations

import numpy as np

from ..spec import Array
from . import sdf
from .sdf import bell, capsule, cut, ellipsoid, join, sphere

EYE = np.array([33.0, 1.0, 60.0])  # centre of the left one
EYE_RADIUS = 20.0
LID_RADIUS = 21.8  # of the shell that closes it
LID_BULGE = 23.1  # of the skin round it
MOUTH_Y, MOUTH_HALF = -62.0, 26.5
JAW_PIVOT = np.array([0.0, -12.0, 2.0])  # the hinge, below the ears' canal


def skin(p: Array) -> Array:
    q = sdf.folded(p)
    x, y = q[..., 0], q[..., 1]
    d = ellipsoid(q, (0, 34, -14), (74, 88, 92))
    d = join(d, ellipsoid(q, (0, -38, -40), (47, 58, 38)), 24)  # nape
    d = join(d, ellipsoid(q, (0, 56, 20), (64, 52, 66)), 20)  # forehead
    d = join(d, ellipsoid(q, (0, -10, 18), (66, 66, 66)), 18)
    d = join(d, ellipsoid(q, (0, -54, 33), (52, 51, 51)), 24)  # jaw
    d = join(d, capsule(q, (39, -46, 12), (22, -82, 56), 19, 15), 22)
    d = join(d, sphere(q, (0, -89, 69), 15.5), 20)  # chin
    d = join(d, sphere(q, (35, -29, 51), 30), 18)  # cheek
    d = join(d, capsule(q, (0, 31, 76), (42, 34, 59), 10, 9), 16)  # brow
    d = cut(d, ellipsoid(q, (33, 2, 98), (22, 15, 15)), 14)  # socket
    d = cut(d, ellipsoid(q, (12, 4, 95), (6, 14, 9)), 9)  # beside the bridge
    d = join(d, sphere(q, (EYE[0], EYE[1], EYE[2]), LID_BULGE), 5)
    d = join(d, ellipsoid(q, (0, -61, 63), (31, 24, 27.5)), 16)  # muzzle
    d = join(d, capsule(q, (0, 20, 80), (0, -24, 93.5), 4.6, 5.6), 14)  # bridge of the nose
    d = join(d, sphere(q, (0, -28.5, 96.0), 8.4), 9)  # its tip
    d = join(d, sphere(q, (8.6, -32.3, 89.5), 5.5), 7)  # its wings
    d = cut(d, ellipsoid(q, (5.6, -39.3, 94.5), (2.5, 3.2, 4.0)), 2.0)  # nostrils
    front = sdf.smoothstep(q[..., 2], 40.0, 70.0)
    d = d + 2.2 * front * bell(y + 77.5, 5.0) * bell(x, 17.0)  # below the lower lip
    philtrum = bell(x, 2.6) - 0.55 * bell(x - 5.2, 2.0)
    return d + 0.9 * front * philtrum * bell(y + 47.0, 4.2)


def neck(p: Array) -> Array:
    d = capsule(p, (0, -60, -24), (0, -190, -34), 41, 43)
    return join(d, capsule(p, (0, -178, -34), (0, -228, -34), 44, 70), 40)


def torso(p: Array) -> Array:
    q = sdf.folded(p) - np.array([0.0, 13.0, 0.0])
    d = ellipsoid(q, (0, -330, -30), (138, 145, 86))
    d = join(d, capsule(q, (50, -222, -36), (126, -244, -38), 38, 43), 40)  # shoulder
    d = join(d, capsule(q, (22, -182, -44), (104, -224, -42), 24, 31), 40)  # the slope from neck to shoulder
    return join(d, capsule(q, (0, -160, -34), (0, -240, -30), 45, 76), 24)
