# SPDX-License-Identifier: Apache-2.0
"""The writer: what it writes, what it refuses, and that it never leaves half a file."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import talksplat
from talksplat.authoring import spec
from talksplat.authoring.gaussians import morton_order
from talksplat.errors import AvatarInvalid

N, V, S, J = 5, 4, 11, 2


def avatar() -> tuple[Any, dict[str, np.ndarray]]:
    """A triangle-bound avatar that uses every tensor of the format."""
    rng = np.random.default_rng(0)
    start = np.array([0, 2, 3, *[3] * 9], np.uint32)
    tensors = {
        "gaussians/mean": rng.normal(size=(N, 3)).astype(np.float32),
        "gaussians/quat": np.tile(np.array([1, 0, 0, 0], np.float32), (N, 1)),
        "gaussians/scale": np.full((N, 3), 0.1, np.float32),
        "gaussians/opacity": np.full(N, 0.5, np.float32),
        "gaussians/sh": rng.normal(size=(N, 4, 3)).astype(np.float32),
        "gaussians/source_index": np.arange(N, dtype=np.uint32)[::-1].copy(),
        "binding/index": np.array([0, 1, 1, 0, 1], np.uint32),
        "rig/vertex": rng.normal(size=(V, 3)).astype(np.float32),
        "rig/triangle": np.array([[0, 1, 2], [1, 2, 3]], np.uint32),
        "rig/blendshape/start": start,
        "rig/blendshape/vertex": np.array([1, 3, 0], np.uint32),
        "rig/blendshape/delta": rng.normal(size=(3, 3)).astype(np.float32),
        "rig/joint/parent": np.array([-1, 0], np.int32),
        "rig/joint/rest_local": np.tile(np.eye(3, 4, dtype=np.float32), (J, 1, 1)),
        "rig/joint/inverse_bind": np.tile(np.eye(3, 4, dtype=np.float32), (J, 1, 1)),
        "rig/joint/shape_delta": np.zeros((S, J, 3), np.float32),
        "rig/skin/joint": np.zeros((V, 2), np.uint16),
        "rig/skin/weight": np.full((V, 2), 0.5, np.float32),
        "plate/background": np.zeros((6, 8, 3), np.uint8),
        "clip/wave/jaw": np.zeros((7, 3), np.float32),
    }
    camera = {"cam_from_world": np.eye(4).ravel().tolist(), "fx": 8.0, "fy": 8.0, "cx": 4.0, "cy": 3.0, "near": 0.2}
    manifest = spec.manifest(
        name="é", method="ggtalker", fps=25, canvas={"width": 8, "height": 6}, camera=camera, color="sh1",
        source_count=N + 2, background=(0, 0.5, 1), rig="flame", binding="triangle", scale_rule="inverse_length",
        pose_shapes={"first": 2, "joints": [1]},
        inputs=[
            {"name": "face", "size": 2, "target": "blendshape", "names": ["a", "b"], "shapes": [0, -1]},
            {"name": "jaw", "size": 3, "target": "joint_rotation", "joints": [1], "default": [0.0, 0.1, 0.0]},
            {"name": "slide", "size": 6, "target": "joint_translation", "joints": [0, 1]},
            {"name": "place", "size": 3, "target": "translation"},
        ],
        clips=[{"name": "wave", "fps": 30.0, "frames": 7, "inputs": ["jaw"]}],
        provenance={"source_format": "test", "files": [{"name": "a", "bytes": 1, "sha256": "0" * 64}], "tool": "t",
                    "tool_version": "1", "notes": ""},
    )  # fmt: skip
    return manifest, tensors


def test_file_holds_what_was_given(tmp_path: Path) -> None:
    manifest, tensors = avatar()
    path = spec.write(tmp_path / "a.tsplat", manifest, tensors)
    with safe_open(path, "np") as file:
        assert json.loads(file.metadata()["talksplat"]) == manifest
        assert set(file.keys()) == set(tensors)
        for name, array in tensors.items():
            np.testing.assert_array_equal(file.get_tensor(name), array)
            assert file.get_tensor(name).dtype == array.dtype
    assert os.listdir(tmp_path) == ["a.tsplat"]


def test_nothing_to_see_is_a_file_too(tmp_path: Path) -> None:
    manifest, tensors = avatar()
    for name in tensors:
        if name.startswith("gaussians/") or name == "binding/index":
            tensors[name] = tensors[name][:0]
    with safe_open(spec.write(tmp_path / "a", manifest, tensors), "np") as file:
        assert file.get_tensor("gaussians/mean").shape == (0, 3)


def test_same_input_same_bytes(tmp_path: Path) -> None:
    first = spec.write(tmp_path / "a", *avatar()).read_bytes()
    assert spec.write(tmp_path / "b", *avatar()).read_bytes() == first


def set_in(where: str, value: object) -> Any:
    """A change of the manifest at a dotted path; numbers index lists."""

    def change(manifest: Any, _: Any) -> None:
        *steps, last = [int(k) if k.isdecimal() else k for k in where.split(".")]
        for key in steps:
            manifest = manifest[key]
        manifest[last] = value

    return change


def put(name: str, array: object) -> Any:
    return lambda _, tensors: tensors.__setitem__(name, array)


def cell(name: str, at: Any, value: float) -> Any:
    return lambda _, tensors: tensors[name].__setitem__(at, value)


def drop(name: str) -> Any:
    return lambda _, tensors: tensors.pop(name)


BAD = {
    "version": (set_in("format", 1), "manifest.format must be 2"),
    "newer version": (set_in("format", 3), "manifest.format must be 2"),
    "motion": (set_in("motion", {"clips": []}), "has the unknown keys 'motion'"),
    "motion tensor": (put("motion/wave/jaw", np.zeros((7, 3), np.float32)), "motion/wave/jaw has no meaning"),
    "unknown key": (set_in("speed", 2), "speed"),
    "missing key": (lambda m, _: m.pop("licence"), "licence"),
    "empty name": (set_in("name", ""), "manifest.name"),
    "method": (set_in("method", "nerf"), "manifest.method"),
    "fps zero": (set_in("fps", 0), "manifest.fps"),
    "fps nan": (set_in("fps", float("nan")), "manifest.fps"),
    "fps true": (set_in("fps", True), "manifest.fps"),
    "canvas": (set_in("canvas.width", 8193), "canvas.width"),
    "canvas float": (set_in("canvas.width", 8.0), "canvas.width"),
    "camera scaled": (set_in("camera.cam_from_world", (np.diag([2, 2, 2, 1.0])).ravel().tolist()), "cam_from_world"),
    "camera mirrored": (set_in("camera.cam_from_world", (np.diag([-1, 1, 1, 1.0])).ravel().tolist()), "cam_from_world"),
    "camera short": (set_in("camera.cam_from_world", [1.0] * 12), "cam_from_world"),
    "focal": (set_in("camera.fx", 0), "camera.fx"),
    "background": (set_in("background", [0, 0, 1.5]), "manifest.background"),
    "color": (set_in("color", "sh4"), "manifest.color"),
    "color mismatch": (set_in("color", "rgb"), "gaussians/color"),
    "degree mismatch": (set_in("color", "sh2"), "gaussians/sh"),
    "source count": (set_in("source_count", N - 1), "source_index"),
    "rig": (set_in("rig.kind", "bones"), "rig.kind"),
    "static with a rig": (set_in("binding.kind", "static"), "binding.kind"),
    "scale rule": (set_in("binding.scale_rule", "area"), "scale_rule"),
    "pose shapes": (set_in("rig.pose_shapes.first", 3), "pose_shapes.first"),
    "pose joints": (set_in("rig.pose_shapes.joints", [2]), "pose_shapes.joints"),
    "deform": (set_in("deform", {"stages": [1]}), "manifest.deform"),
    "encoder": (set_in("encoder", "hubert"), "manifest.encoder"),
    "sha": (set_in("provenance.files.0.sha256", "xyz"), "sha256"),
    "input twice": (set_in("inputs.1.name", "face"), "inputs[1].name"),
    "input target": (set_in("inputs.0.target", "bone"), "target"),
    "input size": (set_in("inputs.1.size", 4), "inputs[1] (jaw)"),
    "input shape": (set_in("inputs.0.shapes", [S, 0]), "inputs[0] (face).shapes"),
    "input names": (set_in("inputs.0.names", ["a", "a"]), "inputs[0] (face).names"),
    "input joints": (set_in("inputs.1.joints", [2]), "inputs[1] (jaw).joints"),
    "input extra": (set_in("inputs.3.joints", [0]), "inputs[3] (place)"),
    "input default": (set_in("inputs.1.default", [0.0]), "inputs[1] (jaw).default"),
    "clip input": (set_in("clips.0.inputs", ["nose"]), "manifest.clips[0].inputs"),
    "clip frames": (set_in("clips.0.frames", 8), "clip/wave/jaw"),
    "clip name": (set_in("clips.0.name", "../x"), "manifest.clips[0].name"),
    "clip stray": (put("clip/other/jaw", np.zeros((7, 3), np.float32)), "clip/"),
    "unknown tensor": (put("gaussians/normal", np.zeros(3, np.float32)), "gaussians/normal"),
    "missing tensor": (drop("gaussians/opacity"), "gaussians/opacity"),
    "missing part of a group": (drop("rig/skin/weight"), "rig/skin/weight"),
    "missing binding": (drop("binding/index"), "binding/index"),
    "dtype": (put("gaussians/mean", np.zeros((N, 3))), "gaussians/mean must be float32"),
    "not an array": (put("gaussians/mean", [[0, 0, 0]] * N), "gaussians/mean"),
    "rank": (put("gaussians/opacity", np.zeros((N, 1), np.float32)), "gaussians/opacity"),
    "count": (put("gaussians/scale", np.zeros((N + 1, 3), np.float32)), "gaussians/scale must have N"),
    "nan": (cell("rig/vertex", (2, 1), np.nan), "rig/vertex must be finite; row 2"),
    "quaternion": (cell("gaussians/quat", (3, 0), 1.1), "gaussians/quat must be unit"),
    "negative scale": (cell("gaussians/scale", (1, 1), -1), "gaussians/scale"),
    "opacity": (cell("gaussians/opacity", 4, 1.5), "gaussians/opacity"),
    "source twice": (cell("gaussians/source_index", 0, 0), "duplicates"),
    "binding range": (cell("binding/index", 0, 2), "binding/index"),
    "triangle range": (cell("rig/triangle", (0, 0), V), "rig/triangle"),
    "shape order": (cell("rig/blendshape/vertex", 1, 1), "strictly increasing"),
    "shape start": (cell("rig/blendshape/start", -1, 2), "rig/blendshape/start"),
    "shape vertex": (cell("rig/blendshape/vertex", 2, V), "rig/blendshape/vertex"),
    "parent": (cell("rig/joint/parent", 1, 1), "rig/joint/parent"),
    "turned rest": (cell("rig/joint/rest_local", (0, 0, 0), 0.5), "rig/joint/rest_local"),
    "skin joint": (cell("rig/skin/joint", (0, 0), J), "rig/skin/joint"),
    "influences": (put("rig/skin/joint", np.zeros((V, 9), np.uint16)), "K of at most 8"),
    "weight sum": (cell("rig/skin/weight", (2, 0), 0.6), "rig/skin/weight must be not negative, and 1 in sum; row 2"),
    "weight sign": (put("rig/skin/weight", np.tile(np.float32([1.5, -0.5]), (V, 1))), "rig/skin/weight"),
    "clip twice": (lambda m, _: m["clips"].append(m["clips"][0]), "different names"),
    "too large for float32": (set_in("camera.cx", 1e39), "camera.cx"),
    "too many shapes": (put("rig/blendshape/start", np.zeros(4098, np.uint32)), "at most 4096"),
    "plate size": (put("plate/background", np.zeros((8, 6, 3), np.uint8)), "plate/background"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(case: str, tmp_path: Path) -> None:
    change, place = BAD[case]
    manifest, tensors = avatar()
    change(manifest, tensors)
    with pytest.raises(AvatarInvalid) as error:
        spec.write(tmp_path / "a.tsplat", manifest, tensors)
    assert place in str(error.value)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "extra",
        "gaussians/color",
        "gaussians/normal",
        "rig/extra",
        "clip/other/jaw",
        "clip/wave/face",
        "motion/wave/jaw",
    ],
)
def test_a_tensor_too_many_is_refused_by_writer_and_reader(name: str, tmp_path: Path) -> None:
    manifest, tensors = avatar()
    path, texts = tmp_path / "a.tsplat", {"talksplat": json.dumps(manifest)}
    save_file(tensors, path, texts)
    assert talksplat.load(path).n_gaussians == N
    tensors[name] = np.zeros((7, 3), np.float32)
    save_file(tensors, path, texts)
    with pytest.raises(AvatarInvalid, match=name):
        talksplat.load(path)
    with pytest.raises(AvatarInvalid, match=name):
        spec.write(path, manifest, tensors)


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tsplat"
    path.write_bytes(b"old")

    def full_disk(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="disk full"):
        spec.write(path, *avatar())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.tsplat"]


def test_morton_order_interleaves_bits() -> None:
    rng = np.random.default_rng(0)
    points = rng.integers(0, 2**21, (300, 3)).astype(np.float64)
    points[0], points[1] = 0, 2**21 - 1  # the box: cells are the integers themselves
    codes = [sum(((int(c) >> b) & 1) << (3 * b + a) for b in range(21) for a, c in enumerate(p)) for p in points]
    np.testing.assert_array_equal(morton_order(points), np.argsort(codes, kind="stable"))


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.zeros((1, 3)), np.ones((4, 3))])
def test_morton_order_of_degenerate_clouds(points: np.ndarray) -> None:
    np.testing.assert_array_equal(morton_order(points), np.arange(len(points)))


@pytest.mark.parametrize("key", ["name", "licence", "provenance.notes"])
def test_texts_that_utf_8_cannot_hold(key: str, tmp_path: Path) -> None:
    manifest, tensors = avatar()
    set_in(key, "x\udcff")(manifest, tensors)
    with pytest.raises(AvatarInvalid, match=rf"manifest\.{key} must be a .*text of valid Unicode; got 'x\\udcff'\."):
        spec.write(tmp_path / "a.tsplat", manifest, tensors)


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real.tsplat").write_bytes(b"old")
    (tmp_path / "a.tsplat").symlink_to("real.tsplat")
    spec.write(tmp_path / "a.tsplat", *avatar())
    assert (tmp_path / "a.tsplat").is_symlink()
    assert (tmp_path / "real.tsplat").stat().st_size > 1000
    assert sorted(os.listdir(tmp_path)) == ["a.tsplat", "real.tsplat"]


def test_what_lies_under_a_foretold_name_is_left_alone(tmp_path: Path) -> None:
    """A folder that others can write to: they may not choose which file is lost."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".a.tsplat.{os.getpid()}.tmp").symlink_to(victim)
    spec.write(tmp_path / "a.tsplat", *avatar())
    assert victim.read_text() == "mine"
    assert not (tmp_path / "a.tsplat").is_symlink()


def test_names_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 248 + ".tsplat")
    assert spec.write(path, *avatar()) == path
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_no_place_for_an_avatar(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tsplat")
    with pytest.raises(OSError, match=r"a\.tsplat is a pipe"):
        spec.write(tmp_path / "a.tsplat", *avatar())
    assert os.listdir(tmp_path) == ["a.tsplat"]


def test_an_error_of_the_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match=r"a\.tsplat: cannot be written \(No space left on device\)"):
        spec.write(tmp_path / "a.tsplat", *avatar())
    assert not os.listdir(tmp_path)
