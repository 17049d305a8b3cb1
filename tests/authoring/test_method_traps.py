# SPDX-License-Identifier: Apache-2.0
"""Each way in which these methods go wrong in silence, stepped into: the golden vectors must notice.

A bake is run with one thing of its method done otherwise, and must then miss the original by far more than it may. What
a network does last is what is compared, so that a trap that changes nothing there would be seen, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from authoring.golden_methods import Arrays, Case, case, states
from authoring.torch_files import fused_bytes
from reference.deform import Deformed, condition_ref, deform_ref
from reference.pose import pose_ref
from reference.tsplat import Tsplat
from talksplat.authoring.methods.cloud import prepared
from talksplat.authoring.methods.gaussian_talker import bake as talker_bake
from talksplat.authoring.methods.gaussian_talker import importer as talker_importer
from talksplat.authoring.methods.gaussian_talker.importer import Options, import_gaussian_talker
from talksplat.authoring.methods.talking_gaussian import bake as fused_bake
from talksplat.authoring.methods.talking_gaussian import config as fused_config
from talksplat.authoring.methods.talking_gaussian import importer as fused_importer

TALKER = "golden/gaussian_talker/b_layer2_smallgrid_ckpt"
Trap = Callable[[pytest.MonkeyPatch], object]


def deformed(imported: tuple[Any, Arrays], control: Arrays) -> Deformed:
    file = Tsplat(*imported)
    return deform_ref(file, pose_ref(file, control), control)


# ---- GaussianTalker ----


@pytest.fixture(scope="module")
def talker(shared_dir: Path) -> Case:
    return case(shared_dir, "gaussian_talker", "b_layer2_smallgrid")


def talker_misses(shared_dir: Path, io: Arrays, options: Options | None = None, **control: np.ndarray) -> float:
    """How far the second frame's Gaussians are from the original's, at most."""
    imported = talker_importer.import_gaussian_talker(shared_dir / TALKER, "golden", options)
    given = {"audio": io["in_aud_window"][1].ravel(), "eye": io["in_eye"][1], "camera": io["in_cam_feature"][1]}
    found, row = deformed(imported, {**given, **control}), imported[1]["gaussians/source_index"]
    pairs = [(found.mean, io["out_xyz"][1]), (found.quat, io["out_rotations"][1]), (found.color, io["out_shs_frame1"])]
    return float(max(np.abs(value - expected[row]).max() for value, expected in pairs))


def box_upside_down(mean: np.ndarray, net: Arrays, config: Any) -> np.ndarray:
    return FEATURES(mean, {**net, "tri_plane.grid.aabb": net["tri_plane.grid.aabb"][::-1]}, config)


def by_channel(branch: Any, x: str, head: str, to: str, net: Arrays, canonical: Any) -> None:
    """SH deltas in the .ply's order: all of red, then green, then blue."""
    if to == "sh":
        order = np.arange(48).reshape(3, 16).T.ravel()
        net = {**net, **{key: net[key][order] for key in ("shs_deform.3.weight", "shs_deform.3.bias")}}
    HEAD(branch, x, head, to, net, canonical)


def normalised_first(where: str, raw: Any, *scale_of: Any) -> Any:
    """Rotations that are made unit before something is added to them."""
    cloud, raw = prepared(where, raw, *scale_of)
    return cloud, replace(raw, rotation=raw.rotation / np.linalg.norm(raw.rotation, axis=1, keepdims=True))


def powers_of_two(config: Any) -> np.ndarray:
    return 2.0 ** np.arange(config.eye_waves)


FEATURES, HEAD = talker_bake.features, talker_bake._head
TOKENS, WAVES = talker_bake._tokens, talker_bake.eye_frequencies
TALKER_TRAPS: dict[str, Trap] = {
    "the box's lower corner first": lambda patch: patch.setattr(talker_bake, "features", box_upside_down),
    "a plane's axes the other way round": lambda patch: patch.setattr(talker_bake, "PLANES", ((1, 0), (2, 0), (2, 1))),
    "planes in TalkingGaussian's order": lambda patch: patch.setattr(talker_bake, "PLANES", ((0, 1), (1, 2), (0, 2))),
    "the null token left out": lambda patch: patch.setattr(talker_bake, "_tokens", lambda *a: TOKENS(*a)[:3]),
    "frequencies that divide": lambda patch: patch.setattr(talker_bake, "eye_frequencies", lambda c: 1 / WAVES(c)),
    "frequencies of powers of two": lambda patch: patch.setattr(talker_bake, "eye_frequencies", powers_of_two),
    "coefficients by channel": lambda patch: patch.setattr(talker_bake, "_head", by_channel),
    "quaternions normalised first": lambda patch: patch.setattr(talker_importer, "prepared", normalised_first),
}


