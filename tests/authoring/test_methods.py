# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of GaussianTalker and TalkingGaussian: what the original networks gave, out of the avatar's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from authoring.golden_methods import Arrays, Case, case, states
from authoring.makers import cloud_fields, ply_bytes
from authoring.torch_files import fused_bytes, saved
from reference.deform import Deformed, condition_ref, deform_ref
from reference.pose import pose_ref
from reference.tsplat import Tsplat
from talksplat.authoring.methods.gaussian_talker.importer import import_gaussian_talker
from talksplat.authoring.methods.talking_gaussian.importer import import_talking_gaussian
from talksplat.authoring.spec import validate


class Avatar(NamedTuple):
    file: Tsplat
    io: Arrays

    @property
    def row(self) -> np.ndarray:
        """The source's row of each Gaussian."""
        return self.file.tensors["gaussians/source_index"]

    def deformed(self, control: Arrays, cam_from_world: np.ndarray | None = None) -> Deformed:
        return deform_ref(self.file, pose_ref(self.file, control), control, cam_from_world)


def avatar(imported: tuple[Any, Arrays], io: Arrays) -> Avatar:
    validate(*imported)
    return Avatar(Tsplat(*imported), io)


def close(found: Any, expected: Any, atol: float) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


# ---- GaussianTalker ----


def write_talker(folder: Path, io: Arrays, weights: Arrays) -> Path:
    """The folder of one iteration, from raw Gaussians and weights."""
    folder.mkdir(parents=True)
    (folder / "deformation.pth").write_bytes(saved(weights))
    sh = io["in_features"]
    by_channel = sh[:, 1:].transpose(2, 1, 0).reshape(-1, len(sh))
    columns = [*io["in_xyz"].T, *np.zeros((3, len(sh)), np.float32), *sh[:, 0].T, *by_channel, *io["in_opacity"].T,
               *io["in_scaling"].T, *io["in_rotation"].T]  # fmt: skip
    rows = {name: np.ascontiguousarray(column) for name, column in zip(cloud_fields(3), columns, strict=True)}
    (folder / "point_cloud.ply").write_bytes(ply_bytes(rows))
    return folder


