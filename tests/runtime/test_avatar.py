# SPDX-License-Identifier: Apache-2.0
"""load(), Avatar, and what it gives back, on a tiny avatar whose numbers are known and on the demo head."""

import gc
import math
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import talksplat
from runtime.tiny import COLORS, FOCAL, JAW_DELTA, TALK, VERTICES, WORLD_DISTANCE, tiny_avatar
from talksplat.authoring import spec
from talksplat.control import Input


def test_description(tiny: talksplat.Avatar) -> None:
    assert tiny.name == "tiny"
    assert tiny.size == (64, 48)
    assert tiny.fps == 30
    assert tiny.n_gaussians == 4
    assert list(tiny.inputs) == ["arkit", "head_pose", "translation"]
    arkit = tiny.inputs["arkit"]
    assert arkit.size == 52
    assert len(arkit.names) == 52
    assert "jawOpen" not in arkit.absent
    assert len(arkit.absent) == 51
    assert not arkit.default.any()
    assert tiny.inputs["head_pose"].target == "joint_rotation"
    assert {name: clip.frames for name, clip in tiny.clips.items()} == {"talk": 10, "turn": 3}
    assert tiny.manifest["licence"] == "CC0-1.0"
    assert tiny.threads == 1
    assert tiny.isa in talksplat._core.isa_names()
    assert repr(tiny) == "Avatar('tiny', 4 Gaussians, 64x48)"


def test_tensors_are_views_that_outlive_the_avatar(tiny_path: Path) -> None:
    tensors = talksplat.load(tiny_path, threads=1).tensors()
    gc.collect()
    np.testing.assert_array_equal(tensors["rig/vertex"], VERTICES)
    np.testing.assert_array_equal(tensors["gaussians/source_index"], [0, 2, 3, 4])
    with pytest.raises(ValueError, match="read-only"):
        tensors["rig/vertex"][0] = 1


def test_neutral_gaussians_are_in_source_order(tiny: talksplat.Avatar) -> None:
    found = tiny.gaussians({})
    kept = [0, 2, 3, 4]
    np.testing.assert_allclose(found.mean[kept], VERTICES, atol=1e-6)
    np.testing.assert_allclose(found.quat[kept], np.tile([1, 0, 0, 0], (4, 1)), atol=1e-6)
    np.testing.assert_allclose(found.scale[kept], 0.1, atol=1e-7)
    np.testing.assert_allclose(found.opacity, [0.9, 0, 0.9, 0.9, 0.9], atol=1e-7)
    assert found.sh is None
    assert found.color is not None
    np.testing.assert_array_equal(found.color[kept], COLORS)
    np.testing.assert_array_equal(tiny.gaussians().mean, found.mean)


def test_control_by_name_by_array_and_by_both(tiny: talksplat.Avatar) -> None:
    weights = np.zeros(52)
    weights[tiny.inputs["arkit"].index["jawOpen"]] = 0.5
    by_name = tiny.vertices({"arkit": {"jawOpen": 0.5, "mouthSmileLeft": 1.0}})
    np.testing.assert_array_equal(by_name, tiny.vertices({"arkit": weights}))
    np.testing.assert_allclose(by_name - VERTICES, np.array([[0] * 3] * 3 + [0.5 * JAW_DELTA]), atol=1e-6)


def test_head_pose_turns_about_the_joint(tiny: talksplat.Avatar) -> None:
    found = tiny.gaussians({"head_pose": [0, 0, math.pi / 2], "translation": [0, 0, 1]})
    np.testing.assert_allclose(found.mean[0], [0, -0.4, 1], atol=1e-6)
    half = math.sqrt(0.5)
    np.testing.assert_allclose(np.abs(found.quat[0]), [half, 0, 0, half], atol=1e-6)


