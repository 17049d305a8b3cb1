# SPDX-License-Identifier: Apache-2.0
"""What an engine takes minutes to make for a machine, made by a process of its own (prepare.py) while another engine
serves. A builder that crashes, or takes all the memory, does so without the program that waits for it."""

from __future__ import annotations

import atexit
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from .._text import shortened

PROGRAM = "talksplat.encoders.prepare"
ENDS_S = 10.0  # by far longer than plans take to be read
MAX_MESSAGE = 4000  # letters that are kept of what it said

_lock = threading.Lock()
_processes: set[subprocess.Popen[str]] = set()
_threads: set[threading.Thread] = set()
_ended = False


def build(folder: Path, engine: str, precision: str, then: Callable[[str], None]) -> None:
    """Begins it, and returns. then(why_not) is called on another thread when it has ended; "": it was made."""
    command = [sys.executable, "-m", PROGRAM, str(folder), engine, precision]
    thread = threading.Thread(target=_run, args=(command, then), name=f"talksplat-build-{engine}", daemon=True)
    with _lock:
        _threads.add(thread)
    thread.start()


def _run(command: list[str], then: Callable[[str], None]) -> None:
    try:
        why_not = _why_not(command)
        if not _ended:
            then(why_not)
    finally:
        with _lock:
            _threads.discard(threading.current_thread())


def _why_not(command: list[str]) -> str:
    with _lock:
        if _ended:
            return "the program is over"
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                errors="replace",
            )  # fmt: skip
        except OSError as error:
            return f"no process could be begun: {error}"
        _processes.add(process)
    _, said = process.communicate()
    with _lock:
        _processes.discard(process)
    if process.returncode == 0:
        return ""
    last = (said.strip().splitlines() or [f"its process ended with {process.returncode}"])[-1]
    return shortened(last[:MAX_MESSAGE])


@atexit.register
def _end_all() -> None:
    """What was begun is not finished for a program that is over; but a library that is at work in it is waited for."""
    global _ended
    with _lock:
        _ended = True
        for process in _processes:
            process.kill()
        threads = list(_threads)
    for thread in threads:
        thread.join(ENDS_S)
