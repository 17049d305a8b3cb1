# SPDX-License-Identifier: Apache-2.0
"""Pictures of strangers as arrays: PNG and JPEG, of a size that is known before they are unpacked."""

from __future__ import annotations

import io
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from talksplat._pyav import FAILURES
from talksplat._pyav import open_sound as open_media
from talksplat._text import shortened
from talksplat.errors import AvatarInvalid

from .source import Source
from .spec import MAX_CANVAS, Array

MAX_PICTURE_BYTES = 256 << 20
_FRAMES_OF_JPEG = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers that a size follows (ITU T.81, table B.1)


def read_picture(path: Path, source: Source) -> Array:
    """[height,width,4] uint8, straight alpha.

    Raises AvatarNotFound if path cannot be read, AvatarInvalid if it is no PNG or JPEG of up to 8192 pixels a side.
    """
    data = source.read(path, MAX_PICTURE_BYTES)
    size = _png_size(data) or _jpeg_size(data)
    if size is None:
        raise AvatarInvalid(f"{path}: must be a PNG or a JPEG picture; it begins with {data[:8]!r}.")
    if not all(1 <= side <= MAX_CANVAS for side in size):
        raise AvatarInvalid(f"{path}: must have 1..{MAX_CANVAS} pixels a side; got {size[0]}x{size[1]}.")
    try:
        frame = _first_frame(data)
    except FAILURES as error:
        raise AvatarInvalid(f"{path}: is a damaged picture ({shortened(str(error), 200)}).") from None
    if frame is None:
        raise AvatarInvalid(f"{path}: is a damaged picture (there is nothing in it).")
    out: Array = frame.to_ndarray(format="rgba")
    if out.shape[1::-1] != size:
        raise AvatarInvalid(f"{path}: is a damaged picture (it is {out.shape[1]}x{out.shape[0]}, not {size}).")
    return np.ascontiguousarray(out)


def _first_frame(data: bytes) -> Any:
    with open_media(io.BytesIO(data)) as container:
        return next(islice(container.decode(video=0), 1), None) if container.streams.video else None


def _png_size(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or data[12:16] != b"IHDR":
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while data.startswith(b"\xff\xd8") and at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker in _FRAMES_OF_JPEG:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + max(length, 2)
    return None
