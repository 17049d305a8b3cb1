"""Binary PLY: header and elements, nothing about Gaussians."""

from __future__ import annotations

import numpy as np

from talksplat.errors import AvatarInvalid

from .spec import MAX_ROWS, Array

MAX_HEADER_BYTES = 64 << 10
DTYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2", "ushort": "<u2",
    "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4", "float": "<f4", "float32": "<f4",
    "double": "<f8", "float64": "<f8",
}  # fmt: skip


def read_elements(where: str, data: bytes) -> dict[str, Array]:
    """Element name -> structured array of its rows (fields named as in the file).

    where names the file in messages. Raises AvatarInvalid for anything but a complete binary_little_endian PLY of
    scalar properties; elements after a list property are refused, since their place is unknown.
    """
    end = data.find(b"end_header", 0, MAX_HEADER_BYTES)
    if not data.startswith(b"ply") or end < 0:
        raise AvatarInvalid(f"{where}: is not a PLY file (it must start with 'ply' and have an 'end_header').")
    newline = data.find(b"\n", end, end + 16)
    if newline < 0:
        raise AvatarInvalid(f"{where}: is truncated after its header.")
    elements = _parse_header(where, data[:end].decode("ascii", "replace"))
    offset, out = newline + 1, {}
    for name, (rows, dtype) in elements.items():
        size = rows * dtype.itemsize
        if offset + size > len(data):
            raise AvatarInvalid(
                f"{where}: element {name} needs {rows} rows of {dtype.itemsize} bytes, but only "
                f"{len(data) - offset} bytes follow; the file is truncated."
            )
        out[name] = np.frombuffer(data, dtype, rows, offset)
        offset += size
    return out


def _parse_header(where: str, text: str) -> dict[str, tuple[int, np.dtype]]:
    fields: dict[str, list[tuple[str, str]]] = {}
    rows: dict[str, int] = {}
    encoding, element = "", ""
    for line in text.splitlines()[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) >= 2:
            encoding = words[1]
        elif words[0] == "element" and len(words) == 3 and words[2].isdecimal() and len(words[2]) < 12:
            element = words[1]
            rows[element], fields[element] = int(words[2]), []
        elif words[0] == "property" and len(words) == 3 and words[1] in DTYPES and element:
            if words[2] in dict(fields[element]):
                raise AvatarInvalid(f"{where}: element {element} has the property {words[2]} twice.")
            fields[element].append((words[2], DTYPES[words[1]]))
        else:
            raise AvatarInvalid(f"{where}: cannot use the header line {line[:80]!r}; scalar properties are read.")
    if encoding != "binary_little_endian":
        raise AvatarInvalid(f"{where}: format must be binary_little_endian; got {encoding[:40]!r}. Save it as binary.")
    if any(count > MAX_ROWS for count in rows.values()):
        raise AvatarInvalid(f"{where}: has {max(rows.values())} rows; at most {MAX_ROWS} are read.")
    return {name: (rows[name], np.dtype(fields[name])) for name in rows}


def columns(where: str, rows: Array, names: list[str]) -> Array:
    """[n, len(names)] float64 of the named properties. Raises AvatarInvalid listing those that are missing."""
    missing = [name for name in names if name not in (rows.dtype.names or ())]
    if missing:
        raise AvatarInvalid(f"{where}: lacks the properties {missing}; it has {list(rows.dtype.names or ())[:80]}.")
    if not names:
        return np.zeros((len(rows), 0))
    with np.errstate(invalid="ignore"):  # of signalling NaNs, which stay NaN
        return np.stack([rows[name].astype(np.float64) for name in names], axis=1)
