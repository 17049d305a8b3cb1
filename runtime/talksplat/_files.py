"""Files that appear when they are whole."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

_partials = itertools.count()


def partial_of(path: Path) -> Path:
    """Where `path` grows until it is whole: beside it, so that a rename is enough in the end."""
    return path.with_name(f".{path.name}.{os.getpid()}-{next(_partials)}.part")


def require_place(path: Path) -> None:
    """Found before the work, not when the file is whole."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"output: there is no folder {path.parent}. Make it first.")
    if path.is_dir():
        raise IsADirectoryError(f"output: {path} is a folder. Name a file in it.")


@contextlib.contextmanager
def whole_text(path: Path) -> Iterator[TextIO]:
    """A text file to write to; it takes the place of `path` if no exception passes, and is gone otherwise."""
    require_place(path)
    partial = partial_of(path)
    try:
        with open(partial, "w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(f"{path}: cannot be written ({error.strerror or error}).") from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
