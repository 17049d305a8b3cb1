"""The command line: Ctrl-C, SIGTERM and SIGHUP, at any moment."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runtime.command import long_motion


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
