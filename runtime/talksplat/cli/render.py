"""talksplat render"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from .options import AvatarPath, MotionFps, Precision, Size, Threads, note, parse_size


def render(
    avatar: AvatarPath,
    output: Annotated[
        str, typer.Option("--output", "-o", help="OUT.mp4 (or .mov, .mkv), FOLDER/%05d.png, or - for raw pictures.")
    ],
    motion: Annotated[
        str | None,
        typer.Option("--motion", "-m", help="Motion file, or clip:NAME in the avatar; a still second if absent."),
    ] = None,
    size: Size = None,
    fps: Annotated[float | None, typer.Option("--fps", help="Frames per second; the motion's own if absent.")] = None,
    format: Annotated[
        str | None, typer.Option("--format", help="Pictures: rgb8, rgba8 (transparent) or nv12; video is nv12.")
    ] = None,
    threads: Threads = 0,
    precision: Precision = "reference",
    seconds: Annotated[float | None, typer.Option("--seconds", min=0.0, help="Stop after so many seconds.")] = None,
    motion_fps: MotionFps = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no remarks.")] = False,
) -> None:
    """Render an avatar that moves as a motion file says, or a static scene."""
    from ..avatar import load
    from ..frame import Frame
    from ..motion import fit_motion, load_motion
    from ..video import PIPE, formats_of, open_video

    # A wrong command line is found before the work.
    try:
        accepted = formats_of(output)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if format is not None and format not in accepted:
        raise typer.BadParameter(f"--format for {output} is {' or '.join(accepted)}, not {format}")
    if output == PIPE and sys.stdout.isatty():
        raise typer.BadParameter("-o - writes raw pictures: redirect them to a file or a program")
    pixels = None if size is None else parse_size(size)
    head = load(avatar, threads=threads, precision=precision)
    moves = None if motion is None else load_motion(motion, head, fps=motion_fps)
    if moves is None:
        rate = head.fps if fps is None else fps
        if not 0 < rate <= 1000:
            raise typer.BadParameter(f"--fps must be above 0 and at most 1000; got {rate:g}")
        length = max(1, round((1.0 if seconds is None else seconds) * rate))
    else:
        if fps is not None:
            moves = moves.resample(fps)
        rate, length = moves.fps, moves.frames
        ignored = fit_motion(moves, head).ignored
        if ignored and not quiet:
            note(f"note: this avatar has no use for {', '.join(ignored)}")
    count = length if seconds is None else min(length, max(1, round(seconds * rate)))
    width, height = pixels or head.size
    begin = time.perf_counter()
    with open_video(output, rate, (width, height), format) as writer:
        # rgba8 is asked for to see through: the avatar's own background would fill it.
        background = None if writer.format == "rgba8" else "avatar"
        frames: Iterator[Frame] = (
            itertools.repeat(head.render_frame({}, size=pixels, format=writer.format, background=background))
            if moves is None
            else head.render_motion(moves, size=pixels, format=writer.format, background=background)
        )
        with _progress(count, show=not quiet and sys.stderr.isatty()) as advance:
            for frame in itertools.islice(frames, count):
                writer.write(frame.image)
                advance()
    if not quiet and output != PIPE:
        took = time.perf_counter() - begin
        note(f"{output}: {count} frames, {width}x{height}, {rate:g} fps, in {took:.1f} s")


@contextmanager
def _progress(count: int, show: bool) -> Iterator[Any]:
    if not show:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("rendering", total=count)
        yield lambda: progress.advance(task)
