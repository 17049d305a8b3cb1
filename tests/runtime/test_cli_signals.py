# SPDX-License-Identifier: Apache-2.0
"""The command line: Ctrl-C, SIGTERM and SIGHUP, at any moment."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runtime.command import interruptible, long_motion


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        (signal.SIGINT, 130, b"error: interrupted.\n"),
        (signal.SIGTERM, 143, b"error: terminated.\n"),
        (signal.SIGHUP, 129, b"error: terminated.\n"),
    ],
)
def test_interrupted_render_leaves_nothing(
    program: Any, tiny_path: Path, tmp_path: Path, number: signal.Signals, code: int, message: bytes
) -> None:
    motion = long_motion(tmp_path)
    running = program("render", tiny_path, "-m", motion, "-o", "out.mp4", "--size", "512x512")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".talksplat-*.part")):
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert running.returncode == code
    assert err == message
    assert list(tmp_path.iterdir()) == [motion]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.skipif(sys.platform != "linux", reason="asks a pipe how full it is")
def test_interrupted_while_a_pipe_is_silent(program: Any, tmp_path: Path) -> None:
    import fcntl
    import termios

    running = program("motion", "/dev/stdin", "-o", "out.csv", stdin=subprocess.PIPE)
    running.stdin.write(b"RIFF" + bytes(100))
    running.stdin.flush()
    deadline = time.monotonic() + 60
    while any(fcntl.ioctl(running.stdin, termios.FIONREAD, bytes(4))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.2)  # until the decoder waits for more
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (143, b"error: terminated.\n")
    assert list(tmp_path.iterdir()) == []


def test_interrupted_speech_leaves_nothing(program: Any, tiny_path: Path, tmp_path: Path) -> None:
    import wave

    with wave.open(str(tmp_path / "long.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16000 * 600))
    running = program("render", tiny_path, "long.wav", "-o", "out.mp4", "--size", "512x512")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".talksplat-*.part")):
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (130, b"error: interrupted.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["long.wav"]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("target", ["out.mp4", "new/%05d.png"])
@pytest.mark.parametrize("pause_s", [0.0, 0.0005, 0.002, 0.008])
def test_a_second_signal_does_not_end_the_cleaning_up(
    program: Any, tiny_path: Path, tmp_path: Path, target: str, pause_s: float
) -> None:
    """Terminals and wrappers such as make send it twice, and people press it twice."""
    motion = long_motion(tmp_path)
    (tmp_path / "out.mp4").write_bytes(b"old")
    running = program("render", tiny_path, "-m", motion, "-o", target, "--size", "768x768")
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob(".talksplat-*.part")):
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.005)
    time.sleep(0.1)
    for _ in range(3):
        running.send_signal(signal.SIGINT)
        time.sleep(pause_s)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (130, b"error: interrupted.\n")
    assert sorted(os.listdir(tmp_path)) == ["long.csv", "out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"old"


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_signal_while_pictures_are_put_in_place(program: Any, tiny_path: Path, tmp_path: Path) -> None:
    count = 2000
    for i in range(count):
        (tmp_path / f"{i:05d}.png").write_bytes(b"old")
    arguments = ("--size", "2x2", "--seconds", count / 25, "--fps", "25", "--threads", "1", "-q")
    running = program("render", tiny_path, "-o", "%05d.png", *arguments)
    first = tmp_path / "00000.png"
    with contextlib.suppress(FileNotFoundError):  # it is out of its place for a moment
        while running.poll() is None and first.stat().st_size == 3:
            time.sleep(0.0005)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) in ((130, b"error: interrupted.\n"), (0, b""))
    names = sorted(os.listdir(tmp_path))
    assert names == [f"{i:05d}.png" for i in range(count)]
    assert len({(tmp_path / name).read_bytes() for name in names}) == 1  # one kind, not a mixture


SLOW_IMPORT = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            print("importing", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Slow())
"""
SCRIPT = "import sys\nfrom talksplat.cli import main\nsys.exit(main())\n"


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("start", ["module", "script"])
@pytest.mark.parametrize(
    ("name", "number", "code", "message"),
    [
        ("numpy", signal.SIGINT, 130, b"error: interrupted.\n"),
        ("numpy", signal.SIGTERM, 143, b"error: terminated.\n"),
        ("talksplat._core", signal.SIGINT, 130, b"error: interrupted.\n"),
        ("typer", signal.SIGINT, 130, b"error: interrupted.\n"),
        ("av", signal.SIGINT, 130, b"error: interrupted.\n"),
    ],
)
def test_signals_before_the_work(
    tmp_path: Path, start: str, name: str, number: signal.Signals, code: int, message: bytes
) -> None:
    """Imports take a third of a second; a signal within them ended in a traceback."""
    (tmp_path / "sitecustomize.py").write_text(SLOW_IMPORT.format(name=name))
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "talksplat"
    script.write_text(SCRIPT)
    places = [str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    command = [sys.executable, *(["-m", "talksplat"] if start == "module" else [str(script)])]
    running = subprocess.Popen(
        [*command, "render", "demo", "sample", "-o", "out.mp4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path / "bin",
        preexec_fn=interruptible,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
    )
    assert running.stdout is not None
    assert running.stdout.readline() == b"importing\n"
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (code, message)
    assert os.listdir(tmp_path / "bin") == ["talksplat"]
