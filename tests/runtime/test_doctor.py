# SPDX-License-Identifier: Apache-2.0
"""talksplat doctor: what is installed, and whether it works."""

import json
import sys
from pathlib import Path

import av
import numpy as np
import pytest

import talksplat
from talksplat import speech
from talksplat.cli import checks, doctor, main

Output = pytest.CaptureFixture[str]


def failing_doctor(capsys: Output) -> tuple[str, str]:
    """What a doctor that finds something wrong prints, lines joined, and its last word."""
    assert main(["doctor"]) == 1
    shown = capsys.readouterr()
    return " ".join(shown.out.split()), shown.err


def test_doctor(capsys: Output) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["talksplat"] == talksplat.__version__
    assert found["isa"]["used"] in found["isa"]["available"]
    assert found["threads"] >= 1
    assert found["packages"]["numpy"]["version"] == np.__version__
    assert found["checks"] == {"draws": "passed", "hears sound": "passed", "writes video": "passed"}
    assert found["voice"]["parameters"] < 1_500_000
    assert found["voice"]["bytes"] < 2_000_000
    assert found["voice"]["look_ahead_ms"] <= 80
    assert found["demo"]["gaussians"] > 10_000
    assert (found["h264"], found["aac"]) == ("libx264", "aac")
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for part in ("writes video", "look-ahead", "demo avatar", "AAC"):
        assert part in shown


def test_an_instruction_set_that_is_not_here(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKSPLAT_ISA", "sse9")
    shown, error = failing_doctor(capsys)
    assert "instruction set sse9 requested by TALKSPLAT_ISA, but this CPU" in shown
    assert "draws failed: sse9 requested" in shown
    assert error == "error: this installation does not work: draws, hears sound, writes video, demo.\n"


def test_a_broken_voice(capsys: Output, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "voice.safetensors").write_bytes(b"no voice")
    monkeypatch.setattr(speech, "VOICE", tmp_path / "voice.safetensors")
    speech.builtin_voice.cache_clear()
    shown, error = failing_doctor(capsys)
    assert "voice cannot be used: " in shown
    assert "hears sound failed: VoiceInvalid: " in shown
    assert error == "error: this installation does not work: hears sound, voice.\n"
    assert main(["motion", "sample", "-o", "-"]) == 1
    assert "voice.safetensors" in capsys.readouterr().err


def test_a_package_that_reads_and_writes_no_media(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release of PyAV that took an argument away stood behind "self-test passed" once."""

    def another_open(*arguments: object, **options: object) -> None:
        raise TypeError("open() got an unexpected keyword argument")

    monkeypatch.setattr(av, "open", another_open)
    shown, error = failing_doctor(capsys)
    assert "hears sound failed: TypeError: open() got an unexpected keyword argument" in shown
    assert "writes video failed: TypeError" in shown
    assert error == "error: this installation does not work: hears sound, writes video.\n"


def test_pictures_that_come_back_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    from talksplat.video import _Container

    write = _Container.write
    monkeypatch.setattr(_Container, "write", lambda self, image, sound: write(self, image // 2, sound))
    assert "5 pictures of" in checks.outcome(checks.encoding)


def test_packages_that_are_missing(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ("av", "pytest-benchmark")
    monkeypatch.setitem(doctor.__globals__, "_version", lambda name: None if name in missing else "1")
    monkeypatch.setitem(sys.modules, "av", None)
    shown, _ = failing_doctor(capsys)
    assert "av missing; for sound and video files: pip install av" in shown
    assert "writes video failed: the package av is missing. pip install av" in shown
    assert "pip install talksplat[bench]" in shown
    assert "H.264 missing" in shown
