# SPDX-License-Identifier: Apache-2.0
"""Consumers of sessions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..live_frame import LentFrame
    from ..trace import Track

LOOK_S = 0.1  # a consumer that waits for a frame looks so often whether it should stop
SPARE = 2.0  # rows, as a part of those that are expected

FRAME = np.dtype([
    ("index", np.int64), ("waited_s", np.float64), ("ready_s", np.float64), ("deadline_s", np.float64),
    ("late", np.bool_), ("starved", np.bool_), ("held", np.bool_), ("speech", np.bool_),
])  # fmt: skip


def lent_frames(session: Any) -> Iterator[LentFrame]:
    """Every frame in turn, to the last; each is released when the next is asked for."""
    from ..errors import SessionClosed

    while True:
        try:
            frame = session.acquire()
        except SessionClosed:
            return
        with frame:
            yield frame


class Watcher:
    """A thread that acquires a session's frames and releases them at once, without a copy of the picture.

    frames: what was noted of each: its number; the seconds from when it could be drawn (its last needed sample
    pushed, and its release by the clock) until it was in hand here; when it was ready, and its deadline.
    error: what acquire raised; watching ends there.
    """

    def __init__(self, session: Any, expected: float, track: Track | None = None) -> None:
        """expected: frames, for whose notes memory is taken here: none is while it runs."""
        self.error: BaseException | None = None
        self._session, self._track = session, track
        self._rows = np.zeros(int(expected * SPARE) + 100, FRAME)
        self._rows["index"] = -1  # takes the memory
        self._count = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="talksplat watcher", daemon=True)
        self._begin_s = 0.0

    def start(self, begin_s: float) -> None:
        """begin_s: of time.monotonic(), when the first frame is asked for."""
        self._begin_s = begin_s
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def frames(self) -> Any:
        return self._rows[: self._count]

    def _run(self) -> None:
        try:
            self._stopped.wait(max(0.0, self._begin_s - time.monotonic()))
            self._watch()
        except BaseException as error:
            self.error = error

    def _watch(self) -> None:
        while not self._stopped.is_set() and self._count < len(self._rows):
            frame = self._session.acquire(timeout=LOOK_S)
            if frame is None:
                continue
            in_hand_s = time.monotonic()
            times = frame.times
            self._rows[self._count] = (
                frame.index, in_hand_s - max(times.heard, times.released), times.ready, times.deadline,
                frame.late, frame.starved, frame.held, frame.kind == "speech",
            )  # fmt: skip
            self._count += 1
            if self._track is not None:
                self._track.add(frame)
            frame.release()


def spread_ms(waited_s: Any) -> dict[str, float]:
    """p50, p95, p99 and max of seconds, in milliseconds; of none, 0."""
    if not len(waited_s):
        return dict.fromkeys(("p50_ms", "p95_ms", "p99_ms", "max_ms"), 0.0)
    found = np.percentile(waited_s, (50, 95, 99, 100)) * 1e3
    return dict(zip(("p50_ms", "p95_ms", "p99_ms", "max_ms"), (round(float(ms), 4) for ms in found), strict=True))
