# SPDX-License-Identifier: Apache-2.0
"""Live sessions on this machine: python bench/live_runs.py [--seconds 600] [--latency-ms 160] [--out results]

The demo head at 25 fps and 512x512, fed in real time: 1, 4 and 8 sessions; how many fit before the first frame is late;
what happens while other processes load every core; and how soon the mouth is closed after an interrupt. Prints a table,
and writes DATE-COMMIT-live.json and .md. Exits with 1 where a session does not show what render() does, or its memory
grows. Measure on an idle machine: frames that were late because the host took the CPU are counted apart.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import talksplat
from live_interrupt import Mouth, interrupts
from machine import machine
from talksplat.cli.bench_live import Live, Plan, Sound, measure
from talksplat.cli.feeding import Feeder, chunks_of
from talksplat.cli.machine import cpu_count
from talksplat.cli.watching import lent_frames

AVATAR, SIZE, FPS = "demo", (512, 512), 25.0
SESSIONS = (1, 4, 8)
MOST_SESSIONS = 64
MOST_GROWTH_BYTES = 4e6  # of a run, beyond its first two seconds: an allocator's pages, not a leak


class WrongSession(AssertionError):
    """What was measured is not what a session should do."""


def plan_of(seconds: float, sessions: int, latency_ms: float) -> Plan:
    return Plan(seconds, sessions, latency_ms, fps=FPS, size=SIZE)


def run(head: talksplat.Avatar, sound: Sound, plan: Plan, **options: Any) -> dict[str, Any]:
    """measure(), or where the plan is refused, why, and which latency would have done."""
    try:
        return measure(head, sound, plan, **options)
    except talksplat.LatencyRefused as error:
        return {
            "sessions": plan.sessions, "latency_ms": plan.latency_ms, "refused": str(error),
            "smallest_latency_ms": error.smallest_ms,
        }  # fmt: skip


def steady(head: talksplat.Avatar, sound: Sound, seconds: float, latency_ms: float) -> list[dict[str, Any]]:
    """One session for so long, more of them for a minute; where that latency is refused, then with one that is not."""
    rows = []
    for sessions in SESSIONS:
        span_s = seconds if sessions == 1 else min(seconds, 60.0)
        rows.append(run(head, sound, plan_of(span_s, sessions, latency_ms)))
        smallest_ms = rows[-1]["smallest_latency_ms"]
        if "refused" in rows[-1] and latency_ms < smallest_ms < math.inf:
            rows.append(run(head, sound, plan_of(span_s, sessions, 20 * math.ceil(smallest_ms / 20) + 20)))
    return rows


def late_by_us(result: dict[str, Any]) -> int:
    """Frames that were late for another reason than the host's work."""
    return int(result["late"] - result["late_by_host"])


def fits(head: talksplat.Avatar, sound: Sound, seconds: float, latency_ms: float) -> dict[str, Any]:
    """The largest number of sessions that is accepted and has no late frame: doubling, then halving the gap."""
    trials: dict[int, dict[str, Any]] = {}

    def good(sessions: int) -> bool:
        trials[sessions] = found = run(head, sound, plan_of(seconds, sessions, latency_ms))
        return "refused" not in found and late_by_us(found) == 0 and found["held"] == 0

    most, too_many = 0, 1
    while too_many <= MOST_SESSIONS and good(too_many):
        most, too_many = too_many, 2 * too_many
    while too_many - most > 1:
        middle = (most + too_many) // 2
        if good(middle):
            most = middle
        else:
            too_many = middle
    return {"sessions": most, "latency_ms": latency_ms, "trials": [trials[number] for number in sorted(trials)]}


