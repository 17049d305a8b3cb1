# SPDX-License-Identifier: Apache-2.0
"""Readers of motion files, one module per kind of file; a module is imported when a file of its kind comes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .._arrays import as_number
from ..driven import Driven
from ..errors import MotionInvalid
from ..motions import MAX_FPS, Motion

CLIP_PREFIX = "clip:"
KINDS = ".csv, .json, .json.gz, .npy, .npz or clip:NAME"


def load_motion(
    path: str | os.PathLike[str],
    avatar: Driven | None = None,
    *,
    fps: float | None = None,
    names: Sequence[str] | None = None,
) -> Motion:
    """Read a motion file, or "clip:NAME", a motion in the avatar's own file.

    .csv: Live Link Face, or a header of ARKit names in any spelling, behind a prefix too ("blendShapes.JawOpen"), with
    an optional column of times (time_s, Time, timestamp_ms, ...) and the head's 4x4 transform m00..m33 (MediaPipe).
    .json, .json.gz: {"names", "frames": [{"weights", "time"}]} (LAM), or {"facsNames", "weightMat"} (Audio2Face).
    .npy: [T,52] in Apple's order, or [T,n] with `names` or a text file NAME.names.txt beside NAME.npy, a name a line.
    .npz: FLAME parameters (expr, rotation, neck_pose, jaw_pose, eyes_pose, translation).
    Live Link's HeadYaw, HeadPitch and HeadRoll become head_pose: turns about y, x and z (y up, z out of the face),
    roll first. Rows at uneven times are interpolated to an even rate. A few bad times, a last row that is cut off and
    names that mean no weight do not spoil a file: what was done about them is in the motion's notes.

    avatar: accepts its input names as well, and gives the rate of files that state none (25 without it).
    fps: rate of the file's frames, where it states none or a wrong one; its times are then not read.
    Raises MotionInvalid, which says what is wrong and where.
    """
    if fps is not None and not 0 < as_number("load_motion: fps", fps) <= MAX_FPS:
        raise ValueError(f"load_motion: fps must be in (0, {MAX_FPS:g}]; got {fps!r}.")
    text = os.fspath(path)
    if text.startswith(CLIP_PREFIX):
        from .clip import read_clip

        return read_clip(text[len(CLIP_PREFIX) :], avatar, fps)
    file = Path(text)
    kind = file.name.lower()
    try:
        if kind.endswith(".csv"):
            from .csv_file import read_csv

            return read_csv(file, avatar, fps)
        if kind.endswith((".json", ".json.gz")):
            from .json_file import read_json

            return read_json(file, avatar, fps)
        if kind.endswith(".npy"):
            from .numpy_file import read_npy

            return read_npy(file, avatar, fps, names)
        if kind.endswith(".npz"):
            from .numpy_file import read_npz

            return read_npz(file, avatar, fps)
    except FileNotFoundError:
        raise MotionInvalid(f"{file}: no such file.") from None
    except OSError as error:
        raise MotionInvalid(f"{file}: cannot be read ({error.strerror or error}).") from None
    raise MotionInvalid(f"{file}: this kind of motion file is not known. Use {KINDS}.")


def states_times(path: str | os.PathLike[str]) -> bool:
    """Whether a motion file that was read is a table with times of its own."""
    text = os.fspath(path)
    if text.startswith(CLIP_PREFIX) or not text.lower().endswith(".csv"):
        return False
    from .csv_file import states_times as table_states_times

    return table_states_times(Path(text))
