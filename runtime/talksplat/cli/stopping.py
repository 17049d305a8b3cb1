"""Signals that end a command early, so that what is half-written is removed on the way out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

MESSAGES = {"SIGINT": "interrupted.", "SIGTERM": "terminated.", "SIGHUP": "terminated."}


class Stopped(BaseException):
    """The work ends early, with this message and exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


_signalled: Stopped | None = None


def _stop(number: int, frame: object) -> None:
    global _signalled
    _signalled = Stopped(MESSAGES[signal.Signals(number).name], 128 + number)
    raise _signalled


def go_on() -> None:
    """Raises what a signal raised before: libraries drop exceptions that reach them in a callback, as PyAV does in its
    log and its errors."""
    if _signalled is not None:
        raise _signalled


@contextmanager
def signals_stop() -> Iterator[None]:
    """Within it, Ctrl-C, SIGTERM and SIGHUP raise Stopped; in the main thread, which signals are for."""
    global _signalled
    _signalled = None
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in MESSAGES:
            # nohup has a closed terminal ignored, and Windows does not know of it.
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
