# SPDX-License-Identifier: Apache-2.0
"""Arguments as the arrays that the core reads, or a ValueError that names argument, contract, value and way out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
MAX_COUNT = 2**31 - 1  # of the core


def shape_text(shape: Iterable[int | str]) -> str:
    return "[" + ",".join(str(length) for length in shape) + "]"


def as_floats(who: str, value: Any) -> FloatArray:
    """Numbers (array interface, DLPack or sequence) as aligned C-contiguous float32; the same array if it is that."""
    try:
        if not isinstance(value, np.ndarray) and hasattr(value, "__dlpack__"):
            value = _from_dlpack(value)
        array = np.asarray(value)
    except (TypeError, ValueError, BufferError) as error:  # ragged sequences; tensors that cannot come here
        raise ValueError(f"{who} must be an array of numbers in CPU memory: {error}") from None
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{who} must hold real numbers; got dtype {array.dtype}. Convert it with .astype('float32').")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which callers look for
        return np.require(array, np.float32, ["C", "A"])


class _Copied:
    """What np.from_dlpack() takes in the place of an array on another device; older ones of numpy cannot ask for it."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(dl_device=_CPU, copy=True)

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CPU


_CPU = (1, 0)  # kDLCPU
_ON_HOST = (1, 3, 11)  # and kDLCUDAHost, kDLROCMHost: page-locked


def _from_dlpack(value: Any) -> Any:
    where = getattr(value, "__dlpack_device__", None)
    if where is not None and where()[0] not in _ON_HOST:
        return np.from_dlpack(_Copied(value))  # as the producer copies it, in its order of work
    return value if hasattr(value, "__array__") else np.from_dlpack(value)


def require_shape(who: str, array: NDArray[Any], shape: tuple[int, ...], why: str = "", way_out: str = "") -> None:
    """`why` says where the lengths come from, e.g. "n=12 from means"."""
    if array.shape == shape:
        return
    reason = f" ({why})" if why else ""
    hint = f" {way_out}" if way_out else ""
    raise ValueError(f"{who} must be {shape_text(shape)}{reason}; got {shape_text(array.shape)}.{hint}")


def require_finite(who: str, array: NDArray[Any]) -> None:
    finite = np.isfinite(array)
    if finite.all():
        return
    where = tuple(int(i) for i in np.unravel_index(np.argmin(finite), array.shape))
    raise ValueError(f"{who} must be finite; got {array[where]} at {list(where)}.")


def as_count(who: str, value: Any, least: int) -> int:
    try:
        count = value.__index__()
    except (AttributeError, TypeError):  # TypeError: of numpy's arrays and bools
        count = -1
    if isinstance(value, bool) or not least <= count <= MAX_COUNT:
        most = f" and at most {MAX_COUNT}" if count > MAX_COUNT else ""
        hint = " Pass it as an int." if isinstance(value, (float, np.floating)) and float(value).is_integer() else ""
        raise ValueError(f"{who} must be a whole number, at least {least}{most}; got {value!r}.{hint}")
    return int(count)


def as_number(who: str, value: Any, positive: bool = False) -> float:
    contract = "finite and positive" if positive else "finite"
    try:
        if isinstance(value, (str, bytes, bool)):  # float() reads these
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{who} must be a number, {contract}; got {value!r}.") from None
    if not np.isfinite(number) or (positive and number <= 0):
        raise ValueError(f"{who} must be {contract}; got {value!r}.")
    return number


def nearest(name: str, known: Iterable[str]) -> str:
    """' Did you mean "jawOpen"?' or nothing."""
    from difflib import get_close_matches

    by_folded = {candidate.lower(): candidate for candidate in known}
    matches = get_close_matches(name.lower(), by_folded, n=1)
    return f' Did you mean "{by_folded[matches[0]]}"?' if matches else ""
