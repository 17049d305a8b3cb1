"""A bounded look into a zip: named members in memory, nothing on disk."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from pathlib import PurePosixPath

from talksplat.errors import AvatarInvalid

MAX_MEMBERS = 4096
MAX_MEMBER_BYTES = 256 << 20
MAX_RATIO = 200  # deflate reaches 1032 on zeros; meshes and clouds stay below 20
ALWAYS_BYTES = 16 << 20  # a small member may pack as well as it likes

BROKEN_ZIP = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, IndexError,
    KeyError, NotImplementedError, RuntimeError,
)  # fmt: skip


def read_members(where: str, data: bytes, anchor: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """The files called names that lie in the same folder of the zip as its only file called anchor.

    Finder's shadow files are skipped. Raises AvatarInvalid if the zip is broken, encrypted, ambiguous, lacks anchor,
    or holds a member larger than MAX_MEMBER_BYTES or packed more than MAX_RATIO times.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = [info for info in archive.infolist() if not _is_shadow(info.filename)]
            if len(infos) > MAX_MEMBERS:
                raise AvatarInvalid(f"{where}: has {len(infos)} members; at most {MAX_MEMBERS} are read.")
            anchors = [info for info in infos if PurePosixPath(info.filename).name == anchor]
            if len(anchors) != 1:
                listed = [info.filename for info in anchors or infos][:10]
                raise AvatarInvalid(f"{where}: must hold exactly one {anchor}; it has {listed}.")
            folder = PurePosixPath(anchors[0].filename).parent
            wanted = {str(folder / name): name for name in names}
            found = {wanted[info.filename]: info for info in infos if info.filename in wanted}
            return {name: read_member(where, archive, info) for name, info in found.items()}
    except AvatarInvalid:
        raise
    except BROKEN_ZIP as error:
        raise AvatarInvalid(f"{where}: is not a readable zip ({error or type(error).__name__}).") from error


def _is_shadow(name: str) -> bool:
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts or path.name.startswith("._") or name.endswith("/")


def read_member(where: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The member's bytes. Raises AvatarInvalid if it is larger than the limits; zipfile's own errors pass."""
    limit = min(MAX_MEMBER_BYTES, MAX_RATIO * info.compress_size + ALWAYS_BYTES)
    if info.file_size > limit:
        raise AvatarInvalid(
            f"{where}: {info.filename} unpacks from {info.compress_size} to {info.file_size} bytes; at most {limit} "
            "are read. Pack it again if it is genuine."
        )
    with archive.open(info) as member:
        data = member.read(limit + 1)  # the header's size is only a claim
    if len(data) > limit:
        raise AvatarInvalid(f"{where}: {info.filename} unpacks to more than {limit} bytes.")
    return data
