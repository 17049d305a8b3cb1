# SPDX-License-Identifier: Apache-2.0
"""Writers of motion files: Live Link Face's CSV and LAM's JSON, as motion_files reads them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TextIO

import numpy as np

from ._arrays import FloatArray
from ._files import whole_text
from .arkit import ARKIT_NAMES, LIVE_LINK_NAMES
from .rotation import Doubles, quat_from_axis_angle

TURNS = ("HeadYaw", "HeadPitch", "HeadRoll", *(f"{side}Eye{turn}" for side in ("Left", "Right")
         for turn in ("Yaw", "Pitch", "Roll")))  # fmt: skip
DIGITS = 6
KINDS = (".csv", ".json")


class Writable(Protocol):
    """What the writers read of a Motion, which stands above them: Motion.save() calls them."""

    @property
    def fps(self) -> float: ...
    @property
    def frames(self) -> int: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def weights(self) -> FloatArray: ...
    @property
    def inputs(self) -> Mapping[str, FloatArray]: ...


def write_motion(motion: Writable, path: Path) -> None:
    """Motion.save()."""
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise ValueError(f"output: {path} must end in {' or '.join(KINDS)}.")
    require_writable(motion, kind)
    with whole_text(path) as file:
        (write_csv if kind == ".csv" else write_json)(motion, file)


def require_writable(motion: Writable, kind: str) -> None:
    foreign = [name for name in motion.inputs if name != "head_pose"]
    if kind == ".csv":
        foreign += [name for name in motion.names if name not in ARKIT_NAMES]
    if foreign:
        holds = "the 52 ARKit weights" if kind == ".csv" else "weights"
        raise ValueError(f"output: a {kind} file holds {holds} and head_pose only, not {', '.join(foreign[:6])}.")


def write_csv(motion: Writable, file: TextIO) -> None:
    """Live Link Face's columns. Angles are radians; gaze is in the eyeLook weights, and the eyes' own turns are 0."""
    file.write(",".join(("Timecode", "BlendShapeCount", *LIVE_LINK_NAMES, *TURNS)) + "\n")
    column = {name: i for i, name in enumerate(motion.names)}
    ordered = np.zeros((motion.frames, len(LIVE_LINK_NAMES) + len(TURNS)))
    for i, name in enumerate(LIVE_LINK_NAMES):
        at = column.get(name[:1].lower() + name[1:])
        if at is not None:
            ordered[:, i] = motion.weights[:, at]
    if "head_pose" in motion.inputs:
        ordered[:, len(LIVE_LINK_NAMES) : len(LIVE_LINK_NAMES) + 3] = head_turn(motion.inputs["head_pose"])
    count = len(LIVE_LINK_NAMES) + len(TURNS)
    for code, row in zip(timecodes(motion), _rounded(ordered), strict=True):
        file.write(f"{code},{count}," + ",".join(f"{value:.{DIGITS}f}" for value in row) + "\n")


def timecodes(motion: Writable) -> list[str]:
    """HH:MM:SS:FF.fff of every frame, FF counting the whole frames of a second.

    A file states its rate only by the frame number before a new second: a take that ends earlier begins on the last
    frame of a second.
    """
    base = math.ceil(motion.fps - 1e-6)
    second = 1000 * base  # in thousandths of a frame
    at = [round(k * second / motion.fps) for k in range(motion.frames)]
    start = second - 1000 if at[-1] < second else 0
    codes = []
    for ticks in at:
        whole, rest = divmod(ticks + start, second)
        codes.append(f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}:{rest // 1000:02}.{rest % 1000:03}")
    return codes


def head_turn(head_pose: FloatArray) -> Doubles:
    """[T,3] axis-angle to yaw about y, pitch about x and roll about z, roll first: R = Ry(yaw) Rx(pitch) Rz(roll)."""
    w, x, y, z = quat_from_axis_angle(head_pose).T
    pitch = np.arcsin(np.clip(2 * (w * x - y * z), -1, 1))
    yaw = np.arctan2(2 * (x * z + w * y), 1 - 2 * (x * x + y * y))
    roll = np.arctan2(2 * (x * y + w * z), 1 - 2 * (x * x + z * z))
    return np.stack([yaw, pitch, roll], axis=1)


def write_json(motion: Writable, file: TextIO) -> None:
    """LAM's form, frame by frame, with the head's turns as axis-angle radians in "head_pose"."""
    head: dict[str, object] = {
        "names": list(motion.names),
        "metadata": {"fps": motion.fps, "frameCount": motion.frames},
    }
    if "head_pose" in motion.inputs:
        head["head_pose"] = _rounded(motion.inputs["head_pose"])
    file.write(json.dumps(head)[:-1] + ', "frames": [')
    for k, row in enumerate(_rounded(motion.weights)):
        frame = {"weights": row, "time": round(k / motion.fps, 9), "rotation": []}
        file.write(("," if k else "") + "\n" + json.dumps(frame))
    file.write("\n]}\n")


def _rounded(rows: FloatArray | Doubles) -> list[list[float]]:
    # Adding 0 turns -0 into 0.
    rounded: list[list[float]] = (np.round(rows.astype(np.float64), DIGITS) + 0.0).tolist()
    return rounded
