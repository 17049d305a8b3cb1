# SPDX-License-Identifier: Apache-2.0
"""Cameras of avatars whose source states none, and matrices in OpenCV axes."""

from __future__ import annotations

import math

import numpy as np

from talksplat.framing import Lens, focal_of, frame_box, look_at, robust_bounds

from .spec import Array, Camera, Canvas

__all__ = ["camera", "focal_of", "from_opengl", "look_at", "of_lens", "robust_bounds", "zoomed"]

NEAR = 0.2  # the reference rasteriser's cull distance, in the source's unit
DEFAULT_CANVAS: Canvas = {"width": 512, "height": 512}


def from_opengl(world_from_cam: Array) -> Array:
    """cam_from_world in OpenCV axes from a camera pose in OpenGL axes (x right, y up, z backward)."""
    pose = np.array(world_from_cam, np.float64)
    pose[:, 1:3] *= -1
    rotation, position = pose[:3, :3], pose[:3, 3]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation.T
    matrix[:3, 3] = -rotation.T @ position
    return matrix


def camera(cam_from_world: Array, canvas: Canvas, focal_px: float, near: float = NEAR) -> Camera:
    """A manifest camera with square pixels and its axis in the middle of the canvas."""
    return {
        "cam_from_world": [float(x) for x in np.asarray(cam_from_world).reshape(16)],
        "fx": float(focal_px),
        "fy": float(focal_px),
        "cx": canvas["width"] / 2,
        "cy": canvas["height"] / 2,
        "near": float(near),
    }


def of_lens(lens: Lens) -> Camera:
    """A lens as the manifest has it."""
    return {
        "cam_from_world": [float(x) for x in lens.cam_from_world.reshape(16)],
        "fx": float(lens.focal_px),
        "fy": float(lens.focal_px),
        "cx": float(lens.cx),
        "cy": float(lens.cy),
        "near": float(lens.near),
    }


def zoomed(cam_from_world: Array, points: Array, canvas: Canvas, air: float = 0.06) -> Camera:
    """A camera with the pose cam_from_world, zoomed so that a bust of points [N,3] fills the canvas.

    The share air of the height stays free above and as much is cut below, where busts fray; the sides follow.
    Shifts the principal point instead of turning the camera, so the perspective stays the given pose's.
    Falls back to framing the points from the front (+z) if any is behind the camera.
    """
    seen = np.asarray(points, np.float64) @ cam_from_world[:3, :3].T + cam_from_world[:3, 3]
    if seen[:, 2].min() <= NEAR:
        low, high = robust_bounds(points, 1.0)
        size = canvas["width"], canvas["height"]
        return of_lens(frame_box(low, high, (0, 0, -1), (0, 1, 0), *size, math.radians(20), 1 - air))
    ray = seen[:, :2] / seen[:, 2:]
    top, bottom = ray[:, 1].min(), ray[:, 1].max()
    focal = canvas["height"] / max(bottom - top, 1e-9)
    out = camera(cam_from_world, canvas, focal)
    out["cx"] -= float(focal * np.median(ray[:, 0]))
    out["cy"] = float(air * canvas["height"] - focal * top)
    return out