def test_the_talker_itself_is_near(talker: Case, shared_dir: Path) -> None:
    assert talker_misses(shared_dir, talker.io) < 1e-5


@pytest.mark.parametrize("trap", TALKER_TRAPS)
def test_gaussian_talkers_traps(trap: str, talker: Case, shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TALKER_TRAPS[trap](monkeypatch)
    assert talker_misses(shared_dir, talker.io) > 1e-3


@pytest.mark.parametrize("n_head", [1, 4])
def test_another_number_of_heads_is_another_avatar(n_head: int, talker: Case, shared_dir: Path) -> None:
    assert talker_misses(shared_dir, talker.io, Options(n_head=n_head)) > 1e-4


def test_a_window_of_other_axes_is_another_sound(talker: Case, shared_dir: Path) -> None:
    window = talker.io["in_aud_window"][1].swapaxes(1, 2).ravel()
    assert talker_misses(shared_dir, talker.io, audio=window) > 1e-4


def test_eyes_that_are_not_halved_are_closed_too_far(talker: Case, shared_dir: Path) -> None:
    whole = np.clip(talker.io["in_au45_r"][1:2], 0, 2)
    np.testing.assert_allclose(whole / 2, talker.io["in_eye"][1])
    assert talker_misses(shared_dir, talker.io, eye=whole) > 1e-3


def test_a_camera_of_world_from_cam_is_another_view(talker: Case, shared_dir: Path) -> None:
    camera = talker.io["in_cam_feature"][1].copy()
    camera[:9] = camera[:9].reshape(3, 3).T.ravel()
    assert talker_misses(shared_dir, talker.io, camera=camera) > 1e-4


def test_the_eyes_phase_is_of_float64(talker: Case, shared_dir: Path) -> None:
    """What float32 would lose of the product is what separates it from the golden encoding."""
    io = talker.io
    file = Tsplat(*import_gaussian_talker(shared_dir / TALKER, "golden"))
    eye = io["in_eye"].astype(np.float32)
    ((i, stage),) = ((i, s) for i, s in enumerate(file.manifest["deform"]["condition"]) if s["kind"] == "waves")
    assert stage["keep"] is False
    frequency = file.tensors[f"deform/condition/{i}/frequency"]
    np.testing.assert_allclose(frequency, 10000.0 ** (np.arange(16) / 16), rtol=2e-7)
    wide = [condition_ref(file, {"eye": value})["eye_waves"].ravel() for value in eye]
    exact = eye.astype(np.float64) * frequency.astype(np.float64)
    narrow = np.sin((eye * frequency).astype(np.float64))
    np.testing.assert_allclose(np.array(wide)[:, ::2], np.sin(exact), rtol=0, atol=1e-12)
    assert np.abs(narrow - np.sin(exact)).max() > 2e-5


# ---- TalkingGaussian ----


@pytest.fixture(scope="module")
def fused(shared_dir: Path) -> Case:
    return case(shared_dir, "talking_gaussian", "a_deepspeech")


def fused_misses(fused: Case, folder: Path, **control: np.ndarray) -> float:
    """How far the second frame is from the original, in units of its largest motion and of 0.1 of all else."""
    io, n = fused.io, len(fused.io["in_face_xyz"])
    path = folder / "chkpnt_fuse_latest.pth"
    path.write_bytes(fused_bytes(io, states(fused)))
    imported = fused_importer.import_talking_gaussian(path, "golden")
    given = {"audio": io["in_aud_window"][1].ravel(), "au": io["in_au_exp"][1], **control}
    found, row = deformed(imported, given), imported[1]["gaussians/source_index"].astype(int)
    face, mouth = row[:n], row[n:] - n
    moved = found.mean[:n] - io["in_face_xyz"][face], found.mean[n:] - io["in_mouth_xyz"][mouth]
    expected = io["out_face_d_xyz"][1][face], io["out_mouth_d_xyz"][1][mouth]
    positions = [np.abs(a - b).max() / np.abs(b).max() for a, b in zip(moved, expected, strict=True)]
    rotations = np.abs(found.quat[:n] - io["out_face_rotations"][1][face]).max()
    scales = np.abs(found.scale[:n] / io["out_face_scales"][1][face] - 1).max()
    return float(max(*positions, 10 * rotations, 10 * scales))


def growing_levels(grid: Any) -> Any:
    """As if the mouth's resolution grew like the face's."""
    if grid.desired >= grid.base:
        return LEVELS(grid)
    shrinking = LEVELS(grid)
    scales = [level.scale for level in shrinking][::-1]
    return [
        type(level)(scale, level.side, level.entries, level.offset)
        for level, scale in zip(shrinking, scales, strict=True)
    ]


def from_the_corner(u: np.ndarray, table: np.ndarray, grid: Any) -> np.ndarray:
    """align_corners: without the half of a cell that the grid is shifted by."""
    return PLANE(u - np.float32(0.5 / 16), table, grid)


def by_exp(branch: Any, to: str, x: str, weight: Any, bias: Any = None, canonical: Any = None) -> None:
    ADD(branch, "log_scale" if to == "softplus_scale" else to, x, weight, bias, canonical)


ADD = fused_bake.BranchProgram.add
LEVELS, PLANE = fused_config.levels_of, fused_bake._plane
FUSED_TRAPS: dict[str, Trap] = {
    "levels that grow": lambda patch: patch.setattr(fused_bake, "levels_of", growing_levels),
    "corners aligned": lambda patch: patch.setattr(fused_bake, "_plane", from_the_corner),
    "planes in GaussianTalker's order": lambda patch: patch.setattr(
        fused_bake, "PLANES", {"xy": (0, 1), "xz": (0, 2), "yz": (1, 2)}
    ),
    "a plane's axes the other way round": lambda patch: patch.setattr(
        fused_bake, "PLANES", {"xy": (1, 0), "yz": (2, 1), "xz": (2, 0)}
    ),
    "a mouth that is as free as the face": lambda patch: patch.setattr(fused_bake, "MOUTH_SCALE", (0.01, 0.01, 0.01)),
    "quaternions normalised first": lambda patch: patch.setattr(fused_importer, "prepared", normalised_first),
    "scales by exp": lambda patch: patch.setattr(fused_bake.BranchProgram, "add", by_exp),
    "positions beyond the box that have features": lambda patch: patch.setattr(
        fused_bake, "_plane", lambda u, table, grid: PLANE(np.clip(u, 0, 1), table, grid)
    ),
}


def test_the_fused_itself_is_near(fused: Case, tmp_path: Path) -> None:
    assert fused_misses(fused, tmp_path) < 1e-4


@pytest.mark.parametrize("trap", FUSED_TRAPS)
def test_talking_gaussians_traps(trap: str, fused: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FUSED_TRAPS[trap](monkeypatch)
    assert fused_misses(fused, tmp_path) > 1e-2


def test_lids_that_are_halved_are_closed_too_little(fused: Case, tmp_path: Path) -> None:
    au = fused.io["in_au_exp"][1].copy()
    assert au[5] > 0.1
    au[5] /= 2
    assert fused_misses(fused, tmp_path, au=au) > 1e-3


def test_action_units_in_another_order_are_another_face(fused: Case, tmp_path: Path) -> None:
    assert fused_misses(fused, tmp_path, au=np.roll(fused.io["in_au_exp"][1], 1)) > 1e-3


def test_an_opacity_that_is_used_would_be_seen(fused: Case, tmp_path: Path) -> None:
    """The seventh output is dropped: of the outputs, only positions, rotations and scales are in the file."""
    path = tmp_path / "chkpnt_fuse_latest.pth"
    path.write_bytes(fused_bytes(fused.io, states(fused)))
    manifest, tensors = fused_importer.import_talking_gaussian(path, "golden")
    adds = [[stage["to"] for stage in branch["stages"] if stage["kind"] == "add"]
            for branch in manifest["deform"]["branches"]]  # fmt: skip
    assert adds == [["mean", "rotation", "softplus_scale"], ["mean"]]
    last = fused.weights["face.sigma_net.net.2.weight"]
    np.testing.assert_array_equal(tensors["deform/face/4/weight"], last[8:11])
    assert [branch["name"] for branch in manifest["deform"]["branches"]] == ["face", "mouth"]
