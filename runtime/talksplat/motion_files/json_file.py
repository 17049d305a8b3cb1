# SPDX-License-Identifier: Apache-2.0
"""JSON in LAM's form: {"names", "frames": [{"weights", "time"?, "rotation"?}], "head_pose"?, "metadata": {"fps"}?}.

And in Audio2Face's: {"facsNames", "weightMat": [[...]], "exportFps"?}. Other JSON is told by name what it is.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..driven import Driven
from ..errors import MotionInvalid
from ..motions import MAX_FPS, MAX_FRAMES, MAX_NUMBERS, Motion
from .build import ROUNDING_S, Rows, as_rows, build
from .json_kinds import foreign
from .json_text import read_json_text
from .times import Times, mended_times


def read_json(path: Path, avatar: Driven | None, fps: float | None) -> Motion:
    who = str(path)
    data = read_json_text(path)
    if isinstance(data, dict) and all(isinstance(data.get(key), list) for key in ("names", "frames")):
        return _read_lam(who, data, avatar, fps)
    if isinstance(data, dict) and all(isinstance(data.get(key), list) for key in ("facsNames", "weightMat")):
        return _read_audio2face(who, data, avatar, fps)
    raise foreign(who, data)


def _read_lam(who: str, data: dict[str, Any], avatar: Driven | None, fps: float | None) -> Motion:
    names, frames = data["names"], data["frames"]
    _require_names(who, "names", names)
    if not frames:
        raise MotionInvalid(f"{who}: has no frame in it.")
    _require_rows(who, "names", names, [frame.get("weights") if isinstance(frame, dict) else None for frame in frames])
    inputs: dict[str, Rows] = {}
    head_pose = _head_pose(who, data, frames)
    if head_pose is not None:
        inputs["head_pose"] = head_pose
    # With a rate from outside, the file's own times are not read.
    times, notes = (None, ()) if fps is not None else _times(who, frames)
    rate = fps
    if rate is None:
        metadata = data.get("metadata")
        stated = _rate(who, "metadata.fps", metadata.get("fps") if isinstance(metadata, dict) else None)
        rate = stated if stated is None or times is None or _agree(times, stated) else None
    return build(
        who,
        _place,
        weights=_weights(who, [frame["weights"] for frame in frames]),
        names=names,
        inputs=inputs,
        times=times,
        fps=rate,
        avatar=avatar,
        notes=notes,
    )


def _read_audio2face(who: str, data: dict[str, Any], avatar: Driven | None, fps: float | None) -> Motion:
    names, rows = data["facsNames"], data["weightMat"]
    _require_names(who, "facsNames", names)
    if not rows:
        raise MotionInvalid(f"{who}: has no frame in it.")
    _require_rows(who, "facsNames", names, rows)
    rate = _rate(who, "exportFps", data.get("exportFps")) if fps is None else fps
    return build(who, _place, weights=_weights(who, rows), names=names, fps=rate, avatar=avatar)


def _place(row: int, name: str) -> str:
    return f"frame {row}, {name}"


def _require_names(who: str, key: str, names: list[Any]) -> None:
    if not all(isinstance(name, str) for name in names):
        raise MotionInvalid(f"{who}: {key} must be texts.")


def _require_rows(who: str, key: str, names: list[str], rows: list[Any]) -> None:
    if len(rows) > MAX_FRAMES or len(rows) * len(names) > MAX_NUMBERS:
        raise MotionInvalid(
            f"{who}: has {len(rows)} frames; at most {MAX_FRAMES} and {MAX_NUMBERS} numbers are read. Split it."
        )
    for i, weights in enumerate(rows):
        if not isinstance(weights, list) or len(weights) != len(names):
            got = len(weights) if isinstance(weights, list) else "none"
            raise MotionInvalid(f"{who}: frame {i} must have {len(names)} weights (from {key}); got {got}.")


def _weights(who: str, rows: list[list[Any]]) -> Times:
    for i, row in enumerate(rows):
        if not all(type(value) in (int, float) for value in row):
            raise MotionInvalid(f"{who}: frame {i}: weights must be numbers.")
    return as_rows(who, "weights", rows)


def _times(who: str, frames: list[dict[str, Any]]) -> tuple[Times | None, tuple[str, ...]]:
    stated = [frame.get("time") for frame in frames]
    if all(time is None for time in stated):
        return None, ()
    times = np.array([_seconds(time) for time in stated])

    def fault(frame: int) -> str:
        return f"frame {frame}: time must be finite seconds; got {_shown(stated[frame])}"

    return mended_times(who, times, "frame {}".format, fault)


def _seconds(time: Any) -> float:
    if type(time) not in (int, float):
        return math.nan
    try:
        return float(time)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf


def _shown(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _head_pose(who: str, data: dict[str, Any], frames: list[dict[str, Any]]) -> Times | None:
    """[T,3] axis-angle radians, from the file's list or from the frames' "rotation"; LAM leaves the latter empty."""
    value = data.get("head_pose")
    if not value:
        value = [frame.get("rotation") or [] for frame in frames]
        if not any(value):
            return None
    rows = as_rows(who, "head_pose", value)
    if rows.shape != (len(frames), 3):
        raise MotionInvalid(f"{who}: head_pose must be [{len(frames)},3] axis-angle radians; got {list(rows.shape)}.")
    return rows


def _agree(times: Times, rate: float) -> bool:
    return float(np.abs(times - times[0] - np.arange(len(times)) / rate).max()) <= ROUNDING_S


def _rate(who: str, key: str, rate: Any) -> float | None:
    if rate is None:
        return None
    if type(rate) not in (int, float) or not 0 < rate <= MAX_FPS:
        raise MotionInvalid(f"{who}: {key} must be in (0, {MAX_FPS:g}]; got {_shown(rate)}.")
    return float(rate)
