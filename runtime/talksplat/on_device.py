# SPDX-License-Identifier: Apache-2.0
"""Pictures and Gaussians that stay in a GPU's memory: with whose work they are ordered, and where they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import _core
from ._arrays import shape_text
from ._images import ImageFormat, image_shape

DeviceArray = _core.DeviceArray
MAX_HANDLE = 2**64 - 1
MAX_STRIDE = 2**40  # bytes


class Stream(NamedTuple):
    """A caller's stream. owner: what it was given as, which may end it when it goes."""

    handle: int  # the CUstream; 0 is the default stream
    owner: Any


def as_stream(who: str, stream: Any, device: str) -> Stream:
    """Of a torch.cuda.Stream, a cuda.core or CuPy stream, or a number.  device: that draws, "cuda:0".

    torch has `cuda_stream`, CuPy `ptr` beside `wait_event`, and whoever follows https://nvidia.github.io/cuda-python/
    cuda-core/latest/interoperability.html `__cuda_stream__`, which gives (version, handle).
    """
    told: Any = getattr(stream, "__cuda_stream__", None)
    handle: Any = stream
    if hasattr(stream, "cuda_stream"):
        handle = stream.cuda_stream
    elif hasattr(stream, "ptr") and hasattr(stream, "wait_event"):
        handle = stream.ptr
    try:
        if told is not None:
            _version, handle = told() if callable(told) else told
        number = -1 if isinstance(handle, bool) else int(handle.__index__())
    except (AttributeError, TypeError, ValueError):
        number = -1
    if not 0 <= number <= MAX_HANDLE:
        raise ValueError(
            f"{who}: stream must be a torch.cuda.Stream, a cuda.core or CuPy stream, or a CUstream's address, 0 for "
            f"the default stream; got {stream!r}."
        )
    ordinal = getattr(stream, "device_index", getattr(stream, "device_id", None))
    if isinstance(ordinal, int) and ordinal >= 0 and device not in ("cpu", f"cuda:{ordinal}"):
        raise ValueError(f"{who}: stream must be of {device}, which draws; got one of cuda:{ordinal}.")
    return Stream(number, stream)


class Target(NamedTuple):
    """Where a picture is drawn. made: the array of this library's that it is; None where it is the caller's."""

    image: Any
    address: int
    stride_bytes: int
    made: DeviceArray | None


def image_target(who: str, engine: _core.Engine, form: ImageFormat, width: int, height: int, out: Any) -> Target:
    """`out` once it fits, or a new array on the engine's GPU."""
    shape = image_shape(who, form, width, height)
    dtype = np.dtype(form.dtype)
    row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
    if out is None:
        made = device_arrays(engine, [shape], dtype == np.float32)[0]
        return Target(made, made.__cuda_array_interface__["data"][0], row_bytes, made)
    told = array_interface(who, out)
    if told is None:
        raise ValueError(
            f"{who}: out must be in the GPU's memory where a stream is given, an array with __cuda_array_interface__ "
            f"(torch, CuPy, Numba); got {type(out).__name__}. Leave stream out for one in the CPU's memory."
        )
    got_shape, got_dtype = tuple(told["shape"]), np.dtype(told["typestr"])
    if got_shape != shape or got_dtype != dtype:
        raise ValueError(
            f"{who}: out must be {shape_text(shape)} {dtype} on the GPU; got {shape_text(got_shape)} {got_dtype}."
        )
    address, read_only = told["data"]
    if read_only:
        raise ValueError(f"{who}: out is read-only. Pass an array that can be written, or leave it out.")
    strides = told.get("strides") or packed_strides(shape, dtype.itemsize)
    if tuple(strides)[1:] != packed_strides(shape, dtype.itemsize)[1:] or (
        height > 1 and not row_bytes <= strides[0] <= MAX_STRIDE
    ):
        raise ValueError(
            f"{who}: the pixels of a row of out must be adjacent and rows ascending; got strides {tuple(strides)}. "
            "Pass a contiguous array."
        )
    return Target(
        out, address, strides[0] if shape[0] > 1 else row_bytes, out if isinstance(out, DeviceArray) else None
    )


def array_interface(who: str, out: Any) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] | None = getattr(out, "__cuda_array_interface__", None)
    except RuntimeError as error:  # torch, of a tensor that wants gradients
        raise ValueError(f"{who}: out must be plain memory: {error}") from None
    return told


def packed_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    return tuple(itemsize * int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(len(shape)))


def device_arrays(engine: _core.Engine, shapes: Sequence[tuple[int, ...]], floats: bool) -> list[DeviceArray]:
    """Arrays of one memory, each aligned as an allocation is."""
    align, item = 256, 4 if floats else 1
    offsets, end = [], 0
    for shape in shapes:
        offsets.append(end)
        end += -(-int(np.prod(shape, dtype=np.int64)) * item // align) * align
    memory = _core.DeviceMemory(engine, max(end, 1))
    return [DeviceArray(memory, offset, list(shape), floats) for offset, shape in zip(offsets, shapes, strict=True)]
