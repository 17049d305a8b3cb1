# SPDX-License-Identifier: Apache-2.0
"""What an avatar gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import FloatArray
from ._core import DeviceArray, Receipt


@dataclass(frozen=True, eq=False, repr=False)
class Frame:
    """One picture. A notebook shows it, but for nv12.

    image: rgb8 [H,W,3], rgba8 [H,W,4] (straight alpha), nv12 [H*3/2,W] uint8, or rgb_f32 [H,W,3] float32. An array of
    numpy's; of pictures that stay on a GPU the `out` that they were drawn into, or a DeviceArray, whose .numpy() copies
    it.
    pts: seconds from the start.  index: frame number.  receipt: microseconds by stage, and counts.
    audio: of render(), the sound from this frame's time to the next's: [n] float32, or [n,channels] for more than one
    channel, full scale at 1; None of other frames. Some frames have a sample more than others.
    sample_rate: of audio, Hz; None without it.  fps: frames per second; None of render_frame()'s single frame.
    """

    image: Any
    pts: float
    index: int
    receipt: Receipt
    audio: FloatArray | None = None
    sample_rate: int | None = None
    fps: float | None = None

    @property
    def format(self) -> str:
        """rgb8, rgba8, nv12 or rgb_f32."""
        if self.image.ndim == 2:
            return "nv12"
        if str(self.image.dtype).endswith("float32"):  # of any library
            return "rgb_f32"
        return "rgb8" if self.image.shape[2] == 3 else "rgba8"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        height, width = self.image.shape[:2]
        return width, height * 2 // 3 if self.format == "nv12" else height

    def __repr__(self) -> str:
        width, height = self.size
        return f"<Frame {self.index} at {self.pts:.3f} s, {width}x{height} {self.format}>"

    def _repr_png_(self) -> bytes | None:
        """What Jupyter shows."""
        from .png_sequence import png_bytes

        if self.format == "nv12":
            return None
        image = image_on_host("Frame", self)
        if self.format == "rgb_f32":
            return png_bytes(np.rint(np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8))
        return png_bytes(image)


def image_on_host(who: str, frame: Frame) -> NDArray[Any]:
    """Its picture in the CPU's memory, copied if it has to be."""
    image: Any = frame.image
    if isinstance(image, np.ndarray):
        return image
    if isinstance(image, DeviceArray):
        return image.numpy()
    raise ValueError(
        f"{who}: the image of {frame!r} must be in the CPU's memory; it is a {type(image).__name__}. Copy it: "
        "dataclasses.replace(frame, image=frame.image.cpu().numpy())."
    )


@dataclass(frozen=True, eq=False)
class Gaussians:
    """Activated Gaussians in world space, in the source file's order; rows that were pruned have opacity 0.

    mean [N,3], quat [N,4] wxyz unit, scale [N,3] standard deviations, opacity [N], all float32;
    color [N,3] RGB, or sh [N,(degree+1)²,3] where the avatar has spherical harmonics; the other is None.
    Those that stay on a GPU are DeviceArrays, without the pruned ones, in the avatar's order.
    """

    mean: Any
    quat: Any
    scale: Any
    opacity: Any
    color: Any
    sh: Any
