"""Named arrays out of an .npz without pickle, and without reading the entries that are not wanted."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from talksplat.errors import AvatarInvalid

from .archive import BROKEN_ZIP, read_member
from .spec import Array

# The header is a Python literal.
BROKEN_HEADER = (ValueError, TypeError, KeyError, IndexError, SyntaxError, OverflowError, MemoryError, RecursionError)


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, Array]:
    """Those of names that the file has, as float64 (integers as int64).

    Raises AvatarInvalid if the file or a wanted entry is not what numpy.savez writes of numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            wanted = [name for name in names if f"{name}.npy" in infos]
            return {
                name: _array(f"{path}:{name}", read_member(str(path), archive, infos[f"{name}.npy"])) for name in wanted
            }
    except AvatarInvalid:
        raise
    except BROKEN_ZIP as error:
        raise AvatarInvalid(f"{path}: is not a readable .npz ({error or type(error).__name__}).") from error


def _array(where: str, data: bytes) -> Array:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(stream)
    except BROKEN_HEADER as error:
        raise AvatarInvalid(f"{where}: has no valid .npy header ({error}).") from error
    return number_array(where, data[stream.tell() :], dtype, shape, fortran)


def number_array(where: str, raw: bytes, dtype: np.dtype, shape: tuple[int, ...], fortran: bool) -> Array:
    """raw as an array of floats (float64) or integers (int64); the size must match exactly."""
    if dtype.kind not in "fiub" or dtype.hasobject or dtype.fields:
        raise AvatarInvalid(f"{where}: must hold plain numbers; got dtype {dtype}. A sparse matrix? Save it dense.")
    valid = all(isinstance(n, int) and n >= 0 for n in shape) and len(shape) <= 8
    count = 1
    for n in shape if valid else ():
        count *= n
    if not valid or count * dtype.itemsize != len(raw):
        raise AvatarInvalid(f"{where}: {dtype} {list(shape)} does not fit its {len(raw)} bytes; the file is damaged.")
    array = np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(np.float64 if dtype.kind == "f" else np.int64)
