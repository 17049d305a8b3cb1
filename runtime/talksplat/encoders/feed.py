# SPDX-License-Identifier: Apache-2.0
"""A session's sound on its way through an encoder: what the core takes at once, the encoder hears as well, and the rows
that it makes follow."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import FloatArray
from ..control import Window
from ..errors import EncoderRefused, LatencyRefused, QueueFull, SessionClosed, TalksplatError
from .at_work import at_work
from .encoder import MAX_SHARE, Encoder
from .resample import FrameRows, Taps
from .together import Full, Together
from .worker import Worker

# Of what a step took when the encoder was loaded: as much as one in a hundred takes where others use the machine, too.
SLACK = 1.5


@dataclass
class _Utterance:
    """The one that pushes go to. kind: its rate and channels.  samples: pushed so far, at that rate."""

    listener: _core.Listener | None = None  # where an encoder hears it
    kind: tuple[int, int] = (0, 0)
    samples: int = 0
    by_rows: bool = False  # rows that were pushed move it

    @property
    def begun(self) -> bool:
        return self.by_rows or self.listener is not None


class Speakers:
    """The live speakers of one encoder: their thread, and what was promised to each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._allowed_ms: WeakKeyDictionary[EncodedCore, float] = WeakKeyDictionary()
        self.promising = threading.Lock()  # one at a time: each counts those before it
        self.together = Together()
        self.worker = Worker("talksplat encoder", self.together.run)

    def require_time(self, who: str, encoder: Encoder) -> float:
        """What one speaker more is promised, milliseconds for a step of its own and of all others before it.

        Raises EncoderRefused and LatencyRefused.
        """
        with self._lock:
            n = len(self._allowed_ms) + 1
            engine = encoder.engine
            share = engine.hops_ms(n) / (1e3 * encoder.hop_s)
            if share > MAX_SHARE:
                others = f" with {n - 1} that speak already" if n > 1 else ""
                raise EncoderRefused(
                    f"{who}: {encoder.name} ({encoder.folder.preset}) is too slow here: a step of "
                    f"{1e3 * encoder.hop_s:.0f} ms of sound takes {engine.hop_ms:.1f} ms by "
                    f"{engine.name} {engine.precision}, which{others} is "
                    f"{100 * share:.0f} % of the time, and {100 * MAX_SHARE:.0f} % is the most. Export it "
                    "with a preset of longer steps (--preset cpu), or use another engine or more threads."
                )
            needed_ms = SLACK * engine.wait_ms(n)
            least = min(self._allowed_ms.values(), default=needed_ms)
            if needed_ms > least * (1 + 1e-9):
                raise LatencyRefused(
                    f"{who}: a session that is open could not keep its latency with this one: it leaves {least:.1f} ms "
                    f"for the encoder, and all of them would take {needed_ms:.1f}. Give that one more latency_ms."
                )
            return needed_ms

    def add(self, core: EncodedCore, allowed_ms: float) -> None:
        with self._lock:
            self._allowed_ms[core] = allowed_ms
        self.worker.add(core)

    def remove(self, core: EncodedCore) -> None:
        with self._lock:
            self._allowed_ms.pop(core, None)
        self.worker.remove(core)


_speakers: WeakKeyDictionary[Encoder, Speakers] = WeakKeyDictionary()
_lock = threading.Lock()


def speakers_of(encoder: Encoder) -> Speakers:
    with _lock:
        return _speakers.setdefault(encoder, Speakers())


