# SPDX-License-Identifier: Apache-2.0
"""Sessions: a live speaker. Sound goes in as it comes, frames come out on time, and the face lives all the while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, overload

from . import _core
from ._arrays import as_count, as_number
from ._told import Told
from .audio_blocks import require_rate
from .driven import Driven
from .encoders.feed import EncodedCore
from .errors import MotionInvalid, SessionClosed
from .live_frame import LentFrame, LiveFrame, lent_frame
from .session_presence import UNCHANGED, Presence
from .session_rows import control_rows, feature_rows
from .session_sound import as_channels, as_pushed
from .session_stats import SessionStats, session_stats

if TYPE_CHECKING:
    from .session_stream import FrameStream


class Session:
    """A live speaker, from Avatar.create_session().

        with avatar.create_session(latency_ms=200) as session:
            session.push_audio(pcm, sample_rate=24000)  # from anywhere, whenever there is some
            session.flush()                             # that was all of this utterance
            for frame in session:                       # or: async for frame in session
                frame.image, frame.audio

    Frames come at fps while anybody takes them, and go on between utterances (idle). Any method may be called from any
    thread. Used as a context manager, also with `async with`, it is aborted at the end: close() before that, and take
    the frames, if what was pushed is still to be said.

    fps, size, format, latency_ms: as it was created.  smallest_latency_ms: what would have been accepted.
    """

    def __init__(
        self,
        core: _core.Session | EncodedCore,
        avatar: Driven,
        hears: bool,
        size: tuple[int, int],
        format: str,
        options: dict[str, Any],
    ) -> None:
        """Made by Avatar.create_session(). hears: sound moves the avatar, or belongs to features that do."""
        self._core = core
        self._avatar = avatar
        self._hears = hears
        self.fps: float = options["fps"]
        self.size = size
        self.format = format
        self.latency_ms: float = options["latency_ms"]
        self.smallest_latency_ms: float = core.smallest_ms
        self._frames = Taken(core, self.fps, options["clock"] == _core.Clock.CALLER)
        self._lock = threading.Lock()  # of what follows
        self._sample_rate: int = options["rate_hz"]
        self._channels: int = options["channels"]
        self._presence = Presence()
        self._stream: FrameStream | None = None

    def __reduce__(self) -> NoReturn:
        raise TypeError("Session: a live session cannot be pickled or copied. Create one in the other process.")

    def __repr__(self) -> str:
        width, height = self.size
        return f"<Session of {self._avatar.name!r}, {width}x{height} {self.format} at {self.fps:g} fps>"

    # ---- in ----

    def push_audio(self, audio: Any, sample_rate: int | None = None, channels: int | None = None) -> None:
        """Adds sound to the utterance, or begins one. It never waits.

        audio: [n] or [n,channels], int16 or floats with full scale at 1; or bytes: little-endian int16, interleaved.
        sample_rate: Hz, 8000..192000; None for that of the last push, at first the session's.
        channels: of interleaved samples; None for one of an array [n], and for bytes that of the last push, at first
        the session's. The mean of the channels is heard. Rate and channels may change between utterances.
        Raises AudioInvalid for numbers that are not finite or absurd, QueueFull where it does not fit into queue_s,
        SessionClosed after close(), MotionInvalid for an avatar that cannot speak, and ValueError for arguments; then
        nothing of it was taken.
        """
        rate = self._sample_rate if sample_rate is None else as_count("push_audio: sample_rate", sample_rate, 1)
        require_rate("push_audio: sample_rate", rate)
        width = None if channels is None else as_channels("push_audio", channels)
        samples = as_pushed("push_audio: audio", audio, width, self._channels)
        try:
            with Told("push_audio"):
                self._core.push_audio(samples, rate)
        except ValueError:
            if self._hears:
                raise
            raise MotionInvalid(
                f"push_audio: {self._avatar.name} has no face that speech could move. Move it by push_controls(), "
                "whose frames carry the sound that is pushed after them; it takes "
                f"{', '.join(self._avatar.inputs) or 'nothing'}."
            ) from None
        with self._lock:
            self._sample_rate, self._channels = rate, samples.shape[1]

    def push_features(self, features: Any) -> None:
        """Adds frames of features, for an avatar whose encoder is not built in: [T,length,channels] of its windows.

        The sound that they were made of may be pushed too: then the frames carry it.
        Raises MotionInvalid for an avatar without windows, QueueFull, SessionClosed, and ValueError for the array.
        """
        rows = feature_rows("push_features", self._avatar, features)
        with Told("push_features"):
            self._core.push_features(rows)

    def push_controls(self, controls: Any) -> None:
        """Adds frames of controls, one a frame of this session, as they are: nothing is added to them.

        controls: a mapping of input names to [T,size], or for inputs with names (arkit) to a mapping of those to [T];
        or all inputs side by side, [T,n_control]; or a Motion, which is resampled. Inputs that are not given rest.
        Raises ValueError, MotionInvalid for a Motion that is another avatar's, QueueFull and SessionClosed.
        """
        rows = control_rows("push_controls", self._avatar, controls, self.fps)
        with Told("push_controls"):
            self._core.push_controls(rows)

    def flush(self) -> None:
        """The utterance ends with what was pushed; the next push begins another. Raises SessionClosed."""
        with Told("flush"):
            self._core.flush()

    def interrupt(self, fade_ms: int = 80) -> int | None:
        """Barge-in: drops what is queued and closes the mouth within fade_ms (0..2000) and one frame.

        Returns how many samples of the utterance the frames so far have at full volume: where it was cut off. None
        where nobody spoke. Frames with the sound that fades are idle and `fading`; none is the segment_end. The next
        push begins another utterance.
        """
        fade = as_count("interrupt: fade_ms", fade_ms, 0)
        with Told("interrupt"):
            position = self._core.interrupt(fade)
        return None if position < 0 else position

    clear_buffer = interrupt

    def set(
        self,
        *,
        gaze: Any = UNCHANGED,
        blink: Any = UNCHANGED,
        head: Any = UNCHANGED,
        emotion: Any = UNCHANGED,
        listening: Any = UNCHANGED,
    ) -> None:
        """What the face does besides speaking, from the next frame on; it moves there, and does not jump.

        gaze: (left, up) of the face, each -1..1; (0, 0) is at the camera. "auto": the eyes go where they like.
        blink: 0..2 times as often as usual; "auto" is 1.
        head: 0..2 times the usual motion, and up to 1 of breath; or (x, y, z), an axis-angle in radians that is added
        to the motion; "auto": 1, and nothing added.
        emotion: amounts 0..1 by name ({"happy": 0.6}), or one name; None for none. There are happy, sad, angry,
        surprised, afraid and disgusted; names that are not given are 0.
        listening: True or 0..1: attends to somebody.
        What is not given stays as it is. stats().no_input_for says what this avatar does not show.
        """
        with self._lock, Told("set"):
            told = self._presence.told(gaze, blink, head, emotion, listening)
            self._core.set(
                look=told.look, gaze=told.gaze, head_pose=told.head_pose, head=told.head, blink=told.blink,
                listening=told.listening, emotion=told.emotion,
            )  # fmt: skip
            self._presence = told

    def close(self) -> None:
        """No more pushes. What was pushed is still said; then the frames end."""
        with Told("close"):
            self._core.close()

    def abort(self) -> None:
        """Ends at once; frames that were not taken are gone, and whoever waits for one gets SessionClosed."""
        with Told("abort"):
            self._core.abort()

    # ---- out ----

    def __iter__(self) -> Iterator[LiveFrame]:
        """Every frame in turn, in memory of its own; ends after close() and the last of them.

        With clock="caller" it ends where there is no frame yet: they come from Engine.step().
        """
        while (frame := self._frames.next()) is not None:
            yield frame

    def __aiter__(self) -> FrameStream:
        """As iteration, for `async for`: a thread of the session's own waits, and the event loop goes on."""
        with self._lock:
            if self._stream is None:
                from .session_stream import FrameStream  # here: asyncio takes a while to import

                self._stream = FrameStream(self._frames.within, self._frames.stepped)
            return self._stream

    @overload
    def acquire(self, timeout: None = None) -> LentFrame: ...
    @overload
    def acquire(self, timeout: float) -> LentFrame | None: ...
    def acquire(self, timeout: float | None = None) -> LentFrame | None:
        """The next frame without a copy: a view until it is released.

            with session.acquire() as frame:
                show(frame.image)

        timeout: seconds, after which it returns None; None waits for as long as it takes.
        Raises SessionClosed after the last frame.
        """
        wait_s = None if timeout is None else as_number("acquire: timeout", timeout)
        if wait_s is not None and wait_s < 0:
            raise ValueError(f"acquire: timeout must be seconds, at least 0, or None; got {timeout!r}.")
        frame = self._frames.lent(wait_s)
        if frame is None and timeout is None:
            raise ValueError(
                'acquire: there is no frame, and with clock="caller" none comes while this waits. Call '
                "Engine.step() first, or pass timeout=0 to get None."
            )
        return frame

    def stats(self) -> SessionStats:
        """What was counted so far, also after the end."""
        with Told("stats"):
            return session_stats(self._core.stats())

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class Taken:
    """The frames of a session as they are taken. It knows the core's session alone, so that a thread may hold it."""

    def __init__(self, core: _core.Session | EncodedCore, fps: float, stepped: bool) -> None:
        self._core = core
        self._fps = fps
        self.stepped = stepped

    def lent(self, wait_s: float | None) -> LentFrame | None:
        """None: where it would have to be made by Engine.step(), and after wait_s, if that is a number."""
        with Told("acquire"):
            loan = self._core.acquire(wait_s)
        return None if loan is None else lent_frame(loan, self._fps)

    def next(self) -> LiveFrame | None:
        """None after the last, and where it would have to be made by Engine.step()."""
        try:
            return self.within(None)
        except SessionClosed:
            return None

    def within(self, wait_s: float | None) -> LiveFrame | None:
        frame = self.lent(wait_s)
        if frame is None:
            return None
        with frame:
            return frame.copy()
