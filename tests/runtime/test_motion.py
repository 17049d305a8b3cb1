# SPDX-License-Identifier: Apache-2.0
"""Motion: what files are read as, how it is resampled, and how it fits an avatar."""

import gzip
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import talksplat
from runtime.tiny import TALK
from talksplat import MotionInvalid, load_motion
from talksplat.arkit import ARKIT_NAMES, canonical_name
from talksplat.control import Input
from talksplat.driven import Clip
from talksplat.motions import Motion, fit_motion
from talksplat.rotation import axis_angle_from_quat, quat_from_axis_angle, quat_from_matrix, slerp_axis_angle

LIVE_LINK = (
    "Timecode,BlendShapeCount,EyeBlinkLeft,JawOpen,TongueOut,HeadYaw,HeadPitch,HeadRoll,"
    "LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll"
)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def live_link(path: Path, rows: list[str]) -> Path:
    return write(path, "\n".join([LIVE_LINK, *rows]) + "\n")


def live_link_row(timecode: str, blink: float, head: tuple[float, float, float] = (0, 0, 0), count: int = 61) -> str:
    return ",".join([timecode, str(count), str(blink), "0.5", "0", *map(str, head), *["0.1"] * 6])


def rotation_matrix(axis: int, angle: float) -> Any:
    c, s = math.cos(angle), math.sin(angle)
    matrix = np.eye(3)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrix[a, a] = matrix[b, b] = c
    matrix[a, b], matrix[b, a] = -s, s
    return matrix


def matrix_of(axis_angle: Any) -> Any:
    w, x, y, z = quat_from_axis_angle(np.asarray(axis_angle))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


# ---- names ----


def test_arkit_names() -> None:
    assert len(ARKIT_NAMES) == len(set(ARKIT_NAMES)) == 52
    assert canonical_name("EyeBlinkLeft") == "eyeBlinkLeft"
    assert canonical_name("mouthSmile_R") == "mouthSmileRight"
    assert canonical_name("browUp") == "browUp"


# ---- Live Link Face ----


def test_live_link(tmp_path: Path) -> None:
    rows = [live_link_row(f"11:59:{58 + i // 30:02}:{i % 30:02}.000", i / 100) for i in range(60)]
    motion = load_motion(live_link(tmp_path / "take.csv", rows))
    assert motion.fps == 30
    assert motion.frames == 60
    assert motion.names == ("eyeBlinkLeft", "jawOpen", "tongueOut")
    np.testing.assert_allclose(motion.weights[:, 0], np.arange(60) / 100, atol=1e-6)
    assert not motion.inputs["head_pose"].any()


def test_live_link_with_subframes_and_midnight(tmp_path: Path) -> None:
    """A 60 fps take with 30 fps timecode has half frames; the clock goes over midnight."""
    codes = [divmod(i, 60) for i in range(120)]
    rows = [
        live_link_row(f"{'23:59:59' if s == 0 else '00:00:00'}:{f / 2:06.3f}", i / 200)
        for i, (s, f) in enumerate(codes)
    ]
    motion = load_motion(live_link(tmp_path / "take.csv", rows))
    assert motion.fps == 60
    assert motion.frames == 120


def test_timecode_whose_subframes_count_on(tmp_path: Path) -> None:
    """Some exporters write frame 11 as 11.011."""
    rows = [live_link_row(f"00:00:{i // 30:02}:{i % 30:02}.{i % 30:03}", i / 100) for i in range(75)]
    motion = load_motion(live_link(tmp_path / "take.csv", rows))
    assert (motion.fps, motion.frames) == (30, 75)
    np.testing.assert_allclose(motion.weights[:, 0], np.arange(75) / 100, atol=1e-6)


