# SPDX-License-Identifier: Apache-2.0
"""The files of an avatar inside a zip: those that lie beside the one that must be there."""

from __future__ import annotations

from pathlib import PurePosixPath

from talksplat._bounds import Bounds
from talksplat._text import listed, shown
from talksplat.errors import AvatarInvalid

MAX_MEMBER_BYTES = 256 << 20
MAX_RATIO = 200  # deflate reaches 1032 on zeros; meshes and clouds stay below 20
ALWAYS_BYTES = 16 << 20  # a small member may pack as well as it likes
ZIPS = Bounds(
    AvatarInvalid, file_bytes=1 << 30, unpacked_bytes=512 << 20, ratio=MAX_RATIO, free_bytes=ALWAYS_BYTES, members=4096
)


def read_members(where: str, data: bytes, anchor: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """The files called names that lie in the same folder of the zip as its only file called anchor.

    Raises AvatarInvalid if the zip is broken, encrypted, ambiguous, lacks anchor, or holds more than ZIPS allows.
    """
    with ZIPS.zip(where, data) as archive:
        anchors = [name for name in archive.members if PurePosixPath(name).name == anchor]
        if len(anchors) != 1:
            found = anchors or list(archive.members)
            names_found = listed(map(shown, found), len(found))
            raise AvatarInvalid(f"{where}: must hold exactly one {anchor}; it has {names_found or 'nothing'}.")
        folder = PurePosixPath(anchors[0]).parent
        wanted = {str(folder / name): name for name in names}
        return {wanted[name]: archive.read(name) for name in archive.members if name in wanted}
