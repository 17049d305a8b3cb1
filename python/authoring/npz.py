# SPDX-License-Identifier: Apache-2.0
"""Named arrays out of an .npz without pickle, and without reading the entries that are not wanted."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np

from talksplat._bounds import Bounds
from talksplat._text import shortened, shown
from talksplat.errors import AvatarInvalid, AvatarNotFound

from .spec import Array

# Offsets of every frame, which are not read, make the parameters of a long training large.
NPZ = Bounds(AvatarInvalid, file_bytes=4 << 30, unpacked_bytes=512 << 20)
MAX_DIMENSIONS = 8
# The header is a Python literal.
BROKEN_HEADER = (ValueError, TypeError, KeyError, IndexError, SyntaxError, OverflowError, MemoryError, RecursionError)


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, Array]:
    """Those of names that the file has, as float64 (integers as int64).

    Raises AvatarNotFound if the file cannot be read, AvatarInvalid if it or a wanted entry is not what numpy.savez
    writes of numbers.
    """
    try:
        with NPZ.zip(f"{path}: cannot be unpacked as .npz", path) as archive:
            members = {name: f"{name}.npy" for name in names}
            return {
                name: _array(f"{path}:{name}", archive.read(member))
                for name, member in members.items()
                if member in archive.members
            }
    except OSError as error:
        raise AvatarNotFound(f"{path}: cannot be read ({error.strerror or error}).") from error


def _array(where: str, data: bytes) -> Array:
    stream = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in the literal, say; what matters of it is checked below
            version = np.lib.format.read_magic(stream)
            first = version == (1, 0)
            read_header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read_header(stream)
    except BROKEN_HEADER as error:
        raise AvatarInvalid(f"{where}: has no valid .npy header ({shortened(str(error))}).") from error
    return number_array(where, data[stream.tell() :], dtype, shape, fortran)


def number_array(where: str, raw: bytes, dtype: np.dtype, shape: tuple[int, ...], fortran: bool) -> Array:
    """raw as an array of floats (float64) or integers (int64); the size must match exactly."""
    if dtype.kind not in "fiub" or dtype.hasobject or dtype.fields:
        kind = shortened(str(dtype), 80)
        raise AvatarInvalid(f"{where}: must hold plain numbers; got dtype {kind}. A sparse matrix? Save it dense.")
    valid = len(shape) <= MAX_DIMENSIONS and all(isinstance(n, int) and 0 <= n < 1 << 40 for n in shape)
    count = 1
    for n in shape if valid else ():
        count *= n
    if not valid or count * dtype.itemsize != len(raw):
        sizes = shown(list(shape[: MAX_DIMENSIONS + 1]))
        raise AvatarInvalid(f"{where}: {dtype} {sizes} does not fit its {len(raw)} bytes; the file is damaged.")
    array = np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(np.float64 if dtype.kind == "f" else np.int64)
