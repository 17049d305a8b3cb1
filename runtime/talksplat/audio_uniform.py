# SPDX-License-Identifier: Apache-2.0
"""Decoded frames of sound as samples of one rate and one number of channels, though a file may change both midway."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from ._arrays import FloatArray
from .audio_blocks import MAX_CHANNELS, as_float_samples
from .errors import AudioInvalid

_DTYPES: dict[str, type[np.generic]] = {
    "u8": np.uint8, "s16": np.int16, "s32": np.int32, "s64": np.int64, "flt": np.float32, "dbl": np.float64,
}  # fmt: skip


class Uniform:
    """Makes of every frame what the first one is.

    rate: Hz.  channels: of the first frame.  changes: what was met, (rate, channels), in order.
    """

    def __init__(self, name: str, first: Any) -> None:
        self._name = name
        self._layout = first.layout
        self.rate = int(first.sample_rate)
        self.channels = len(first.layout.channels)
        self.changes: list[tuple[int, int]] = []
        self._kind = (self.rate, self.channels)
        self._resampler: Any = None

    def samples(self, frame: Any) -> list[FloatArray]:
        """[n,channels] of what the frame completes; a resampler holds a few samples back until the next."""
        kind = (int(frame.sample_rate), len(frame.layout.channels))
        out: list[FloatArray] = []
        if kind != self._kind:
            out += self.rest()
            self.changes.append(kind)
            self._kind = kind
            if kind != (self.rate, self.channels):
                self._resampler = av.AudioResampler("fltp", self._layout, self.rate)
        if self._resampler is None:
            return [*out, self._own(frame)]
        frame.pts = None  # timestamps are the reader's matter
        return out + [self._own(made) for made in self._resampler.resample(frame)]

    def rest(self) -> list[FloatArray]:
        """What a resampler still holds."""
        resampler, self._resampler = self._resampler, None
        return [] if resampler is None else [self._own(made) for made in resampler.resample(None)]

    def _own(self, frame: Any) -> FloatArray:
        kind = _DTYPES.get(frame.format.name.rstrip("p"))
        if kind is None:
            raise AudioInvalid(f"{self._name}: its samples are of a kind that is not known, {frame.format.name}.")
        # Not frame.to_ndarray(): of eight planes PyAV reads a ninth that is not there, or refuses to (19).
        channels = len(frame.layout.channels)
        if frame.format.is_planar and channels == MAX_CHANNELS:
            packed = av.AudioResampler(frame.format.packed.name, frame.layout, frame.sample_rate).resample(frame)
            return np.concatenate([self._own(part) for part in packed])
        planar = frame.format.is_planar
        count = frame.samples * (1 if planar else channels)
        planes = frame.planes[: channels if planar else 1]
        rows: NDArray[Any] = np.stack([np.frombuffer(plane, kind, count) for plane in planes])
        array = rows.T if planar else rows.reshape(-1, channels)
        if kind is np.uint8:
            return as_float_samples((array - 128.0) / 128.0)
        if kind is np.int32 or kind is np.int64:
            return as_float_samples(array / 2.0 ** (8 * array.itemsize - 1))
        return as_float_samples(array)
