# SPDX-License-Identifier: Apache-2.0
"""Deform networks in the sizes of the three methods, with random weights: a control to an RGBA8 frame at 512x512.

Every frame has another control. extra_info has the median and p99 of the stage deform (condition included), what that
is of the machine's register peak, and the unbaked torch module's median on as many threads where torch is installed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import talksplat
from ops.deform_programs import Program, embedtalk, gaussian_talker, talking_gaussian
from ops.pose_avatars import CAMERA
from reference import tsplat
from reference.deform import deform_ref
from reference.pose import pose_ref
from talksplat import _core
from talksplat.authoring.methods.unbaked import unbaked
from talksplat.control import control_vector
from talksplat.deform_cost import deform_cost

SIZE = 512
FRAMES = 60


class Size(NamedTuple):
    make: Callable[[], Program]
    method: str
    sh_degree: int = -1


SIZES = {
    "EmbedTalk 27k, width 64": Size(lambda: embedtalk(27_000, 64), "embedtalk", 3),
    "EmbedTalk 27k, width 128": Size(lambda: embedtalk(27_000, 128), "embedtalk", 3),
    "TalkingGaussian 30k + 5k": Size(lambda: talking_gaussian(30_000, 5_000), "talking-gaussian", 2),
    "GaussianTalker 45k, 1 layer": Size(lambda: gaussian_talker(45_000, 1), "gaussian-talker", 3),
    "GaussianTalker 45k, 2 layers": Size(lambda: gaussian_talker(45_000, 2), "gaussian-talker", 3),
}


@pytest.fixture(scope="module", params=SIZES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Size, Path]:
    size = SIZES[request.param]
    path = tmp_path_factory.mktemp("deform") / f"{request.param}.tsplat"
    return size, size.make().write(path, size.sh_degree, "bf16")


def random_controls(avatar: talksplat.Avatar) -> list[np.ndarray]:
    """Inputs that follow the camera are left to it."""
    rng = np.random.default_rng(0)
    items = [i for i in avatar.manifest["inputs"] if "follows" not in i]
    return [
        control_vector(avatar.inputs, {i["name"]: rng.uniform(0, 1, i["size"]).astype(np.float32) for i in items})
        for _ in range(16)
    ]


def torch_ms(avatar: talksplat.Avatar, method: str, threads: int) -> float | None:
    try:
        frame = unbaked({**avatar.manifest, "method": method}, avatar.tensors(), threads)
    except ImportError:
        return None
    assert frame is not None
    times = []
    for _ in range(13):
        begin = time.perf_counter()
        frame()
        times.append(time.perf_counter() - begin)
    return 1e3 * float(np.median(times[3:]))


def require_close(avatar: talksplat.Avatar, path: Path, precision: str) -> None:
    """The frame's means are float64's, for one control."""
    file = tsplat.read(path)
    control = {i["name"]: np.full(i["size"], 0.5, np.float32) for i in file.manifest["inputs"] if "follows" not in i}
    want = deform_ref(file, pose_ref(file, {}), control).mean
    got = avatar.gaussians(control).mean[file.tensors["gaussians/source_index"]]
    px = CAMERA["fx"] * SIZE / 64 / 2  # pixels per unit where the tests' Gaussians are
    assert np.abs(got - want).max() * px < (1e-3 if precision == "fp32" else 0.5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_control_to_rgba8(made: tuple[Size, Path], precision: str, threads: int, benchmark: Any) -> None:
    size, path = made
    asked = "reference" if precision == "fp32" else "default"
    avatar = talksplat.load(path, threads=threads, precision=asked)
    core = _core.Frame(avatar._core, SIZE, SIZE, _core.Format.RGBA8, avatar._precision)
    controls = random_controls(avatar)
    out = np.empty((SIZE, SIZE, 4), np.uint8)
    receipts = []

    def frame() -> None:
        receipts.append(core.render(controls[len(receipts) % len(controls)], None, True, None, out))

    for _ in range(5):
        frame()
    receipts.clear()
    benchmark.pedantic(frame, rounds=FRAMES)
    require_close(avatar, path, precision)
    deform_us = np.array([r.deform_us for r in receipts])
    flops = 2 * sum(stage.products for stage in deform_cost(avatar.manifest, avatar.tensors()))
    fp32, bf16 = avatar.engine.measure_peak()
    peak = bf16 if precision == "bf16" and bf16 else fp32
    benchmark.extra_info |= {
        "isa": avatar.isa,
        "threads": threads,
        "deform_ms": {
            "p50": float(np.median(deform_us)) / 1e3,
            "p95": float(np.percentile(deform_us, 95)) / 1e3,
            "p99": float(np.percentile(deform_us, 99)) / 1e3,
            "least": float(deform_us.min()) / 1e3,
        },
        "mflop": flops / 1e6,
        "of_peak": flops / float(np.median(deform_us)) / 1e3 / peak,
        "peak_gflops": peak,
        "torch_ms": torch_ms(avatar, size.method, threads) if precision == "fp32" else None,
    }
