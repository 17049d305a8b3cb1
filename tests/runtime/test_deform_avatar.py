# SPDX-License-Identifier: Apache-2.0
"""Avatars with a deform program through the public interface: precisions, the source's order, hostile controls."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from ops.deform_programs import Program, embedtalk, gaussian_talker, talking_gaussian
from reference import tsplat
from reference.deform import deform_ref
from reference.pose import pose_ref

FACE, MOUTH = 150, 61


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deform")


@pytest.fixture(scope="module")
def two_branches(folder: Path) -> Path:
    return talking_gaussian(FACE, MOUTH, dilate_px=3).write(folder / "two.tsplat", precision="bf16")


@pytest.fixture(scope="module")
def spherical(folder: Path) -> Path:
    return gaussian_talker(130).write(folder / "sh.tsplat", 3)


def control_of(avatar: talksplat.Avatar, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(0, 1, i.size).astype(np.float32) for name, i in avatar.inputs.items()}


def bits(g: talksplat.Gaussians) -> list[bytes]:
    return [array.tobytes() for array in (g.mean, g.quat, g.scale, g.opacity)]


def test_gaussians_are_in_the_source_order(two_branches: Path) -> None:
    file, avatar = tsplat.read(two_branches), talksplat.load(two_branches, threads=1, precision="reference")
    control = control_of(avatar)
    want, got = deform_ref(file, pose_ref(file, {}), control), avatar.gaussians(control)
    row = file.tensors["gaussians/source_index"]
    assert (np.sort(row) == np.arange(FACE + MOUTH)).all() and (row != np.arange(len(row))).any()
    np.testing.assert_allclose(got.mean[row], want.mean, rtol=0, atol=1e-5)
    np.testing.assert_allclose(got.scale[row[:FACE]], want.scale[:FACE], rtol=1e-4)
    # What the second branch adds nothing to is the file's.
    for name in ("quat", "scale", "opacity", "color"):
        np.testing.assert_allclose(getattr(got, name)[row[FACE:]], file.tensors[f"gaussians/{name}"][FACE:], rtol=1e-6)


@pytest.mark.parametrize("chosen", ["fp32", "bf16"])
def test_default_precision_is_what_import_chose(folder: Path, chosen: str) -> None:
    avatar = talksplat.load(embedtalk(200).write(folder / f"{chosen}.tsplat", precision=chosen), threads=1)
    control = control_of(avatar)
    named = {name: talksplat.load(folder / f"{chosen}.tsplat", threads=1, precision=name) for name in
             ("default", "reference", "fast")}  # fmt: skip
    rows = {name: bits(a.gaussians(control)) for name, a in named.items()}
    assert bits(avatar.gaussians(control)) == rows["default"]
    assert rows["default"] == rows["reference" if chosen == "fp32" else "fast"]
    # Where the CPU has no faster bfloat16, all three are float32.
    faster = avatar.isa in ("avx512_bf16", "avx512_amx")
    assert (rows["reference"] != rows["fast"]) == faster
    pictures = {name: avatar.render_frame(control, precision=name).image.astype(int) for name in named}
    assert np.abs(pictures["reference"] - pictures["default"]).max() <= (0 if chosen == "fp32" else 3)


def test_other_precisions_are_refused(two_branches: Path) -> None:
    with pytest.raises(ValueError, match='precision must be "default"'):
        talksplat.load(two_branches, precision="bf16")


def test_precisions_at_once(two_branches: Path) -> None:
    """Frames of three precisions of one avatar, from six threads: each is bit-equal to a lone one."""
    avatar = talksplat.load(two_branches, threads=2)
    controls = [control_of(avatar, seed) for seed in range(4)]
    names = ("default", "reference", "fast")
    want = {(name, k): avatar.render_frame(c, precision=name).image for name in names for k, c in enumerate(controls)}
    wrong: list[object] = []

    def draw(name: str, first: int) -> None:
        for i in range(24):
            k = (first + i) % len(controls)
            if (avatar.render_frame(controls[k], precision=name).image != want[name, k]).any():
                wrong.append((name, k))

    threads = [threading.Thread(target=draw, args=(name, first)) for name in names for first in (0, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_controls_that_are_no_numbers_are_refused(two_branches: Path, bad: float) -> None:
    avatar = talksplat.load(two_branches, threads=1)
    for name, item in avatar.inputs.items():
        value = np.zeros(item.size, np.float32)
        value[-1] = bad
        for call in (avatar.gaussians, avatar.render_frame):
            with pytest.raises(ValueError, match=name):
                call({name: value})


@pytest.mark.parametrize("make", ["two_branches", "spherical"])
@pytest.mark.parametrize("precision", ["reference", "fast"])
@pytest.mark.parametrize("huge", [1e38, -3e38, 1e20, 1e-42])
def test_huge_controls_give_a_picture(request: pytest.FixtureRequest, make: str, precision: str, huge: float) -> None:
    avatar = talksplat.load(request.getfixturevalue(make), threads=1, precision=precision)
    good = control_of(avatar)
    before = avatar.render_frame(good, format="rgb_f32").image
    for name, item in avatar.inputs.items():
        image = avatar.render_frame({**good, name: np.full(item.size, huge, np.float32)}, format="rgb_f32").image
        assert np.isfinite(image).all()
    assert avatar.gaussians({name: np.full(i.size, huge, np.float32) for name, i in avatar.inputs.items()}) is not None
    np.testing.assert_array_equal(avatar.render_frame(good, format="rgb_f32").image, before)  # nothing stays behind


def test_wrong_shapes_and_names_are_refused(two_branches: Path) -> None:
    avatar = talksplat.load(two_branches, threads=1)
    for control, part in (
        ({"au": np.zeros(5)}, "au"), ({"au": np.zeros((2, 6))}, "au"), ({"nose": np.zeros(6)}, "nose"),
        ({"au": "wide"}, "au"), ({"audio": np.zeros(0)}, "audio"), ({"au": None}, "au"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=part):
            avatar.render_frame(control)


def test_no_gaussians(folder: Path) -> None:
    for n_face, n_mouth in ((0, 0), (0, 20), (20, 0)):
        path = talking_gaussian(n_face, n_mouth, dilate_px=3).write(folder / "few.tsplat")
        avatar = talksplat.load(path, threads=1)
        assert avatar.gaussians(control_of(avatar)).mean.shape == (n_face + n_mouth, 3)
        picture = avatar.render_frame(background=(0.0, 1.0, 0.0)).image
        assert (picture[..., 1] == 255).all() if n_face + n_mouth == 0 else (picture != picture[0, 0]).any()


def test_a_program_without_inputs(folder: Path) -> None:
    program = Program(0)
    program.branch("all", 30, {"a": 4}).add("mean", "a", 4, 0.1)
    avatar = talksplat.load(program.write(folder / "still.tsplat"), threads=1)
    first = avatar.render_frame().image
    assert not avatar.inputs and first.any()
    np.testing.assert_array_equal(avatar.render_frame().image, first)
