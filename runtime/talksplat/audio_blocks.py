# SPDX-License-Identifier: Apache-2.0
"""Sound as blocks of samples: what every source of it gives, at the rate that it has, and the checks on that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._arrays import FloatArray
from .errors import AudioInvalid

MIN_RATE, MAX_RATE = _core.MIN_RATE_HZ, _core.MAX_RATE_HZ
MAX_CHANNELS = _core.MAX_CHANNELS
MAX_SAMPLE = _core.MAX_SAMPLE  # full scale is 1
BLOCK_S = 0.25
INT16_SCALE = np.float32(1 / 32768)


class Audio(ABC):
    """Sound that is read once, from its first sample to its last; sample n is at n / rate seconds.

    name: for messages.  rate: Hz.  channels: 1..8.  seconds: how long it claims to be, None where nothing tells.
    damaged: packets of a file that could not be decoded so far; they are silent.
    notes: remarks on what was met so far, sentences without a full stop; whole once the sound was read to its end.
    """

    name: str
    rate: int
    channels: int
    seconds: float | None
    damaged: int = 0

    @property
    def notes(self) -> list[str]:
        return []

    @abstractmethod
    def _chunks(self) -> Iterator[FloatArray]:
        """[n,channels] float32, of any length."""

    def blocks(self) -> Iterator[FloatArray]:
        """The samples, [n,channels] float32 with full scale at 1, about a quarter of a second at a time.

        Raises AudioInvalid where the sound cannot be read on, for numbers that are not finite or beyond 8 times full
        scale, and at the end if there was no sample.
        """
        least = int(self.rate * BLOCK_S)
        held: list[FloatArray] = []
        length = start = 0
        for chunk in self._chunks():
            self._require_sound(chunk, start + length)
            held.append(chunk)
            length += len(chunk)
            if length >= least:
                yield np.concatenate(held)
                start += length
                held, length = [], 0
        if length:
            yield np.concatenate(held)
        elif start == 0:
            raise AudioInvalid(f"{self.name}: has no sample in it. Give it a sound of at least one.")

    def _require_sound(self, chunk: FloatArray, start: int) -> None:
        # One pass for good sound: a NaN fails the comparison too.
        if chunk.size == 0 or max(-float(chunk.min()), float(chunk.max())) <= MAX_SAMPLE:
            return
        bad = ~(np.abs(chunk) <= MAX_SAMPLE)
        row, channel = (int(i) for i in np.argwhere(bad)[0])
        value = float(chunk[row, channel])
        where = f"sample {start + row} (at {(start + row) / self.rate:.3f} s)"
        if self.channels > 1:
            where += f", channel {channel}"
        if not np.isfinite(value):
            raise AudioInvalid(f"{self.name}: {where} must be finite; got {value}. Replace such samples, by 0 say.")
        raise AudioInvalid(
            f"{self.name}: {where} must be within ±{MAX_SAMPLE:g} (full scale is 1); got {value:.6g}. "
            "If they are 16-bit numbers, give them as int16 or divide them by 32768."
        )


def require_rate(who: str, rate: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioInvalid(
            f"{who}: its rate must be {MIN_RATE} to {MAX_RATE} Hz; got {rate} Hz. If the sound is good, convert it: "
            "ffmpeg -i IN -ar 48000 OUT.wav"
        )


def require_channels(who: str, channels: int) -> None:
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioInvalid(
            f"{who}: must have 1 to {MAX_CHANNELS} channels; got {channels}. Mix it down: ffmpeg -i IN -ac 2 OUT.wav"
        )


def as_float_samples(samples: NDArray[Any]) -> FloatArray:
    """int16, or floats with full scale at 1, as C-contiguous float32."""
    if samples.dtype.kind == "i":  # of either byte order
        scaled: FloatArray = samples.astype(np.float32, order="C") * INT16_SCALE
        return scaled
    with np.errstate(over="ignore"):  # infinite then, and refused as that
        return np.ascontiguousarray(samples, np.float32)
