# SPDX-License-Identifier: Apache-2.0
"""Frames for coroutines: one thread of the session's own waits for them, so that no event loop does."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from .errors import SessionClosed
from .live_frame import LiveFrame

# What waits for the next frame for at most so many seconds: None where none came, SessionClosed after the last.
NextFrame = Callable[[float], "LiveFrame | None"]
POLL_S = 0.1  # after which the thread looks whether anybody still waits


class FrameStream:
    """An asynchronous iterator. A frame that was made for a coroutine which is cancelled goes to the next one.

    stepped: frames are made by the caller, so that waiting for one would be for ever: it ends where there is none.
    """

    def __init__(self, next_frame: NextFrame, stepped: bool) -> None:
        self._next_frame = next_frame
        self._stepped = stepped
        self._waiting = _Waiting(next_frame)
        # The thread knows nothing of this object: it ends when nobody iterates any more.
        weakref.finalize(self, self._waiting.stop)

    def __aiter__(self) -> FrameStream:
        return self

    async def __anext__(self) -> LiveFrame:
        await asyncio.sleep(0)  # where frames are there already, others get their turn all the same
        try:
            frame = self._next_frame(0) if self._stepped else await self._waiting.get()
        except SessionClosed:
            raise StopAsyncIteration from None
        if frame is None:
            raise StopAsyncIteration
        return frame


class _Waiting:
    """What the coroutines and the thread share."""

    def __init__(self, next_frame: NextFrame) -> None:
        self._next_frame = next_frame
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._asked: SimpleQueue[bool] = SimpleQueue()  # True: for a frame; False: to end
        self._n_asked = 0  # frames that the thread still has to wait for
        self._made: deque[LiveFrame] = deque()
        self._end: BaseException | None = None  # what waiting ended with
        self._waiters: deque[asyncio.Future[None]] = deque()

    def stop(self) -> None:
        self._stopped = True
        self._asked.put(False)

    async def get(self) -> LiveFrame:
        while True:
            with self._lock:
                if self._made:
                    return self._made.popleft()
                if self._end is not None:
                    break
                waiter = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                self._ask(len(self._waiters))
            try:
                await waiter
            except BaseException:
                with self._lock:
                    if waiter in self._waiters:
                        self._waiters.remove(waiter)
                    elif self._made:  # it was woken, and will not take the frame: another may be waiting
                        self._wake()
                raise
        raise self._end

    def _ask(self, n_waiters: int) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="talksplat frames", daemon=True)
            self._thread.start()
        for _ in range(n_waiters - self._n_asked):
            self._n_asked += 1
            self._asked.put(True)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            try:
                waiter.get_loop().call_soon_threadsafe(_finish, waiter)
                return
            except RuntimeError:  # its loop is closed
                pass

    def _run(self) -> None:
        while self._asked.get():
            frame, end = None, None
            try:
                while frame is None and not self._stopped:
                    frame = self._next_frame(POLL_S)
            except BaseException as error:
                end = error
            with self._lock:
                self._n_asked -= 1
                if frame is not None:
                    self._made.append(frame)
                    self._wake()
                if end is not None:
                    self._end = end
                    for _ in range(len(self._waiters)):
                        self._wake()
                    return


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
