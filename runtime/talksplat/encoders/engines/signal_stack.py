# SPDX-License-Identifier: Apache-2.0
"""The calling thread's stack for signal handlers, where a library puts another in its place.

Python's handlers run on that stack where a thread has one (sigaltstack(2)). OpenVINO's CPU plugin gives the thread that
loads it one, for the sake of AMX, and takes its memory away when the plugin goes, on whatever thread that is: from then
on the next signal ends the process, a Ctrl-C that was to be handled among them.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SS_DISABLE = 2


class _Stack(ctypes.Structure):
    """stack_t of Linux."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack() -> tuple[int | None, int, int]:
    """Address, flags and bytes of the calling thread's; flags 2: it has none. Linux only."""
    found = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found.address, found.flags, found.size


@contextmanager
def signal_stack_stays() -> Iterator[None]:
    """After it the calling thread has the stack that it had before."""
    if sys.platform != "linux":
        yield
        return
    before = signal_stack()
    try:
        yield
    finally:
        if signal_stack() != before:
            put_back = ctypes.CDLL(None).sigaltstack
            # One that is too small for the registers that are in use by now is refused; without any, handlers run on
            # the thread's own stack.
            if put_back(ctypes.byref(_Stack(*before)), None) != 0:
                put_back(ctypes.byref(_Stack(None, _SS_DISABLE, 0)), None)
