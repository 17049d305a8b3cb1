# SPDX-License-Identifier: Apache-2.0
"""Importing GaussianTalker and TalkingGaussian: folders, cameras and backgrounds, and what is wrong, by its name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from authoring.golden_methods import Arrays, Case, case, states
from authoring.makers import cloud_rows, ply_bytes
from authoring.torch_files import as_torch_1, fused_bytes, saved, torch_bytes
from reference.tsplat import read
from talksplat.authoring import convert, detect_format
from talksplat.errors import AvatarInvalid, AvatarNotFound

TALKER = "golden/gaussian_talker/b_layer2_smallgrid_ckpt"
ITERATION = "point_cloud/iteration_10000"
FUSED = "golden/talking_gaussian/b_hubert_ckpt/chkpnt_fuse_latest.pth"


@pytest.fixture
def talker(shared_dir: Path, tmp_path: Path) -> Path:
    """A copy of the golden checkpoint to do things to."""
    return Path(shutil.copytree(shared_dir / TALKER, tmp_path / "may", copy_function=shutil.copyfile))


@pytest.fixture(scope="module")
def weights(shared_dir: Path) -> Arrays:
    return case(shared_dir, "gaussian_talker", "b_layer2_smallgrid").weights


@pytest.fixture(scope="module")
def fused(shared_dir: Path) -> Case:
    return case(shared_dir, "talking_gaussian", "a_deepspeech")


def write_fused(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chkpnt_fuse_latest.pth").write_bytes(data)
    return folder


# ---- folders ----


def test_a_gaussian_talker_is_recognised(talker: Path, tmp_path: Path) -> None:
    assert detect_format(talker) == detect_format(talker / ITERATION) == "gaussian-talker"
    manifest = read(convert(talker, tmp_path / "a.tsplat")).manifest
    assert (manifest["name"], manifest["method"], manifest["color"]) == ("may", "gaussian-talker", "sh3")
    assert (manifest["encoder"], manifest["look_ahead_ms"], manifest["fps"]) == ("deepspeech", 280.0, 25.0)
    assert [file["name"] for file in manifest["provenance"]["files"]] == ["point_cloud.ply", "deformation.pth"]
    turn = manifest["inputs"].pop()
    assert (turn["name"], turn["target"], len(turn["pivot"])) == ("head_pose", "view", 3)
    assert manifest["inputs"] == [
        {"name": "audio", "size": 3712, "target": "deform",
         "window": {"before": 4, "after": 3, "channels": 29, "length": 16}},
        {"name": "eye", "size": 1, "target": "deform"},
        {"name": "camera", "size": 12, "target": "deform", "follows": "camera"},
    ]  # fmt: skip
    assert "2 are taken, the default" in manifest["provenance"]["notes"]
    assert manifest["background"] == [0, 0, 0]


def test_a_talking_gaussian_is_recognised(shared_dir: Path, tmp_path: Path) -> None:
    folder = write_fused(tmp_path / "obama", (shared_dir / FUSED).read_bytes())
    assert detect_format(folder) == detect_format(folder / "chkpnt_fuse_latest.pth") == "talking-gaussian"
    one, two = (convert(source, tmp_path / "a.tsplat").read_bytes() for source in (folder, *folder.iterdir()))
    assert one == two
    manifest = read(tmp_path / "a.tsplat").manifest
    assert (manifest["name"], manifest["method"], manifest["color"]) == ("obama", "talking-gaussian", "sh2")
    assert (manifest["encoder"], manifest["look_ahead_ms"], manifest["fps"]) == ("hubert", 160.0, 25.0)
    assert manifest["source_count"] == 850
    assert manifest["inputs"][0]["window"] == {"before": 4, "after": 3, "channels": 1024, "length": 2}
    au = {"name": "au", "size": 6, "target": "deform", "names": ["AU01", "AU04", "AU05", "AU06", "AU07", "AU45"]}
    assert manifest["inputs"][1] == au
    assert [branch["dilate_px"] for branch in manifest["deform"]["branches"]] == [0, 0]
    convert(folder, tmp_path / "a.tsplat", dilate=True)
    branches = read(tmp_path / "a.tsplat").manifest["deform"]["branches"]
    assert [(branch["name"], branch["dilate_px"]) for branch in branches] == [("face", 0), ("mouth", 13)]


def test_what_torch_1_wrote_on_a_gpu_is_the_same_avatar(shared_dir: Path, talker: Path, tmp_path: Path) -> None:
    new = read(convert(shared_dir / FUSED, tmp_path / "a.tsplat"))
    old = read(convert(write_fused(tmp_path / "old", as_torch_1(shared_dir / FUSED, 0.4)), tmp_path / "a.tsplat"))
    before = read(convert(talker, tmp_path / "b.tsplat"))
    (talker / ITERATION / "deformation.pth").write_bytes(as_torch_1(talker / ITERATION / "deformation.pth"))
    after = read(convert(talker, tmp_path / "b.tsplat"))
    for one, two in ((new, old), (before, after)):
        assert set(one.tensors) == set(two.tensors)
        for name, array in one.tensors.items():
            np.testing.assert_array_equal(array, two.tensors[name])


def test_the_last_iteration_is_taken(talker: Path, tmp_path: Path) -> None:
    clouds = talker / "point_cloud"
    for name in ("iteration_9500", "coarse_iteration_20000", "iteration_junk"):
        shutil.copytree(clouds / "iteration_10000", clouds / name, copy_function=shutil.copyfile)
    for name in ("iteration_9500", "coarse_iteration_20000"):
        (clouds / name / "point_cloud.ply").write_bytes(ply_bytes(cloud_rows(5, 3)))
    (clouds / "iteration_30000").mkdir()  # a training that was stopped while it saved
    assert len(read(convert(talker, tmp_path / "a.tsplat")).tensors["gaussians/mean"]) == 700
    shutil.rmtree(clouds / "iteration_10000")
    assert len(read(convert(talker, tmp_path / "a.tsplat")).tensors["gaussians/mean"]) == 5


def test_the_latest_fusion_is_taken(shared_dir: Path, fused: Case, tmp_path: Path) -> None:
    folder = tmp_path / "obama"
    folder.mkdir()
    for name, data in (("9000", fused_bytes(fused.io, states(fused))), ("10000", (shared_dir / FUSED).read_bytes())):
        (folder / f"chkpnt_fuse_{name}.pth").write_bytes(data)
    assert read(convert(folder, tmp_path / "a.tsplat")).manifest["encoder"] == "hubert"
    write_fused(folder, fused_bytes(fused.io, states(fused)))
    assert read(convert(folder, tmp_path / "a.tsplat")).manifest["encoder"] == "deepspeech"


def test_folders_without_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(AvatarNotFound, match=r"has neither a deformation\.pth nor a point_cloud/iteration_N with one"):
        convert(tmp_path, tmp_path / "a.tsplat", format="gaussian-talker")
    with pytest.raises(
        AvatarNotFound, match=r"has no chkpnt_fuse_latest\.pth and no chkpnt_fuse_N\.pth, which the last"
    ):
        convert(tmp_path, tmp_path / "a.tsplat", format="talking-gaussian")
    with pytest.raises(AvatarNotFound, match=r"cannot be read"):
        convert(tmp_path / "no.pth", tmp_path / "a.tsplat", format="talking-gaussian")


def test_a_licence_beside_the_checkpoint_is_kept(shared_dir: Path, tmp_path: Path) -> None:
    folder = write_fused(tmp_path / "obama", (shared_dir / FUSED).read_bytes())
    (folder / "LICENSE.md").write_text("All rights reserved.")
    assert read(convert(folder, tmp_path / "a.tsplat")).manifest["licence"] == "All rights reserved."


# ---- what cfg_args says ----


def cfg(talker: Path, **options: object) -> None:
    text = ", ".join(f"{key}={value!r}" for key, value in {"model_path": "a, n_head=7)", **options}.items())
    (talker / "cfg_args").write_text(f"Namespace({text}, sh_degree=3)")


def heads_of(path: Path) -> list[int]:
    stages = read(path).manifest["deform"]["branches"][0]["stages"]
    return [stage["heads"] for stage in stages if stage["kind"] == "attention"]


@pytest.mark.parametrize("place", [".", ITERATION])
def test_heads_are_those_of_cfg_args(place: str, talker: Path, tmp_path: Path) -> None:
    cfg(talker, n_head=4)
    out = convert(talker / place, tmp_path / "a.tsplat", format="gaussian-talker")
    assert heads_of(out) == [4, 4]
    assert "heads" not in read(out).manifest["provenance"]["notes"]
    convert(talker, out, n_head=4)
    with pytest.raises(
        ValueError, match=r"^n_head must be 4, as the training's cfg_args says, or be left out; got 2\."
    ):
        convert(talker, out, n_head=2)


def test_heads_are_those_given_without_cfg_args(talker: Path, tmp_path: Path) -> None:
    out = convert(talker, tmp_path / "a.tsplat", n_head=8)
    assert heads_of(out) == [8, 8]
    assert read(out).manifest["provenance"]["notes"] == ""
    with pytest.raises(ValueError, match=r"^n_head must divide the network's width 64; got 5\."):
        convert(talker, tmp_path / "a.tsplat", n_head=5)


def test_heads_that_training_switched_off_are_left_out(talker: Path, tmp_path: Path) -> None:
    cfg(talker, n_head=2, no_dshs=True, no_dr=True, no_ds=False)
    (branch,) = read(convert(talker, tmp_path / "a.tsplat")).manifest["deform"]["branches"]
    assert [stage["to"] for stage in branch["stages"] if stage["kind"] == "add"] == ["mean", "log_scale", "logit"]


def test_a_training_that_is_not_known_how_to_run(talker: Path, tmp_path: Path) -> None:
    cfg(talker, apply_rotation=True)
    with pytest.raises(
        AvatarInvalid, match=r"deformation\.pth: was trained with apply_rotation \(cfg_args\), which is"
    ):
        convert(talker, tmp_path / "a.tsplat")


def test_backgrounds_are_those_of_cfg_args(shared_dir: Path, talker: Path, tmp_path: Path) -> None:
    cfg(talker, white_background=True)
    assert read(convert(talker, tmp_path / "a.tsplat")).manifest["background"] == [1, 1, 1]
    folder = write_fused(tmp_path / "obama", (shared_dir / FUSED).read_bytes())
    cfg(folder, white_background=True)
    manifest = read(convert(folder, tmp_path / "a.tsplat")).manifest
    assert manifest["background"] == [0, 0, 0]
    assert "trained on white" in manifest["provenance"]["notes"]


# ---- Gaussians ----


def test_rows_that_are_not_finite_are_left_out(fused: Case, tmp_path: Path) -> None:
    io = {name: array.copy() for name, array in fused.io.items()}
    n = len(io["in_face_xyz"])
    io["in_face_xyz"][3, 1] = np.nan
    io["in_face_rotation"][5] = np.inf
    io["in_face_scaling"][8] = -np.inf  # its exponential is finite
    io["in_mouth_opacity"][0] = np.nan
    file = read(convert(write_fused(tmp_path / "a", fused_bytes(io, states(fused))), tmp_path / "a.tsplat"))
    row = file.tensors["gaussians/source_index"]
    total = n + len(io["in_mouth_xyz"])
    assert set(range(total)) - set(row.tolist()) == {3, 5, 8, n}
    assert file.manifest["source_count"] == total
    assert [branch["rows"] for branch in file.manifest["deform"]["branches"]] == [n - 3, total - n - 1]
    assert (np.diff((row >= n).astype(int)) >= 0).all(), "all of the face comes before the mouth"


def test_colours_in_use_are_those_of_the_active_degree(fused: Case, tmp_path: Path) -> None:
    whole = read(convert(write_fused(tmp_path / "a", fused_bytes(fused.io, states(fused))), tmp_path / "a.tsplat"))
    data = fused_bytes(fused.io, states(fused), degrees=(1, 0))
    file = read(convert(write_fused(tmp_path / "b", data), tmp_path / "b.tsplat"))
    assert file.manifest["color"] == "sh1"
    n, sh, expected = (
        file.manifest["deform"]["branches"][0]["rows"],
        file.tensors["gaussians/sh"],
        whole.tensors["gaussians/sh"],
    )
    np.testing.assert_array_equal(sh[:n], expected[:n, :4])
    np.testing.assert_array_equal(sh[n:, 0], expected[n:, 0])
    assert not sh[n:, 1:].any()


def test_the_talkers_colours_have_the_degree_that_its_network_moves(talker: Path, tmp_path: Path) -> None:
    (talker / ITERATION / "point_cloud.ply").write_bytes(ply_bytes(cloud_rows(5, 2)))
    with pytest.raises(
        AvatarInvalid, match=r"point_cloud\.ply: must have the 16 SH coefficients that .* got \[9, 3\]\."
    ):
        convert(talker, tmp_path / "a.tsplat")
    cfg(talker, no_dshs=True)
    assert read(convert(talker, tmp_path / "a.tsplat")).manifest["color"] == "sh2"


# ---- what is wrong, by name ----

NET = "deformation_net."
TALKER_BAD: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray] | None, str]] = {
    "missing": (f"{NET}pos_deform.3.bias", None, f"lacks the weight {NET}pos_deform.3.bias, [3]. Is it a checkpoint o"),
    "missing, and sizes are read from it": (f"{NET}audio_mlp.net.0.weight", None, f"lacks the weight {NET}audio_mlp.n"),
    "unknown": (f"{NET}extra.weight", lambda a: np.zeros(3, np.float32), f"has the weight '{NET}extra.weight', which"),
    "mis-shaped": (f"{NET}opacity_deform.1.weight", lambda a: a[:-1], f"the weight {NET}opacity_deform.1.weight must"),
    "of other axes": (f"{NET}pos_deform.1.weight", lambda a: a[0], f"the weight {NET}pos_deform.1.weight must have a"),
    "empty": (f"{NET}pos_deform.1.weight", lambda a: a[:0], f"the weight {NET}pos_deform.1.weight must have a shape l"),
    "a plane that is no square": (f"{NET}tri_plane.grid.grids.1.2", lambda a: a[:, :, 1:], "grids.1.2 must be [1, 32,"),
    "not a number": (f"{NET}transformer.layers.1.norm2.beta", lambda a: np.where(np.arange(64) == 5, np.nan, a),
                     f"the weight {NET}transformer.layers.1.norm2.beta must be finite; [5] is nan."),
    "too large for float32": (f"{NET}null_vector", lambda a: a.astype(np.float64) + 1e39, "null_vector must be finite"),
    "a box of no size": (f"{NET}tri_plane.grid.aabb", lambda a: a[[0, 0]], "tri_plane.grid.aabb must be two corners o"),
    "another encoder": (f"{NET}audio_net.encoder_conv.0.weight", lambda a: np.zeros((32, 80, 3), np.float32), "must t"),
}  # fmt: skip


@pytest.mark.parametrize("case", TALKER_BAD)
def test_weights_of_a_talker_that_are_wrong(case: str, talker: Path, weights: Arrays, tmp_path: Path) -> None:
    name, change, message = TALKER_BAD[case]
    changed = {key: value for key, value in weights.items() if key != name}
    if change is not None:
        changed[name] = change(weights.get(name, np.zeros(0))).astype(np.float64 if "large" in case else np.float32)
    path = talker / ITERATION / "deformation.pth"
    path.write_bytes(saved(changed))
    with pytest.raises(AvatarInvalid) as caught:
        convert(talker, tmp_path / "a.tsplat")
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert not (tmp_path / "a.tsplat").exists()


def test_weights_that_nothing_reads_may_be_anything(talker: Path, weights: Arrays, tmp_path: Path) -> None:
    before = read(convert(talker, tmp_path / "a.tsplat"))
    changed = {name: value for name, value in weights.items() if "eye_att_net" not in name}
    changed[f"{NET}tri_plane.shs.3.bias"] = np.full(7, np.nan, np.float32)
    (talker / ITERATION / "deformation.pth").write_bytes(saved(changed))
    after = read(convert(talker, tmp_path / "a.tsplat"))
    for name, array in before.tensors.items():
        np.testing.assert_array_equal(array, after.tensors[name])


def without(name: str) -> Callable[[Arrays], object]:
    return lambda state: state.pop(name)


def changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], object]:
    return lambda state: state.__setitem__(name, change(state[name]))


def zeros(*shape: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda _: np.zeros(shape, np.float32)


FUSED_BAD: dict[str, tuple[int, Callable[[Arrays], object], str]] = {
    "missing": (0, without("sigma_net.net.2.weight"), ": the face: lacks the weight sigma_net.net.2.weight, [11, 64]."),
    "missing of the mouth": (1, without("encoder_yz.embeddings"), ": the mouth: lacks the weight encoder_yz.embedding"),
    "unknown": (1, lambda state: state.update({"x": np.zeros(1, np.float32)}), ": the mouth: has the weight 'x', whic"),
    "seven outputs of the mouth, as InsTaG has": (1, changed("sigma_net.net.2.weight", zeros(7, 32)),
                                                  ": the mouth: the weight sigma_net.net.2.weight must be [3, 32]; go"),
    "not a number": (0, changed("exp_encode_net.net.0.weight", lambda a: a * np.float32(np.nan)), ": the face: the we"),
    "other grids": (1, changed("encoder_xy.offsets", lambda a: a[::-1].copy()), ": the mouth: the weight encoder_xy.o"),
    "fewer levels": (0, changed("encoder_xy.offsets", lambda a: a[:-1]), ": the face: the weight encoder_xy.embedding"),
    "other windows": (1, changed("audio_att_net.attentionNet.0.weight", lambda a: a[:6, :6]), ": the mouth: the weight "
                      "audio_att_net.attentionNet.0.bias must be [6]; got [8]."),
    "other features of sound": (1, changed("audio_net.encoder_conv.0.weight", zeros(32, 44, 3)),
                                "face and mouth must hear the same windows (channels, before, after); got [(29, 4, 3)"),
}  # fmt: skip


@pytest.mark.parametrize("case", FUSED_BAD)
def test_weights_of_a_fusion_that_are_wrong(case: str, fused: Case, tmp_path: Path) -> None:
    branch, change, message = FUSED_BAD[case]
    parts = states(fused)
    change(parts[branch])
    folder = write_fused(tmp_path / "obama", fused_bytes(fused.io, parts))
    with pytest.raises(AvatarInvalid) as caught:
        convert(folder, tmp_path / "a.tsplat")
    assert str(caught.value).startswith(f"{folder / 'chkpnt_fuse_latest.pth'}: ")
    assert message in str(caught.value)


CAPTURE_BAD: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray], str]] = {
    "rows": ("in_face_scaling", lambda a: a[:-1], ": the face's scaling must be a tensor ['N', 3] with N = "),
    "columns": ("in_mouth_rotation", lambda a: a[:, :3], ": the mouth's rotation must be a tensor ['N', 4] with N = "),
    "axes": ("in_face_xyz", lambda a: a[0], ": the face's xyz must be a tensor ['N', 3] with N = -1; got (3,)."),
    "bands": ("in_face_features_rest", lambda a: a[:, :4], ": the face's features_rest must have 0, 3, 8 or 15 "),
    "nothing finite": ("in_mouth_xyz", lambda a: a * np.float32(np.nan), ": the mouth: none of its 600 Gaussians is f"),
}  # fmt: skip


@pytest.mark.parametrize("case", CAPTURE_BAD)
def test_gaussians_of_a_fusion_that_are_wrong(case: str, fused: Case, tmp_path: Path) -> None:
    name, change, message = CAPTURE_BAD[case]
    data = fused_bytes({**fused.io, name: change(fused.io[name])}, states(fused))
    with pytest.raises(AvatarInvalid) as caught:
        convert(write_fused(tmp_path / "obama", data), tmp_path / "a.tsplat")
    assert message in str(caught.value)


def test_an_active_degree_that_is_none(fused: Case, tmp_path: Path) -> None:
    data = fused_bytes(fused.io, states(fused), degrees=(3, 2))
    with pytest.raises(AvatarInvalid, match=r": the face's active_sh_degree must be in 0\.\.2; got 3\."):
        convert(write_fused(tmp_path / "obama", data), tmp_path / "a.tsplat")


@pytest.mark.parametrize("pickled", [b"}", b"(NNNNt", b"(NN}Nt", b"](NNNNe"])
def test_checkpoints_of_other_things(pickled: bytes, tmp_path: Path, talker: Path) -> None:
    data = torch_bytes(b"\x80\x02" + pickled + b".", {})
    with pytest.raises(AvatarInvalid, match=r"must hold four parts, the Gaussians and the network of the face and of"):
        convert(write_fused(tmp_path / "obama", data), tmp_path / "a.tsplat")
    (talker / ITERATION / "deformation.pth").write_bytes(data)
    with pytest.raises(AvatarInvalid, match=r"deformation\.pth: (must hold a state dict; got|lacks the weight)"):
        convert(talker, tmp_path / "a.tsplat")


@pytest.mark.parametrize("pickled", [b"(N}N}t", b"())))t", b"(){)}t".replace(b"{", b"}")])
def test_captures_of_other_things(pickled: bytes, tmp_path: Path) -> None:
    data = torch_bytes(b"\x80\x02" + pickled + b".", {})
    with pytest.raises(AvatarInvalid, match=r"(four parts|the face's Gaussians must be a tuple of)"):
        convert(write_fused(tmp_path / "obama", data), tmp_path / "a.tsplat")
