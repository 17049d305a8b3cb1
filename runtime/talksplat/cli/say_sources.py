# SPDX-License-Identifier: Apache-2.0
"""What `talksplat say` speaks: a sound at its pace, samples from stdin as they come, or a microphone."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .say_devices import sounddevice, without_newline

if TYPE_CHECKING:
    from ..audio_blocks import Audio

READ_BYTES = 1 << 16


class Source(Protocol):
    """Sound that reaches a session from a thread of its own.

    rate: Hz.  channels: 1..8.  error: what ended it, where that was a failure.
    """

    rate: int
    channels: int

    @property
    def error(self) -> BaseException | None: ...

    def start(self, session: Any) -> None:
        """The session is closed after the last sample, where there is one."""

    def interrupted(self) -> None:
        """The session was: what belongs to the same utterance is not pushed any more."""

    def stop(self) -> None:
        """Nothing is pushed after this."""


class Spoken:
    """A sound file, pushed as if it were spoken now."""

    def __init__(self, audio: Audio, chunk_ms: float) -> None:
        self.rate, self.channels = audio.rate, audio.channels
        self._audio, self._chunk_ms = audio, chunk_ms
        self._feeder: Any = None

    @property
    def error(self) -> BaseException | None:
        return None if self._feeder is None else self._feeder.error

    def start(self, session: Any) -> None:
        from .feeding import Feeder, chunks_of

        sound = chunks_of(self._audio.blocks(), self.rate, self._chunk_ms)
        self._feeder = Feeder(session, [sound], self.rate, close=True)
        self._feeder.start()

    def interrupted(self) -> None:
        self.stop()

    def stop(self) -> None:
        if self._feeder is not None:
            self._feeder.stop()


class Piped:
    """Little-endian 16-bit samples from a descriptor, pushed as they come; none is lost where they come early."""

    def __init__(self, descriptor: int, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels
        self.error: BaseException | None = None
        self._descriptor = descriptor
        self._stopped = threading.Event()
        # Nobody can end a read that waits: the thread is left alone, and ends with the process.
        self._thread = threading.Thread(target=self._run, name="talksplat stdin", daemon=True)
        self._session: Any = None

    def start(self, session: Any) -> None:
        self._session = session
        self._thread.start()

    def _run(self) -> None:
        from ..errors import SessionClosed

        try:
            self._read()
            self._session.close()
        except SessionClosed:
            pass
        except BaseException as error:
            self.error = error

    def _read(self) -> None:
        from .feeding import push

        width = 2 * self.channels
        rest = b""
        while not self._stopped.is_set() and (data := os.read(self._descriptor, READ_BYTES)):
            data = rest + data
            whole = len(data) - len(data) % width
            rest = data[whole:]
            if whole:
                samples = np.frombuffer(data[:whole], "<i2").reshape(-1, self.channels)
                push(self._session, samples, self.rate, self._stopped)

    def interrupted(self) -> None:
        """What comes next is another utterance."""

    def stop(self) -> None:
        self._stopped.set()


class Microphone:
    """One channel of a device, in blocks of chunk_ms at the device's own rate."""

    channels = 1

    def __init__(self, chunk_ms: float, device: str | None = None) -> None:
        """device: a part of its name, or its number; None for the usual one. Raises OSError where there is none."""
        self.error: BaseException | None = None
        self._sound = sounddevice("a microphone")
        self._device = int(device) if device is not None and device.isdigit() else device
        self._stream: Any = None
        try:
            self.rate = round(self._sound.query_devices(self._device, "input")["default_samplerate"])
        except (self._sound.PortAudioError, ValueError) as error:
            raise self._missing(error) from None
        self._block = max(1, round(self.rate * chunk_ms / 1e3))

    def _missing(self, error: Exception) -> OSError:
        which = "no microphone" if self._device is None else f"no microphone {self._device}"
        return OSError(
            f"say: there is {which} that can be used ({without_newline(error)}). Name a sound file, or - for stdin."
        )

    def start(self, session: Any) -> None:
        from ..errors import QueueFull, SessionClosed

        def heard(samples: Any, frames: int, times: Any, status: Any) -> None:
            try:
                session.push_audio(samples, sample_rate=self.rate)
            except QueueFull:  # nobody takes frames: the sound of now is as good as that of a minute ago
                pass
            except SessionClosed:
                raise self._sound.CallbackStop from None
            except BaseException as error:
                self.error = error
                raise self._sound.CallbackStop from None

        try:
            self._stream = self._sound.InputStream(
                samplerate=self.rate, channels=1, dtype="int16", blocksize=self._block, device=self._device,
                latency="low", callback=heard,
            )  # fmt: skip
            self._stream.start()
        except self._sound.PortAudioError as error:
            raise self._missing(error) from None

    def interrupted(self) -> None:
        """It goes on: what is said next is another utterance."""

    def stop(self) -> None:
        if self._stream is not None:
            self._stream.close()


def stdin_descriptor() -> int:
    """Raises OSError where it is closed."""
    if sys.stdin is None:
        raise OSError("say: standard input is closed, and - reads the sound from it. Name a file.")
    return sys.stdin.fileno()
