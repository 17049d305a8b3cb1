# SPDX-License-Identifier: Apache-2.0
"""Live sessions of the demo head, 512x512 at 25 Hz, fed in real time; bench/live_runs.py has the long runs.

extra_info has what `talksplat bench --live --json` prints: look-ahead and latency, the time from a frame's last needed
sample to the frame in hand, and late frames. The one time of each benchmark is how long it was watched.
"""

from typing import Any

import pytest

import talksplat
from live_interrupt import interrupts
from live_runs import AVATAR, FPS, SIZE, loaded, plan_of, require_as_rendered, run
from talksplat.cli.bench_live import Sound

SECONDS, LATENCY_MS = 5.0, 200.0


@pytest.fixture(scope="module")
def head() -> talksplat.Avatar:
    return talksplat.load(AVATAR)


@pytest.fixture(scope="module")
def sound(head: talksplat.Avatar) -> Sound:
    found = Sound.read("sample")
    require_as_rendered(head, found)
    return found


@pytest.mark.parametrize("sessions", [1, 4])
def test_live(head: talksplat.Avatar, sound: Sound, sessions: int, benchmark: Any) -> None:
    found = benchmark.pedantic(run, (head, sound, plan_of(SECONDS, sessions, LATENCY_MS)), rounds=1)
    benchmark.extra_info |= found
    if "refused" not in found:
        assert found["frames"] >= sessions * (SECONDS - 1) * FPS


def test_live_on_a_loaded_machine(head: talksplat.Avatar, sound: Sound, benchmark: Any) -> None:
    benchmark.extra_info |= benchmark.pedantic(loaded, (head, sound, SECONDS, LATENCY_MS, 2.0), rounds=1)


def test_interrupt(head: talksplat.Avatar, sound: Sound, benchmark: Any) -> None:
    found = benchmark.pedantic(interrupts, (head, sound, FPS, SIZE, LATENCY_MS, 3), rounds=1)
    benchmark.extra_info |= found
    assert max(found["open_before"]) > 0.1  # it was open when it was told to close
