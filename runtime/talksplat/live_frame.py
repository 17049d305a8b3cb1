# SPDX-License-Identifier: Apache-2.0
"""Frames of sessions: a picture, the sound of its time, and how it came to be on time."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, NamedTuple

import numpy as np

from . import _core
from ._arrays import FloatArray
from .frame import Frame

NS = 1e-9  # seconds


class LiveTimes(NamedTuple):
    """When the stages of a live frame were: seconds of time.monotonic(), or of the caller's clock.

    heard: its last needed sample was pushed; the session's start for idle frames.  released: it might be drawn.
    begun: its turn came.  driven: sound had become a face.  ready: it was drawn.  deadline: it is due.
    """

    heard: float
    released: float
    begun: float
    driven: float
    ready: float
    deadline: float


NO_TIMES = LiveTimes(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, eq=False, repr=False)
class LiveFrame(Frame):
    """A Frame of a session: pts and index count from the start of the session's clock.

    audio: the sound of its time at sample_rate, zeros where nobody speaks.
    pts_samples: its first sample on the session's clock, at sample_rate.
    segment: number of its utterance, from 0, and segment_sample its first sample in that; None of idle frames.
    times: when its stages were.  flags: TS_LIVE_... of talksplat_session.h, which the properties name.
    """

    pts_samples: int = 0
    segment: int | None = None
    segment_sample: int | None = None
    times: LiveTimes = NO_TIMES
    flags: int = _core.LIVE_IDLE

    @property
    def kind(self) -> Literal["speech", "idle"]:
        """Whether it belongs to an utterance."""
        return "speech" if self.flags & _core.LIVE_SPEECH else "idle"

    @property
    def starved(self) -> bool:
        """Of an utterance whose sound was not there in time: it has silence, and the utterance goes on later."""
        return bool(self.flags & _core.LIVE_STARVED)

    @property
    def late(self) -> bool:
        """It was ready after its deadline."""
        return bool(self.flags & _core.LIVE_LATE)

    @property
    def held(self) -> bool:
        """It could not be drawn in time, and shows the picture of the frame before it (on_late="hold")."""
        return bool(self.flags & _core.LIVE_HELD)

    @property
    def fading(self) -> bool:
        """Of an utterance that was interrupted: the mouth closes, and the sound fades."""
        return bool(self.flags & _core.LIVE_FADING)

    @property
    def audible(self) -> bool:
        """Its sound is an utterance's, and not silence of idle or starved frames: what goes out beside the picture."""
        return self.fading or (self.kind == "speech" and not self.starved)

    @property
    def segment_end(self) -> bool:
        """The last of its utterance."""
        return bool(self.flags & _core.LIVE_SEGMENT_END)

    @property
    def left_out(self) -> int:
        """How many frames before it were left out, whose sound it has, too (on_late="skip")."""
        k = self.index
        if self.sample_rate is not None and self.fps is not None:
            while k > 0 and _core.first_sample(k - 1, self.sample_rate, self.fps) >= self.pts_samples:
                k -= 1
        return self.index - k

    @property
    def wait_ms(self) -> float:
        """From when it could be drawn, its last needed sample there, to when it was ready."""
        return (self.times.ready - max(self.times.heard, self.times.released)) * 1e3

    @property
    def draw_ms(self) -> float:
        """From its turn to when it was ready."""
        return (self.times.ready - self.times.begun) * 1e3

    @property
    def spare_ms(self) -> float:
        """From when it was ready to its deadline; negative where it was late."""
        return (self.times.deadline - self.times.ready) * 1e3

    def __repr__(self) -> str:
        said = [self.kind, *(name for name in _WORDS if getattr(self, name))]
        return f"{super().__repr__()[:-1]}, {', '.join(said)}>"


_WORDS = ("starved", "late", "held", "fading", "segment_end")


@dataclass(frozen=True, eq=False, repr=False)
class LentFrame(LiveFrame):
    """A LiveFrame in the session's memory, from acquire(): its image is a read-only view until release().

    As a context manager it is released at the end. It is released too when nothing refers to it and its image.
    A session has few pictures (slots); its clock stands still while all of them are lent or wait.
    """

    _loan: _core.LiveFrame | None = field(default=None, repr=False)

    def release(self) -> None:
        """Gives the picture back: image is gone, and an array that was taken from it gets other contents."""
        loan = self._loan
        if loan is not None:
            object.__delattr__(self, "image")
            object.__setattr__(self, "_loan", None)
            loan.release()

    def copy(self) -> LiveFrame:
        """A frame with memory of its own. Raises ValueError where this one was released."""
        audio = None if self.audio is None else np.array(self.audio)
        return LiveFrame(np.array(self.image), self.pts, self.index, self.receipt, audio, self.sample_rate, self.fps,
                         self.pts_samples, self.segment, self.segment_sample, self.times, self.flags)  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        # Reached only for attributes that are not there (any more).
        if name == "image":
            raise ValueError("LentFrame: image was given back by release(). Use it before that, or take a copy().")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __enter__(self) -> LentFrame:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
        """Pickled and copied it is a LiveFrame."""
        return _itself, (self.copy(),)


def _itself(frame: LiveFrame) -> LiveFrame:
    return frame


def lent_frame(loan: _core.LiveFrame, fps: float) -> LentFrame:
    sound: FloatArray = loan.audio
    return LentFrame(
        loan.image,
        loan.index / fps,
        loan.index,
        loan.receipt,
        sound[:, 0] if sound.shape[1] == 1 else sound,
        loan.rate_hz,
        fps,
        loan.pts_samples,
        None if loan.segment < 0 else loan.segment,
        None if loan.segment_sample < 0 else loan.segment_sample,
        LiveTimes(*(at * NS for at in loan.times)),
        loan.flags,
        loan,
    )
