# SPDX-License-Identifier: Apache-2.0
"""talksplat render --realtime: a sound is pushed at the pace at which it is spoken, and frames come in time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ..audio_blocks import Audio
    from ..avatar import Avatar
    from ..live_frame import LentFrame
    from ..trace import Trace

DEFAULT_LATENCY_MS = 200.0
CHUNK_MS = 20.0


def require_live(audio: str | None, others: dict[str, Any], live: dict[str, Any], realtime: bool) -> None:
    """A wrong command line where options do not go together. others, live: option → value, of what --realtime refuses
    and of what is only for it."""
    if not realtime:
        for word, value in live.items():
            if value is not None:
                raise typer.BadParameter(f"{word} is for --realtime")
        return
    if audio is None:
        raise typer.BadParameter("--realtime needs AUDIO: it is pushed as if it were spoken now")
    given = [word for word, value in others.items() if value is not None]
    if given:
        raise typer.BadParameter(
            f"--realtime and {given[0]} do not go together: a live avatar speaks, and nothing else moves it. Leave one "
            "out"
        )


class LiveShow:
    """Frames of a session that a sound is fed to, while the `with` block lasts.

    Raises LatencyRefused, with the smallest latency, where this machine cannot keep the one that is asked for.
    """

    def __init__(
        self, actor: Avatar, heard: Audio, fps: float, options: dict[str, Any], latency_ms: float | None,
        trace: str | None,
    ) -> None:  # fmt: skip
        """options: size, format, background, seed, mouth, head and blink, as Avatar.render() takes them.
        trace: a file for save_trace()."""
        self._actor, self._heard, self.fps = actor, heard, fps
        latency = DEFAULT_LATENCY_MS if latency_ms is None else latency_ms
        # Without idle frames the video begins with the sound's first frame, and ends with its last.
        self._options = {**options, "fps": fps, "latency_ms": latency, "chunk_ms": CHUNK_MS, "idle": "none"}
        self._path, self._trace = trace, None if trace is None else trace_of(actor)
        self._exits = ExitStack()

    def __enter__(self) -> LiveShow:
        from .feeding import Feeder, chunks_of

        sound = chunks_of(self._heard.blocks(), self._heard.rate, CHUNK_MS)
        with self._exits:
            self._session: Any = self._exits.enter_context(self._actor.create_session(**self._options))
            self._feeder = Feeder(self._session, [sound], self._heard.rate, close=True)
            self._exits.callback(self._feeder.stop)
            self._exits = self._exits.pop_all()
        return self

    def __exit__(self, *reason: object) -> None:
        self._exits.close()

    def frames(self) -> Iterator[LentFrame]:
        """Each is good until the next is asked for. Raises what reading the sound does."""
        from .watching import lent_frames

        track = None if self._trace is None else self._trace.track("session", self.fps)
        self._feeder.start()
        for frame in lent_frames(self._session):
            if track is not None:
                track.add(frame)
            yield frame
        if self._feeder.error is not None:
            raise self._feeder.error

    def save_trace(self) -> None:
        if self._trace is not None and self._path is not None:
            self._trace.save(self._path)

    def stats(self) -> dict[str, Any]:
        found = self._session.stats()
        names = ("latency_ms", "smallest_latency_ms", "look_ahead_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms",
                 "late", "late_by_host", "held", "starved")  # fmt: skip
        return {name: getattr(found, name) for name in names}


def trace_of(actor: Avatar) -> Trace:
    from ..trace import Trace

    return Trace(f"{actor.name}, {actor.threads} threads, {actor.isa}")


def in_words(stats: dict[str, Any]) -> str:
    return (
        f"{stats['late']} late, {stats['held']} held, {stats['starved']} starved; drawn within "
        f"{stats['p99_ms']:.1f} ms (p99) of their sound; latency {stats['latency_ms']:g} ms, of which the voice looks "
        f"ahead {stats['look_ahead_ms']:.0f} ms"
    )
