# SPDX-License-Identifier: Apache-2.0
"""Sound as callers push it, in the two forms that the core reads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import as_count, shape_text
from .audio_blocks import MAX_CHANNELS, as_float_samples

_BYTES = ("B", "b", "c")  # formats of a memoryview whose items are bytes


def as_pushed(who: str, sound: Any, channels: int | None, last_channels: int) -> NDArray[Any]:
    """[n,channels] int16 or float32, C-contiguous; the same memory where it is that already.

    Arrays are [n] (one channel, or interleaved where channels are given) or [n,channels]: int16, or floats with full
    scale at 1. Bytes are little-endian int16, interleaved, of last_channels where channels are not given.
    """
    if isinstance(sound, memoryview) and sound.format in _BYTES:
        sound = sound.tobytes()
    if isinstance(sound, (bytes, bytearray)):
        return _from_bytes(who, sound, last_channels if channels is None else channels)
    array = _array(who, sound)
    if array.ndim == 1:
        width = 1 if channels is None else channels
        if array.size % width:
            raise ValueError(
                f"{who} must have a sample of every channel: with {width} channels, {width} each; got {array.size} "
                "interleaved samples."
            )
        array = array.reshape(-1, width)
    if array.ndim != 2 or not 1 <= array.shape[1] <= MAX_CHANNELS:
        hint = " Are channels first? Pass its .T." if array.ndim == 2 and 1 <= len(array) <= MAX_CHANNELS else ""
        raise ValueError(
            f"{who} must be [n] or [n,channels] with 1 to {MAX_CHANNELS} channels; got {shape_text(array.shape)}.{hint}"
        )
    if channels not in (None, array.shape[1]):
        raise ValueError(f"{who} must be [n,{channels}] (from channels={channels}); got {shape_text(array.shape)}.")
    if array.dtype.kind == "f":
        return as_float_samples(array)
    return np.ascontiguousarray(array, np.int16)  # of either byte order


def as_channels(who: str, channels: Any) -> int:
    count = as_count(f"{who}: channels", channels, 1)
    if count > MAX_CHANNELS:
        raise ValueError(f"{who}: channels must be 1 to {MAX_CHANNELS}; got {channels!r}.")
    return count


def _from_bytes(who: str, sound: bytes | bytearray, channels: int) -> NDArray[Any]:
    if len(sound) % (2 * channels):
        counted = f" of {channels} channels" if channels > 1 else ""
        raise ValueError(
            f"{who}: bytes are 16-bit samples{counted}, {2 * channels} bytes each; got {len(sound)} bytes. Keep the "
            "rest for the next push."
        )
    return np.frombuffer(sound, "<i2").astype(np.int16, copy=False).reshape(-1, channels)


def _array(who: str, sound: Any) -> NDArray[Any]:
    if not isinstance(sound, np.ndarray) and hasattr(sound, "__dlpack__") and not hasattr(sound, "__array__"):
        sound = np.from_dlpack(sound)
    try:
        array = np.asarray(sound)
    except (TypeError, ValueError) as error:  # ragged sequences; tensors on another device
        raise ValueError(f"{who} must be bytes, or an array of samples in CPU memory: {error}") from None
    if array.size == 0 and array.ndim == 1 and not isinstance(sound, np.ndarray):
        return np.zeros(0, np.float32)  # an empty list
    if array.dtype.kind != "f" and (array.dtype.kind, array.dtype.itemsize) != ("i", 2):
        raise ValueError(
            f"{who} must be bytes of 16-bit samples, or an array of int16 or floats; got {array.dtype}. "
            "Scale other kinds to float32, full scale at 1."
        )
    return array
