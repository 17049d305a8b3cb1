"""The command line: the standard streams, open, closed and full."""

import sys
from pathlib import Path
from typing import Any

import pytest

from runtime.command import Output, fails, long_motion


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


def test_raw_pictures_are_not_sent_to_a_terminal(
    tiny_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    fails(capsys, ["render", tiny_path, "-m", "clip:talk", "-o", "-"], 2, "-o - writes raw pictures: redirect them")
