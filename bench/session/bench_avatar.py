# SPDX-License-Identifier: Apache-2.0
"""Avatars from control vectors to RGBA8 frames at 512x512: the tests' head, and LAM's heads where they are at hand."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from correctness import require_right
from reference.scenes import Scene, View
from shared_data import ROOT, avatar_zips
from talksplat.authoring.convert import convert
from talksplat.motion_files import load_motion
from talksplat.motions import fit_motion

SIZE = 512
BACKGROUND = np.float32([0.1, 0.2, 0.1])
SOURCES: dict[str, Path | None] = {"head": None} | {path.stem: path for path in avatar_zips()}


@pytest.fixture(scope="module", params=SOURCES)
def avatar_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("avatar") / f"{request.param}.tsplat"
    source = SOURCES[request.param]
    if source is None:
        subprocess.run([sys.executable, ROOT / "tests" / "make_head.py", path], check=True, capture_output=True)
        return path
    return convert(source, path, format="lam")


def camera_of(avatar: talksplat.Avatar) -> talksplat.Camera:
    """The avatar's own, scaled to the bench's canvas by its height and centred."""
    own = avatar.manifest["camera"]
    width, height = avatar.size
    scale = SIZE / height
    return talksplat.Camera(
        np.float32(own["cam_from_world"]).reshape(4, 4),
        own["fx"] * scale,
        own["fy"] * scale,
        (own["cx"] - width / 2) * scale + SIZE / 2,
        (own["cy"] - height / 2) * scale + SIZE / 2,
        own["near"],
    )


def require_frame_right(
    avatar: talksplat.Avatar, control: dict[str, np.ndarray], camera: talksplat.Camera, image: np.ndarray
) -> None:
    """The frame shows what avatar.gaussians(control) lists. (Whether that is the right pose, the pose bench checks.)"""
    g = avatar.gaussians(control)
    sh_degree = avatar.info["sh_degree"]
    colors = g.color if sh_degree < 0 else g.sh
    scene = Scene(g.mean, g.quat, g.scale, g.opacity, colors, None if sh_degree < 0 else sh_degree)
    view = View(camera.cam_from_world, camera.fx, camera.fy, camera.cx, camera.cy, SIZE, SIZE, camera.near)
    require_right(image, scene, view, BACKGROUND)


@pytest.mark.parametrize("threads", [1, 2])
def test_control_to_rgba8(avatar_path: Path, threads: int, benchmark: Any) -> None:
    avatar = talksplat.load(avatar_path, threads=threads)
    motion = load_motion(f"clip:{next(iter(avatar.clips))}", avatar)
    tracks = fit_motion(motion, avatar).controls
    controls = [{name: rows[t] for name, rows in tracks.items()} for t in range(motion.frames)]
    out, camera = np.empty((SIZE, SIZE, 4), np.uint8), camera_of(avatar)
    turn = 0

    def frame() -> None:
        nonlocal turn
        turn = (turn + 1) % len(controls)
        avatar.render_frame(controls[turn], (SIZE, SIZE), "rgba8", BACKGROUND, camera, out)

    for _ in range(5):
        frame()
    benchmark(frame)
    require_frame_right(avatar, controls[turn], camera, out)
    receipt = avatar.render_frame(controls[turn], (SIZE, SIZE), "rgba8", BACKGROUND, camera, out).receipt
    benchmark.extra_info |= {
        "avatar": avatar.name,
        "isa": avatar.isa,
        "threads": threads,
        "gaussians": receipt.n_gaussians,
        "visible": receipt.n_visible,
        "instances": receipt.n_instances,
    }
