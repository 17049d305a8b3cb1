# SPDX-License-Identifier: Apache-2.0
"""The command line: the standard streams, open, closed and full."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest

import talksplat
from runtime.command import Output, fails, long_motion
from talksplat._assets import FOLDER

SAMPLE_FILE = FOLDER / "hello.flac"


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


POSIX = pytest.mark.skipif(os.name == "nt", reason="redirections of a POSIX shell")
STILL = "--seconds 0.1 -q"  # three pictures
PICTURES = 3 * 64 * 48 * 3  # bytes


@pytest.fixture
def shell(tiny_path: Path, tmp_path: Path) -> Any:
    """Runs a line of a shell in an empty folder; T is talksplat there and TINY an avatar."""

    def run(line: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        script = (
            f'T() {{ {shlex.quote(sys.executable)} -m talksplat "$@"; }}; TINY={shlex.quote(str(tiny_path))}; {line}'
        )
        return subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, timeout=60, **options)

    return run


@POSIX
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(shell: Any, tmp_path: Path, closed: str) -> None:
    """As cron, daemons and some programs leave them."""
    ran = shell(f"T render $TINY sample --seconds 0.1 -o o.mp4 {closed}")
    assert ran.returncode == 0
    assert ran.stdout == b""
    assert (ran.stderr == b"") == ("2>&-" in closed)
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert len(list(container.decode(video=0))) == 3
    assert os.listdir(tmp_path) == ["o.mp4"]


@POSIX
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("inspect $TINY", 0),
        ("doctor", 0),
        ("motion sample -o m.csv", 0),
        ("--version", 0),
        ("inspect nothing.tsplat", 1),
        ("render $TINY -o x.gif", 2),
    ],
)
def test_exit_codes_where_nobody_listens(shell: Any, arguments: str, code: int) -> None:
    for closed in (">&-", ">&- 2>&-"):
        ran = shell(f"T {arguments} {closed}")
        assert ran.returncode == code
        assert b"A bug" not in ran.stderr and b"Traceback" not in ran.stderr


@POSIX
def test_remarks_never_get_into_pictures(shell: Any) -> None:
    want = shell(f"T render $TINY -o - {STILL}").stdout
    assert len(want) == PICTURES
    assert shell("T render $TINY -o - --seconds 0.1 2>&-").stdout == want
    # A sound has a remark on this, that pictures on stdout have none.
    spoken = shell("T render $TINY sample -o - --seconds 0.1")
    assert b"note: - holds no sound" in spoken.stderr
    silent = shell("T render $TINY sample -o - --seconds 0.1 2>&-")
    assert silent.stdout == spoken.stdout
    assert len(silent.stdout) == PICTURES


@POSIX
@pytest.mark.parametrize("arguments", [f"render $TINY {STILL}", "motion sample"])
def test_what_goes_to_a_closed_stdout_is_an_error(shell: Any, arguments: str) -> None:
    ran = shell(f"T {arguments} -o - >&-")
    assert ran.returncode == 1
    assert ran.stderr == b"error: output: stdout is closed, and - writes to it. Name a file, or redirect it.\n"
    assert shell(f"T {arguments} -o - >&- 2>&-").returncode == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize(
    "arguments",
    [
        "inspect $TINY",
        "inspect $TINY --json",
        "bench $TINY --frames 1",
        "--version",
        "--help",
        f"render $TINY {STILL} -o o.mp4 --json",
        f"render $TINY {STILL} -o -",
        "motion sample -o -",
    ],
)
def test_a_full_stdout(shell: Any, arguments: str) -> None:
    ran = shell(f"T {arguments} >/dev/full")
    assert ran.returncode == 1
    assert ran.stderr == b"error: stdout: cannot be written (No space left on device).\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_stderr_is_no_reason_to_fail(shell: Any, tmp_path: Path) -> None:
    assert shell("T render $TINY --seconds 0.1 -o o.mp4 2>/dev/full").returncode == 0
    assert shell("T inspect nothing.tsplat 2>/dev/full").returncode == 1
    assert os.listdir(tmp_path) == ["o.mp4"]


@POSIX
@pytest.mark.parametrize(
    "arguments", ["inspect $TINY", "inspect $TINY --json", "--help", "--version", "motion sample -o -"]
)
def test_a_reader_that_has_gone(shell: Any, tmp_path: Path, arguments: str) -> None:
    os.mkfifo(tmp_path / "gone")
    # The pipe has no reader any more when talksplat begins.
    ran = shell(f"exec 3<>gone; exec 4>gone; exec 3<&-; T {arguments} >&4")
    assert ran.returncode == 1
    assert ran.stderr == b"error: the reader of the output closed it.\n"


@POSIX
@pytest.mark.parametrize("command", ["render $TINY - -o o.mp4", "motion - -o o.csv"])
def test_sound_from_stdin(shell: Any, tmp_path: Path, command: str) -> None:
    (tmp_path / "-").write_bytes(b"a file of that name")
    data = SAMPLE_FILE.read_bytes()
    ran = shell(f"cat | T {command}", input=data)
    assert (ran.returncode, ran.stdout) == (0, b"")
    frames = talksplat.motion("sample", 30 if "render" in command else 25).frames
    assert f": {frames} frames".encode() in ran.stderr
    ran = shell(f"T {command} <&-")
    assert ran.returncode == 1
    assert ran.stderr == b"error: standard input is closed, and - reads the sound from it. Name a file.\n"
