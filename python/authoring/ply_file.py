# SPDX-License-Identifier: Apache-2.0
"""PLY: header, comments and elements, binary of either byte order or text; nothing about Gaussians.

Layout: Greg Turk, "The PLY Polygon File Format".
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from talksplat.errors import AvatarInvalid

from .spec import MAX_ROWS, Array

MAX_HEADER_BYTES = 64 << 10
MAX_TEXT_BYTES = 512 << 20  # of a body in ASCII
MAX_LISTS = 1 << 22  # rows whose lists differ in length are walked one by one
TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}


@dataclass
class Ply:
    """What a file holds.

    elements: name → structured array of its rows, with the scalar properties, in the machine's byte order.
    comments: lines of the header.  notes: what was left out.
    """

    elements: dict[str, Array]
    comments: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Property:
    name: str
    type: str
    count_type: str | None = None  # of a list: of the number before its items


@dataclass
class _Element:
    name: str
    rows: int
    properties: list[_Property] = field(default_factory=list)

    @property
    def has_lists(self) -> bool:
        return any(p.count_type for p in self.properties)

    def scalars(self, order: str = "=") -> np.dtype:
        return np.dtype([(p.name, order + p.type) for p in self.properties if p.count_type is None])


def read_elements(where: str, data: bytes) -> dict[str, Array]:
    """The elements of read_ply()."""
    return read_ply(where, data).elements


def read_ply(where: str, data: bytes) -> Ply:
    """The elements of a file; where names it in messages.

    Lists are stepped over. Elements that follow the last one without a list are not read. Raises AvatarInvalid for
    anything but a complete PLY.
    """
    end = data.find(b"end_header", 0, MAX_HEADER_BYTES)
    if not data.startswith(b"ply") or end < 0:
        raise AvatarInvalid(f"{where}: is not a PLY file (it must start with 'ply' and have an 'end_header').")
    newline = data.find(b"\n", end, end + 16)
    if newline < 0:
        raise AvatarInvalid(f"{where}: is truncated after its header.")
    encoding, elements, comments = _parse_header(where, data[:end].decode("utf-8", "replace"))
    ply = Ply({}, comments)
    wanted = [i for i, element in enumerate(elements) if not element.has_lists or "vertex" in element.name]
    elements = elements[: wanted[-1] + 1] if wanted else []
    if encoding == "ascii":
        _read_text(where, data[newline + 1 :], elements, ply)
    else:
        _read_binary(where, data, newline + 1, ORDERS[encoding], elements, ply)
    return ply


def _parse_header(where: str, text: str) -> tuple[str, list[_Element], list[str]]:
    elements: dict[str, _Element] = {}
    seen: set[str] = set()
    comments: list[str] = []
    encoding, element = "", None
    for line in text.splitlines()[1:]:
        words = line.split()
        if not words:
            continue
        if words[0] in ("comment", "obj_info"):
            comments.append(line.strip().partition(" ")[2].strip())
        elif words[0] == "format" and len(words) >= 2:
            encoding = words[1]
        elif words[0] == "element" and len(words) == 3 and words[2].isdecimal() and len(words[2]) < 12:
            if words[1] in elements:
                raise AvatarInvalid(f"{where}: has the element {words[1][:40]} twice.")
            element = elements[words[1]] = _Element(words[1], int(words[2]))
            seen = set()
        elif words[0] == "property" and element and (made := _property(words[1:])) is not None:
            if made.name in seen:
                raise AvatarInvalid(f"{where}: element {element.name[:40]} has the property {made.name[:40]} twice.")
            seen.add(made.name)
            element.properties.append(made)
        else:
            raise AvatarInvalid(f"{where}: cannot use the header line {line[:80]!r}.")
    if encoding not in ORDERS:
        raise AvatarInvalid(f"{where}: format must be one of {', '.join(ORDERS)}; got {encoding[:40]!r}.")
    for made_of in elements.values():
        if made_of.rows > MAX_ROWS:
            raise AvatarInvalid(f"{where}: has {made_of.rows} rows; at most {MAX_ROWS} are read.")
    return encoding, list(elements.values()), comments


def _property(words: list[str]) -> _Property | None:
    if len(words) == 2 and words[0] in TYPES:
        return _Property(words[1], TYPES[words[0]])
    if len(words) == 4 and words[0] == "list" and words[1] in TYPES and words[2] in TYPES:
        count_type = TYPES[words[1]]
        return _Property(words[3], TYPES[words[2]], count_type) if count_type[0] in "iu" else None
    return None


# ---- binary ----


def _read_binary(where: str, data: bytes, offset: int, order: str, elements: list[_Element], ply: Ply) -> None:
    for element in elements:
        if element.has_lists:
            ply.elements[element.name], offset = _walk_binary(where, data, offset, order, element)
            continue
        dtype = element.scalars(order)
        size = element.rows * dtype.itemsize
        if offset + size > len(data):
            raise _truncated(where, element, f"{dtype.itemsize} bytes", f"{len(data) - offset} bytes")
        ply.elements[element.name] = np.frombuffer(data, dtype, element.rows, offset).astype(
            element.scalars(), copy=False
        )
        offset += size
    if elements and elements[-1].rows and offset < len(data):
        ply.notes.append(f"{len(data) - offset} bytes after the element {elements[-1].name[:40]} were not read.")


def _walk_binary(where: str, data: bytes, offset: int, order: str, element: _Element) -> tuple[Array, int]:
    """The scalars of an element with lists, and where it ends."""
    rows = np.zeros(element.rows, element.scalars())
    if not element.rows:
        return rows, offset
    # Most often, as in triangles, all lists are as long as those of the first row: then rows have one size.
    first, _ = _binary_row(where, data, offset, order, element)
    fields: list[Any] = []
    for i, (p, count) in enumerate(zip(element.properties, first, strict=True)):
        if p.count_type is None:
            fields.append((p.name, order + p.type))
        else:
            fields += [(f"{i} count", order + p.count_type), (f"{i} items", order + p.type, (count,))]
    dtype = np.dtype(fields)
    if offset + element.rows * dtype.itemsize <= len(data):
        even = np.frombuffer(data, dtype, element.rows, offset)
        counts = [(even[f"{i} count"], count) for i, count in enumerate(first) if element.properties[i].count_type]
        if all((column == count).all() for column, count in counts):
            for name in rows.dtype.names or ():
                rows[name] = even[name]
            return rows, offset + element.rows * dtype.itemsize
    if element.rows > MAX_LISTS:
        raise _too_many(where, element, "lists of different lengths")
    for row in range(element.rows):
        values, offset = _binary_row(where, data, offset, order, element)
        scalars = [v for p, v in zip(element.properties, values, strict=True) if p.count_type is None]
        if scalars:
            rows[row] = tuple(scalars)
    return rows, offset


def _binary_row(where: str, data: bytes, offset: int, order: str, element: _Element) -> tuple[list[int | float], int]:
    """A row's scalars and lengths of lists, in the order of its properties, and where it ends."""
    values: list[int | float] = []
    for p in element.properties:
        dtype = np.dtype(order + (p.count_type or p.type))
        if offset + dtype.itemsize > len(data):
            raise _truncated(where, element, "lists", "no more bytes")
        value = np.frombuffer(data, dtype, 1, offset)[0].item()
        offset += dtype.itemsize
        if p.count_type is not None:
            size = value * np.dtype(p.type).itemsize
            if value < 0 or offset + size > len(data):
                raise _truncated(where, element, f"a list of {value}", f"{len(data) - offset} bytes")
            offset += size
        values.append(value)
    return values, offset


