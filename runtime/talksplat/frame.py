# SPDX-License-Identifier: Apache-2.0
"""What an avatar gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ._arrays import FloatArray
from ._core import Receipt


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture.

    image: rgb8 [H,W,3], rgba8 [H,W,4] (straight alpha), nv12 [H*3/2,W] uint8, or rgb_f32 [H,W,3] float32.
    pts: seconds from the start.  index: frame number.  receipt: microseconds by stage, and counts.
    audio: of render(), the sound from this frame's time to the next's: [n] float32, or [n,channels] for more than one
    channel, full scale at 1; None of other frames. Some frames have a sample more than others.
    """

    image: NDArray[Any]
    pts: float
    index: int
    receipt: Receipt
    audio: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Gaussians:
    """Activated Gaussians in world space, in the source file's order; rows that were pruned have opacity 0.

    mean [N,3], quat [N,4] wxyz unit, scale [N,3] standard deviations, opacity [N], all float32;
    color [N,3] RGB, or sh [N,(degree+1)²,3] where the avatar has spherical harmonics; the other is None.
    """

    mean: FloatArray
    quat: FloatArray
    scale: FloatArray
    opacity: FloatArray
    color: FloatArray | None
    sh: FloatArray | None
