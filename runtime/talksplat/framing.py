# SPDX-License-Identifier: Apache-2.0
"""Cameras that show a still scene: which way it stands, and how far away the camera is.

cam_from_world is in OpenCV axes (x right, y down, z forward), as everywhere.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
SCENE_FOV_RAD = math.radians(50)
SCENE_FILL = 0.9  # of the canvas
_NEAR = 0.2  # the reference rasteriser's cull distance, in the scene's unit
_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
# Where a scene's front usually is, by the axis that is up in it: trained scenes keep COLMAP's axes (y down, the first
# cameras look along +z), glTF's have y up and look at +z, Blender's have z up and are seen along +y.
_FRONTS = {"-y": "-z", "y": "z", "z": "-y", "-z": "-y", "x": "z", "-x": "z"}


class Lens(NamedTuple):
    """A camera with square pixels."""

    cam_from_world: Vector  # [4,4]
    focal_px: float
    cx: float
    cy: float
    near: float


def direction(who: str, text: Any) -> Vector:
    """A direction [3], of length 1, from "x", "-y", ..., from "0,0.2,1" or from three numbers.

    Raises ValueError, which begins with `who`.
    """
    given, vector = text, None
    if isinstance(text, str):
        letter = re.fullmatch(r"\s*([+-]?)\s*([xyz])\s*", text.lower())
        if letter:
            vector = np.array(_AXES[letter[2]]) * (-1.0 if letter[1] == "-" else 1.0)
        else:
            text = [part for part in re.split(r"[\s,;]+", text.strip("[]() \t")) if part]
    if vector is None:
        try:
            vector = np.array(text, np.float64)
        except (TypeError, ValueError):
            vector = np.zeros(0)
    length = float(np.abs(vector).max()) if vector.shape == (3,) else 0.0
    if not (np.isfinite(length) and length > 0):
        raise ValueError(f"{who} must be x, -x, y, -y, z, -z or three numbers, not all 0; got {str(given)[:60]}.")
    return _unit(vector / length)


def usual_front(up: Vector) -> Vector:
    """Where the front of a scene with this direction up is most likely."""
    axis = int(np.argmax(np.abs(up)))
    return direction("front", _FRONTS[("-" if up[axis] < 0 else "") + "xyz"[axis]])


def scene_lens(points: Any, up: Vector, front: Vector | None, width: int, height: int) -> Lens:
    """The lens that shows points [N,3] upright and from the front, which is usual_front(up) if None.

    Frames the box of the middle 98% of the points on every axis: stray ones do not shrink the view. The front is turned
    to be at a right angle to up. Raises ValueError if they are parallel.
    """
    forward = -(usual_front(up) if front is None else front)
    forward = forward - (forward @ up) * up
    if np.linalg.norm(forward) < 1e-6:
        raise ValueError("up and front must not be parallel: one is where the top is, the other where the face is.")
    low, high = robust_bounds(points)
    return frame_box(low, high, forward, up, width, height, SCENE_FOV_RAD, SCENE_FILL)


def turned_lens(points: Any, up: Any, front: Any, cam_from_world: Any, width: int, height: int) -> Lens:
    """The lens for what a user says of a scene's axes, in any of the forms of direction().

    up, front: None where nothing is said: what is up in the view cam_from_world stays up, and the front is where it
    usually is. Raises ValueError.
    """
    own_up = -np.asarray(cam_from_world, np.float64).reshape(4, 4)[1, :3]
    upward = _unit(own_up) if up is None else direction("up", up)
    return scene_lens(points, upward, None if front is None else direction("front", front), width, height)


def look_at(eye: Any, target: Any, up: Any) -> Vector:
    """cam_from_world [4,4] of a camera at eye that sees target in its middle, with up upwards."""
    eye = np.asarray(eye, np.float64)
    forward = _unit(np.asarray(target, np.float64) - eye)
    right = _unit(np.cross(forward, np.asarray(up, np.float64)))
    rows = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3] = rows
    matrix[:3, 3] = -rows @ eye
    return matrix


def robust_bounds(points: Any, share: float = 0.98) -> tuple[Vector, Vector]:
    """Lower and upper corner [3] of the box that holds the middle share of points [N,3] on every axis."""
    tail = (1 - share) / 2
    low, high = np.quantile(np.asarray(points, np.float64), (tail, 1 - tail), axis=0)
    return low, high


def frame_box(
    low: Vector, high: Vector, forward: Any, up: Any, width: int, height: int, fov_rad: float, fill: float
) -> Lens:
    """A lens that looks along forward at the box [low, high] so that it takes the share fill of the canvas.

    fov_rad is vertical. The box's nearest face is what must fit, so nothing in the box is cut.
    """
    centre, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-6)
    forward, up = _unit(np.asarray(forward, np.float64)), np.asarray(up, np.float64)
    right = _unit(np.cross(forward, up))
    down = np.cross(forward, right)
    wide, tall, deep = (float(np.abs(axis) @ half) for axis in (right, down, forward))
    tangent = math.tan(fov_rad / 2)
    distance = deep + max(tall, wide * height / width) / (fill * tangent)
    near = min(_NEAR, distance / 10)  # a scene in metres or millimetres must not lie before the near plane
    return Lens(
        look_at(centre - distance * forward, centre, up), focal_of(fov_rad, height), width / 2, height / 2, near
    )


def focal_of(fov_rad: float, size_px: float) -> float:
    return size_px / (2 * math.tan(fov_rad / 2))


def _unit(x: Vector) -> Vector:
    out: Vector = x / np.linalg.norm(x)
    return out
