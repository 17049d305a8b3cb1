"""The command line: where results go, and what is in the way."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from runtime.command import Output, fails
from talksplat.cli import main


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


@pytest.mark.skipif(os.name == "nt", reason="a folder without write permission")
def test_a_folder_that_cannot_be_written(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "file").write_text("")
    fails(
        capsys, ["render", tiny_path, "-m", "clip:talk", "-o", tmp_path / "file" / "out.mp4"], 1, "there is no folder"
    )
    fails(capsys, ["render", tiny_path, "-m", "clip:talk", "-o", tmp_path / "file" / "%d.png"], 1, "file")


def test_a_video_does_not_take_the_place_of_its_sound(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    speech = tmp_path / "speech.mp4"
    speech.write_bytes(b"the only copy")
    (tmp_path / "link.mp4").symlink_to(speech)
    for name in ("speech.mp4", "link.mp4"):
        fails(capsys, ["render", tiny_path, speech, "-o", tmp_path / name], 2, "is the file that AUDIO is")
    assert speech.read_bytes() == b"the only copy"


def test_render_says_that_pictures_are_left_over(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    for seconds in ("0.2", "0.1"):
        assert main(["render", str(tiny_path), "-o", str(tmp_path / "%d.png"), "--seconds", seconds]) == 0
    assert f"note: {tmp_path / '3.png'} and what follows it are of an earlier render\n" in capsys.readouterr().err
