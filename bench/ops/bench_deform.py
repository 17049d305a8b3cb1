# SPDX-License-Identifier: Apache-2.0
"""Deform networks in the sizes of the three methods, with random weights: a control to an RGBA8 frame at 512x512.

Every frame has another control. extra_info has the median and p99 of the stage deform (condition included), what that
is of the machine's register peak, and the unbaked torch module's median on as many threads where torch is installed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from safetensors.numpy import save_file

import talksplat
from ops.deform_programs import Program, embedtalk, gaussian_talker, talking_gaussian
from reference import tsplat
from reference.deform import deform_ref
from reference.pose import pose_ref
from scenes import head_scene, head_view
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
    size.make().write(path, size.sh_degree, "bf16")
    on_a_head(path)
    return size, path


def on_a_head(path: Path) -> None:
    """The program's Gaussians become those of the raster benches' head, and those of a second branch its mouth's."""
    file = tsplat.read(path)
    manifest, tensors = file.manifest, dict(file.tensors)
    parts = []
    for i, branch in enumerate(manifest["deform"]["branches"]):
        scene = head_scene(branch["rows"])
        small = np.float32(1 if i == 0 else 0.12)
        means = scene.means * small + np.float32([0, 0.4 if i else 0, 0])
        scales, name = scene.scales * small, branch["name"]
        raw = {
            "log_scale": np.log(scales), "softplus_scale": np.log(np.expm1(scales)), "rotation": scene.quats,
            "logit": np.log(scene.opacities / (1 - scene.opacities)),
        }  # fmt: skip
        for key, rows in raw.items():
            place = f"deform/{name}/canonical/{key}"
            if place in tensors:
                tensors[place] = rows.astype(np.float32)
        parts.append((means, scene.quats, scales, scene.opacities, (scene.colors - 0.5) / 0.28209479))
    for key, rows in zip(("mean", "quat", "scale", "opacity"), zip(*parts, strict=True), strict=False):
        tensors[f"gaussians/{key}"] = np.concatenate(rows).astype(np.float32)
    sh = tensors["gaussians/sh"] * np.float32(0.1)
    sh[:, 0] = np.concatenate([part[4] for part in parts])
    view = head_view()
    tensors |= {"gaussians/sh": sh, "gaussians/source_index": np.arange(len(sh), dtype=np.uint32)}
    manifest["canvas"] = {"width": view.width, "height": view.height}
    manifest["camera"] = {
        "cam_from_world": np.asarray(view.cam_from_world, np.float64).ravel().tolist(), "fx": view.fx, "fy": view.fy,
        "cx": view.cx, "cy": view.cy, "near": view.near,
    }  # fmt: skip
    save_file(tensors, path, metadata={"talksplat": json.dumps(manifest)})


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
    view = head_view()
    depth = float(np.asarray(view.cam_from_world).reshape(4, 4)[2, 3]) - 1.5  # at least, of the head's Gaussians
    assert np.abs(got - want).max() * view.fx / depth < (1e-3 if precision == "fp32" else 0.5)


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
