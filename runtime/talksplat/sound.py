# SPDX-License-Identifier: Apache-2.0
"""The sound of a video file, in step with its pictures to the sample: AAC; FLAC in Matroska, Opus in WebM."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np

from ._arrays import FloatArray

# ISO/IEC 14496-3, table of sampling frequencies that have an index.
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
OPUS_RATE = 48000
BITS_PER_SAMPLE, MAX_BIT_RATE = 4, 96_000  # of one channel
# A third of the time of the defaults; on 44.1 kHz stereo speech the error is 43 dB below the sound (defaults: 56 dB).
AAC_OPTIONS = {"aac_coder": "fast", "aac_ms": "0", "aac_is": "0", "aac_pns": "0"}
# Arrays do not say which speakers their channels are for: FFmpeg's usual arrangement of so many.
_LAYOUTS = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")


def aac_rate(rate: int) -> int:
    """The rate at which AAC keeps a sound of `rate`: the same, or the next that loses nothing, or the highest."""
    return next((usual for usual in AAC_RATES if usual >= rate), AAC_RATES[-1])


class SoundTrack:
    """A sound stream of a container that is being written. More than two channels are mixed down to stereo.

    An AAC encoder begins before the first sample. MP4 leaves that out by an edit list; Matroska starts its sound before
    its pictures, hence FLAC there, which has no such delay. WebM states how much of Opus comes before.
    """

    def __init__(self, container: Any, rate: int, channels: int) -> None:
        self._container = container
        self._rate = rate
        self._layout = _LAYOUTS[channels - 1]
        coder = {"matroska": "flac", "webm": "libopus"}.get(container.format.name, "aac")
        options = AAC_OPTIONS if coder == "aac" else {}
        coded_rate = OPUS_RATE if coder == "libopus" else aac_rate(rate)
        self._stream: Any = container.add_stream(coder, rate=coded_rate, options=options)
        self._stream.layout = _LAYOUTS[min(channels, 2) - 1]
        if coder == "flac":
            self._stream.format = "s16"
        else:
            self._stream.bit_rate = min(channels, 2) * min(BITS_PER_SAMPLE * self._stream.rate, MAX_BIT_RATE)
        self._count = 0

    def write(self, samples: FloatArray) -> None:
        """[n] or [n,channels]; the next in time."""
        if len(samples) == 0:
            return
        # Interleaved: PyAV 18 miscounts the planes of eight channels.
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1), format="flt", layout=self._layout
        )
        frame.sample_rate = self._rate
        frame.pts, frame.time_base = self._count, Fraction(1, self._rate)
        self._container.mux(self._stream.encode(frame))
        self._count += len(samples)

    def finish(self) -> None:
        if self._count:
            self._container.mux(self._stream.encode(None))