WRONG_CONTROLS: list[tuple[Any, str]] = [
    ({"arkti": {}}, 'control: this avatar has no input "arkti". Did you mean "arkit"? Its inputs: arkit, head_pose'),
    ({"arkit": {"jawopen": 1}}, 'control: arkit has no "jawopen". Did you mean "jawOpen"? It has: eyeBlinkLeft,'),
    ({"arkit": {"jawOpen": "wide"}}, "control: arkit: jawOpen must be one number; got 'wide'."),
    ({"arkit": {"jawOpen": math.nan}}, "control: arkit: jawOpen must be finite; got nan."),
    (
        {"arkit": np.zeros(51)},
        "control: arkit must be [52] (blendshape, one frame); got [51]. Leave out any batch axis.",
    ),
    ({"head_pose": np.zeros((1, 3))}, "control: head_pose must be [3] (joint_rotation, one frame); got [1,3]."),
    ({"head_pose": [0, math.inf, 0]}, "control: head_pose must be finite; got inf at [1]."),
    ({"head_pose": {"x": 1}}, "control: head_pose has no names for its 3 elements; pass an array [3]."),
    (0, "control must map input names to arrays; got int."),
    (np.zeros(0), "control must map input names to arrays; got ndarray."),
    ([1, 2], "control must map input names to arrays; got list. {} is neutral."),
]


@pytest.mark.parametrize(("control", "message"), WRONG_CONTROLS)
def test_wrong_controls(tiny: talksplat.Avatar, control: Any, message: str) -> None:
    for use in (tiny.gaussians, tiny.vertices, tiny.render_frame):
        with pytest.raises(ValueError, match=re.escape(message)):
            use(control)


def test_frame_shows_the_gaussians_over_the_background(tiny: talksplat.Avatar) -> None:
    frame = tiny.render_frame({})
    assert frame.image.shape == (48, 64, 3)
    assert frame.image.dtype == np.uint8
    assert (frame.image[0, 0] == [0, 0, 64]).all()
    offset = FOCAL * 0.4 / WORLD_DISTANCE
    # World x is right and y is up in this camera; vertex 0 is red, at the left, vertex 3 white, at the bottom.
    red, white = frame.image[24, int(32 - offset)], frame.image[int(24 + offset), 32]
    assert red[0] > 150
    assert red[1] < 40
    assert white.min() > 150
    assert frame.receipt.n_gaussians == 4
    assert frame.receipt.n_visible == 4
    assert frame.receipt.n_instances >= 4
    assert frame.receipt.total_us > 0


def test_formats(tiny: talksplat.Avatar) -> None:
    rgb = tiny.render_frame({}).image
    rgba = tiny.render_frame({}, format="rgba8").image
    floats = tiny.render_frame({}, format="rgb_f32").image
    nv12 = tiny.render_frame({}, format="nv12").image
    np.testing.assert_array_equal(rgba[..., :3], rgb)
    assert (rgba[..., 3] == 255).all()
    assert np.abs(np.clip(floats, 0, 1) * 255 - rgb).max() <= 1
    assert nv12.shape == (72, 64)
    luma = 16 + 219 * (floats @ [0.2126, 0.7152, 0.0722])
    assert np.abs(nv12[:48] - luma).max() <= 1.5


def test_backgrounds(tiny: talksplat.Avatar) -> None:
    seen_through = tiny.render_frame({}, format="rgba8", background=None).image
    assert seen_through[0, 0, 3] == 0
    assert seen_through[24, 24, 3] > 150
    assert (tiny.render_frame({}, background=[1, 1, 1]).image[0, 0] == 255).all()
    picture = np.zeros((48, 64, 3), np.float32)
    picture[:, 32:] = 1
    over = tiny.render_frame({}, background=picture).image
    assert (over[0, 0] == 0).all()
    assert (over[0, -1] == 255).all()


