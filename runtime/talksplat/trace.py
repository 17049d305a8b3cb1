# SPDX-License-Identifier: Apache-2.0
"""Where the time of live frames went, as a trace that ui.perfetto.dev and chrome://tracing show."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import as_count, as_number
from ._files import require_place, whole_text

if TYPE_CHECKING:
    from .live_frame import LiveFrame

KEPT_FRAMES = 15_000  # ten minutes at 25 fps, 3 MB
KEPT_MARKS = 1000

STAGES = ("pose", "deform", "project", "bin", "blend")
FLAGS = ("starved", "late", "held", "fading", "segment_end")
_TIMES = ("heard", "released", "begun", "driven", "ready", "deadline")
_KINDS = ("speech", "idle")
_ROW = np.dtype(
    [("index", np.int64), ("pts", np.float64), ("kind", np.int8), ("flags", np.int8)]
    + [(name, np.int64) for name in _TIMES]
    + [(f"{name}_us", np.float32) for name in STAGES]
    + [("visible", np.int32)]
)
# The one process of a trace. Threads of it are tracks.
_PID = 1


class Trace:
    """Receipts of live frames, kept until they are saved. One track per session; a session's slices are:

    wait for sound   from when the frame could have been drawn, were it not for its sound, until that was there
    queue            from when it could be drawn until its turn came
    frame            until it was ready; within it drive (sound to a control), pose, deform, project, bin and blend

    and moments: deadline, late, skipped and what mark() names.

        trace = Trace("demo")
        track = trace.track("session 1", session.fps)
        for frame in session:  # or acquired frames, while they are lent
            track.add(frame)
        trace.save("live.json")

    name: of the engine, shown above its sessions.  kept: frames of each session; of more, the last are kept.
    Memory is taken as frames come: 200 bytes each, and no more than so many.
    """

    def __init__(self, name: str = "talksplat", kept: int = KEPT_FRAMES) -> None:
        self.name = name
        self.kept = as_count("Trace: kept", kept, 1)
        self._tracks: list[Track] = []

    def track(self, name: str, fps: float) -> Track:
        """A session's; fps is the session's."""
        rate = as_number("Trace.track: fps", fps)
        if not rate > 0:
            raise ValueError(f"Trace.track: fps must be above 0; got {fps!r}.")
        track = Track(name, rate, self.kept)
        self._tracks.append(track)
        return track

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write Chrome's JSON; the file appears when it is whole. Times are microseconds from the first that is shown.

        Returns the number of events. Raises OSError where the file cannot be written.
        """
        target = Path(os.fsdecode(os.fspath(path)))
        require_place(target)
        tracks = [(track, track.rows(), track.marks()) for track in self._tracks]
        firsts = [int(moment) for track, rows, marks in tracks for moment in track.first_ns(rows, marks)]
        origin_ns = min(firsts, default=0)
        count = 0
        with whole_text(target) as file:
            file.write('{"displayTimeUnit":"ms","otherData":')
            file.write(json.dumps({"clock": "steady", "origin_ns": origin_ns, "frames_kept": self.kept}))
            file.write(',"traceEvents":[')
            for event in self._events(tracks, origin_ns):
                file.write((",\n" if count else "\n") + json.dumps(event, separators=(",", ":")))
                count += 1
            file.write("\n]}\n")
        return count

    def _events(self, tracks: list[Any], origin_ns: int) -> Iterator[dict[str, Any]]:
        yield _named("process_name", 0, self.name)
        for number, (track, rows, marks) in enumerate(tracks, start=1):
            yield _named("thread_name", number, track.name)
            yield {"ph": "M", "pid": _PID, "tid": number, "name": "thread_sort_index", "args": {"sort_index": number}}
            for event in track.events(rows, marks):
                event["ts"] = (event.pop("at_ns") - origin_ns) / 1e3
                yield {"pid": _PID, "tid": number, "cat": "talksplat", **event}


