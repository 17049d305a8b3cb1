# SPDX-License-Identifier: Apache-2.0
"""The pixels of the mouth, and how soon after an interrupt they are those of a closed one."""

import random
import time
from typing import Any

import numpy as np

import talksplat
from talksplat.cli.bench_live import Sound
from talksplat.cli.feeding import Feeder, chunks_of

FADE_MS = 80
CLOSED = 0.02  # of how far the mouth's pixels change from closed to a jaw that is wide open
SPOKEN_S = (0.4, 1.6)  # into the sample, when somebody interrupts


class Mouth:
    """openness: 0 closed, 1 with the jaw wide open, of a picture whose head and eyes rest."""

    def __init__(self, head: talksplat.Avatar, size: tuple[int, int]) -> None:
        rest = self._drawn(head, size, 0.0)
        change = np.abs(self._drawn(head, size, 1.0) - rest).max(2)
        self._where = change > 0.25 * change.max()
        self._rest = rest[self._where]
        self._most = float(change[self._where].mean())

    @staticmethod
    def _drawn(head: talksplat.Avatar, size: tuple[int, int], jaw: float) -> Any:
        image = head.render_frame({"arkit": {"jawOpen": jaw}}, size, "rgb8").image
        return image.astype(np.float32)

    def pixels(self, image: Any) -> Any:
        """[n,3]: those that an opening jaw changes."""
        return image[self._where]

    def openness(self, image: Any) -> float:
        change = np.abs(self.pixels(image).astype(np.float32) - self._rest).max(1)
        return float(change.mean()) / self._most


def interrupts(
    head: talksplat.Avatar, sound: Sound, fps: float, size: tuple[int, int], latency_ms: float, count: int
) -> dict[str, Any]:
    """in_hand_ms: from the call to the first frame with a closed mouth in hand; due_ms: to that frame's deadline."""
    mouth = Mouth(head, size)
    moments = random.Random(0)
    found = [_once(head, mouth, sound, fps, size, latency_ms, moments.uniform(*SPOKEN_S)) for _ in range(count)]

    def spread(name: str) -> dict[str, float]:
        values = [row[name] for row in found]
        return {"p50": float(np.median(values)), "max": max(values)}

    return {
        "count": count,
        "fade_ms": FADE_MS,
        "latency_ms": latency_ms,
        "in_hand_ms": spread("in_hand_ms"),
        "due_ms": spread("due_ms"),
        "frames": max(row["frames"] for row in found),
        "open_before": [round(row["open_before"], 3) for row in found],
    }


def _once(
    head: talksplat.Avatar,
    mouth: Mouth,
    sound: Sound,
    fps: float,
    size: tuple[int, int],
    latency_ms: float,
    at_s: float,
) -> dict[str, float]:
    with head.create_session(
        fps=fps, size=size, format="rgb8", latency_ms=latency_ms, idle="still", head=0, blink=0
    ) as session:
        feeder = Feeder(session, [chunks_of([sound.samples], sound.rate, 20)], sound.rate)
        feeder.start()
        until_s = time.monotonic() + at_s
        opened = 0.0
        while time.monotonic() < until_s:
            with session.acquire() as frame:
                opened = mouth.openness(frame.image)
        feeder.stop()
        called_s = time.monotonic()
        session.interrupt(fade_ms=FADE_MS)
        frames = 0
        while time.monotonic() < called_s + 5:
            with session.acquire() as frame:
                in_hand_s = time.monotonic()
                frames += 1
                if mouth.openness(frame.image) <= CLOSED:
                    return {
                        "in_hand_ms": (in_hand_s - called_s) * 1e3, "due_ms": (frame.times.deadline - called_s) * 1e3,
                        "frames": frames, "open_before": opened,
                    }  # fmt: skip
    raise AssertionError("five seconds after an interrupt the mouth is still open")