def _truncated(where: str, element: _Element, needed: str, found: str) -> AvatarInvalid:
    return AvatarInvalid(
        f"{where}: element {element.name[:40]} needs {element.rows} rows of {needed}, but only {found} follow; the "
        "file is truncated."
    )


def _too_many(where: str, element: _Element, what: str) -> AvatarInvalid:
    return AvatarInvalid(
        f"{where}: element {element.name[:40]} has {element.rows} rows of {what}; at most {MAX_LISTS} are read."
    )


# ---- text ----


def _read_text(where: str, body: bytes, elements: list[_Element], ply: Ply) -> None:
    if len(body) > MAX_TEXT_BYTES:
        raise AvatarInvalid(f"{where}: holds {len(body)} bytes of text; at most {MAX_TEXT_BYTES} are read. Save it as "
                            "binary.")  # fmt: skip
    numbers = _numbers(where, body)
    at = 0
    for element in elements:
        if element.has_lists:
            rows, at = _walk_text(where, numbers, at, element)
        else:
            width = len(element.properties)
            if at + element.rows * width > len(numbers):
                raise _truncated(where, element, f"{width} numbers", f"{len(numbers) - at} numbers")
            rows = _as_rows(where, element, numbers[at : at + element.rows * width].reshape(element.rows, width))
            at += element.rows * width
        ply.elements[element.name] = rows
    if elements and elements[-1].rows and at < len(numbers):
        ply.notes.append(f"{len(numbers) - at} numbers after the element {elements[-1].name[:40]} were not read.")


