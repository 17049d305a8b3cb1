# SPDX-License-Identifier: Apache-2.0
"""Silence, for avatars that are moved by other things than a sound."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import _core
from ._arrays import FloatArray
from .audio_blocks import BLOCK_S, Audio


class Silence(Audio):
    """As many frames of it as are asked for."""

    name, rate, channels = "silence", 16000, 1

    def __init__(self, frames: int, fps: float) -> None:
        self._samples = max(1, _core.first_sample(frames, self.rate, fps))
        self.seconds = self._samples / self.rate

    def _chunks(self) -> Iterator[FloatArray]:
        step = int(self.rate * BLOCK_S)
        for start in range(0, self._samples, step):
            yield np.zeros((min(step, self._samples - start), 1), np.float32)
