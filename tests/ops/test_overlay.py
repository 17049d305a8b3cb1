# SPDX-License-Identifier: Apache-2.0
"""Branches of a deform program are pictures one over the other, as synthesize_fuse.py of TalkingGaussian draws them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

import talksplat
from backends import Backend, load
from ops.deform_programs import Program, embedtalk, talking_gaussian
from reference import tsplat

SIZE = 48
FACE, MOUTH = 500, 900


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def picture(g: talksplat.Gaussians, rows: slice, avatar: talksplat.Avatar, **rest: object):  # type: ignore[no-untyped-def]
    """Some rows' float picture by the avatar's canvas camera, and its coverage and depth."""
    view = np.array(avatar.manifest["camera"]["cam_from_world"], np.float32).reshape(4, 4)
    scale = SIZE / avatar.manifest["canvas"]["height"]
    f = avatar.manifest["camera"]["fx"] * scale
    return talksplat.rasterize(
        g.mean[rows], g.quat[rows], g.scale[rows], g.opacity[rows], g.color[rows], view,
        np.array([[f, 0, SIZE / 2], [0, f, SIZE / 2], [0, 0, 1]], np.float32), SIZE, SIZE,
        return_alpha=True, return_depth=True, **rest,
    )  # fmt: skip


def in_file_order(path: Path, avatar: talksplat.Avatar) -> talksplat.Gaussians:
    g, row = avatar.gaussians(), tsplat.read(path).tensors["gaussians/source_index"]
    return talksplat.Gaussians(g.mean[row], g.quat[row], g.scale[row], g.opacity[row], g.color[row], None)


def largest_around(x: np.ndarray, px: int) -> np.ndarray:
    padded = np.pad(x, px // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (px, px))
    return windows.max((2, 3))


def two_layers(path: Path, dilate_px: int = 0) -> Path:
    """A face with holes before a mouth, both thick."""
    program = talking_gaussian(FACE, MOUTH, seed=3, dilate_px=dilate_px)
    return program.write(path)


@pytest.mark.parametrize("dilate_px", [0, 1, 3, 5, 13, 101])
@pytest.mark.parametrize("background", ["none", "color", "image"])
def test_first_branch_is_over_the_second(
    backend: Backend, background: str, dilate_px: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    path = two_layers(tmp_path / "a.tsplat", dilate_px)
    avatar = load(path, backend)
    g = in_file_order(path, avatar)
    behind = {
        "none": np.zeros((SIZE, SIZE, 3)),
        "color": np.broadcast_to([0.2, 0.9, 0.4], (SIZE, SIZE, 3)),
        "image": rng.uniform(0, 1, (SIZE, SIZE, 3)),
    }[background]
    face, face_alpha, _ = picture(g, slice(0, FACE), avatar)
    mouth, mouth_alpha, _ = picture(g, slice(FACE, FACE + MOUTH), avatar)
    assert 0.02 < face_alpha.mean() < 0.9 and 0.02 < mouth_alpha.mean() < 0.9
    reach = largest_around(mouth_alpha, dilate_px) if dilate_px else mouth_alpha
    over = mouth + (1 - reach)[..., None] * behind
    want = face + (1 - face_alpha)[..., None] * over
    given = {"none": None, "color": behind[0, 0], "image": behind.astype(np.float32)}[background]
    got = avatar.render_frame(size=(SIZE, SIZE), background=given, format="rgba8").image.astype(np.float64) / 255
    if background == "none":
        alpha = 1 - (1 - face_alpha) * (1 - mouth_alpha)
        np.testing.assert_allclose(got[..., 3], alpha, rtol=0, atol=1.1 / 255)
        np.testing.assert_allclose(got[..., :3] * got[..., 3:], np.clip(want, 0, 1), rtol=0, atol=4 / 255)
    else:
        assert (got[..., 3] == 1).all()
        # A pixel of the face that stopped early let up to 1 % of the mouth through in a picture of its own.
        np.testing.assert_allclose(got[..., :3], np.clip(want, 0, 1), rtol=0, atol=1.1 / 255)


@pytest.mark.parametrize("dilate_px", [(0, 0), (5, 0), (0, 5), (3, 5)])
@pytest.mark.parametrize("background", ["none", "color"])
def test_three_branches(backend: Backend, background: str, dilate_px: tuple[int, int], tmp_path: Path) -> None:
    """A middle one that is drawn in few tiles, with tiles of its own and tiles that it shares with the last."""
    program = Program(7)
    counts = (200, 30, 100)
    for name, n, px in zip("abc", counts, (0, *dilate_px), strict=True):
        program.branch(name, n, {}, dilate_px=px)
    path = program.write(tmp_path / "a.tsplat")
    avatar = load(path, backend)
    g = in_file_order(path, avatar)
    color = np.array([0.2, 0.9, 0.4])
    want = np.broadcast_to(color if background == "color" else np.zeros(3), (SIZE, SIZE, 3))
    through = np.ones((SIZE, SIZE))
    end = sum(counts)
    for n, px in zip(reversed(counts), (*reversed(dilate_px), 0), strict=True):
        image, alpha, _ = picture(g, slice(end - n, end), avatar)
        reach = largest_around(alpha, px) if px else alpha
        want = image + (1 - reach)[..., None] * want
        through = through * (1 - alpha)
        end -= n
    given = tuple(color) if background == "color" else None
    got = avatar.render_frame(size=(SIZE, SIZE), background=given, format="rgba8").image.astype(np.float64) / 255
    if background == "none":
        np.testing.assert_allclose(got[..., 3], 1 - through, rtol=0, atol=1.1 / 255)
    else:
        np.testing.assert_allclose(got[..., :3], np.clip(want, 0, 1), rtol=0, atol=1.1 / 255)


def test_depth_order_is_of_each_layer(backend: Backend, tmp_path: Path) -> None:
    """A mouth in front of the face is drawn behind it all the same."""
    program: Program = talking_gaussian(FACE, MOUTH, seed=3)
    path = program.write(tmp_path / "a.tsplat")
    avatar = load(path, backend)
    g = in_file_order(path, avatar)
    assert g.mean[FACE:, 2].min() < g.mean[:FACE, 2].max()
    one_sort = picture(g, slice(0, FACE + MOUTH), avatar)[0]
    got = avatar.render_frame(size=(SIZE, SIZE), background=(0, 0, 0)).image[..., :3].astype(np.float64) / 255
    assert np.abs(got - np.clip(one_sort, 0, 1)).max() > 0.1


def test_counts_are_of_all_layers(backend: Backend, tmp_path: Path) -> None:
    avatar = load(two_layers(tmp_path / "a.tsplat"), backend)
    frame = avatar.render_frame(size=(SIZE, SIZE))
    single = load(embedtalk(FACE).write(tmp_path / "b.tsplat"), backend).render_frame(size=(SIZE, SIZE))
    assert frame.receipt.n_gaussians == FACE + MOUTH and single.receipt.n_gaussians == FACE
    assert FACE < frame.receipt.n_visible <= FACE + MOUTH


def test_a_wide_dilation_of_a_large_picture_takes_no_longer(tmp_path: Path) -> None:
    """A file may ask for 255 pixels: by the size of the square that would be a minute of a large picture."""
    avatar = load(two_layers(tmp_path / "a.tsplat", 255), None, 2)
    begin = time.process_time()
    avatar.render_frame(size=(2048, 2048), background=(0, 0, 0))
    assert time.process_time() - begin < 5
