# SPDX-License-Identifier: Apache-2.0
"""Action units of a face, frame by frame, as OpenFace writes them, and the inputs of an avatar that are told them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ._arrays import FloatArray, as_floats, require_finite, shape_text
from .control import Input
from .errors import MotionInvalid
from .motion_files.table import Table
from .motions import MAX_FRAMES

BLINK = "AU45"
EYE = "eye"  # GaussianTalker's input: AU45 as it is clipped, and halved
MAX_BLINK = 2.0  # where the methods' trainings clip it
# Intensities, AU45_r; AU45_c says whether OpenFace sees it at all.
_NAME = re.compile(r"\s*(au\d{2})(_r)?\s*", re.IGNORECASE)


def unit_of(name: str) -> str | None:
    """ "AU45" for " au45_r"; None for what is no intensity of an action unit."""
    match = _NAME.fullmatch(name)
    return match[1].upper() if match else None


def told_units(inputs: Iterable[Input]) -> dict[str, dict[int, str]]:
    """Input → for each of its elements that is told an action unit, which: {"au": {5: "AU45"}}; {"eye": {0: EYE}}."""
    told: dict[str, dict[int, str]] = {}
    for into in inputs:
        if into.target != "deform":
            continue
        units = {i: unit for i, element in enumerate(into.names) if (unit := unit_of(element)) is not None}
        if units:
            told[into.name] = units
        elif into.name == EYE and into.size == 1 and not into.names:
            told[into.name] = {0: EYE}
    return told


class UnitTrack:
    """F frames of intensities 0..5, as OpenFace has them, for the inputs that an avatar has for them.

    source: OpenFace's table (.csv), row k for frame k, or arrays [F] by name ("AU45", "AU45_r").
    An element of an input that is called AUnn is told that unit: AU45 clipped to 0..2, the others as they are. An input
    "eye" is told AU45, clipped and halved.
    Raises MotionInvalid for a table that is damaged, or that lacks units which the avatar needs.
    """

    def __init__(self, who: str, source: Any, inputs: Iterable[Input], name: str) -> None:
        self._told = told_units(inputs)
        if not self._told:
            raise MotionInvalid(f"{who}: {name} is told no action units: it has no input with elements like {BLINK}.")
        if isinstance(source, (str, os.PathLike)):
            self.who = os.fsdecode(source)
            given = _read(Path(self.who))
        else:
            self.who = f"{who}: au"
            given = _arrays(self.who, source)
        needed = dict.fromkeys(_unit(unit) for told in self._told.values() for unit in told.values())
        missing = [unit for unit in needed if unit not in given]
        if missing:
            found = ", ".join(sorted(given)) or "none"
            raise MotionInvalid(f"{self.who}: lacks {', '.join(missing)}, which {name} is told; it has {found}.")
        self._units = {unit: given[unit] for unit in needed}
        self.frames = len(next(iter(self._units.values())))

    def columns(self, inputs: Mapping[str, Input], first: int, count: int) -> dict[int, FloatArray]:
        """[count] by column of a control, of the frames first, first + 1, ..., all of which there are."""
        out: dict[int, FloatArray] = {}
        for name, told in self._told.items():
            for element, unit in told.items():
                rows: FloatArray = self._units[_unit(unit)][first : first + count]
                if _unit(unit) == BLINK:
                    rows = np.clip(rows, np.float32(0), np.float32(MAX_BLINK))
                if unit == EYE:
                    rows = rows / np.float32(MAX_BLINK)
                out[inputs[name].offset + element] = rows
        return out


def _unit(told: str) -> str:
    return BLINK if told == EYE else told


def _arrays(who: str, source: Any) -> dict[str, FloatArray]:
    if not isinstance(source, Mapping):
        raise ValueError(f"{who} must be a .csv file, or arrays by name; got {type(source).__name__}.")
    units: dict[str, FloatArray] = {}
    for name, values in source.items():
        unit = unit_of(str(name))
        if unit is None:
            raise ValueError(f"{who} must have names like {BLINK} or {BLINK}_r; got {name!r}.")
        rows = as_floats(f"{who}: {name}", values)
        if rows.ndim != 1 or not 1 <= len(rows) <= MAX_FRAMES:
            raise ValueError(f"{who}: {name} must be [F], one number per frame; got {shape_text(rows.shape)}.")
        require_finite(f"{who}: {name}", rows)
        units[unit] = rows
    lengths = {name: len(rows) for name, rows in units.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{who}: its arrays must have equally many frames; got {lengths}.")
    return units


def _read(path: Path) -> dict[str, FloatArray]:
    try:
        table = Table(path)
    except FileNotFoundError:
        raise MotionInvalid(f"{path}: no such file.") from None
    except OSError as error:
        raise MotionInvalid(f"{path}: cannot be read ({error.strerror or error}).") from None
    columns = {unit: i for i, name in enumerate(table.header) if (unit := unit_of(name)) is not None}
    if not columns:
        raise MotionInvalid(f"{path}: has no column of an action unit, like {BLINK}_r. It should be OpenFace's table.")
    values: dict[str, list[float]] = {unit: [] for unit in columns}
    rows = 0
    for row in table.rows():
        rows += 1
        if rows > MAX_FRAMES:
            raise MotionInvalid(f"{path}: has more than {MAX_FRAMES} rows, which are the most that are read. Split it.")
        for unit, column in columns.items():
            cell = row.cells[column].strip() if column < len(row.cells) else ""
            try:
                value = float(cell)
            except ValueError:
                value = float("nan")
            if not abs(value) <= np.finfo(np.float32).max:
                label = table.header[column]
                raise MotionInvalid(
                    f"{path}: row {row.line}, column {label} must be a finite number; got {cell[:40]!r}."
                )
            values[unit].append(value)
    if not rows:
        raise MotionInvalid(f"{path}: has no row below its header.")
    return {unit: np.array(column, np.float32) for unit, column in values.items()}
