# SPDX-License-Identifier: Apache-2.0
"""The command line: where results go, and what is in the way."""

import os
import struct
import sys
from pathlib import Path
from typing import Any

import av
import pytest

from runtime.command import Output, fails
from talksplat.cli import main

# A scene of four Gaussians, as .splat files have them: mean, scale, colour and opacity, turn.
SCENE = b"".join(
    struct.pack("<6f8B", x, y, 0, 0.1, 0.1, 0.1, 255, 0, 0, 255, 255, 128, 128, 128) for x in (0, 1) for y in (0, 1)
)
STILL = ["--seconds", "0.1", "-q"]  # three pictures


@pytest.mark.parametrize("name", ["Interview: part 1.mp4", "12:30.mp4", "2024-01-01T12:30.mov", "./a:b.mkv"])
def test_a_colon_is_no_protocol(tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["render", str(tiny_path), "-o", name, *STILL]) == 0
    assert os.listdir() == [name.removeprefix("./")]
    with av.open((tmp_path / name).open("rb")) as container:
        assert len(list(container.decode(video=0))) == 3


@pytest.mark.parametrize("length", [242, 250, 255])
def test_long_names(tiny_path: Path, tmp_path: Path, capsys: Output, length: int) -> None:
    scene = tmp_path / "scene.splat"
    scene.write_bytes(SCENE)
    for command, ending in (
        (["render", tiny_path, *STILL], ".mp4"),
        (["motion", "sample", "-q"], ".csv"),
        (["motion", "sample", "-q"], ".json"),
        (["convert", scene, "-q"], ".tsplat"),
    ):
        output = tmp_path / ("x" * (length - len(ending)) + ending)
        assert main([*map(str, command), "-o", str(output)]) == 0
        assert output.stat().st_size > 500
    assert capsys.readouterr() == ("", "")
    assert sorted(len(name) for name in os.listdir(tmp_path)) == [11, *[length] * 4]


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_links_are_written_through(tiny_path: Path, tmp_path: Path) -> None:
    scene = tmp_path / "scene.splat"
    scene.write_bytes(SCENE)
    there = tmp_path / "there"
    there.mkdir()
    commands = {
        "a.mp4": ["render", tiny_path, *STILL],
        "a.csv": ["motion", "sample", "-q"],
        "a.tsplat": ["convert", scene, "-q"],
    }
    for name, command in commands.items():
        link = tmp_path / f"link-{name}"
        link.symlink_to(there / name)
        for _ in range(2):  # makes what it leads to, then replaces it
            assert main([*map(str, command), "-o", str(link)]) == 0
            assert link.is_symlink()
            assert (there / name).stat().st_size > 500
    assert sorted(os.listdir(there)) == sorted(commands)


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices of POSIX")
def test_what_is_no_file_is_refused(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    scene = tmp_path / "scene.splat"
    scene.write_bytes(SCENE)
    for ending, command in (
        (".mp4", ["render", tiny_path]),
        (".csv", ["motion", "sample"]),
        (".tsplat", ["convert", scene]),
    ):
        os.mkfifo(tmp_path / f"pipe{ending}")
        (tmp_path / f"device{ending}").symlink_to("/dev/null")
        for kind in ("pipe", "device"):
            message = f"{kind}{ending} is a {kind}, and a finished file would take its place. Name a file"
            fails(capsys, [*command, "-o", tmp_path / f"{kind}{ending}"], 1, message)
            assert not (tmp_path / f"{kind}{ending}").is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the size of files")
@pytest.mark.parametrize(
    ("command", "target", "named"),
    [
        ("render", "out.mp4", "out.mp4"),
        ("render", "out.mkv", "out.mkv"),
        ("render", "%d.png", "0.png"),
        ("motion", "out.csv", "out.csv"),
        ("motion", "out.json", "out.json"),
        ("convert", "out.tsplat", "out.tsplat"),
    ],
)
def test_a_full_disk(program: Any, tiny_path: Path, tmp_path: Path, command: str, target: str, named: str) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))

    (tmp_path / "scene.splat").write_bytes(SCENE)
    inputs = {
        "render": [tiny_path, "-m", "clip:talk", "-q", "--size", "256x256"],
        "motion": ["sample"],
        "convert": ["scene.splat"],
    }
    running = program(command, *inputs[command], "-o", target, preexec_fn=limit)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (1, b"")
    assert err == f"error: {named}: cannot be written (File too large).\n".encode()
    assert os.listdir(tmp_path) == ["scene.splat"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no files")
def test_a_folder_that_takes_no_files(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    scene = tmp_path / "scene.splat"
    scene.write_bytes(SCENE)
    fails(capsys, ["render", tiny_path, "-o", "/proc/out.mp4"], 1, "error: /proc/out.mp4: cannot be written (")
    fails(capsys, ["render", tiny_path, "-o", "/proc/new/%d.png"], 1, "error: /proc/new: cannot be written (")
    fails(capsys, ["motion", "sample", "-o", "/proc/out.csv"], 1, "error: /proc/out.csv: cannot be written (")
    fails(capsys, ["convert", scene, "-o", "/proc/out.tsplat"], 1, "error: /proc/out.tsplat: cannot be written (")


@pytest.mark.skipif(os.name == "nt", reason="a folder without write permission")
def test_a_folder_that_cannot_be_written(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "file").write_text("")
    fails(
        capsys, ["render", tiny_path, "-m", "clip:talk", "-o", tmp_path / "file" / "out.mp4"], 1, "there is no folder"
    )
    fails(capsys, ["render", tiny_path, "-m", "clip:talk", "-o", tmp_path / "file" / "%d.png"], 1, "file")


def test_what_a_command_reads_is_not_its_output(
    tiny_path: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = {"speech.mp4": b"the only copy", "speech.csv": b"the only copy", "motion.mp4": b"the only copy"}
    kept["head.mp4"] = kept["00007.png"] = tiny_path.read_bytes()
    kept["scene.tsplat"] = SCENE
    kept["flame.tsplat"] = kept["camera.tsplat"] = b"the only copy"
    for name, data in kept.items():
        Path(name).write_bytes(data)
    Path("link.mp4").symlink_to("speech.mp4")
    os.link("head.mp4", "other.mp4")
    render, convert = ["render", tiny_path], ["convert", "scene.tsplat", "--from", "splat"]
    for command, word, output in (
        ([*render, "speech.mp4"], "AUDIO", "speech.mp4"),
        ([*render, "speech.mp4"], "AUDIO", "./link.mp4"),
        ([*render, "link.mp4"], "AUDIO", tmp_path / "speech.mp4"),
        ([*render, "-m", "motion.mp4"], "--motion", "motion.mp4"),
        (["render", "head.mp4", "sample"], "AVATAR", "head.mp4"),
        (["render", "head.mp4"], "AVATAR", "other.mp4"),
        (["render", "00007.png"], "AVATAR", "%05d.png"),
        (["motion", "speech.csv"], "AUDIO", "speech.csv"),
        (convert, "SRC", "scene.tsplat"),
        ([*convert, "--flame", "flame.tsplat"], "--flame", "flame.tsplat"),
        ([*convert, "--camera", "camera.tsplat"], "--camera", "camera.tsplat"),
    ):
        message = f"{output} is the file that {word} is: what is written would take its place"
        fails(capsys, [*command, "-o", output], 2, message)
    assert {name: Path(name).read_bytes() for name in kept} == kept


def test_what_is_in_the_way_of_pictures_is_found_before_the_work(
    tiny_path: Path, tmp_path: Path, capsys: Output
) -> None:
    (tmp_path / "00000.png").write_bytes(b"old")
    (tmp_path / "00003.png").mkdir()
    pattern = tmp_path / "%05d.png"
    fails(capsys, ["render", "no.tsplat", "-o", pattern], 1, "00003.png is a folder, where a picture belongs.")
    fails(capsys, ["render", tiny_path, "-o", tmp_path / "%0300d.png"], 2, "may have at most 255 digits")
    fails(capsys, ["render", tiny_path, "-o", tmp_path / "%099999999999d.png"], 2, "may have at most 255 digits")
    assert sorted(os.listdir(tmp_path)) == ["00000.png", "00003.png"]
    assert (tmp_path / "00000.png").read_bytes() == b"old"


def test_render_says_that_pictures_are_left_over(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    for seconds in ("0.2", "0.1"):
        assert main(["render", str(tiny_path), "-o", str(tmp_path / "%d.png"), "--seconds", seconds]) == 0
    assert f"note: {tmp_path / '3.png'} and what follows it are of an earlier render\n" in capsys.readouterr().err