class EncodedCore:
    """A session of the core with an encoder before it, by the same names: sound that is pushed moves the face.

    The core has one open utterance, and its last rows come after flush(): the sound of the next is held until then.
    Features and controls that are pushed into an utterance replace the encoder in it.
    With the caller's clock, whose time stands still meanwhile, everything is made inside the push, on its thread.
    """

    def __init__(
        self,
        core: _core.Session,
        encoder: Encoder,
        taps: Taps,
        fps: float,
        speakers: Speakers | None,
        latency_s: float,
        flush_after_s: float | None,
        queue_s: float,
    ) -> None:
        """speakers: None with the caller's clock."""
        self._core = core
        self._fps = fps
        self._speakers = speakers
        self._latency_s = latency_s
        self._flush_after_s = flush_after_s
        self._queue_s = queue_s
        self._features = encoder.feature_stream()
        self._rows = FrameRows(taps, encoder.width)
        self._silence = np.zeros(encoder.folder.front.hop, np.float32)
        self._made_for = 0  # the generation that the stream is of
        self._most_frames: int | None = None  # of its sound, once its end is known
        self._pushing = threading.Lock()  # keeps those apart that push
        # What follows is the worker's and theirs. It is held while rows go to the core, and never during a step.
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()  # what the worker does next, in order
        self._generation = 0  # of what waits and of what is just being made: interrupted ones are dropped
        self._failure: TalksplatError | None = None
        self._closing = False
        self._open = _Utterance()
        self._ends = 0  # utterances that were flushed, and whose last rows have not come
        self._held_s = 0.0
        self._dry_s = 0.0  # time.monotonic() at which all that was pushed has been shown
        self.smallest_ms = core.smallest_ms
        self.set = core.set
        self.acquire = core.acquire
        self.stats = core.stats

    # ---- as _core.Session ----

    def push_audio(self, samples: NDArray[Any], rate_hz: int) -> None:
        with self._pushing:
            self._require_open()
            if self._open.by_rows or len(samples) == 0:
                self._core.push_audio(samples, rate_hz)
                return
            channels = samples.shape[1] if samples.ndim == 2 else 1
            with self._lock:
                listener = self._open.listener
            if listener is not None and self._open.kind != (rate_hz, channels):
                open_rate_hz, open_channels = self._open.kind
                raise ValueError(
                    f"push_audio: this utterance has {open_channels} channels at {open_rate_hz} Hz; got {channels} at "
                    f"{rate_hz}. Flush before the sound changes."
                )
            if listener is None:
                listener, self._open.kind = _core.Listener(rate_hz, channels), (rate_hz, channels)
            self._give(samples, rate_hz, listener)
        self._go_on()

    def _give(self, samples: NDArray[Any], rate_hz: int, listener: _core.Listener) -> None:
        seconds = len(samples) / rate_hz
        with self._lock:
            held = self._ends > 0
            if held:
                queued_s = self._core.stats()["queued_ms"] / 1e3 + self._held_s
                if queued_s + seconds > self._queue_s * (1 + 1e-9):
                    raise QueueFull(
                        f"push_audio: {seconds:.3f} s of sound do not fit: {queued_s:.3f} s wait already, and a "
                        f"session holds {self._queue_s:.3f}. Push when frames have been taken."
                    )
                listener.push(samples)
                kept, generation = samples.copy(), self._generation
                self._held_s += seconds
                self._waiting.append(lambda: self._push_held(kept, rate_hz, generation))
            else:
                self._core.push_audio(samples, rate_hz)
                listener.push(samples)
            heard = listener.read()
            self._waiting.append(lambda: self._features.offer(heard))
            self._open.listener = listener
            self._open.samples += len(samples)
            self._lasts_longer(seconds)

    def push_features(self, rows: FloatArray) -> None:
        self._push_rows(self._core.push_features, rows)

    def push_controls(self, rows: FloatArray) -> None:
        self._push_rows(self._core.push_controls, rows)

    def _push_rows(self, push: Callable[[FloatArray], None], rows: FloatArray) -> None:
        with self._pushing:
            self._require_open()
            with self._lock:
                if self._open.listener is not None:
                    raise ValueError(
                        "push: the encoder moves this utterance, whose sound was pushed before. Flush before something "
                        "else moves the face."
                    )
            self._settle()
            push(rows)
            if len(rows) > 0:
                with self._lock:
                    self._open.by_rows = True
                    self._lasts_longer(len(rows) / self._fps)
        self._go_on()

    def flush(self) -> None:
        with self._pushing:
            self._require_open()
            self._flush()
        self._go_on()

    def _flush(self) -> None:
        with self._lock:
            listener = self._open.listener
            if listener is None:
                if self._ends == 0:
                    self._core.flush()
                self._open = _Utterance()
                return
            listener.finish()
            heard, generation = listener.read(), self._generation
            frames = _core.frame_count(self._open.samples, self._open.kind[0], self._fps)
            self._waiting.append(lambda: self._features.offer(heard))
            self._waiting.append(lambda: self._end(frames, generation))
            self._ends += 1
            self._open = _Utterance()

    def interrupt(self, fade_ms: int) -> int:
        with self._pushing, self._lock:
            position = self._core.interrupt(fade_ms)
            self._forget()
            if self._closing:
                self._waiting.append(self._close)
        self._go_on()
        return position

    def close(self) -> None:
        with self._pushing:
            if self._closing:
                return
            self._flush()
            with self._lock:
                self._closing = True
                self._waiting.append(self._close)
        self._go_on()

    def abort(self) -> None:
        with self._lock:
            self._closing = True
            self._core.abort()
            self._forget()
        if self._speakers is not None:
            self._speakers.remove(self)

    # ---- on the worker's thread, or with the caller's clock on that of the push ----

    def turn(self) -> bool:
        try:
            return self._turn()
        except Exception as error:
            self._fail(error)
            return False

    def wakes_at(self) -> float | None:
        with self._lock:
            if self._flush_after_s is None or not self._open.begun:
                return None
            return self._dry_s + self._flush_after_s

    def _turn(self) -> bool:
        with self._lock:
            generation = self._generation
            if self._made_for != generation:
                self._start_anew(generation)
        worked = False
        while not self._features.prepare():
            with self._lock:
                if self._generation != generation or not self._waiting:
                    next_step = None
                else:
                    next_step = self._waiting.popleft()
            if next_step is None:
                return worked or self._flush_what_is_over()
            next_step()
            worked = True
        self._transform(generation)
        return True

    def _transform(self, generation: int) -> None:
        """With others, where there are; on the worker's thread no turn comes before it is done."""

        def made(features: FloatArray) -> None:
            try:
                self._send(self._rows.push(features, self._most_frames), generation)
            except Exception as error:
                self._fail(error)

        if self._speakers is None:
            made(self._features.transform())
        else:
            self._speakers.together.add(Full(self._features, made, self._fail))

    def _send(self, rows: FloatArray, generation: int) -> None:
        if len(rows) == 0:
            return
        with self._lock:
            if self._generation == generation and not self._failure:
                self._core.push_features(rows.reshape(len(rows), -1))

    def _push_held(self, samples: NDArray[Any], rate_hz: int, generation: int) -> None:
        with self._lock:
            if self._generation == generation:
                self._held_s = max(0.0, self._held_s - len(samples) / rate_hz)
                self._core.push_audio(samples, rate_hz)

    def _end(self, frames: int, generation: int) -> None:
        """The last rows of an utterance, as many as it has frames: silence follows its sound, a step's worth a turn."""
        if self._generation != generation:
            return
        if self._features.features < self._rows.needed(frames):
            self._most_frames = frames
            self._features.offer(self._silence)
            with self._lock:
                if self._generation == generation:
                    self._waiting.appendleft(lambda: self._end(frames, generation))
            return
        self._start_anew(generation)
        with self._lock:
            if self._generation == generation:
                self._core.flush()
                self._ends -= 1

    def _close(self) -> None:
        self._core.close()
        if self._speakers is not None:
            self._speakers.remove(self)

    def _flush_what_is_over(self) -> bool:
        at = self.wakes_at()
        if at is None or time.monotonic() < at or not self._pushing.acquire(blocking=False):
            return False
        try:
            at = self.wakes_at()
            if at is None or time.monotonic() < at:
                return False
            self._flush()
        finally:
            self._pushing.release()
        return True

    # ---- within ----

    def _lasts_longer(self, seconds: float) -> None:
        self._dry_s = max(self._dry_s, time.monotonic() + self._latency_s) + seconds

    def _forget(self) -> None:
        self._generation += 1
        self._waiting.clear()
        self._ends, self._held_s, self._dry_s = 0, 0.0, 0.0
        self._open = _Utterance()

    def _start_anew(self, generation: int) -> None:
        """The stream is of another sound."""
        self._features.reset()
        self._rows.reset()
        self._most_frames = None
        self._made_for = generation

    def _go_on(self) -> None:
        if self._speakers is not None:
            self._speakers.worker.wake()
            return
        while self.turn():
            pass

    def _settle(self) -> None:
        """Rows of an utterance that was flushed come before what is pushed now."""
        while self._speakers is not None and not self._failure and self._ends > 0:
            time.sleep(0.002)

    def _require_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closing:
            raise SessionClosed("the session is closed, and takes nothing more. Make another.")

    def _fail(self, error: Exception) -> None:
        """What a push cannot be told any more, the next one is; the utterance ends with the rows that it has."""
        with self._lock:
            if self._failure is None and not self._closing:
                self._failure = EncoderRefused(f"the encoder of this session failed: {error}")
            self._forget()
            with contextlib.suppress(TalksplatError):
                self._core.flush()


