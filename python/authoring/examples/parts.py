# SPDX-License-Identifier: Apache-2.0
"""Which surface of the built-in head each of its Gaussians is made of. From the head's builder, so it takes seconds."""

from __future__ import annotations

import numpy as np

from ..demo import build
from ..spec import Array

INSIDE = ("cavity", "upper_teeth", "lower_teeth", "tongue")  # of the mouth
FADING = ("upper_teeth", "lower_teeth", "tongue")  # what closed lips hide


def part_names() -> Array:
    """[N] names, in the order in which the builder makes Gaussians."""
    names: list[str] = []
    for surface in build.surfaces():
        cells = np.asarray(surface.cells)
        names += [surface.name] * int(np.count_nonzero(cells) if cells.dtype == bool else cells.size)
    for tufts in build.tufts(np.random.default_rng(build.SEED)):
        names += [f"hair of {tufts.on}"] * len(tufts.mean)
    return np.array(names)
