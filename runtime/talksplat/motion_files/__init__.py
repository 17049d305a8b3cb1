"""Readers of motion files, one module per kind of file, and their writers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .._arrays import as_number
from ..errors import MotionInvalid
from ..motions import MAX_FPS, Motion

if TYPE_CHECKING:
    from ..avatar import Avatar

CLIP_PREFIX = "clip:"
KINDS = ".csv, .json, .json.gz, .npy, .npz or clip:NAME"


def read_motion(
    path: str | os.PathLike[str], avatar: Avatar | None, fps: float | None, names: Sequence[str] | None
) -> Motion:
    """load_motion() of talksplat.motions."""
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
