"""Niantic's .spz, versions 2 and 3: gzip (or nothing) around attribute after attribute of fixed-point numbers.

Layout: nianticlabs/spz, load-spz.cc. Axes are right, up, back, so y points up. Version 4 (zstd) is refused.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np

from talksplat.errors import AvatarInvalid

from .archive import ALWAYS_BYTES, MAX_RATIO
from .gaussians import exp_scale, gaussians
from .scene import static_scene
from .source import Source
from .spec import Array, Manifest

MAGIC = b"NGSP"
GZIP = b"\x1f\x8b"
HEADER = struct.Struct("<4sIIBBBB")  # magic, version, points, SH degree, fractional bits, flags, reserved
ANTIALIASED = 1
COLOR_SCALE = 0.15
MAX_DEGREE = 3


def import_spz(path: Path, name: str) -> tuple[Manifest, dict[str, Array]]:
    """A static scene. Raises AvatarNotFound if path cannot be read, AvatarInvalid for anything but spz 2 and 3."""
    source = Source()
    where = str(path)
    header, body = _unpack(where, source.read(path))
    n, degree, fraction, flags, rotation_bytes = header
    if flags & ANTIALIASED:
        source.notes.append("Trained with anti-aliased (Mip-Splatting) filtering; it is drawn without.")
    n_rest = (degree + 1) ** 2 - 1
    parts, offset = [], 0
    for width in (9, 1, 3, 3, rotation_bytes, 3 * n_rest):
        parts.append(np.frombuffer(body, np.uint8, n * width, offset).reshape(n, width))
        offset += n * width
    position, alpha, color, scale, rotation, rest = parts
    words = np.pad(position.reshape(n, 3, 3), ((0, 0), (0, 0), (1, 0))).copy().view("<i4")[..., 0]
    dc = (color / 255.0 - 0.5) / COLOR_SCALE
    sh = np.concatenate([dc[:, None], (rest.reshape(n, n_rest, 3) - 128.0) / 128.0], axis=1)
    cloud = gaussians(
        where,
        mean=(words >> 8) / 2.0**fraction,
        quat=_smallest_three(rotation) if rotation_bytes == 4 else _first_three(rotation),
        scale=exp_scale(scale / 16.0 - 10.0),
        opacity=alpha[:, 0] / 255.0,
        color=sh,
    )
    return static_scene(cloud, name, source, "spz", y_up=True)


def _unpack(where: str, data: bytes) -> tuple[tuple[int, int, int, int, int], bytes]:
    """(points, degree, fractional bits, flags, bytes per rotation), and the body of exactly the right size."""
    packed = data.startswith(GZIP)
    try:
        stream = zlib.decompressobj(31)
        head = stream.decompress(data, HEADER.size) if packed else data[: HEADER.size]
        if len(head) < HEADER.size or not head.startswith(MAGIC):
            raise AvatarInvalid(f"{where}: is not an .spz file (it must start with 'NGSP', inside gzip or not).")
        _, version, n, degree, fraction, flags, _ = HEADER.unpack(head)
        if version not in (2, 3):
            raise AvatarInvalid(
                f"{where}: is spz version {version}; versions 2 and 3 are read. Save it as version 3, or as .ply."
            )
        if degree > MAX_DEGREE or fraction > 30 or not n:
            raise AvatarInvalid(
                f"{where}: must have points, SH degree 0..{MAX_DEGREE} and at most 30 fractional bits; "
                f"got {n}, {degree}, {fraction}."
            )
        rotation_bytes = 4 if version == 3 else 3
        size = n * (9 + 1 + 3 + 3 + rotation_bytes + 3 * ((degree + 1) ** 2 - 1))
        if size > MAX_RATIO * len(data) + ALWAYS_BYTES:
            raise AvatarInvalid(f"{where}: {n} points need {size} bytes, too many for a file of {len(data)}.")
        body = stream.decompress(stream.unconsumed_tail, size + 1) if packed else data[HEADER.size :]
    except zlib.error as error:
        raise AvatarInvalid(f"{where}: its gzip stream is damaged ({error}).") from error
    if len(body) != size:
        raise AvatarInvalid(f"{where}: {n} points need {size} bytes; got {len(body)}. The file is damaged.")
    return (n, degree, fraction, flags, rotation_bytes), body


def _first_three(rotation: Array) -> Array:
    """[n,4] wxyz from version 2: x, y, z in bytes over [-1, 1], w >= 0 follows."""
    xyz = rotation / 127.5 - 1
    w = np.sqrt(np.maximum(0.0, 1 - (xyz * xyz).sum(1, keepdims=True)))
    return np.concatenate([w, xyz], axis=1)


def _smallest_three(rotation: Array) -> Array:
    """[n,4] wxyz from version 3: two bits name the largest of x, y, z, w; the others are sign and nine bits each."""
    word = rotation.copy().view("<u4")[:, 0].astype(np.int64)
    largest = word >> 30
    xyzw = np.zeros((len(word), 4))
    for component in (3, 2, 1, 0):
        rows = np.flatnonzero(largest != component)
        magnitude = (word[rows] & 511) / 511 * math.sqrt(0.5)
        xyzw[rows, component] = np.where(word[rows] & 512, -magnitude, magnitude)
        word[rows] >>= 10
    rest = np.sqrt(np.maximum(0.0, 1 - (xyzw * xyzw).sum(1)))
    xyzw[np.arange(len(word)), largest] = rest
    return xyzw[:, [3, 0, 1, 2]]
