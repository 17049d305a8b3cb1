# SPDX-License-Identifier: Apache-2.0
"""A folder that appears when it is whole, and one process at a time that makes it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from talksplat._files import partial_name
from talksplat._signals import held_signals
from talksplat.encoders.folder import FRONT, GOLDEN, GRAPHS, MANIFEST, STATE

OWN = frozenset({MANIFEST, FRONT, STATE, GOLDEN, *GRAPHS.values()})
WAIT_S = 600.0
_POLL_S = 0.1


def require_replaceable(folder: Path) -> None:
    """Raises ValueError where something lies there that is no encoder folder, and would be lost."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ValueError(f"folder must be a new folder or an encoder's; {folder} is a file. Name another.")
    others = sorted({entry.name for entry in folder.iterdir()} - OWN)
    if others:
        raise ValueError(
            f"folder must be new, empty or an encoder's; {folder} also holds {others[0]!r}, which would be lost. "
            "Name another."
        )


def _no_place(folder: Path, error: OSError) -> OSError:
    kind = type(error) if type(error).__module__ == "builtins" else OSError
    return kind(
        f"{folder}: cannot be written ({error.strerror or error}). Name another folder (-o), or set TALKSPLAT_CACHE."
    )


def _make_parent(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # a file, which mkdir() has this odd word for
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


@contextlib.contextmanager
def locked(folder: Path, tell: Callable[[str], None], wait_s: float = WAIT_S) -> Iterator[None]:
    """Within it this process alone makes the folder; makes the folders above it first.

    Raises TimeoutError after wait_s seconds in which another process did not finish, OSError where there is no place.
    """
    lock = folder.parent / f".{folder.name}.lock"
    try:
        _make_parent(folder)
        handle = _acquired(lock, folder, tell, time.monotonic() + wait_s, wait_s)
    except TimeoutError:
        raise
    except OSError as error:
        raise _no_place(folder, error) from None
    try:
        yield
    finally:
        # The name goes before the lock does: who waits for this file sees that it is no longer the lock's.
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(handle)


def _acquired(lock: Path, folder: Path, tell: Callable[[str], None], end_s: float, wait_s: float) -> int:
    told = False
    while True:
        handle = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.lexists(lock) and os.path.samestat(os.fstat(handle), os.lstat(lock)):
                return handle
        except BlockingIOError:
            if time.monotonic() >= end_s:
                os.close(handle)
                raise TimeoutError(
                    f"{folder}: another process has been writing it for {wait_s:g} s. Wait for it, or end it, and try "
                    "again."
                ) from None
            if not told:
                tell(f"another process writes {folder}: waiting for it")
                told = True
            time.sleep(_POLL_S)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside it to write to, which takes the place of `folder` if no exception passes, and goes otherwise.

    Raises OSError, which names the folder, where it cannot be written.
    """
    require_replaceable(folder)
    place = folder.parent / partial_name()
    try:
        _make_parent(folder)
        place.mkdir()
        yield place
        with held_signals():
            _take_place(place, folder)
    except OSError as error:
        if error.errno is not None:
            raise _no_place(folder, error) from None
        raise
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _take_place(place: Path, folder: Path) -> None:
    old = folder.parent / partial_name()
    try:
        os.rename(folder, old)
    except FileNotFoundError:
        os.rename(place, folder)
        return
    try:
        os.rename(place, folder)
    except OSError:
        os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
