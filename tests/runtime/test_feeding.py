# SPDX-License-Identifier: Apache-2.0
"""Sound that is pushed at the pace at which it is spoken."""

import threading
import time
from typing import Any

import numpy as np
import pytest

from talksplat.cli import feeding
from talksplat.cli.feeding import Feeder, chunks_of
from talksplat.errors import QueueFull


class Pushed:
    """What stands for a session: when it was given what."""

    def __init__(self, refuse: int = 0) -> None:
        self.samples: list[Any] = []
        self.at_s: list[float] = []
        self.said: list[str] = []
        self._refuse = refuse

    def push_audio(self, samples: Any, sample_rate: int) -> None:
        if self._refuse:
            self._refuse -= 1
            raise QueueFull("push_audio: there is no room.")
        assert sample_rate == 16000
        self.samples.append(samples)
        self.at_s.append(time.monotonic())
        self.said.append("push")

    def flush(self) -> None:
        self.said.append("flush")

    def close(self) -> None:
        self.said.append("close")


def sound(n: int, channels: int = 1) -> np.ndarray:
    return np.arange(n * channels, dtype=np.float32).reshape(n, channels)


@pytest.mark.parametrize(("rate", "chunk_ms"), [(16000, 20), (22050, 20), (11025, 20), (44100, 7.3), (8000, 0.01)])
@pytest.mark.parametrize("blocks", [[3000], [1, 0, 2999], [700, 700, 700, 700, 200]])
def test_chunks_are_of_one_length_and_lose_nothing(rate: int, chunk_ms: float, blocks: list[int]) -> None:
    whole = sound(3000, 2)
    ends = np.cumsum(blocks)
    chunks = list(chunks_of((whole[end - n : end] for n, end in zip(blocks, ends, strict=True)), rate, chunk_ms))
    np.testing.assert_array_equal(np.concatenate(chunks), whole)
    length = max(1.0, rate * chunk_ms / 1e3)
    assert len(chunks) == pytest.approx(3000 / length, abs=1)
    starts = np.cumsum([len(chunk) for chunk in chunks])[:-1]
    np.testing.assert_allclose(starts, np.arange(1, len(chunks)) * length, atol=1)  # no drift


def test_no_sound_has_no_chunks() -> None:
    assert list(chunks_of([], 16000, 20)) == []
    assert list(chunks_of([sound(0)], 16000, 20)) == []


class Clock:
    """What it said last, to the thread that feeds: the host may stop that one between any two of its lines."""

    last_s = 0.0

    def monotonic(self) -> float:
        self.last_s = time.monotonic()
        return self.last_s


def test_chunks_come_when_they_were_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, read_s = Clock(), list[float]()
    monkeypatch.setattr(feeding, "time", clock)

    class Timed(Pushed):
        def push_audio(self, samples: Any, sample_rate: int) -> None:
            read_s.append(clock.last_s)
            super().push_audio(samples, sample_rate)

    pushed = Timed()
    feeder = Feeder(pushed, [chunks_of([sound(1600)], 16000, 20), [sound(160)]], 16000, pause_s=0.05, close=True)
    begin_s = time.monotonic() + 0.05
    feeder.start(begin_s)
    while "close" not in pushed.said:
        assert time.monotonic() < begin_s + 30
        time.sleep(0.005)
    feeder.stop()
    assert feeder.error is None
    assert pushed.said == ["push"] * 5 + ["flush", "push", "flush", "close"]
    due_s = begin_s + np.array([0.02, 0.04, 0.06, 0.08, 0.1, 0.16])
    late_s = np.array(pushed.at_s) - due_s
    assert late_s.min() > -1e-3  # never early
    assert feeder.late_ms == pytest.approx(max(0, (np.array(read_s) - due_s).max() * 1e3), abs=1e-6)


def test_a_stopped_feeder_pushes_no_more() -> None:
    pushed = Pushed()
    feeder = Feeder(pushed, [[sound(160)] * 10_000], 16000)
    feeder.start()
    time.sleep(0.05)
    feeder.stop()
    count = len(pushed.samples)
    assert 0 < count < 1000
    time.sleep(0.05)
    assert len(pushed.samples) == count
    assert "flush" not in pushed.said  # the utterance was not whole


def test_a_full_queue_is_tried_again() -> None:
    pushed = Pushed(refuse=3)
    feeder = Feeder(pushed, [[sound(16)]], 16000, close=True)
    feeder.start()
    deadline_s = time.monotonic() + 30
    while "close" not in pushed.said:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    assert pushed.said == ["push", "flush", "close"]


def test_a_queue_that_stays_full_can_be_left() -> None:
    feeder = Feeder(Pushed(refuse=10**9), [[sound(16)]], 16000)
    feeder.start()
    time.sleep(0.05)
    feeder.stop()
    assert feeder.error is None
    assert not [thread for thread in threading.enumerate() if thread.name == "talksplat feeder"]


def test_what_reading_the_sound_raises_is_kept_and_ends_the_session() -> None:
    def broken() -> Any:
        yield sound(16)
        raise ValueError("the file is damaged")

    pushed = Pushed()
    feeder = Feeder(pushed, [broken()], 16000, close=True)
    feeder.start()
    deadline_s = time.monotonic() + 30
    while "close" not in pushed.said:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    assert str(feeder.error) == "the file is damaged"
    assert pushed.said == ["push", "close"]