def test_live_link_head_angles(tmp_path: Path) -> None:
    """Yaw about y, pitch about x, roll about z; roll is applied first."""
    row = live_link_row("00:00:00:00.000", 0, (0.3, -0.2, 0.1))
    motion = load_motion(live_link(tmp_path / "take.csv", [row]))
    want = rotation_matrix(1, 0.3) @ rotation_matrix(0, -0.2) @ rotation_matrix(2, 0.1)
    np.testing.assert_allclose(matrix_of(motion.inputs["head_pose"][0]), want, atol=1e-6)


def test_live_link_bridges_rows_without_a_face(tmp_path: Path) -> None:
    rows = [live_link_row(f"00:00:00:{i:02}.000", i / 10) for i in range(10)]
    rows[4] = "00:00:00:04.000,0,,,,,,,,,,,,"
    rows[0] = "00:00:00:00.000,0"
    motion = load_motion(live_link(tmp_path / "take.csv", rows))
    assert motion.frames == 10
    np.testing.assert_allclose(motion.weights[:, 0], [0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], atol=1e-6)


def test_live_link_dropped_frames_are_interpolated(tmp_path: Path) -> None:
    kept = [i for i in range(30) if i not in (7, 8, 20)]
    motion = load_motion(live_link(tmp_path / "take.csv", [live_link_row(f"00:00:01:{i}", i / 30) for i in kept]))
    assert motion.fps == 60
    assert motion.frames == 30
    np.testing.assert_allclose(motion.weights[:, 0], np.arange(30) / 30, atol=1e-6)


# ---- other tables ----


def test_mediapipe_table(tmp_path: Path) -> None:
    turn = np.eye(4)
    turn[:3, :3] = 1.02 * rotation_matrix(1, 0.4)
    cells = ",".join(f"{x:.6f}" for x in turn.ravel())
    header = "frame,time_s,_neutral,jawOpen," + ",".join(f"m{i}{j}" for i in range(4) for j in range(4))
    rows = [f"{i},{i * 0.04:.3f},0.9,{i / 10},{cells}" for i in range(5)]
    motion = load_motion(write(tmp_path / "table.csv", "\n".join([header, *rows])))
    assert motion.fps == 25
    assert motion.names == ("jawOpen",)
    np.testing.assert_allclose(motion.inputs["head_pose"], [[0, 0.4, 0]] * 5, atol=1e-5)


def test_uneven_times_become_even(tmp_path: Path) -> None:
    times = [0.0, 0.033, 0.066, 0.15, 0.166, 0.2]
    table = "\n".join(["time,jawOpen", *(f"{t},{t}" for t in times)])
    motion = load_motion(write(tmp_path / "table.csv", table))
    assert motion.fps == 30
    np.testing.assert_allclose(motion.weights[:, 0], np.arange(motion.frames) / 30, atol=1e-3)


def test_fps_overrides_the_times(tmp_path: Path) -> None:
    file = write(tmp_path / "table.csv", "time,jawOpen\n0,0\n5,1\n1,0\n")
    motion = load_motion(file, fps=12.5)
    assert motion.fps == 12.5
    assert motion.frames == 3


def test_byte_order_mark_spaces_and_blank_lines(tmp_path: Path) -> None:
    motion = load_motion(write(tmp_path / "table.csv", "\ufefftime , jawOpen\n0, 0.5\n\n1, 1\n"))
    assert motion.fps == 1
    np.testing.assert_array_equal(motion.weights, [[0.5], [1]])


def test_recorded_tables(shared_dir: Path) -> None:
    files = sorted((shared_dir / "data/motion/mediapipe_from_video").glob("*.csv"))
    assert files
    for file in files:
        motion = load_motion(file)
        assert (motion.fps, motion.frames) == (25, 75)
        assert set(motion.names) == set(ARKIT_NAMES) - {"tongueOut"}
        assert np.abs(motion.inputs["head_pose"]).max() < 0.6


# ---- JSON, npy, npz, clips ----


def lam(frames: int = 4, **extra: Any) -> dict[str, Any]:
    made = [{"weights": [i / 10, 0.5], "time": i / 30, "rotation": []} for i in range(frames)]
    return {"names": ["jawOpen", "eyeBlink_L"], "frames": made, **extra}


