# SPDX-License-Identifier: Apache-2.0
"""Which surface of the built-in head each of its Gaussians is made of. From the head's builder, so it takes seconds."""

from __future__ import annotations

import numpy as np

from ..demo import build
from ..spec import Array
from .head import Head

INSIDE = ("cavity", "upper_teeth", "lower_teeth", "tongue")  # of the mouth
FADING = ("upper_teeth", "lower_teeth", "tongue")  # what closed lips hide
EYES = ("eyeball", "glint", "hair of glint")  # what everybody looks at
LIDS = ("lid", "hair of lid")
BEHIND_M = -0.001  # nothing farther back than this moves, or is ever in front of the face


def part_names() -> Array:
    """[N] names, in the order in which the builder makes Gaussians."""
    names: list[str] = []
    for surface in build.surfaces():
        cells = np.asarray(surface.cells)
        names += [surface.name] * int(np.count_nonzero(cells) if cells.dtype == bool else cells.size)
    for tufts in build.tufts(np.random.default_rng(build.SEED)):
        names += [f"hair of {tufts.on}"] * len(tufts.mean)
    return np.array(names)


def marks_of(head: Head) -> dict[str, Array]:
    """[N] bool by name: `inside` of the mouth, `fading`, `lips`, `eyes`, `lids`; `behind`: TalkingGaussian's mouth.

    Its face is drawn over its mouth without a look at depth, and the back of the head would fill the open mouth if it
    were part of the face. So all that lies behind goes with the mouth.
    """
    names = part_names()
    inside = np.isin(names, INSIDE)
    back = (head.canonical.mean[:, 2] < BEHIND_M) | (names == "neck")
    return {
        "inside": inside, "fading": np.isin(names, FADING), "lips": names == "mouth", "eyes": np.isin(names, EYES),
        "lids": np.isin(names, LIDS), "behind": inside | back,
    }  # fmt: skip
