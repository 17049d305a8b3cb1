# SPDX-License-Identifier: Apache-2.0
"""Avatars whose networks hear features: driven by the built-in voice, by other encoders, action units and cameras."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from runtime.heard import UNITS, program, restated, windows, write
from talksplat import Camera, Motion, MotionInvalid
from talksplat.arkit import ARKIT_NAMES
from talksplat.audio import open_audio
from talksplat.camera_track import UNITS as CAMERA_UNITS
from talksplat.cli import main
from talksplat.motions import fit_motion
from talksplat.speech import Hearing, builtin_voice

BEFORE, AFTER, RATE = 4, 3, 16000
SIZE = (24, 24)
FEATURES = json.loads(builtin_voice().manifest)["features"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("driving")


@pytest.fixture(scope="module")
def voiced_path(folder: Path) -> Path:
    """As EmbedTalk, TalkingGaussian: hears the built-in voice, is told action units, turns its head."""
    made = program(BEFORE + 1 + AFTER, builtin_voice().n_features, 1, BEFORE, ("au",))
    return write(folder / "voiced.tsplat", FEATURES, made, head=True)


@pytest.fixture(scope="module")
def voiced(voiced_path: Path) -> talksplat.Avatar:
    return talksplat.load(voiced_path, threads=1)


@pytest.fixture(scope="module")
def deaf_path(folder: Path) -> Path:
    """As GaussianTalker: hears DeepSpeech, is told an eye and where it is seen from."""
    made = program(BEFORE + 1 + AFTER, 29, 16, BEFORE, ("eye", "camera"))
    return write(folder / "deaf.tsplat", "deepspeech", made, "gaussian-talker", head=True)


@pytest.fixture(scope="module")
def deaf(deaf_path: Path) -> talksplat.Avatar:
    return talksplat.load(deaf_path, threads=1)


def sound(seconds: float = 1.5) -> np.ndarray:
    t = np.arange(int(seconds * RATE))
    return (0.3 * np.sin(0.05 * t) * np.sin(0.0007 * t)).astype(np.float32)


def features(frames: int = 12, length: int = 16, channels: int = 29) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(frames, length, channels)).astype(np.float32)


def controls(avatar: talksplat.Avatar, monkeypatch: pytest.MonkeyPatch, *args: Any, **options: Any) -> np.ndarray:
    """What render() draws, [T,n_control]."""
    from talksplat import drawing

    seen: list[np.ndarray] = []
    plain = drawing.Drawing.frame

    def frame(self: Any, control: np.ndarray, *rest: Any) -> Any:
        seen.append(control.copy())
        return plain(self, control, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(drawing.Drawing, "frame", frame)
        for _ in avatar.render(*args, size=SIZE, **options):
            pass
    return np.stack(seen)


def part(avatar: talksplat.Avatar, rows: np.ndarray, name: str) -> np.ndarray:
    return rows[:, avatar.inputs[name].columns]


# ---- the built-in voice ----


def test_voice_fills_the_window(voiced: talksplat.Avatar, monkeypatch: pytest.MonkeyPatch) -> None:
    assert voiced.speaks and voiced.takes_faces
    assert voiced.info["look_ahead_s"] == pytest.approx(AFTER / 25)
    heard = talksplat.motion(sound(), 25, sample_rate=RATE, seed=5)
    rows = controls(voiced, monkeypatch, sound(), sample_rate=RATE, seed=5)
    assert len(rows) == heard.frames
    wanted = windows(heard.features[:, None, :], BEFORE, AFTER)
    np.testing.assert_array_equal(part(voiced, rows, "audio"), wanted)
    np.testing.assert_array_equal(part(voiced, rows, "head_pose"), heard.inputs["head_pose"])
    au, face = part(voiced, rows, "au"), dict(zip(heard.names, heard.weights.T, strict=True))
    np.testing.assert_allclose(au[:, 0], 4 * face["browInnerUp"], atol=1e-6)
    np.testing.assert_allclose(au[:, 5], face["eyeBlinkLeft"] + face["eyeBlinkRight"], atol=1e-6)
    assert au[:, 5].max() > 1


def test_streams_in_odd_pieces_are_the_same(voiced: talksplat.Avatar) -> None:
    def heard(step: int) -> np.ndarray:
        hearing = Hearing("test", voiced.engine, open_audio("test", sound(), RATE), 25, 0, 1, 1, 1, None)
        stream = hearing._speech
        rows = []
        for start in range(0, len(sound()), step):
            stream.push(sound()[start : start + step])
            rows.append(stream.read_control(voiced._core))
        stream.finish()
        return np.concatenate([*rows, stream.read_control(voiced._core)])

    whole = heard(len(sound()))
    for step in (333, 1601, 9000):
        np.testing.assert_array_equal(heard(step), whole)


def test_frames_have_the_whole_sound_and_move(voiced: talksplat.Avatar) -> None:
    frames = list(voiced.render(sound(), size=SIZE, sample_rate=RATE))
    np.testing.assert_array_equal(np.concatenate([frame.audio for frame in frames if frame.audio is not None]), sound())
    assert len({frame.image.tobytes() for frame in frames}) > 10


def test_a_stream_has_the_avatar_s_rate(voiced: talksplat.Avatar) -> None:
    with pytest.raises(ValueError, match="frames at 25 fps; got a stream of 30"):
        voiced.render(sound(), 30, sample_rate=RATE)


def test_another_voice_does_not_fit(folder: Path) -> None:
    made = program(3, builtin_voice().n_features + 1, 1, 1, ("au",))
    other = talksplat.load(write(folder / "other.tsplat", FEATURES, made), threads=1)
    with pytest.raises(ValueError, match=r'"audio" of this avatar takes \d+ channels of length 1 a frame'):
        other.render(sound(), sample_rate=RATE)


def test_an_encoder_that_is_not_built_in(deaf: talksplat.Avatar) -> None:
    assert not deaf.speaks and deaf.takes_faces
    with pytest.raises(MotionInvalid) as caught:
        deaf.render(sound(), sample_rate=RATE)
    said = str(caught.value)
    assert "features of deepspeech" in said and "[F,16,29]" in said
    assert "--features FILE.npy" in said and "features= in Python" in said


# ---- motions of faces ----


def test_a_face_moves_brows_lids_and_head(deaf: talksplat.Avatar, voiced: talksplat.Avatar) -> None:
    names = ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "browInnerUp", "mouthClose")
    weights = np.array([[0.5, 1.0, 0.25, 0.5, 0.0]] * 3, np.float32)
    motion = Motion(25, weights, names, {"head_pose": np.full((3, 3), 0.125, np.float32)})
    fitted = fit_motion(motion, deaf)
    assert set(fitted.controls) == {"eye", "head_pose"}
    np.testing.assert_array_equal(fitted.controls["eye"], np.full((3, 1), 0.75, np.float32))
    assert fitted.ignored == ("jawOpen", "browInnerUp")
    fitted = fit_motion(motion, voiced)
    assert set(fitted.controls) == {"au", "head_pose"}
    np.testing.assert_array_equal(fitted.controls["au"][0], [2, 0.5, 0.5, 0.5, 0.5, 1.5])  # defaults of the rest
    assert fitted.ignored == ("jawOpen",)
    pictures = [frame.image for frame in voiced.render_motion(motion, size=SIZE)]
    assert not np.array_equal(pictures[0], voiced.render_frame({}, size=SIZE).image)


def test_elements_by_name(voiced: talksplat.Avatar) -> None:
    assert voiced.inputs["au"].names == UNITS and voiced.inputs["au"].absent == ()
    assert voiced.inputs["audio"].window == (BEFORE, AFTER, builtin_voice().n_features, 1)
    assert voiced.inputs["au"].window is None
    one, row = voiced.gaussians({"au": {"AU45": 2}}), np.full(6, 0.5)  # the others keep their default
    row[5] = 2
    np.testing.assert_array_equal(one.mean, voiced.gaussians({"au": row}).mean)


# ---- features ----


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_features_fill_the_window(
    deaf: talksplat.Avatar, tmp_path: Path, dtype: str, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.array(features(), dtype, order=order)
    np.save(tmp_path / "aud_ds.npy", rows)
    got = controls(deaf, monkeypatch, features=tmp_path / "aud_ds.npy")
    np.testing.assert_array_equal(part(deaf, got, "audio"), windows(rows, BEFORE, AFTER))
    np.testing.assert_array_equal(got, controls(deaf, monkeypatch, features=rows))


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 8, 40])
@pytest.mark.parametrize(("before", "after"), [(4, 3), (0, 0), (0, 9), (11, 0)])
def test_windows_at_the_borders(
    folder: Path, before: int, after: int, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / f"w{before}_{after}.tsplat"
    if not path.exists():
        write(path, "hubert", program(before + 1 + after, 5, 2, before, ("eye",)))
    avatar = talksplat.load(path, threads=1)
    rows = features(frames, 2, 5)
    got = controls(avatar, monkeypatch, features=rows)
    np.testing.assert_array_equal(part(avatar, got, "audio"), windows(rows, before, after))


def test_features_with_one_step_a_frame(voiced: talksplat.Avatar, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = features(6, 1, builtin_voice().n_features)
    got = controls(voiced, monkeypatch, features=rows[:, 0])
    np.testing.assert_array_equal(part(voiced, got, "audio"), windows(rows, BEFORE, AFTER))
    np.testing.assert_array_equal(got, controls(voiced, monkeypatch, features=rows))


def test_without_a_sound_the_face_rests_and_blinks(deaf: talksplat.Avatar, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = features(300)
    frames = [frame.audio for frame in deaf.render(features=rows[:3], size=SIZE)]
    assert frames == [None] * 3
    got = controls(deaf, monkeypatch, features=rows, seed=1)
    eye, head = part(deaf, got, "eye"), part(deaf, got, "head_pose")
    assert eye.max() == pytest.approx(1, abs=0.1) and eye.min() == 0
    assert 0 < np.abs(head).max() < 0.2
    assert not np.array_equal(part(deaf, controls(deaf, monkeypatch, features=rows, seed=2), "eye"), eye)
    assert not part(deaf, controls(deaf, monkeypatch, features=rows, blink=0.0, head=0.0), "eye").any()


@pytest.mark.parametrize("extra", [-5, 0, 5])
def test_the_shorter_of_sound_and_features(deaf: talksplat.Avatar, extra: int) -> None:
    count = 20
    samples = sound((count + extra) / 25)
    frames = list(deaf.render(samples, features=features(count), size=SIZE, sample_rate=RATE))
    assert len(frames) == min(count, count + extra)
    heard = np.concatenate([frame.audio for frame in frames if frame.audio is not None])
    np.testing.assert_array_equal(heard, samples[: count * RATE // 25])


def test_features_that_do_not_fit(deaf: talksplat.Avatar, tiny: talksplat.Avatar, tmp_path: Path) -> None:
    infinite = features()
    infinite[7, 3, 2] = np.nan
    for wrong, message in (
        (features(12, 2, 1024), r"must be [F,16,29], as the avatar's input audio takes them; got [12,2,1024]."),
        (features().swapaxes(1, 2), "got [12,29,16]. Are channels before length? Swap the last two axes."),
        (features()[0], "got [16,29]."),
        (features(0), "must have 1 to"),
        (infinite, "frame 7 has nan at [3, 2]"),
        (features().astype(np.float64) * 1e300, "must be finite numbers of float32"),
        (np.array([["a"]]), "must hold real numbers; got dtype <U1"),
        ([[1], [1, 2]], "must be an array of numbers"),
        (tmp_path / "no.npy", "no.npy: no such file."),
        (tmp_path, "is a pipe, a folder or a device"),
    ):
        with pytest.raises(MotionInvalid, match=re.escape(message)):
            deaf.render(features=wrong)
    with pytest.raises(MotionInvalid, match="tiny takes no features of sound"):
        tiny.render(features=features())
    with pytest.raises(ValueError, match="fps must be 25, the avatar's"):
        deaf.render(features=features(), fps=30)
    with pytest.raises(ValueError, match="audio must be a sound, or features, au or cameras be given"):
        deaf.render()


def test_files_of_features_that_are_damaged(deaf: talksplat.Avatar, tmp_path: Path) -> None:
    path = tmp_path / "f.npy"
    np.save(path, features())
    whole = path.read_bytes()
    for data in (b"", whole[:50], whole[:-4], b"PK\3\4" + whole, whole.replace(b"'<f4'", b"'|O' ")):
        path.write_bytes(data)
        with pytest.raises(MotionInvalid, match=re.escape(str(path))):
            deaf.render(features=path)
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(MotionInvalid, match=r"f\.npy: is not a \.npy array of features"):
        deaf.render(features=path)


# ---- action units ----


def openface(path: Path, frames: int = 9, columns: tuple[str, ...] = UNITS) -> np.ndarray:
    """A table as OpenFace's, with intensities [frames,len(columns)], beyond 2 too."""
    values = np.random.default_rng(2).uniform(0, 5, (frames, len(columns))).round(2)
    header = ", ".join(["frame, face_id, timestamp, confidence, success", *(f"{name}_r" for name in columns), "AU45_c"])
    rows = [
        ", ".join([f"{i + 1}, 0, {i / 25:.3f}, 0.98, 1", *(f"{x:.2f}" for x in row), "1.00"])
        for i, row in enumerate(values)
    ]
    path.write_text("\n".join([header, *rows, ""]))
    return values.astype(np.float32)


