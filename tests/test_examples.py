# SPDX-License-Identifier: Apache-2.0
"""The programs of examples/ in Python run and do what their head says; test_packaging.py has the one in C."""

import ast
import re
import subprocess
import sys
import wave
from pathlib import Path

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
    done = subprocess.run([sys.executable, EXAMPLES / name, *arguments], capture_output=True, text=True, timeout=120)
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
