# SPDX-License-Identifier: Apache-2.0
"""rasterize in float64: project, bin and blend in order, at chosen pixels."""

from dataclasses import dataclass

import numpy as np

from reference.bin import Binned, bin_ref
from reference.blend import Blended, blend_ref
from reference.finish import composite_ref
from reference.project import Projected, project_ref
from reference.scenes import Scene, View, every_pixel

CHUNK = 1 << 20  # pixels times splats at a time


@dataclass(frozen=True)
class Rasterized:
    """At P pixels: color [P,3] premultiplied, transmittance, alpha and depth [P], ambiguous [P] (see Blended)."""

    color: np.ndarray
    transmittance: np.ndarray
    depth: np.ndarray
    ambiguous: np.ndarray

    @property
    def alpha(self) -> np.ndarray:
        return 1 - self.transmittance

    def over(self, background: np.ndarray | None) -> np.ndarray:
        """[P,3]; background None, [3], or [P,3]."""
        return composite_ref(self.color, self.transmittance, background)


def rasterize_ref(scene: Scene, view: View, *, pixels: np.ndarray | None = None, dilation: float = 0.3) -> Rasterized:
    """pixels [P,2] of (column, row); None for all, row by row."""
    splats = project_ref(scene, view, dilation)
    pixels = every_pixel(view) if pixels is None else np.asarray(pixels)
    step = max(1, CHUNK // max(1, np.count_nonzero(splats.visible)))
    parts = [_blend(splats, pixels[i : i + step]) for i in range(0, len(pixels), step)]
    return Rasterized(
        *(np.concatenate([getattr(p, f) for p in parts]) for f in ("color", "transmittance", "depth", "ambiguous"))
    )


def _blend(splats: Projected, pixels: np.ndarray) -> Blended:
    binned: Binned = bin_ref(splats, pixels)
    return blend_ref(splats, binned, pixels)
