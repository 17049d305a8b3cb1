"""Sound of files, through PyAV: any container and codec that it has, videos too."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from ._arrays import FloatArray
from .audio import Audio, as_float_samples, require_channels, require_rate
from .errors import AudioInvalid

# A media file must not make the decoder open other files or addresses, as playlists do. Nothing is named "none".
_OPTIONS = {"protocol_whitelist": "none"}
JITTER_S = 0.05  # of a container's timestamps, beside which samples are simply put one after another
MAX_JUMP_S = 60.0
MAX_DAMAGED = 8  # packets that may be broken before most must be whole
_DTYPES: dict[str, type[np.generic]] = {
    "u8": np.uint8, "s16": np.int16, "s32": np.int32, "s64": np.int64, "flt": np.float32, "dbl": np.float64,
}  # fmt: skip
# PyAV says what is wrong with a file in errors of many classes, all of them ordinary.
_FAILURES = (av.FFmpegError, ValueError, TypeError, IndexError, KeyError, NotImplementedError, OverflowError, OSError)
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
    """The first sound stream of a file.

    What an encoder put before the first sample (MP3, AAC, Opus) is skipped. Of a video, time 0 is the first picture:
    sound that starts later follows silence, and sound from before it is left out.
    """

    def __init__(self, name: str, file: Any, owned: bool = True) -> None:
        """Reads `file` (binary, open) up to the first samples; closes it in the end if it is `owned`."""
        self.name = name
        self._file = file
        self._owned = owned
        # Nothing waits or fails in Python while PyAV reads a file on disk or in memory.
        self._source = file if owned and file.seekable() else _Stream(file)
        self._container: Any = None
        try:
            self._open()
        except BaseException:
            self._close()
            raise

    def _open(self) -> None:
        if hasattr(self._file, "peek") and not self._file.peek(1):
            raise AudioInvalid(f"{self.name}: the file is empty.")
        try:
            self._container = av.open(self._source, options=_OPTIONS, metadata_errors="replace")
            self._require_stream()
            streams = self._container.streams
            if not streams.audio:
                kinds = ", ".join(sorted({stream.type for stream in streams})) or "nothing that can be played"
                raise AudioInvalid(f"{self.name}: has no sound in it, only {kinds}.")
            self._stream: Any = streams.audio[0]
            if self._stream.codec_context is None:
                raise AudioInvalid(f"{self.name}: its sound is of a kind that PyAV has no decoder for.")
            self._origin_s = _first_picture_s(streams.video)
            # Headers may name thousands of channels, and decoders then take memory for them.
            require_channels(self.name, max(1, self._stream.channels))
            seconds = self._stream.duration and float(self._stream.duration * self._stream.time_base)
            self.seconds = seconds or (self._container.duration and self._container.duration / av.time_base) or None
            # Without a reference to itself, a sound that nobody reads on is closed at once.
            self._frames = AudioFile._decoded(weakref.proxy(self))
            self._first = next(self._frames, None)
        except AudioInvalid:
            raise
        except _FAILURES as error:
            raise self._unreadable("is not sound that can be read", error) from None
        if self._first is None:
            why = f"{self.damaged} broken packets" if self.damaged else "a header, and nothing after it"
            raise AudioInvalid(f"{self.name}: has no sample in it ({why}).")
        self.rate = int(self._first.sample_rate)
        self.channels = len(self._first.layout.channels)
        require_rate(self.name, self.rate)
        require_channels(self.name, self.channels)

    def _require_stream(self) -> None:
        if isinstance(self._source, _Stream) and self._source.error is not None:
            raise self._source.error

    def _unreadable(self, what: str, error: Exception) -> AudioInvalid:
        # What PyAV says of a stream that broke is not the reason.
        if isinstance(self._source, _Stream) and self._source.error is not None:
            if not isinstance(self._source.error, _FAILURES):
                raise self._source.error from None
            error = self._source.error
        return AudioInvalid(f"{self.name}: {what} ({_reason(error)}). {_REPAIR}")

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        # A decoder that fails to close has nothing left to say.
        with contextlib.suppress(*_FAILURES):
            if self._container is not None:
                self._container.close()
        if self._owned:
            self._file.close()

    def _decoded(self) -> Iterator[Any]:
        """Frames, and for a packet that cannot be decoded the number of samples it stood for."""
        good = 0
        begun = False
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                self.damaged += 1
                if self.damaged > max(MAX_DAMAGED, good):
                    raise AudioInvalid(f"{self.name}: most of it cannot be decoded ({_reason(error)}).") from None
                if begun:
                    yield int(packet.duration * packet.time_base * self.rate) if packet.duration else 0
                continue
            good += 1
            for frame in frames:
                if frame.samples:
                    begun = True
                    yield frame
        self._require_stream()

    def _chunks(self) -> Iterator[FloatArray]:
        at = 0  # samples that were given
        try:
            for frame in self._all_frames():
                if isinstance(frame, int):  # a broken packet, of so many samples
                    yield from self._silence(min(frame, self.rate))
                    at += min(frame, self.rate)
                    continue
                samples = self._samples_of(frame)
                gap = self._gap(frame, at)
                if gap > 0:
                    yield from self._silence(gap)
                elif gap < 0:
                    samples = samples[-gap:]
                yield samples
                at += max(gap, 0) + len(samples)
        except AudioInvalid:
            raise
        except _FAILURES as error:
            raise self._unreadable(f"cannot be read on at {at / self.rate:.2f} s", error) from None
        finally:
            self._close()

    def _all_frames(self) -> Iterator[Any]:
        yield self._first
        self._first = None
        yield from self._frames

    def _samples_of(self, frame: Any) -> FloatArray:
        if (frame.sample_rate, len(frame.layout.channels)) != (self.rate, self.channels):
            raise AudioInvalid(
                f"{self.name}: changes from {self.rate} Hz and {self.channels} channels to {frame.sample_rate} Hz and "
                f"{len(frame.layout.channels)} midway. {_REPAIR}"
            )
        kind = _DTYPES.get(frame.format.name.rstrip("p"))
        if kind is None:
            raise AudioInvalid(
                f"{self.name}: its samples are of a kind that is not known, {frame.format.name}. {_REPAIR}"
            )
        # Not frame.to_ndarray(): of eight planes it reads a ninth that is not there (PyAV 18).
        planar = frame.format.is_planar
        count = frame.samples * (1 if planar else self.channels)
        planes = frame.planes[: self.channels if planar else 1]
        rows: NDArray[Any] = np.stack([np.frombuffer(plane, kind, count) for plane in planes])
        array = rows.T if planar else rows.reshape(-1, self.channels)
        if kind is np.uint8:
            return as_float_samples((array - 128.0) / 128.0)
        if kind is np.int32 or kind is np.int64:
            return as_float_samples(array / 2.0 ** (8 * array.itemsize - 1))
        return as_float_samples(array)

    def _gap(self, frame: Any, at: int) -> int:
        """Samples of silence that belong before a frame, below 0: that the frame is too early by.

        Only pictures give the timestamps of sound a meaning: sound alone starts with its first sample.
        """
        if self._origin_s is None or frame.pts is None:
            return 0
        seconds = float(frame.pts * frame.time_base) - self._origin_s - at / self.rate
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
        cover = stream.disposition & (Disposition.attached_pic | Disposition.still_image)
        if not cover and stream.start_time is not None:
            return float(stream.start_time * stream.time_base)
    return None


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)[:1].lower() + str(text)[1:]
