"""JSON in LAM's form: {"names", "frames": [{"weights", "time"?, "rotation"?}], "head_pose"?, "metadata": {"fps"}?}."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MotionInvalid
from ..motions import MAX_FPS, Motion
from .build import ROUNDING_S, Rows, as_rows, build

if TYPE_CHECKING:
    from ..avatar import Avatar

MAX_BYTES = 1 << 28  # unpacked; an hour of 52 weights at 60 fps is about a quarter of it


def read_json(path: Path, avatar: Avatar | None, fps: float | None) -> Motion:
    who = str(path)
    data = _parse(who, path)
    if not isinstance(data, dict) or not all(isinstance(data.get(key), list) for key in ("names", "frames")):
        raise MotionInvalid(f'{who}: must be an object with "names" and "frames" (lists).')
    names, frames = data["names"], data["frames"]
    if not all(isinstance(name, str) for name in names):
        raise MotionInvalid(f"{who}: names must be texts.")
    if not frames:
        raise MotionInvalid(f"{who}: has no frame in it.")
    for i, frame in enumerate(frames):
        weights = frame.get("weights") if isinstance(frame, dict) else None
        if not isinstance(weights, list) or len(weights) != len(names):
            got = len(weights) if isinstance(weights, list) else "none"
            raise MotionInvalid(f"{who}: frame {i} must have {len(names)} weights (from names); got {got}.")
    inputs = {}
    head_pose = _head_pose(who, data, frames)
    if head_pose is not None:
        inputs["head_pose"] = head_pose
    times = _times(who, frames)
    rate = fps
    if rate is None:
        stated = _stated_rate(who, data)
        rate = stated if stated is None or times is None or _agree(times, stated) else None
    return build(
        who,
        lambda row, name: f"frame {row}, {name}",
        lambda row: f"frame {row}",
        weights=_weights(who, [frame["weights"] for frame in frames]),
        names=names,
        inputs=inputs,
        times=times,
        fps=rate,
        avatar=avatar,
    )


def _parse(who: str, path: Path) -> Any:
    try:
        with open(path, "rb") as file:
            packed: Any = gzip.GzipFile(fileobj=file) if path.suffix.lower() == ".gz" else file
            text: bytes = packed.read(MAX_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise MotionInvalid(f"{who}: is not a whole gzip file: {error}.") from None
    if len(text) > MAX_BYTES:
        raise MotionInvalid(f"{who}: holds more than {MAX_BYTES} bytes of JSON. Split it.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise MotionInvalid(f"{who}: is not JSON: {error}.") from None


def _weights(who: str, rows: list[list[Any]]) -> Rows:
    for i, row in enumerate(rows):
        if not all(type(value) in (int, float) for value in row):
            raise MotionInvalid(f"{who}: frame {i}: weights must be numbers.")
    return as_rows(who, "weights", rows)


def _times(who: str, frames: list[dict[str, Any]]) -> Rows | None:
    times = [frame.get("time") for frame in frames]
    if all(time is None for time in times):
        return None
    for i, time in enumerate(times):
        if type(time) not in (int, float) or not np.isfinite(np.float64(time)):
            raise MotionInvalid(f"{who}: frame {i}: time must be finite seconds; got {time!r}.")
    return np.array(times, np.float64)


def _head_pose(who: str, data: dict[str, Any], frames: list[dict[str, Any]]) -> Rows | None:
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


def _agree(times: Rows, rate: float) -> bool:
    return float(np.abs(times - times[0] - np.arange(len(times)) / rate).max()) <= ROUNDING_S


def _stated_rate(who: str, data: dict[str, Any]) -> float | None:
    metadata = data.get("metadata")
    rate = metadata.get("fps") if isinstance(metadata, dict) else None
    if rate is None:
        return None
    if type(rate) not in (int, float) or not 0 < rate <= MAX_FPS:
        raise MotionInvalid(f"{who}: metadata.fps must be in (0, {MAX_FPS:g}]; got {rate!r}.")
    return float(rate)
