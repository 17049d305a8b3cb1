# SPDX-License-Identifier: Apache-2.0
"""From what a reader found to a Motion: names, numbers and times, checked with the file's own places in messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .._arrays import FloatArray
from ..driven import Driven
from ..errors import MotionInvalid
from ..motions import MAX_FPS, MAX_FRAMES, MAX_NUMBERS, ROTATIONS, Motion
from .names import settle_names
from .times import MAX_GAP_S, WAY_OUT, Times

DEFAULT_FPS = 25.0
MIN_FPS = 1.0  # of stated times; slower is a table of something else
# Weights are 0..1, trackers overshoot a little, and a table in percent would tear a head apart.
MAX_WEIGHT = 10.0
ROUNDING_S = 0.001  # of stated times

Rows = FloatArray | Times  # [T,size]
Place = Callable[[int, str], str]  # (row, name) → where that is in the file


def build(
    who: str,
    place: Place,
    *,
    weights: Rows | None = None,
    names: Sequence[str] = (),
    inputs: Mapping[str, Rows] | None = None,
    times: Times | None = None,
    grid: Times | None = None,
    fps: float | None = None,
    avatar: Driven | None = None,
    time_place: Callable[[int], str] = "frame {}".format,
    notes: Sequence[str] = (),
) -> Motion:
    """A Motion at an even rate.

    times: rising seconds of the rows, if the file states them; grid: seconds of all of the file's frames where some of
    them have no row (the face was lost), else times. fps: the rate, where it is known already.
    """
    settled = settle_names(who, names, avatar, moves=bool(inputs))
    columns = list(settled.columns)
    chosen: FloatArray = np.zeros((0, 0), np.float32)
    if columns and weights is not None:
        order = list(settled.columns.values())
        chosen = _float32(weights if order == list(range(weights.shape[1])) else weights[:, order])
        _require_finite(who, place, chosen, columns)
        _require_weights(who, place, chosen, columns)
    tracks = {name: _float32(rows) for name, rows in (inputs or {}).items()}
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
        return Motion(rate, chosen, tuple(columns), tracks, rotations, (*notes, *settled.notes))

    grid = times if grid is None else grid
    if times is None or grid is None or len(grid) == 1:
        return motion(fps or (avatar.fps if avatar is not None else DEFAULT_FPS))
    rate = fps or _rate(who, grid)
    even = grid[0] + np.arange(len(grid)) / rate
    if len(times) == len(grid) and np.abs(grid - even).max() <= 0.25 / rate:
        return motion(rate)
    seconds = grid[-1] - grid[0]
    steps = np.diff(grid)
    at = int(np.argmax(steps))
    if steps[at] > MAX_GAP_S:
        raise MotionInvalid(
            f"{who}: {steps[at]:.6g} s pass after {time_place(at)}; at most {MAX_GAP_S:g} may. {WAY_OUT}"
        )
    count = int(seconds * rate + 1e-6) + 1
    if count > MAX_FRAMES or count * (chosen.shape[1] + sum(rows.shape[1] for rows in tracks.values())) > MAX_NUMBERS:
        raise MotionInvalid(
            f"{who}: its times mean {count} frames at {rate:.6g} fps; at most {MAX_FRAMES} frames and {MAX_NUMBERS} "
            f"numbers are read. {WAY_OUT}"
        )
    return motion(rate).at(times, grid[0] + np.arange(count) / rate, rate)


def _rate(who: str, grid: Times) -> float:
    """The usual rate nearest to what the times, which rise, say."""
    steps = np.diff(grid)
    rate = 1.0 / float(np.median(steps))
    mean = (len(grid) - 1) / float(grid[-1] - grid[0])
    # Times rounded to milliseconds make 30 fps look like 29.4 or 30.3 row by row, but not over the whole file.
    tolerance = 0.02
    if abs(mean / rate - 1) < 0.05:
        rate, tolerance = mean, 0.002
    if not MIN_FPS * (1 - tolerance) < rate < MAX_FPS * (1 + tolerance):
        raise MotionInvalid(
            f"{who}: its times mean {rate:.6g} frames per second; {MIN_FPS:g} to {MAX_FPS:g} are accepted. {WAY_OUT}"
        )
    # Times in milliseconds cannot tell 30 from 29.97 fps within a second: the whole number has it unless they can.
    usual = [float(round(rate)), round(rate * 1.001) / 1.001]
    even = np.abs(grid - grid[0] - np.arange(len(grid)) / usual[0]).max() <= ROUNDING_S
    if not even:
        usual.sort(key=lambda candidate: abs(rate - candidate))
    return usual[0] if abs(rate / usual[0] - 1) < tolerance else rate


def _require_finite(who: str, place: Place, rows: FloatArray, names: Sequence[str]) -> None:
    bad = ~np.isfinite(rows)
    if bad.any():
        row, column = divmod(int(np.argmax(bad)), rows.shape[1])
        raise MotionInvalid(f"{who}: {place(row, names[column])} must be finite; got {rows[row, column]}.")


def _require_weights(who: str, place: Place, rows: FloatArray, names: Sequence[str]) -> None:
    bad = np.abs(rows) > MAX_WEIGHT
    if bad.any():
        row, column = divmod(int(np.argmax(bad)), rows.shape[1])
        raise MotionInvalid(
            f"{who}: {place(row, names[column])} must be a weight of about 0..1; got {rows[row, column]:.6g}. "
            "If the table is in percent, divide it by 100."
        )


def _float32(rows: Rows) -> FloatArray:
    with np.errstate(over="ignore"):  # too large becomes infinite, and is refused as such
        return rows.astype(np.float32, copy=False)


def as_rows(who: str, what: str, value: Any) -> Times:
    """Numbers as [T,size] float64, or MotionInvalid."""
    try:
        rows: Times = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise MotionInvalid(f"{who}: {what} must be rows of equally many numbers.") from None
    if rows.ndim != 2:
        raise MotionInvalid(f"{who}: {what} must be rows of equally many numbers; got shape {list(rows.shape)}.")
    return rows
