# SPDX-License-Identifier: Apache-2.0
"""Times of a recording's frames: timecodes as seconds, and a few bad ones among many good ones mended."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import MotionInvalid

Times = NDArray[np.float64]

LIVE_LINK_FPS = 60
TIMECODE_RATES = (24, 25, 30, 48, 50, 60, 90, 100, 120, 240)
TIMECODE = re.compile(r"(\d{1,4}):(\d{1,2}):(\d{1,2})[:;](\d{1,4}(?:\.\d{1,9})?)")
CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)")
MAX_TIME_S = 1e11  # thousands of years: nanoseconds that are taken for seconds are beyond it
MAX_GAP_S = 60.0
FEW = 50  # one bad time in so many frames is mended, and one in a short file
LEAST = 5  # frames, of which one may be bad
WAY_OUT = "Or give its rate, in place of its times: --motion-fps, or load_motion's fps."


class Mended(NamedTuple):
    times: Times  # rising
    rows: list[int]  # whose times were taken from their neighbours


def mend(times: Times) -> Mended | None:
    """Times that rise, where at most a few of them do not (or are not finite); None where too many are bad.

    The fewest are taken for bad without which the rest rises, and a first or last one that is far from all others.
    """
    n = len(times)
    most = max(1, n // FEW) if n >= LEAST else 0
    at = np.flatnonzero(np.abs(np.where(np.isfinite(times), times, np.inf)) <= MAX_TIME_S)
    falls = int((np.diff(times[at]) <= 0).sum())
    if len(at) == 0 or n - len(at) + falls > most:  # every fall is one bad time at least
        return None
    good = at[_rising(times[at])] if falls else at
    if n >= LEAST and len(good) > 2:
        steps = np.diff(times[good])
        if steps[0] > MAX_GAP_S >= steps[1:].max():
            good = good[1:]
        elif steps[-1] > MAX_GAP_S >= steps[:-1].max():
            good = good[:-1]
    bad = np.setdiff1d(np.arange(n), good)
    if len(bad) == 0:
        return Mended(times, [])
    if len(bad) > most:
        return None
    whole = np.interp(np.arange(n), good, times[good])
    step = float(np.median(np.diff(times[good]) / np.diff(good)))
    early, late = np.arange(good[0]), np.arange(good[-1] + 1, n)
    whole[early] = times[good[0]] - step * (good[0] - early)
    whole[late] = times[good[-1]] + step * (late - good[-1])
    return Mended(whole, bad.tolist())


def mended_times(
    who: str, times: Times, place: Callable[[int], str], fault: Callable[[int], str]
) -> tuple[Times, tuple[str, ...]]:
    """Rising times of a file's frames, and a note about those that were mended.

    place: frame → where it is in the file.  fault: frame → what its time should be, for one that is not finite.
    Raises MotionInvalid where too many are bad.
    """
    mended = mend(times)
    if mended is not None:
        if not mended.rows:
            return mended.times, ()
        more = f" and {len(mended.rows) - 1} more" if len(mended.rows) > 1 else ""
        where = place(mended.rows[0]) + more
        return mended.times, (
            f"{who}: the time of {where} is out of order or unreadable; it is taken from its neighbours",
        )
    unread = np.flatnonzero(~np.isfinite(times))
    if len(unread):
        raise MotionInvalid(f"{who}: {fault(int(unread[0]))}. {WAY_OUT}")
    far = np.flatnonzero(np.abs(times) > MAX_TIME_S)
    if len(far):
        raise MotionInvalid(
            f"{who}: {place(int(far[0]))}: time must be seconds, at most {MAX_TIME_S:g}; got {times[far[0]]:.6g}. "
            f"{WAY_OUT}"
        )
    row = int(np.argmax(np.diff(times) <= 0)) + 1
    raise MotionInvalid(f"{who}: time must rise; {place(row)} is not after the row before it. {WAY_OUT}")


def _rising(times: Times) -> list[int]:
    """Where the longest rising subsequence is (patience sorting)."""
    ends: list[float] = []  # the lowest end of a rising run of each length
    last: list[int] = []  # and where it is
    before = []
    for i, time in enumerate(times.tolist()):
        length = bisect_left(ends, time)
        before.append(last[length - 1] if length else -1)
        if length == len(ends):
            ends.append(time)
            last.append(i)
        elif time < ends[length]:  # of two equal times the first is kept
            ends[length], last[length] = time, i
    found = []
    i = last[-1]
    while i >= 0:
        found.append(i)
        i = before[i]
    return found[::-1]


def clock_seconds(stamp: str, unit_s: float = 1.0) -> float:
    """Seconds of a number of units, or of HH:MM:SS.sss; nan where it is something else."""
    match = CLOCK.fullmatch(stamp.strip())
    if match is not None:
        return float(match[1] or 0) * 3600 + float(match[2]) * 60 + float(match[3])
    try:
        return float(stamp) * unit_s
    except ValueError:
        return math.nan


def timecode_seconds(stamps: Sequence[str]) -> Times:
    """Seconds of HH:MM:SS:FF.fff texts, nan where they are something else; the rate that FF counts by is found out."""
    seconds, frames = np.full(len(stamps), np.nan), np.full(len(stamps), np.nan)
    for i, stamp in enumerate(stamps):
        match = TIMECODE.fullmatch(stamp.strip())
        if match is not None:
            hours, minutes, second, frames[i] = (float(part) for part in match.groups())
            seconds[i] = hours * 3600 + minutes * 60 + second
    read = np.flatnonzero(np.isfinite(seconds))
    if len(read) == 0:
        return seconds
    if _subframes_are_a_counter(read, frames[read]):
        frames = np.floor(frames)
    seconds[read] += 86400 * _midnights(seconds[read])
    # Frames may be missing before every new second, or the rate is an unusual one: the evener steps tell.
    rates = [rate for highest in _highest(seconds[read], frames[read]) for rate in (highest, _usual(highest))]
    grids: list[Times] = [seconds + frames / rate for rate in rates]
    return min(grids, key=_disorder)


def _subframes_are_a_counter(row: NDArray[np.intp], frames: Times) -> bool:
    """Whether FF.fff is 12.500, 13.501, 14.502, ...: such exporters count their rows there, and it is no time.

    Motion.save() writes 23.976 fps like that, in timecodes of 24, where it does mean time; it begins at .000.
    """
    thousandths = np.round(1000 * frames) % 1000
    return len(row) >= 10 and thousandths[0] != 0 and not ((thousandths - thousandths[0] - row + row[0]) % 1000).any()


def _midnights(seconds: Times) -> Times:
    """How often the clock has gone over midnight by each row; one bad row is no midnight."""
    if len(seconds) < 2:
        return np.zeros(len(seconds))
    padded = np.concatenate([seconds[:1], seconds, seconds[-1:]])
    fell = np.minimum(padded[:-3], padded[1:-2]) - np.maximum(padded[2:-1], padded[3:]) > 43200
    return np.concatenate([[0.0], np.cumsum(fell)])


def _highest(seconds: Times, frames: Times) -> list[int]:
    """How many frames a second may have: one more than the number before a new second, the likeliest first."""
    steps = np.diff(seconds)
    turned = steps != 0
    counted = (steps > 0) & (np.diff(frames) < 0)
    if not turned.any() or ((steps < 0).any() and not counted.any()):
        return [max(LIVE_LINK_FPS, int(frames.max()) + 1)]  # a take within one second is at the app's own rate
    counts = [int(frames[:-1][turned].max()) + 1]
    tops = np.sort(frames[:-1][counted])
    if len(tops) > 1 and tops[-1] > 1.25 * tops[-2] + 2:  # one bad row may have a number like none of the others
        counts.append(int(tops[-2]) + 1)
    return counts


def _usual(highest: int) -> int:
    return next((rate for rate in TIMECODE_RATES if rate >= highest), highest)


def _disorder(grid: Times) -> tuple[bool, float]:
    mended = mend(grid)
    if mended is None:
        return True, 0.0
    steps = np.diff(mended.times)
    return False, float(np.abs(steps - np.median(steps)).mean()) if len(steps) else 0.0
