# SPDX-License-Identifier: Apache-2.0
"""CSV tables: Live Link Face's, and headers of ARKit names with times and a head transform (MediaPipe, Audio2Face)."""

from __future__ import annotations

import math
import os
import stat
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..arkit import folded
from ..driven import Driven
from ..errors import MotionInvalid
from ..motions import MAX_FRAMES, MAX_NUMBERS, Motion
from ..rotation import Doubles, axis_angle_from_quat, multiply, quat_from_axis_angle, quat_from_matrix
from .build import Rows, build
from .names import own_names, settle_names
from .table import Row, Table
from .times import Times, clock_seconds, mended_times, timecode_seconds

# Columns by their folded names: tools differ in case and punctuation, from version to version even.
TIMECODE = "timecode"
SHAPE_COUNT = "blendshapecount"  # 0 in rows where Live Link Face saw no face
_UNITS = {"": 1.0, "s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "millis": 1e-3, "us": 1e-6, "ns": 1e-9}
CLOCKS = {f"{name}{unit}": scale for name in ("time", "timestamp") for unit, scale in _UNITS.items()}  # → seconds
CLOCKS["seconds"] = 1.0
HEAD = ("headyaw", "headpitch", "headroll")
MATRIX = tuple(f"m{i}{j}" for i in range(4) for j in range(4))
# Numbers of the rows, and the eyes' turns, which are in the eyeLook weights too.
SKIPPED = frozenset({
    "", "frame", "frames", "frameid", "frameindex", "framenumber", "framenum", "index", "unnamed0",
    *(f"{side}eye{turn}" for side in ("left", "right") for turn in ("yaw", "pitch", "roll")),
})  # fmt: skip
MAX_ANGLE = math.pi + 1e-3  # of numbers that were rounded
_PART = 1 << 14  # rows that are turned into rotations at a time


class _Columns:
    """Which column of a table is what."""

    def __init__(self, table: Table, avatar: Driven | None) -> None:
        self.table = table
        header = table.header
        own = own_names(avatar)
        roles: dict[str, int] = {}
        named: dict[str, int] = {}
        for column, name in enumerate(header):
            role = folded(name)
            if name not in own and role in SKIPPED:
                continue
            if name in named:
                raise MotionInvalid(f"{table.who}: column {name!r} is there twice.")
            named[name] = column
            if name not in own and (role in CLOCKS or role in (TIMECODE, SHAPE_COUNT, *HEAD, *MATRIX)):
                roles.setdefault(role, column)
        self.timecode = roles.get(TIMECODE)
        self.count = roles.get(SHAPE_COUNT)
        clock = next((name for name in CLOCKS if name in roles), None)
        self.clock = None if clock is None else roles[clock]
        self.unit_s = CLOCKS.get(clock or "", 1.0)
        self.head: list[int] = []
        for group in (HEAD, MATRIX):
            if not self.head and all(name in roles for name in group):
                self.head = [roles[name] for name in group]
        taken = set(roles.values())
        candidates = [column for column in named.values() if column not in taken]
        settled = settle_names(table.who, [header[i] for i in candidates], avatar, moves=bool(self.head))
        self.notes = settled.notes
        self.names = list(settled.columns)
        self.weights = [candidates[i] for i in settled.columns.values()]

    def label(self, column: int) -> str:
        return self.table.header[column]


class _Rows:
    """What the rows hold, as numbers."""

    def __init__(self, columns: _Columns, with_times: bool) -> None:
        self.columns = columns
        self.who = columns.table.who
        self.notes: list[str] = []
        self.lines = array("q")  # line of every row
        self.tracked: list[int] = []  # rows that have a face
        self.stamps: list[str] = []  # of every row
        self.weights = array("f")
        self.head = array("d")
        self._stamp = None
        if with_times:
            self._stamp = columns.timecode if columns.timecode is not None else columns.clock
        self._numbers = [*columns.weights, *columns.head]
        used = [*self._numbers, *(i for i in (self._stamp, columns.count) if i is not None)]
        self._needed = 1 + max(used, default=-1)
        self._length = 0  # of the row before
        for row in columns.table.rows():
            self._add(row)

    def _add(self, row: Row) -> None:
        width = len(self.columns.table.header)
        cells = row.cells
        cut = row.last and len(self.lines) > 0 and self._is_cut(row)
        if cut:
            cells_of = f" ({len(cells)} of {width} cells)" if len(cells) < width else ""
            self.notes.append(f"{self.who}: row {row.line}, the last, is cut off{cells_of} and left out")
            return
        tracked = not self._untracked(cells)
        if tracked and (len(cells) < self._needed or any(cell.strip() for cell in cells[width:])):
            raise MotionInvalid(f"{self.who}: row {row.line} has {len(cells)} cells; the header has {width}.")
        if tracked:
            self._take(row)
            self.tracked.append(len(self.lines))
        if self._stamp is not None:
            self.stamps.append(cells[self._stamp] if self._stamp < len(cells) else "")
        self.lines.append(row.line)
        self._length = len(cells)
        if len(self.lines) > MAX_FRAMES or len(self.weights) + len(self.head) > MAX_NUMBERS:
            raise MotionInvalid(
                f"{self.who}: holds more than {MAX_FRAMES} rows or {MAX_NUMBERS} numbers, which are the most that are "
                "read. Split it."
            )

    def _is_cut(self, row: Row) -> bool:
        """Whether the last row ends before it is whole: a recorder that died, a copy that stopped."""
        cells, ends_whole = row.cells, self.columns.table.ends_whole
        if len(cells) < len(self.columns.table.header):
            count = self.columns.count
            lost = count is not None and count < len(cells) and cells[count].strip()
            if self._untracked(cells) and (ends_whole or lost):
                return False
            return len(cells) < self._needed or len(cells) != self._length
        # Its last cell may be half a number.
        return not ends_whole and len(cells) - 1 in self._numbers and _number(cells[-1]) is None

    def _untracked(self, cells: list[str]) -> bool:
        at = self.columns.count
        return at is not None and at < len(cells) and cells[at].strip() in ("0", "")

    def _take(self, row: Row) -> None:
        cells = row.cells
        try:
            values = [float(cells[i]) for i in self._numbers]
        except ValueError:
            column = next(i for i in self._numbers if _number(cells[i]) is None)
            raise MotionInvalid(
                f"{self.who}: row {row.line}, column {self.columns.label(column)} must be a number; "
                f"got {cells[column][:40]!r}."
            ) from None
        split = len(self.columns.weights)
        self.weights.extend(values[:split])
        self.head.extend(values[split:])

    def place(self, row: int, name: str) -> str:
        return f"row {self.lines[self.tracked[row]]}, column {name}"

    def times(self) -> tuple[Times | None, tuple[str, ...]]:
        """Seconds of every row, whether it has a face or not, and notes about those that were mended."""
        if self._stamp is None:
            return None, ()
        coded = self._stamp == self.columns.timecode and not _are_numbers(self.stamps)
        if coded:
            times = timecode_seconds(self.stamps)
        else:
            unit_s = self.columns.unit_s if self._stamp == self.columns.clock else 1.0
            times = np.fromiter((clock_seconds(stamp, unit_s) for stamp in self.stamps), np.float64, len(self.stamps))
        label = self.columns.label(self._stamp)

        def fault(row: int) -> str:
            where = f"row {self.lines[row]}"
            if coded:
                return f"{where}, column {label} must be HH:MM:SS:FF.fff; got {self.stamps[row][:40]!r}"
            if _number(self.stamps[row]) is None:
                return f"{where}, column {label} must be a number; got {self.stamps[row][:40]!r}"
            return f"{where}: time must be finite"

        if not self.stamps:
            return times, ()
        return mended_times(self.who, times, lambda row: f"row {self.lines[row]}", fault)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _are_numbers(stamps: Sequence[str]) -> bool:
    """Whether a column of timecodes has seconds in it, as Audio2Face's has, bad rows aside."""
    first = stamps[: 1 << 10]
    return 2 * sum(not math.isnan(clock_seconds(stamp)) for stamp in first) > len(first)


def states_times(path: Path) -> bool:
    """Whether a table's rows say when they are. A pipe, which can be read once, is not asked."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        return False
    roles = {folded(name) for name in Table(path).header}
    return TIMECODE in roles or not roles.isdisjoint(CLOCKS)


def read_csv(path: Path, avatar: Driven | None, fps: float | None) -> Motion:
    columns = _Columns(Table(path), avatar)
    rows = _Rows(columns, with_times=fps is None)
    if fps is not None:
        grid: Times | None = np.arange(len(rows.lines)) / fps
        mended: tuple[str, ...] = ()
    else:
        grid, mended = rows.times()
    inputs: dict[str, Rows] = {}
    if columns.head:
        head = np.frombuffer(rows.head, np.float64).reshape(len(rows.tracked), len(columns.head))
        turn = _head_turn if len(columns.head) == len(HEAD) else _head_pose
        inputs["head_pose"] = _in_parts(turn, columns, rows, head)
    return build(
        rows.who,
        rows.place,
        weights=np.frombuffer(rows.weights, np.float32).reshape(len(rows.tracked), len(columns.weights)),
        names=columns.names,
        inputs=inputs,
        times=None if grid is None else grid[rows.tracked],
        grid=grid,
        fps=fps,
        avatar=avatar,
        time_place=lambda row: f"row {rows.lines[row]}",
        notes=(*rows.notes, *mended, *columns.notes),
    )


_Turn = Callable[[_Columns, _Rows, int, Doubles], Doubles]  # (columns, rows, first row, its numbers and those below)


def _in_parts(turn: _Turn, columns: _Columns, rows: _Rows, head: Doubles) -> Doubles:
    parts = [turn(columns, rows, start, head[start : start + _PART]) for start in range(0, len(head), _PART)]
    return np.concatenate(parts) if parts else np.zeros((0, 3))


def _head_turn(columns: _Columns, rows: _Rows, start: int, angles: Doubles) -> Doubles:
    """Yaw about y, pitch about x, roll about z, in Unreal's order: roll first."""
    bad = ~(np.abs(angles) <= MAX_ANGLE)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise MotionInvalid(
            f"{rows.who}: {rows.place(start + row, columns.label(columns.head[column]))} must be radians, -π to π; got "
            f"{angles[row, column]:.6g}. If they are degrees, multiply them by π/180."
        )
    yaw, pitch, roll = (
        quat_from_axis_angle(angle[:, None] * axis) for angle, axis in zip(angles.T, np.eye(3)[[1, 0, 2]], strict=True)
    )
    return axis_angle_from_quat(multiply(yaw, multiply(pitch, roll)))


def _head_pose(columns: _Columns, rows: _Rows, start: int, matrices: Doubles) -> Doubles:
    """The rotation of each row's 4x4 transform; the head stays where the avatar has it."""
    matrix = matrices.reshape(-1, 4, 4)[:, :3, :3]
    finite = np.isfinite(matrix).all(axis=(1, 2), keepdims=True)
    matrix = np.where(finite, matrix, 0.0)
    stretch = np.linalg.svd(matrix)[1]
    bad = (np.linalg.det(matrix) <= 0) | (stretch[:, 2] < 0.9 * stretch[:, 0])
    if bad.any():
        place = rows.place(start + int(np.argmax(bad)), "m00..m22")
        raise MotionInvalid(f"{rows.who}: {place} is not a rotation.")
    return axis_angle_from_quat(quat_from_matrix(matrix))
