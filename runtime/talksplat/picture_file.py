# SPDX-License-Identifier: Apache-2.0
"""What is said to lie behind a head: nothing, a colour, or a picture file."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_background(who: str, text: str, width: int, height: int) -> Any:
    """A background as Avatar.render() takes it, from the words of a command line.

    text: "avatar", "none", a colour as #RRGGBB, or a picture file, which is scaled until it fills width x height pixels
    and cut evenly where it is too long.
    Raises ValueError for what is none of them, and for a file that is no picture.
    """
    if text == "avatar":
        return text
    if text == "none":
        return None
    if text.startswith("#"):
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
            raise ValueError(f"{who}: a colour must be #RRGGBB, as in #00b140; got {text}.")
        return np.frombuffer(bytes.fromhex(text[1:]), np.uint8) / np.float32(255)
    return _filling(who, text, width, height)


def _filling(who: str, path: str, width: int, height: int) -> NDArray[np.uint8]:
    import av

    try:
        with av.open(path) as container:
            picture = next(container.decode(video=0))
            scale = max(width / picture.width, height / picture.height)
            wide, high = max(width, round(picture.width * scale)), max(height, round(picture.height * scale))
            pixels = picture.reformat(
                wide, high, "rgb24", interpolation="AREA" if scale < 1 else "BICUBIC"
            ).to_ndarray()
    except (OSError, ValueError, IndexError, StopIteration, av.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or "it holds no picture"
        raise ValueError(
            f"{who}: {path} is no picture that can be read ({reason}). Give a picture file, #RRGGBB, none or avatar."
        ) from None
    left, top = (wide - width) // 2, (high - height) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])
