# SPDX-License-Identifier: Apache-2.0
"""The command line with an encoder."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from runtime.command import Output, fails, probe
from runtime.encoder_folders import WIDTH, write_folder
from runtime.heard import program, write
from talksplat.cli import main
from talksplat.cli.bench_live import show


class Files(NamedTuple):
    avatar: Path
    encoder: Path
    sound: Path
    out: Path


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setenv("TALKSPLAT_CACHE", str(tmp_path / "cache"))
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(0).integers(-3000, 3000, 16000).astype("<i2").tobytes())
    avatar = write(tmp_path / "pairs.tsplat", "hubert", program(4, WIDTH, 2, 1, ()))
    return Files(avatar, write_folder(tmp_path / "tiny"), sound, tmp_path / "out.mp4")


@pytest.mark.parametrize("live", [False, True], ids=["file", "realtime"])
def test_render(files: Files, capsys: Output, live: bool) -> None:
    words = [files.avatar, files.sound, "-o", files.out, "--encoder", files.encoder, "--engine", "onnxruntime",
             "--json", "-q", "--size", "64x64", *(["--realtime", "--latency-ms", "1500"] if live else [])]  # fmt: skip
    assert main(["render", *map(str, words)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert probe(files.out)[:2] == (25, 25.0)
    assert told["encoder"]["name"] == "tests/tiny" and told["encoder"]["engine"] == "onnxruntime"
    assert 0 < told["encoder"]["share"] < 0.85
    if live:
        assert told["live"]["look_ahead_ms"] > told["encoder"]["look_ahead_ms"]


def test_bench_live(files: Files, capsys: Output) -> None:
    words = ["bench", str(files.avatar), "--live", "--seconds", "2.5", "--latency-ms", "1500", "--encoder",
             str(files.encoder), "--engine", "onnxruntime", "--audio", str(files.sound), "--size", "64x64",
             "--json"]  # fmt: skip
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["encoder"]["step_of_sound_ms"] == 40 and told["speech"] > 0
    show(told)
    assert "each speaker's encoder: tests/tiny (cpu) by onnxruntime" in capsys.readouterr().out


def test_bench_hears_by_the_encoder(files: Files, capsys: Output) -> None:
    words = ["bench", str(files.avatar), "--frames", "30", "--encoder", str(files.encoder), "--engine", "onnxruntime",
             "--size", "64x64", "--json"]  # fmt: skip
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["motion"] == "speech" and told["frames"] == 30
    speech = told["speech"]
    assert speech["encoder"]["name"] == "tests/tiny" and speech["fps"] == 25
    assert 0 < speech["heard_us"]["p50"] <= speech["heard_us"]["p99"]
    assert told["stages_us"]["deform"]["p50"] > 0  # no two frames hear the same
    assert main(words[:-1]) == 0
    shown = capsys.readouterr().out
    assert "encoder, a frame's sound" in shown and "the encoder: tests/tiny (cpu) by onnxruntime" in shown


def test_what_does_not_go_together(files: Files, capsys: Output) -> None:
    render = ["render", files.avatar, "-o", files.out]
    fails(capsys, [*render, files.sound, "--engine", "auto"], 2, "--engine is for --encoder")
    with_encoder = ["--encoder", files.encoder]
    fails(capsys, [*render, *with_encoder], 2, "--encoder needs AUDIO")
    fails(capsys, [*render, files.sound, *with_encoder, "--engine", "torch"], 2, "--engine must be auto or one of")
    fails(capsys, [*render, files.sound, *with_encoder, "--features", "x.npy"], 2, "leave --encoder out")
    fails(capsys, ["bench", files.avatar, *with_encoder, "--motion", "x.npz"], 2, "leave one out")
    fails(capsys, [*render, files.sound, "--encoder", "absent/one"], 1, "talksplat encoder export absent/one")
    fails(capsys, [*render, files.sound], 1, "--encoder FOLDER")
