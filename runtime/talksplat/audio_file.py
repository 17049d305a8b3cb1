# SPDX-License-Identifier: Apache-2.0
"""Sound of files, through PyAV: any container and codec that it has, videos too."""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import av
import numpy as np

from ._arrays import FloatArray
from ._mp3 import added_samples
from ._pyav import FAILURES, is_default, is_still, open_sound
from .audio_blocks import Audio, require_channels, require_rate
from .audio_uniform import Uniform
from .errors import AudioInvalid

JITTER_S = 0.05  # of a container's timestamps, beside which samples are simply put one after another
MAX_JUMP_S = 60.0
RESTART_S = 0.5  # timestamps that fall by more begin again: another recording follows in the same file
MAX_DAMAGED = 8  # packets that may be broken before most must be whole
# What a caller's stream may raise that says something of the stream, not of the program.
_STREAM_FAILURES = (OSError, EOFError, ValueError)
_REPAIR = "Try to repair it: ffmpeg -i IN OUT.wav"


class _Stream:
    """A stream as PyAV may read it: an exception in it is kept in `error`, and the stream ends there.

    PyAV drops those that are not ordinary, Ctrl-C while a pipe is silent among them, and reads again; of more bytes
    than it asked for it writes them all, past its buffer.
    """

    def __init__(self, file: Any) -> None:
        self.error: BaseException | None = None
        self._file = file

    def read(self, n: int) -> Any:
        return self._kept(self._bytes, n, otherwise=b"")

    def seek(self, offset: int, whence: int) -> Any:
        return self._kept(self._file.seek, offset, whence, otherwise=-1)

    def tell(self) -> Any:
        return self._kept(self._file.tell, otherwise=-1)

    def seekable(self) -> bool:
        able = getattr(self._file, "seekable", lambda: True)
        return hasattr(self._file, "seek") and hasattr(self._file, "tell") and bool(able())

    def _bytes(self, n: int) -> bytes:
        data = self._file.read(n)
        if not isinstance(data, bytes) or len(data) > n:
            raise ValueError(f"read({n}) must give at most so many bytes")
        return data

    def _kept(self, call: Callable[..., Any], *arguments: Any, otherwise: Any) -> Any:
        if self.error is None:
            try:
                return call(*arguments)
            except BaseException as error:
                self.error = error
        return otherwise


