# SPDX-License-Identifier: Apache-2.0
"""project, bin, blend and finish on a synthetic head at 512x512: 30,000, 50,000 and 100,000 Gaussians.

Times are of one talksplat.rasterize() into an array of the caller. extra_info has each stage's median.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest

import talksplat
from correctness import require_right, sample
from reference.rasterize import Rasterized
from reference.scenes import Scene
from scenes import BACKGROUND, SIZE, arguments, head_scene, head_sh_scene, head_view
from talksplat import _core

COUNTS = [30_000, 50_000, 100_000]
THREADS = [1, 2]
VIEW = head_view()
STAGES = ("project", "bin", "blend", "total")


@cache
def scene_of(n: int, sh: bool) -> Scene:
    return head_sh_scene(n) if sh else head_scene(n)


@cache
def sampled(n: int, sh: bool) -> tuple[np.ndarray, Rasterized]:
    return sample(scene_of(n, sh), VIEW)


def stage_medians(scene: Scene, threads: int, precision: str) -> dict[str, float]:
    """Microseconds, from the receipts of 30 more frames."""
    engine = _core.Engine(threads)
    out = np.empty((SIZE, SIZE, 4), np.uint8)
    receipts = []
    for _ in range(40):
        receipts.append(
            _core.rasterize(
                engine, scene.means, scene.quats, scene.scales, scene.opacities, scene.colors,
                -1 if scene.sh_degree is None else scene.sh_degree,
                _core.Camera(VIEW.cam_from_world, VIEW.fx, VIEW.fy, VIEW.cx, VIEW.cy, VIEW.near),
                BACKGROUND, 0.3,
                _core.Precision.FAST if precision == "fast" else _core.Precision.REFERENCE,
                _core.Format.RGBA8, SIZE, SIZE, out, None, None,
            )
        )  # fmt: skip
    medians = {stage: float(np.median([getattr(r, f"{stage}_us") for r in receipts[10:]])) for stage in STAGES}
    # What project must read and write at least, from and to memory.
    read = sum(getattr(scene, a).nbytes for a in ("means", "quats", "scales", "opacities", "colors"))
    bytes_moved = read + receipts[-1].n_visible * (64 + 8)
    return medians | {
        "project_gb_per_s": bytes_moved / medians["project"] / 1e3,
        "visible": receipts[-1].n_visible,
        "instances": receipts[-1].n_instances,
    }


def measure(benchmark: Any, n: int, threads: int, *, sh: bool = False, dtype: str = "uint8", **options: Any) -> None:
    scene = scene_of(n, sh)
    channels = 4 if dtype == "uint8" else 3
    out = np.empty((SIZE, SIZE, channels), dtype)
    options |= {"threads": threads, "dtype": dtype, "background": BACKGROUND, "out": out}
    given = arguments(scene, VIEW)
    for _ in range(5):
        talksplat.rasterize(**given, **options)
    benchmark(talksplat.rasterize, **given, **options)
    precision = options.get("precision", "reference")
    require_right(out, scene, VIEW, BACKGROUND, precision=precision, sampled=sampled(n, sh))
    benchmark.extra_info |= {
        "isa": _core.Engine(1).isa,
        "threads": threads,
        "gaussians": n,
        "stages_us": stage_medians(scene, threads, precision),
    }


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("n", COUNTS)
def test_rgba8(n: int, threads: int, benchmark: Any) -> None:
    measure(benchmark, n, threads)


@pytest.mark.parametrize("threads", THREADS)
def test_rgba8_fast(threads: int, benchmark: Any) -> None:
    measure(benchmark, 50_000, threads, precision="fast")


@pytest.mark.parametrize("threads", THREADS)
def test_rgba8_from_harmonics_of_degree_3(threads: int, benchmark: Any) -> None:
    measure(benchmark, 50_000, threads, sh=True)


@pytest.mark.parametrize("threads", THREADS)
def test_float32_with_alpha_and_depth(threads: int, benchmark: Any) -> None:
    measure(benchmark, 50_000, threads, dtype="float32", return_alpha=True, return_depth=True)
