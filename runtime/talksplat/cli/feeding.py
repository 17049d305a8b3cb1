# SPDX-License-Identifier: Apache-2.0
"""Sound that reaches a session at the pace at which it is spoken."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .._arrays import FloatArray

FULL_WAIT_S = 0.02  # before a sound that a full queue refused is tried again


def chunks_of(blocks: Iterable[FloatArray], rate: int, chunk_ms: float) -> Iterator[FloatArray]:
    """Blocks [n,channels] of any length as chunks of chunk_ms, the last as long as it is; none is lost between."""
    held: list[FloatArray] = []
    length = given = number = 0
    for block in blocks:
        held.append(block)
        length += len(block)
        while given + length >= (end := _boundary(number + 1, rate, chunk_ms)):
            joined = np.concatenate(held)
            yield joined[: end - given]
            held, length = [joined[end - given :]], length - (end - given)
            given, number = end, number + 1
    if length:
        yield np.concatenate(held)


def _boundary(number: int, rate: int, chunk_ms: float) -> int:
    return max(number, math.floor(number * chunk_ms * rate / 1e3 + 1e-6))


class Feeder:
    """A thread that pushes utterances: a chunk when its last sample has been spoken, flush after the last.

    late_ms: by which the latest push came too late, which is the host's doing or Python's, not the session's.
    error: what a push raised; feeding ends there.
    """

    def __init__(
        self,
        session: Any,
        utterances: Iterable[Iterable[FloatArray]],
        rate: int,
        pause_s: float = 0.0,
        close: bool = False,
    ) -> None:
        """pause_s: silence between utterances, in which nothing is pushed.  close: the session, after the last."""
        self.late_ms = 0.0
        self.error: BaseException | None = None
        self._session, self._utterances, self._rate = session, utterances, rate
        self._pause_s, self._close = pause_s, close
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="talksplat feeder", daemon=True)

    def start(self, begin_s: float | None = None) -> None:
        """begin_s: of time.monotonic(), when the first sample is spoken; None for now."""
        self._begin_s = time.monotonic() if begin_s is None else begin_s
        self._thread.start()

    def stop(self) -> None:
        """No push begins after this returns."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._feed()
        except BaseException as error:
            self.error = error
        finally:
            if self._close:
                self._session.close()

    def _feed(self) -> None:
        begin_s = self._begin_s
        for utterance in self._utterances:
            spoken = 0
            for chunk in utterance:
                spoken += len(chunk)
                due_s = begin_s + spoken / self._rate
                if self._stopped.wait(max(0.0, due_s - time.monotonic())):
                    return
                self.late_ms = max(self.late_ms, (time.monotonic() - due_s) * 1e3)
                if not push(self._session, chunk, self._rate, self._stopped):
                    return
            self._session.flush()
            begin_s += spoken / self._rate + self._pause_s


def push(session: Any, samples: Any, rate: int, stopped: threading.Event) -> bool:
    """Push what a full queue has room for sooner or later; False where it was stopped before."""
    from ..errors import QueueFull

    while not stopped.is_set():
        try:
            session.push_audio(samples, sample_rate=rate)
            return True
        except QueueFull:
            stopped.wait(FULL_WAIT_S)
    return False
