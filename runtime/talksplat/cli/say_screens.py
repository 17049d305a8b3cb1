# SPDX-License-Identifier: Apache-2.0
"""Where `talksplat say` shows frames: raw pictures on stdout, or a window, with a loudspeaker."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .say_devices import pygame, sounddevice, without_newline

if TYPE_CHECKING:
    from .._arrays import FloatArray
    from ..frame import Frame

INTERRUPT, CLOSE = "interrupt", "close"
LOOK_S = 0.01  # how often a window looks for keys while it waits
STRAYED_S = 0.04  # of sound from its time, from where on it is put right: a device's clock is not the session's
SPARE_S = 0.02  # beyond what the device needs, for the frame to get from the session to it


class Screen(Protocol):
    def show(self, frame: Any) -> None:
        """Returns when the frame is shown."""

    def wishes(self) -> list[str]:
        """What somebody asked for since: INTERRUPT, CLOSE."""

    def close(self) -> None: ...


class RawPictures:
    """One picture after another on stdout, as soon as each is ready."""

    def __init__(self, format: str, fps: float, size: tuple[int, int]) -> None:
        from ..video import PIPE, open_video

        self._writer = open_video(PIPE, fps, size, format)

    def show(self, frame: Frame) -> None:
        self._writer.write(frame.image)
        self._writer.finish()  # none waits in a buffer until the next has come

    def wishes(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


class Window:
    """A window of the pictures' size. Space or I interrupts; Escape, Q or closing it ends."""

    def __init__(self, title: str, size: tuple[int, int], speaker: Speaker | None) -> None:
        """Raises OSError where there is no display."""
        self._pygame = pygame()
        self._speaker = speaker
        self._wishes: list[str] = []
        try:
            self._pygame.display.init()
            driver = self._pygame.display.get_driver()
            # What SDL falls back to where there is no display: a window that nobody sees.
            if driver in ("offscreen", "dummy") and "SDL_VIDEODRIVER" not in os.environ:
                raise self._pygame.error("there is no display")
            self._surface = self._pygame.display.set_mode(size)
        except self._pygame.error as error:
            self._pygame.display.quit()
            raise OSError(
                f"say: no window can be opened ({without_newline(error)}). Write pictures to stdout with --raw rgb8."
            ) from None
        self._pygame.display.set_caption(title)

    def show(self, frame: Any) -> None:
        delay_s = 0.0
        if self._speaker is not None:
            delay_s = self._speaker.delay_s
            self._speaker.play(frame.audio, frame.times.deadline + delay_s)
        height, width = frame.image.shape[:2]
        picture = self._pygame.image.frombuffer(np.ascontiguousarray(frame.image), (width, height), "RGB")
        self._surface.blit(picture, (0, 0))
        while (left_s := frame.times.deadline + delay_s - time.monotonic()) > 0:
            time.sleep(min(left_s, LOOK_S))
            self._look()
        self._pygame.display.flip()
        self._look()

    def _look(self) -> None:
        keys = self._pygame
        for event in keys.event.get():
            if event.type == keys.QUIT or (event.type == keys.KEYDOWN and event.key in (keys.K_ESCAPE, keys.K_q)):
                self._wishes.append(CLOSE)
            elif event.type == keys.KEYDOWN and event.key in (keys.K_SPACE, keys.K_i):
                self._wishes.append(INTERRUPT)

    def wishes(self) -> list[str]:
        found, self._wishes = self._wishes, []
        return found

    def close(self) -> None:
        if self._speaker is not None:
            self._speaker.close()
        self._pygame.display.quit()


class Speaker:
    """A loudspeaker that plays each sample at its time, on the clock of the session's deadlines.

    delay_s: by which sound, and its pictures with it, must be later than its deadline to be there in time.
    strayed: how often sound was put right on the way, because the device's clock goes differently.
    """

    def __init__(self, rate: int, channels: int) -> None:
        """Raises ImportError, and OSError where there is no device."""
        self._sound = sounddevice("a loudspeaker")
        self.strayed = 0
        self._rate, self._channels = rate, channels
        self._lock = threading.Lock()
        self._waiting: deque[tuple[float, FloatArray]] = deque()  # time of the first sample, samples
        self._dry = True  # nothing is played: what comes next begins at its time, to the sample
        try:
            self._stream = self._sound.OutputStream(
                samplerate=rate, channels=channels, dtype="float32", latency="low", callback=self._fill
            )
            self._stream.start()
        except (self._sound.PortAudioError, ValueError) as error:
            raise OSError(f"say: there is no loudspeaker that can be used ({without_newline(error)})") from None
        self.delay_s = float(self._stream.latency) + SPARE_S

    def play(self, samples: FloatArray, at_s: float) -> None:
        """samples: [n] or [n,channels], to be heard from at_s of time.monotonic() on; kept until then."""
        with self._lock:
            self._waiting.append((at_s, np.array(samples, np.float32).reshape(-1, self._channels)))

    def _fill(self, out: Any, frames: int, times: Any, status: Any) -> None:
        # The device's clock may be any; only how far ahead of it the samples are is used.
        begin_s = time.monotonic() + (times.outputBufferDacTime - times.currentTime)
        out[:] = 0
        with self._lock:
            self._mix(out, frames, begin_s)

    def _mix(self, out: Any, frames: int, begin_s: float) -> None:
        done = 0
        while self._waiting and done < frames:
            at_s, samples = self._waiting.popleft()
            ahead_s = at_s - (begin_s + done / self._rate)
            if self._dry or abs(ahead_s) > STRAYED_S:
                self.strayed += not self._dry
                skip = round(ahead_s * self._rate)
                if skip >= frames - done:
                    self._waiting.appendleft((at_s, samples))
                    break
                done += max(skip, 0)
                samples = samples[max(-skip, 0) :]
                self._dry = not len(samples)
            n = min(frames - done, len(samples))
            out[done : done + n] = samples[:n]
            done += n
            if n < len(samples):
                self._waiting.appendleft((at_s + n / self._rate, samples[n:]))
        self._dry = self._dry or done < frames

    def close(self) -> None:
        self._stream.close()
