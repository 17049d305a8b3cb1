# SPDX-License-Identifier: Apache-2.0
"""A consumer of DLPack, by its header: https://dmlc.github.io/dlpack, version 1.1."""

from __future__ import annotations

import ctypes
from typing import Any


class Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]  # fmt: skip


class Managed(ctypes.Structure):
    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p))]


class Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
        ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p)), ("flags", ctypes.c_uint64), ("tensor", Tensor),
    ]  # fmt: skip


class Taken:
    """A tensor that was taken from a capsule; free() gives it back."""

    def __init__(self, capsule: Any, versioned: bool) -> None:
        name, kind = (b"dltensor_versioned", Versioned) if versioned else (b"dltensor", Managed)
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        rename = ctypes.pythonapi.PyCapsule_SetName
        rename.argtypes = [ctypes.py_object, ctypes.c_char_p]
        self.address = pointer(capsule, name)
        self.managed = ctypes.cast(self.address, ctypes.POINTER(kind)).contents
        self._used = b"used_" + name  # capsules keep the pointer
        rename(capsule, self._used)

    @property
    def tensor(self) -> Any:
        return self.managed.tensor

    def free(self) -> None:
        self.managed.deleter(self.address)
