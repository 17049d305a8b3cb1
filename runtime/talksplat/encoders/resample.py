# SPDX-License-Identifier: Apache-2.0
"""Features of an encoder, 50 a second, as rows of a video's frames: by positions in integers, which never drift.

Feature i is about the sound at centre / 16000 + i / 50 s, and frame k about k · den / num s, so that frame k reads
position (16000 den k - centre num) / (320 num) of the features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction

import numpy as np

from .._arrays import FloatArray
from .folder import FEATURE_HZ, RATE_HZ, SAMPLES_PER_ROW


def exact_rate(fps: float) -> Fraction:
    """The rate that a rounded number stands for: 29.97002997 is 30000 / 1001."""
    return Fraction(fps).limit_denominator(1001)


class Taps(ABC):
    """Which features a frame is made of, and how.

    length: features in a frame's row.  late_samples: how much later than its frame, in samples at 16 kHz and at most,
    the centre of the last of them is.
    """

    length: int
    late_samples: int

    @abstractmethod
    def span(self, frame: int) -> tuple[int, int]:
        """The first feature and the one after the last; the first is never before that of an earlier frame."""

    @abstractmethod
    def row(self, frame: int, features: FloatArray) -> FloatArray:
        """[length,width] of the features of the span."""


class Linear(Taps):
    """Between the two features about a frame's time; before the first one, the first."""

    length = 1

    def __init__(self, fps: Fraction, centre: int) -> None:
        self._num, self._den = fps.numerator, fps.denominator
        self._centre = centre
        self._whole = SAMPLES_PER_ROW * self._num
        self.late_samples = max(SAMPLES_PER_ROW, centre)

    def span(self, frame: int) -> tuple[int, int]:
        feature, rest = self._position(frame)
        return feature, feature + (2 if rest else 1)

    def row(self, frame: int, features: FloatArray) -> FloatArray:
        if len(features) == 1:
            return features
        share = np.float32(self._position(frame)[1] / self._whole)
        between: FloatArray = features[:1] + share * (features[1:] - features[:1])
        return between

    def _position(self, frame: int) -> tuple[int, int]:
        return divmod(max(0, RATE_HZ * self._den * frame - self._centre * self._num), self._whole)


class Groups(Taps):
    """`length` features a frame, side by side and each in one frame alone: pairs at 25 fps, as HuBERT's users take them
    (frame k has features 2 k and 2 k + 1)."""

    def __init__(self, length: int, centre: int) -> None:
        self.length = length
        # The last feature's centre, from where the frame begins.
        self.late_samples = centre + SAMPLES_PER_ROW * (length - 1)

    def span(self, frame: int) -> tuple[int, int]:
        return self.length * frame, self.length * (frame + 1)

    def row(self, frame: int, features: FloatArray) -> FloatArray:
        return features


class Each(Taps):
    """Feature k is frame k's, where the transformer had rows at the video's rate."""

    length = 1
    late_samples = 0

    def span(self, frame: int) -> tuple[int, int]:
        return frame, frame + 1

    def row(self, frame: int, features: FloatArray) -> FloatArray:
        return features


def groups_fit(length: int, fps: float) -> bool:
    """Whether that many features a frame are all that there are."""
    return exact_rate(fps) * length == FEATURE_HZ


class FrameRows:
    """Features as they come to rows as they are complete, [length,width] each; how they come changes no bit."""

    def __init__(self, taps: Taps, width: int) -> None:
        self.taps = taps
        self.width = width
        self.reset()

    def reset(self) -> None:
        self._held: FloatArray = np.zeros((0, self.width), np.float32)  # features from _first on
        self._first = 0
        self.frames = 0  # made so far

    def needed(self, frames: int) -> int:
        """How many features the first `frames` frames take."""
        return self.taps.span(frames - 1)[1] if frames > 0 else 0

    def push(self, features: FloatArray, frames: int | None = None) -> FloatArray:
        """[T,length,width]: what features [n,width] complete, and no more than `frames` frames in all."""
        held = np.concatenate([self._held, features])
        end = self._first + len(held)
        rows = []
        while frames is None or self.frames < frames:
            begin, stop = self.taps.span(self.frames)
            if stop > end:
                break
            rows.append(self.taps.row(self.frames, held[begin - self._first : stop - self._first]))
            self.frames += 1
        keep = min(self.taps.span(self.frames)[0], end)
        self._held, self._first = held[keep - self._first :].copy(), keep
        return np.stack(rows) if rows else np.zeros((0, self.taps.length, self.width), np.float32)


def stretched(features: FloatArray, frames: int) -> FloatArray:
    """Features of a whole sound, [n,width], as `frames` rows: the first is the first, the last the last.

    This is how FaceFormer and those after it are trained (interpolation with aligned corners). A row's place depends on
    the length of the whole, so that there is no way to do it as sound comes.
    """
    n = len(features)
    if n == 0 or frames <= 0:
        raise ValueError(f"stretched: needs features and frames, at least one of each; got {n} and {frames}.")
    if frames == 1 or n == 1:
        return np.repeat(features[:1], frames, axis=0)
    places = [divmod(k * (n - 1), frames - 1) for k in range(frames)]
    low = np.array([place for place, _ in places])
    share = np.array([rest / (frames - 1) for _, rest in places], np.float32)[:, None]
    high = np.minimum(low + 1, n - 1)
    out: FloatArray = features[low] + share * (features[high] - features[low])
    return out