@contextmanager
def loaded_cores() -> Iterator[None]:
    """Every core has another process on it that never waits."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cpu_count())]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
        for process in busy:
            process.wait()


def loaded(head: talksplat.Avatar, sound: Sound, seconds: float, latency_ms: float, load_s: float) -> dict[str, Any]:
    """late frames during the load and after it, and how long after it the last was ready."""
    spans: list[tuple[Live, float, float]] = []

    def during(live: Live) -> None:
        live.wait(1.0)
        with loaded_cores():
            begin_s = time.monotonic()
            live.wait(load_s)
            end_s = time.monotonic()
        spans.append((live, begin_s, end_s))

    result = run(head, sound, plan_of(seconds + load_s, 1, latency_ms), during=during)
    if "refused" in result:
        return result
    ((live, begin_s, end_s),) = spans
    frames = live.watchers[0].frames
    due = frames["deadline_s"]
    late = frames["late"]
    after = frames["ready_s"][late & (due >= end_s)]
    return {
        **result,
        "load_s": load_s,
        "late_before": int((late & (due < begin_s)).sum()),
        "late_loaded": int((late & (due >= begin_s) & (due < end_s)).sum()),
        "late_after": len(after),
        "back_s": float(after.max() - end_s) if len(after) else 0.0,
    }


def require_as_rendered(head: talksplat.Avatar, sound: Sound) -> int:
    """In real time, where no frame is starved, lips are render()'s to the bit, and the sound is what was pushed.

    Head and lids rest: their motion is that of the session's clock, on which the utterance begins later. Returns how
    many frames were compared.
    """
    mouth = Mouth(head, SIZE)
    still: dict[str, Any] = {"fps": FPS, "size": SIZE, "format": "rgb8", "head": 0, "blink": 0}
    with head.create_session(**still, latency_ms=1000, idle="none", slots=8) as session:
        feeder = Feeder(session, [chunks_of([sound.samples], sound.rate, 20)], sound.rate, close=True)
        feeder.start()
        frames = [frame.copy() for frame in lent_frames(session)]
        feeder.stop()
        if feeder.error is not None:
            raise feeder.error
    offline = list(head.render(sound.samples, sample_rate=sound.rate, **still))
    unable = sum(frame.starved or frame.held for frame in frames)
    if unable:
        raise WrongSession(f"the machine is too busy to compare: {unable} frames were starved or held.")
    if len(frames) != len(offline):
        raise WrongSession(f"a session made {len(frames)} frames of a sound of which render() makes {len(offline)}.")
    for live, want in zip(frames, offline, strict=True):
        if not np.array_equal(mouth.pixels(live.image), mouth.pixels(want.image)):
            raise WrongSession(f"the mouth of a session's frame {live.index} is not that of render()'s {want.index}.")
    said = np.concatenate([frame.audio for frame in frames])[: len(sound.samples)]
    if not np.array_equal(said.reshape(sound.samples.shape), sound.samples):
        raise WrongSession("the sound of a session's frames is not what was pushed.")
    return len(frames)


def all_runs(seconds: float, latency_ms: float, loaded_s: float, interrupted: int) -> dict[str, Any]:
    head, sound = talksplat.load(AVATAR), Sound.read("sample")
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": {**machine(), "threads": head.threads},
        "compared_frames": require_as_rendered(head, sound),
        "steady": steady(head, sound, seconds, latency_ms),
        "fits": [fits(head, sound, min(seconds, 20.0), most_ms) for most_ms in (latency_ms, latency_ms + 100)],
        "loaded": loaded(head, sound, 10.0, latency_ms, loaded_s),
        "interrupt": interrupts(head, sound, FPS, SIZE, latency_ms, interrupted),
    }


def table(result: dict[str, Any]) -> str:
    lines = [
        "| sessions | s | look-ahead | latency | smallest | p50 | p95 | p99 | max | late | by the host | held "
        "| starved | CPU | stolen | memory grew |",
        "|" + "---:|" * 16,
    ]
    trials = [trial for found in result["fits"] for trial in found["trials"]]
    for row in [*result["steady"], *trials, result["loaded"]]:
        if "refused" in row:
            # Below what was asked for, latency is not the reason: the cores have no time for so many.
            smallest = row["smallest_latency_ms"]
            why = "refused" if smallest > row["latency_ms"] else "refused, no time"
            lines.append(f"| {row['sessions']} | | | {row['latency_ms']:g} {why} | {smallest:.1f} |" + " |" * 11)
            continue
        stolen = "" if row["stolen_share"] is None else f"{100 * row['stolen_share']:.1f} %"
        growth = row["resident_bytes"]["growth"]
        name = f"{row['sessions']}, loaded {row['load_s']:g} s" if "load_s" in row else row["sessions"]
        lines.append(
            f"| {name} | {row['seconds']:.0f} | {row['look_ahead_ms']:.0f} | {row['latency_ms']:g} | "
            f"{row['smallest_latency_ms']:.1f} | {row['p50_ms']:.2f} | {row['p95_ms']:.2f} | {row['p99_ms']:.2f} | "
            f"{row['max_ms']:.2f} | {row['late']} of {row['frames']} | {row['late_by_host']} | {row['held']} | "
            f"{row['starved']} | {100 * row['cpu_share']:.1f} % | {stolen} | "
            f"{'' if growth is None else f'{growth / 1e6:.1f} MB'} |"
        )
    load, cut, on = result["loaded"], result["interrupt"], result["machine"]
    lines += ["", "Milliseconds; p50 to max: from a frame's last needed sample, or its release, to the frame in hand."]
    for found in result["fits"]:
        lines.append(
            f"At {found['latency_ms']:g} ms {found['sessions']} sessions fit before a frame is late or one is refused."
        )
    if "refused" not in load:
        lines.append(
            f"{load['load_s']:g} s of load on every core: {load['late_loaded']} late meanwhile, {load['late_after']} "
            f"after it, the last {load['back_s']:.2f} s after its end."
        )
    lines.append(
        f"Interrupt ({cut['count']} times, fade {cut['fade_ms']} ms): the first frame with a closed mouth is in hand "
        f"after {cut['in_hand_ms']['p50']:.0f} ms (p50), {cut['in_hand_ms']['max']:.0f} ms (max), and due after "
        f"{cut['due_ms']['max']:.0f} ms (max)."
    )
    lines.append(f"{on['cpu']}, {on['threads']} of {on['cpus']} CPUs, {on['isa']}, {on['commit']}, {result['date']}.")
    return "\n".join(lines)


def wrong(result: dict[str, Any]) -> list[str]:
    grown = [row for row in result["steady"] if (row.get("resident_bytes") or {}).get("growth") or 0]
    return [
        f"memory of {row['sessions']} sessions grew by {row['resident_bytes']['growth']} bytes"
        for row in grown
        if row["resident_bytes"]["growth"] > MOST_GROWTH_BYTES
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the steady run of one session")
    parser.add_argument("--latency-ms", type=float, default=160.0)
    parser.add_argument("--load-s", type=float, default=5.0)
    parser.add_argument("--interrupts", type=int, default=10)
    parser.add_argument("--out", type=Path, help="folder for the results")
    options = parser.parse_args()
    try:
        result = all_runs(options.seconds, options.latency_ms, options.load_s, options.interrupts)
    except WrongSession as error:
        print(f"live_runs: {error}", file=sys.stderr)
        return 1
    text = table(result)
    print(text)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        stem = options.out / f"{result['date']}-{result['machine']['commit'].rstrip('+')}-live"
        stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        stem.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
        print(f"\nWritten to {stem}.json and .md", file=sys.stderr)
    for line in wrong(result):
        print(f"live_runs: {line}", file=sys.stderr)
    return 1 if wrong(result) else 0


if __name__ == "__main__":
    sys.exit(main())