def test_size_scales_the_camera(tiny: talksplat.Avatar) -> None:
    """Twice the size shows the same; a wider picture of the same height shows more at its sides."""
    small = tiny.render_frame({}).image.astype(float)
    large = tiny.render_frame({}, size=(128, 96)).image.astype(float)
    shrunk = large.reshape(48, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(shrunk - small).mean() < 2
    wide = tiny.render_frame({}, size=(96, 48)).image
    assert np.abs(wide[:, 16:-16].astype(float) - small).max() <= 1


def test_own_camera(tiny: talksplat.Avatar) -> None:
    view = np.diag([1.0, -1.0, -1.0, 1.0])
    view[2, 3] = WORLD_DISTANCE
    lens = np.array([[FOCAL, 0, 32], [0, FOCAL, 24], [0, 0, 1]])
    same = talksplat.Camera.from_matrices(view, lens)
    np.testing.assert_array_equal(tiny.render_frame({}, camera=same).image, tiny.render_frame({}).image)
    behind = talksplat.Camera(np.eye(4), FOCAL, FOCAL, 32, 24, near=1)
    assert tiny.render_frame({}, camera=behind).receipt.n_visible == 0


def test_out_is_drawn_into(tiny: talksplat.Avatar) -> None:
    out = np.zeros((48, 64, 3), np.uint8)
    assert tiny.render_frame({}, out=out).image is out
    np.testing.assert_array_equal(out, tiny.render_frame({}).image)


WRONG_FRAMES: list[tuple[dict[str, Any], str]] = [
    ({"format": "bgr"}, "render_frame: format must be one of rgb8, rgba8, nv12, rgb_f32; got 'bgr'."),
    ({"size": 512}, "render_frame: size must be (width, height) in pixels; got 512."),
    ({"size": (0, 4)}, "render_frame: width must be a whole number, at least 1; got 0."),
    ({"size": (3, 4), "format": "nv12"}, "nv12 needs an even width and height; got 3x4. Use 4x4 or rgb8."),
    ({"background": "white"}, 'background must be "avatar", "fill", None, [3] or [48,64,3]; got \'white\'.'),
    ({"background": np.zeros((2, 2, 3))}, "render_frame: background must be [48,64,3]"),
    ({"camera": "front"}, "render_frame: camera must be a talksplat.Camera or None; got str."),
    ({"out": np.zeros((1, 1, 3), np.uint8)}, "render_frame: out must be a [48,64,3] uint8 array; got [1,1,3] uint8."),
]


@pytest.mark.parametrize(("options", "message"), WRONG_FRAMES)
def test_wrong_frame_arguments(tiny: talksplat.Avatar, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        tiny.render_frame({}, **options)


def test_wrong_cameras() -> None:
    with pytest.raises(ValueError, match="Camera: fx must be finite; got nan"):
        talksplat.Camera(np.eye(4), math.nan, 1, 0, 0)
    with pytest.raises(ValueError, match="Camera: focal lengths must be positive pixels; got fx=-1"):
        talksplat.Camera(np.eye(4), -1, 1, 0, 0)
    with pytest.raises(ValueError, match=re.escape("Camera: cam_from_world must be [4,4]")):
        talksplat.Camera(np.eye(3), 1, 1, 0, 0)


def test_render_motion_plays_a_clip(tiny: talksplat.Avatar) -> None:
    frames = list(tiny.render_motion("clip:talk"))
    assert [frame.index for frame in frames] == list(range(10))
    np.testing.assert_allclose([frame.pts for frame in frames], np.arange(10) / 30)
    for frame, opening in zip(frames, TALK, strict=True):
        np.testing.assert_array_equal(frame.image, tiny.render_frame({"arkit": {"jawOpen": opening}}).image)


def test_render_motion_at_another_rate_and_size(tiny: talksplat.Avatar) -> None:
    frames = list(tiny.render_motion("clip:talk", fps=60, size=(32, 24), format="rgba8", background=None))
    assert len(frames) == 19
    assert frames[-1].pts == pytest.approx(9 / 30)
    halfway = tiny.render_frame({"arkit": {"jawOpen": (TALK[0] + TALK[1]) / 2}}, (32, 24), "rgba8", None)
    np.testing.assert_array_equal(frames[1].image, halfway.image)


def test_render_motion_may_reuse_one_picture(tiny: talksplat.Avatar) -> None:
    out = np.zeros((48, 64, 3), np.uint8)
    assert all(frame.image is out for frame in tiny.render_motion("clip:turn", out=out))


def test_render_motion_fails_before_the_first_frame(tiny: talksplat.Avatar) -> None:
    with pytest.raises(talksplat.MotionInvalid, match=r"tiny has no clip 'tlak'\. Did you mean \"talk\"\?"):
        tiny.render_motion("clip:tlak")
    with pytest.raises(ValueError, match="render_motion: format must be"):
        tiny.render_motion("clip:talk", format="jpeg")
    with pytest.raises(ValueError, match=re.escape("resample: fps must be in (0, 1000]; got 0.")):
        tiny.render_motion("clip:talk", fps=0)


def test_load_errors(tmp_path: Path, tiny_path: Path) -> None:
    with pytest.raises(talksplat.AvatarNotFound, match=re.escape("missing.tsplat")):
        talksplat.load(tmp_path / "missing.tsplat")
    broken = tmp_path / "broken.tsplat"
    broken.write_bytes(tiny_path.read_bytes()[:-10])
    with pytest.raises(talksplat.AvatarInvalid):
        talksplat.load(broken)
    with pytest.raises(talksplat.DeviceError, match=r'device "cuda": cuda: .* This machine has cpu'):
        talksplat.load(tiny_path, device="cuda")
    with pytest.raises(ValueError, match="load: precision must be"):
        talksplat.load(tiny_path, precision="half")
    with pytest.raises(ValueError, match="load: path must have no NUL character"):
        talksplat.load(f"{tiny_path}\0.tsplat")
    with pytest.raises(ValueError, match="load: threads must be a whole number, at least 0; got -2"):
        talksplat.load(tiny_path, threads=-2)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_an_avatar_or_an_error(tiny_path: Path, tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(tiny_path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged.tsplat").write_bytes(damaged)
    try:
        avatar = talksplat.load(tmp_path / "damaged.tsplat", threads=1)
    except talksplat.AvatarInvalid as error:
        assert "damaged.tsplat" in str(error)
    else:
        assert avatar.render_frame({}, size=(32, 24)).image.shape == (24, 32, 3)


def test_threads_and_precision(tiny: talksplat.Avatar, tiny_path: Path) -> None:
    two = talksplat.load(str(tiny_path), device="cpu", threads=2)
    assert two.threads == 2
    np.testing.assert_array_equal(two.render_frame({}).image, tiny.render_frame({}).image)
    fast = talksplat.load(tiny_path, threads=1, precision="fast").render_frame({}, format="rgb_f32").image
    assert np.abs(fast - tiny.render_frame({}, format="rgb_f32").image).max() <= 1.5 / 255


def test_one_avatar_from_many_threads(tiny: talksplat.Avatar) -> None:
    want = {jaw: tiny.render_frame({"arkit": {"jawOpen": jaw}}).image for jaw in (0.0, 1.0)}
    assert (want[0.0] != want[1.0]).any()
    right: list[bool] = []

    def work(jaw: float) -> None:
        for _ in range(25):
            right.append(np.array_equal(tiny.render_frame({"arkit": {"jawOpen": jaw}}).image, want[jaw]))

    workers = [threading.Thread(target=work, args=(jaw,)) for jaw in (0.0, 1.0, 0.0, 1.0)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert right == [True] * 100


def test_writer_and_reader_have_the_same_limit_of_rows(tmp_path: Path) -> None:
    manifest, tensors = tiny_avatar()
    manifest["source_count"] = 2**24 - 1
    largest = talksplat.load(spec.write(tmp_path / "largest.tsplat", manifest, tensors), threads=1)
    assert largest.info["n_source"] == 2**24 - 1
    manifest["source_count"] = 2**24
    with pytest.raises(talksplat.AvatarInvalid, match=re.escape("source_count must be 0..16777215; got 16777216")):
        spec.write(tmp_path / "larger.tsplat", manifest, tensors)


def test_names_belong_to_blendshapes() -> None:
    """Another program's file may have more keys than the reader knows; only a blendshape input has names."""
    entry = {"name": "translation", "size": 3, "target": "translation", "names": ["x", "y", "z"]}
    into = Input.from_manifest(entry, np.zeros(3, np.float32), 0)
    assert into.names == ()
    assert into.absent == ()
    assert dict(into.index) == {}


def test_demo_head(demo_avatar: Path) -> None:
    head = talksplat.load(demo_avatar)
    frames = list(head.render_motion("clip:demo", size=(128, 128)))
    assert len(frames) == head.clips["demo"].frames
    assert frames[0].image.std() > 10
    assert max(int(np.abs(frames[0].image.astype(int) - frame.image).max()) for frame in frames) > 30
    assert np.isfinite(head.gaussians({}).mean).all()
    assert head.vertices({}).shape == (head.info["n_vertices"], 3)
