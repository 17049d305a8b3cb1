# SPDX-License-Identifier: Apache-2.0
"""Imported GaussianTalkers and TalkingGaussians through the core: the original's Gaussians and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from authoring.golden_methods import Arrays, case
from talksplat.authoring import convert

GaussianTalker = tuple[Any, Arrays]


@pytest.fixture(scope="module")
def talker(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> GaussianTalker:
    source = shared_dir / "golden/gaussian_talker/b_layer2_smallgrid_ckpt"
    path = convert(source, tmp_path_factory.mktemp("talker") / "a.tsplat")
    return exact(path), case(shared_dir, "gaussian_talker", "b_layer2_smallgrid").io


@pytest.fixture(scope="module", params=[False, True], ids=["sharp", "dilated"])
def fused(request: pytest.FixtureRequest, shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    source = shared_dir / "golden/talking_gaussian/b_hubert_ckpt"
    path = convert(source, tmp_path_factory.mktemp("fused") / "a.tsplat", dilate=request.param)
    io = case(shared_dir, "talking_gaussian", "b_hubert").io
    return exact(path), io, io["img_fused_dilate" if request.param else "img_fused"]


def exact(path: Path) -> talksplat.Avatar:
    return talksplat.load(path, threads=1, precision="reference")


def close(found: Any, expected: np.ndarray, atol: float) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def seen(io: Arrays, view: np.ndarray, focal: tuple[float, float]) -> dict[str, Any]:
    """The arguments of a golden picture."""
    width, height = int(io["in_W"]), int(io["in_H"])
    camera = talksplat.Camera(view.T, *focal, width / 2, height / 2)
    return {"size": (width, height), "format": "rgb_f32", "camera": camera}


def talker_control(io: Arrays, frame: int) -> Arrays:
    audio, eye, camera = (io[f"in_{name}"][frame] for name in ("aud_window", "eye", "cam_feature"))
    return {"audio": audio.ravel(), "eye": eye, "camera": camera}


@pytest.mark.parametrize("frame", range(4))
def test_a_talkers_gaussians(frame: int, talker: GaussianTalker) -> None:
    avatar, io = talker
    found = avatar.gaussians(talker_control(io, frame))
    close(found.mean, io["out_xyz"][frame], 1e-5)
    close(found.scale, io["out_scales"][frame], 1e-5)
    close(found.quat, io["out_rotations"][frame], 1e-5)
    close(found.opacity[:, None], io["out_opacities"][frame], 1e-5)
    if frame == 1:
        close(found.sh, io["out_shs_frame1"], 1e-5)


@pytest.mark.parametrize("camera", ["given", "the frame's"])
def test_a_talkers_picture(camera: str, talker: GaussianTalker) -> None:
    avatar, io = talker
    frame = int(io["img_frame"])
    control = talker_control(io, frame)
    if camera == "the frame's":
        del control["camera"]
    focal = float(io["in_focal"])
    background = io["img_bg"].transpose(1, 2, 0)
    picture = avatar.render_frame(
        control, background=background, **seen(io, io["in_viewmatrix"][frame], (focal, focal))
    ).image
    clear = ~io["img_ambiguous"]
    close(picture[clear], io["img_out"].transpose(1, 2, 0)[clear], 1e-4)


def fused_control(io: Arrays, frame: int) -> Arrays:
    return {"audio": io["in_aud_window"][frame].ravel(), "au": io["in_au_exp"][frame]}


@pytest.mark.parametrize("frame", range(3))
def test_a_fusions_gaussians(frame: int, fused: Any) -> None:
    avatar, io, _ = fused
    found, n = avatar.gaussians(fused_control(io, frame)), len(io["in_face_xyz"])
    close(found.mean[:n] - io["in_face_xyz"], io["out_face_d_xyz"][frame], 1e-6)
    close(found.mean[n:] - io["in_mouth_xyz"], io["out_mouth_d_xyz"][frame], 1e-6)
    close(found.scale[:n], io["out_face_scales"][frame], 1e-5)
    close(found.quat[:n], io["out_face_rotations"][frame], 1e-5)


def test_a_fusions_picture(fused: Any) -> None:
    avatar, io, expected = fused
    frame, width, height = (int(io[name]) for name in ("img_frame", "in_W", "in_H"))
    focal = width / (2 * float(io["in_tanfovx"])), height / (2 * float(io["in_tanfovy"]))
    background = io["in_bg_uint8"].transpose(1, 2, 0)
    found = avatar.render_frame(
        fused_control(io, frame), background=background, **seen(io, io["in_viewmatrix"], focal)
    ).image
    clear = ~io["img_ambiguous"]
    close(found[clear], expected.transpose(1, 2, 0)[clear], 1e-4)
