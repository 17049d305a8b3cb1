# SPDX-License-Identifier: Apache-2.0
"""The core's image formats as numpy arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._arrays import as_floats, require_finite, require_shape, shape_text

_RGB_FLOAT = _core.Format.RGB_F32


class ImageFormat(NamedTuple):
    core: _core.Format
    dtype: type[np.generic]
    channels: int  # 0: planar NV12


FORMATS: dict[str, ImageFormat] = {
    "rgb8": ImageFormat(_core.Format.RGB8, np.uint8, 3),
    "rgba8": ImageFormat(_core.Format.RGBA8, np.uint8, 4),
    "nv12": ImageFormat(_core.Format.NV12, np.uint8, 0),
    "rgb_f32": ImageFormat(_RGB_FLOAT, np.float32, 3),
}


def image_format(who: str, name: Any) -> ImageFormat:
    if not isinstance(name, str) or name not in FORMATS:
        raise ValueError(f"{who}: format must be one of {', '.join(FORMATS)}; got {name!r}.")
    return FORMATS[name]


def image_shape(who: str, form: ImageFormat, width: int, height: int) -> tuple[int, ...]:
    if form.channels:
        return height, width, form.channels
    if width % 2 or height % 2:
        raise ValueError(
            f"{who}: nv12 needs an even width and height; got {width}x{height}. "
            f"Use {width + width % 2}x{height + height % 2} or rgb8."
        )
    return height * 3 // 2, width


def image_array(who: str, form: ImageFormat, width: int, height: int, out: Any = None) -> NDArray[Any]:
    """`out` once it fits, or a new array."""
    shape = image_shape(who, form, width, height)
    if out is None:
        return np.empty(shape, form.dtype)
    dtype = np.dtype(form.dtype)
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype:
        got = f"{shape_text(out.shape)} {out.dtype}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(f"{who}: out must be a {shape_text(shape)} {dtype} array; got {got}.")
    if not out.flags.writeable:
        raise ValueError(f"{who}: out is read-only. Pass an array that can be written, or leave it out.")
    return out


def background_array(who: str, background: Any, width: int, height: int) -> NDArray[np.float32] | None:
    """None, [3] or [height,width,3] float32. 8-bit pictures are scaled to 0..1."""
    if background is None:
        return None
    array = as_floats(f"{who}: background", background)
    if array.ndim == 1:
        require_shape(f"{who}: background", array, (3,), "one colour in 0..1", "A picture is [height,width,3].")
    else:
        require_shape(f"{who}: background", array, (height, width, 3), "height and width of the image, RGB in 0..1")
    require_finite(f"{who}: background", array)
    kind = np.asarray(background).dtype
    if kind == np.uint8:
        return np.multiply(array, 1 / 255, dtype=np.float32)
    if kind.kind in "iu" and array.size and array.max() > 1:
        raise ValueError(
            f"{who}: background is in 0..1; got the whole number {array.max():g}. Give 8-bit values as a uint8 array."
        )
    return array
