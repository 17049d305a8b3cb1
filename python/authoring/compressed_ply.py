# SPDX-License-Identifier: Apache-2.0
"""SuperSplat's compressed .ply: chunks of 256 Gaussians quantised against each chunk's bounds.

Layout: PlayCanvas splat-transform, "compressed ply": position 11-10-11 bits, rotation 2 bits for the largest
component and 10 for each other, scale 11-10-11, colour and opacity 8 bits each.
"""

from __future__ import annotations

import numpy as np

from talksplat.errors import AvatarInvalid

from .gaussians import SH_C0, Gaussians, exp_scale, gaussians
from .ply_file import columns
from .spec import Array

CHUNK = 256
PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
SH_COUNTS = {0: 0, 9: 1, 24: 2, 45: 3}
SH_RANGE = 8.0  # coefficients of the bands above 0 are u8 over [-4, 4]


def is_compressed(elements: dict[str, Array]) -> bool:
    vertex = elements.get("vertex")
    return "chunk" in elements and vertex is not None and PACKED[0] in (vertex.dtype.names or ())


def decode_compressed(where: str, elements: dict[str, Array]) -> Gaussians:
    """Activated Gaussians. Raises AvatarInvalid for missing fields or a wrong number of chunks."""
    vertex, chunk = elements["vertex"], elements["chunk"]
    n = len(vertex)
    if not n or len(chunk) != -(-n // CHUNK):
        raise AvatarInvalid(f"{where}: {n} Gaussians must have {-(-n // CHUNK)} chunks of {CHUNK}; got {len(chunk)}.")
    wrong = [name for name in PACKED if (vertex.dtype.fields or {}).get(name, (None,))[0] != np.dtype("<u4")]
    if wrong:
        raise AvatarInvalid(f"{where}: the vertex properties {wrong} must exist and be uint.")
    position, rotation, scale, color = (vertex[name].astype(np.int64) for name in PACKED)
    owner = np.arange(n) // CHUNK

    def spread(values: Array, fields: tuple[str, str, str]) -> Array:
        low = columns(where, chunk, [f"min_{f}" for f in fields])[owner]
        high = columns(where, chunk, [f"max_{f}" for f in fields])[owner]
        out: Array = low + values * (high - low)
        return out

    red = _bits(color, (24, 16, 8), (8, 8, 8))
    if "min_r" in (chunk.dtype.names or ()):  # older files keep 0..1
        red = spread(red, ("r", "g", "b"))
    dc = (red - 0.5) / SH_C0
    return gaussians(
        where,
        mean=spread(_bits(position, (21, 11, 0), (11, 10, 11)), ("x", "y", "z")),
        quat=_rotation(rotation),
        scale=exp_scale(spread(_bits(scale, (21, 11, 0), (11, 10, 11)), ("scale_x", "scale_y", "scale_z"))),
        opacity=(color & 255) / 255.0,
        color=np.concatenate([dc[:, None], _rest(where, elements, n)], axis=1),
    )


def _bits(word: Array, shifts: tuple[int, ...], widths: tuple[int, ...]) -> Array:
    """[n,len] unsigned fields of word, each over its largest value."""
    return np.stack([((word >> s) & ((1 << w) - 1)) / ((1 << w) - 1) for s, w in zip(shifts, widths, strict=True)], 1)


def _rotation(word: Array) -> Array:
    """[n,4] wxyz: the three smaller components are stored over [-1/sqrt 2, 1/sqrt 2], the largest follows."""
    small = (_bits(word, (20, 10, 0), (10, 10, 10)) - 0.5) * np.sqrt(2.0)
    largest = (word >> 30) & 3
    quat = np.empty((len(word), 4))
    for k in range(4):
        rows = np.flatnonzero(largest == k)
        quat[rows[:, None], [c for c in range(4) if c != k]] = small[rows]
        quat[rows, k] = np.sqrt(np.maximum(0.0, 1 - (small[rows] ** 2).sum(1)))
    return quat


def _rest(where: str, elements: dict[str, Array], n: int) -> Array:
    """[n,K-1,3] SH coefficients above band 0; none without an element 'sh'."""
    if "sh" not in elements:
        return np.zeros((n, 0, 3))
    rows = elements["sh"]
    names = [f"f_rest_{i}" for i in range(len(rows.dtype.names or ()))]
    if len(rows) != n or len(names) not in SH_COUNTS:
        raise AvatarInvalid(f"{where}: element sh must have {n} rows of 0, 9, 24 or 45 fields; got {len(rows)}.")
    byte = columns(where, rows, names)
    values = np.where(byte == 0, 0.0, np.where(byte == 255, 1.0, (byte + 0.5) / 256))
    out: Array = ((values - 0.5) * SH_RANGE).reshape(n, 3, len(names) // 3).transpose(0, 2, 1)
    return out
