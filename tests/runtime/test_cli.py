"""The command line, from arguments to files and messages."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import talksplat
from talksplat.cli import main

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def signals_as_before() -> Any:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def program(tiny_path: Path, tmp_path: Path) -> Any:
    """Starts `talksplat ARGUMENTS` in its own process, in an empty folder."""

    def start(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "talksplat", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path}
        return subprocess.Popen(command, **{**pipes, **options})

    return start


def fails(capsys: Output, arguments: list[object], code: int, message: str) -> None:
    assert main([str(argument) for argument in arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


def long_motion(folder: Path, frames: int = 20000) -> Path:
    table = folder / "long.csv"
    table.write_text("jawOpen\n" + "\n".join(str(i % 10 / 10) for i in range(frames)))
    return table


def probe(path: Path) -> tuple[int, float, int, int]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        return frames, float(stream.average_rate), stream.width, stream.height


# ---- render ----


def test_render_a_clip_to_mp4(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    target = tmp_path / "out.mp4"
    assert main(["render", str(tiny_path), "--motion", "clip:talk", "-o", str(target)]) == 0
    assert probe(target) == (10, 30, 64, 48)
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{target}: 10 frames, 64x48, 30 fps, in " in err
    assert "no use for" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_render_says_what_it_leaves_out(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    table = tmp_path / "take.csv"
    table.write_text("jawOpen,browInnerUp,mouthLeft\n0.5,0.1,0\n")
    assert main(["render", str(tiny_path), "-m", str(table), "-o", str(tmp_path / "out.mp4")]) == 0
    assert "note: this avatar has no use for browInnerUp\n" in capsys.readouterr().err


def test_render_options(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    table = tmp_path / "take.csv"
    table.write_text("time,jawOpen\n" + "\n".join(f"{i / 25:.3f},0.5" for i in range(50)))
    target = tmp_path / "out.mp4"
    options = ["--size", "128x96", "--fps", "50", "--seconds", "1", "--threads", "2", "--precision", "fast", "--quiet"]
    assert main(["render", str(tiny_path), "-m", str(table), "-o", str(target), *options]) == 0
    assert probe(target) == (50, 50, 128, 96)
    assert capsys.readouterr() == ("", "")


def test_render_shows_what_the_avatar_shows(tiny: talksplat.Avatar, tiny_path: Path, tmp_path: Path) -> None:
    assert main(["render", str(tiny_path), "-m", "clip:talk", "-o", str(tmp_path / "out.mp4"), "-q"]) == 0
    with av.open(str(tmp_path / "out.mp4")) as container:
        shown = [frame.to_ndarray(format="rgb24").astype(float) for frame in container.decode(video=0)]
    for image, frame in zip(shown, tiny.render_motion("clip:talk"), strict=True):
        assert np.abs(image - frame.image).mean() < 8  # half of the colour is gone in 4:2:0, and the codec is lossy


def test_render_without_motion_is_still(tiny: talksplat.Avatar, tiny_path: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "frames" / "%05d.png"
    assert main(["render", str(tiny_path), "-o", str(pictures), "--fps", "10", "--seconds", "0.2", "-q"]) == 0
    assert sorted(path.name for path in pictures.parent.iterdir()) == ["00000.png", "00001.png"]
    want = tiny.render_frame({}).image
    for picture in pictures.parent.iterdir():
        np.testing.assert_array_equal(np.asarray(Image.open(picture)), want)
    assert main(["render", str(tiny_path), "-o", str(tmp_path / "out.mp4"), "-q"]) == 0
    assert probe(tmp_path / "out.mp4") == (30, 30, 64, 48)
    assert main(["render", str(tiny_path), "-o", str(tmp_path / "no.mp4"), "--fps", "0"]) == 2


def test_render_png_sequence(tiny: talksplat.Avatar, tiny_path: Path, tmp_path: Path) -> None:
    assert main(["render", str(tiny_path), "-m", "clip:turn", "-o", str(tmp_path / "frames" / "%05d.png"), "-q"]) == 0
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["00000.png", "00001.png", "00002.png"]
    want = [frame.image for frame in tiny.render_motion("clip:turn")]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "frames" / names[2])), want[2])


def test_render_rgba_is_seen_through(tiny_path: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "%d.png")
    assert main(["render", str(tiny_path), "-m", "clip:turn", "-o", target, "--format", "rgba8", "-q"]) == 0
    image = np.asarray(Image.open(tmp_path / "0.png"))
    assert image.shape == (48, 64, 4)
    assert image[0, 0, 3] == 0
    assert image[..., 3].max() > 150


@pytest.mark.parametrize(("form", "frame_bytes"), [("rgb8", 64 * 48 * 3), ("rgba8", 64 * 48 * 4), ("nv12", 64 * 72)])
def test_render_to_a_pipe(program: Any, tiny_path: Path, form: str, frame_bytes: int) -> None:
    out, err = program("render", tiny_path, "-m", "clip:talk", "-o", "-", "--format", form, "-q").communicate()
    assert len(out) == 10 * frame_bytes
    assert err == b""


def test_render_to_a_closed_pipe(program: Any, tiny_path: Path, tmp_path: Path) -> None:
    running = program("render", tiny_path, "-m", long_motion(tmp_path), "-o", "-")
    running.stdout.read(1000)
    running.stdout.close()
    assert running.wait(60) == 1
    assert running.stderr.read() == b"error: the reader of the output closed it.\n"
    running.stderr.close()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        (signal.SIGINT, 130, b"error: interrupted.\n"),
        (signal.SIGTERM, 143, b"error: terminated.\n"),
        (signal.SIGHUP, 129, b"error: terminated.\n"),
    ],
)
def test_interrupted_render_leaves_nothing(
    program: Any, tiny_path: Path, tmp_path: Path, number: signal.Signals, code: int, message: bytes
) -> None:
    motion = long_motion(tmp_path)
    running = program("render", tiny_path, "-m", motion, "-o", "out.mp4", "--size", "512x512")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".talksplat-*.part")):
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert running.returncode == code
    assert err == message
    assert list(tmp_path.iterdir()) == [motion]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the size of files")
@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "%d.png"])
def test_a_full_disk(program: Any, tiny_path: Path, tmp_path: Path, target: str) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))

    running = program("render", tiny_path, "-m", "clip:talk", "-o", target, "-q", "--size", "256x256", preexec_fn=limit)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert out == b""
    assert err.startswith(b"error: ")
    assert err.count(b"\n") == 1
    assert b"ile too large" in err
    assert not list(tmp_path.iterdir())


def test_render_errors(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    avatar, out = tiny_path, tmp_path / "out.mp4"
    good = ["-m", "clip:talk", "-o", out]
    fails(capsys, ["render", tmp_path / "no.tsplat", *good], 1, "no.tsplat")
    fails(capsys, ["render", avatar, "-m", "clip:walk", "-o", out], 1, "tiny has no clip 'walk'.")
    fails(capsys, ["render", avatar, "-m", tmp_path / "no.csv", "-o", out], 1, "no.csv: no such file.")
    fails(capsys, ["render", avatar, "-m", "clip:talk", "-o", tmp_path / "no" / "out.mp4"], 1, "there is no folder")
    fails(capsys, ["render", avatar, *good, "--fps", "0"], 1, "error: --fps must be in (0, 1000]; got 0.0.")
    fails(
        capsys, ["render", avatar, *good, "--size", "63x48"], 1, "needs an even width and height; got 63x48. Use 64x48."
    )
    fails(capsys, ["render", avatar, *good, "--precision", "half"], 1, "error: --precision must be")
    fails(capsys, ["render", avatar, *good, "--size", "big"], 2, "'big' is not WIDTHxHEIGHT, as in 512x512.")
    fails(capsys, ["render", avatar, *good, "--size", "0x48"], 2, "'0x48': width and height are 1 to 16384 pixels")
    fails(capsys, ["render", avatar, "-m", "clip:talk", "-o", "out.gif"], 2, "out.gif must end in .mp4, .mov, .mkv or")
    fails(capsys, ["render", avatar, *good, "--format", "rgba8"], 2, "out.mp4 is nv12, not rgba8.")
    fails(capsys, ["render", avatar, *good, "--threads", "-1"], 2, "--threads")
    fails(capsys, ["render", avatar], 2, "Missing option '--output'")
    fails(capsys, ["render", avatar, *good, "--colour"], 2, "No such option: --colour")
    fails(capsys, ["fly"], 2, "No such command 'fly'")
    assert not list(tmp_path.iterdir())


def test_raw_pictures_are_not_sent_to_a_terminal(
    tiny_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    fails(capsys, ["render", tiny_path, "-m", "clip:talk", "-o", "-"], 2, "-o - writes raw pictures: redirect them")


def test_progress_bar_only_on_a_terminal(
    tiny_path: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["render", str(tiny_path), "-m", "clip:talk", "-o", str(tmp_path / "out.mp4")]
    assert main(command) == 0
    assert "rendering" not in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert main(command) == 0
    assert "rendering" in capsys.readouterr().err


# ---- speech ----


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
    assert f"note: {pictures} holds no sound; .mp4, .mov and .mkv do\n" in capsys.readouterr().err
    spoken = tiny.render("sample", 20, seed=7, head=2, blink=0, mouth=1.5)
    for k in range(4):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"{k}.png")), next(spoken).image)
    assert len(list(tmp_path.iterdir())) == 4
    video = tmp_path / "cut.mp4"
    assert main(["render", str(tiny_path), "sample", "-o", str(video), "--seconds", "0.5", "-q"]) == 0
    with av.open(str(video)) as container:
        sound = container.streams.audio[0]
        assert float(sound.duration * sound.time_base) == pytest.approx(0.5, abs=0.001)


def test_render_says_that_pictures_are_left_over(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    for seconds in ("0.2", "0.1"):
        assert main(["render", str(tiny_path), "-o", str(tmp_path / "%d.png"), "--seconds", seconds]) == 0
    assert f"note: {tmp_path / '3.png'} and what follows it are of an earlier render\n" in capsys.readouterr().err


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


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.skipif(sys.platform != "linux", reason="asks a pipe how full it is")
def test_interrupted_while_a_pipe_is_silent(program: Any, tmp_path: Path) -> None:
    import fcntl
    import termios

    running = program("motion", "/dev/stdin", "-o", "out.csv", stdin=subprocess.PIPE)
    running.stdin.write(b"RIFF" + bytes(100))
    running.stdin.flush()
    deadline = time.monotonic() + 60
    while any(fcntl.ioctl(running.stdin, termios.FIONREAD, bytes(4))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.2)  # until the decoder waits for more
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (143, b"error: terminated.\n")
    assert list(tmp_path.iterdir()) == []


def test_a_video_does_not_take_the_place_of_its_sound(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    speech = tmp_path / "speech.mp4"
    speech.write_bytes(b"the only copy")
    (tmp_path / "link.mp4").symlink_to(speech)
    for name in ("speech.mp4", "link.mp4"):
        fails(capsys, ["render", tiny_path, speech, "-o", tmp_path / name], 2, "is the file that AUDIO is")
    assert speech.read_bytes() == b"the only copy"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["sample", "--motion-fps", 30], "--motion-fps is for --motion"),
        (["--seed", 1], "--seed, --mouth, --head and --blink are for AUDIO"),
        (["-m", "take.csv", "--head", 0], "--seed, --mouth, --head and --blink are for AUDIO"),
    ],
)
def test_options_that_would_do_nothing(tiny_path: Path, capsys: Output, options: list[object], message: str) -> None:
    fails(capsys, ["render", tiny_path, "-o", "out.mp4", *options], 2, message)


def test_interrupted_speech_leaves_nothing(program: Any, tiny_path: Path, tmp_path: Path) -> None:
    import wave

    with wave.open(str(tmp_path / "long.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16000 * 600))
    running = program("render", tiny_path, "long.wav", "-o", "out.mp4", "--size", "512x512")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".talksplat-*.part")):
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (130, b"error: interrupted.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["long.wav"]


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


def test_motion_fps_in_place_of_times_is_remarked(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    for header, remarked in (("time_s,jawOpen", True), ("mouthClose,jawOpen", False)):
        table = tmp_path / "take.csv"
        table.write_text(f"{header}\n" + "\n".join(f"{i / 25},0.5" for i in range(5)))
        options = ["--motion-fps", "50", "-o", str(tmp_path / "%d.png")]
        assert main(["render", str(tiny_path), "-m", str(table), *options]) == 0
        note = f"note: --motion-fps is used in place of the times in {table}\n"
        assert (note in capsys.readouterr().err) == remarked


# ---- the other commands ----


def test_version_and_help(capsys: Output) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"talksplat {talksplat.__version__}\n"
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in ("render", "motion", "convert", "inspect", "bench", "doctor"):
        assert re.search(rf"^\W*{command}\b", shown, re.M)
    assert main([]) == 2
    assert "Usage: talksplat" in capsys.readouterr().err


def test_inspect(tiny_path: Path, capsys: Output) -> None:
    assert main(["inspect", str(tiny_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["name"] == "tiny"
    assert found["counts"] == {
        "gaussians": 4, "source_gaussians": 5, "vertices": 4, "triangles": 0, "joints": 1, "blendshapes": 1,
    }  # fmt: skip
    assert [into["name"] for into in found["inputs"]] == ["arkit", "head_pose", "translation"]
    assert [clip["name"] for clip in found["clips"]] == ["talk", "turn"]
    assert found["licence"] == "CC0-1.0"
    assert found["file_bytes"] == tiny_path.stat().st_size
    assert found["supports"] == {
        "motion": {
            "ARKit weights (.csv, .json, .npy)": True,
            "FLAME parameters (.npz)": False,
            "own clips (clip:NAME)": True,
            "head pose": True,
        },
        "speech": True,
    }
    assert main(["inspect", str(tiny_path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for part in (
        "tiny",
        "4 (1 of the source pruned)",
        "64x48 at 30 fps",
        "talk: 0.3 s at 30 fps",
        "CC0-1.0",
        "by the built-in voice",
        "this rig has only jawOpen",
    ):
        assert part in shown


def test_bench(tiny_path: Path, capsys: Output) -> None:
    options = ["--frames", "7", "--size", "32x24", "--threads", "1"]
    assert main(["bench", str(tiny_path), "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["frames"] == 7
    assert found["size"] == [32, 24]
    assert found["motion"] == "clip:talk"
    assert list(found["stages_us"]) == ["pose", "deform", "project", "bin", "blend", "total"]
    for spread in (*found["stages_us"].values(), found["wall_us"]):
        assert 0 <= spread["p50"] <= spread["p95"] <= spread["p99"]
    assert found["wall_us"]["p50"] >= found["stages_us"]["total"]["p50"] > 0
    assert found["frames_per_second"] == pytest.approx(1e6 / found["wall_us"]["p50"])
    assert found["visible"] == 4
    assert found["resident_bytes"] > 1e6
    assert found["machine"]["threads"] == 1
    assert found["machine"]["cpu"]
    assert main(["bench", str(tiny_path), "-m", "clip:turn", *options]) == 0
    shown = capsys.readouterr().out
    for part in ("p50", "p95", "p99", "blend", "wall (Python)", "clip:turn", "frames per second"):
        assert part in shown


def test_convert(tmp_path: Path, capsys: Output) -> None:
    fails(capsys, ["convert", tmp_path / "no.ply", "--from", "ply", "-o", tmp_path / "out.tsplat"], 1, "no.ply")
    fails(
        capsys,
        ["convert", tmp_path / "no.ply", "--from", "fbx", "-o", tmp_path / "out.tsplat"],
        1,
        "error: --from must",
    )
    (tmp_path / "point_cloud.ply").write_bytes(b"")
    fails(
        capsys,
        ["convert", tmp_path, "--from", "gaussian-avatars", "-o", tmp_path / "out.tsplat"],
        1,
        "error: --flame must name your FLAME model",
    )
    (tmp_path / "point_cloud.ply").unlink()
    fails(capsys, ["convert", tmp_path / "no.ply"], 2, "Missing option '--output'")
    assert not list(tmp_path.iterdir())


def test_convert_a_recorded_head(shared_dir: Path, tmp_path: Path, capsys: Output) -> None:
    target = tmp_path / "head.tsplat"
    source = shared_dir / "data" / "avatars" / "lam_p2-1.zip"
    options = ["--name", "Somebody", "--licence", "as stated"]
    assert main(["convert", str(source), "--from", "lam", "-o", str(target), *options]) == 0
    assert f"{target}: " in capsys.readouterr().err
    head = talksplat.load(target)
    assert head.name == "Somebody"
    assert head.manifest["licence"] == "as stated"
    motion = shared_dir / "data" / "motion" / "lam_test_expression_1s.json.gz"
    video = tmp_path / "out.mp4"
    assert (
        main(["render", str(target), "-m", str(motion), "-o", str(video), "--size", "128x128", "--seconds", "1"]) == 0
    )
    assert probe(video) == (30, 30, 128, 128)


def test_unexpected_errors_are_one_line_too(tiny_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    from talksplat import avatar

    def broken(*_: object, **__: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(avatar, "load", broken)
    fails(capsys, ["inspect", tiny_path], 1, "KeyError: 'lost'. A bug: report it with TALKSPLAT_TRACEBACK=1 set.")
    monkeypatch.setenv("TALKSPLAT_TRACEBACK", "1")
    with pytest.raises(KeyError):
        main(["inspect", str(tiny_path)])


@pytest.mark.skipif(os.name == "nt", reason="a folder without write permission")
def test_a_folder_that_cannot_be_written(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "file").write_text("")
    fails(
        capsys, ["render", tiny_path, "-m", "clip:talk", "-o", tmp_path / "file" / "out.mp4"], 1, "there is no folder"
    )
    fails(capsys, ["render", tiny_path, "-m", "clip:talk", "-o", tmp_path / "file" / "%d.png"], 1, "file")
