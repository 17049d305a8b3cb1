# SPDX-License-Identifier: Apache-2.0
"""What an encoder makes of a sound as the windows that an avatar hears, while the sound is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from .. import _core
from .._arrays import FloatArray
from ..control import Window
from ..errors import EncoderInvalid
from ..feature_track import window_values
from ..speech import Heard
from .encoder import Encoder
from .resample import FrameRows, Taps
from .stream import EncoderStream


class AvatarRows:
    """A whole sound, block by block, to rows of an avatar's frames, [T,length,width]: frame k's is about k / fps."""

    def __init__(self, encoder: Encoder, taps: Taps, fps: float, sample_rate: int, channels: int) -> None:
        self._stream: EncoderStream = encoder.stream(sample_rate, channels)
        self._rows = FrameRows(taps, encoder.width)
        self._fps = fps

    def push(self, samples: FloatArray) -> FloatArray:
        return self._rows.push(self._stream.push(samples))

    def flush(self) -> FloatArray:
        """The rest: as many rows as the sound has frames, in all; the next sound begins anew."""
        frames = _core.frame_count(self._stream.samples, self._stream.sample_rate, self._fps)
        rows = self._rows.push(self._stream.flush(self._rows.needed(frames)), frames)
        self._rows.reset()
        return rows


class EncodedTrack:
    """The features of a sound that is being read, as a FeatureTrack of one that is known.

    ready: frames whose windows are whole so far.
    Raises EncoderInvalid where the encoder does not fit the windows.
    """

    def __init__(self, who: str, name: str, windows: Mapping[str, Window], encoder: Encoder, fps: float) -> None:
        self._taps = encoder.frame_taps(who, name, next(iter(windows.values()), None), fps)
        if len({(window.channels, window.length) for window in windows.values()}) > 1:
            raise EncoderInvalid(f"{who}: {name} has windows of several kinds of features, and an encoder makes one.")
        self._windows = windows
        self._before = max((window.before for window in windows.values()), default=0)
        self._after = max((window.after for window in windows.values()), default=0)
        self._encoder = encoder
        self._fps = fps
        self._source: AvatarRows | None = None
        self._held: FloatArray = np.zeros((0, self._taps.length, encoder.width), np.float32)
        self._first = 0  # frame of the first row that is held
        self.ready = 0

    def listen(self, sample_rate: int, channels: int) -> None:
        """Of which kind the sound is."""
        self._source = AvatarRows(self._encoder, self._taps, self._fps, sample_rate, channels)

    def hear(self, sound: FloatArray, last: bool) -> None:
        """A block of the sound, [n,channels]; last: its end."""
        if self._source is None:
            raise RuntimeError("hear: listen() first.")
        rows = self._source.flush() if last else self._source.push(sound)
        self._held = np.concatenate([self._held, rows])
        self.ready = max(0, self._first + len(self._held) - (0 if last else self._after))

    def windows(self, first: int, count: int) -> dict[str, FloatArray]:
        """[count,size] by input, of the frames first, first + 1, ..., which follow those that were asked for before."""
        made = {
            name: window_values(window, self._held, self._first, first, count) for name, window in self._windows.items()
        }
        keep = max(self._first, first + count - self._before)
        self._held, self._first = self._held[keep - self._first :], keep
        return made


def held_back(heard: Iterator[Heard[FloatArray]], track: EncodedTrack) -> Iterator[Heard[FloatArray]]:
    """The same sound and frames, each frame only when the features of its window have come."""
    waiting: FloatArray | None = None
    done = 0
    for block in heard:
        track.hear(block.sound, block.last)
        waiting = block.frames if waiting is None else np.concatenate([waiting, block.frames])
        n = len(waiting) if block.last else min(len(waiting), track.ready - done)
        done += n
        yield Heard(block.sound, waiting[:n], block.last)
        waiting = waiting[n:]
