# SPDX-License-Identifier: Apache-2.0
"""Sessions in real time: threads and coroutines that wait, programs that end in the middle of it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from typing import Any, NamedTuple

import numpy as np
import pytest

import talksplat
from runtime.command import interruptible
from runtime.stage import FPS, said, sentence, sound_of, speech_of

RATE = 16000
LATENCY_MS = 600  # tests run side by side, and drawing then takes its time


@pytest.fixture
def session() -> Any:
    avatar = talksplat.load("demo", threads=1)
    made = avatar.create_session(size=(32, 32), fps=FPS, format="rgb8", latency_ms=LATENCY_MS)
    yield made
    made.abort()


class Told(NamedTuple):
    index: int
    rate: int | None
    late: bool
    held: bool


def waiting_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "talksplat frames"]


def settled(done: Any, within_s: float = 5.0) -> bool:
    """Whether it comes true."""
    end_s = time.monotonic() + within_s
    while not done():
        if time.monotonic() > end_s:
            return False
        gc.collect()
        time.sleep(0.02)
    return True


# ---- threads ----


def test_twenty_seconds_at_the_pace_of_a_speaker() -> None:
    """No sound is lost, what is late is told, and other tests on the same cores make few frames late."""
    session = talksplat.load("demo").create_session(fps=FPS, size=(256, 256), latency_ms=LATENCY_MS)
    pcm, rate = sentence()

    def speak() -> None:
        begin_s, pushed = time.monotonic(), 0
        for _ in range(2):
            for block in np.array_split(pcm, round(len(pcm) / rate / 0.02)):
                pushed += len(block)
                time.sleep(max(0.0, begin_s + pushed / rate - time.monotonic()))
                session.push_audio(block, rate)
            session.flush()
            begin_s += 1.5  # a pause
        session.close()

    speaker = threading.Thread(target=speak)
    speaker.start()
    frames, said, pts = [], [[], []], 0
    while True:
        try:
            frame = session.acquire()
        except talksplat.SessionClosed:
            break
        with frame:
            assert frame.pts_samples == (pts if frames and frames[-1].rate == rate else frame.pts_samples)
            pts = frame.pts_samples + len(frame.audio)
            if frame.segment is not None and not frame.starved:
                said[frame.segment].append(frame.audio.copy())
            frames.append(Told(frame.index, frame.sample_rate, frame.late, frame.held))
    speaker.join()
    for part in said:
        np.testing.assert_array_equal(np.concatenate(part)[: len(pcm)] * 32768, pcm)
    assert [frame.index for frame in frames] == list(range(len(frames))) and len(frames) > 18 * FPS
    stats = session.stats()
    assert (stats.late, stats.held) == (sum(frame.late for frame in frames), sum(frame.held for frame in frames))
    assert stats.late <= len(frames) // 10 and stats.stalls == 0 and stats.latency_ms == LATENCY_MS


def test_frames_come_in_real_time(session: talksplat.Session) -> None:
    pcm, rate = sentence(1.0)
    begin_s = time.monotonic()
    session.push_audio(pcm, rate)
    session.close()
    frames = list(session)
    took_s = time.monotonic() - begin_s
    said(speech_of(frames), pcm)
    assert 0.8 < took_s < 3.0
    deadlines = [f.times.deadline for f in frames]
    assert all(begin_s - 1 < f.times.ready < time.monotonic() for f in frames)  # of time.monotonic()
    np.testing.assert_allclose(np.diff(deadlines), 1 / FPS, atol=1e-6)


def test_two_threads_push(session: talksplat.Session) -> None:
    """Each push is whole: all samples come, and every block of them together."""
    block = np.arange(1, 161, dtype=np.int16)
    begun = threading.Barrier(2)

    def push() -> None:
        begun.wait()
        for _ in range(50):
            session.push_audio(block, RATE)

    threads = [threading.Thread(target=push) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session.close()
    heard = np.rint(sound_of(speech_of(list(session))) * 32768).astype(np.int16)
    np.testing.assert_array_equal(heard, np.tile(block, 100))


def test_a_thread_that_waits_is_woken_by_the_end(session: talksplat.Session) -> None:
    for end in (session.close, session.abort):
        told: list[Any] = []

        def wait() -> None:
            try:
                while True:
                    session.acquire().release()
            except talksplat.SessionClosed as closed:
                told.append(closed)  # noqa: B023

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.1)
        end()
        thread.join(5)
        assert len(told) == 1


def test_acquire_waits_no_longer_than_it_is_told() -> None:
    session = talksplat.load("demo", threads=1).create_session(size=(32, 32), idle="none", latency_ms=LATENCY_MS)
    for timeout in (0, 0.05, 0.3):
        begin_s = time.monotonic()
        assert session.acquire(timeout) is None
        assert timeout <= time.monotonic() - begin_s < timeout + 1


def test_a_slow_reader_stops_the_clock(session: talksplat.Session) -> None:
    pcm, rate = sentence(1.0)
    session.push_audio(pcm, rate)
    session.flush()
    time.sleep(2.0)
    session.close()
    frames = list(session)
    said(speech_of(frames), pcm)
    assert [f.index for f in frames] == list(range(len(frames)))
    stats = session.stats()
    assert stats.stalls >= 1 and stats.stalled_ms > 300


# ---- coroutines ----


def test_async_iteration(session: talksplat.Session) -> None:
    """The loop goes on meanwhile."""
    pcm, rate = sentence(1.0)

    async def main() -> tuple[list[talksplat.LiveFrame], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        async with session:
            session.push_audio(pcm, rate)
            session.close()
            frames = [frame async for frame in session]
        ticking.cancel()
        return frames, ticks

    frames, ticks = asyncio.run(main())
    said(speech_of(frames), pcm)
    assert [f.index for f in frames] == list(range(len(frames)))
    assert ticks > 20
    with pytest.raises(talksplat.SessionClosed):
        session.acquire(0)


def test_cancelled_waits_lose_no_frame(session: talksplat.Session) -> None:
    async def main() -> list[int]:
        came = []
        while len(came) < 20:
            try:
                frame = await asyncio.wait_for(anext(aiter(session)), 0.015)
            except asyncio.TimeoutError:
                continue
            came.append(frame.index)
        return came

    first = asyncio.run(main())
    assert first == list(range(20))
    # Another loop goes on where the first one ended.
    assert asyncio.run(main())[0] == 20


def test_a_cancelled_task_ends_at_once(session: talksplat.Session) -> None:
    async def watch() -> None:
        async for _ in session:
            pass

    async def main() -> float:
        task = asyncio.create_task(watch())
        await asyncio.sleep(0.1)
        begin_s = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - begin_s

    assert asyncio.run(main()) < 0.5


def test_two_tasks_share_the_frames(session: talksplat.Session) -> None:
    async def watch() -> list[int]:
        return [frame.index async for frame in session]

    async def main() -> list[list[int]]:
        session.push_audio(np.zeros(RATE // 2, np.int16), RATE)
        session.close()
        return await asyncio.gather(watch(), watch())

    first, second = asyncio.run(main())
    assert sorted(first + second) == list(range(len(first) + len(second)))


def test_the_waiting_thread_ends(session: talksplat.Session) -> None:
    async def main(made: talksplat.Session) -> None:
        async for frame in made:
            if frame.index == 2:
                break

    avatar = talksplat.load("demo", threads=1)
    for end in ("close", "abort", "forget"):
        made = avatar.create_session(size=(32, 32), latency_ms=LATENCY_MS)
        asyncio.run(main(made))
        assert len(waiting_threads()) == 1
        if end == "forget":
            gone = weakref.ref(made)
            del made
            assert settled(lambda: gone() is None)  # noqa: B023
        else:
            getattr(made, end)()
            asyncio.run(rest(made))
            del made
        assert settled(lambda: not waiting_threads()), end


async def rest(session: talksplat.Session) -> None:
    async for _ in session:
        pass


def test_stepped_sessions_end_where_there_is_no_frame() -> None:
    avatar = talksplat.load("demo", threads=1)
    session = avatar.create_session(size=(32, 32), clock="caller")
    session.push_audio(np.zeros(RATE, np.int16), RATE)

    async def main() -> list[int]:
        avatar.engine.step(0.2)
        first = [frame.index async for frame in session]
        avatar.engine.step(0.4)
        return first + [frame.index async for frame in session]

    came = asyncio.run(main())
    assert came == list(range(len(came))) and len(came) >= 2
    assert waiting_threads() == []


# ---- processes ----


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_is_told(session: talksplat.Session) -> None:
    session.push_audio(np.zeros(RATE, np.int16), RATE)
    calls = (
        lambda: session.push_audio(b"\0\0"),
        lambda: session.flush(),
        lambda: session.interrupt(),
        lambda: session.set(gaze=(0, 0)),
        lambda: session.acquire(0),
        lambda: session.acquire(),
        lambda: list(session),
        lambda: session.stats(),
        lambda: session.close(),
        lambda: asyncio.run(rest(session)),
    )
    for _ in range(4):
        time.sleep(0.02)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            told = []
            for call in calls:
                try:
                    call()
                except talksplat.DeviceError as error:
                    told.append("fork" in str(error))
            os._exit(0 if told == [True] * len(calls) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    session.close()
    assert len(sound_of(speech_of(list(session)))) == RATE


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_ends_as_usual() -> None:
    """Its copies of the session and of the frames are destroyed, and nothing waits."""
    done = run_program(
        """
        lent = session.acquire()
        import os
        child = os.fork()
        if child == 0:
            del session, lent
            raise SystemExit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")


