# SPDX-License-Identifier: Apache-2.0
"""The thread on which an encoder runs for all of its live speakers: one step of each in turn, at a lower priority than
what draws, so that a picture never waits for features that are not due yet."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

NICE = 5  # of the thread, on Linux, where threads have one of their own
LONGEST_WAIT_S = 3600.0
ENDS_S = 10.0  # by far longer than a step of any encoder that may run live


class Client(Protocol):
    """A speaker, as the worker sees it. Its methods are called on the worker's thread alone."""

    def turn(self) -> bool:
        """One step, if there is something to do; whether there was. Who raises gets no further turn."""
        ...

    def wakes_at(self) -> float | None:
        """time.monotonic() at which it has something to do without anything being pushed; None: never."""
        ...


class Worker:
    """Begins with its first client and ends with the last. after_turns: called when each has had a turn."""

    def __init__(self, name: str, after_turns: Callable[[], None] = lambda: None) -> None:
        self._name = name
        self._after_turns = after_turns
        self._changed = threading.Condition()
        # Nobody has to say that a client is gone: it wakes the thread, which looks.
        self._clients: list[weakref.ref[Client]] = []
        self._thread: threading.Thread | None = None
        self._woken = False
        self._process = os.getpid()
        _workers.add(self)

    def add(self, client: Client) -> None:
        with self._changed:
            self._clients.append(weakref.ref(client, lambda _: self.wake()))
            self._woken = True
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def remove(self, client: Client) -> None:
        """It gets no further turn; one that goes on may still end."""
        with self._changed:
            self._clients = [known for known in self._clients if known() is not client]
            self._changed.notify()

    def end(self) -> None:
        """Nobody gets a turn any more, and the one that goes on is waited for."""
        if os.getpid() != self._process:
            return  # a child of fork() has no such thread, and the lock as it was at that moment
        with self._changed:
            self._clients = []
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(ENDS_S)

    def wake(self) -> None:
        """There may be something to do."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def _run(self) -> None:
        _lower_priority()
        while True:
            with self._changed:
                self._clients = [known for known in self._clients if known() is not None]
                if not self._clients:
                    self._thread = None
                    return
                clients = list(self._clients)
                self._woken = False
            turns = [self._turn(client) for client in clients]  # one each, whether or not the first has a step to make
            self._after_turns()
            if any(turns):
                continue
            wait_s = _wait_s(clients)
            with self._changed:
                if not self._woken:
                    self._changed.wait(wait_s)

    def _turn(self, known: weakref.ref[Client]) -> bool:
        client = known()
        try:
            return client is not None and client.turn()
        except Exception:
            if client is not None:
                self.remove(client)
            return False


def _wait_s(clients: list[weakref.ref[Client]]) -> float:
    """Until the first of them has something to do by itself."""
    times = [at for known in clients if (client := known()) is not None and (at := client.wakes_at()) is not None]
    return min(max(0.0, min(times) - time.monotonic()), LONGEST_WAIT_S) if times else LONGEST_WAIT_S


def _lower_priority() -> None:
    # Elsewhere than on Linux this would be the whole process's.
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
        with contextlib.suppress(OSError):
            current = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(current + NICE, 19))


_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """Before Python ends: it ends threads where they come back from a library, whose functions must not be left so."""
    for worker in list(_workers):
        worker.end()