class Track:
    """A session's frames and marks. add() is for the thread that acquires, mark() for any."""

    def __init__(self, name: str, fps: float, kept: int) -> None:
        """Made by Trace.track()."""
        self.name = name
        self.interval_ns = round(1e9 / fps)
        self._rows = np.zeros(kept, _ROW)  # pages of memory are taken when they are written to
        self._count = 0
        self._marks: deque[tuple[int, str]] = deque(maxlen=KEPT_MARKS)
        self._lock = threading.Lock()

    def add(self, frame: LiveFrame) -> None:
        """Its times, flags and receipt are copied, its picture is not."""
        times, receipt = frame.times, frame.receipt
        flags = sum(1 << bit for bit, name in enumerate(FLAGS) if getattr(frame, name))
        row = (
            frame.index, frame.pts, _KINDS.index(frame.kind), flags,
            *(_ns(getattr(times, name)) for name in _TIMES),
            *(getattr(receipt, f"{name}_us") for name in STAGES),
            receipt.n_visible,
        )  # fmt: skip
        with self._lock:
            self._rows[self._count % len(self._rows)] = row
            self._count += 1

    def mark(self, name: str, at_s: float) -> None:
        """A moment, such as an interrupt: seconds of the clock that the frames' times are of, which is time.monotonic()
        unless the session has the caller's. The last 1000 are kept."""
        with self._lock:
            self._marks.append((_ns(at_s), name))

    def rows(self) -> Any:
        """The frames that are kept, the oldest first."""
        with self._lock:
            kept, count = len(self._rows), self._count
            return np.roll(self._rows, -(count % kept)) if count > kept else self._rows[:count].copy()

    def marks(self) -> list[tuple[int, str]]:
        with self._lock:
            return list(self._marks)

    def first_ns(self, rows: Any, marks: list[tuple[int, str]]) -> Iterator[int]:
        if len(rows):
            yield min(int(rows["begun"].min()), int(rows["deadline"].min()) - self.interval_ns)
        yield from (at for at, _ in marks)

    def events(self, rows: Any, marks: list[tuple[int, str]]) -> Iterator[dict[str, Any]]:
        """In the order of frames; at_ns in place of ts."""
        for at, name in marks:
            yield _moment(name, at)
        free_ns = None  # from when on nothing is drawn on this track
        before = None
        for row in rows:
            index = int(row["index"])
            if before is not None and index > before + 1:
                yield _moment("skipped", int(row["begun"]), {"frames": list(range(before + 1, index))})
            before = index
            frame = _Slices(row, self.interval_ns, free_ns)
            yield from frame.events()
            free_ns = frame.end_ns


class _Slices:
    """A frame on a track where no two slices may overlap but by lying within each other: what waited while the frame
    before was still drawn begins when that was ready. The whole waits are in `args`."""

    def __init__(self, row: Any, interval_ns: int, free_ns: int | None) -> None:
        self.row = row
        self.heard, self.released, self.begun, self.driven, self.ready, self.deadline = (
            int(row[name]) for name in _TIMES
        )
        self.opened = self.deadline - interval_ns
        self.free = self.opened if free_ns is None else free_ns
        self.stage_ns = [round(float(row[f"{name}_us"]) * 1e3) for name in STAGES]
        # With the caller's clock no time passes while a frame is drawn: it is as long as its stages.
        self.start = max(self.begun, self.free)
        self.drawn = self.start + max(0, self.driven - self.begun)
        self.end_ns = max(self.ready, self.drawn + sum(self.stage_ns) if self.ready == self.begun else self.drawn)

    def events(self) -> Iterator[dict[str, Any]]:
        speech = _KINDS[self.row["kind"]] == "speech"
        starved = bool(self.row["flags"] & 1 << FLAGS.index("starved"))
        if speech and not starved:
            yield from self._slice("wait for sound", max(self.opened, self.free), min(self.heard, self.start))
        queued = max(self.released, self.free, self.heard if speech and not starved else self.free)
        yield from self._slice("queue", queued, self.start)
        yield _slice("frame", self.start, self.end_ns, self._args())
        yield from self._slice("drive", self.start, self.drawn)
        at = self.drawn
        for name, length in zip(STAGES, self.stage_ns, strict=True):
            yield from self._slice(name, at, min(at + length, self.end_ns))
            at += length
        yield _moment("deadline", self.deadline, {"frame": int(self.row["index"])})
        if self.row["flags"] & 1 << FLAGS.index("late"):
            late_ms = round((self.ready - self.deadline) / 1e6, 3)
            yield _moment("late", self.ready, {"frame": int(self.row["index"]), "late_ms": late_ms})

    def _slice(self, name: str, begin: int, end: int) -> Iterator[dict[str, Any]]:
        if end > begin:
            yield _slice(name, begin, end, None)

    def _args(self) -> dict[str, Any]:
        return {
            "frame": int(self.row["index"]),
            "pts_s": round(float(self.row["pts"]), 6),
            "kind": _KINDS[self.row["kind"]],
            "flags": [name for bit, name in enumerate(FLAGS) if self.row["flags"] & 1 << bit],
            "sound_ms": round((self.heard - self.opened) / 1e6, 3),
            "queue_ms": round((self.begun - self.released) / 1e6, 3),
            "spare_ms": round((self.deadline - self.ready) / 1e6, 3),
            "visible": int(self.row["visible"]),
        }


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _slice(name: str, begin: int, end: int, args: dict[str, Any] | None) -> dict[str, Any]:
    event: dict[str, Any] = {"ph": "X", "name": name, "at_ns": begin, "dur": (end - begin) / 1e3}
    return event if args is None else {**event, "args": args}


def _moment(name: str, at_ns: int, args: dict[str, Any] | None = None) -> dict[str, Any]:
    event: dict[str, Any] = {"ph": "i", "s": "t", "name": name, "at_ns": at_ns}
    return event if args is None else {**event, "args": args}


def _named(kind: str, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "pid": _PID, "tid": tid, "name": kind, "args": {"name": name}}
