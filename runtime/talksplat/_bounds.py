# SPDX-License-Identifier: Apache-2.0
"""Bounded reading of files that strangers made: nothing is read or unpacked before its size is known to be sane.

One guard for every reader of packed or whole files. A reader states its limits once, as a `Bounds`; memory then stays
within a small multiple of the file, devices and pipes included, which state no size at all.
"""

from __future__ import annotations

import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import TracebackType
from typing import BinaryIO

from ._text import shortened
from .errors import TalksplatError

STREAM_BYTES = 256 << 20  # of what has no size: a pipe, a device
GZIP = b"\x1f\x8b"
_STEP = 1 << 20
# zipfile says that a zip is broken in errors of many classes.
_BROKEN_ZIP = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, IndexError,
    KeyError, NotImplementedError, RuntimeError, struct.error,
)  # fmt: skip
_END_OF_DIRECTORY = struct.Struct("<4s4H2LH")  # APPNOTE.TXT 4.3.16
_MAX_COMMENT = 0xFFFF


@dataclass(frozen=True)
class Bounds:
    """The limits of one reader.

    error: what is raised, with the file, the limit and what was found in its text.
    file_bytes: of a whole file.  unpacked_bytes: of all that is unpacked from it.
    ratio: unpacked to packed bytes (deflate reaches 1032 on zeros, meshes and clouds stay below 20).
    free_bytes: a small stream may pack as well as it likes.
    members: of a zip.
    """

    error: type[TalksplatError]
    file_bytes: int
    unpacked_bytes: int
    ratio: int = 200
    free_bytes: int = 4 << 20
    members: int = 4096

    def read(self, path: str | os.PathLike[str]) -> bytes:
        """The whole file. Raises OSError as open() does, and `error` where it is larger than the limit."""
        where = os.fsdecode(path)
        with open(path, "rb") as file:
            state = os.fstat(file.fileno())
            regular = stat.S_ISREG(state.st_mode)
            limit = self.file_bytes if regular else min(STREAM_BYTES, self.file_bytes)
            if state.st_size > limit:
                raise self.error(f"{where}: is {state.st_size} bytes; at most {limit} are read.")
            # Python takes the memory of a read before it knows how much there is: as much as the file says it has.
            blocks = [file.read(state.st_size + 1)]
            length = len(blocks[0])
            while length <= limit and (block := file.read(min(_STEP, limit + 1 - length))):
                blocks.append(block)
                length += len(block)
        data = b"".join(blocks)
        if len(data) > limit:
            what = "is a pipe or a device that gives" if not regular else "holds"
            raise self.error(f"{where}: {what} more than {limit} bytes, which are the most that are read.")
        return data

    def limit_of(self, packed_bytes: int) -> int:
        """How much may come out of so many packed bytes."""
        return min(self.unpacked_bytes, self.ratio * packed_bytes + self.free_bytes)

    def gunzip(self, where: str, data: bytes) -> bytes:
        """What a gzip file holds, of all its members. Raises `error` for damage and for a stream out of proportion."""
        limit = self.limit_of(len(data))
        out, length = [], 0
        try:
            while data:
                stream = zlib.decompressobj(31)
                while not stream.eof:
                    block = stream.decompress(data, _STEP)
                    data = stream.unconsumed_tail
                    if not block and not data and not stream.eof:
                        raise self.error(f"{where}: is not a whole gzip file: its gzip stream is cut off.")
                    out.append(block)
                    length += len(block)
                    if length > limit:
                        raise self.error(f"{where}: unpacks to more than {limit} bytes, out of proportion to its size.")
                data = stream.unused_data
                if not data.startswith(GZIP):  # padding after the last member
                    break
        except zlib.error as error:
            raise self.error(f"{where}: is not a whole gzip file: its gzip stream is damaged ({error}).") from None
        return b"".join(out)

    @contextmanager
    def zip(self, where: str, source: bytes | str | os.PathLike[str]) -> Iterator[Zip]:
        """A zip that is open while the block runs; whatever zipfile finds wrong with it there is raised as `error`.

        Raises OSError as open() does where `source` is a path.
        """
        file = io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")  # noqa: SIM115 (Zip closes it)
        try:
            with Zip(self, where, file) as opened:
                yield opened
        except TalksplatError:
            raise
        except _BROKEN_ZIP as error:
            said = shortened(str(error), 200) or type(error).__name__  # it may quote the file at any length
            raise self.error(f"{where}: is not a readable zip ({said}).") from None


class Zip:
    """The members of a zip, read one at a time against one budget; made by Bounds.zip().

    members: by their whole names, without folders and Finder's shadow files.
    """

    def __init__(self, bounds: Bounds, where: str, file: BinaryIO) -> None:
        self._bounds = bounds
        self._where = where
        self._file = file
        self._left = bounds.unpacked_bytes
        try:
            self._require_small_directory()
            self._archive = zipfile.ZipFile(file)
            infos = [info for info in self._archive.infolist() if not _is_shadow(info.filename)]
            self.members = {info.filename: info for info in infos}
            if len(infos) > bounds.members:
                raise bounds.error(f"{where}: has {len(infos)} members; at most {bounds.members} are read.")
            if len(self.members) < len(infos):
                raise bounds.error(f"{where}: has two members of the same name. Pack it again.")
        except BaseException:
            file.close()
            raise

    def __enter__(self) -> Zip:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()
        self._file.close()

    def _require_small_directory(self) -> None:
        # zipfile makes an object of every entry before it can be asked how many there are.
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(max(0, size - _MAX_COMMENT - _END_OF_DIRECTORY.size))
        tail = self._file.read(_MAX_COMMENT + _END_OF_DIRECTORY.size)
        at = tail.rfind(b"PK\5\6")
        if at < 0 or at + _END_OF_DIRECTORY.size > len(tail):
            raise zipfile.BadZipFile("it has no directory of members")
        entries, directory_bytes = _END_OF_DIRECTORY.unpack_from(tail, at)[4:6]
        most = self._bounds.members
        # Names and extra fields make entries longer than their 46 bytes; 0xFFFF and up stand for a zip64 directory.
        if entries > most or directory_bytes > 512 * most:
            raise self._bounds.error(
                f"{self._where}: has {entries} members or more ({directory_bytes} bytes of directory); at most {most} "
                "are read."
            )

    def read(self, name: str) -> bytes:
        """A member's bytes. Raises `error` if it is larger than the limits allow."""
        info = self.members[name]
        limit = min(self._left, self._bounds.limit_of(info.compress_size))
        if info.file_size > limit:
            raise self._bounds.error(
                f"{self._where}: {shortened(name, 200)} unpacks from {info.compress_size} to {info.file_size} bytes; "
                f"at most {limit} are read. Pack it again if it is genuine."
            )
        with self._archive.open(info) as member:
            data = member.read(limit + 1)  # the header's size is only a claim
        if len(data) > limit:
            raise self._bounds.error(f"{self._where}: {shortened(name, 200)} unpacks to more than {limit} bytes.")
        self._left -= len(data)
        return data


def _is_shadow(name: str) -> bool:
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts or path.name.startswith("._") or name.endswith("/")
