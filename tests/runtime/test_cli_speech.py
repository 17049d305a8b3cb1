# SPDX-License-Identifier: Apache-2.0
"""The command line: speech, by talksplat render AVATAR AUDIO and talksplat motion."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import talksplat
from runtime.command import Output, fails, probe
from talksplat.cli import main


def test_render_speech(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    target = tmp_path / "out.mp4"
    assert main(["render", str(tiny_path), "sample", "-o", str(target), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    motion = talksplat.motion("sample", 30)
    made = json.loads(out)
    assert probe(target) == (motion.frames, 30, 64, 48)
    assert made["frames"] == motion.frames
    assert made["output"] == str(target)
    assert made["times_real_time"] == pytest.approx(made["seconds"] / made["took_s"])
    with av.open(str(target)) as container:
        sound = container.streams.audio[0]
        assert made["sound"] == {"rate": sound.rate, "channels": sound.channels}
        assert float(sound.duration * sound.time_base) == pytest.approx(motion.seconds, abs=1 / 30)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_render_speech_options(tiny: talksplat.Avatar, tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    pictures = tmp_path / "%d.png"
    options = ["--fps", "20", "--seconds", "0.2", "--seed", "7", "--head", "2", "--blink", "0", "--mouth", "1.5"]
    assert main(["render", str(tiny_path), "sample", "-o", str(pictures), *options]) == 0
    assert f"note: {pictures} holds no sound; .mp4, .mov, .mkv and .webm do\n" in capsys.readouterr().err
    spoken = tiny.render("sample", 20, seed=7, head=2, blink=0, mouth=1.5)
    for k in range(4):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"{k}.png")), next(spoken).image)
    assert len(list(tmp_path.iterdir())) == 4
    video = tmp_path / "cut.mp4"
    assert main(["render", str(tiny_path), "sample", "-o", str(video), "--seconds", "0.5", "-q"]) == 0
    with av.open(str(video)) as container:
        sound = container.streams.audio[0]
        assert float(sound.duration * sound.time_base) == pytest.approx(0.5, abs=0.001)


def test_render_speech_errors(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    avatar, out = tiny_path, tmp_path / "out.mp4"
    (tmp_path / "text.wav").write_text("no sound")
    fails(capsys, ["render", avatar, "no.wav", "-o", out], 1, "error: no.wav: no such file.")
    fails(capsys, ["render", avatar, tmp_path / "text.wav", "-o", out], 1, "text.wav: is not sound that can be read")
    fails(
        capsys,
        ["render", avatar, "sample", "-m", "clip:talk", "-o", out],
        2,
        "AUDIO and --motion both move arkit: give one of them",
    )
    fails(
        capsys, ["render", avatar, "sample", "-o", out, "--fps", "61"], 2, "--fps must be 20 to 60 for speech; got 61."
    )
    fails(capsys, ["render", avatar, "sample", "-o", out, "--mouth", "3"], 2, "--mouth")
    fails(capsys, ["render", avatar, "sample", "-o", "-", "--json"], 2, "--json and -o - would both write to stdout")
    fails(capsys, ["render", avatar, "sample", "-o", out, "--size", "16384x16384"], 1, "Choose a smaller --size.")
    assert [path.name for path in tmp_path.iterdir()] == ["text.wav"]


def test_motion(tmp_path: Path, capsys: Output) -> None:
    want = talksplat.motion("sample", 30, seed=5)
    for name in ("a.csv", "a.json"):
        target = tmp_path / name
        assert main(["motion", "sample", "-o", str(target), "--fps", "30", "--seed", "5"]) == 0
        assert capsys.readouterr() == ("", f"{target}: {want.frames} frames at 30 fps\n")
        got = talksplat.load_motion(target)
        assert (got.fps, got.frames) == (30, want.frames)
        columns = [got.names.index(weight) for weight in want.names]
        np.testing.assert_allclose(got.weights[:, columns], want.weights, atol=6e-7)
        np.testing.assert_allclose(got.inputs["head_pose"], want.inputs["head_pose"], atol=5e-6)


def test_motion_to_stdout(capsys: Output) -> None:
    want = talksplat.motion("sample")
    assert main(["motion", "sample", "-o", "-"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("Timecode,BlendShapeCount,EyeBlinkLeft,")
    assert len(rows) == want.frames + 1
    assert main(["motion", "sample", "-o", "-", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metadata"] == {"fps": 25.0, "frameCount": want.frames}
    np.testing.assert_allclose([frame["weights"] for frame in found["frames"]], want.weights, atol=6e-7)


def test_motion_errors(tmp_path: Path, capsys: Output) -> None:
    fails(capsys, ["motion", "no.wav", "-o", tmp_path / "a.csv"], 1, "no.wav: no such file.")
    fails(
        capsys,
        ["motion", "sample", "-o", tmp_path / "a.npy"],
        2,
        "a.npy must end in .csv or .json, or be - for stdout.",
    )
    fails(capsys, ["motion", "sample", "-o", tmp_path / "a.csv", "--fps", "10"], 2, "--fps must be 20 to 60 for speech")
    fails(capsys, ["motion", "sample", "-o", tmp_path / "a.csv", "--json"], 2, "--json is for -o -")
    fails(capsys, ["motion", "sample", "-o", tmp_path / "no" / "a.csv"], 1, "there is no folder")
    fails(capsys, ["motion", "sample"], 2, "Missing option '--output'")
    assert not list(tmp_path.iterdir())