def test_action_units_of_talking_gaussian(
    voiced: talksplat.Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = openface(tmp_path / "au.csv")
    assert values[:, 5].max() > 2
    got = controls(voiced, monkeypatch, sound(), sample_rate=RATE, au=tmp_path / "au.csv")
    assert len(got) == 9  # of the shorter
    wanted = values.copy()
    wanted[:, 5] = np.minimum(values[:, 5], 2)  # clipped, and not halved
    np.testing.assert_array_equal(part(voiced, got, "au"), wanted)
    plain = controls(voiced, monkeypatch, sound(), sample_rate=RATE)[:9]
    np.testing.assert_array_equal(part(voiced, got, "audio"), part(voiced, plain, "audio"))
    np.testing.assert_array_equal(part(voiced, got, "head_pose"), part(voiced, plain, "head_pose"))
    arrays = {f"{name.lower()}_R": values[:, i] for i, name in enumerate(UNITS)}
    np.testing.assert_array_equal(controls(voiced, monkeypatch, sound(), sample_rate=RATE, au=arrays), got)


def test_action_units_of_gaussian_talker(
    deaf: talksplat.Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = openface(tmp_path / "au.csv", columns=("AU45",))
    got = controls(deaf, monkeypatch, features=features(20), au=tmp_path / "au.csv")
    np.testing.assert_array_equal(part(deaf, got, "eye"), np.clip(values, 0, 2) / 2)
    assert len(got) == 9
    alone = controls(deaf, monkeypatch, au=tmp_path / "au.csv")  # in silence, which has no features
    np.testing.assert_array_equal(part(deaf, alone, "eye"), part(deaf, got, "eye"))
    assert not part(deaf, alone, "audio").any()


def test_action_units_that_do_not_fit(voiced: talksplat.Avatar, tiny: talksplat.Avatar, tmp_path: Path) -> None:
    path = tmp_path / "au.csv"
    openface(path, columns=("AU01", "AU45"))
    with pytest.raises(MotionInvalid, match=r"au\.csv: lacks AU04, AU05, AU06, AU07, which test is told"):
        voiced.render(au=path)
    openface(path)
    whole = path.read_text()
    for text, message in (
        (whole.replace(", 0.98, 1, ", ", 0.98, 1, nan", 1), "column AU01_r must be a finite number; got 'nan"),
        (whole.rstrip() + "\n11, 0\n", "row 11, column AU01_r must be a finite number; got ''"),
        (whole.split("\n")[0], "has no row below its header"),
        ("frame, AU45_c\n1, 1\n", "has no column of an action unit"),
    ):
        path.write_text(text)
        with pytest.raises(MotionInvalid, match=re.escape(message)):
            voiced.render(au=path)
    with pytest.raises(MotionInvalid, match="no such file"):
        voiced.render(au=tmp_path / "no.csv")
    with pytest.raises(MotionInvalid, match="tiny is told no action units"):
        tiny.render(au=path)
    rows = {name: np.zeros(3) for name in UNITS}
    for wrong, message in (
        ({**rows, "AU45": np.zeros(2)}, "equally many frames"),
        ({**rows, "AU45": np.array([0, np.inf, 0])}, "au: AU45 must be finite"),
        ({**rows, "AU45": np.zeros((3, 1))}, "AU45 must be [F]"),
        ({**rows, "jawOpen": np.zeros(3)}, "names like AU45 or AU45_r; got 'jawOpen'"),
        (5, "must be a .csv file, or arrays by name; got int"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            voiced.render(au=wrong)


# ---- cameras ----


def poses(frames: int) -> np.ndarray:
    """[F,4,4] world_from_cam in OpenGL's axes: cameras before the face that turn about it."""
    out = np.tile(np.eye(4), (frames, 1, 1))
    for i, angle in enumerate(np.linspace(-0.3, 0.3, frames)):
        c, s = np.cos(angle), np.sin(angle)
        out[i, :3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
        out[i, :3, 3] = 2 * out[i, :3, 2]
    return out


def transforms(path: Path, matrices: np.ndarray, **keys: Any) -> Path:
    frames = [{"img_id": i, "transform_matrix": pose.tolist()} for i, pose in enumerate(matrices)]
    path.write_text(json.dumps({"focal_len": 100.0, "cx": 64.0, "cy": 48.0, **keys, "frames": frames}))
    return path


def camera_of(pose: np.ndarray, unit: float, width: int, height: int) -> Camera:
    """By the methods' own code: columns 1 and 2 negated, inverted; focal_len is of pictures 96 high."""
    world_from_cam = pose.copy()
    world_from_cam[:3, 1:3] *= -1
    world_from_cam[:3, 3] *= unit
    focal = 100 * height / 96
    return Camera(np.linalg.inv(world_from_cam), focal, focal, width / 2, height / 2)


@pytest.mark.parametrize("size", [(24, 24), (32, 18)])
def test_cameras_of_a_training(voiced: talksplat.Avatar, tmp_path: Path, size: tuple[int, int]) -> None:
    path = transforms(tmp_path / "transforms_val.json", poses(5))
    for frame, pose in zip(voiced.render(cameras=path, size=size), poses(5), strict=True):
        camera = camera_of(pose, 1, *size)
        # Two cameras of float32 that came another way differ in the last bit.
        assert frame.image.std() > 1
        assert frame.audio is None
        wanted = next(iter(voiced.render(cameras=[camera] * 5, size=size))) if frame.index == 0 else None
        if wanted is not None:
            assert np.abs(frame.image.astype(int) - wanted.image).max() <= 2


def test_cameras_are_scaled_as_the_method_was_trained(
    deaf: talksplat.Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from talksplat.camera_track import CameraTrack

    path = transforms(tmp_path / "transforms.json", poses(3))
    for method, unit in (("gaussian-talker", 10.0), ("talking-gaussian", 1.0), ("embedtalk", 1.0)):
        track = CameraTrack("test", path, {**deaf.manifest, "method": method})
        got, wanted = track.at(1, 40, 30), camera_of(poses(3)[1], unit, 40, 30)
        np.testing.assert_allclose(got.cam_from_world, wanted.cam_from_world, atol=1e-5)
        assert (got.fx, got.fy, got.cx, got.cy) == pytest.approx((wanted.fx, wanted.fy, wanted.cx, wanted.cy))
    # A head that is followed by the camera does not turn as well.
    got_rows = controls(deaf, monkeypatch, features=features(), cameras=path)
    assert len(got_rows) == 3 and not part(deaf, got_rows, "head_pose").any()
    moving = controls(deaf, monkeypatch, features=features())
    assert part(deaf, moving, "head_pose").any()


def test_units_of_cameras_are_those_of_the_importers() -> None:
    from talksplat.authoring.methods.embed_talk import importer as embed_talk
    from talksplat.authoring.methods.gaussian_talker import importer as gaussian_talker
    from talksplat.authoring.methods.talking_gaussian import importer as talking_gaussian

    assert CAMERA_UNITS.get("gaussian-talker", 1.0) == gaussian_talker.TRANSFORMS_UNIT
    assert CAMERA_UNITS.get("embedtalk", 1.0) == embed_talk.TRANSFORMS_UNIT
    assert CAMERA_UNITS.get("talking-gaussian", 1.0) == talking_gaussian.TRANSFORMS_UNIT


def test_a_list_of_cameras(tiny: talksplat.Avatar) -> None:
    camera = Camera(np.diag([1, -1, -1, 1]) + np.eye(4, k=1) * 0, 80, 80, 32, 24)
    away = [Camera(camera.cam_from_world + np.outer([0, 0, z, 0], [0, 0, 0, 1]), 80, 80, 32, 24) for z in (4, 5, 6)]
    frames = list(tiny.render(sound(), sample_rate=RATE, cameras=away, head=0, blink=0, seed=3))
    assert len(frames) == 3
    for frame, one in zip(frames, away, strict=True):
        alone = next(iter(tiny.render(sound(0.01), sample_rate=RATE, cameras=[one], head=0, blink=0)))
        if frame.index == 0:
            np.testing.assert_array_equal(frame.image, alone.image)
    sizes = [int((frame.image[..., 0] > 128).sum()) for frame in frames]
    assert sizes[0] > sizes[1] > sizes[2]


def test_cameras_that_are_none(voiced: talksplat.Avatar, tmp_path: Path) -> None:
    path = tmp_path / "transforms.json"
    mirrored, stretched = poses(2), poses(2)
    mirrored[1, :, 0] *= -1
    stretched[0, :3, :3] *= 1.1
    for matrices, keys, message in (
        (mirrored, {}, "frame 1: transform_matrix must be a rotation and a translation"),
        (stretched, {}, "frame 0: transform_matrix must be a rotation and a translation"),
        (poses(2)[:, :3], {}, "frame 0 must have a transform_matrix"),
        (np.full((2, 4, 4), np.inf), {}, "frame 0 must have a transform_matrix"),
        (poses(2)[:0], {}, "must have 1 to"),
        (poses(2), {"focal_len": 0}, "its lens must be of a picture"),
        (poses(2), {"focal_len": None}, "focal_len must have cx and cy beside it"),
    ):
        transforms(path, matrices, **keys)
        with pytest.raises(MotionInvalid, match=re.escape(message)):
            voiced.render(cameras=path)
    for text in ("[]", "{}", "{", '{"frames": 5}', '{"frames": [{}]}'):
        path.write_text(text)
        with pytest.raises(MotionInvalid, match=re.escape(str(path))):
            voiced.render(cameras=path)
    for wrong, message in (([], "got none"), ([1], "got int"), (5, "got int")):
        with pytest.raises(ValueError, match=message):
            voiced.render(cameras=wrong)
    camera = camera_of(poses(1)[0], 1, 24, 24)
    with pytest.raises(ValueError, match="camera and cameras both say where it is seen from"):
        voiced.render(cameras=[camera], camera=camera)


# ---- the command line ----


def test_inspect_says_what_drives_it(deaf_path: Path, voiced_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, parts in (
        (deaf_path, ("speech by features of deepspeech: --features", "driven by action units (--au), head pose")),
        (voiced_path, ("speech by the built-in voice", "driven by action units (--au), head pose")),
    ):
        assert main(["inspect", str(path)]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        for said in parts:
            assert said in shown


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    try:
        code: Any = main([*map(str, arguments)])
    except SystemExit as ended:
        code = ended.code
    return code, capsys.readouterr().err


def test_the_command_line_drives_it(
    deaf_path: Path, voiced_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "aud_ds.npy", features(10))
    openface(tmp_path / "au.csv", 12)
    transforms(tmp_path / "transforms.json", poses(8))
    tracks = ("--au", tmp_path / "au.csv", "--camera-track", tmp_path / "transforms.json")
    end = ("--size", "16x16", "-o", tmp_path / "f/%03d.png")
    code, said = run(capsys, "render", deaf_path, "--features", tmp_path / "aud_ds.npy", *tracks, "--seed", "3", *end)
    assert code == 0, said
    assert "aud_ds.npy 10" in said and "au.csv 12" in said and "the first 8 are drawn" in said
    assert len(list((tmp_path / "f").glob("*.png"))) == 8
    code, said = run(capsys, "render", voiced_path, "sample", *tracks, "-o", tmp_path / "out.mp4", "--size", "16x16")
    assert code == 0 and "AUDIO" in said and "the first 8 are drawn" in said, said
    code, said = run(capsys, "render", deaf_path, "sample", *end)
    assert code == 1 and "features of deepspeech" in said and "--features FILE.npy" in said
    code, said = run(capsys, "render", deaf_path, "--features", tmp_path / "aud_ds.npy", "--fps", "30", *end)
    assert code != 0 and "fps must be 25" in said
    code, said = run(capsys, "render", deaf_path, "--features", tmp_path / "aud_ds.npy", "-o", tmp_path / "aud_ds.npy")
    assert code != 0


def test_a_face_file_on_the_command_line(voiced_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = np.zeros((3, len(ARKIT_NAMES)), np.float32)
    weights[:, ARKIT_NAMES.index("jawOpen")] = weights[:, ARKIT_NAMES.index("eyeBlinkLeft")] = 0.5
    Motion(25, weights, ARKIT_NAMES).save(tmp_path / "face.csv")
    code, said = run(capsys, "render", voiced_path, "--motion", tmp_path / "face.csv", "--size", "16x16", "-o",
                     tmp_path / "f/%03d.png")  # fmt: skip
    assert code == 0 and "note: this avatar has no use for jawOpen" in said, said


def test_rates_that_a_face_cannot_have(folder: Path) -> None:
    made = program(3, 29, 16, 1, ("eye",))
    slow = talksplat.load(restated(write(folder / "slow.tsplat", "deepspeech", made), fps=15.0), threads=1)
    with pytest.raises(ValueError, match="fps must be 20 to 60; got 15"):
        slow.render(features=features())
