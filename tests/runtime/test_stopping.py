"""Signals and the command line, inside one process."""

import os
import signal

import pytest

from talksplat.cli.stopping import Stopped, go_on, signals_stop

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


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_stop():
            os.kill(os.getpid(), signal.SIGHUP)
            go_on()
    finally:
        signal.signal(signal.SIGHUP, before)
