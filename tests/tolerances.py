"""How far native results may be from float64, in one table.

value: worst measured x 1.05 over scalar, AVX2 and AVX-512 (AMD EPYC 9004 class, GCC 12, November 2026).
cap: what the specification allows; value never exceeds it.
TS_TOL_SCALE=0 makes every comparison fail and print its true residual: raise or lower a value with that in hand.
"""

import os
from dataclasses import dataclass

import numpy as np
import pytest

SCALE = float(os.environ.get("TS_TOL_SCALE", "1"))


@dataclass(frozen=True)
class Tolerance:
    value: float
    cap: float
    note: str

    def __post_init__(self) -> None:
        assert self.value <= self.cap, f"{self.value} is above the cap {self.cap}"


# (what, dtype or precision, backend) -> largest absolute difference, in colour (0..1), coverage (0..1) or depth (divided
# by the deepest visible splat's where that is above 1).
TABLE = {
    ("golden", "float32", "cpu"): Tolerance(2e-5, 2e-5, "image, alpha and depth outside ambiguous pixels"),
    ("golden needles", "float32", "cpu"): Tolerance(1e-3, 1e-3, "s3_anisotropic: axis ratios of 1000:1"),
    ("golden ambiguous", "float32", "cpu"): Tolerance(5e-3, 5e-3, "a splat more or less where alpha is 1/255"),
    ("golden", "oracle", "cpu"): Tolerance(5e-6, 5e-6, "the golden files' own float32 projection matrix"),
    ("rasterize", "float32", "cpu"): Tolerance(2e-5, 2e-5, "canvases to 128 px, outside ambiguous pixels"),
    ("rasterize ambiguous", "float32", "cpu"): Tolerance(5e-3, 5e-3, "per flipped splat, colours in 0..1"),
    ("rasterize", "fast", "cpu"): Tolerance(1.5 / 255, 1.5 / 255, "colours in 0..1"),
    ("rasterize large", "float32", "cpu"): Tolerance(2e-4, 2e-4, "float32 centres at 4096 px round to 1/4096 px"),
    ("finish", "uint8", "cpu"): Tolerance(0.5, 0.55, "in 1/255: rounding, and 2e-5 of colour"),
    ("finish", "nv12", "cpu"): Tolerance(0.5, 0.55, "in steps of the 8-bit code"),
}


def require_close(
    what: str,
    dtype: str,
    got: np.ndarray,
    want: np.ndarray,
    *,
    name: str = "",
    where: np.ndarray | None = None,
    times: float = 1.0,
) -> None:
    """got equals want within the table's value times `times`, at the pixels `where` (a mask over the first axes)."""
    assert got.shape == want.shape, f"{name}: {got.shape} is not {want.shape}"
    tolerance = TABLE[what, dtype, "cpu"]
    off = np.abs(np.asarray(got, np.float64) - want)
    if where is not None:
        off = off[where]
    worst = float(np.max(off, initial=0.0)) / times
    if not worst <= tolerance.value * SCALE:  # also for NaN
        pytest.fail(f"{name or what} ({dtype}): off by {worst:.3g}, allowed {tolerance.value:.3g}", pytrace=False)
