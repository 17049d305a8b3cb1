# SPDX-License-Identifier: Apache-2.0
"""Engines: what is known of one is told while it draws, and few of them are kept."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from talksplat.drawing import MAX_IDLE
from talksplat.engine import KEPT, shared_engine

SCENE: dict[str, Any] = {
    "means": [[0, 0, 2]], "quats": [[1, 0, 0, 0]], "scales": [[0.1, 0.1, 0.1]], "opacities": [1], "colors": [[1, 0, 0]],
    "viewmat": np.eye(4), "K": [[20, 0, 16], [0, 20, 16], [0, 0, 1]], "width": 32, "height": 32,
}  # fmt: skip
CANVAS = (16, 16, talksplat._core.Format.RGB8, talksplat._core.Precision.REFERENCE)


def engine_threads() -> int:
    """Threads of this process, once none has come or gone for a while: a joined one is listed a little longer."""
    gc.collect()  # engines of earlier tests
    counts = [0, 1]
    while len(set(counts[-5:])) > 1:
        counts.append(len(list(Path("/proc/self/task").iterdir())))
        time.sleep(0.01)
    return counts[-1]


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_is_told_whatever_a_frame_was_doing(tiny_path: Path) -> None:
    avatar = talksplat.load(tiny_path, threads=2)
    core, side, stop = talksplat._core, 1024, threading.Event()
    frame = core.Frame(avatar._core, side, side, core.Format.RGB8, core.Precision.FAST)
    image = np.empty((side, side, 3), np.uint8)

    def draw() -> None:
        while not stop.is_set():
            frame.render(None, None, False, None, image)

    def told(call: Callable[[], Any]) -> bool:
        try:
            call()
        except talksplat.DeviceError as error:
            return "made before fork()" in str(error) and '"spawn"' in str(error)
        return False

    worker = threading.Thread(target=draw)
    worker.start()
    for _ in range(4):
        time.sleep(0.01)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            calls = (
                lambda: frame.render(None, None, False, None, image),
                lambda: avatar.render_frame({}),
                lambda: avatar.vertices(),
                lambda: avatar.threads,
            )
            known = avatar.info["n_gaussians"] == avatar.n_gaussians and avatar.face_controls({}).inputs == {}
            os._exit(0 if known and all(map(told, calls)) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    stop.set()
    worker.join()


# ---- engines that are shared ----


def test_avatars_share_an_engine(tiny_path: Path) -> None:
    before = engine_threads() if Path("/proc/self/task").is_dir() else 0
    engine = talksplat.Engine(threads=3)
    first, second = (talksplat.load(path, engine=engine) for path in (tiny_path, "demo"))
    assert first.engine is second.engine is engine
    assert (engine.device, engine.threads, first.threads) == ("cpu", 3, 3)
    assert repr(engine) == f"Engine('cpu', threads=3, isa='{engine.isa}')"
    if before:
        assert engine_threads() == before + 2
    alone = talksplat.load("demo", threads=1)
    np.testing.assert_array_equal(second.render_frame({}).image, alone.render_frame({}).image)
    assert first.scratch_bytes == second.scratch_bytes == engine.scratch_bytes > 0


def test_avatars_of_one_engine_are_drawn_from_several_threads(tiny_path: Path) -> None:
    engine = talksplat.Engine(threads=2)
    avatars = [talksplat.load(path, engine=engine) for path in (tiny_path, "demo", tiny_path)]
    sizes = [(40, 30), (64, 64), (33, 50)]
    want = [avatar.render_frame({}, size).image for avatar, size in zip(avatars, sizes, strict=True)]
    wrong: list[int] = []

    def draw(i: int) -> None:
        for _ in range(60):
            if not np.array_equal(avatars[i].render_frame({}, sizes[i]).image, want[i]):
                wrong.append(i)

    workers = [threading.Thread(target=draw, args=(i,)) for i in (0, 1, 2, 0, 1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "cpu"}, "load: device and threads are the engine's where one is given"),
        ({"threads": 0}, "load: device and threads are the engine's where one is given"),
        ({"engine": "cpu"}, r"load: engine must be a talksplat\.Engine or None; got str"),
    ],
)
def test_an_engine_has_its_own_threads(given: dict[str, Any], message: str, tiny_path: Path) -> None:
    options: dict[str, Any] = {"engine": talksplat.Engine(threads=1), **given}
    with pytest.raises(ValueError, match=message):
        talksplat.load(tiny_path, **options)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"device": "cuda:0"}, talksplat.DeviceError, r'device "cuda:0": cuda: .* This machine has cpu'),
        ({"device": "gpu"}, talksplat.DeviceError, 'device must be "auto", "cpu", "cuda" or "cuda:N"; got "gpu"'),
        ({"device": 3}, ValueError, 'Engine: device must be "auto", "cpu", "cuda" or "cuda:N"; got 3'),
        ({"device": "cpu\0x"}, ValueError, r'Engine: device must be "auto", .*; got .cpu\\x00x'),
        ({"device": "\ud800"}, ValueError, 'Engine: device must be "auto", "cpu", "cuda" or "cuda:N"; got'),
        (
            {"isa": "scalar\0x"},
            ValueError,
            r"Engine: isa must be .* or None; got .scalar\\x00x",
        ),
        ({"isa": "\udcff"}, ValueError, "Engine: isa must be the name of an instruction set or None; got"),
        ({"threads": -1}, ValueError, "Engine: threads must be a whole number, at least 0; got -1"),
        ({"threads": 257}, ValueError, r"threads must be in 0\.\.256; got 257"),
        ({"isa": "mmx"}, talksplat.DeviceError, r"mmx requested by ts_engine_params\.isa"),
        ({"isa": 512}, ValueError, "Engine: isa must be the name of an instruction set or None; got 512"),
    ],
)
def test_engines_that_there_are_not(given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        talksplat.Engine(**given)


def test_every_frame_may_choose_its_precision() -> None:
    avatar, fast = talksplat.load("demo"), talksplat.load("demo", precision="fast")
    size, control = (128, 128), {"arkit": {"jawOpen": 0.5}}
    exact = avatar.render_frame(control, size).image
    quick = avatar.render_frame(control, size, precision="fast").image
    np.testing.assert_array_equal(quick, fast.render_frame(control, size).image)
    np.testing.assert_array_equal(exact, fast.render_frame(control, size, precision="reference").image)
    assert 0 < np.abs(exact.astype(int) - quick).max() <= 2
    motion = talksplat.Motion(25, inputs={"head_pose": np.zeros((1, 3))})
    (frame,) = avatar.render_motion(motion, size=size, precision="fast")
    np.testing.assert_array_equal(frame.image, avatar.render_frame({}, size, precision="fast").image)
    for call in (avatar.render_frame, lambda **options: avatar.render("sample", **options)):
        with pytest.raises(ValueError, match="precision must be"):
            call(precision="half")


def test_rasterize_on_an_engine() -> None:
    engine = talksplat.Engine(threads=2)
    np.testing.assert_array_equal(talksplat.rasterize(**SCENE, engine=engine), talksplat.rasterize(**SCENE, threads=1))
    for threads in (0, 2):
        with pytest.raises(ValueError, match=f"rasterize: threads are the engine's where one is given; got {threads}"):
            talksplat.rasterize(**SCENE, engine=engine, threads=threads)
    with pytest.raises(ValueError, match=r"rasterize: engine must be a talksplat\.Engine or None; got Engine"):
        talksplat.rasterize(**SCENE, engine=engine._core)  # type: ignore[arg-type]


def test_few_frames_are_kept_the_last_used(tiny_path: Path) -> None:
    avatar = talksplat.load(tiny_path, threads=1)
    for side in range(16, 40):
        avatar.render_frame({}, size=(side, side))
    kept = avatar._frames._idle
    assert [canvas[0] for canvas, _ in kept.values()] == [36, 37, 38, 39]
    canvas = next(iter(kept.values()))[0]
    before = {id(frame) for _, frame in kept.values()}
    with avatar._frames.borrow(*canvas) as frame:
        assert id(frame) in before and len(kept) == MAX_IDLE - 1
    assert [canvas[0] for canvas, _ in kept.values()] == [37, 38, 39, 36]


def test_few_frames_are_kept_however_many_were_drawn_at_once(tiny_path: Path) -> None:
    avatar = talksplat.load(tiny_path, threads=1)
    want = avatar.render_frame({}, size=(16, 16)).image
    with ExitStack() as lent:
        frames = [lent.enter_context(avatar._frames.borrow(*CANVAS)) for _ in range(3 * MAX_IDLE)]
        assert len({id(frame) for frame in frames}) == 3 * MAX_IDLE
    assert len(avatar._frames._idle) == MAX_IDLE
    right: list[bool] = []

    def draw() -> None:
        for _ in range(50):
            right.append(np.array_equal(avatar.render_frame({}, size=(16, 16)).image, want))

    all_at_once([draw] * 12)
    assert right == [True] * 600 and len(avatar._frames._idle) <= MAX_IDLE
