# SPDX-License-Identifier: Apache-2.0
"""No time of a wrong picture counts: what was drawn is compared with the float64 oracle at a sample of its pixels."""

import numpy as np

from reference.finish import rgba8_ref
from reference.rasterize import Rasterized, rasterize_ref
from reference.scenes import Scene, View

PIXELS = 150
LEVELS = {"reference": 0.55, "fast": 2.0}  # of 255: rounding, with a little or with 1.5 more


class WrongPicture(AssertionError):
    """The picture that was measured is not the scene's."""


def sample(scene: Scene, view: View) -> tuple[np.ndarray, Rasterized]:
    """Pixels [P,2] of (column, row), three quarters of them in the middle of the canvas, and what belongs there."""
    rng = np.random.default_rng(0)
    size = np.array([view.width, view.height])
    middle = size / 4 + rng.uniform(size=(PIXELS * 3 // 4, 2)) * size / 2
    anywhere = rng.uniform(size=(PIXELS - len(middle), 2)) * size
    pixels = np.concatenate([middle, anywhere]).astype(int)
    return pixels, rasterize_ref(scene, view, pixels=pixels)


def require_right(
    image: np.ndarray,
    scene: Scene,
    view: View,
    background: np.ndarray | None,
    *,
    precision: str = "reference",
    sampled: tuple[np.ndarray, Rasterized] | None = None,
) -> None:
    """image: RGBA8, or float32 RGB. sampled: of sample(), where it is at hand. Raises WrongPicture."""
    pixels, want = sampled or sample(scene, view)
    got = image[pixels[:, 1], pixels[:, 0]].astype(np.float64)
    if image.dtype == np.uint8:
        ref = rgba8_ref(want.color, want.transmittance, background)
    else:
        got, ref = got * 255, want.over(background) * 255
    sure = ~want.ambiguous
    if sure.mean() < 0.5 or not (want.alpha > 0.5).any():
        raise WrongPicture("the sample of pixels shows nothing; choose another scene.")
    worst = np.abs(got - ref)[sure].max()
    if worst > LEVELS[precision]:
        raise WrongPicture(
            f"the picture is {worst:.3g} of 255 away from the oracle at {np.count_nonzero(sure)} sampled pixels; "
            f"at most {LEVELS[precision]:g} is right."
        )