def encoded_core(
    who: str,
    avatar: str,
    window: Window | None,
    encoder: Encoder,
    options: Mapping[str, Any],
    make: Callable[..., _core.Session],
) -> EncodedCore:
    """A session with an encoder before it.

    window: of the avatar.  options: of the core's session.  make: makes it, with some of them changed.
    Raises what make() raises, EncoderInvalid where the encoder does not fit, EncoderRefused and LatencyRefused.
    """
    taps = encoder.frame_taps(who, avatar, window, options["fps"])
    listens_s = encoder.look_ahead_of_frames_s(taps)

    def made(speakers: Speakers | None, step_ms: float) -> EncodedCore:
        core = make(feature_look_ahead_ms=1e3 * listens_s + step_ms, flush_after_ms=0)
        flush_after_ms = options["flush_after_ms"] if speakers is not None else 0
        return EncodedCore(
            core, encoder, taps, options["fps"], speakers, options["latency_ms"] / 1e3,
            flush_after_ms / 1e3 if flush_after_ms else None, options["queue_ms"] / 1e3,
        )  # fmt: skip

    if options["clock"] == _core.Clock.CALLER:
        return made(None, 0.0)
    speakers = speakers_of(encoder)
    with speakers.promising:
        step_ms = speakers.require_time(who, encoder)
        with at_work(speakers.worker, encoder):
            session = made(speakers, step_ms)
        speakers.add(session, step_ms + max(0.0, options["latency_ms"] - session.smallest_ms))
    return session
