# SPDX-License-Identifier: Apache-2.0
"""Niantic's .spz as a file: its header, its attributes as bytes, and what its extension records say.

Layout: nianticlabs/spz, load-spz.cc. Versions 1 to 3 are one stream: a header of 16 bytes, attribute after attribute,
extension records; the whole is most often inside gzip. Version 4 has a header of 32 bytes, extension records, a table
of sizes, and every attribute packed with zstd by itself.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field

import numpy as np

from talksplat.errors import AvatarInvalid

from .packed import SCENES
from .spec import MAX_ROWS, Array

MAGIC = b"NGSP"
HEADER = struct.Struct("<4sIIBBBB")  # magic, version, points, SH degree, fractional bits, flags, streams (version 4)
TABLE_AT = struct.Struct("<I12x")  # version 4: where the table of sizes begins; reserved
SIZES = struct.Struct("<QQ")  # of a stream: packed, unpacked
RECORD = struct.Struct("<II")  # of an extension: which, how many bytes
ANTIALIASED, HAS_EXTENSIONS = 1, 2
MAX_DEGREE = 4
ORBIT, AXES = 0xADBE0002, 0xADBE0003
# What SPZ_ADOBE_coordinate_system may say: directions of x, y and z, of left, right, up, down, front, back.
SYSTEMS = ("", "LDB", "RDB", "LUB", "RUB", "LDF", "RDF", "LUF", "RUF", "LFD", "RFD", "LFU", "RFU", "LBD", "RBD", "LBU",
           "RBU")  # fmt: skip


@dataclass
class Spz:
    """n Gaussians.

    position [n,9] bytes, or [n,6] in version 1; alpha [n,1], color [n,3], scale [n,3], rotation [n,3 or 4],
    rest [n,3K]; fraction: bits of positions behind the point.  system: of the axes, "RUB" where nothing is said.
    """

    version: int
    n: int
    degree: int
    fraction: int
    antialiased: bool
    position: Array
    alpha: Array
    color: Array
    scale: Array
    rotation: Array
    rest: Array
    system: str = "RUB"
    notes: list[str] = field(default_factory=list)


def read_spz(where: str, data: bytes) -> Spz:
    """From a file's bytes, gzip already undone. Raises AvatarInvalid for anything but versions 1 to 4."""
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise AvatarInvalid(f"{where}: is not an .spz file (it must start with 'NGSP', inside gzip or not).")
    _, version, n, degree, fraction, flags, streams = HEADER.unpack_from(data)
    if version not in (1, 2, 3, 4):
        raise AvatarInvalid(f"{where}: is spz version {version}; versions 1 to 4 are read. Save it as one of them.")
    if degree > MAX_DEGREE or fraction > 30 or not 0 < n <= MAX_ROWS:
        raise AvatarInvalid(
            f"{where}: must have 1 to {MAX_ROWS} points, SH degree 0..{MAX_DEGREE} and at most 30 fractional bits; "
            f"got {n}, {degree}, {fraction}."
        )
    n_rest = 3 * ((degree + 1) ** 2 - 1)
    widths = [6 if version == 1 else 9, 1, 3, 3, 4 if version >= 3 else 3, n_rest]
    notes: list[str] = []
    if version == 4:
        parts, records = _streams(where, data, n, widths if n_rest else widths[:-1], streams, notes)
        if not n_rest:
            parts.append(b"")
    else:
        parts, records = _stream(where, data, n, widths)
    columns = [np.frombuffer(part, np.uint8).reshape(n, width) for part, width in zip(parts, widths, strict=True)]
    position, alpha, color, scale, rotation, rest = columns
    antialiased = bool(flags & ANTIALIASED)
    spz = Spz(version, n, degree, fraction, antialiased, position, alpha, color, scale, rotation, rest, notes=notes)
    if flags & HAS_EXTENSIONS:
        _heed(where, records, spz)
    elif records:
        notes.append(f"{len(records)} bytes after its Gaussians were not read.")
    return spz


def _stream(where: str, data: bytes, n: int, widths: list[int]) -> tuple[list[bytes], bytes]:
    """The attributes of versions 1 to 3, and what follows them."""
    size, offset = n * sum(widths), HEADER.size
    if len(data) - offset < size:
        raise AvatarInvalid(
            f"{where}: {n} points need {size} bytes; got {len(data) - offset}. The file is damaged or cut off."
        )
    parts = []
    for width in widths:
        parts.append(data[offset : offset + n * width])
        offset += n * width
    return parts, data[offset:]


def _streams(
    where: str, data: bytes, n: int, widths: list[int], streams: int, notes: list[str]
) -> tuple[list[bytes], bytes]:
    """The attributes of version 4, and its extension records."""
    begin = HEADER.size + TABLE_AT.size
    table = TABLE_AT.unpack_from(data, HEADER.size)[0] if len(data) >= begin else 0
    if streams != len(widths) or table < begin or table + streams * SIZES.size > len(data):
        raise AvatarInvalid(
            f"{where}: must have {len(widths)} streams and their table inside its {len(data)} bytes; got {streams} at "
            f"byte {table}. The file is damaged or cut off."
        )
    at = table + streams * SIZES.size
    parts = []
    for i, width in enumerate(widths):
        packed, size = SIZES.unpack_from(data, table + i * SIZES.size)
        if size != n * width or packed > len(data) - at:
            raise AvatarInvalid(
                f"{where}: stream {i} must hold {n * width} bytes inside the file; got {size}, packed into {packed} of "
                f"{len(data) - at}. The file is damaged or cut off."
            )
        parts.append(_unpacked(where, i, data[at : at + packed], size))
        at += packed
    if at < len(data):
        notes.append(f"{len(data) - at} bytes after its Gaussians were not read.")
    return parts, data[begin:table]


def _unpacked(where: str, stream: int, packed: bytes, size: int) -> bytes:
    if size > SCENES.limit_of(len(packed)):
        raise AvatarInvalid(f"{where}: stream {stream} unpacks from {len(packed)} to {size} bytes, out of proportion.")
    import zstandard

    try:
        # Not decompress(), which takes as much memory as the packed stream asks for.
        out = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(io.BytesIO(packed)).read(size + 1)
    except zstandard.ZstdError as error:
        raise AvatarInvalid(f"{where}: stream {stream} is damaged ({error}).") from None
    if len(out) != size:
        raise AvatarInvalid(f"{where}: stream {stream} must unpack to {size} bytes; it gives others.")
    return out


def _heed(where: str, records: bytes, spz: Spz) -> None:
    at, stated = 0, False
    while at < len(records):
        if at + RECORD.size > len(records):
            spz.notes.append("Its extension records are cut off.")
            return
        which, length = RECORD.unpack_from(records, at)
        at += RECORD.size
        content = records[at : at + length]
        at += length
        if which == AXES:
            code = int.from_bytes(content, "little") if len(content) == 4 else -1
            if not 0 <= code < len(SYSTEMS):
                raise AvatarInvalid(f"{where}: its record of axes (0x{AXES:X}) must be a number 0..16; got {code}.")
            if not stated:  # the first one counts, as in the format's own reader
                spz.system = SYSTEMS[code] or "RUB"
                spz.notes.append(f"Its axes are {spz.system}, by its extension record.")
            stated = True
        elif which == ORBIT:
            spz.notes.append("Its limits for an orbiting camera (0xADBE0002) are not used.")
        else:
            spz.notes.append(f"Its extension record 0x{which:08X} of {length} bytes is of an unknown kind.")
