# SPDX-License-Identifier: Apache-2.0
"""FLAME's pickles without running them: arrays, sparse matrices and chumpy values come out, nothing else is called.

Every global that a pickle may name maps to a stand-in here; the real numpy, scipy or chumpy object is never built
from the file's arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from talksplat._text import printable, shown
from talksplat.errors import AvatarInvalid

from .npz import number_array
from .pickle_machine import Global, Machine, Stateful, Unreadable
from .pickle_stand_ins import Dtype, encode, latin1, ordered
from .spec import Array

MAX_GROWTH = 16  # of what comes out to the file; bytes become integers of eight bytes
FREE_BYTES = 64 << 20


def load_fields(where: str, data: bytes) -> dict[str, Array]:
    """The pickled dict's fields that are numbers, as float64 or int64 arrays; sparse matrices become dense.

    Raises AvatarInvalid if the pickle names a global that is not on the list, is damaged, or would grow out of
    proportion to the file.
    """
    room = _Room(where, MAX_GROWTH * len(data) + FREE_BYTES)
    try:
        content = Machine(data, lambda module, name: _find(where, module, name)).load()
        if not isinstance(content, dict):
            raise AvatarInvalid(f"{where}: must hold a dict of FLAME's fields; got {type(content).__name__}.")
        return {key: array for key, value in content.items() if (array := _value(room, value)) is not None}
    except (Unreadable, RecursionError) as error:
        raise AvatarInvalid(f"{where}: is not a readable pickle ({error}).") from None


class _Room:
    """The memory that is left for arrays: a few bytes can name one array a thousand times."""

    def __init__(self, where: str, left: int) -> None:
        self.where = where
        self._left = left

    def take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise AvatarInvalid(
                f"{self.where}: its arrays are out of proportion to the file. Save them with numpy.savez and pass "
                "that file."
            )


class _Array(Stateful):
    """numpy.ndarray: made empty, then given its state."""

    def __init__(self) -> None:
        self.state: tuple[Any, ...] = ()

    def set_state(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) == 5:
            self.state = state[1:]

    @property
    def holds_objects(self) -> bool:
        return bool(self.state) and isinstance(self.state[1], Dtype) and self.state[1].dtype.hasobject

    def array(self, room: _Room) -> Array:
        if not self.state:
            raise AvatarInvalid(f"{room.where}: an array in it has no contents.")
        shape, dtype, fortran, raw = self.state
        if not (isinstance(shape, tuple) and isinstance(dtype, Dtype) and isinstance(raw, str | bytes)):
            raise AvatarInvalid(f"{room.where}: an array in it does not hold plain numbers.")
        kind = dtype.dtype
        room.take(len(raw) // kind.itemsize * 8 + len(raw))
        raw = latin1(raw) if isinstance(raw, str) else raw  # Python 2 wrote bytes as str
        return number_array(room.where, raw, kind, shape, fortran is True)


class _Fields(Stateful):
    """An object known by its attributes only."""

    def __init__(self, *_: object) -> None:
        self.fields: dict[str, Any] = {}

    def set_state(self, state: object) -> None:
        self.fields = state if isinstance(state, dict) else {}


class _Columns(_Fields):
    """scipy.sparse csc_matrix."""

    by_column = True

    def array(self, room: _Room) -> Array:
        shape = self.fields.get("_shape", self.fields.get("shape"))
        if not (isinstance(shape, tuple) and len(shape) == 2 and all(map(_is_size, shape))):
            raise AvatarInvalid(f"{room.where}: a sparse matrix in it must have a shape; got {shown(shape)}.")
        rows, columns = shape
        lines, width = (columns, rows) if self.by_column else (rows, columns)
        arrays = [self.fields.get(key) for key in ("indptr", "indices", "data")]
        parts: list[Array] = [part.array(room) if isinstance(part, _Array) else np.zeros((0, 0)) for part in arrays]
        start, index, value = parts
        if start.ndim != 1 or index.ndim != 1 or value.ndim != 1 or start.dtype.kind != "i" or index.dtype.kind != "i":
            raise AvatarInvalid(f"{room.where}: a sparse matrix in it of shape {shape} has no usable contents.")
        ordered = len(start) == lines + 1 and start[0] == 0 and start[-1] == len(index) == len(value)
        if not ordered or (np.diff(start) < 0).any() or ((index < 0) | (index >= width)).any():
            raise AvatarInvalid(f"{room.where}: a sparse matrix in it of shape {shape} has indices out of range.")
        room.take(8 * rows * columns)
        dense = np.zeros((lines, width))
        np.add.at(dense, (np.repeat(np.arange(lines), np.diff(start)), index), value)
        return dense.T if self.by_column else dense


class _Rows(_Columns):
    """scipy.sparse csr_matrix."""

    by_column = False


class _Chumpy(_Fields):
    """chumpy.Ch: its value is the attribute x."""

    def array(self, room: _Room) -> Array:
        value = _value(room, self.fields.get("x"))
        if value is None:
            raise AvatarInvalid(f"{room.where}: a chumpy value in it has no array x.")
        return value


def _value(room: _Room, value: object) -> Array | None:
    """A field as an array; None if it is text or anything else that is not numbers."""
    if isinstance(value, _Array) and value.holds_objects:
        return None
    if isinstance(value, _Array | _Columns | _Chumpy):
        return value.array(room)
    return None


def _is_size(n: object) -> bool:
    return isinstance(n, int) and 0 < n < 1 << 31


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _from_buffer(raw: object = b"", dtype: object = None, shape: object = (), order: object = "C") -> _Array:
    array = _Array()
    array.state = (shape, dtype, order == "F", raw)
    return array


def _new(kind: object = None, *_: object) -> object:
    """copyreg._reconstructor, for the kinds above only."""
    if isinstance(kind, Global) and isinstance(kind.make, type) and issubclass(kind.make, _Fields):
        return kind.make()
    raise Unreadable("it reconstructs an unknown kind")


def _collected(*_: object) -> list[object]:
    return []  # a set: no field that is read is one, but every chumpy value has one


def _nothing(*_: object) -> None:
    return None  # object, which only _reconstructor is given; numpy scalars: no field that is read is one


_ALLOWED: dict[str, Callable[..., object]] = {
    "numpy.ndarray": _reconstruct,
    "numpy.dtype": Dtype,
    "_codecs.encode": encode,
    "copy_reg._reconstructor": _new,
    "copyreg._reconstructor": _new,
    "collections.OrderedDict": ordered,
    "chumpy.ch.Ch": _Chumpy,
    "chumpy.Ch": _Chumpy,
}
for _builtins in ("builtins", "__builtin__"):
    _ALLOWED[f"{_builtins}.object"] = _nothing
    _ALLOWED[f"{_builtins}.set"] = _ALLOWED[f"{_builtins}.frozenset"] = _collected
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray._reconstruct"] = _reconstruct
    _ALLOWED[f"{_core}.multiarray.scalar"] = _nothing
    _ALLOWED[f"{_core}.numeric._frombuffer"] = _from_buffer
for _module in ("scipy.sparse", "scipy.sparse.csc", "scipy.sparse._csc", "scipy.sparse.csr", "scipy.sparse._csr"):
    for _kind in ("matrix", "array"):
        _ALLOWED[f"{_module}.csc_{_kind}"] = _Columns
        _ALLOWED[f"{_module}.csr_{_kind}"] = _Rows


def _find(where: str, module: str, name: str) -> Global:
    if (found := _ALLOWED.get(f"{module}.{name}")) is None:
        raise AvatarInvalid(
            f"{where}: names {printable(f'{module}.{name}')}, which a FLAME model has no use for; it was not run. "
            "Save the model's arrays with numpy.savez and pass that file."
        )
    return Global(found)
