"""Cameras of avatars whose source states none, and matrices in OpenCV axes."""

from __future__ import annotations

import math

import numpy as np

from .spec import Array, Camera, Canvas

NEAR = 0.2  # the reference rasteriser's cull distance, in the source's unit
DEFAULT_CANVAS: Canvas = {"width": 512, "height": 512}


def look_at(eye: Array, target: Array, up: Array) -> Array:
    """cam_from_world [4,4] float64 of a camera at eye that sees target in its middle, with up upwards."""
    forward = _unit(np.asarray(target, np.float64) - eye)
    right = _unit(np.cross(forward, np.asarray(up, np.float64)))
    rows = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3] = rows
    matrix[:3, 3] = -rows @ eye
    return matrix


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


def focal_of(fov_rad: float, size_px: float) -> float:
    return size_px / (2 * math.tan(fov_rad / 2))


def robust_bounds(points: Array, share: float = 0.98) -> tuple[Array, Array]:
    """Lower and upper corner [3] of the box that holds the middle share of points [N,3] on every axis."""
    tail = (1 - share) / 2
    low, high = np.quantile(np.asarray(points, np.float64), (tail, 1 - tail), axis=0)
    return low, high


def frame_box(
    low: Array, high: Array, forward: Array, up: Array, canvas: Canvas, fov_rad: float, fill: float
) -> Camera:
    """A camera that looks along forward at the box [low, high] so that it takes the share fill of the canvas.

    fov_rad is vertical. The box's nearest face is what must fit, so nothing in the box is cut.
    """
    centre, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-6)
    forward, up = _unit(np.asarray(forward, np.float64)), np.asarray(up, np.float64)
    right = _unit(np.cross(forward, up))
    down = np.cross(forward, right)
    width, height, depth = (float(np.abs(axis) @ half) for axis in (right, down, forward))
    tangent = math.tan(fov_rad / 2)
    aspect = canvas["width"] / canvas["height"]
    distance = depth + max(height, width / aspect) / (fill * tangent)
    focal = focal_of(fov_rad, canvas["height"])
    near = min(NEAR, distance / 10)  # a scene in metres or millimetres must not lie before the near plane
    return camera(look_at(centre - distance * forward, centre, up), canvas, focal, near)


def _unit(x: Array) -> Array:
    out: Array = x / np.linalg.norm(x)
    return out


def zoomed(cam_from_world: Array, points: Array, canvas: Canvas, air: float = 0.06) -> Camera:
    """A camera with the pose cam_from_world, zoomed so that a bust of points [N,3] fills the canvas.

    The share air of the height stays free above and as much is cut below, where busts fray; the sides follow.
    Shifts the principal point instead of turning the camera, so the perspective stays the given pose's.
    Falls back to framing the points from the front (+z) if any is behind the camera.
    """
    seen = np.asarray(points, np.float64) @ cam_from_world[:3, :3].T + cam_from_world[:3, 3]
    if seen[:, 2].min() <= NEAR:
        low, high = robust_bounds(points, 1.0)
        return frame_box(low, high, np.array([0, 0, -1]), np.array([0, 1, 0]), canvas, math.radians(20), 1 - air)
    ray = seen[:, :2] / seen[:, 2:]
    top, bottom = ray[:, 1].min(), ray[:, 1].max()
    focal = canvas["height"] / max(bottom - top, 1e-9)
    out = camera(cam_from_world, canvas, focal)
    out["cx"] -= float(focal * np.median(ray[:, 0]))
    out["cy"] = float(air * canvas["height"] - focal * top)
    return out
