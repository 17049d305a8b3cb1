# SPDX-License-Identifier: Apache-2.0
"""Speech with a motion under it: the face is speech's, the rest is the motion's, looped while the sound lasts."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from runtime.test_cli import fails
from runtime.tiny import tiny_avatar
from talksplat import MotionInvalid
from talksplat.arkit import ARKIT_NAMES
from talksplat.authoring import spec
from talksplat.cli import main
from talksplat.layering import Layer
from talksplat.motion_files import load_motion
from talksplat.motions import Motion, fit_motion
from talksplat.rotation import slerp_axis_angle

pytestmark = pytest.mark.filterwarnings("error")
SIZE = (32, 24)
CLIP_FRAMES = 7


@pytest.fixture(scope="session")
def rigged_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny avatar with joints that clips move, as LAM's have, and with a weight of its own beside ARKit's."""
    manifest, tensors = tiny_avatar()
    manifest["name"] = "rigged"
    arkit, head, translation = manifest["inputs"]
    arkit["names"], arkit["shapes"], arkit["size"] = [*ARKIT_NAMES, "hairSway"], [*arkit["shapes"], -1], 53
    manifest["inputs"] = [
        arkit,
        {"name": "joint_rotation", "size": 3, "target": "joint_rotation", "joints": [0]},
        {"name": "joint_translation", "size": 3, "target": "joint_translation", "joints": [0]},
        head,
        translation,
    ]
    rng = np.random.default_rng(4)
    turn, shift = (rng.uniform(-0.3, 0.3, (CLIP_FRAMES, 3)).astype(np.float32) for _ in range(2))
    weights = np.pad(tensors["clip/talk/arkit"], ((0, 0), (0, 1)))
    weights[:, 52] = np.linspace(0, 1, len(weights))
    tensors |= {
        "clip/talk/arkit": weights,
        "clip/idle/joint_rotation": turn,
        "clip/idle/joint_translation": shift,
        "clip/both/arkit": weights[:CLIP_FRAMES],
        "clip/both/joint_rotation": turn,
    }
    manifest["clips"] += [
        {"name": "idle", "fps": 30, "frames": CLIP_FRAMES, "inputs": ["joint_rotation", "joint_translation"]},
        {"name": "both", "fps": 30, "frames": CLIP_FRAMES, "inputs": ["arkit", "joint_rotation"]},
    ]
    return spec.write(tmp_path_factory.mktemp("rigged") / "rigged.tsplat", manifest, tensors)


@pytest.fixture(scope="session")
def rigged(rigged_path: Path) -> talksplat.Avatar:
    return talksplat.load(rigged_path, threads=1)


def speech(fps: float, frames: int = 20) -> tuple[Any, Motion]:
    rng = np.random.default_rng(1)
    sound = (rng.normal(size=int(16000 * frames / fps)) * 0.3).astype(np.float32)
    return sound, talksplat.motion(sound, fps, sample_rate=16000)


def under(
    layer: Layer, avatar: talksplat.Avatar, spoken: dict[str, np.ndarray], first: int, count: int, fps: float
) -> dict[str, np.ndarray]:
    """The layer's answer by input, to speech that is given so, too."""
    rows = np.zeros((count, avatar.info["n_control"]), np.float32)
    for into in avatar.inputs.values():
        rows[:, into.columns] = spoken.get(into.name, into.default)
    before = rows.copy()
    got = layer.under(rows, first, fps)
    np.testing.assert_array_equal(rows, before)  # speech's own rows stay as they are
    return {into.name: got[:, into.columns] for into in avatar.inputs.values()}


# ---- on values ----


def test_at_the_clips_own_rate_its_rows_are_taken_over_and_over(rigged: talksplat.Avatar) -> None:
    clip = load_motion("clip:idle", rigged)
    layer = Layer(clip, rigged)
    assert (layer.moves, layer.overruled) == (("joint_rotation", "joint_translation"), ())
    spoken = {"arkit": np.full((40, 53), 0.5, np.float32), "head_pose": np.full((40, 3), 0.1, np.float32)}
    # In two blocks, as sound comes.
    parts = [under(layer, rigged, {k: v[:25] for k, v in spoken.items()}, 0, 25, 30)]
    parts += [under(layer, rigged, {k: v[25:] for k, v in spoken.items()}, 25, 15, 30)]
    for name in ("joint_rotation", "joint_translation"):
        got = np.concatenate([part[name] for part in parts])
        np.testing.assert_allclose(got, clip.inputs[name][np.arange(40) % CLIP_FRAMES], atol=1e-6)
    for name, rows in spoken.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), rows)