def _numbers(where: str, body: bytes) -> Array:
    if not body.strip():
        return np.zeros(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy says so where it stops before the end
        try:
            return np.fromstring(body.decode("ascii"), np.float64, sep=" ")
        except (DeprecationWarning, ValueError):  # UnicodeDecodeError is a ValueError
            raise AvatarInvalid(f"{where}: says that it is text, but not all of it is numbers.") from None


def _walk_text(where: str, numbers: Array, at: int, element: _Element) -> tuple[Array, int]:
    if element.rows > MAX_LISTS:
        raise _too_many(where, element, "lists in text")
    scalars = np.zeros((element.rows, sum(p.count_type is None for p in element.properties)))
    for row in range(element.rows):
        column = 0
        for p in element.properties:
            if at >= len(numbers):
                raise _truncated(where, element, "lists", "no more numbers")
            value = float(numbers[at])
            at += 1
            if p.count_type is None:
                scalars[row, column] = value
                column += 1
            elif 0 <= value <= len(numbers) - at and value.is_integer():
                at += int(value)
            else:
                raise _truncated(where, element, f"a list of {value:g}", f"{len(numbers) - at} numbers")
    return _as_rows(where, element, scalars), at


def _as_rows(where: str, element: _Element, numbers: Array) -> Array:
    rows = np.zeros(len(numbers), element.scalars())
    for i, name in enumerate(rows.dtype.names or ()):
        column, kind = numbers[:, i], rows.dtype[name]
        if kind.kind in "iu":
            limit = np.iinfo(kind)
            if not ((column >= limit.min) & (column <= limit.max)).all():
                raise AvatarInvalid(f"{where}: {name[:40]} must be numbers that {kind.name} has.")
        with np.errstate(over="ignore"):  # infinite then, and its row is left out
            rows[name] = column
    return rows


def columns(where: str, rows: Array, names: list[str]) -> Array:
    """[n, len(names)] float64 of the named properties. Raises AvatarInvalid listing those that are missing."""
    missing = [name for name in names if name not in (rows.dtype.names or ())]
    if missing:
        raise AvatarInvalid(f"{where}: lacks the properties {missing}; it has {list(rows.dtype.names or ())[:80]}.")
    if not names:
        return np.zeros((len(rows), 0))
    with np.errstate(invalid="ignore"):  # of signalling NaNs, which stay NaN
        return np.stack([rows[name].astype(np.float64) for name in names], axis=1)
