# SPDX-License-Identifier: Apache-2.0
"""Where a talking head is seen from, and what is behind it, from the data folder of its training.

Such folders descend from AD-NeRF's: transforms_*.json has a pose for each frame, bc.jpg the background and
torso_imgs/N.png the torso of frame N, cut out. One pose must stand for all, the one nearest the median, and its torso
goes with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from talksplat._json import parse_json
from talksplat._text import shortened
from talksplat.errors import AvatarInvalid, AvatarNotFound
from talksplat.framing import frame_box

from .. import camera as cameras
from ..picture import read_picture
from ..source import Source
from ..spec import MAX_CANVAS, Array, Camera, Canvas, Input

FOV_RAD = math.radians(20)  # a portrait lens
FILL = 0.85
MAX_TRANSFORMS_BYTES = 256 << 20
TRANSFORMS = ("transforms_train.json", "transforms_val.json", "transforms.json")


@dataclass(frozen=True)
class View:
    """plate: [height,width,3] in 0..255, not rounded, or None."""

    canvas: Canvas
    camera: Camera
    plate: Array | None


@dataclass(frozen=True)
class _Poses:
    """Poses of the cameras of all frames [frames,4,4], cam_from_world in OpenCV axes, and the frames' numbers."""

    path: Path
    cam_from_world: Array
    ids: list[int]
    focal_px: float
    canvas: Canvas


def head_turn(pivot_w: Array) -> Input:
    """The input `head_pose`: the head turns about pivot_w [3], and the camera that the network is told of with it."""
    return {"name": "head_pose", "size": 3, "target": "view", "pivot": [float(x) for x in pivot_w]}


def neck_of(mean: Array, camera: Camera) -> Array:
    """[3] where a head at mean [N,3] turns: in the middle of its width and depth, as the camera sees it, and of the
    lower half of its height."""
    view = np.array(camera["cam_from_world"], np.float64).reshape(4, 4)
    seen = np.asarray(mean, np.float64) @ view[:3, :3].T + view[:3, 3]
    at = np.percentile(seen, (50, 75, 50), axis=0).diagonal()
    pivot: Array = view[:3, :3].T @ (at - view[:3, 3])
    return pivot


def view_of(mean: Array, transforms: Path | None, data: Path | None, unit: float, source: Source) -> View:
    """The view of Gaussians at mean [N,3], whose face looks along +z with y up, as all of these trainings have them.

    transforms: a transforms.json of the training; data: its data folder. Without either the Gaussians are framed.
    unit: of the avatar's positions, in those of the transforms.
    Raises AvatarNotFound for files that are missing, AvatarInvalid for what is wrong in them.
    """
    if data is not None and not data.is_dir():
        raise AvatarNotFound(f"{data}: is no folder. Pass the data folder of the training, with bc.jpg in it.")
    if transforms is None and data is not None:
        transforms = next((data / name for name in TRANSFORMS if (data / name).is_file()), None)
        if transforms is None:
            raise AvatarNotFound(f"{data}: has none of {', '.join(TRANSFORMS)}, which say where the head is seen from.")
    if transforms is None:
        return View(cameras.DEFAULT_CANVAS, _framed(mean), None)
    poses = _read_poses(transforms, unit, source)
    nearest = _nearest_the_median(poses.cam_from_world)
    camera = cameras.camera(poses.cam_from_world[nearest[0]], poses.canvas, poses.focal_px)
    plate = None if data is None else _plate(data, poses, nearest, source)
    return View(poses.canvas, camera, plate)


def _framed(mean: Array) -> Camera:
    low, high = cameras.robust_bounds(mean)
    canvas = cameras.DEFAULT_CANVAS
    size = canvas["width"], canvas["height"]
    return cameras.of_lens(frame_box(low, high, (0, 0, -1), (0, 1, 0), *size, FOV_RAD, FILL))


def _read_poses(path: Path, unit: float, source: Source) -> _Poses:
    content = parse_json(str(path), source.read(path, MAX_TRANSFORMS_BYTES), AvatarInvalid, "cameras")
    try:
        frames = content["frames"]
        poses = np.array([frame["transform_matrix"] for frame in frames], np.float64)
        if poses.ndim != 3 or poses.shape[1:] != (4, 4) or not np.isfinite(poses).all():
            raise ValueError(f"transform_matrix must be [4,4] and finite, got {list(poses.shape)}")
        ids = [_id_of(frame, i) for i, frame in enumerate(frames)]
        focal, width, height = _lens(content)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise AvatarInvalid(
            f"{path}: must have 'frames' with 'transform_matrix', and 'focal_len', 'cx' and 'cy'; "
            f"{type(error).__name__}: {shortened(str(error), 200)}."
        ) from error
    sides = all(1 <= side <= MAX_CANVAS for side in (width, height))
    if not (sides and math.isfinite(focal) and focal > 0):
        raise AvatarInvalid(
            f"{path}: focal_len must be above 0, twice cx and cy in 1..{MAX_CANVAS}; got {focal:g}, {width} and "
            f"{height}."
        )
    matrices = np.stack([cameras.from_opengl(pose) for pose in poses])
    matrices[:, :3, 3] *= unit
    return _Poses(path, matrices, ids, focal, {"width": width, "height": height})


def _id_of(frame: dict[str, Any], i: int) -> int:
    return int(frame.get("img_id", i))


def _lens(content: dict[str, Any]) -> tuple[float, int, int]:
    """Focal length, width and height in pixels: the axis is in the picture's middle."""
    if "focal_len" in content:
        return float(content["focal_len"]), round(2 * float(content["cx"])), round(2 * float(content["cy"]))
    width, height = int(content["w"]), int(content["h"])
    return cameras.focal_of(float(content["camera_angle_x"]), width), width, height


def _nearest_the_median(cam_from_world: Array) -> list[int]:
    """The frames by the distance of their pose from the entries' median; a translation counts by its length."""
    rows = cam_from_world[:, :3]
    middle = np.median(rows, axis=0)
    away = rows - middle
    away[:, :, 3] /= max(float(np.linalg.norm(middle[:, 3])), 1e-9)
    return [int(i) for i in np.argsort((away**2).sum((1, 2)), kind="stable")]


def _plate(data: Path, poses: _Poses, nearest: list[int], source: Source) -> Array:
    background = read_picture(data / "bc.jpg", source)[:, :, :3].astype(np.float64)
    height, width = background.shape[:2]
    if (width, height) != (poses.canvas["width"], poses.canvas["height"]):
        raise AvatarInvalid(
            f"{data / 'bc.jpg'}: is {width}x{height}, but {poses.path.name} is of pictures of "
            f"{poses.canvas['width']}x{poses.canvas['height']}. Are both of the same training?"
        )
    torsos = (data / "torso_imgs" / f"{poses.ids[i]}.png" for i in nearest)
    path = next((path for path in torsos if path.is_file()), None)
    if path is None:
        source.notes.append(f"{data.name} has no torso_imgs of its frames: the background is bc.jpg alone.")
        return background
    torso = read_picture(path, source).astype(np.float64)
    if torso.shape[:2] != (height, width):
        raise AvatarInvalid(f"{path}: must be {width}x{height}, as bc.jpg is; got {torso.shape[1]}x{torso.shape[0]}.")
    share = torso[:, :, 3:] / 255
    return torso[:, :, :3] * share + background * (1 - share)