PROGRAM = """
import asyncio, gc, sys, threading, time, warnings
import numpy as np
import talksplat
warnings.simplefilter("ignore", DeprecationWarning)
avatar = talksplat.load("demo", threads=2)
session = avatar.create_session(size=(64, 64), latency_ms=600)
session.push_audio(np.zeros(16000, np.int16), 16000)
"""


def run_program(body: str, **options: Any) -> subprocess.CompletedProcess[str]:
    import textwrap

    script = PROGRAM + textwrap.dedent(body)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, **options)


ENDS = {
    "running": "time.sleep(0.1)",
    "lent": "lent = session.acquire()",
    "iterated": "frames = iter(session); next(frames)",
    "thread": "threading.Thread(target=lambda: list(session), daemon=True).start(); time.sleep(0.1)",
    "waiting": (
        "quiet = avatar.create_session(size=(64, 64), idle='none', latency_ms=600); "
        "threading.Thread(target=lambda: quiet.acquire(), daemon=True).start(); time.sleep(0.1)"
    ),
    "pushing": (
        "threading.Thread(target=lambda: [session.push_audio(bytes(2)) for _ in range(10**6)], daemon=True).start(); "
        "time.sleep(0.1)"
    ),
    "coroutine": """
async def some():
    async for frame in session:
        if frame.index == 2:
            break
asyncio.run(some())
""",
    "in a cycle": "session.itself = session; del session",
    "at module level": "talksplat.kept = session; del session",
}


@pytest.mark.parametrize("what", ENDS)
def test_a_program_ends_with_a_session_running(what: str) -> None:
    done = run_program(f"{ENDS[what]}\nprint('the last line')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "the last line\n", "")


@pytest.mark.parametrize("idle", ["alive", "none"])
@pytest.mark.parametrize("wait", ["for _ in quiet: pass", "quiet.acquire()", "asyncio.run(watch())"])
def test_ctrl_c(idle: str, wait: str) -> None:
    """While frames come, and while none does."""
    script = PROGRAM + (
        f"quiet = avatar.create_session(size=(32, 32), idle={idle!r}, slots=2, latency_ms=600)\n"
        "async def watch():\n    async for _ in quiet: pass\n"
        f"print('ready', flush=True)\ntry:\n    while True: {wait}\nexcept KeyboardInterrupt:\n    print('stopped')\n"
    ).replace("while True: for", "for")
    program = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=interruptible,
    )  # fmt: skip
    assert program.stdout is not None and program.stdout.readline() == "ready\n"
    time.sleep(0.3)
    program.send_signal(signal.SIGINT)
    out, error = program.communicate(timeout=20)
    assert (program.returncode, out, error) == (0, "stopped\n", "")
