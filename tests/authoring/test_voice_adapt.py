# SPDX-License-Identifier: Apache-2.0
"""Adaptation of a voice to a person, on persons that are made by hand: what they do is known."""

import csv
import importlib.util
import sys
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from runtime.command import Output, fails
from talksplat import _core
from talksplat._assets import VOICE
from talksplat.arkit import ARKIT_NAMES
from talksplat.authoring.voice import adapt as fit
from talksplat.authoring.voice import heads, tracker
from talksplat.authoring.voice.export import random_voice, read_voice, tower, write_voice
from talksplat.cli import main

FPS = 25.0
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed: pip install 'talksplat[adapt]'"
)
JAW, PUCKER = ARKIT_NAMES.index("jawOpen"), ARKIT_NAMES.index("mouthPucker")


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """40 s of speech: the built-in sentence over and over."""
    said, rate_hz = talksplat.load_audio("sample")
    once = fit.resample(said, rate_hz, 16000)
    return np.resize(once, 40 * 16000).astype(np.float32)


def learn(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    from talksplat.authoring.voice import follow

    monkeypatch.setattr(follow, "FOLLOW", replace(follow.FOLLOW, **changes))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps, at so high a rate that what was known is lost."""
    learn(monkeypatch, steps=3, batch=2, copies=1, rate=0.3)


def weights(voice: Path, samples: np.ndarray) -> np.ndarray:
    """[frames,52] of a voice at FPS, mouth alone."""
    speech = _core.Speech(_core.Engine(1), _core.Voice(str(voice)), 16000, 1, FPS, head=0.0, blink=0.0)
    speech.push(samples)
    speech.finish()
    return speech.read()["weight"].astype(np.float64)


def person(samples: np.ndarray, curves: dict[str, np.ndarray]) -> fit.Tracked:
    return fit.Tracked(samples, FPS, curves, np.ones(len(curves["jawOpen"]), bool))


@needs_torch
@pytest.mark.usefixtures("hasty")
def test_a_known_gain_is_found_again(tmp_path: Path, samples: np.ndarray) -> None:
    usual = weights(VOICE, samples)
    pursed = 1.2 * usual[:, PUCKER]
    assert pursed.max() < 1  # beyond, it would be cut off
    seen = person(samples, {"jawOpen": 0.03 + 0.6 * usual[:, JAW], "mouthPucker": pursed})
    out = tmp_path / "me.voice"
    done = fit.adapt(VOICE, seen, out, "me")
    assert done.gain["jawOpen"] == pytest.approx(0.6, abs=0.02)
    assert done.gain["mouthPucker"] == pytest.approx(1.2, abs=0.05)
    assert done.r_after == done.r_before  # the old rows follow this person
    assert len(read_voice(out)[0]["towers"]) == 1
    adapted = weights(out, samples)
    assert np.abs(adapted[:, JAW] - 0.6 * usual[:, JAW]).max() < 0.03
    assert np.abs(adapted[:, PUCKER] - pursed).max() < 0.05
    # The rest of the face is another's business.
    lips = [i for i, name in enumerate(ARKIT_NAMES) if name.startswith("mouth") or name == "tongueOut"]
    others = [i for i in lips if ARKIT_NAMES[i] not in ("mouthPucker", "mouthClose")]
    np.testing.assert_array_equal(adapted[:, others], usual[:, others])


@pytest.mark.parametrize(("share", "height"), [(0.13, 0.08), (0.04, 0.12), (0.01, 0.9), (0.5, 0.1)])
def test_a_shape_is_drawn_out_to_a_mean_and_a_deviation(share: float, height: float) -> None:
    """Of curves that are 0 but for moments too, as far as a curve that always moves can have them."""
    rng = np.random.default_rng(0)
    raw = rng.normal(0.11, 0.053, 700)
    wanted = np.where(rng.random(700) < share, height, 0.0) + 0.001
    times, more = fit._drawn_out(raw, wanted)
    got = np.clip(times * raw + more, 0, 1)
    assert got.mean() == pytest.approx(wanted.mean(), rel=0.01)
    assert got.std() == pytest.approx(wanted.std(), rel=0.01) or times == pytest.approx(fit.MOST_DRAWN, rel=1e-5)
    assert (times == pytest.approx(fit.MOST_DRAWN, rel=1e-5)) == (height == 0.9)


@needs_torch
@pytest.mark.usefixtures("hasty")
def test_a_shape_that_no_weight_can_be_is_left_alone(tmp_path: Path, samples: np.ndarray) -> None:
    """One that is less in speech than at rest, and one that hardly moves about an offset."""
    usual = weights(VOICE, samples)
    quiet = usual[:, JAW] == 0
    smile = np.where(quiet, 0.6, 0.1 + 0.1 * usual[:, PUCKER])
    offset = np.where(quiet, 0.0, 0.3 + 0.0005 * usual[:, PUCKER])
    for name, curve in (("mouthSmile", smile), ("mouthFunnel", offset)):
        out = tmp_path / f"{name}.voice"
        done = fit.adapt(VOICE, person(samples, {"jawOpen": usual[:, JAW], name: curve}), out, "me")
        assert list(done.gain) == ["jawOpen"], name


@needs_torch
def test_a_person_with_a_manner_is_followed(
    tmp_path: Path, samples: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another row than the voice has: whoever speaks opens the jaw at other sounds. What is not said anew stays."""
    learn(monkeypatch, steps=30, copies=2)
    manifest, tensors = read_voice(VOICE)
    rng = np.random.default_rng(0)
    head = tensors["tower/0/head/weight"].copy()
    head[0] += 1.5 * rng.normal(size=head.shape[1]) * head[0].std()
    bent = tmp_path / "bent.voice"
    write_voice(bent, manifest, {n: t.astype(np.float16) for n, t in (tensors | {"tower/0/head/weight": head}).items()})
    true, usual = (weights(path, samples)[:, JAW] for path in (bent, VOICE))
    assert 0.3 < np.corrcoef(true, usual)[0, 1] < 0.9
    noisy = np.clip(true + rng.normal(0, 0.02, len(true)), 0, 1)
    out = tmp_path / "me.voice"
    done = fit.adapt(VOICE, person(samples, {"jawOpen": noisy}), out, "me")
    assert done.r_after["jawOpen"] > done.r_before["jawOpen"] + 0.05
    adapted = weights(out, samples)[:, JAW]
    assert np.corrcoef(true, adapted)[0, 1] > 0.9
    assert adapted.std() == pytest.approx(true.std(), rel=0.15)
    said, before = (heard(path, samples) for path in (out, VOICE))
    np.testing.assert_array_equal(said["feature"], before["feature"])  # what avatars listen to
    for name, curve in before["channels"].items():
        assert np.array_equal(said["channels"][name], curve) == (name != "jawOpen"), name
    with pytest.raises(ValueError, match=r"must have one tower.*adapted from 'talksplat voice.*begin with that one"):
        fit.adapt(out, person(samples, {"jawOpen": noisy}), tmp_path / "again.voice", "again")


def heard(path: Path, samples: np.ndarray) -> dict[str, Any]:
    voice = _core.Voice(str(path))
    speech = _core.Speech(_core.Engine(1), voice, 16000, 1, 50.0)
    speech.push(samples)
    speech.finish()
    read = speech.read()
    return {
        "feature": read["feature"], "channels": dict(zip(voice.channel_names, read["channel"].T, strict=True))
    }  # fmt: skip


@needs_torch
@pytest.mark.usefixtures("hasty")
def test_the_head_is_the_person_s(tmp_path: Path, samples: np.ndarray) -> None:
    """Of a person whose head goes as the voice's, but half as far down, and twice as far to the side."""
    voice = _core.Voice(str(VOICE))
    curves = {"jawOpen": weights(VOICE, samples)[:, JAW]}
    own = heads.head_of(voice, samples, FPS, 0) * [0.5, 2.0, 1.0]
    seen = fit.Tracked(samples, FPS, curves, np.ones(len(own), bool), own)
    out = tmp_path / "me.voice"
    done = fit.adapt(VOICE, seen, out, "me")
    assert done.head == pytest.approx((0.5, 2.0, 1.0), rel=0.35)  # seeds differ
    assert read_voice(out)[0]["head"] == pytest.approx(done.head, abs=1e-3)
    turned = [np.abs(heads.head_of(_core.Voice(str(path)), samples, FPS, 1)).max(axis=0) for path in (VOICE, out)]
    assert turned[1] / turned[0] == pytest.approx(done.head, rel=0.01)
    fit.adapt(VOICE, person(samples, curves), out, "me")
    assert "head" not in read_voice(out)[0]


@needs_torch
@pytest.mark.usefixtures("hasty")
def test_the_file_tells_where_it_is_from(tmp_path: Path, samples: np.ndarray) -> None:
    usual = weights(VOICE, samples)
    out = tmp_path / "me.voice"
    out.write_bytes(b"what was there")
    fit.adapt(VOICE, person(samples, {"jawOpen": 0.8 * usual[:, JAW]}), out, "Ada")
    assert [path.name for path in tmp_path.iterdir()] == ["me.voice"]
    manifest, _ = read_voice(out)
    base, _ = read_voice(VOICE)
    assert manifest["name"] == "Ada"
    adapted = manifest["provenance"].pop("adapted")
    assert adapted["from"] == base["name"]
    assert adapted["gain"]["jawOpen"] == pytest.approx(0.8, abs=0.02)
    assert manifest["provenance"] == base["provenance"]
    again = tmp_path / "again.voice"
    fit.adapt(out, person(samples, {"jawOpen": usual[:, JAW]}), again, "again")
    assert np.abs(weights(again, samples)[:, JAW] - usual[:, JAW]).max() < 0.03


def curve_of(path: Path, samples: np.ndarray, fps: float) -> np.ndarray:
    """[frames] the voice's jaw, before the gate."""
    voice = _core.Voice(str(path))
    seen = fit.Tracked(samples, fps, {}, np.ones(int(len(samples) / 16000 * fps), bool))
    return np.clip(fit._hear(voice, seen)[0].smooth("jawOpen"), 0, 1)


@needs_torch
@pytest.mark.parametrize(("fps", "late"), [(25.0, 2), (60.0, 4)])
def test_curves_are_learned_at_their_time(
    tmp_path: Path, samples: np.ndarray, monkeypatch: pytest.MonkeyPatch, fps: float, late: int
) -> None:
    """Of a jaw that is `late` frames behind the voice's; what is learned is nearest to it at the same time."""
    from talksplat.authoring.voice.fold import tensors_of
    from talksplat.authoring.voice.follow import follow

    learn(monkeypatch, steps=40, copies=1)
    manifest, tensors = read_voice(VOICE)
    usual = curve_of(VOICE, samples, fps)
    true = np.concatenate([np.zeros(late), usual[:-late]])
    net = follow(manifest, tensors, samples, fps, {"jawOpen": true}, np.ones(len(true)), lambda line: None)
    out = tmp_path / "late.voice"
    new = {name: value.astype(np.float16) for name, value in (tensors | tensors_of([net])).items()}
    write_voice(out, manifest, new)
    got = curve_of(out, samples, fps)
    nearness = {lag: np.corrcoef(got[late : -late or None], np.roll(true, lag)[late:-late])[0, 1]
                for lag in range(-late, late + 1)}  # fmt: skip
    assert abs(max(nearness, key=lambda lag: nearness[lag])) <= (fps == 60), nearness


@needs_torch
def test_frames_without_a_face_teach_nothing(samples: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are the random numbers of others drawn on."""
    import torch

    from talksplat.authoring.voice.follow import follow

    learn(monkeypatch, steps=2, batch=2, copies=1)
    manifest, tensors = read_voice(VOICE)
    curve = curve_of(VOICE, samples, FPS)
    share = np.ones(len(curve))
    share[100:200] = 0
    state = torch.get_rng_state()
    heads = []
    for value in (0.0, 1.0):
        spoiled = curve.copy()
        spoiled[100:200] = value
        net = follow(manifest, tensors, samples, FPS, {"jawOpen": spoiled}, share, lambda line: None)
        heads.append(net.head.weight.detach().numpy().copy())
    np.testing.assert_array_equal(heads[0], heads[1])
    assert not np.array_equal(heads[0], tensors["tower/0/head/weight"])
    assert torch.equal(state, torch.get_rng_state())


@needs_torch
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"look_ahead_steps": 2}, "'odd' has look_ahead_steps 2 instead of 3. Begin with the built-in voice"),
        ({"f_max_hz": 7000.0}, "'odd' has f_max_hz 7000.0 instead of 7600.0"),
    ],
)
def test_voices_that_hear_otherwise_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    manifest, tensors = read_voice(VOICE)
    odd = tmp_path / "odd.voice"
    write_voice(odd, {**manifest, **changes, "name": "odd"}, {n: t.astype(np.float16) for n, t in tensors.items()})  # type: ignore[typeddict-item]
    with pytest.raises(ValueError, match=message):
        fit.require_base(odd)


@needs_torch
def test_large_voices_are_refused(tmp_path: Path) -> None:
    manifest, tensors = random_voice(towers=[tower(width=160, layers=4, hidden=480)])
    large = tmp_path / "large.voice"
    write_voice(large, manifest, tensors)
    with pytest.raises(ValueError, match=r"at most 750000 parameters.*Begin with the built-in voice"):
        fit.require_base(large)


@needs_torch
@pytest.mark.usefixtures("hasty")
def test_of_a_long_recording_the_beginning_is_used(
    tmp_path: Path, samples: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes later may be anything."""
    monkeypatch.setattr(fit, "MOST_S", 32.0)
    jaw = 0.7 * weights(VOICE, samples)[:, JAW]
    jaw[round(32 * FPS) :] = 1.0
    done = fit.adapt(VOICE, person(samples, {"jawOpen": jaw}), tmp_path / "me.voice", "me")
    assert 20 <= done.speech_s <= 32 and done.gain["jawOpen"] == pytest.approx(0.7, abs=0.02)


def no_face(seen: fit.Tracked) -> fit.Tracked:
    return fit.Tracked(seen.samples, FPS, seen.curves, np.zeros_like(seen.found))


def too_short(seen: fit.Tracked) -> fit.Tracked:
    return fit.Tracked(seen.samples[: 10 * 16000], FPS, {"jawOpen": seen.curves["jawOpen"][:250]}, seen.found[:250])


def too_slow(seen: fit.Tracked) -> fit.Tracked:
    return fit.Tracked(seen.samples, 10.0, seen.curves, seen.found)


def another_sound(seen: fit.Tracked) -> fit.Tracked:
    rng = np.random.default_rng(1)
    return fit.Tracked(seen.samples, FPS, {"jawOpen": rng.uniform(size=len(seen.found))}, seen.found)


@needs_torch
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_face, "no frame of the video has a face"),
        (too_slow, "tracked at 20 to 60 fps; got 10"),
        (too_short, "20 s of speech or more; got"),
        (another_sound, "no channel of theirs follows it"),
    ],
)
def test_recordings_that_say_nothing_are_refused(
    tmp_path: Path, samples: np.ndarray, spoil: Callable[[fit.Tracked], fit.Tracked], message: str
) -> None:
    out = tmp_path / "me.voice"
    out.write_bytes(b"what was there")
    seen = person(samples, {"jawOpen": weights(VOICE, samples)[:, JAW]})
    with pytest.raises(ValueError, match=message):
        fit.adapt(VOICE, spoil(seen), out, "me")
    assert out.read_bytes() == b"what was there"
    assert [path.name for path in tmp_path.iterdir()] == ["me.voice"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("frame,jawOpen\n0,0.5\n1,0.5\n", "columns time_s and jawOpen"),
        ("time_s,jawOpen\n0,0.5\n", "two rows or more; got 1 rows"),
        ("time_s,jawOpen\n0,0.5\n0.04,wide\n", "column jawOpen must be numbers.*'wide'"),
        ("time_s,jawOpen\n0,0.5\n0.04,0.5\n0.04,0.5\n0.08,0.5\n", "time_s must go up by one step"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path: Path, table: str, message: str) -> None:
    path = tmp_path / "track.csv"
    path.write_text(table)
    with pytest.raises(ValueError, match=message):
        fit.read_tracked(path, np.zeros(16000, np.float32))


def test_rows_without_a_face_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "track.csv"
    path.write_text("time_s,jawOpen,mouthSmileLeft,mouthSmileRight\n0,0.5,0.2,0.4\n0.04,,,\n0.08,nan,0,0\n0.12,1,0,0\n")
    seen = fit.read_tracked(path, np.zeros(16000, np.float32))
    assert seen.fps == pytest.approx(25)
    assert seen.found.tolist() == [True, False, False, True]
    assert seen.curves["mouthSmile"][0] == pytest.approx(0.3)


@needs_torch
@pytest.mark.usefixtures("hasty")
def test_the_command(tmp_path: Path, samples: np.ndarray, capsys: Output) -> None:
    jaw = 0.7 * weights(VOICE, samples)[:, JAW]
    with (tmp_path / "track.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("time_s", "jawOpen"), *((k / FPS, x) for k, x in enumerate(jaw))])
    with wave.open(str(tmp_path / "me.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((32767 * samples).astype("<i2").tobytes())
    out = tmp_path / "me.voice"
    arguments = ["voice", "adapt", "--tracked", tmp_path / "track.csv", "--audio", tmp_path / "me.wav", "-o", out]
    assert main([str(argument) for argument in arguments]) == 0
    assert "jawOpen: 0.70 times as lively" in capsys.readouterr().err
    assert weights(out, samples)[:, JAW].max() == pytest.approx(jaw.max(), abs=0.02)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "give --video and --tracker, or --tracked and --audio"),
        (["--video", "a.mp4", "--tracked", "a.csv"], "give --video and --tracker, or --tracked and --audio"),
        (["--video", "a.mp4"], "--video needs --tracker"),
        (["--tracked", "a.csv"], "--tracked needs --audio"),
        (["--tracked", "a.csv", "--audio", "a.wav", "--tracker", "x.task"], "--tracker is for --video"),
    ],
)
def test_wrong_command_lines(tmp_path: Path, capsys: Output, given: list[str], message: str) -> None:
    fails(capsys, ["voice", "adapt", *given, "-o", tmp_path / "me.voice"], 2, message)


def test_without_torch_the_extra_is_named(tmp_path: Path, samples: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs torch: pip install 'talksplat\[adapt\]'"):
        fit.adapt(VOICE, person(samples, {"jawOpen": np.zeros(1000)}), tmp_path / "me.voice", "me")


def test_without_mediapipe_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(ValueError, match=r"pip install 'talksplat\[adapt\]'"):
        tracker.track(tmp_path / "me.mp4", tmp_path / "face_landmarker.task")


def test_a_tracked_video_is_what_was_tracked_before(shared_dir: Path) -> None:
    pytest.importorskip("mediapipe", reason="no mediapipe: no face is tracked")
    model = shared_dir / "data/models/face_landmarker.task"
    seen = tracker.track(shared_dir / "data/video/grid/bbaf2n.mpg", model)
    assert seen.fps == 25
    assert seen.found.tolist() == [True] * 75
    with (shared_dir / "data/motion/mediapipe_from_video/bbaf2n.arkit52.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in ("jawOpen", "mouthPucker"):
        before = [float(row[name]) for row in rows]
        assert np.corrcoef(seen.weight[:, seen.names.index(name)], before)[0, 1] > 0.99
    assert np.abs(seen.matrix[:, 0, 0] - [float(row["m00"]) for row in rows]).max() < 0.01
    with pytest.raises(ValueError, match="there is no file"):
        tracker.track(shared_dir / "data/video/grid/bbaf2n.mpg", model / "not")
    with pytest.raises(ValueError, match="no pictures"):
        tracker.track(shared_dir / "data/audio/en_jfk_16k_mono.wav", model)
