# SPDX-License-Identifier: Apache-2.0
"""talksplat voice"""

from __future__ import annotations

import json as text
from pathlib import Path
from typing import Annotated

import typer

from .options import Json, note
from .outputs import refuse_inputs


def adapt(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.voice", help="Voice file to write.")],
    video: Annotated[
        Path | None,
        typer.Option(
            "--video", help="A minute or more of one person who talks, face to the camera.", show_default=False
        ),
    ] = None,
    tracker: Annotated[
        Path | None,
        typer.Option(
            "--tracker", metavar="face_landmarker.task", help="With --video: MediaPipe's model, your own copy."
        ),
    ] = None,
    tracked: Annotated[
        Path | None,
        typer.Option(
            "--tracked", metavar="CSV", help="What a tracker saw: columns time_s and ARKit's names, a row per frame."
        ),
    ] = None,
    audio: Annotated[Path | None, typer.Option("--audio", help="With --tracked: its sound, or video.")] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--voice", metavar="FILE", help="The voice to begin with, of one tower; the one built in if absent."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the voice; from the output's if absent.")] = None,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No remarks.")] = False,
) -> None:
    """Train a voice on to move jaw, lips and head as one person does.

    It needs pip install 'talksplat[adapt]': torch, and for a video MediaPipe.
    """
    from .._assets import VOICE
    from .._files import require_place
    from ..authoring.voice import adapt as fit

    if (video is None) == (tracked is None):
        raise typer.BadParameter("give --video and --tracker, or --tracked and --audio")
    if video is not None and tracker is None:
        raise typer.BadParameter("--video needs --tracker: the file face_landmarker.task of MediaPipe")
    if tracked is not None and audio is None:
        raise typer.BadParameter("--tracked needs --audio: the sound that was tracked")
    if (tracker if tracked is not None else audio) is not None:
        raise typer.BadParameter("--tracker is for --video, and --audio for --tracked")
    inputs = {"--video": video, "--tracker": tracker, "--tracked": tracked, "--audio": audio, "--voice": base}
    refuse_inputs(str(output), inputs)
    require_place(output)
    fit.require_base(VOICE if base is None else base)
    if video is not None and tracker is not None:
        seen = fit.track_video(video, tracker, fit.sound_of(video))
    elif tracked is not None and audio is not None:
        seen = fit.read_tracked(tracked, fit.sound_of(audio))
    report = (lambda line: None) if quiet or json else note
    done = fit.adapt(VOICE if base is None else base, seen, output, name or output.stem, report)
    if json:
        print(text.dumps({
            "output": str(output), "speech_s": done.speech_s, "gain": done.gain, "r_before": done.r_before,
            "r_after": done.r_after, "head": done.head,
        }))  # fmt: skip
    elif not quiet:
        for channel, gain in done.gain.items():
            note(
                f"{channel}: {gain:.2f} times as lively; r with what the tracker saw {done.r_before[channel]:.2f} -> "
                f"{done.r_after[channel]:.2f}"
            )
        if done.head is not None:
            note("head: {:.2f} times the usual pitch, {:.2f} yaw, {:.2f} roll".format(*done.head))
        note(f"{output}: from {done.speech_s:.0f} s of speech")
