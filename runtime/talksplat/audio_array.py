# SPDX-License-Identifier: Apache-2.0
"""Sound of arrays, with their rate beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import FloatArray, as_count, shape_text
from .audio_blocks import BLOCK_S, MAX_CHANNELS, Audio, as_float_samples, require_rate
from .errors import AudioInvalid

_DTYPES = ("int16", "float32", "float64")


class AudioArray(Audio):
    def __init__(self, who: str, source: Any, sample_rate: Any) -> None:
        if sample_rate is None:
            raise ValueError(f"{who}: an array needs sample_rate, in Hz. Pass sample_rate=16000, say.")
        self.name = f"{who}: audio"
        self.rate = as_count(f"{who}: sample_rate", sample_rate, 1)
        require_rate(self.name, self.rate)
        self._samples = _samples(self.name, source)
        self.channels = self._samples.shape[1]
        if len(self._samples) == 0:
            raise AudioInvalid(f"{self.name}: has no sample in it. Give it a sound of at least one.")
        self.seconds = len(self._samples) / self.rate

    def _chunks(self) -> Iterator[FloatArray]:
        step = int(self.rate * BLOCK_S)
        for start in range(0, len(self._samples), step):
            yield as_float_samples(self._samples[start : start + step])


def _samples(who: str, source: Any) -> NDArray[Any]:
    if not isinstance(source, np.ndarray) and hasattr(source, "__dlpack__") and not hasattr(source, "__array__"):
        source = np.from_dlpack(source)
    try:
        array = np.asarray(source)
    except (TypeError, ValueError) as error:  # ragged sequences; tensors on another device
        raise ValueError(f"{who} must be a path, bytes, or an array of samples in CPU memory: {error}") from None
    if array.dtype.name not in _DTYPES:
        raise ValueError(
            f"{who} must be {', '.join(_DTYPES[:-1])} or {_DTYPES[-1]}, or a path; got {array.dtype}. "
            "Scale other kinds to float32, full scale at 1."
        )
    if array.ndim not in (1, 2):
        raise ValueError(f"{who} must be [n] or [n,channels]; got {shape_text(array.shape)}.")
    samples: NDArray[Any] = array.reshape(len(array), -1) if len(array) else array.reshape(0, 1)
    if samples.shape[1] > MAX_CHANNELS or samples.shape[1] == 0:
        raise ValueError(
            f"{who} must be [n] or [n,channels] with 1 to {MAX_CHANNELS} channels; got {shape_text(array.shape)}."
            + (" Are channels first? Pass its .T." if 1 <= len(array) <= MAX_CHANNELS else "")
        )
    return samples
