# SPDX-License-Identifier: Apache-2.0
"""The command line: what is said, to whom, and in which words."""

import importlib
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from runtime.command import Output, fails
from runtime.tiny import tiny_avatar
from talksplat import avatar
from talksplat.authoring import spec
from talksplat.cli import main

# Sets a terminal's title and colour, and turns the direction of a line.
HOSTILE = "\x1b]0;PWNED\x07\x1b[31mred\u202e"
HARMLESS = r"\x1b]0;PWNED\x07\x1b[31mred\u202e"


def stills(tiny_path: Path, tmp_path: Path) -> list[str]:
    return ["render", str(tiny_path), "-o", str(tmp_path / "%d.png"), "--seconds", "0.1"]


def said(capsys: Output) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert not [letter for letter in err if letter != "\n" and not letter.isprintable()]
    return err


# ---- control characters ----


@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        (["inspect", HOSTILE], 1, f"{HARMLESS}: "),
        (["render", HOSTILE, "-o", "x.mp4"], 1, f"{HARMLESS}: "),
        (["render", "demo", HOSTILE, "-o", "x.mp4"], 1, f"error: {HARMLESS}: no such file."),
        (["render", "demo", "-m", f"{HOSTILE}.csv", "-o", "x.mp4"], 1, f"error: {HARMLESS}.csv: no such file."),
        (["render", "demo", "-m", f"clip:{HOSTILE}", "-o", "x.mp4"], 1, HARMLESS),
        (["render", "demo", "-o", f"{HOSTILE}/x.mp4"], 1, f"there is no folder {HARMLESS}. Make it first."),
        (["render", "demo", "-o", f"{HOSTILE}.gif"], 2, f"output: {HARMLESS}.gif must end in .mp4"),
        (["render", "demo", "-o", "x.mp4", "--size", HOSTILE], 2, "is not WIDTHxHEIGHT"),
        (["render", "demo", "-o", "x.mp4", f"--{HOSTILE}"], 2, f"No such option: --{HARMLESS}"),
        (["render", "demo", "-o", "x.mp4", "--fps", HOSTILE], 2, "--fps"),
        ([HOSTILE], 2, f"No such command '{HARMLESS}'"),
        (["convert", HOSTILE, "-o", "x.tsplat"], 1, HARMLESS),
        (["motion", HOSTILE, "-o", "x.csv"], 1, f"error: {HARMLESS}: no such file."),
        (["bench", HOSTILE], 1, f"{HARMLESS}: "),
    ],
)
def test_words_of_the_command_line(capsys: Output, arguments: list[str], code: int, shown: str) -> None:
    assert main(arguments) == code
    err = said(capsys)
    assert err.startswith("error: ") and err.count("\n") == 1
    assert shown.lower() in err.lower()  # the core writes \x1B


def test_names_in_a_motion_file(shared_dir: Path, tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "made.csv").write_text(f"time_s,jawOpen,{HOSTILE}\n0,0,0\n0.1,0,0\n")
    (tmp_path / "only.csv").write_text(f"time_s,{HOSTILE}\n0,0\n")
    for table in (tmp_path / "made.csv", tmp_path / "only.csv", shared_dir / "data/field/misuse/esc.csv"):
        main([*stills(tiny_path, tmp_path), "-m", str(table)])
        assert r"\x1b]0;PWNED\x07\x1b[31mred" in said(capsys)


