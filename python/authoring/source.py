# SPDX-License-Identifier: Apache-2.0
"""What an avatar was made from: bounded reads of the user's files, their hashes, their licence."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from talksplat._bounds import Bounds
from talksplat.errors import AvatarInvalid, AvatarNotFound

from .spec import NOT_STATED, Provenance, SourceFile

MAX_FILE_BYTES = 4 << 30  # larger is no head avatar; reading it would only exhaust memory
LICENCE_NAMES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "LICENCE.md", "COPYING")
MAX_LICENCE_BYTES = 64 << 10


@dataclass
class Source:
    """The files read so far, and remarks about what was made of them."""

    files: list[SourceFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def read(self, path: Path, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        """The file's bytes, recorded with their hash.

        Raises AvatarNotFound if it cannot be read, AvatarInvalid if it is larger than max_bytes, or a pipe or a device
        that does not end.
        """
        try:
            data = Bounds(AvatarInvalid, file_bytes=max_bytes, unpacked_bytes=0).read(path)
        except OSError as error:
            raise AvatarNotFound(f"{path}: cannot be read ({error.strerror or error}).") from error
        self.record(path.name, data)
        return data

    def record(self, name: str, data: bytes) -> None:
        self.files.append({"name": readable(name), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})

    def hash(self, path: Path) -> None:
        """Record a file that is too large to hold, or of which only parts are needed.

        Raises AvatarNotFound if it cannot be read, AvatarInvalid if it is no file but a pipe or a device.
        """
        digest, size = hashlib.sha256(), 0
        try:
            with open(path, "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise AvatarInvalid(f"{path}: is a pipe or a device. It is read twice, so it must be a file.")
                while block := file.read(1 << 20):
                    digest.update(block)
                    size += len(block)
        except OSError as error:
            raise AvatarNotFound(f"{path}: cannot be read ({error.strerror or error}).") from error
        self.files.append({"name": readable(path.name), "bytes": size, "sha256": digest.hexdigest()})

    def provenance(self, source_format: str) -> Provenance:
        return {
            "source_format": source_format,
            "files": self.files,
            "tool": "talksplat",
            "tool_version": _version(),
            "notes": " ".join(self.notes),
        }


def readable(name: str) -> str:
    """A file's name as valid text: bytes that are no UTF-8 become question marks."""
    return name.encode("utf-8", "replace").decode()


def stated_licence(folder: Path) -> str:
    """The text of the folder's licence file, or "not stated"."""
    for name in LICENCE_NAMES:
        path = folder / name
        try:
            if path.is_file():
                with open(path, "rb") as file:
                    return licence_text(file.read(MAX_LICENCE_BYTES + 1))
        except OSError:
            continue
    return NOT_STATED


def licence_text(data: bytes) -> str:
    """A licence file's text, which an avatar carries along: as much of it as a licence may have."""
    text = data[:MAX_LICENCE_BYTES].decode("utf-8", "replace").strip()
    if len(data) > MAX_LICENCE_BYTES:
        text += f"\n(cut off after {MAX_LICENCE_BYTES} bytes)"
    return text or NOT_STATED


def _version() -> str:
    try:
        return metadata.version("talksplat")
    except metadata.PackageNotFoundError:
        return "source tree"
