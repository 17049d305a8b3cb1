# SPDX-License-Identifier: Apache-2.0
"""Stands in for a torch that is built for GPUs, in the process of an example: what that asks of it, over the
tests' driver.

from_dlpack() does as torch's does: it names its current stream, and takes the capsule of the newest version.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

_driver = ctypes.CDLL(os.environ["TALKSPLAT_LIBCUDA"])


class _Stream:
    def __init__(self) -> None:
        made = ctypes.c_void_p()
        context = ctypes.c_void_p()
        assert _driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
        assert _driver.cuCtxPushCurrent_v2(context) == 0
        assert _driver.cuStreamCreate(ctypes.byref(made), 1) == 0
        self.cuda_stream = made.value


class cuda:
    _current: _Stream | None = None

    @classmethod
    def current_stream(cls) -> _Stream:
        cls._current = cls._current or _Stream()
        return cls._current

    @staticmethod
    def synchronize() -> None:
        assert _driver.cuCtxSynchronize() == 0


class Tensor:
    def __init__(self, address: int, shape: tuple[int, ...], device: str, keeps: Any) -> None:
        self._address, self.shape, self.device, self._keeps = address, shape, device, keeps

    def data_ptr(self) -> int:
        return self._address

    def permute(self, *order: int) -> Tensor:
        return Tensor(self._address, tuple(self.shape[i] for i in order), self.device, self._keeps)


def from_dlpack(array: Any) -> Tensor:
    from runtime.dlpack_taken import Taken

    kind, ordinal = array.__dlpack_device__()
    assert kind == 2
    taken = Taken(array.__dlpack__(stream=cuda.current_stream().cuda_stream, max_version=(1, 0)), True)
    shape = tuple(taken.tensor.shape[: taken.tensor.ndim])
    return Tensor(taken.tensor.data, shape, f"cuda:{ordinal}", _Keeps(taken))


class _Keeps:
    def __init__(self, taken: Any) -> None:
        self._taken = taken

    def __del__(self) -> None:
        self._taken.free()
