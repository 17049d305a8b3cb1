# SPDX-License-Identifier: Apache-2.0
"""What tests of the command line share."""

import signal
from pathlib import Path

import av
import pytest

from talksplat.cli import main

Output = pytest.CaptureFixture[str]


def fails(capsys: Output, arguments: list[object], code: int, message: str) -> None:
    assert main([str(argument) for argument in arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


def long_motion(folder: Path, frames: int = 20000) -> Path:
    table = folder / "long.csv"
    table.write_text("jawOpen\n" + "\n".join(str(i % 10 / 10) for i in range(frames)))
    return table


def probe(path: Path) -> tuple[int, float, int, int]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        return frames, float(stream.average_rate), stream.width, stream.height


def interruptible() -> None:
    """For a new process. A shell has what it starts in the background ignore SIGINT, nohup SIGHUP."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
