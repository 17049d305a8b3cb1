"""From what a reader found to a Motion: names, numbers and times, checked with the file's own places in messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import nearest
from ..arkit import ARKIT_NAMES, canonical_name
from ..errors import MotionInvalid
from ..motions import MAX_FPS, ROTATIONS, Motion

if TYPE_CHECKING:
    from ..avatar import Avatar

DEFAULT_FPS = 25.0
MIN_FPS = 1.0  # of stated times; slower is a table of something else
IGNORABLE = frozenset({"_neutral", "neutral"})  # MediaPipe's score of the face at rest
# Weights are 0..1, trackers overshoot a little, and a table in percent would tear a head apart.
MAX_WEIGHT = 10.0
ROUNDING_S = 0.001  # of stated times
MAX_GAP_S = 60.0
MAX_FRAMES = 1 << 22

Rows = NDArray[np.float64]
Place = Callable[[int, str], str]  # (row, name) → where that is in the file


def known_names(avatar: Avatar | None) -> set[str]:
    names = set(ARKIT_NAMES)
    if avatar is not None:
        names.update(name for into in avatar.inputs.values() for name in into.names)
    return names


def settle_names(who: str, names: Sequence[str], avatar: Avatar | None) -> dict[str, int]:
    """Weight name → its column in the file. Raises for unknown and repeated names."""
    known = known_names(avatar)
    columns: dict[str, int] = {}
    unknown = []
    for column, written in enumerate(names):
        name = written if written in known else canonical_name(written)
        if name in IGNORABLE:
            continue
        if name not in known:
            unknown.append(written)
        elif name in columns:
            raise MotionInvalid(f"{who}: {written} names {name} a second time.")
        columns[name] = column
    if unknown:
        raise MotionInvalid(
            f"{who}: not the name of a weight: {', '.join(unknown[:12])}{' ...' if len(unknown) > 12 else ''}."
            f"{nearest(unknown[0], known)} Known are the 52 ARKit names and those of the avatar, if one is given."
        )
    return columns


def build(
    who: str,
    place: Place,
    time_place: Callable[[int], str],
    *,
    weights: Rows | None = None,
    names: Sequence[str] = (),
    inputs: Mapping[str, Rows] | None = None,
    times: Rows | None = None,
    grid: Rows | None = None,
    fps: float | None = None,
    avatar: Avatar | None = None,
) -> Motion:
    """A Motion at an even rate.

    times: seconds of the rows, if the file states them; grid: seconds of all of the file's frames where some of them
    have no row (the face was lost), else times. fps: the rate, where it is known already.
    """
    tracks: dict[str, Rows] = dict(inputs or {})
    columns = settle_names(who, names, avatar)
    chosen = np.zeros((0, 0))
    if columns and weights is not None:
        chosen = weights[:, list(columns.values())]
        _require_finite(who, place, chosen, list(columns))
        _require_weights(who, place, chosen, list(columns))
    for name, rows in tracks.items():
        _require_finite(who, place, rows, [name] * rows.shape[1])
    if not columns and not tracks:
        raise MotionInvalid(f"{who}: has no weight and no input in it.")
    if max([len(chosen), *(len(rows) for rows in tracks.values())]) == 0:
        raise MotionInvalid(f"{who}: has no frame in it.")
    rotations = ROTATIONS
    if avatar is not None:
        rotations |= {into.name for into in avatar.inputs.values() if into.target == "joint_rotation"}

    def motion(rate: float) -> Motion:
        return Motion(
            rate,
            chosen.astype(np.float32),
            tuple(columns),
            {name: rows.astype(np.float32) for name, rows in tracks.items()},
            rotations,
        )

    grid = times if grid is None else grid
    if times is None or grid is None or len(grid) == 1:
        return motion(fps or (avatar.fps if avatar is not None else DEFAULT_FPS))
    rate = fps or _rate(who, time_place, grid)
    even = grid[0] + np.arange(len(grid)) / rate
    if len(times) == len(grid) and np.abs(grid - even).max() <= 0.25 / rate:
        return motion(rate)
    seconds = grid[-1] - grid[0]
    if np.diff(grid).max() > MAX_GAP_S or seconds * rate > MAX_FRAMES:
        at = int(np.argmax(np.diff(grid)))
        gap = np.diff(grid)[at]
        raise MotionInvalid(f"{who}: {gap:.6g} s pass after {time_place(at)}; at most {MAX_GAP_S:g} may.")
    even = grid[0] + np.arange(int(seconds * rate + 1e-6) + 1) / rate
    return motion(rate).at(times, even, rate)


def _rate(who: str, time_place: Callable[[int], str], grid: Rows) -> float:
    """The usual rate nearest to what the times say."""
    steps = np.diff(grid)
    if not (steps > 0).all():
        at = int(np.argmax(~(steps > 0))) + 1
        raise MotionInvalid(f"{who}: time must rise; {time_place(at)} is not after the row before it.")
    rate = 1.0 / float(np.median(steps))
    mean = (len(grid) - 1) / float(grid[-1] - grid[0])
    # Times rounded to milliseconds make 30 fps look like 29.4 or 30.3 row by row, but not over the whole file.
    tolerance = 0.02
    if abs(mean / rate - 1) < 0.05:
        rate, tolerance = mean, 0.002
    if not MIN_FPS * (1 - tolerance) < rate < MAX_FPS * (1 + tolerance):
        raise MotionInvalid(
            f"{who}: its times mean {rate:.6g} frames per second; {MIN_FPS:g} to {MAX_FPS:g} are accepted."
        )
    # Times in milliseconds cannot tell 30 from 29.97 fps within a second: the whole number has it unless they can.
    usual = [float(round(rate)), round(rate * 1.001) / 1.001]
    even = np.abs(grid - grid[0] - np.arange(len(grid)) / usual[0]).max() <= ROUNDING_S
    if not even:
        usual.sort(key=lambda candidate: abs(rate - candidate))
    return usual[0] if abs(rate / usual[0] - 1) < tolerance else rate


def _require_finite(who: str, place: Place, rows: Rows, names: Sequence[str]) -> None:
    bad = ~np.isfinite(rows)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise MotionInvalid(f"{who}: {place(row, names[column])} must be finite; got {rows[row, column]}.")


def _require_weights(who: str, place: Place, rows: Rows, names: Sequence[str]) -> None:
    bad = np.abs(rows) > MAX_WEIGHT
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise MotionInvalid(
            f"{who}: {place(row, names[column])} must be a weight of about 0..1; got {rows[row, column]:.6g}. "
            "If the table is in percent, divide it by 100."
        )


def as_rows(who: str, what: str, value: Any) -> Rows:
    """Numbers as [T,size] float64, or MotionInvalid."""
    try:
        rows = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise MotionInvalid(f"{who}: {what} must be rows of equally many numbers.") from None
    if rows.ndim != 2:
        raise MotionInvalid(f"{who}: {what} must be rows of equally many numbers; got shape {list(rows.shape)}.")
    return rows
