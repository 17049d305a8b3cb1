# SPDX-License-Identifier: Apache-2.0
"""Tables as text (CSV), a row at a time: what a reader keeps of them are numbers, so memory follows the file's size."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .._bounds import Bounds
from ..errors import MotionInvalid
from ..motions import MAX_FRAMES

BOUNDS = Bounds(MotionInvalid, file_bytes=1 << 29, unpacked_bytes=0)
MAX_COLUMNS = 8192
MAX_ROW = 1 << 20  # letters


class Row(NamedTuple):
    line: int  # in the file, from 1
    cells: list[str]
    last: bool


class Table:
    """A CSV file: its header, and rows() once.

    header: names without spaces around them, and without the unnamed columns that trailing commas make.
    ends_whole: whether the file ends with a whole line.
    """

    def __init__(self, path: Path) -> None:
        self.who = str(path)
        self._data = BOUNDS.read(path)
        if self._data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in self._data[:64]:
            raise MotionInvalid(
                f"{self.who}: is not a CSV text in UTF-8: it has two bytes a letter. It is UTF-16: save it as UTF-8."
            )
        self.ends_whole = self._data.endswith((b"\n", b"\r"))
        self._row_letters = 0
        self._rows = self._read()
        self.header = [name.strip() for name in next(self._rows, Row(1, [], True)).cells]
        while self.header and not self.header[-1]:
            self.header.pop()
        if len(self.header) > MAX_COLUMNS:
            raise MotionInvalid(f"{self.who}: has {len(self.header)} columns; at most {MAX_COLUMNS} are read.")
        joined = "".join(self.header)
        for mark, name in ((";", "semicolons"), ("\t", "tabs")):
            if joined.count(mark) >= max(1, len(self.header)):
                raise MotionInvalid(
                    f"{self.who}: {name} are between its cells. Save it with commas, and points in numbers."
                )

    def rows(self) -> Iterator[Row]:
        """The rows below the header that have something in them."""
        held = None
        for row in self._rows:
            if any(cell.strip() for cell in row.cells):
                if held is not None:
                    yield held
                held = row
        if held is not None:
            yield held._replace(last=True)

    def _read(self) -> Iterator[Row]:
        reader = csv.reader(self._lines())
        try:
            for cells in reader:
                self._row_letters = 0
                yield Row(reader.line_num, cells, False)
        except (UnicodeDecodeError, csv.Error) as error:
            raise MotionInvalid(f"{self.who}: is not a CSV text in UTF-8: {error}.") from None

    def _lines(self) -> Iterator[str]:
        with io.TextIOWrapper(io.BytesIO(self._data), encoding="utf-8-sig", newline="") as text:
            for _ in range(2 * MAX_FRAMES):
                line = text.readline(MAX_ROW + 1)
                if not line:
                    return
                # Cells in quotes may go on over lines.
                self._row_letters += len(line)
                if self._row_letters > MAX_ROW:
                    raise MotionInvalid(f"{self.who}: has a row of more than {MAX_ROW} letters, which are no numbers.")
                yield line
        raise MotionInvalid(f"{self.who}: has more than {2 * MAX_FRAMES} lines. Split it.")
