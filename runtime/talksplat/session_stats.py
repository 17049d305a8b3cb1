# SPDX-License-Identifier: Apache-2.0
"""What a session counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .arkit import ARKIT_NAMES

# What of a face is seen in which places, by the beginnings of their names; moods as in csrc/ops/drive_presence.cc.
_PLACES = {
    "lips": ("jaw", "mouth", "tongue"),
    "blink": ("eyeBlink",),
    "gaze": ("eyeLook",),
    "head": ("head_pose",),
    "breath": ("breath",),
    "listening": ("brow", "mouthSmile", "head_pose"),
    "emotion:happy": ("cheekSquint", "eyeSquint", "mouthSmile", "mouthDimple"),
    "emotion:sad": ("browInnerUp", "browDown", "eyeSquint", "mouthFrown", "mouthShrugLower"),
    "emotion:angry": ("browDown", "eyeWide", "eyeSquint", "noseSneer", "mouthFrown", "mouthPress", "mouthRoll"),
    "emotion:surprised": ("browInnerUp", "browOuterUp", "eyeWide", "jawOpen", "mouthFunnel"),
    "emotion:afraid": ("brow", "eyeWide", "mouthStretch", "mouthFrown", "mouthLowerDown"),
    "emotion:disgusted": ("noseSneer", "browDown", "eyeSquint", "cheekSquint", "mouthFrown", "mouthUpperUp"),
}
_ORDER = (*ARKIT_NAMES, "head_pose", "breath")


@dataclass(frozen=True)
class SessionStats:
    """Counted since the session began. Times are milliseconds.

    sessions: open on its engine, this one included.
    fps.  latency_ms: as asked for.  smallest_latency_ms: what would have been accepted.  look_ahead_ms: how much sound
    after a frame's time the voice listens to, or an encoder, with its work.
    p50_ms, p95_ms, p99_ms, max_ms: from when a frame could be drawn, its last needed sample there, to when it was
    ready.
    frames: made.  speech, idle, starved: of these.  late: ready after their deadline.  late_by_host: of these, those
    that other work of the machine made late.  held, skipped: could not be drawn in time, see on_late.
    dropped: of an interrupted utterance, and nobody had acquired them.
    stalls: how often the clock stood still, because no picture was free or the process was suspended.  stalled_ms.
    queued_s: sound that waits.  cpu_ms: for which the thread that draws was busy for it,
    of what it did for several sessions at once its share.  memory_bytes: of its own.
    no_input_for: what the avatar has no input for, and so does not show: of "lips", "blink", "gaze", "head", "breath",
    "listening" and moods ("emotion:happy").
    """

    sessions: int
    fps: float
    latency_ms: float
    smallest_latency_ms: float
    look_ahead_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    frames: int
    speech: int
    idle: int
    starved: int
    late: int
    late_by_host: int
    held: int
    skipped: int
    dropped: int
    stalls: int
    stalled_ms: float
    queued_s: float
    cpu_ms: float
    memory_bytes: int
    no_input_for: tuple[str, ...]


_RENAMED = {"memory_bytes": "bytes"}


def session_stats(counted: Mapping[str, Any]) -> SessionStats:
    """Of what the core counts, by its names."""
    own = {name: counted[_RENAMED.get(name, name)] for name in SessionStats.__annotations__ if name not in _DERIVED}
    return SessionStats(**own, queued_s=counted["queued_ms"] / 1e3, no_input_for=no_input_for(counted["has_place"]))


_DERIVED = ("queued_s", "no_input_for")


def no_input_for(has_place: Sequence[bool]) -> tuple[str, ...]:
    """has_place: [54], as ts_session_stats has it."""
    placed = [name for name, place in zip(_ORDER, has_place, strict=True) if place]
    moved = {what for what, begins in _PLACES.items() if any(name.startswith(begins) for name in placed)}
    return tuple(what for what in _PLACES if what not in moved)
