# SPDX-License-Identifier: Apache-2.0
"""The programs of examples/ in Python run and do what their head says; test_packaging.py has the one in C."""

import ast
import json
import re
import subprocess
import sys
import time
import wave
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import talksplat
from conftest import ROOT

EXAMPLES = ROOT / "examples"
RATE_HZ, SECONDS = 16000, 6.5


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of the built-in sentence as a 16-bit WAV; it is slowed, being 22 kHz."""
    blocks = talksplat.audio.open_audio("test", "sample").blocks()
    samples = np.concatenate(list(blocks))[: round(RATE_HZ * SECONDS), 0]
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def run(name: str, *arguments: str | Path) -> str:
    """What it prints. A machine that is busy with other tests refuses latencies for a while, as it should."""
    for wait_s in (3, 6, 12, 24, 0):
        command = [sys.executable, EXAMPLES / name, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if "LatencyRefused" not in done.stderr:
            break
        time.sleep(wait_s)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_frames_and_their_sound(speech: Path, tmp_path: Path) -> None:
    picture = tmp_path / "widest.ppm"
    told = run("python_frames.py", speech, picture)
    assert told.count("picture (320, 320, 3), 640 samples") == 14
    assert "the mouth is open widest" in told
    magic, pixels = b"P6 320 320 255\n", picture.read_bytes()
    assert pixels.startswith(magic)
    drawn = np.frombuffer(pixels[len(magic) :], np.uint8).reshape(320, 320, 3)
    neutral = talksplat.load("demo").render_frame({}, size=(320, 320)).image
    # The mouth, below the middle of the picture, is open in the one and shut in the other.
    assert np.abs(drawn.astype(int) - neutral)[160:].max() > 50


def test_faces_come_while_the_sound_arrives(speech: Path) -> None:
    told = run("stream.py", speech)
    late_s = {float(at): float(late) for at, late in re.findall(r"frame of (\S+) s: (\S+) s late", told)}
    assert list(late_s) == [0, 1, 2, 3, 4, 5, 6]
    assert all(late > 0.08 for late in late_s.values())  # the voice looks 80 ms ahead
    # A frame that waited for the end of the sound would be later than what was left of it.
    assert late_s[0] < SECONDS


def test_what_is_no_speech_is_told_so(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "bytes.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(1)
        out.setframerate(RATE_HZ)
        out.writeframes(bytes(1000))
    for arguments, message in (([tmp_path / "bytes.wav"], "samples of 16 bits; they have 8"), ([], "stream.py SPEECH")):
        done = subprocess.run([sys.executable, EXAMPLES / "stream.py", *arguments], capture_output=True, text=True)
        assert done.returncode == 1
        assert message in done.stderr


def numbers(told: str, pattern: str) -> list[float]:
    """What the pattern finds in the one line that an example tells."""
    assert told.count("\n") == 1
    found = re.search(pattern, told)
    assert found is not None, told
    return [float(number) for number in found.groups()]


def test_live_frames_become_a_video(speech: Path, tmp_path: Path) -> None:
    video = tmp_path / "live.mp4"
    told = run("live.py", speech, video)
    frames, late, took_ms, ahead_ms = numbers(
        told, r"^(\d+) frames in .*, (\d+) late; drawn within (\S+) ms .* which is (\S+) ms ahead"
    )
    assert SECONDS * 25 <= frames <= SECONDS * 25 + 12  # it begins before the sound does
    assert late < frames and took_ms > 0 and ahead_ms > 0
    heard = talksplat.audio.open_audio("test", video)
    said = sum(map(len, heard.blocks())) / heard.rate
    assert heard.rate == RATE_HZ and said == pytest.approx(frames / 25, abs=0.1)


def test_bursts_of_a_synthesiser() -> None:
    seen_s, queued_s, starved, spoken = numbers(
        run("tts_chunks.py"), r"seen (\S+) s after .*; (\S+) s of sound waited.*; (\d+) of (\d+) frames were starved"
    )
    assert 0.25 < seen_s < 2 and 0.5 < queued_s < 8
    assert spoken - starved == 211


def test_an_interruption() -> None:
    said_s, whole_s, closed_ms, spoken, idle = numbers(
        run("barge_in.py"),
        r"after (\S+) s of (\S+) s; the mouth was closed (\S+) ms later .*: (\d+) frames of speech, (\d+) idle",
    )
    assert 1 < said_s < 2.5 and whole_s == pytest.approx(8.41, abs=0.01)
    assert closed_ms < 500 and idle > 0
    assert spoken == pytest.approx(25 * (said_s + 2), abs=6)


def test_four_at_once() -> None:
    """As many as the machine has time for beside other tests."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / "four_speakers.py", "3"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    counted = re.findall(r"(\d+) of (\d+)", done.stdout)
    assert 1 <= len(counted) <= 4 and all(75 <= int(frames) <= 100 for _, frames in counted)
    refused = re.match(r"only (\d) of 4 fit here and now: create_session: .*\n$", done.stderr)
    assert len(counted) == (4 if refused is None else int(refused[1])) and (refused is not None or done.stderr == "")


def test_the_shape_of_livekit() -> None:
    pictures, sound_s, ends, position_s = numbers(
        run("livekit_shape.py"), r"^(\d+) video frames, (\S+) s of sound and (\d+) segment ends; .* at (\S+) s"
    )
    assert 1 < position_s < 2 and ends == 1
    assert position_s + 1 <= sound_s <= position_s + 1.3  # what faded is not counted
    assert pictures >= 25 * sound_s


def test_the_shape_of_pipecat() -> None:
    told = run("pipecat_shape.py")
    pictures, sound_s = numbers(told, r"^(\d+) pictures and (\S+) s of sound")
    assert 2 < sound_s < 3.5 and pictures >= 25 * sound_s
    assert told.endswith("passed on: StartFrame, InterruptionFrame, TTSStoppedFrame, EndFrame\n")


def test_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells run in their order; what a notebook would show of each is a picture, or the video."""
    monkeypatch.chdir(tmp_path)
    display = ModuleType("IPython.display")
    display.Video = lambda path, embed: (path, embed)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    names: dict[str, Any] = {}
    shown = []
    for cell in json.loads((EXAMPLES / "notebook.ipynb").read_text())["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop()
        assert isinstance(last, ast.Expr)
        exec(compile(tree, "cell", "exec"), names)
        shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
    *frames, video = shown
    assert all(frame._repr_png_().startswith(b"\x89PNG") for frame in frames)
    assert [frame.image.shape[2] for frame in frames] == [3, 4]
    assert video == ("sample.mp4", True) and talksplat.audio.load_audio("sample.mp4")[0].size > 0


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_only_what_is_public_is_used(path: Path) -> None:
    """An example shows what users may rely on: the names that `import talksplat` exports."""
    tree = ast.parse(path.read_text())
    assert f"python examples/{path.name}" in (ast.get_docstring(tree) or ""), "the head says how it is run"
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module is not None]
    assert not [node.module for node in imported if node.module.startswith("talksplat")]
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "talksplat"
    }
    assert used
    assert used <= set(talksplat.__all__)
