# SPDX-License-Identifier: Apache-2.0
"""Signals that end a command early, so that what is half-written is removed on the way out."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from .. import _start

# Terminals and the programs between them and us often send a Ctrl-C twice, and people press it again: for so long it
# is the same wish. Later, a library has dropped the first.
SAME_WISH_S = 2.0


class Stopped(BaseException):
    """The work ends early, with this message and exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


_signalled: Stopped | None = None
_since_s = 0.0


def _stop(number: int, frame: FrameType | None) -> None:
    global _signalled, _since_s
    if _signalled is None:
        _signalled = Stopped(_start.MESSAGES[signal.Signals(number).name], 128 + number)
        _since_s = time.monotonic()
    elif time.monotonic() - _since_s < SAME_WISH_S:
        return  # what is half-written is being removed
    raise _signalled


def signalled() -> Stopped | None:
    """What the first signal raised: imports turn it into errors of their own."""
    return _signalled


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
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in _start.MESSAGES:
            # nohup has a closed terminal ignored, and Windows does not know of it.
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.getsignal(number)
    shown = sys.unraisablehook
    try:
        sys.unraisablehook = lambda what: None if isinstance(what.exc_value, Stopped) else shown(what)
        for number in before:
            signal.signal(number, _stop)
        yield
    finally:
        for number, handler in before.items():
            # Where the process is ours it ends now, and a signal would only spoil its exit code.
            signal.signal(number, signal.SIG_IGN if handler is _start.end_at_once else handler)
        sys.unraisablehook = shown
        raised = signalled()
        if raised is not None:
            # What had been made and nobody held yet is held by the frames that the signal has left; it removes its file
            # when it goes, and would not at the end of the process.
            raised.__traceback__ = raised.__context__ = raised.__cause__ = None
            gc.collect()