def test_lam_json(tmp_path: Path) -> None:
    head = [[0, 0, 0.1 * i] for i in range(4)]
    text = json.dumps(lam(head_pose=head))
    (tmp_path / "take.json.gz").write_bytes(gzip.compress(text.encode()))
    for file in (write(tmp_path / "take.json", text), tmp_path / "take.json.gz"):
        motion = load_motion(file)
        assert motion.fps == 30
        assert motion.names == ("jawOpen", "eyeBlinkLeft")
        np.testing.assert_allclose(motion.weights[:, 0], [0, 0.1, 0.2, 0.3], atol=1e-7)
        np.testing.assert_allclose(motion.inputs["head_pose"], head, atol=1e-7)


def test_json_rates(tmp_path: Path, tiny: talksplat.Avatar) -> None:
    untimed = {"names": ["jawOpen"], "frames": [{"weights": [0]}, {"weights": [1]}]}
    file = write(tmp_path / "take.json", json.dumps(untimed))
    assert load_motion(file).fps == 25
    assert load_motion(file, tiny).fps == tiny.fps
    assert load_motion(file, tiny, fps=50).fps == 50
    stated = write(tmp_path / "stated.json", json.dumps({**untimed, "metadata": {"fps": 24}}))
    assert load_motion(stated, tiny).fps == 24


def test_recorded_json(shared_dir: Path) -> None:
    motion = load_motion(shared_dir / "data/motion/lam_test_expression_1s.json.gz")
    assert (motion.fps, motion.frames, len(motion.names)) == (30, 973, 52)
    assert motion.inputs["head_pose"].shape == (973, 3)


def test_npy_in_apples_order(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).uniform(0, 1, (6, 52))
    for name, array in (("c.npy", rows), ("fortran.npy", np.asfortranarray(rows)), ("f4.npy", rows.astype("<f4"))):
        np.save(tmp_path / name, array)
        motion = load_motion(tmp_path / name, fps=60)
        assert motion.names == ARKIT_NAMES
        np.testing.assert_allclose(motion.weights, rows, atol=1e-6)


def test_npy_with_names(tmp_path: Path) -> None:
    np.save(tmp_path / "take.npy", np.array([[0.25, 0.75]]))
    assert load_motion(tmp_path / "take.npy", names=["jawOpen", "mouthClose"]).names == ("jawOpen", "mouthClose")
    write(tmp_path / "take.names.txt", "JawOpen\nbrowInnerUp\n")
    assert load_motion(tmp_path / "take.npy").names == ("jawOpen", "browInnerUp")


def test_recorded_npy_of_another_rig_is_refused_by_name(shared_dir: Path) -> None:
    folder = shared_dir / "data/motion/facegood"
    with pytest.raises(
        MotionInvalid, match=re.escape("must be [T,52], one column per name; got [1472,116]".replace(",116", ", 116"))
    ):
        load_motion(folder / "bs_value_1114_3_15.npy")
    names = [f"rig_{i}" for i in range(116)]
    with pytest.raises(MotionInvalid, match="not the name of a weight: rig_0, rig_1"):
        load_motion(folder / "bs_value_1114_3_15.npy", names=names)


