# SPDX-License-Identifier: Apache-2.0
"""A sequence of PNG files: all of its pictures appear, or none does."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import struct
import weakref
import zlib
from pathlib import Path

import numpy as np

from ._arrays import FloatArray
from ._files import cannot_write, kind_of, partial_name
from ._signals import held_signals
from ._video_writer import Image, VideoWriter

_NUMBER = re.compile(r"%0?(\d*)d")
MAX_NAME = 255  # bytes, of the usual file systems


class FrameNames:
    """The names of a sequence's files, from a pattern such as frames/%05d.png.

    Raises ValueError for a pattern without exactly one frame number, or with one of absurd width.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        path = Path(pattern)
        self.folder = path.parent
        self._name = path.name
        found = list(_NUMBER.finditer(self._name))
        if len(found) != 1:
            raise ValueError(f"output: {pattern} needs one frame number in its name, as in frames/%05d.png.")
        digits = found[0][1]
        # The length first: a text of millions of digits takes long to become a number.
        if len(digits) > 9 or int(digits or 0) > MAX_NAME:
            raise ValueError(f"output: {pattern}: the frame number may have at most {MAX_NAME} digits. Five do: %05d.")
        start, end = found[0].span()
        self._any = re.compile(
            re.escape(self._name[:start]) + r"(\d+)" + re.escape(self._name[end:]), re.DOTALL | re.ASCII
        )

    def path(self, i: int) -> Path:
        # Other percent signs of the name are themselves.
        return self.folder / _NUMBER.sub(lambda number: number[0] % i, self._name)

    def holds(self, path: Path) -> bool:
        """Whether one of the sequence's files has this path's name; folders are not compared."""
        match = self._any.fullmatch(path.name)
        return match is not None and len(match[1]) <= MAX_NAME and self.path(int(match[1])).name == path.name

    def require_free(self) -> None:
        """What stands where pictures will is found before the work. Raises an OSError that names it."""
        require_file(self.path(0))
        # A folder that is not there yet, or may not be listed: making it, or a picture in it, tells.
        with contextlib.suppress(FileNotFoundError, PermissionError), os.scandir(self.folder) as entries:
            for entry in entries:
                if not entry.is_file() and self.holds(Path(entry.name)):
                    require_file(Path(entry.path))


def require_file(path: Path) -> None:
    """Raises an OSError where a picture of this path could not take its place."""
    kind = kind_of(path)
    if kind is not None:
        error = IsADirectoryError if kind == "a folder" else OSError
        raise error(f"output: {path} is {kind}, where a picture belongs. Move it, or choose another folder.")


class PngSequence(VideoWriter):
    def __init__(self, format: str, names: FrameNames) -> None:
        super().__init__(format)
        names.require_free()
        self._names = names
        made = [f for f in (names.folder, *names.folder.parents) if not f.exists()]
        self._partial = names.folder / partial_name()
        # Known before the first folder is made: a signal may come in between.
        self._remove = weakref.finalize(self, _remove, self._partial, made)
        self._remove.atexit = False  # a forked child that exits must not take its parent's pictures away
        try:
            names.folder.mkdir(parents=True, exist_ok=True)
            self._partial.mkdir(mode=0o700)
        except OSError as error:
            self._remove()
            raise cannot_write(names.folder, error) from None
        self._count = 0

    def write(self, image: Image, sound: FloatArray | None = None) -> None:
        path = self._names.path(self._count)
        if len(os.fsencode(path.name)) > MAX_NAME:  # numbers grow while a sequence does
            require_file(path)
        try:
            with open(self._partial / str(self._count), "xb") as file:
                file.write(png_bytes(image))
        except OSError as error:
            raise cannot_write(path, error) from None
        self._count += 1

    def finish(self) -> None:
        with held_signals():
            moved: list[tuple[Path, Path, Path | None]] = []  # from, to, where the older picture went
            try:
                for i in range(self._count):
                    self._place(i, moved)
            except BaseException:
                for new, place, old in reversed(moved):
                    os.replace(place, new)
                    if old is not None:
                        os.replace(old, place)
                raise
            following = self._names.path(self._count)
            self.left_over = following if following.exists() else None
            self._remove.detach()
            shutil.rmtree(self._partial, ignore_errors=True)

    def _place(self, i: int, moved: list[tuple[Path, Path, Path | None]]) -> None:
        path, new = self._names.path(i), self._partial / str(i)
        require_file(path)
        # A link stays, and what it leads to is replaced.
        place = Path(os.path.realpath(path)) if path.is_symlink() else path
        old = None
        try:
            if place.exists():
                old = self._partial / f"{i}.old"
                os.replace(place, old)
            try:
                os.replace(new, place)
            except BaseException:
                if old is not None:
                    os.replace(old, place)
                raise
        except OSError as error:
            raise cannot_write(path, error) from None
        moved.append((new, place, old))

    def abandon(self) -> None:
        self._remove()


def _remove(partial: Path, made: list[Path]) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    # Folders that were made for it go too, unless someone has put something there.
    with contextlib.suppress(OSError):
        for folder in made:
            folder.rmdir()


def png_bytes(image: Image) -> bytes:
    """A PNG file of an [H,W,3] or [H,W,4] uint8 picture (PNG specification, third edition; filter Up, deflate 1)."""
    height, width, channels = image.shape
    rows = image.reshape(height, width * channels)
    filtered = np.empty((height, 1 + width * channels), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.data, 1)), (b"IEND", b""))
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in chunks:
        parts += [struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(kind + data))]
    return b"".join(parts)
