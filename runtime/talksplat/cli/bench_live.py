# SPDX-License-Identifier: Apache-2.0
"""talksplat bench --live: sessions that are fed in real time, and when their frames were in hand."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from .._text import printable
from .encoding import in_words as encoder_in_words
from .encoding import told as encoder_told

if TYPE_CHECKING:
    from .._arrays import FloatArray
    from ..avatar import Avatar
    from ..encoders.encoder import Encoder
    from ..trace import Trace
    from .feeding import Feeder
    from .watching import Watcher

WARM_UP_S = 2.0  # until memory should be flat
LEAD_S = 0.1  # for threads to be there when the first sample is spoken
COUNTS = ("late", "late_by_host", "held", "skipped", "starved", "frames", "speech", "idle", "stalls")


class Plan(NamedTuple):
    """What is measured. A session speaks its sound over and over, with a pause between in which it is idle."""

    seconds: float
    sessions: int = 1
    latency_ms: float = 200.0
    chunk_ms: float = 20.0
    fps: float | None = None
    size: tuple[int, int] | None = None
    format: str = "rgba8"
    pause_s: float = 1.0
    seed: int = 0  # of the moments within a frame at which sessions begin, and of their faces
    encoder: Encoder | None = None  # shared by all of them


class Sound(NamedTuple):
    samples: FloatArray  # [n,channels]
    rate: int
    name: str

    @classmethod
    def read(cls, source: str) -> Sound:
        """Raises AudioInvalid."""
        import numpy as np

        from ..audio import open_audio

        audio = open_audio("bench", source)
        return cls(np.concatenate(list(audio.blocks())), audio.rate, source)

    def utterances(self, chunk_ms: float) -> Iterator[Iterator[FloatArray]]:
        """Without end."""
        from .feeding import chunks_of

        while True:
            yield chunks_of([self.samples], self.rate, chunk_ms)


class Live:
    """Sessions of a plan, fed and watched while the `with` block lasts.

    Raises LatencyRefused where the machine cannot keep the plan's latency for so many.
    """

    def __init__(self, head: Avatar, sound: Sound, plan: Plan, trace: Trace | None = None) -> None:
        self.head, self.sound, self.plan, self.trace = head, sound, plan, trace
        self.sessions: list[Any] = []
        self.feeders: list[Feeder] = []
        self.watchers: list[Watcher] = []
        self._exits = ExitStack()

    def __enter__(self) -> Live:
        with self._exits:
            self._begin()
            self._exits = self._exits.pop_all()
        return self

    def __exit__(self, *reason: object) -> None:
        self._exits.close()

    def _begin(self) -> None:
        from .feeding import Feeder
        from .watching import Watcher

        plan = self.plan
        for number in range(plan.sessions):
            session = self.head.create_session(
                fps=plan.fps, size=plan.size, format=plan.format, latency_ms=plan.latency_ms, chunk_ms=plan.chunk_ms,
                seed=plan.seed + number, encoder=plan.encoder,
            )  # fmt: skip
            self.sessions.append(self._exits.enter_context(session))
        self.fps: float = self.sessions[0].fps
        moments = random.Random(plan.seed)
        begin_s = time.monotonic() + LEAD_S
        for number, session in enumerate(self.sessions, start=1):
            track = None if self.trace is None else self.trace.track(f"session {number}", self.fps)
            watcher = Watcher(session, plan.seconds * self.fps, track)
            feeder = Feeder(session, self.sound.utterances(plan.chunk_ms), self.sound.rate, plan.pause_s)
            self._exits.callback(watcher.stop)
            self._exits.callback(feeder.stop)
            self.watchers.append(watcher)
            self.feeders.append(feeder)
            at_s = begin_s + moments.random() / self.fps
            watcher.start(at_s)
            feeder.start(at_s)

    def wait(self, seconds: float) -> None:
        """Raises what a feeder or a watcher met."""
        until_s = time.monotonic() + seconds
        pause = threading.Event()
        while (left_s := until_s - time.monotonic()) > 0:
            pause.wait(min(left_s, 0.25))
            self.require_alive()

    def require_alive(self) -> None:
        for error in (*(x.error for x in self.feeders), *(x.error for x in self.watchers)):
            if error is not None:
                raise error

    def stop(self) -> None:
        """No more pushes, and no more frames are taken."""
        for feeder, watcher in zip(self.feeders, self.watchers, strict=True):
            feeder.stop()
            watcher.stop()
        self.require_alive()


def measure(
    head: Avatar, sound: Sound, plan: Plan, trace: Trace | None = None, during: Callable[[Live], None] | None = None
) -> dict[str, Any]:
    """What `bench --live --json` prints, but for the machine.

    during: runs beside the sessions, once they are warm; it may take no longer than what is left of plan.seconds.
    Raises LatencyRefused.
    """
    from .machine import busy_s, cpu_count, resident_bytes, stolen_s

    before = resident_bytes()
    with Live(head, sound, plan, trace) as live:
        begin_s, busy, stolen = time.monotonic(), busy_s(), stolen_s()
        warm_up_s = min(WARM_UP_S, plan.seconds / 2)
        live.wait(LEAD_S + warm_up_s)
        warm = resident_bytes()
        if during is not None:
            during(live)
        live.wait(begin_s + LEAD_S + plan.seconds - time.monotonic())
        after = resident_bytes()
        wall_s = time.monotonic() - begin_s
        busy = busy_s() - busy
        taken = None if stolen is None else (stolen_s() or 0.0) - stolen
        live.stop()
        found = _found(live)
    cpus = cpu_count()
    return {
        "avatar": head.name,
        "audio": sound.name,
        "seconds": round(wall_s, 3),
        "sessions": plan.sessions,
        "size": list(plan.size or head.size),
        "format": plan.format,
        "chunk_ms": plan.chunk_ms,
        **({} if plan.encoder is None else {"encoder": encoder_told(plan.encoder)}),
        **found,
        "cpu_share": round(busy / (wall_s * cpus), 4),
        "cpu_s": round(busy, 3),
        "stolen_share": None if taken is None else round(taken / (wall_s * cpus), 4),
        "resident_bytes": {
            "before": before, "warm": warm, "after": after,
            "growth": None if warm is None or after is None else after - warm,
        },
    }  # fmt: skip


def _found(live: Live) -> dict[str, Any]:
    import numpy as np

    from .watching import spread_ms

    stats = [session.stats() for session in live.sessions]
    spreads = [spread_ms(watcher.frames["waited_s"]) for watcher in live.watchers]
    worst = max(range(len(spreads)), key=lambda i: spreads[i]["p99_ms"])
    merged = np.concatenate([watcher.frames["waited_s"] for watcher in live.watchers])
    return {
        "fps": live.fps,
        "look_ahead_ms": stats[0].look_ahead_ms,
        "latency_ms": stats[0].latency_ms,
        "smallest_latency_ms": max(found.smallest_latency_ms for found in stats),
        **spread_ms(merged),
        "worst": {"session": worst + 1, **spreads[worst]},
        **{name: sum(getattr(found, name) for found in stats) for name in COUNTS},
        "stalled_ms": round(sum(found.stalled_ms for found in stats), 3),
        "fed_late_ms": round(max(feeder.late_ms for feeder in live.feeders), 3),
        "session_bytes": sum(found.memory_bytes for found in stats),
        "drawing_ms": {
            name: max(getattr(found, name) for found in stats) for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")
        },
    }


def show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from .machine import in_words, size_text

    console = Console(highlight=False, markup=False)
    width, height = result["size"]
    speakers = f"{result['sessions']} session" + ("s" if result["sessions"] > 1 else "")
    console.print(
        printable(f"{result['avatar']} live, {result['audio']}")
        + f": {speakers}, {result['seconds']:.0f} s of {width}x{height} at {result['fps']:g} fps"
    )
    table = Table("latency, ms", "")
    table.columns[1].justify = "right"
    for name, key in (
        ("kept, at most", "latency_ms"),
        ("smallest that would be accepted", "smallest_latency_ms"),
        ("of which the voice looks ahead", "look_ahead_ms"),
        ("last needed sample to frame in hand, p50", "p50_ms"),
        ("p95", "p95_ms"),
        ("p99", "p99_ms"),
        ("max", "max_ms"),
    ):
        table.add_row(name, f"{result[key]:.2f}")
    if result["sessions"] > 1:
        table.add_row(
            f"p99 of the slowest session, number {result['worst']['session']}", f"{result['worst']['p99_ms']:.2f}"
        )
    console.print(table)
    table = Table("frames", "")
    table.columns[1].justify = "right"
    for name, key in (
        ("made", "frames"),
        ("late", "late"),
        ("of which the host's other work made late", "late_by_host"),
        ("held: shown twice", "held"),
        ("starved of sound", "starved"),
    ):
        table.add_row(name, str(result[key]))
    console.print(table)
    if "encoder" in result:
        console.print(f"each speaker's encoder: {printable(encoder_in_words(result['encoder']))}")
    memory, machine = result["resident_bytes"], result["machine"]
    stolen = result["stolen_share"]
    console.print(
        f"{100 * result['cpu_share']:.1f} % of {machine['cpus']} CPUs used"
        + ("" if stolen is None else f", {100 * stolen:.1f} % taken by the host's other guests")
        + f"\nsound was pushed up to {result['fed_late_ms']:.1f} ms late\n"
        f"memory {size_text(memory['before'])} before, {size_text(memory['warm'])} warm, "
        f"{size_text(memory['after'])} in the end; of sessions {size_text(result['session_bytes'])}\n"
        f"{in_words(machine)}, {result['precision']}"
    )
