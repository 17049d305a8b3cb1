# SPDX-License-Identifier: Apache-2.0
"""Features that somebody else's encoder made of a sound, frame by frame, as the windows that an avatar hears."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import FloatArray, shape_text
from .control import Input, Window
from .errors import MotionInvalid
from .motions import MAX_FRAMES

_SCANNED = 1 << 22  # numbers that are searched for NaN at a time
_KINDS = "fiu"


def window_values(window: Window, rows: NDArray[Any], rows_first: int, first: int, count: int) -> FloatArray:
    """[count,size] of the frames first, first + 1, ...: zeros for frames that there are not.

    rows: [F,length,channels] of the frames rows_first, rows_first + 1, ...
    """
    start, end = first - window.before, first + count + window.after
    held = np.zeros((end - start, window.channels, window.length), np.float32)
    low, high = max(start, rows_first), min(end, rows_first + len(rows))
    if low < high:
        held[low - start : high - start] = np.swapaxes(rows[low - rows_first : high - rows_first], 1, 2)
    size = window.before + 1 + window.after
    values = np.lib.stride_tricks.sliding_window_view(held, size, axis=0)  # [count,channels,length,size]
    return np.ascontiguousarray(np.moveaxis(values, 3, 1)).reshape(count, -1)


class FeatureTrack:
    """F frames of features for the inputs of an avatar that have a window.

    source: an array [F,length,channels], as the encoders of the methods' trainings write them (aud_ds.npy is
    [F,16,29], aud_hu.npy [F,2,1024]), or [F,channels] where length is 1; of any type of float. Or a .npy file of
    one, which is mapped into memory.
    Raises MotionInvalid for a file, or an array, that is not that.
    """

    def __init__(self, who: str, source: Any, inputs: Iterable[Input], name: str) -> None:
        windows = {into.name: into.window for into in inputs if into.window is not None}
        if not windows:
            raise MotionInvalid(f"{who}: {name} takes no features of sound: none of its inputs has a window of them.")
        self._windows: dict[str, Window] = windows
        if isinstance(source, (str, os.PathLike)):
            self.who = os.fsdecode(source)
            rows = _mapped(self.who)
        else:
            self.who = f"{who}: features"
            rows = _array(self.who, source)
        self._rows = self._fitting(rows)
        self.frames = len(self._rows)
        self._require_finite()

    def windows(self, first: int, count: int) -> dict[str, FloatArray]:
        """[count,size] by input, of the frames first, first + 1, ...: zeros for frames that there are not."""
        return {name: window_values(window, self._rows, 0, first, count) for name, window in self._windows.items()}

    def _fitting(self, rows: NDArray[Any]) -> NDArray[Any]:
        """[F,length,channels], of every window."""
        shown = shape_text(rows.shape)
        for name, window in self._windows.items():
            length, channels = window.length, window.channels
            wanted = f"[F,{length},{channels}]" + (f" or [F,{channels}]" if length == 1 else "")
            if rows.ndim == 2 and length == 1:
                rows = rows[:, None, :]
            if rows.ndim != 3 or rows.shape[1:] != (length, channels):
                hint = ""
                if rows.ndim == 3 and rows.shape[1:] == (channels, length):
                    hint = " Are channels before length? Swap the last two axes."
                raise MotionInvalid(
                    f"{self.who} must be {wanted}, as the avatar's input {name} takes them; got {shown}.{hint}"
                )
        if not 1 <= len(rows) <= MAX_FRAMES:
            raise MotionInvalid(f"{self.who} must have 1 to {MAX_FRAMES} frames; got {len(rows)}.")
        return rows

    def _require_finite(self) -> None:
        step = max(1, _SCANNED // (self._rows.shape[1] * self._rows.shape[2]))
        for start in range(0, self.frames, step):
            with np.errstate(over="ignore"):  # what float32 cannot hold is refused, too
                finite = np.isfinite(np.asarray(self._rows[start : start + step], np.float32))
            if not finite.all():
                at = tuple(int(i) for i in np.argwhere(~finite)[0])
                value = self._rows[start + at[0]][at[1:]]
                raise MotionInvalid(
                    f"{self.who} must be finite numbers of float32; frame {start + at[0]} has {float(value):g} at "
                    f"{list(at[1:])}. Make the features again."
                )


def _array(who: str, source: Any) -> NDArray[Any]:
    try:
        rows = np.asarray(source)
    except (TypeError, ValueError) as error:
        raise MotionInvalid(f"{who} must be an array of numbers in CPU memory, or a .npy file: {error}") from None
    return _numbers(who, rows)


def _mapped(path: str) -> NDArray[Any]:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise MotionInvalid(f"{path}: is a pipe, a folder or a device. Features are read from a .npy file.")
        rows: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except MotionInvalid:
        raise
    except FileNotFoundError:
        raise MotionInvalid(f"{path}: no such file.") from None
    except OSError as error:
        raise MotionInvalid(f"{path}: cannot be read ({error.strerror or error}).") from None
    except Exception as error:  # numpy parses headers as Python text: damage surfaces as almost any error
        raise MotionInvalid(f"{path}: is not a .npy array of features: {error}.") from None
    return _numbers(path, rows)


def _numbers(who: str, rows: NDArray[Any]) -> NDArray[Any]:
    if rows.dtype.kind not in _KINDS:
        raise MotionInvalid(f"{who} must hold real numbers; got dtype {rows.dtype}.")
    return rows
