# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C in the command line's first moments, while numpy and the core are imported.

The package imports this before anything else. It does nothing unless the process is the command line: there is nothing
to clean up yet, and an exception in the middle of an import would end as a traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

MESSAGES = {"SIGINT": "interrupted.", "SIGTERM": "terminated.", "SIGHUP": "terminated."}
PROGRAMS = ("talksplat", "talksplat.exe", "talksplat-script.py")


def is_command_line() -> bool:
    program = next(iter(getattr(sys, "argv", [])), "")
    if program == "-m":  # what it is while Python looks for the module that -m names
        return any(word == "talksplat" or word.endswith("mtalksplat") for word in sys.orig_argv[1:])
    return os.path.basename(program) in PROGRAMS


def end_at_once(number: int, frame: FrameType | None) -> None:
    try:  # noqa: SIM105 (contextlib is an import too)
        os.write(2, f"error: {MESSAGES[signal.Signals(number).name]}\n".encode())
    except OSError:  # nobody listens
        pass
    os._exit(128 + number)


def watch() -> None:
    for name in MESSAGES:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        # One that is ignored stays so: nohup does that, and a shell for what runs in the background.
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, end_at_once)


if is_command_line():
    watch()
