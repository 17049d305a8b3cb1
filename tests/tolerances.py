# SPDX-License-Identifier: Apache-2.0
"""How far native results may be from float64, in one table.

value: worst measured x 1.05 over scalar, AVX2 and AVX-512 (AMD EPYC with AVX-512, GCC 12, November 2026), or the cap
where the note says so. cap: what the specification allows; value never exceeds it.
TS_TOL_SCALE=0 measures instead: no comparison fails, and the worst residual of each row is printed at the end.
"""

import atexit
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


# (what, dtype or precision, backend) -> largest absolute difference, in colour or coverage (0..1) or depth; relative to
# the picture's largest value where that is above 1.
TABLE = {
    ("golden", "float32", "cpu"): Tolerance(4.0e-6, 2e-5, "image, alpha and depth outside ambiguous pixels"),
    ("golden needles", "float32", "cpu"): Tolerance(4.5e-6, 1e-3, "s3_anisotropic: axis ratios of 1000:1"),
    ("golden ambiguous", "float32", "cpu"): Tolerance(
        5e-3, 5e-3, "the cap: one splat more or less where alpha is 1/255"
    ),
    ("golden", "oracle", "cpu"): Tolerance(2.0e-6, 5e-6, "the golden files' own float32 projection matrix"),
    ("rasterize", "float32", "cpu"): Tolerance(2e-5, 2e-5, "the cap; 7.8e-6 here, 2.0e-5 in 1,200 harsher scenes"),
    ("rasterize ambiguous", "float32", "cpu"): Tolerance(
        1e-2, 1e-2, "by arithmetic: 0.99 of the T = 0.01 before the end"
    ),
    ("rasterize", "fast", "cpu"): Tolerance(1.5 / 255, 1.5 / 255, "the cap; colours in 0..1"),
    ("rasterize large", "float32", "cpu"): Tolerance(
        1.0e-4, 2e-4, "a float32 centre at 4096 px is rounded to 1/4096 px"
    ),
    ("finish", "uint8", "cpu"): Tolerance(0.51, 0.55, "in 1/255: half a step of rounding, and 2e-5 of colour"),
    ("encode", "float32", "cpu"): Tolerance(1.9e-6, 1e-4, "channels and features of random networks, of size about 1"),
    ("drive", "float32", "cpu"): Tolerance(
        6.3e-8, 1e-6, "doubles inside: the rounding of a number below 1, and one ulp"
    ),
    ("listen", "float32", "cpu"): Tolerance(
        5.0e-5,
        1e-4,
        "as encode; upsampled sound has bands with nothing but the filter's -80 dB, which show it enlarged",
    ),
    ("finish", "nv12", "cpu"): Tolerance(0.51, 0.55, "in steps of the code, as uint8"),
    ("golden mean", "float32", "cpu"): Tolerance(3.3e-7, 2e-6, "as the op pose, in the rig's unit"),
    ("golden scale", "float32", "cpu"): Tolerance(2.9e-7, 2e-6, "as the op pose, in the rig's unit"),
    ("golden rotation", "float32", "cpu"): Tolerance(2.2e-6, 2e-4, "as matrices"),
    ("deform mean", "float32", "cpu"): Tolerance(1e-3, 1e-3, "in units of the motion"),
    ("deform rotation", "float32", "cpu"): Tolerance(1e-5, 1e-5, ""),
    ("deform scale", "float32", "cpu"): Tolerance(1e-5, 1e-5, "of its logarithm"),
    ("deform opacity", "float32", "cpu"): Tolerance(1e-5, 1e-5, ""),
    ("deform color", "float32", "cpu"): Tolerance(1e-5, 1e-5, "or SH coefficients"),
    ("deform mean", "bfloat16", "cpu"): Tolerance(2e-2, 2e-2, "in units of the motion"),
    ("deform rotation", "bfloat16", "cpu"): Tolerance(2e-2, 2e-2, "canonical quaternions here may be short"),
    ("deform scale", "bfloat16", "cpu"): Tolerance(5e-3, 5e-3, "of its logarithm"),
    ("deform opacity", "bfloat16", "cpu"): Tolerance(5e-3, 5e-3, ""),
    ("deform color", "bfloat16", "cpu"): Tolerance(5e-3, 5e-3, "or SH coefficients"),
    ("golden picture", "float32", "cpu"): Tolerance(1.2e-6, 2e-5, "pose, then raster, of a frozen avatar"),
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
    if SCALE == 0:
        MEASURED[what, dtype, "cpu"] = max(worst, MEASURED.get((what, dtype, "cpu"), 0.0))
    elif not worst <= tolerance.value * SCALE:  # also for NaN
        pytest.fail(f"{what} {name} ({dtype}): off by {worst:.3g}, allowed {tolerance.value:.3g}", pytrace=False)


MEASURED: dict[tuple[str, str, str], float] = {}


def print_measured() -> None:
    for row, worst in MEASURED.items():
        print(" ".join(row), f"{worst:.3g}, allowed {TABLE[row].value:.3g}")


if SCALE == 0:
    atexit.register(print_measured)