@pytest.fixture(scope="module", params=["a_layer1_default", "b_layer2_smallgrid", "b_layer2_smallgrid_ckpt"])
def talker(request: pytest.FixtureRequest, shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    """Both golden cases, the second from its checkpoint, too."""
    name = request.param.removesuffix("_ckpt")
    io, weights = case(shared_dir, "gaussian_talker", name)
    folder = shared_dir / "golden/gaussian_talker" / request.param
    if name == request.param:
        folder = write_talker(tmp_path_factory.mktemp("talker") / "it", io, weights)
    return avatar(import_gaussian_talker(folder, "golden"), io)


def talker_control(io: Arrays, frame: int) -> Arrays:
    return {
        "audio": io["in_aud_window"][frame].ravel(),
        "eye": io["in_eye"][frame],
        "camera": io["in_cam_feature"][frame],
    }


@pytest.mark.parametrize("frame", range(4))
def test_gaussian_talkers_gaussians_are_the_originals(frame: int, talker: Avatar) -> None:
    io, row = talker.io, talker.row
    found = talker.deformed(talker_control(io, frame))
    close(found.mean, io["out_xyz"][frame][row], 1e-5)
    # The golden tolerance is of what is not activated yet.
    close(np.log(found.scale), io["out_scaling_raw"][frame][row], 1e-5)
    close(np.log(found.opacity / (1 - found.opacity))[:, None], io["out_opacity_raw"][frame][row], 1e-5)
    close(found.scale, io["out_scales"][frame][row], 1e-5)
    close(found.quat, io["out_rotations"][frame][row], 1e-5)
    close(found.opacity[:, None], io["out_opacities"][frame][row], 1e-5)
    if frame == 1:
        close(found.color, io["out_shs_frame1"][row], 1e-5)


@pytest.mark.parametrize("frame", range(4))
def test_gaussian_talkers_tokens_are_the_originals(frame: int, talker: Avatar) -> None:
    io = talker.io
    values = condition_ref(talker.file, talker_control(io, frame))
    close(values["heard"].ravel(), io["mid_enc_a"][frame], 1e-5)
    # The original has the eye in float64; a control's float32 turns the highest of 5623 rad by up to 1.7e-4 of them.
    close(values["eye_waves"].ravel(), io["mid_enc_eye"][frame], 2e-4)
    for i, token in enumerate(("audio", "eye", "camera", "null")):
        close(values[f"{token}_token"].ravel(), io["mid_tokens"][frame, i], 2e-4 if token == "eye" else 1e-5)


def test_gaussian_talkers_features_are_the_originals(talker: Avatar) -> None:
    close(talker.file.tensors["deform/head/static/features"], talker.io["mid_enc_x"][talker.row], 1e-5)


@pytest.mark.parametrize("frame", range(4))
def test_the_camera_stands_for_the_one_that_is_not_given(frame: int, talker: Avatar) -> None:
    """The training's twelve numbers come out of the matrix that the frame is seen by."""
    io = talker.io
    control = {**talker_control(io, frame), "camera": np.zeros(12, np.float32)}
    found = condition_ref(talker.file, control, io["in_viewmatrix"][frame].T)
    close(found["camera"].ravel(), io["in_cam_feature"][frame], 1e-6)


# ---- TalkingGaussian ----


@pytest.fixture(scope="module", params=["a_deepspeech", "b_hubert", "b_hubert_ckpt"])
def fused(request: pytest.FixtureRequest, shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    name = request.param.removesuffix("_ckpt")
    io, weights = case(shared_dir, "talking_gaussian", name)
    path = shared_dir / "golden/talking_gaussian" / request.param
    if name == request.param:
        path = tmp_path_factory.mktemp("fused") / "chkpnt_fuse_latest.pth"
        path.write_bytes(fused_bytes(io, states(Case(io, weights))))
    return avatar(import_talking_gaussian(path, "golden"), io)


def fused_control(io: Arrays, frame: int) -> Arrays:
    return {"audio": io["in_aud_window"][frame].ravel(), "au": io["in_au_exp"][frame]}


@pytest.mark.parametrize("frame", range(3))
def test_talking_gaussians_gaussians_are_the_originals(frame: int, fused: Avatar) -> None:
    io, n = fused.io, len(fused.io["in_face_xyz"])
    found = fused.deformed(fused_control(io, frame))
    face, mouth = fused.row[:n], fused.row[n:].astype(int) - n
    assert sorted(face) == list(range(n)), "face rows come first"
    assert sorted(mouth) == list(range(len(io["in_mouth_xyz"])))
    close(found.mean[:n] - io["in_face_xyz"][face], io["out_face_d_xyz"][frame][face], 1e-6)
    close(found.mean[n:] - io["in_mouth_xyz"][mouth], io["out_mouth_d_xyz"][frame][mouth], 1e-6)
    close(np.log(np.expm1(found.scale[:n])), (io["in_face_scaling"] + io["out_face_d_scale"][frame])[face], 1e-5)
    close(found.scale[:n], io["out_face_scales"][frame][face], 1e-5)
    close(found.quat[:n], io["out_face_rotations"][frame][face], 1e-5)
    close(found.scale[n:], np.logaddexp(0, io["in_mouth_scaling"])[mouth], 1e-6)
    still = fused.deformed({})
    for name in ("scale", "quat"):
        np.testing.assert_array_equal(getattr(found, name)[n:], getattr(still, name)[n:])
    np.testing.assert_array_equal(found.opacity, still.opacity)
    np.testing.assert_array_equal(found.color, still.color)


@pytest.mark.parametrize("frame", range(3))
def test_talking_gaussians_sound_is_the_originals(frame: int, fused: Avatar) -> None:
    values = condition_ref(fused.file, fused_control(fused.io, frame))
    for i, branch in enumerate(("face", "mouth")):
        close(values[f"{branch}_heard"].ravel(), fused.io["mid_enc_a"][frame, i], 1e-5)


def test_talking_gaussians_gates_are_the_originals(fused: Avatar) -> None:
    face = fused.row[: len(fused.io["in_face_xyz"])]
    gates = fused.file.tensors["deform/face/static/gates"]
    close(gates[:, :32], fused.io["mid_aud_ch_att"][face], 2e-5)
    close(gates[:, 32:], np.maximum(fused.io["mid_eye_att"], 0)[face], 2e-5)