class AudioFile(Audio):
    """The sound stream of a file that players take: the one marked as default, else the first.

    What an encoder put before the first sample (MP3, AAC, Opus) is skipped. Of a video, time 0 is the first picture:
    sound that starts later follows silence, and sound from before it is left out. Where timestamps begin again, as in
    recordings that were put one after another, the sound goes on; where its rate or its channels change, it goes on in
    those that it began with.
    """

    _container: Any = None
    _owned = False

    def __init__(self, name: str, file: Any, owned: bool = True) -> None:
        """Reads `file` (binary, open) up to the first samples; closes it in the end if it is `owned`."""
        self.name = name
        self._file = file
        self._owned = owned
        # Nothing waits or fails in Python while PyAV reads a file on disk or in memory.
        self._source = file if owned and file.seekable() else _Stream(file)
        self._remarks: list[str] = []
        try:
            self._open()
        except BaseException:
            self._close()
            raise

    def _open(self) -> None:
        if hasattr(self._file, "peek") and not self._file.peek(1):
            raise AudioInvalid(f"{self.name}: the file is empty.")
        try:
            self._container = open_sound(self._source)
            self._require_stream()
            streams = self._container.streams
            if not streams.audio:
                kinds = ", ".join(sorted({stream.type for stream in streams})) or "nothing that can be played"
                raise AudioInvalid(f"{self.name}: has no sound in it, only {kinds}.")
            self._stream: Any = self._chosen(streams.audio)
            self._origin_s = _first_picture_s(streams.video)
            self._stated_s = -math.inf  # of the latest frame
            # Headers may name thousands of channels, and decoders then take memory for them.
            require_channels(self.name, max(1, self._stream.channels))
            seconds = self._stream.duration and float(self._stream.duration * self._stream.time_base)
            self.seconds = seconds or (self._container.duration and self._container.duration / av.time_base) or None
            # Without a reference to itself, a sound that nobody reads on is closed at once.
            self._frames = AudioFile._decoded(weakref.proxy(self))
            self._first = next(self._frames, None)
        except AudioInvalid:
            raise
        except FAILURES as error:
            raise self._unreadable("is not sound that can be read", error) from None
        if self._first is None:
            why = f"{self.damaged} broken packets" if self.damaged else "a header, and nothing after it"
            raise AudioInvalid(f"{self.name}: has no sample in it ({why}).")
        self._uniform = Uniform(self.name, self._first)
        self.rate, self.channels = self._uniform.rate, self._uniform.channels
        require_rate(self.name, self.rate)
        require_channels(self.name, self.channels)

    @property
    def notes(self) -> list[str]:
        damaged = [f"{self.damaged} packets of {self.name} could not be decoded and are silent"] if self.damaged else []
        return [*self._remarks, *damaged]

    def _chosen(self, streams: Any) -> Any:
        able = [stream for stream in streams if stream.codec_context is not None]
        if not able:
            raise AudioInvalid(f"{self.name}: its sound is of a kind that PyAV has no decoder for.")
        chosen = next((stream for stream in able if is_default(stream)), able[0])
        if len(streams) > 1:
            number = 1 + [stream.index for stream in streams].index(chosen.index)
            self._remarks.append(f"{self.name} has {len(streams)} sound tracks; number {number} is heard")
        return chosen

    def _require_stream(self) -> None:
        if isinstance(self._source, _Stream) and self._source.error is not None:
            raise self._source.error

    def _unreadable(self, what: str, error: Exception) -> AudioInvalid:
        # What PyAV says of a stream that broke is not the reason.
        if isinstance(self._source, _Stream) and self._source.error is not None:
            if not isinstance(self._source.error, _STREAM_FAILURES):
                raise self._source.error from None
            error = self._source.error
        return AudioInvalid(f"{self.name}: {what} ({_reason(error)}). {_REPAIR}")

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        # A decoder that fails to close has nothing left to say.
        with contextlib.suppress(*FAILURES):
            if self._container is not None:
                self._container.close()
        if self._owned:
            self._file.close()

    def _decoded(self) -> Iterator[Any]:
        """Frames, and numbers: above 0 of samples that a broken packet stood for, below 0 of samples to leave out."""
        good = 0
        begun = False
        is_mp3 = self._container.format.name == "mp3"
        for packet in self._container.demux(self._stream):
            added = added_samples(bytes(packet)) if is_mp3 and begun else None
            if added is not None:  # another MP3 file begins
                yield -added
                continue
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                self.damaged += 1
                if self.damaged > max(MAX_DAMAGED, good):
                    raise AudioInvalid(f"{self.name}: most of it cannot be decoded ({_reason(error)}).") from None
                if begun:
                    yield int(packet.duration * packet.time_base * self.rate) if packet.duration else 0
                continue
            except ValueError as error:
                if "unknown codec" not in str(error):
                    raise
                raise AudioInvalid(f"{self.name}: its sound is of a kind that PyAV has no decoder for.") from None
            good += 1
            for frame in frames:
                if frame.samples:
                    begun = True
                    yield frame
        self._require_stream()

    def _chunks(self) -> Iterator[FloatArray]:
        at = 0  # samples that were given
        extra = 0  # samples to leave out
        try:
            for frame in self._all_frames():
                if isinstance(frame, int):
                    extra += max(-frame, 0)
                    yield from self._silence(min(frame, self.rate))
                    at += min(max(frame, 0), self.rate)
                    continue
                gap = self._gap(frame, at)
                if gap > 0:
                    yield from self._silence(gap)
                    at += gap
                for samples in self._samples_of(frame, at):
                    early = min(max(-gap, 0), len(samples))
                    gap += early
                    cut = min(early + extra, len(samples))
                    extra -= cut - early
                    yield samples[cut:]
                    at += len(samples) - cut
            for samples in self._uniform.rest():
                yield samples
                at += len(samples)
        except AudioInvalid:
            raise
        except FAILURES as error:
            raise self._unreadable(f"cannot be read on at {at / self.rate:.2f} s", error) from None
        finally:
            self._close()

    def _all_frames(self) -> Iterator[Any]:
        yield self._first
        self._first = None
        yield from self._frames

    def _samples_of(self, frame: Any, at: int) -> list[FloatArray]:
        met = len(self._uniform.changes)
        samples = self._uniform.samples(frame)
        for rate, channels in self._uniform.changes[met:]:
            self._remarks.append(
                f"{self.name} changes to {rate} Hz and {_channels_text(channels)} at {at / self.rate:.2f} s; it is "
                f"heard at {self.rate} Hz with {_channels_text(self.channels)} throughout"
            )
        return samples

    def _gap(self, frame: Any, at: int) -> int:
        """Samples of silence that belong before a frame, below 0: that the frame is too early by.

        Only pictures give the timestamps of sound a meaning: sound alone starts with its first sample.
        """
        if self._origin_s is None or frame.pts is None:
            return 0
        stated_s = float(frame.pts * frame.time_base)
        if stated_s < self._stated_s - RESTART_S:
            self._origin_s = stated_s - at / self.rate
            self._remarks.append(f"the timestamps of {self.name} begin again at {at / self.rate:.2f} s of sound")
        self._stated_s = stated_s
        seconds = stated_s - self._origin_s - at / self.rate
        if abs(seconds) > MAX_JUMP_S:
            raise AudioInvalid(
                f"{self.name}: its timestamps jump by {seconds:.0f} s at {at / self.rate:.2f} s of sound. {_REPAIR}"
            )
        if at and abs(seconds) <= JITTER_S:
            return 0
        return round(seconds * self.rate)

    def _silence(self, n: int) -> Iterator[FloatArray]:
        for start in range(0, n, self.rate):
            yield np.zeros((min(self.rate, n - start), self.channels), np.float32)


def _first_picture_s(streams: Any) -> float | None:
    """When a video shows its first picture; None for sound alone, which may carry a cover picture."""
    for stream in streams:
        if not is_still(stream) and stream.start_time is not None:
            return float(stream.start_time * stream.time_base)
    return None


def _channels_text(channels: int) -> str:
    return f"{channels} channel" + ("s" if channels > 1 else "")


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)[:1].lower() + str(text)[1:]
