# SPDX-License-Identifier: Apache-2.0
"""The command line: what is not render or motion."""

import json
import re
from pathlib import Path

import pytest

import talksplat
from runtime.command import Output, fails, probe
from talksplat.cli import main


def test_version_and_help(capsys: Output) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"talksplat {talksplat.__version__}\n"
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in ("render", "say", "motion", "convert", "example", "inspect", "bench", "doctor"):
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
            "action units (--au)": False,
            "head pose": True,
        },
        "speech": True,
        "features": None,
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
    assert found["motion"] == "speech"
    assert found["speech"]["fps"] == 30
    for part in ("heard_us", "moved_us"):
        assert 0 < found["speech"][part]["p50"] <= found["speech"][part]["p99"]
    assert found["speech"]["encode_us"] > 0
    assert list(found["stages_us"]) == ["pose", "deform", "project", "bin", "blend", "total"]
    for spread in (*found["stages_us"].values(), found["wall_us"]):
        assert 0 <= spread["p50"] <= spread["p95"] <= spread["p99"]
    assert found["wall_us"]["p50"] >= found["stages_us"]["total"]["p50"] > 0
    assert found["frames_per_second"] == pytest.approx(1e6 / found["wall_us"]["p50"])
    assert found["visible"] == 4
    assert found["resident_bytes"] > 1e6
    assert found["machine"]["threads"] == 1
    assert found["machine"]["cpu"]
    assert main(["bench", str(tiny_path), "--frames", "2", "--size", "31x24"]) == 0
    shown = capsys.readouterr().out
    for part in ("speech at 30 fps", "real time", "voice, a frame's sound", "motion ", "H.264 has even sizes only"):
        assert part in shown
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
    for name in ("point_cloud.ply", "flame_param.npz"):
        (tmp_path / name).write_bytes(b"")
    fails(
        capsys,
        ["convert", tmp_path, "--from", "gaussian-avatars", "-o", tmp_path / "out.tsplat"],
        1,
        "error: --flame must name your FLAME model",
    )
    for name in ("point_cloud.ply", "flame_param.npz"):
        (tmp_path / name).unlink()
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
