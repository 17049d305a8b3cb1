# SPDX-License-Identifier: Apache-2.0
"""The standard streams, also where they are closed, full, or gone: cron, daemons and `>&-` leave them so."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from .._text import printable

_WORDS = ("stdin", "stdout", "stderr")  # descriptors 0, 1 and 2
_closed: set[str] = set()


@contextlib.contextmanager
def missing_streams_opened() -> Iterator[None]:
    """Within it, a closed stdout or stderr leads nowhere.

    Otherwise the next file that is opened gets its descriptor, and what libraries print goes into that file.
    """
    missing = [word for word in _WORDS if getattr(sys, word) is None]
    for number, word in enumerate(_WORDS):
        if word in missing:
            _occupy(number)
    with contextlib.ExitStack() as opened:
        for word in missing:
            if word != "stdin":  # who reads it says that it is closed
                setattr(sys, word, opened.enter_context(open(os.devnull, "w", encoding="utf-8")))
        _closed.update(missing)
        try:
            yield
        finally:
            for word in missing:
                setattr(sys, word, None)
            _closed.difference_update(missing)


def _occupy(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != descriptor:
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def require_stdout() -> None:
    """For what is written to `-`."""
    if "stdout" in _closed:
        raise OSError("output: stdout is closed, and - writes to it. Name a file, or redirect it.")


def say(text: str, keep: str = "") -> None:
    """A line for people, on stderr: what files of strangers put into it is made harmless, but for what is in `keep`.

    That nobody can read it is no reason to fail.
    """
    try:
        print(printable(text, keep), file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """What waits in a stream that cannot be written goes nowhere: Python would try again when it ends, and fail."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def flush_stdout() -> None:
    """Raises BrokenPipeError where its reader has gone, and an OSError that names stdout for all else."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
        raise
    except OSError as error:
        discard(sys.stdout)
        raise OSError(f"stdout: cannot be written ({error.strerror or error}).") from None
