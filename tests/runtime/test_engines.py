# SPDX-License-Identifier: Apache-2.0
"""Engines: what is known of one is told while it draws, and few of them are kept."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from talksplat.engine import KEPT, shared_engine

SCENE: dict[str, Any] = {
    "means": [[0, 0, 2]], "quats": [[1, 0, 0, 0]], "scales": [[0.1, 0.1, 0.1]], "opacities": [1], "colors": [[1, 0, 0]],
    "viewmat": np.eye(4), "K": [[20, 0, 16], [0, 20, 16], [0, 0, 1]], "width": 32, "height": 32,
}  # fmt: skip


def engine_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.parametrize("name", ["threads", "isa", "scratch_bytes", "info", "size"])
def test_what_is_known_is_told_while_a_frame_is_drawn(name: str) -> None:
    avatar = talksplat.load("demo", threads=1)
    before = getattr(avatar, name)
    avatar.render_frame({}, size=(64, 64))
    began, took = threading.Event(), [0.0]

    def draw() -> None:
        began.set()
        start = time.perf_counter()
        avatar.render_frame({}, size=(6144, 6144))
        took[0] = time.perf_counter() - start

    worker = threading.Thread(target=draw)
    worker.start()
    began.wait()
    longest = 0.0
    while worker.is_alive():
        start = time.perf_counter()
        value = getattr(avatar, name)
        longest = max(longest, time.perf_counter() - start)
        time.sleep(0.005)
    worker.join()
    assert longest < 0.5 * took[0]  # it used to be all that was left of the frame
    assert value == before if name != "scratch_bytes" else value > before


def test_scratch_memory_is_told_after_the_frame_that_needed_it() -> None:
    avatar = talksplat.load("demo", threads=1)
    sizes = [avatar.scratch_bytes]
    for side in (64, 1024):
        avatar.render_frame({}, size=(side, side))
        sizes.append(avatar.scratch_bytes)
    assert 0 < sizes[0] < sizes[1] < sizes[2] < 1 << 28


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are counted in /proc")
def test_engines_of_rasterize_do_not_pile_up() -> None:
    want = talksplat.rasterize(**SCENE)
    for threads in (1, 1, 1):
        talksplat.rasterize(**SCENE, threads=threads)
    before = engine_threads()
    for threads in range(1, 17):
        np.testing.assert_array_equal(talksplat.rasterize(**SCENE, threads=threads), want)
    assert engine_threads() - before <= 15 + 14  # of the last two
    for threads in (1, 2):
        talksplat.rasterize(**SCENE, threads=threads)
    assert engine_threads() <= before + 1


def test_the_last_engines_are_used_again() -> None:
    first = shared_engine("test", 1)
    second = shared_engine("test", 2)
    assert shared_engine("test", 1) is first
    assert shared_engine("test", 2) is second
    third = shared_engine("test", 3)  # `first` is not kept now, but still in use here
    assert KEPT == 2
    assert shared_engine("test", 1) is first
    assert third is not first


def all_at_once(work: list[Callable[[], None]]) -> None:
    workers = [threading.Thread(target=one) for one in work]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def test_an_engine_lives_until_its_last_frame_is_drawn() -> None:
    want = talksplat.rasterize(**SCENE)
    right: list[bool] = []

    def draw(threads: int) -> Callable[[], None]:
        def work() -> None:
            for _ in range(40):
                right.append(np.array_equal(talksplat.rasterize(**SCENE, threads=threads), want))

        return work

    all_at_once([draw(threads) for threads in (1, 2, 3, 4, 2, 3)])
    assert right == [True] * 240


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_drops_its_parents_engines() -> None:
    want = talksplat.rasterize(**SCENE, threads=2)
    child = os.fork()
    if child == 0:
        same = [np.array_equal(talksplat.rasterize(**SCENE, threads=k), want) for k in (1, 2, 3, 4)]
        os._exit(0 if all(same) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
