# SPDX-License-Identifier: Apache-2.0
"""A session whose clock a test holds in its hands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import talksplat

FPS = 25
SIZE = (64, 64)
PUSH_S = 0.02


def sentence(seconds: float | None = None, start_s: float = 0.0) -> tuple[Any, int]:
    """The built-in one, or a part of it: int16 [n], and its rate."""
    samples, rate = talksplat.load_audio("sample")
    pcm = np.rint(samples * 32767).astype(np.int16)
    first = round(start_s * rate)
    return pcm[first:] if seconds is None else pcm[first : first + round(seconds * rate)], rate


class Stage:
    """An avatar on an engine of its own, one session on it, and the time of both."""

    def __init__(self, path: str | Path = "demo", *, now_s: float = 0.0, **options: Any) -> None:
        self.avatar = talksplat.load(path, threads=1)
        self.now_s = now_s
        usual = {"fps": FPS, "size": SIZE, "format": "rgb8", "clock": "caller"}
        self.session = self.avatar.create_session(**{**usual, **options})
        self.frames: list[talksplat.LiveFrame] = []

    def play(self, seconds: float, take: bool = True) -> list[talksplat.LiveFrame]:
        """Lets so much time pass; the frames that were taken meanwhile."""
        came = []
        for _ in range(round(seconds / PUSH_S)):
            self.now_s += PUSH_S
            self.avatar.engine.step(self.now_s)
            if take:
                came += list(self.session)
        self.frames += came
        return came

    def to_the_end(self, at_most_s: float = 60.0) -> list[talksplat.LiveFrame]:
        """All frames of a session that is closed."""
        self.session.close()
        came = []
        for _ in range(round(at_most_s / PUSH_S)):
            came += self.play(PUSH_S)
            try:
                lent = self.session.acquire(0)
            except talksplat.SessionClosed:
                return came
            assert lent is None
        raise AssertionError(f"the session did not end within {at_most_s} s")

    def say(self, pcm: Any, rate: int, block: int | None = None) -> list[talksplat.LiveFrame]:
        """Pushes it at the pace of a speaker."""
        came = []
        block = round(PUSH_S * rate) if block is None else block
        for start in range(0, len(pcm), block):
            self.session.push_audio(pcm[start : start + block], rate)
            came += self.play(len(pcm[start : start + block]) / rate)
        return came


def same_pictures(live: list[Any], other: list[Any]) -> None:
    """And the same sound, but that the last live frame has silence after it."""
    assert len(live) == len(other)
    for mine, wanted in zip(live, other, strict=True):
        np.testing.assert_array_equal(mine.image, wanted.image)
    said(live, np.concatenate([frame.audio for frame in other]))


def said(frames: list[Any], samples: Any) -> None:
    """The frames have this sound, float or int16, and silence to the end of the last."""
    sound = sound_of(frames)
    wanted = samples.astype(np.float32) / 32768 if samples.dtype == np.int16 else samples
    np.testing.assert_array_equal(sound[: len(wanted)], wanted)
    assert not sound[len(wanted) :].any() and len(sound) - len(wanted) < len(frames[-1].audio)


def speech_of(frames: list[talksplat.LiveFrame], segment: int | None = None) -> list[talksplat.LiveFrame]:
    """Frames of utterances, or of one, that were not starved."""
    return [f for f in frames if f.kind == "speech" and not f.starved and segment in (None, f.segment)]


def sound_of(frames: list[talksplat.LiveFrame]) -> Any:
    return np.concatenate([f.audio for f in frames])