def test_at_another_rate_the_clip_keeps_its_pace(rigged: talksplat.Avatar) -> None:
    clip = load_motion("clip:idle", rigged)
    got = under(Layer(clip, rigged), rigged, {}, 0, 30, 60)
    rows = clip.inputs["joint_translation"]
    after = rows[(np.arange(15) + 1) % CLIP_FRAMES]
    before = rows[np.arange(15) % CLIP_FRAMES]
    np.testing.assert_allclose(got["joint_translation"][0::2], before, atol=1e-6)
    np.testing.assert_allclose(got["joint_translation"][1::2], (before + after) / 2, atol=1e-6)
    turns = clip.inputs["joint_rotation"]
    half = slerp_axis_angle(turns[CLIP_FRAMES - 1], turns[0], np.array(0.5))
    np.testing.assert_allclose(got["joint_rotation"][2 * CLIP_FRAMES - 1], half, atol=1e-6)


@pytest.mark.parametrize("fps", [25, 30])
def test_frames_show_speech_and_clip(rigged: talksplat.Avatar, fps: float) -> None:
    sound, heard = speech(fps)
    clip = load_motion("clip:idle", rigged)
    layer = Layer(clip, rigged)
    looped = under(layer, rigged, {}, 0, heard.frames, fps)
    looped = {name: looped[name] for name in layer.moves}
    both = Motion(fps, heard.weights, heard.names, {**heard.inputs, **looped})
    frames = list(rigged.render(sound, fps, SIZE, sample_rate=16000, motion="clip:idle"))
    plain = list(rigged.render(sound, fps, SIZE, sample_rate=16000))
    assert len(frames) == heard.frames == 20
    changed = 0
    for frame, alone, want in zip(frames, plain, rigged.render_motion(both, size=SIZE), strict=True):
        np.testing.assert_array_equal(frame.image, want.image)
        changed += int((frame.image != alone.image).any())
    assert changed == len(frames)
    np.testing.assert_array_equal(np.concatenate([frame.audio for frame in frames]), sound)  # type: ignore[misc]


def test_speech_wins_where_both_move(rigged: talksplat.Avatar) -> None:
    layer = Layer(load_motion("clip:both", rigged), rigged)
    spoken = {"arkit": np.full((10, 53), 0.25, np.float32)}
    got = under(layer, rigged, spoken, 0, 10, 30)
    # The weight that is the avatar's own is not speech's.
    np.testing.assert_array_equal(got["arkit"][:, :52], spoken["arkit"][:, :52])
    own = np.linspace(0, 1, 10)[np.arange(10) % CLIP_FRAMES]
    np.testing.assert_allclose(got["arkit"][:, 52], own, atol=1e-6)
    assert (set(layer.moves), layer.overruled) == ({"arkit", "joint_rotation"}, ("arkit",))
    take = Motion(30, np.ones((3, 1)), ("jawOpen",), {"head_pose": np.ones((3, 3)), "translation": np.ones((3, 3))})
    layer = Layer(take, rigged)
    assert (layer.moves, layer.overruled) == (("translation",), ("head_pose", "arkit"))
    got = under(layer, rigged, spoken, 0, 10, 30)
    np.testing.assert_array_equal(got["arkit"], spoken["arkit"])
    assert (got["translation"] == 1).all() and not got["head_pose"].any()


def test_a_motion_that_breathes_has_its_own_breath(tmp_path: Path) -> None:
    """As a column of a file, too; without one, speech makes it up: none where the head is still."""
    demo, size = talksplat.load("demo", threads=1), (64, 64)
    options = {"fps": 25, "size": size, "sample_rate": 16000, "head": 0.0, "blink": 0.0}
    silence = np.zeros(8000, np.float32)
    rows = np.linspace(0, 1, 5, dtype=np.float32)[:, None]
    (tmp_path / "breath.csv").write_text("breath\n" + "\n".join(str(x) for x in rows[:, 0]) + "\n")
    motions = [
        Motion(25, rows, ("breath",)),
        Motion(25, inputs={"breath": rows}),
        load_motion(tmp_path / "breath.csv", demo, fps=25),
    ]
    want = [demo.render_frame({"breath": rows[k % 5]}, size=size).image for k in range(10)]
    for motion in motions:
        for frame, image in zip(demo.render(silence, motion=motion, **options), want, strict=False):
            np.testing.assert_array_equal(frame.image, image)
    for frame in demo.render(silence, **options):
        np.testing.assert_array_equal(frame.image, want[0])
    alive = [frame.image for frame in demo.render(silence, **{**options, "head": 1.0})]
    assert any(not np.array_equal(image[52:], want[0][52:]) for image in alive)


