# SPDX-License-Identifier: Apache-2.0
"""What stands for the packages of the `say` extra in tests: devices that only remember."""

from types import SimpleNamespace
from typing import Any

import numpy as np


class Sounddevice:
    """The part of the package that is used. Streams are called by hand, as by the device's thread."""

    class PortAudioError(Exception):
        pass

    class CallbackStop(Exception):
        pass

    def __init__(self, microphone: bool = True, speaker: bool = True) -> None:
        self.microphone, self.speaker = microphone, speaker
        self.streams: list[Any] = []

    def query_devices(self, device: Any, kind: str) -> dict[str, float]:
        assert kind == "input"
        if isinstance(device, str):
            raise ValueError(f"No input device matching {device!r}")
        if not self.microphone:
            raise self.PortAudioError("Error querying device -1")
        return {"default_samplerate": 44100.0}

    def _stream(self, there: bool, options: dict[str, Any]) -> Any:
        if not there:
            raise self.PortAudioError("Error querying device -1")
        assert options["latency"] == "low"
        stream = SimpleNamespace(**{**options, "latency": 0.03}, started=False, closed=False)
        stream.start = lambda: setattr(stream, "started", True)
        stream.close = lambda: setattr(stream, "closed", True)
        self.streams.append(stream)
        return stream

    def InputStream(self, **options: Any) -> Any:
        return self._stream(self.microphone, options)

    def OutputStream(self, **options: Any) -> Any:
        return self._stream(self.speaker, options)


class Pygame:
    """A window that keeps what it showed. pressed: events that come with the next look."""

    QUIT, KEYDOWN, K_ESCAPE, K_q, K_SPACE, K_i, K_a = range(7)

    class error(Exception):
        pass

    def __init__(self, driver: str | None = "x11") -> None:
        """driver: None where SDL finds none at all."""
        self.pressed: list[Any] = []
        self.shown: list[Any] = []
        self.flipped: list[Any] = []
        self.is_open = False
        self._driver = driver
        self.display = SimpleNamespace(
            init=self._init, get_driver=lambda: self._driver, set_mode=self._set_mode, flip=self._flip,
            set_caption=lambda title: setattr(self, "title", title), quit=lambda: setattr(self, "is_open", False),
        )  # fmt: skip
        self.event = SimpleNamespace(get=self._events)
        self.image = SimpleNamespace(frombuffer=self._picture)

    def _init(self) -> None:
        if self._driver is None:
            raise self.error("No available video device")

    def _set_mode(self, size: tuple[int, int]) -> Any:
        self.is_open = True
        return SimpleNamespace(blit=lambda picture, at: self.shown.append(picture))

    def _picture(self, image: Any, size: tuple[int, int], form: str) -> Any:
        assert form == "RGB"
        assert image.shape == (size[1], size[0], 3)
        assert image.flags.c_contiguous
        return np.array(image)

    def _flip(self) -> None:
        self.flipped.append(self.shown[-1])

    def _events(self) -> list[Any]:
        found, self.pressed = self.pressed, []
        return found

    def press(self, key: int) -> None:
        self.pressed.append(SimpleNamespace(type=self.KEYDOWN, key=key))