def flame_parameters(frames: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    sizes = {"expr": 100, "rotation": 3, "neck_pose": 3, "jaw_pose": 3, "eyes_pose": 6, "translation": 3}
    return {name: rng.normal(size=(frames, size)).astype(np.float32) for name, size in sizes.items()}


def test_flame_parameters(tmp_path: Path) -> None:
    params = flame_parameters()
    fixed = {
        "shape": np.zeros(300, np.float32),
        "static_offset": np.zeros((1, 5, 3)),
        "dynamic_offset": np.zeros((3, 5, 3)),
    }
    np.savez(tmp_path / "flame_param.npz", **params, **fixed)
    motion = load_motion(tmp_path / "flame_param.npz")
    assert motion.fps == 25
    assert set(motion.inputs) == set(params)
    for name, rows in params.items():
        np.testing.assert_array_equal(motion.inputs[name], rows)


def test_golden_flame_parameters(shared_dir: Path) -> None:
    motion = load_motion(shared_dir / "golden/flame/a_ckpt/flame_param.npz", fps=30)
    assert (motion.fps, motion.frames, motion.inputs["expr"].shape) == (30, 4, (4, 100))


def test_clips(tiny: talksplat.Avatar) -> None:
    talk = load_motion("clip:talk", tiny)
    assert (talk.fps, talk.frames, len(talk.names)) == (30, 10, 52)
    np.testing.assert_array_equal(talk.weights[:, talk.names.index("jawOpen")], TALK)
    turn = load_motion("clip:turn", tiny)
    assert turn.fps == 25
    assert not turn.names
    assert load_motion("clip:turn", tiny, fps=50).fps == 50


def test_whatever_has_inputs_can_be_driven(tmp_path: Path) -> None:
    """Motion needs no avatar file: a caller's own puppet does."""

    strings = Input("strings", 2, "blendshape", np.zeros(2, np.float32), 0, ("l", "r"))
    wave_clip = Clip("wave", 24.0, 3, ("strings",))
    rows = {("wave", "strings"): np.arange(6, dtype=np.float32).reshape(3, 2)}
    puppet: Any = SimpleNamespace(
        name="puppet",
        fps=12.0,
        inputs={"strings": strings},
        clips={"wave": wave_clip},
        clip_rows=lambda clip, name: rows[clip, name],
    )
    wave = load_motion("clip:wave", puppet)
    assert (wave.fps, wave.names) == (24, ("l", "r"))
    np.testing.assert_array_equal(wave.weights[:, 1], [1, 3, 5])
    table = load_motion(write(tmp_path / "pull.csv", "r,l\n1,0\n0,1\n"), puppet)
    assert (table.fps, table.names) == (12, ("r", "l"))
    with pytest.raises(MotionInvalid, match=r"puppet has no clip 'bow'\. Its clips: wave\."):
        load_motion("clip:bow", puppet)


# ---- resampling ----


def test_resampling_keeps_the_ends_and_the_duration() -> None:
    motion = Motion(30, np.linspace(0, 1, 31, dtype=np.float32)[:, None], ("jawOpen",))
    for fps, frames in ((60, 61), (25, 26), (24, 25), (10, 11), (30, 31), (29.97, 30)):
        again = motion.resample(fps)
        assert (again.fps, again.frames) == (fps, frames)
        np.testing.assert_allclose(again.weights[:, 0], np.arange(frames) / fps, atol=1e-6)
    assert motion.resample(30) is motion
    assert Motion(30, np.ones((1, 1)), ("jawOpen",)).resample(60).frames == 1


def test_rotations_are_interpolated_as_rotations() -> None:
    """Through the wrap at π, where the numbers jump and the head must not."""
    turn = np.array([[0, math.pi - 0.1, 0], [0, -(math.pi - 0.1), 0]], np.float32)
    halfway = Motion(1, inputs={"head_pose": turn}).resample(2).inputs["head_pose"][1]
    np.testing.assert_allclose(matrix_of(halfway), rotation_matrix(1, math.pi), atol=1e-6)
    eyes = np.array([[0, 0, 0, 0, 0, 0], [0.2, 0, 0, 0, 0.4, 0]], np.float32)
    halfway = Motion(1, inputs={"eyes_pose": eyes}).resample(2).inputs["eyes_pose"][1]
    np.testing.assert_allclose(halfway, [0.1, 0, 0, 0, 0.2, 0], atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=6, max_size=6), st.floats(0, 1))