def test_names_of_files_that_are_written(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    output = tmp_path / f"{HOSTILE}.mp4"
    assert main(["render", str(tiny_path), "-o", str(output), "--seconds", "0.1"]) == 0
    assert f"{HARMLESS}.mp4: 3 frames" in said(capsys)
    assert output.is_file()


def test_the_name_of_an_avatar(tmp_path: Path, capsys: Output) -> None:
    manifest, tensors = tiny_avatar()
    path = spec.write(tmp_path / "tiny.tsplat", {**manifest, "name": HOSTILE}, tensors)
    fails(capsys, ["render", path, "-m", "clip:no", "-o", tmp_path / "x.mp4"], 1, f"{HARMLESS} has no clip 'no'")
    assert main(["bench", str(path), "--frames", "1"]) == 0
    out = capsys.readouterr().out
    assert f"{HARMLESS}, speech: 1 frames" in out
    assert "\x1b" not in out and "\x07" not in out


@pytest.mark.skipif(os.name == "nt", reason="names of files are bytes on POSIX alone")
def test_names_that_are_not_utf8(tmp_path: Path, tiny_path: Path, capsys: Output) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4")
    assert main(["render", str(tiny_path), "-o", name, "--seconds", "0.1"]) == 0
    assert r"/\xff.mp4: 3 frames" in said(capsys)
    assert os.listdir(os.fsencode(tmp_path)) == [b"\xff.mp4"]
    fails(capsys, ["motion", name.replace(".mp4", ".wav"), "-o", tmp_path / "x.csv"], 1, r"\xff.wav: no such file.")
    fails(capsys, ["render", tiny_path, name, "-o", name], 2, r"\xff.mp4 is the file that AUDIO is")


# ---- numbers ----


@pytest.mark.parametrize("seconds", ["inf", "1e308", "1e30", "10000001"])
def test_absurd_lengths(tiny_path: Path, tmp_path: Path, capsys: Output, seconds: str) -> None:
    for voice in ([], ["sample"]):
        arguments = ["render", tiny_path, *voice, "-o", tmp_path / "x.mp4", "--seconds", seconds]
        fails(capsys, arguments, 2, f"--seconds must be 0 to 10,000,000; got {float(seconds):g}.")
    assert os.listdir(tmp_path) == []


def test_more_frames_than_can_be_measured(tiny_path: Path, capsys: Output) -> None:
    for count in (0, 1_000_001, 10**20):
        fails(capsys, ["bench", tiny_path, "--frames", count], 2, "Invalid value for '--frames'")


@pytest.mark.parametrize("rate", ["0", "-1", "1001", "inf", "nan"])
def test_absurd_rates_of_a_motion(tiny_path: Path, tmp_path: Path, capsys: Output, rate: str) -> None:
    message = f"--motion-fps must be above 0 and at most 1000; got {float(rate):g}."
    options = ["-m", "clip:talk", "--motion-fps", rate]
    fails(capsys, ["render", tiny_path, *options, "-o", tmp_path / "x.mp4"], 2, message)
    fails(capsys, ["bench", tiny_path, *options], 2, message)


def test_rates_that_a_video_cannot_state(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    """Slower than one picture in 2002 s was written as 24 a second."""
    for rate in ("0.0001", "0.0004", "0.0009"):
        arguments = ["render", tiny_path, "-o", tmp_path / "x.mp4", "--seconds", "1", "--fps", rate]
        fails(capsys, arguments, 1, f"error: --fps must be at least 1/1001 for .mp4; got {rate}.")
    assert os.listdir(tmp_path) == []


# ---- what goes wrong ----


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "there is not enough memory. Ask for less, or give it more."),
        (
            MemoryError("Unable to allocate 4.84 GiB for an array"),
            "there is not enough memory (Unable to allocate 4.84 GiB for an array). Ask for less, or give it more.",
        ),
        (PermissionError(13, "Permission denied", "a/b"), "a/b: Permission denied."),
        (PermissionError(13, "Permission denied", b"a/\xff"), r"a/\xff: Permission denied."),
        (OSError("a.mp4: cannot be written (No space left on device)."), "a.mp4: cannot be written (No space left"),
    ],
)
def test_errors_of_the_system(
    tiny_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(avatar, "load", broken)
    fails(capsys, ["inspect", tiny_path], 1, f"error: {message}")


# ---- remarks on what was read ----


def test_remarks_on_a_motion(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    table = tmp_path / "take.csv"
    table.write_text("jawOpen,mouthClose,surprise\n0,0,1\n0,0,1\n0,0")
    command = [*stills(tiny_path, tmp_path), "-m", str(table)]
    assert main(command) == 0
    notes = [line for line in said(capsys).splitlines() if line.startswith("note: ")]
    assert len(notes) == 2
    assert any("surprise" in line for line in notes)
    assert any("row 4, the last, is cut off (2 of 3 cells) and left out" in line for line in notes)
    assert main([*command, "-q"]) == 0
    assert said(capsys) == ""
    assert main(["bench", str(tiny_path), "-m", str(table), "--frames", "1"]) == 0
    assert "surprise" in capsys.readouterr().err


def test_remarks_on_a_sound(shared_dir: Path, tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    sound = shared_dir / "data" / "field" / "two_tracks_second_is_default.mkv"
    note = f"note: {sound} has 2 sound tracks; number 2 is heard\n"
    for command in (["render", str(tiny_path), str(sound)], ["motion", str(sound)]):
        output = str(tmp_path / ("x.mp4" if command[0] == "render" else "x.csv"))
        assert main([*command, "-o", output]) == 0
        assert said(capsys).count(note) == 1
        assert main([*command, "-o", output, "-q"]) == 0
        assert said(capsys) == ""


def test_remarks_of_an_importer(tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    convert = importlib.import_module("talksplat.authoring.convert")
    source, output = tmp_path / "scene.splat", tmp_path / "scene.tsplat"
    points = [(x, y) for x in (0, 1) for y in (0, 1)]
    source.write_bytes(
        b"".join(struct.pack("<6f8B", x, y, 0, 0.1, 0.1, 0.1, 255, 0, 0, 255, 255, 128, 128, 128) for x, y in points)
    )
    command = ["convert", str(source), "--from", "splat", "-o", str(output)]
    real = convert.import_splat

    def remarking(path: Path, name: str) -> Any:
        manifest, tensors = real(path, name)
        manifest["provenance"]["notes"] = f"One was left out: {HOSTILE}."
        return manifest, tensors

    assert main(command) == 0
    assert said(capsys).startswith(f"{output}: ")
    monkeypatch.setitem(convert._PLAIN, "splat", remarking)
    assert main(command) == 0
    assert said(capsys).startswith(f"note: One was left out: {HARMLESS}.\n{output}: ")
    assert main([*command, "-q"]) == 0
    assert said(capsys) == ""
