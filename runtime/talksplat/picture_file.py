# SPDX-License-Identifier: Apache-2.0
"""What is said to lie behind a head: nothing, a colour, or a picture, scaled until it fills the frame."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_background(who: str, text: str, width: int, height: int) -> Any:
    """A background as Avatar.render() takes it, from the words of a command line.

    text: "avatar", "fill", "none", a colour as #RRGGBB, or a picture file, which is scaled until it fills width x
    height pixels and cut evenly where it is too long.
    Raises ValueError for what is none of them, and for a file that is no picture.
    """
    if text in ("avatar", "fill"):
        return text
    if text == "none":
        return None
    if text.startswith("#"):
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
            raise ValueError(f"{who}: a colour must be #RRGGBB, as in #00b140; got {text}.")
        return np.frombuffer(bytes.fromhex(text[1:]), np.uint8) / np.float32(255)
    return filling(_read(who, text), width, height)


def _read(who: str, path: str) -> NDArray[np.uint8]:
    import av

    try:
        with av.open(path) as container:
            return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)
    except (OSError, ValueError, IndexError, StopIteration, av.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or "it holds no picture"
        raise ValueError(
            f"{who}: {path} is no picture that can be read ({reason}). "
            "Give a picture file, #RRGGBB, none, fill or avatar."
        ) from None


def filling(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """A picture [H,W,3], scaled until it fills [height,width,3] and cut evenly where it is too long."""
    import av

    # Cut first: a line of a picture, made as wide as the frame, would be far longer than memory.
    tall, wide = pixels.shape[:2]
    scale = max(width / wide, height / tall)
    kept_wide, kept_tall = (min(n, max(1, round(m / scale))) for n, m in ((wide, width), (tall, height)))
    left, top = (wide - kept_wide) // 2, (tall - kept_tall) // 2
    kept = np.ascontiguousarray(pixels[top : top + kept_tall, left : left + kept_wide])
    scaled = av.VideoFrame.from_ndarray(kept, format="rgb24").reformat(
        width, height, interpolation="AREA" if scale < 1 else "BICUBIC"
    )
    return np.asarray(scaled.to_ndarray(), np.uint8)