def test_rotation_formulas(numbers: list[float], t: float) -> None:
    a, b = np.array(numbers[:3]), np.array(numbers[3:])
    np.testing.assert_allclose(matrix_of(axis_angle_from_quat(quat_from_matrix(matrix_of(a)))), matrix_of(a), atol=1e-7)
    between = matrix_of(slerp_axis_angle(a, b, np.array(t)))
    np.testing.assert_allclose(between @ between.T, np.eye(3), atol=1e-7)
    whole = np.arccos(np.clip((np.trace(matrix_of(a).T @ matrix_of(b)) - 1) / 2, -1, 1))
    part = np.arccos(np.clip((np.trace(matrix_of(a).T @ between) - 1) / 2, -1, 1))
    if whole < 3.1:  # beyond it either way round is as short
        assert part == pytest.approx(t * whole, abs=1e-5)


def test_repr_is_short() -> None:
    motion = Motion(30, np.zeros((9, 1)), ("jawOpen",), {"head_pose": np.zeros((9, 3))})
    assert repr(motion) == "Motion(9 frames at 30 fps, 1 weights, head_pose)"
    assert motion.seconds == 0.3


# ---- fitting an avatar ----


def test_fit_fills_in_defaults_and_reports_what_is_ignored(tiny: talksplat.Avatar) -> None:
    motion = Motion(
        30, np.array([[0.5, 0.25, 0]]), ("jawOpen", "browInnerUp", "tongueOut"), {"head_pose": np.array([[0, 0.1, 0]])}
    )
    controls, ignored = fit_motion(motion, tiny)
    assert set(controls) == {"arkit", "head_pose"}
    assert controls["arkit"].shape == (1, 52)
    assert controls["arkit"][0, tiny.inputs["arkit"].index["jawOpen"]] == 0.5
    assert controls["arkit"].sum() == 0.75
    assert ignored == ("browInnerUp",)  # its rig has no such shape


def test_fit_errors(tiny: talksplat.Avatar) -> None:
    with pytest.raises(MotionInvalid, match=r'motion: tiny has no input jawOpne\. Did you mean "jawOpen"\? It takes:'):
        fit_motion(Motion(30, np.zeros((1, 1)), ("jawOpne",)), tiny)
    with pytest.raises(
        MotionInvalid, match=r"motion: tiny has no input expr\. It takes: arkit, head_pose, translation"
    ):
        fit_motion(Motion(30, inputs={"expr": np.zeros((1, 10))}), tiny)
    with pytest.raises(MotionInvalid, match="translation has 2 values a frame, but tiny takes 3"):
        fit_motion(Motion(30, inputs={"translation": np.zeros((1, 2))}), tiny)


# ---- Motion's own contract ----

WRONG_MOTIONS: list[tuple[dict[str, Any], str]] = [
    ({"fps": 0}, "Motion: fps must be in (0, 1000]; got 0."),
    ({"fps": "fast"}, "Motion: fps must be a number, finite; got 'fast'."),
    ({"weights": np.zeros(3)}, "Motion: weights must be [T,size]; got [3]."),
    ({"weights": np.zeros((2, 2))}, "Motion: weights must be [T,1] (from names); got [2,2]."),
    ({"weights": np.array([[math.nan]])}, "Motion: weights must be finite; got nan at [0, 0]."),
    ({"names": ("a", "a"), "weights": np.zeros((1, 2))}, "Motion: names must differ; a is there twice."),
    ({"weights": np.zeros((0, 1))}, "equally many frames, at least one; got {'weights': 0}."),
    ({"names": (), "weights": np.zeros((0, 0))}, "equally many frames, at least one; got {}."),
    ({"inputs": {"expr": np.zeros((2, 3))}}, "got {'weights': 1, 'expr': 2}."),
    ({"inputs": {"jaw_pose": np.zeros((1, 2))}}, "Motion: jaw_pose must be [T,3·joints]; got [1,2]."),
]


@pytest.mark.parametrize(("changes", "message"), WRONG_MOTIONS)
def test_wrong_motions(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Motion(**{"fps": 30, "weights": np.zeros((1, 1)), "names": ("jawOpen",), **changes})
