# SPDX-License-Identifier: Apache-2.0
"""Signals that wait until something is done."""

import os
import signal
import threading
from typing import Any

import pytest

from talksplat._signals import held_signals

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture
def heard() -> Any:
    """Numbers of the signals that arrived."""
    numbers: list[int] = []
    before = {n: signal.signal(n, lambda number, _: numbers.append(number)) for n in (signal.SIGTERM, signal.SIGHUP)}
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def test_they_arrive_once_it_is_done(heard: list[int]) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with held_signals():
        with held_signals():
            os.kill(os.getpid(), signal.SIGTERM)
        assert heard == []
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        assert heard == []
    assert heard == [signal.SIGTERM, signal.SIGHUP]
    assert signal.getsignal(signal.SIGTERM) is handler


def test_ctrl_c_waits() -> None:
    done = False
    with pytest.raises(KeyboardInterrupt), held_signals():
        os.kill(os.getpid(), signal.SIGINT)
        done = True
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_they_arrive_where_it_fails_too(heard: list[int]) -> None:
    with pytest.raises(KeyError), held_signals():
        os.kill(os.getpid(), signal.SIGHUP)
        raise KeyError
    assert heard == [signal.SIGHUP]


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with held_signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_have_nothing_to_hold() -> None:
    found: list[Any] = []

    def work() -> None:
        with held_signals():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
