# SPDX-License-Identifier: Apache-2.0
"""talksplat say"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .live_options import ChunkMs, LatencyMs, TracePath, require_trace
from .options import (
    AvatarPath,
    Blink,
    Device,
    Head,
    Mouth,
    Precision,
    Seed,
    Size,
    Threads,
    VoiceFile,
    is_avatar,
    note,
    note_device,
    parse_size,
    require_speech_fps,
)
from .render_live import in_words, trace_of
from .stopping import Stopped, go_on
from .streams import require_stdout

if TYPE_CHECKING:
    from ..avatar import Avatar
    from ..trace import Trace
    from .say_screens import Screen
    from .say_sources import Source

STDIO = "-"
FORMATS = ("rgb8", "rgba8", "nv12")
FADE_MS = 80
LATENCY_MS, CHUNK_MS = 200.0, 20.0
CTRL_C = 130  # its exit code where it cuts a command short; this one it ends as it should
STATS = ("latency_ms", "look_ahead_ms", "p99_ms", "late", "held", "starved")


def say(
    avatar: AvatarPath,
    audio: Annotated[
        str | None,
        typer.Argument(
            metavar="AUDIO",
            help="A sound or video file, sample (built in), or - for stdin; the microphone if absent.",
        ),
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option("--rate", min=8000, max=192_000, help="stdin has raw 16-bit samples, so many a second."),
    ] = None,
    channels: Annotated[int, typer.Option("--channels", min=1, max=8, help="Of raw samples.")] = 1,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="-: raw pictures on stdout, and no window; as --raw rgb8.")
    ] = None,
    raw: Annotated[
        str | None, typer.Option("--raw", help="Raw pictures on stdout, and no window: rgb8, rgba8 or nv12.")
    ] = None,
    microphone: Annotated[str | None, typer.Option("--microphone", help="Name or number of the device.")] = None,
    sound: Annotated[
        bool | None,
        typer.Option("--sound/--no-sound", help="Play what is said; the microphone, which would hear it, is not."),
    ] = None,
    size: Size = None,
    fps: Annotated[
        float | None,
        typer.Option("--fps", help="Frames per second, 20 to 60; the avatar's, or 25, if absent."),
    ] = None,
    latency_ms: LatencyMs = None,
    chunk_ms: ChunkMs = None,
    background: Annotated[
        str | None,
        typer.Option("--background", metavar="#RRGGBB|FILE|fill|none", help="Behind the head, in place of its own."),
    ] = None,
    seed: Seed = 0,
    mouth: Mouth = 1.0,
    head: Head = 1.0,
    blink: Blink = 1.0,
    voice: VoiceFile = None,
    device: Device = "auto",
    threads: Threads = 0,
    precision: Precision = "default",
    seconds: Annotated[float | None, typer.Option("--seconds", min=0.0, help="Stop after so many seconds.")] = None,
    trace: TracePath = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No remarks.")] = False,
) -> None:
    """Let an avatar say what a microphone, stdin or a file says, now: in a window, or as raw pictures on stdout.

    Ctrl-C ends it. In the window Space interrupts, Escape ends. The window and the microphone need
    pip install 'talksplat[say]'; with a file or stdin and --raw nothing more is needed.
    """
    from ..avatar import load

    if audio is not None and is_avatar(audio) and not is_avatar(avatar):
        raise typer.BadParameter(f"AVATAR comes first, then AUDIO: talksplat say {audio} {avatar}")
    format = _format(output, raw)
    _require_input(audio, rate, channels, microphone)
    pixels = None if size is None else parse_size(size)
    require_speech_fps(fps)
    require_trace(trace, {"AVATAR": avatar, "AUDIO": audio, "--background": background})
    if format is not None:
        if sound:
            raise typer.BadParameter("--sound is for the window: raw pictures have none")
        require_stdout()
        if sys.stdout.isatty():
            raise typer.BadParameter("raw pictures on a terminal help nobody: redirect them to a file or a program")
    actor = load(avatar, device, threads, precision)
    chunk = CHUNK_MS if chunk_ms is None else chunk_ms
    source = _source(audio, rate, channels, chunk, microphone)
    options = {
        "fps": fps, "size": pixels, "format": format or "rgb8", "chunk_ms": chunk, "sample_rate": source.rate,
        "channels": source.channels, "latency_ms": LATENCY_MS if latency_ms is None else latency_ms, "seed": seed,
        "mouth": mouth, "head": head, "blink": blink, "voice": voice,
        "background": _background(actor, background, format, pixels or actor.size),
    }  # fmt: skip
    heard = (audio is not None) if sound is None else sound
    remark = (lambda text: None) if quiet else note
    with ExitStack() as exits:
        session = exits.enter_context(actor.create_session(**options))
        screen = _screen(actor.name, format, session.fps, session.size, source if heard else None, remark)
        exits.callback(screen.close)
        exits.callback(source.stop)
        shown = _Shown(session, source, screen, None if trace is None else trace_of(actor))
        try:
            shown.run(seconds)
        except Stopped as stopped:
            if stopped.code != CTRL_C:
                raise
        stats = session.stats()
        if shown.trace is not None and trace is not None:
            shown.trace.save(trace)
    note_device(actor.engine, remark)
    remark(f"{shown.frames} frames: {in_words({name: getattr(stats, name) for name in STATS})}")


def _format(output: str | None, raw: str | None) -> str | None:
    """Of raw pictures; None for the window."""
    if output not in (None, STDIO):
        raise typer.BadParameter("--output is - for raw pictures on stdout; render --realtime writes files")
    if raw is not None and raw not in FORMATS:
        raise typer.BadParameter(f"--raw must be {', '.join(FORMATS)}; got {raw}")
    return "rgb8" if raw is None and output == STDIO else raw


def _require_input(audio: str | None, rate: int | None, channels: int, microphone: str | None) -> None:
    if microphone is not None and audio is not None:
        raise typer.BadParameter("AUDIO and --microphone are both what is said: give one of them")
    if rate is not None and audio != STDIO:
        raise typer.BadParameter("--rate is for raw samples on stdin: give - as AUDIO")
    if channels != 1 and rate is None:
        raise typer.BadParameter("--channels is for raw samples on stdin: give --rate too")
    if audio == STDIO and sys.stdin is not None and sys.stdin.isatty():
        raise typer.BadParameter("- reads the sound from stdin: redirect a file or a program to it")


def _source(audio: str | None, rate: int | None, channels: int, chunk_ms: float, microphone: str | None) -> Source:
    from .say_sources import Microphone, Piped, Spoken, stdin_descriptor

    if audio is None:
        return Microphone(chunk_ms, microphone)
    if rate is not None:
        return Piped(stdin_descriptor(), rate, channels)
    from ..audio import open_audio

    return Spoken(open_audio("say", audio), chunk_ms)


def _background(actor: Avatar, text: str | None, format: str | None, size: tuple[int, int]) -> Any:
    from ..picture_file import read_background

    # rgba8 is asked for to see through: the avatar's own background would fill it.
    behind = ("none" if format == "rgba8" else "avatar") if text is None else text
    return read_background("--background", behind, *size)


def _screen(
    title: str, format: str | None, fps: float, size: tuple[int, int], source: Source | None, remark: Any
) -> Screen:
    """source: what is heard; None for nothing."""
    from .say_screens import RawPictures, Speaker, Window

    if format is not None:
        return RawPictures(format, fps, size)
    speaker = None
    try:
        speaker = None if source is None else Speaker(source.rate, source.channels)
    except OSError as error:  # it can be seen all the same
        remark(f"note: {str(error).partition(': ')[2]}; nothing is heard")
    return Window(title, size, speaker)


class _Shown:
    """A session whose frames are shown as they come. frames: how many were."""

    def __init__(self, session: Any, source: Source, screen: Screen, trace: Trace | None) -> None:
        self.frames = 0
        self.trace = trace
        self._session, self._source, self._screen = session, source, screen

    def run(self, seconds: float | None) -> None:
        """Until the last frame, or until somebody wishes it. Raises what the source met."""
        from .say_screens import CLOSE, INTERRUPT
        from .watching import lent_frames

        fps = self._session.fps
        limit = None if seconds is None else max(1, round(seconds * fps))
        track = None if self.trace is None else self.trace.track("session", fps)
        self._source.start(self._session)
        for frame in lent_frames(self._session):
            self._screen.show(frame)
            go_on()
            self.frames += 1
            if track is not None:
                track.add(frame)
            wishes = self._screen.wishes()
            if CLOSE in wishes or self.frames == limit:
                return
            if INTERRUPT in wishes:
                self._session.interrupt(fade_ms=FADE_MS)
                self._source.interrupted()
                if track is not None:
                    track.mark("interrupt", time.monotonic())
            if self._source.error is not None:
                raise self._source.error
        if self._source.error is not None:
            raise self._source.error
