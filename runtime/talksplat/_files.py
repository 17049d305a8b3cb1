# SPDX-License-Identifier: Apache-2.0
"""Files that appear when they are whole."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import stat
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from ._signals import held_signals

_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def partial_name() -> str:
    """A name for what grows in a folder: hidden, short whatever the file's own is, and nobody can foretell it."""
    return f".talksplat-{secrets.token_hex(8)}.part"


def require_place(path: Path) -> None:
    """Found before the work, not when the file is whole. Raises an OSError that names the path."""
    if not os.path.isdir(path.parent):
        raise FileNotFoundError(f"output: there is no folder {path.parent}. Make it first.")
    kind = kind_of(path)
    if kind == "a folder":
        raise IsADirectoryError(f"output: {path} is a folder. Name a file in it.")
    if kind is not None:
        raise OSError(
            f"output: {path} is {kind}, and a finished file would take its place. Name a file; render and motion "
            "stream to -."
        )
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise FileNotFoundError(f"output: there is no folder {folder}, to which the link {path} leads. Make it first.")


def kind_of(path: Path) -> str | None:
    """What a path leads to where it is no regular file; None for a file, or where nothing is yet."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot_write(path, error) from None
    if stat.S_ISREG(mode):
        return None
    return "a folder" if stat.S_ISDIR(mode) else _KINDS.get(stat.S_IFMT(mode), "something else")


def cannot_write(path: Path, error: OSError) -> OSError:
    """The error with the file's name in it, of the same class where that is one of Python's own."""
    kind = type(error) if type(error).__module__ == "builtins" else OSError
    return kind(f"{path}: cannot be written ({error.strerror or error}).")


class WholeFile:
    """A binary file that grows beside its place, then takes it: keep() what was written to `file`, or drop() it.

    A symbolic link stays, and what it leads to is replaced. Nothing is left behind if neither is called.
    """

    file: BinaryIO

    def __init__(self, path: Path) -> None:
        require_place(path)
        self.path = path
        self._place = Path(os.path.realpath(path))
        self._partial = self._place.with_name(partial_name())
        # Known before the file is made: a signal may come in between.
        self._remove = weakref.finalize(self, _unlink, self._partial)
        self._remove.atexit = False  # a forked child that exits must not take its parent's file away
        try:
            # Nothing that lies there already is opened, no link of someone else's is followed.
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            self.file = os.fdopen(os.open(self._partial, flags, 0o666), "wb")
            self._take_mode()
        except FileExistsError as error:
            self._remove.detach()
            raise cannot_write(path, error) from None
        except BaseException as error:  # signals among them
            self._remove()
            if isinstance(error, OSError):
                raise cannot_write(path, error) from None
            raise

    def _take_mode(self) -> None:
        # A file system without permissions refuses to change them; one that is new has those of the umask.
        with contextlib.suppress(OSError, AttributeError):
            os.fchmod(self.file.fileno(), stat.S_IMODE(os.stat(self._place).st_mode) & 0o777)

    def keep(self) -> None:
        try:
            self.file.close()
            with held_signals():
                os.replace(self._partial, self._place)
                self._remove.detach()
        except OSError as error:
            self.drop()
            raise cannot_write(self.path, error) from None

    def drop(self) -> None:
        # Closing writes what is buffered, which fails again on a full disk.
        with contextlib.suppress(OSError):
            self.file.close()
        self._remove()


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file to write to; it takes the place of `path` if no exception passes, and is gone otherwise.

    Raises an OSError that names the path if it cannot be written.
    """
    whole = WholeFile(path)
    try:
        yield whole.file
        whole.keep()
    except BaseException as error:
        with held_signals():
            whole.drop()
        # Others, as of a file that is read meanwhile, have a name of their own.
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            raise cannot_write(path, error) from None
        raise


@contextlib.contextmanager
def whole_text(path: Path) -> Iterator[TextIO]:
    """whole_file() for UTF-8; line ends stay as they are written."""
    with whole_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
        try:
            yield text
            text.flush()
        finally:
            # Else it would close the file when it goes.
            with contextlib.suppress(OSError):
                text.detach()
