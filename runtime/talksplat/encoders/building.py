# SPDX-License-Identifier: Apache-2.0
"""What an engine takes minutes to make for a machine, made by a process of its own (prepare.py) while another engine
serves. A builder that crashes, or takes all the memory, does so without the program that waits for it."""

from __future__ import annotations

import atexit
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from .._text import shortened

# As python -m would, but without the folder that the program happens to be in, where anything may lie.
PROGRAM = (
    "import sys; sys.path = [place for place in sys.path if place]; from talksplat.encoders.prepare import main; "
    "sys.exit(main(sys.argv[1:]))"
)
SEVERAL = "several"  # its last argument, where that is asked for
PASSES = 3  # what it ends with where something fails that may be gone the next time
_ENDED_BY_SOMEBODY = tuple(-number for number in (signal.SIGINT, signal.SIGTERM))
Then = Callable[[str, bool], None]
ENDS_S = 10.0  # by far longer than plans take to be read
MAX_MESSAGE = 4000  # letters that are kept of what it said

_lock = threading.Lock()
_processes: set[subprocess.Popen[str]] = set()
_threads: set[threading.Thread] = set()
_ended = threading.Event()


def build(folder: Path, engine: str, precision: str, then: Then, *, several: bool = False) -> None:
    """Begins it, and returns. then(why_not, passes) is called on another thread when it has ended; "": it was made;
    passes: what kept it from that may be gone the next time.

    several: what is needed for several speakers at once, too.
    """

    def work() -> None:
        why_not, passes = _why_not([str(folder), engine, precision, *([SEVERAL] if several else [])])
        if not _ended.is_set():
            then(why_not, passes)

    begin(engine, work)


def begin(engine: str, work: Callable[[], None]) -> None:
    """Work on a thread of its own, which the end of the program waits for, if not for ever."""
    thread = threading.Thread(target=_run, args=(work,), name=f"talksplat-build-{engine}", daemon=True)
    with _lock:
        if _ended.is_set():
            return
        _threads.add(thread)
    thread.start()


def _run(work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        with _lock:
            _threads.discard(threading.current_thread())


def _why_not(arguments: list[str]) -> tuple[str, bool]:
    with _lock:
        if _ended.is_set():
            return "the program is over", True
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
        except (OSError, TypeError, ValueError) as error:  # where Python is embedded there may be no sys.executable
            return f"no process could be begun: {shortened(str(error))}", True
        _processes.add(process)
    _, said = process.communicate()
    with _lock:
        _processes.discard(process)
    if process.returncode == 0:
        return "", False
    last = (said.strip().splitlines() or [f"its process ended with {process.returncode}"])[-1]
    return shortened(last[:MAX_MESSAGE]), process.returncode in (PASSES, *_ENDED_BY_SOMEBODY)


@atexit.register
def _end_all() -> None:
    """What was begun is not finished for a program that is over; but a library that is at work in it is waited for."""
    with _lock:
        _ended.set()
        for process in _processes:
            process.kill()
        threads = list(_threads)
    for thread in threads:
        thread.join(ENDS_S)
