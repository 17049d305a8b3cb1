"""CSV tables: Live Link Face's, and headers of ARKit names with times and a head transform (MediaPipe)."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import MotionInvalid
from ..motions import Motion
from ..rotation import axis_angle_from_quat, multiply, quat_from_axis_angle, quat_from_matrix
from .build import Rows, build, settle_names

if TYPE_CHECKING:
    from ..avatar import Avatar

TIMECODE = "Timecode"
SHAPE_COUNT = "BlendShapeCount"  # 0 in rows where Live Link Face saw no face
TIME = ("time_s", "time", "timestamp")
HEAD = ("HeadYaw", "HeadPitch", "HeadRoll")
MAX_ANGLE = math.pi + 1e-3  # of numbers that were rounded
MATRIX = tuple(f"m{i}{j}" for i in range(4) for j in range(4))
# Gaze is in the eyeLook weights too.
SKIPPED = frozenset({"frame", *(f"{side}Eye{turn}" for side in ("Left", "Right") for turn in ("Yaw", "Pitch", "Roll"))})
LIVE_LINK_FPS = 60
TIMECODE_RATES = (24, 25, 30, 48, 50, 60, 90, 100, 120, 240)
_TIMECODE = re.compile(r"(\d+):(\d+):(\d+)[:;](\d+(?:\.\d+)?)")


class _Table:
    def __init__(self, path: Path) -> None:
        self.who = str(path)
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file)
                self.header = [name.strip() for name in next(reader, [])]
                self.lines = []  # line number of every row
                self.rows = []
                for row in reader:
                    if any(cell.strip() for cell in row):
                        self.lines.append(reader.line_num)
                        self.rows.append(row)
        except (UnicodeDecodeError, csv.Error) as error:
            raise MotionInvalid(f"{self.who}: is not a CSV text in UTF-8: {error}.{_encoding_hint(path)}") from None
        if len(self.header) == 1 and (";" in self.header[0] or "\t" in self.header[0]):
            mark = "semicolons" if ";" in self.header[0] else "tabs"
            raise MotionInvalid(
                f"{self.who}: {mark} are between its cells. Save it with commas, and points in numbers."
            )
        self._all_lines = self.lines
        repeated = [name for name in self.header if self.header.count(name) > 1]
        if repeated:
            raise MotionInvalid(f"{self.who}: column {repeated[0]!r} is there twice.")
        for line, row in zip(self.lines, self.rows, strict=True):
            if len(row) != len(self.header) and not self._untracked(row):
                raise MotionInvalid(f"{self.who}: row {line} has {len(row)} cells; the header has {len(self.header)}.")

    def _untracked(self, row: list[str]) -> bool:
        at = self.header.index(SHAPE_COUNT) if SHAPE_COUNT in self.header else len(row)
        return at < len(row) and row[at].strip() in ("0", "")

    def drop_untracked(self) -> list[int]:
        """Keep the rows that have a face; returns which those were."""
        kept = [i for i, row in enumerate(self.rows) if not self._untracked(row)]
        self.lines = [self.lines[i] for i in kept]
        self.rows = [self.rows[i] for i in kept]
        return kept

    def place(self, row: int, name: str) -> str:
        return f"row {self.lines[row]}, column {name}"

    def time_place(self, row: int) -> str:
        return f"row {self._all_lines[row]}"

    def numbers(self, names: list[str]) -> Rows:
        at = [self.header.index(name) for name in names]
        values = np.empty((len(self.rows), len(at)))
        for i, row in enumerate(self.rows):
            for j, column in enumerate(at):
                try:
                    values[i, j] = float(row[column])
                except ValueError:
                    raise MotionInvalid(
                        f"{self.who}: {self.place(i, names[j])} must be a number; got {row[column]!r}."
                    ) from None
        return values

    def timecodes(self) -> Rows:
        at = self.header.index(TIMECODE)
        seconds, frames = np.empty(len(self.rows)), np.empty(len(self.rows))
        for i, row in enumerate(self.rows):
            match = _TIMECODE.fullmatch(row[at].strip())
            if match is None:
                raise MotionInvalid(f"{self.who}: {self.place(i, TIMECODE)} must be HH:MM:SS:FF.fff; got {row[at]!r}.")
            hours, minutes, second, frames[i] = (float(part) for part in match.groups())
            seconds[i] = hours * 3600 + minutes * 60 + second
        midnights = np.cumsum(np.concatenate([[0], np.diff(seconds) < -43200]))[: len(seconds)]
        rolled = np.flatnonzero(np.diff(seconds))
        # The frame number before a new second tells the rate; a take within one second is at the app's own.
        highest = int(frames[rolled].max()) + 1 if len(rolled) else max(LIVE_LINK_FPS, int(frames.max(initial=0)) + 1)
        usual = next((rate for rate in TIMECODE_RATES if rate >= highest), highest)
        # Frames may be missing before every new second, or the rate is an unusual one: the evener steps tell.
        grids: list[Rows] = [seconds + midnights * 86400 + frames / rate for rate in (highest, usual)]
        return min(grids, key=_unevenness)


def _unevenness(grid: Rows) -> float:
    steps = np.diff(grid)
    return float(np.abs(steps - np.median(steps)).mean()) if len(steps) else 0.0


def _encoding_hint(path: Path) -> str:
    with open(path, "rb") as file:
        utf16 = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    return " It is UTF-16: save it as UTF-8." if utf16 else ""


def states_times(path: Path) -> bool:
    """Whether a table's rows say when they are."""
    return bool({TIMECODE, *TIME} & set(_Table(path).header))


