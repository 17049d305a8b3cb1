"""FLAME's pickles without running them: arrays, sparse matrices and chumpy values come out, nothing else is called.

Every global that a pickle may name maps to a stand-in here; the real numpy, scipy or chumpy object is never built
from the file's arguments. The pure-Python unpickler is used because the C one lets a small file allocate gigabytes
(its memo is an array indexed by a number from the file).
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from talksplat.errors import AvatarInvalid

from .npz import number_array
from .spec import Array

MAX_DENSE = 1 << 26


def load_fields(where: str, data: bytes) -> dict[str, Array]:
    """The pickled dict's fields that are numbers, as float64 or int64 arrays; sparse matrices become dense.

    Raises AvatarInvalid if the pickle names a global that is not on the list, or is damaged.
    """
    try:
        content = _Reader(where, data).load()
        if not isinstance(content, dict):
            raise AvatarInvalid(f"{where}: must hold a dict of FLAME's fields; got {type(content).__name__}.")
        return {str(k): v for k, v in ((k, _value(where, v)) for k, v in content.items()) if v is not None}
    except AvatarInvalid:
        raise
    except Exception as error:  # a damaged pickle makes the unpickler raise nearly anything
        raise AvatarInvalid(f"{where}: is not a readable pickle ({type(error).__name__}: {error}).") from error


class _Dtype:
    """numpy.dtype(text, align, copy), then its state for the byte order."""

    def __init__(self, text: object = "", *_: object) -> None:
        self.text, self.order = _text(text), "<"

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = state[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        if self.text[:1] not in tuple("fiub") or not self.text[1:].isdecimal():
            return np.dtype(object)  # refused by number_array if the field is wanted
        return np.dtype(self.order + self.text)


class _Array:
    """numpy.ndarray: made empty, then given its state."""

    def __init__(self) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) == 5:
            self.state = state[1:]

    @property
    def holds_objects(self) -> bool:
        return bool(self.state) and isinstance(self.state[1], _Dtype) and self.state[1].dtype.hasobject

    def array(self, where: str) -> Array:
        if not self.state:
            raise AvatarInvalid(f"{where}: an array in it has no contents.")
        shape, dtype, fortran, raw = self.state
        plain = isinstance(shape, tuple) and isinstance(dtype, _Dtype) and isinstance(raw, str | bytes | bytearray)
        if not plain:
            raise AvatarInvalid(f"{where}: an array in it does not hold plain numbers.")
        raw = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)  # Python 2 wrote bytes as str
        return number_array(where, raw, dtype.dtype, shape, bool(fortran))


class _Fields:
    """An object known by its attributes only."""

    def __new__(cls, *_: object) -> _Fields:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        self.fields: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        self.fields = state if isinstance(state, dict) else {}


class _Columns(_Fields):
    """scipy.sparse csc_matrix."""

    by_column = True

    def array(self, where: str) -> Array:
        shape = self.fields.get("_shape", self.fields.get("shape"))
        parts = [_value(where, self.fields.get(key)) for key in ("indptr", "indices", "data")]
        if not isinstance(shape, tuple) or len(shape) != 2 or not all(isinstance(n, int) and n > 0 for n in shape):
            raise AvatarInvalid(f"{where}: a sparse matrix in it must have a shape; got {shape!r}.")
        rows, columns = shape
        lines, width = (columns, rows) if self.by_column else (rows, columns)
        if any(p is None or p.ndim != 1 for p in parts) or rows * columns > MAX_DENSE:
            raise AvatarInvalid(f"{where}: a sparse matrix in it of shape {shape} has no usable contents.")
        start, index, value = (p for p in parts if p is not None)
        ordered = len(start) == lines + 1 and start[0] == 0 and start[-1] == len(index) == len(value)
        if not ordered or (np.diff(start) < 0).any() or ((index < 0) | (index >= width)).any():
            raise AvatarInvalid(f"{where}: a sparse matrix in it of shape {shape} has indices out of range.")
        dense = np.zeros((lines, width))
        np.add.at(dense, (np.repeat(np.arange(lines), np.diff(start)), index.astype(np.int64)), value)
        return dense.T if self.by_column else dense


class _Rows(_Columns):
    """scipy.sparse csr_matrix."""

    by_column = False


class _Chumpy(_Fields):
    """chumpy.Ch: its value is the attribute x."""

    def array(self, where: str) -> Array:
        value = _value(where, self.fields.get("x"))
        if value is None:
            raise AvatarInvalid(f"{where}: a chumpy value in it has no array x.")
        return value


def _value(where: str, value: object) -> Array | None:
    """A field as an array; None if it is text or anything else that is not numbers."""
    if isinstance(value, _Array) and value.holds_objects:
        return None
    if isinstance(value, _Array | _Columns | _Chumpy):
        return value.array(where)
    return None


def _text(value: object) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _from_buffer(raw: object = b"", dtype: object = None, shape: object = (), order: object = "C") -> _Array:
    array = _Array()
    array.state = (shape, dtype, order == "F", raw)
    return array


def _new(kind: object = None, *_: object) -> object:
    """copyreg._reconstructor, for the kinds above only."""
    if isinstance(kind, type) and issubclass(kind, _Fields):
        return kind()
    raise pickle.UnpicklingError("reconstructs an unknown kind")


def _encode(text: object = "", *_: object) -> bytes:
    """_codecs.encode, which Python 3 uses to keep bytes in protocol 2."""
    return _text(text).encode("latin1")


def _scalar(*_: object) -> None:
    return None  # numpy scalars: no field that is read is one


_ALLOWED: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _Dtype,
    "_codecs.encode": _encode,
    "copy_reg._reconstructor": _new,
    "copyreg._reconstructor": _new,
    "__builtin__.object": object,
    "builtins.object": object,
    "collections.OrderedDict": OrderedDict,
    "chumpy.ch.Ch": _Chumpy,
    "chumpy.Ch": _Chumpy,
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray._reconstruct"] = _reconstruct
    _ALLOWED[f"{_core}.multiarray.scalar"] = _scalar
    _ALLOWED[f"{_core}.numeric._frombuffer"] = _from_buffer
for _module in ("scipy.sparse", "scipy.sparse.csc", "scipy.sparse._csc", "scipy.sparse.csr", "scipy.sparse._csr"):
    for _kind in ("matrix", "array"):
        _ALLOWED[f"{_module}.csc_{_kind}"] = _Columns
        _ALLOWED[f"{_module}.csr_{_kind}"] = _Rows


_build = pickle._Unpickler.dispatch[pickle.BUILD[0]]


def _checked_build(reader: Any) -> None:
    # Without this a pickle could set attributes of the stand-ins' classes and functions themselves.
    if len(reader.stack) < 2 or not isinstance(reader.stack[-2], _Dtype | _Array | _Fields):
        raise pickle.UnpicklingError("gives a state to an object that has none")
    _build(reader)


class _Reader(pickle._Unpickler):
    dispatch: ClassVar = {**pickle._Unpickler.dispatch, pickle.BUILD[0]: _checked_build}

    def __init__(self, where: str, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._where = where

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (found := _ALLOWED.get(f"{module}.{name}")) is None:
            raise AvatarInvalid(
                f"{self._where}: names {module}.{name}, which a FLAME model has no use for; it was not run. "
                "Save the model's arrays with numpy.savez and pass that file."
            )
        return found