def test_a_motion_of_one_frame_is_a_pose(rigged: talksplat.Avatar) -> None:
    layer = Layer(Motion(30, inputs={"translation": np.array([[0.1, 0.2, 0.3]])}), rigged)
    np.testing.assert_allclose(under(layer, rigged, {}, 5, 4, 25)["translation"], [[0.1, 0.2, 0.3]] * 4, atol=1e-7)


def test_clips_of_lam_go_with_speech(shared_dir: Path, tmp_path: Path) -> None:
    target = tmp_path / "james.tsplat"
    assert main(["convert", "--from", "lam", str(shared_dir / "data/avatars/lam_james.zip"), "-o", str(target)]) == 0
    james = talksplat.load(target)
    clip = load_motion("clip:yumi_h5_a3_idle", james)
    layer = Layer(clip, james)
    assert layer.moves == ("joint_rotation", "joint_translation")
    _, heard = speech(30, 320)
    spoken = fit_motion(heard, james).controls
    got = under(layer, james, spoken, 0, heard.frames, 30)
    np.testing.assert_array_equal(got["head_pose"], spoken["head_pose"])
    for name in layer.moves:
        np.testing.assert_allclose(got[name], clip.inputs[name][np.arange(heard.frames) % clip.frames], atol=1e-6)
    np.testing.assert_array_equal(got["arkit"], heard.weights)
    assert not Layer(load_motion("clip:bsData", james), james).moves


# ---- what does not go together ----


def test_a_motion_of_what_speech_moves_is_refused(rigged: talksplat.Avatar, tiny: talksplat.Avatar) -> None:
    sound, _ = speech(25)
    for motion, what in (("clip:talk", "arkit"), ("clip:turn", "head_pose")):
        message = f"render: audio and motion both move {what}, and the motion moves nothing else: give one of them."
        with pytest.raises(MotionInvalid, match=re.escape(message)):
            tiny.render(sound, 25, sample_rate=16000, motion=motion)
    with pytest.raises(MotionInvalid, match="rigged has no clip 'walk'"):
        rigged.render(sound, 25, sample_rate=16000, motion="clip:walk")
    with pytest.raises(ValueError, match=r'render: motion must be a Motion, a path or "clip:NAME"; got ndarray\.'):
        rigged.render(sound, 25, sample_rate=16000, motion=np.zeros(3))  # type: ignore[arg-type]


def test_the_command_line(rigged_path: Path, tiny_path: Path, tmp_path: Path, capsys: Any) -> None:
    def render(*options: object) -> dict[str, Any]:
        command = ["render", rigged_path, "sample", "-o", tmp_path / "%03d.png", "--json", "--seconds", 0.4, *options]
        assert main([str(word) for word in command]) == 0
        out = capsys.readouterr()
        return {**json.loads(out.out), "err": out.err, "last": (tmp_path / "009.png").read_bytes()}

    alone, idle, both = render(), render("-m", "clip:idle"), render("-m", "clip:both", "--motion-fps", 15)
    assert alone["frames"] == idle["frames"] == 12
    assert alone["last"] != idle["last"] != both["last"]
    assert "speech moves" not in idle["err"]
    assert "note: speech moves arkit, and --motion does not\n" in both["err"]
    head = tmp_path / "take.json"
    frames = [{"weights": [0.5, 0.5]}] * 3
    head.write_text(json.dumps({"names": ["jawOpen", "hairSway"], "frames": frames, "head_pose": [[0, 0.1, 0]] * 3}))
    assert "note: speech moves head_pose, arkit, and --motion does not\n" in render("-m", head)["err"]
    out = tmp_path / "out.mp4"
    fails(
        capsys,
        ["render", tiny_path, "sample", "-m", "clip:talk", "-o", out],
        2,
        "AUDIO and --motion both move arkit: give one of them",
    )
    assert not out.exists()
