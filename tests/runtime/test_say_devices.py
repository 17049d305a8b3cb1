# SPDX-License-Identifier: Apache-2.0
"""talksplat say: its window, loudspeaker and microphone, each with a device that only remembers."""

import os
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runtime.say_devices import Pygame, Sounddevice
from talksplat.cli import say_screens
from talksplat.cli.say_screens import CLOSE, INTERRUPT, Speaker, Window
from talksplat.cli.say_sources import Microphone, Piped
from talksplat.errors import QueueFull, SessionClosed

RATE = 1000


class Pushed:
    """What stands for a session."""

    def __init__(self) -> None:
        self.samples: list[np.ndarray] = []
        self.error: Exception | None = None
        self.closed = threading.Event()

    def push_audio(self, samples: Any, sample_rate: int) -> None:
        if self.error is not None:
            raise self.error
        self.rate = sample_rate
        self.samples.append(np.array(samples))

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def sounddevice(monkeypatch: pytest.MonkeyPatch) -> Sounddevice:
    module = Sounddevice()
    monkeypatch.setitem(sys.modules, "sounddevice", module)  # type: ignore[arg-type]
    return module


@pytest.fixture
def pygame(monkeypatch: pytest.MonkeyPatch) -> Pygame:
    module = Pygame()
    monkeypatch.setitem(sys.modules, "pygame", module)  # type: ignore[arg-type]
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    return module


# ---- a loudspeaker ----


@pytest.fixture
def played(sounddevice: Sounddevice, monkeypatch: pytest.MonkeyPatch) -> Callable[[float, int], np.ndarray]:
    """What the device gets for n samples whose first is heard at a time."""
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(say_screens, "time", SimpleNamespace(monotonic=lambda: now.s, sleep=time.sleep))

    def fill(at_s: float, n: int) -> np.ndarray:
        stream = sounddevice.streams[-1]
        now.s = at_s - 0.03
        out = np.full((n, stream.channels), np.nan, np.float32)
        stream.callback(out, n, SimpleNamespace(outputBufferDacTime=77.03, currentTime=77.0), None)
        return out[:, 0]

    return fill


def ramp(first: int, n: int) -> np.ndarray:
    return np.arange(first, first + n, dtype=np.float32)


def test_each_sample_is_heard_at_its_time(sounddevice: Sounddevice, played: Callable[..., np.ndarray]) -> None:
    speaker = Speaker(RATE, 1)
    assert sounddevice.streams[0].started
    assert speaker.delay_s == pytest.approx(0.05)
    assert not played(9.0, 50).any()
    speaker.play(ramp(1, 40), 10.0)
    speaker.play(ramp(41, 40), 10.04)
    np.testing.assert_array_equal(played(9.97, 50), np.concatenate([np.zeros(30), ramp(1, 20)]))
    np.testing.assert_array_equal(played(10.02, 50), ramp(21, 50))
    np.testing.assert_array_equal(played(10.07, 50), np.concatenate([ramp(71, 10), np.zeros(40)]))
    speaker.play(ramp(81, 40), 10.08)  # its first 40 ms are over
    speaker.play(ramp(121, 40), 10.12)
    np.testing.assert_array_equal(played(10.12, 20), ramp(121, 20))
    assert speaker.strayed == 0
    speaker.close()
    assert sounddevice.streams[0].closed


def test_a_device_with_another_clock_is_put_right(played: Callable[..., np.ndarray]) -> None:
    speaker = Speaker(RATE, 1)
    for frame in range(100):
        speaker.play(ramp(40 * frame, 40), 10.0 + 0.04 * frame)
    heard = [played(10.0 + 0.04 * i * 1.02, 40) for i in range(90)]  # 2 % slow
    error_s = [(row[row > 0][:1].sum() / RATE + 10.0) - (10.0 + 0.04 * i * 1.02) for i, row in enumerate(heard) if i]
    assert np.abs(error_s).max() < 0.05
    assert 1 <= speaker.strayed <= 3  # 72 ms in all, 40 at a time


def test_channels_stay_apart(sounddevice: Sounddevice, played: Callable[..., np.ndarray]) -> None:
    speaker = Speaker(RATE, 2)
    samples = np.stack([ramp(1, 40), -ramp(1, 40)], 1)
    speaker.play(samples, 10.0)
    samples[:] = 0  # lent: it may change after the call
    np.testing.assert_array_equal(played(10.0, 40), ramp(1, 40))


# ---- a window ----


def shot(value: int, in_s: float = 0.0) -> Any:
    image = np.full((3, 4, 3), value, np.uint8)
    return SimpleNamespace(
        image=image, audio=ramp(1, 40), times=SimpleNamespace(deadline=time.monotonic() + in_s), sample_rate=RATE
    )


def test_a_picture_is_shown_at_its_deadline(pygame: Pygame) -> None:
    window = Window("anna", (4, 3), None)
    assert (pygame.title, pygame.is_open) == ("anna", True)
    frame = shot(7, in_s=0.05)
    window.show(frame)
    assert time.monotonic() >= frame.times.deadline
    assert pygame.flipped[-1][0, 0, 0] == 7
    begin_s = time.monotonic()
    window.show(shot(8, in_s=-1.0))  # late: at once
    assert time.monotonic() < begin_s + 0.5
    assert [picture[0, 0, 0] for picture in pygame.flipped] == [7, 8]
    window.close()
    assert not pygame.is_open


