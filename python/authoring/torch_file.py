# SPDX-License-Identifier: Apache-2.0
"""Files of torch.save(), without torch and without running them: numbers, texts, dicts and tensors come out.

Such a file is a zip (since torch 1.6): a pickle of everything but the tensors' numbers, and a member for each storage
of those. A tensor is a view of a storage, and is only read when its array is asked for: the state of an optimiser,
which nobody asks for, costs nothing.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import PurePosixPath

import numpy as np
from numpy.lib.stride_tricks import as_strided

from talksplat._bounds import Bounds, Zip
from talksplat._text import listed, printable, shown
from talksplat.errors import AvatarInvalid

from .pickle_machine import Global, Machine, Unreadable
from .pickle_stand_ins import Dtype, encode, ordered, scalar
from .spec_checks import Array

MAX_FILE_BYTES = 4 << 30
MAX_PICKLE_BYTES = 64 << 20  # some kilobytes are usual: the numbers lie elsewhere
MAX_MEMBERS = 1 << 16
MAX_GROWTH = 4  # of all arrays that are asked for, to the file
FREE_BYTES = 16 << 20
MAX_DIMENSIONS = 8
BOUNDS = Bounds(
    AvatarInvalid, MAX_FILE_BYTES, MAX_PICKLE_BYTES + FREE_BYTES, ratio=1, free_bytes=0, members=MAX_MEMBERS
)
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")  # APPNOTE.TXT 4.3.7; the lengths of a name and of extra fields come last
_LEGACY = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")  # the number that torch began its files with before 1.6
_STORAGES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "bf16",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?",
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """A tensor that has not been read yet: a view of a storage."""

    shape: tuple[int, ...]
    _file: _File
    _storage: _Storage
    _offset: int
    _stride: tuple[int, ...]

    def array(self) -> Array:
        """Its numbers, a contiguous copy; bfloat16 as float32. Raises AvatarInvalid if the file lacks them."""
        return self._file.array(self, self._storage, self._offset, self._stride)


@dataclass(frozen=True)
class _Storage:
    key: str
    kind: str
    count: int


class _Kind(Global):
    """The class of a storage; only ids of storages name it."""

    def __init__(self, name: str) -> None:
        super().__init__(_not_called)
        self.name = name


def load_torch(where: str, data: bytes) -> object:
    """What a file of torch.save() holds: dicts, lists, tuples, numbers and texts, with a Tensor for each tensor.

    Raises AvatarInvalid, which begins with where, if it is no such file, is damaged, or names what no checkpoint of
    weights has a use for.
    """
    if data.startswith(_LEGACY):
        raise AvatarInvalid(
            f"{where}: is in the layout that torch had before 1.6, which is not read. Load it with torch and save it "
            "again: torch.save(torch.load(PATH, map_location='cpu'), PATH)."
        )
    if not data.startswith(b"PK"):
        raise AvatarInvalid(f"{where}: is no file of torch.save(), which is a zip; it begins with {data[:8]!r}.")
    return _File(where, data).content()


class _File:
    def __init__(self, where: str, data: bytes) -> None:
        self.where, self._data = where, data
        self._left = MAX_GROWTH * len(data) + FREE_BYTES
        with BOUNDS.zip(where, data) as archive:
            root = _root(where, archive)
            order = f"{root}byteorder"
            if order in archive.members and archive.read(order).strip() != b"little":
                raise AvatarInvalid(f"{where}: is big-endian, which is not read. Save it on another machine.")
            if archive.members[f"{root}data.pkl"].file_size > MAX_PICKLE_BYTES:
                raise AvatarInvalid(f"{where}: its data.pkl has more than {MAX_PICKLE_BYTES} bytes, without numbers.")
            self._pickle = archive.read(f"{root}data.pkl")
            place = f"{root}data/"
            self._storages = {
                name.removeprefix(place): info for name, info in archive.members.items() if name.startswith(place)
            }

    def content(self) -> object:
        try:
            return Machine(self._pickle, self._find, self._outside).load()
        except (Unreadable, RecursionError) as error:
            raise AvatarInvalid(f"{self.where}: is not a readable file of torch.save() ({error}).") from None

    def array(self, tensor: Tensor, storage: _Storage, offset: int, stride: tuple[int, ...]) -> Array:
        dtype = np.dtype("<u2" if storage.kind == "bf16" else storage.kind)
        # A few bytes can name one storage a thousand times, and each time it is read and checked.
        self._left -= max(prod(tensor.shape), storage.count) * dtype.itemsize
        if self._left < 0:
            raise AvatarInvalid(f"{self.where}: its tensors are out of proportion to the file.")
        steps = tuple(step * dtype.itemsize for step in stride)
        flat = np.frombuffer(self._raw(storage, dtype.itemsize), dtype)[offset:]
        view = as_strided(flat, tensor.shape, steps, writeable=False) if prod(tensor.shape) else flat[:0]
        out = np.array(view, order="C").reshape(tensor.shape)
        return (out.astype("<u4") << 16).view("<f4") if storage.kind == "bf16" else out

    def _raw(self, storage: _Storage, itemsize: int) -> memoryview:
        where = f"{self.where}: the storage {shown(storage.key)}"
        info = self._storages.get(storage.key)
        if info is None:
            raise AvatarInvalid(f"{where} of a tensor is missing.")
        if info.file_size != storage.count * itemsize or info.compress_type != zipfile.ZIP_STORED:
            raise AvatarInvalid(
                f"{where} must be {storage.count} numbers of {itemsize} bytes, not packed; it has {info.file_size} "
                f"bytes in {info.compress_size}."
            )
        header = self._data[info.header_offset : info.header_offset + _LOCAL_HEADER.size]
        if len(header) == _LOCAL_HEADER.size and header.startswith(b"PK\3\4"):
            begin = info.header_offset + _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack(header)[-2:])
            raw = memoryview(self._data)[begin : begin + info.file_size]
            if len(raw) == info.file_size and zlib.crc32(raw) == info.CRC:
                return raw
        raise AvatarInvalid(f"{where} is damaged. Copy the file again.")

    def _find(self, module: str, name: str) -> Global:
        if module == "torch" and name in _STORAGES:
            return _Kind(_STORAGES[name])
        known: dict[str, Callable[..., object]] = {
            **_ALLOWED, "torch._utils._rebuild_tensor_v2": self._tensor, "torch._utils._rebuild_parameter": _parameter,
        }  # fmt: skip
        if (found := known.get(f"{module}.{name}")) is None:
            raise AvatarInvalid(
                f"{self.where}: names {printable(f'{module}.{name}')}, which no checkpoint of weights has a use for; "
                "it was not run. Save state dicts and tensors alone: torch.save(model.state_dict(), PATH)."
            )
        return Global(found)

    def _outside(self, reference: object) -> _Storage:
        """('storage', class, key, device, count)"""
        if isinstance(reference, tuple) and len(reference) >= 5 and reference[0] == "storage":
            _, kind, key, _, count = reference[:5]
            if isinstance(kind, _Kind) and isinstance(key, str) and key.isalnum() and _is_count(count):
                return _Storage(key, kind.name, count)
        raise Unreadable(f"it names the storage {shown(reference)}")

    def _tensor(self, storage: object, offset: object, shape: object, stride: object, *_: object) -> Tensor:
        fits = isinstance(storage, _Storage) and _is_count(offset) and _are_counts(shape) and _are_counts(stride)
        if not fits or len(shape) != len(stride):  # type: ignore[arg-type]
            raise Unreadable(f"it makes a tensor of {shown(offset)}, {shown(shape)} and {shown(stride)}")
        assert isinstance(storage, _Storage) and isinstance(offset, int)
        assert isinstance(shape, tuple) and isinstance(stride, tuple)
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        if prod(shape) and last >= storage.count:
            raise Unreadable(f"a tensor ends behind its storage: {last} of {storage.count}")
        return Tensor(shape, self, storage, offset, stride)


def _root(where: str, archive: Zip) -> str:
    """The folder in the zip that has everything, with its slash."""
    found = [name for name in archive.members if PurePosixPath(name).name == "data.pkl" and name.count("/") <= 1]
    if len(found) != 1:
        names = listed(map(shown, archive.members), len(archive.members)) or "nothing"
        raise AvatarInvalid(f"{where}: is no file of torch.save(), which has one data.pkl; it has {names}.")
    root = found[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in archive.members:
        raise AvatarInvalid(f"{where}: is a TorchScript program, not a checkpoint. Pass what training saved.")
    return root


def _parameter(data: object = None, *_: object) -> Tensor:
    if not isinstance(data, Tensor):
        raise Unreadable(f"it makes a parameter of {shown(data)}")
    return data


def _not_called(*_: object) -> None:
    raise Unreadable("it makes a storage")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40


def _are_counts(value: object) -> bool:
    return isinstance(value, tuple) and len(value) <= MAX_DIMENSIONS and all(map(_is_count, value))


_ALLOWED: dict[str, Callable[..., object]] = {
    "collections.OrderedDict": ordered,
    "numpy.dtype": Dtype,
    "numpy.core.multiarray.scalar": scalar,
    "numpy._core.multiarray.scalar": scalar,
    "_codecs.encode": encode,
}
