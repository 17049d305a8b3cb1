# SPDX-License-Identifier: Apache-2.0
"""Where each frame is seen from: the poses of a head as its training's transforms.json has them, or cameras."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._bounds import Bounds
from ._json import parse_json
from ._text import shortened
from .camera import Camera
from .errors import MotionInvalid
from .framing import focal_of
from .motions import MAX_FRAMES

# Of an avatar's positions in those of a transforms.json, by method: GaussianTalker is trained with the tracker's own
# translations, which its data folder has divided by 10. The others train in the folder's.
UNITS = {"gaussian-talker": 10.0}
_BOUNDS = Bounds(MotionInvalid, file_bytes=256 << 20, unpacked_bytes=0)
_ROTATION_TOLERANCE = 1e-2


class Lens(NamedTuple):
    """Of a picture of width x height pixels."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int


class CameraTrack:
    """F cameras, one for each frame.

    source: a transforms.json, whose frames have a transform_matrix each, in their order: world_from_cam in the axes of
    OpenGL (x right, y up, z to the viewer); or a sequence of Camera, each for the picture as it is drawn.
    manifest: of the avatar: its method says in which unit it was trained, and its lens counts where the file has none.
    Raises MotionInvalid for the file, ValueError for other things.
    """

    def __init__(self, who: str, source: Any, manifest: Mapping[str, Any]) -> None:
        self._cameras: Sequence[Camera] | None = None
        own = manifest["camera"]
        self._near = float(own["near"])
        if isinstance(source, (str, os.PathLike)):
            self.who = os.fsdecode(source)
            content = _read(self.who)
            self._poses = _poses(self.who, content, UNITS.get(manifest["method"], 1.0))
            canvas = manifest["canvas"]
            self._lens = _lens(self.who, content) or Lens(
                own["fx"], own["fy"], own["cx"], own["cy"], canvas["width"], canvas["height"]
            )
            self.frames = len(self._poses)
        else:
            self.who = f"{who}: cameras"
            self._cameras = _given(self.who, source)
            self.frames = len(self._cameras)

    def at(self, frame: int, width: int, height: int) -> Camera:
        """The camera of a frame, for a picture of width x height: the lens scales with the height and stays centred."""
        if self._cameras is not None:
            return self._cameras[frame]
        lens = self._lens
        scale = height / lens.height
        cx = width / 2 + scale * (lens.cx - lens.width / 2)
        pose = self._poses[frame].astype(np.float32)
        return Camera(pose, scale * lens.fx, scale * lens.fy, cx, scale * lens.cy, self._near)


def _given(who: str, source: Any) -> Sequence[Camera]:
    if not isinstance(source, Sequence):
        raise ValueError(
            f"{who} must be a transforms.json, or a list of talksplat.Camera; got {type(source).__name__}."
        )
    wrong = next((camera for camera in source if not isinstance(camera, Camera)), None)
    if wrong is not None or not source:
        found = "none" if not source else type(wrong).__name__
        raise ValueError(f"{who} must be a list of talksplat.Camera, at least one; got {found}.")
    return source


def _read(path: str) -> dict[str, Any]:
    try:
        data = _BOUNDS.read(path)
    except FileNotFoundError:
        raise MotionInvalid(f"{path}: no such file.") from None
    except OSError as error:
        raise MotionInvalid(f"{path}: cannot be read ({error.strerror or error}).") from None
    content = parse_json(path, data, MotionInvalid, "cameras")
    if not isinstance(content, dict) or not isinstance(content.get("frames"), list):
        raise MotionInvalid(f'{path}: must have "frames" with a "transform_matrix" each, as transforms_val.json has.')
    return content


def _poses(path: str, content: dict[str, Any], unit: float) -> NDArray[np.float64]:
    """[F,4,4] cam_from_world in OpenCV's axes."""
    frames = content["frames"]
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise MotionInvalid(f"{path}: must have 1 to {MAX_FRAMES} frames; got {len(frames)}.")
    out = np.zeros((len(frames), 4, 4))
    for i, frame in enumerate(frames):
        try:
            pose = np.array(frame["transform_matrix"], np.float64)
            if pose.shape != (4, 4) or not np.isfinite(pose).all():
                raise ValueError(f"it must be [4,4] and finite, got {list(pose.shape)}")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            said = f"{type(error).__name__}: {shortened(str(error), 200)}"
            raise MotionInvalid(f"{path}: frame {i} must have a transform_matrix; {said}.") from None
        rotation = pose[:3, :3] * (1, -1, -1)
        off = np.abs(rotation @ rotation.T - np.eye(3)).max()
        if not off <= _ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
            raise MotionInvalid(f"{path}: frame {i}: transform_matrix must be a rotation and a translation.")
        out[i, :3, :3] = rotation.T
        out[i, :3, 3] = -unit * (rotation.T @ pose[:3, 3])
        out[i, 3, 3] = 1
    return out


def _lens(path: str, content: dict[str, Any]) -> Lens | None:
    """Of square pixels, its axis in the picture's middle. None where the file does not say."""
    try:
        if "focal_len" in content:
            focal, width, height = float(content["focal_len"]), 2 * float(content["cx"]), 2 * float(content["cy"])
        elif "camera_angle_x" in content and "w" in content:
            width, height = float(content["w"]), float(content["h"])
            focal = focal_of(float(content["camera_angle_x"]), int(width))
        else:
            return None
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        said = f"{type(error).__name__}: {shortened(str(error), 200)}"
        raise MotionInvalid(
            f"{path}: focal_len must have cx and cy beside it, or camera_angle_x w and h; {said}."
        ) from None
    if not (math.isfinite(focal) and focal > 0 and 1 <= width <= 1 << 16 and 1 <= height <= 1 << 16):
        raise MotionInvalid(f"{path}: its lens must be of a picture; got {focal:g}, {width:g} and {height:g} pixels.")
    return Lens(focal, focal, width / 2, height / 2, round(width), round(height))