def read_csv(path: Path, avatar: Avatar | None, fps: float | None) -> Motion:
    table = _Table(path)
    grid = times = None
    clock = next((name for name in TIME if name in table.header), None)
    if fps is not None:
        grid = np.arange(len(table.rows)) / fps
    elif TIMECODE in table.header:
        grid = table.timecodes()
    elif clock is not None:
        grid = table.numbers([clock])[:, 0]
    if grid is not None and not np.isfinite(grid).all():
        raise MotionInvalid(
            f"{table.who}: {table.time_place(int(np.argmax(~np.isfinite(grid))))}: time must be finite."
        )
    if SHAPE_COUNT in table.header:
        tracked = table.drop_untracked()
        times = None if grid is None else grid[tracked]
    inputs = {}
    if all(name in table.header for name in HEAD):
        inputs["head_pose"] = _head_turn(table)
    elif all(name in table.header for name in MATRIX):
        inputs["head_pose"] = _head_pose(table)
    other = {TIMECODE, SHAPE_COUNT, *TIME, *HEAD, *MATRIX, *SKIPPED}
    names = [name for name in table.header if name not in other]
    settle_names(table.who, names, avatar)  # before its cells are taken for numbers
    return build(
        table.who,
        table.place,
        table.time_place,
        weights=table.numbers(names),
        names=names,
        inputs=inputs,
        times=grid if times is None else times,
        grid=grid,
        fps=fps,
        avatar=avatar,
    )


def _head_turn(table: _Table) -> Rows:
    """Yaw about y, pitch about x, roll about z, in Unreal's order: roll first."""
    angles = table.numbers(list(HEAD))
    bad = ~(np.abs(angles) <= MAX_ANGLE)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise MotionInvalid(
            f"{table.who}: {table.place(row, HEAD[column])} must be radians, -π to π; got {angles[row, column]:.6g}. "
            "If they are degrees, multiply them by π/180."
        )
    yaw, pitch, roll = (
        quat_from_axis_angle(angle[:, None] * axis) for angle, axis in zip(angles.T, np.eye(3)[[1, 0, 2]], strict=True)
    )
    return axis_angle_from_quat(multiply(yaw, multiply(pitch, roll)))


def _head_pose(table: _Table) -> Rows:
    """The rotation of each row's 4x4 transform; the head stays where the avatar has it."""
    matrix: Rows = table.numbers(list(MATRIX)).reshape(-1, 4, 4)[:, :3, :3]
    finite = np.isfinite(matrix).all(axis=(1, 2), keepdims=True)
    matrix = np.where(finite, matrix, 0.0)
    stretch = np.linalg.svd(matrix)[1]
    bad = (np.linalg.det(matrix) <= 0) | (stretch[:, 2] < 0.9 * stretch[:, 0])
    if bad.any():
        raise MotionInvalid(f"{table.who}: {table.place(int(np.argmax(bad)), 'm00..m22')} is not a rotation.")
    return axis_angle_from_quat(quat_from_matrix(matrix))
