# SPDX-License-Identifier: Apache-2.0
"""Breathing in, as a displacement of what is around: neck, collar and shirt move as one."""

from __future__ import annotations

import numpy as np

from ..spec import Array
from .sdf import smoothstep

SURFACES = ("neck", "collar", "shirt")
STILL_Y = -128.0  # the neck is the head's from here on
COLLAR, SHOULDER, CHEST = 1.5, 4.0, 2.6  # mm: up, up, forwards
WIDER = 0.016  # of the distance from the middle


def inwards(p: Array) -> Array:
    """Displacement [...,3] in millimetres of points at full lungs."""
    x, y, z = np.moveaxis(p, -1, 0)
    body = smoothstep(-y, -STILL_Y, 176.0)
    up = body * (COLLAR + (SHOULDER - COLLAR) * smoothstep(np.abs(x), 30.0, 115.0))
    chest = smoothstep(-y, 150.0, 235.0)
    front = smoothstep(z, -45.0, 30.0)
    return np.stack([WIDER * body * x, up, CHEST * chest * front], -1)
