# SPDX-License-Identifier: Apache-2.0
"""Signals and the command line, inside one process."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from talksplat import _files, _start
from talksplat.cli import main, stopping
from talksplat.cli.stopping import Stopped, go_on, signalled, signals_stop

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_what_a_library_drops_is_raised_again(name: str, code: int) -> None:
    before = signal.getsignal(getattr(signal, name))
    with signals_stop():
        go_on()
        with pytest.raises(Stopped):
            os.kill(os.getpid(), getattr(signal, name))
        with pytest.raises(Stopped) as stop:
            go_on()
        assert stop.value.code == code
    assert signal.getsignal(getattr(signal, name)) == before
    with signals_stop():
        go_on()  # another command begins anew


@pytest.mark.parametrize("moment", ["fdopen", "fchmod", "__init__"])
def test_a_file_that_is_just_made_is_removed(moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the signal comes while it is made, or before anybody holds it."""
    owner: Any = _files.WholeFile if moment == "__init__" else _files.os
    made = getattr(owner, moment)

    def make(*arguments: Any) -> Any:
        result = made(*arguments)
        assert list(tmp_path.glob(".talksplat-*.part"))
        os.kill(os.getpid(), signal.SIGTERM)
        return result

    there = tmp_path / "sample.csv"
    there.write_text("before")
    monkeypatch.setattr(owner, moment, make)
    assert main(["motion", "sample", "-o", str(there)]) == 143
    assert list(tmp_path.iterdir()) == [there] and there.read_text() == "before"


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_stop():
            os.kill(os.getpid(), signal.SIGHUP)
            go_on()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_is_the_same_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    with signals_stop():
        with pytest.raises(Stopped) as first:
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)  # what was begun is being removed
        assert signalled() is first.value
        monkeypatch.setattr(stopping, "SAME_WISH_S", 0.0)  # much later: a library has dropped it
        with pytest.raises(Stopped) as again:
            os.kill(os.getpid(), signal.SIGINT)
    assert again.value.code == first.value.code == 143


def test_a_stop_that_cannot_be_raised_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    class Held:
        def __init__(self, error: BaseException) -> None:
            self.error = error

        def __del__(self) -> None:
            raise self.error

    shown: list[object] = []
    before, sys.unraisablehook = sys.unraisablehook, lambda what: shown.append(what.exc_value)
    try:
        other = KeyError("lost")
        with signals_stop():
            Held(Stopped("interrupted.", 130))
            Held(other)
        assert shown == [other]
    finally:
        sys.unraisablehook = before
    assert capsys.readouterr() == ("", "")


def test_only_the_command_line_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert before is not _start.end_at_once
    monkeypatch.setattr(sys, "argv", ["-m"])
    for words, ours in (
        (["python", "-m", "talksplat", "render"], True),
        (["python", "-Im", "talksplat"], True),
        (["python", "-mtalksplat"], True),
        (["python", "-m", "pytest"], False),
    ):
        monkeypatch.setattr(sys, "orig_argv", words)
        assert _start.is_command_line() == ours
    for program, ours in (
        ("/usr/bin/talksplat", True),
        ("talksplat.py", False),
        ("/opt/talksplat/run", False),
        ("", False),
    ):
        monkeypatch.setattr(sys, "argv", [program])
        assert _start.is_command_line() == ours
