# SPDX-License-Identifier: Apache-2.0
"""Plans, which a library made of graphs for one GPU in minutes, kept in the cache.

A plan holds code, so it is only taken from a folder of the user's own that nobody else can write to, and only as it was
written. A file is a header, then the plan:

    magic [8]  schema u32  bytes of the plan u64  key [32]  SHA-256 of the plan [32]      little-endian
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import stat
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from ..._files import whole_file
from ..folder import cache_folder

SCHEMA = 1
MAGIC = b"tsplplan"
HEADER = struct.Struct("<8sIQ32s32s")
# A build takes minutes on a laptop's GPU, and each graph of an encoder is built under a lock of its own.
WAIT_S = 1200.0
POLL_S = 0.1
# Each driver and library makes its own, of hundreds of megabytes: the ones that were used last stay.
MAX_PLANS = 18
SUFFIX = ".plan"

Opened = TypeVar("Opened")


class CacheRefused(Exception):
    """The cache cannot be trusted, or another process holds it too long; the message has the way out."""


@dataclass(frozen=True)
class PlanParts:
    """All that a plan depends on; whichever differs, it is another plan.

    inputs, outputs: [name, shape, type] each.  library: name and full version; flavour: the packages that it came in.
    driver_version: as the driver says it.  system: operating system and architecture.  options: of the builder.
    """

    onnx_sha256: str
    inputs: tuple[tuple[str, tuple[int, ...], str], ...]
    outputs: tuple[tuple[str, tuple[int, ...], str], ...]
    library: str
    flavour: Mapping[str, str]
    driver_version: int
    system: str
    gpu: str
    capability: str
    multiprocessors: int
    memory_bytes: int
    options: Mapping[str, object]
    schema: int = SCHEMA

    def key(self) -> bytes:
        """[32] bytes."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).digest()


class PlanCache:
    """The plans of a folder, $TALKSPLAT_CACHE/engines unless another is named."""

    def __init__(self, folder: Path | None = None, wait_s: float = WAIT_S) -> None:
        self.folder = cache_folder() / "engines" if folder is None else folder
        self._wait_s = wait_s

    def require_private(self) -> None:
        """Raises CacheRefused where others may write to the folder. On Windows profiles are private as they are."""
        if not hasattr(os, "getuid"):
            return
        try:
            found = os.stat(self.folder)
        except OSError:
            return  # there is none, and so no plan in it
        if found.st_uid not in (os.getuid(), 0):
            raise CacheRefused(
                f"{self.folder} belongs to another user, and plans in it hold code. Set TALKSPLAT_CACHE to a folder of "
                "your own"
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CacheRefused(
                f"{self.folder} can be written to by others, and plans in it hold code. Close it (chmod go-w), after "
                "deleting what is in it, or set TALKSPLAT_CACHE to another folder"
            )

    def load(
        self, key: bytes, build: Callable[[], bytes], open_plan: Callable[[bytes], Opened | None]
    ) -> Opened | None:
        """What open_plan() makes of the plan with this key, which is built where there is none.

        open_plan: None where the plan is of no use: one of the cache is deleted then, and built anew; None is returned
        where a new one is of no use either. Of processes that want the same plan at once, one builds it.
        Raises CacheRefused, and what the two functions raise. A folder that cannot be written to keeps nothing.
        """
        self.require_private()
        opened = self._from_cache(key, open_plan)
        if opened is not None:
            return opened
        with self._alone(key):
            opened = self._from_cache(key, open_plan)  # another process may have made it meanwhile
            if opened is None:
                plan = build()
                opened = open_plan(plan)
                if opened is not None:
                    self.write(key, plan)
            return opened

    def read(self, key: bytes) -> bytes | None:
        """The plan as it was written; None where there is none. A file that is anything else is deleted."""
        path = self.path(key)
        try:
            # No link of somebody else's is followed, and a pipe is not waited for.
            flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
                found = os.fstat(file.fileno())
                plan = file.read() if _is_private(found) else b""
        except FileNotFoundError:
            return None
        except OSError:
            self.delete(key)
            return None
        if len(plan) >= HEADER.size:
            magic, schema, n_bytes, written_key, digest = HEADER.unpack_from(plan)
            plan = plan[HEADER.size :]
            if (
                (magic, schema, n_bytes) == (MAGIC, SCHEMA, len(plan))
                and hmac.compare_digest(written_key, key)
                and hmac.compare_digest(hashlib.sha256(plan).digest(), digest)
            ):
                with contextlib.suppress(OSError):
                    os.utime(path)  # it was used
                return plan
        self.delete(key)
        return None

    def write(self, key: bytes, plan: bytes) -> None:
        """Nothing where the folder cannot be written to."""
        with contextlib.suppress(OSError):
            make_private(self.folder)
            with whole_file(self.path(key)) as file:
                with contextlib.suppress(AttributeError):  # not on Windows
                    os.fchmod(file.fileno(), 0o600)
                file.write(HEADER.pack(MAGIC, SCHEMA, len(plan), key, hashlib.sha256(plan).digest()))
                file.write(plan)
            self._drop_oldest()

    def delete(self, key: bytes) -> None:
        with contextlib.suppress(OSError):
            self.path(key).unlink()

    def path(self, key: bytes) -> Path:
        return self.folder / f"{key.hex()}{SUFFIX}"

    def _from_cache(self, key: bytes, open_plan: Callable[[bytes], Opened | None]) -> Opened | None:
        plan = self.read(key)
        if plan is None:
            return None
        opened = open_plan(plan)
        if opened is None:
            self.delete(key)
        return opened

    def keeps(self) -> bool:
        """Whether it can be written to."""
        with contextlib.suppress(OSError):
            make_private(self.folder)
            with tempfile.TemporaryFile(dir=self.folder):
                return True
        return False

    def _drop_oldest(self) -> None:
        plans = sorted(self.folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in plans[MAX_PLANS:]:
            path.unlink()

    @contextlib.contextmanager
    def _alone(self, key: bytes) -> Iterator[None]:
        """No other process is in here with the same key. Raises CacheRefused after a time; a process that ends, however
        it ends, lets go. Where the folder cannot be written to nobody waits for anybody."""
        place = self.folder / f"{key.hex()}.lock"
        try:
            make_private(self.folder)
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
            file = os.open(place, flags, 0o600)
        except OSError:
            yield
            return
        try:
            until = time.monotonic() + self._wait_s
            while not _locked(file):
                if time.monotonic() >= until:
                    raise CacheRefused(
                        f"another process has been building this plan for more than {self._wait_s:g} s (it holds "
                        f"{place}). Wait for it or end it"
                    )
                time.sleep(POLL_S)
            yield
        finally:
            os.close(file)  # which lets go


def make_private(folder: Path) -> None:
    """A folder that nobody else can write to, if it is a new one. Raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def _is_private(found: os.stat_result) -> bool:
    if not stat.S_ISREG(found.st_mode):
        return False
    return not hasattr(os, "getuid") or (
        found.st_uid in (os.getuid(), 0) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def _locked(file: int) -> bool:
    """Whether the file is this process's now; it does not wait. Systems without locks have them all."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Another process's, as the one or the other system says it; else a file system that has no locks.
        return not isinstance(error, BlockingIOError | PermissionError)
    return True
