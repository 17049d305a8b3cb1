# SPDX-License-Identifier: Apache-2.0
"""Scenes as users have them: the file itself, or packed by gzip or into a zip."""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path, PurePosixPath

from talksplat._bounds import GZIP, Bounds
from talksplat._text import listed, shown
from talksplat.errors import AvatarInvalid

from .archive import ALWAYS_BYTES, MAX_RATIO
from .signatures import HEAD_BYTES, SCENES_ARE, kind_of, kind_of_zip, sentence
from .source import MAX_FILE_BYTES, Source

SCENES = Bounds(
    AvatarInvalid, file_bytes=MAX_FILE_BYTES, unpacked_bytes=MAX_FILE_BYTES, ratio=MAX_RATIO, free_bytes=ALWAYS_BYTES
)
DEFLATE = b"\x08"  # gzip's only method
ENDINGS = (".ply", ".splat", ".spz")


def read_scene(source: Source, path: Path, format: str) -> bytes:
    """The bytes of a scene of this format, out of gzip or a zip where it is packed; the file given is recorded.

    Raises AvatarNotFound if it cannot be read, AvatarInvalid, naming what it is, if it is of another kind.
    """
    where = str(path)
    data, inside = unpacked(where, source.read(path))
    if inside:
        source.notes.append(f"Out of {shown(inside)}.")
    kind = kind_of(data[:HEAD_BYTES])
    if kind is not None and kind.format != format:
        way_out = f"{sentence(kind, where)}" if kind.format is None else f"is {kind.what}, not {format}."
        raise AvatarInvalid(f"{where}: {way_out}")
    return data


def unpacked(where: str, data: bytes) -> tuple[bytes, str]:
    """What is inside, and the name of the place inside; an .spz is gzip too, and comes out as its contents."""
    if data.startswith(GZIP + DEFLATE):
        inner = SCENES.gunzip(where, data)
        if inner.startswith((GZIP, b"PK\3\4")):
            raise AvatarInvalid(f"{where}: is packed twice. Unpack it once.")
        return inner, ""
    if not data.startswith(b"PK"):
        return data, ""
    with SCENES.zip(where, data) as archive:
        kind = kind_of_zip(list(archive.members))
        if kind is not None:
            raise AvatarInvalid(f"{where}: {sentence(kind, where)}")
        scenes = [name for name in archive.members if PurePosixPath(name).suffix.lower() in ENDINGS]
        if len(scenes) != 1:
            found = listed(map(shown, scenes or list(archive.members)), len(scenes or archive.members)) or "nothing"
            raise AvatarInvalid(
                f"{where}: must hold exactly one {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}; it has {found}. Unpack "
                "the one that you mean."
            )
        inner, name = archive.read(scenes[0]), scenes[0]
    return (SCENES.gunzip(where, inner) if inner.startswith(GZIP) else inner), name


def format_of(path: Path) -> str:
    """The format of the file at path, by its first bytes, looking into gzip and zip; "lam", "ply", "splat" or "spz".

    Raises OSError as open() does, and AvatarInvalid, which says what it is, for another.
    """
    where, suffix = str(path), path.suffix.lower()
    with open(path, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise AvatarInvalid(f"{where}: is a pipe or a device, which cannot be looked at first. Name its format.")
        head = file.read(HEAD_BYTES)
    kind = kind_of(head)
    if kind is not None and kind.format == "gzip":
        kind = kind_of(_start_of(where, head))
        if kind is not None and kind.format in ("gzip", "zip"):
            raise AvatarInvalid(f"{where}: is packed twice. Unpack it once.")
        suffix = PurePosixPath(path.stem).suffix.lower()
    elif kind is not None and kind.format == "zip":
        with SCENES.zip(where, path) as archive:
            members = list(archive.members)
        kind = kind_of_zip(members)
        if kind is None:
            endings = {PurePosixPath(name).suffix.lower() for name in members} & set(ENDINGS)
            return endings.pop()[1:] if len(endings) == 1 else "ply"  # whose reader says what is in the zip
    if kind is not None and kind.format is not None:
        return kind.format
    if kind is not None:
        raise AvatarInvalid(f"{where}: {sentence(kind, where)}")
    if suffix == ".splat":
        return "splat"
    if suffix == ".ksplat":
        raise AvatarInvalid(f"{where}: is a .ksplat scene, which is not read. {SCENES_ARE}")
    raise AvatarInvalid(f"{where}: is of no kind that is known. {SCENES_ARE} If its name hides its format, name that.")


def _start_of(where: str, head: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(head, HEAD_BYTES)
    except zlib.error as error:
        raise AvatarInvalid(f"{where}: its gzip stream is damaged ({error}).") from None
