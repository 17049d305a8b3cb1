# SPDX-License-Identifier: Apache-2.0
"""Signals that wait while something must not be left half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ._start import MESSAGES


@contextmanager
def held_signals() -> Iterator[None]:
    """Within it, Ctrl-C, SIGTERM and SIGHUP are only noted; they do what they would have done when it ends.

    Python runs handlers in the main thread alone: elsewhere there is nothing to hold.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        waiting.append(number)

    numbers = [getattr(signal, name) for name in MESSAGES if hasattr(signal, name)]
    # None stands for a handler that Python did not install and could not put back.
    before = {number: handler for number in numbers if (handler := signal.getsignal(number)) is not None}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, note)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(waiting):
            signal.raise_signal(number)