def test_picture_and_sound_are_later_by_as_much(pygame: Pygame, sounddevice: Sounddevice) -> None:
    speaker = Speaker(RATE, 1)
    told: list[float] = []
    speaker.play = lambda samples, at_s: told.append(at_s)  # type: ignore[method-assign]
    window = Window("anna", (4, 3), speaker)
    frame = shot(7)
    window.show(frame)
    assert told == [pytest.approx(frame.times.deadline + speaker.delay_s)]
    assert time.monotonic() >= told[0]
    window.close()
    assert sounddevice.streams[0].closed


def test_keys(pygame: Pygame) -> None:
    window = Window("anna", (4, 3), None)
    pygame.press(pygame.K_a)
    window.show(shot(1))
    assert window.wishes() == []
    pygame.press(pygame.K_SPACE)
    pygame.press(pygame.K_i)
    window.show(shot(1))
    assert window.wishes() == [INTERRUPT, INTERRUPT]
    assert window.wishes() == []
    for event in (pygame.K_ESCAPE, pygame.K_q):
        pygame.press(event)
        window.show(shot(1))
        assert window.wishes() == [CLOSE]
    pygame.pressed.append(SimpleNamespace(type=pygame.QUIT))
    window.show(shot(1))
    assert window.wishes() == [CLOSE]


@pytest.mark.parametrize("driver", [None, "offscreen", "dummy"])
def test_no_display(monkeypatch: pytest.MonkeyPatch, driver: str | None) -> None:
    module = Pygame(driver)
    monkeypatch.setitem(sys.modules, "pygame", module)  # type: ignore[arg-type]
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    with pytest.raises(
        OSError, match=r"^say: no window can be opened \(.*\)\. Write pictures to stdout with --raw rgb8"
    ):
        Window("anna", (4, 3), None)
    assert not module.is_open
    if driver is not None:  # somebody wants it so
        monkeypatch.setenv("SDL_VIDEODRIVER", driver)
        Window("anna", (4, 3), None)
        assert module.is_open


# ---- a microphone ----


def test_the_microphone_is_pushed_block_by_block(sounddevice: Sounddevice) -> None:
    microphone, session = Microphone(20), Pushed()
    microphone.start(session)
    (stream,) = sounddevice.streams
    assert (stream.samplerate, stream.channels, stream.dtype, stream.blocksize) == (44100, 1, "int16", 882)
    block = np.arange(882, dtype=np.int16)[:, None]
    stream.callback(block, 882, None, None)
    np.testing.assert_array_equal(session.samples[0], block)
    assert session.rate == 44100
    session.error = QueueFull("push_audio: there is no room.")
    stream.callback(block, 882, None, None)  # left out
    session.error = SessionClosed("push_audio: the session is closed.")
    with pytest.raises(sounddevice.CallbackStop):
        stream.callback(block, 882, None, None)
    assert microphone.error is None
    session.error = ValueError("something else")
    with pytest.raises(sounddevice.CallbackStop):
        stream.callback(block, 882, None, None)
    assert str(microphone.error) == "something else"
    microphone.stop()
    assert stream.closed


def test_no_microphone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Sounddevice(microphone=False))  # type: ignore[arg-type]
    with pytest.raises(OSError, match=r"^say: there is no microphone that can be used \(Error querying device -1\)\."):
        Microphone(20)
    with pytest.raises(OSError, match=r"^say: there is no microphone Blue that can be used"):
        Microphone(20, "Blue")


def test_no_loudspeaker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Sounddevice(speaker=False))  # type: ignore[arg-type]
    with pytest.raises(OSError, match=r"^say: there is no loudspeaker that can be used"):
        Speaker(RATE, 1)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sounddevice", "pygame"):
        monkeypatch.setitem(sys.modules, name, None)
    for make in (lambda: Microphone(20), lambda: Speaker(RATE, 1), lambda: Window("anna", (4, 3), None)):
        with pytest.raises(ImportError, match=r"pip install 'talksplat\[say\]'"):
            make()


def test_without_portaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(OSError, match=r"needs PortAudio \(PortAudio library not found\)\. Debian, Ubuntu: apt install"):
        Microphone(20)


# ---- stdin ----


@pytest.mark.parametrize("channels", [1, 2])
def test_samples_come_through_a_pipe_whole(channels: int) -> None:
    samples = np.arange(-3000, 3000, dtype="<i2").reshape(-1, channels)
    data = samples.tobytes()
    read, write = os.pipe()
    session = Pushed()
    source = Piped(read, RATE, channels)
    source.start(session)
    sent = 0
    for n in (1, 2, 3, 500, 1, 4096, len(data)):  # samples cut apart
        sent += os.write(write, data[sent : sent + n])
        time.sleep(0.01)
    assert sent == len(data)
    os.write(write, b"x")  # half a sample at the end
    os.close(write)
    assert session.closed.wait(30)
    assert source.error is None
    np.testing.assert_array_equal(np.concatenate(session.samples), samples)
    assert session.rate == RATE
    os.close(read)


def test_a_pipe_that_cannot_be_read() -> None:
    folder = os.open(".", os.O_RDONLY)
    source = Piped(folder, RATE, 1)
    source.start(Pushed())
    deadline_s = time.monotonic() + 30
    while source.error is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert isinstance(source.error, IsADirectoryError)
    os.close(folder)
