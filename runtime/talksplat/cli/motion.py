# SPDX-License-Identifier: Apache-2.0
"""talksplat motion"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .options import Blink, Head, Mouth, Seed, VoiceFile, note, require_speech_fps
from .outputs import refuse_inputs
from .stopping import go_on
from .streams import require_stdout

STDOUT = "-"


def motion(
    audio: Annotated[
        str,
        typer.Argument(
            metavar="AUDIO", help="Sound or video file, - for stdin, or sample (built in).", show_default=False
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="OUT.csv (Live Link Face), OUT.json (LAM), or - for CSV on stdout.")
    ],
    fps: Annotated[float, typer.Option("--fps", help="Frames per second, 20 to 60.")] = 25.0,
    seed: Seed = 0,
    mouth: Mouth = 1.0,
    head: Head = 1.0,
    blink: Blink = 1.0,
    voice: VoiceFile = None,
    json: Annotated[bool, typer.Option("--json", help="With -o -: JSON instead of CSV.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No remarks.")] = False,
) -> None:
    """Hear a face's motion in a sound: row k is the face at k / fps seconds, ARKit weights and turns of the head."""
    from .._files import require_place
    from ..audio import open_audio
    from ..motion_writers import KINDS, write_csv, write_json
    from ..speech import motion as hear

    require_speech_fps(fps)
    if output != STDOUT:
        if Path(output).suffix.lower() not in KINDS:
            raise typer.BadParameter(f"{output} must end in {' or '.join(KINDS)}, or be - for stdout")
        if json:
            raise typer.BadParameter("--json is for -o -; a file's name says what it is")
        refuse_inputs(output, {"AUDIO": audio, "--voice": voice})
        require_place(Path(output))
    else:
        require_stdout()
    heard = open_audio("motion", audio)
    moves = hear(heard, fps, seed=seed, mouth=mouth, head=head, blink=blink, voice=voice)
    go_on()
    if output == STDOUT:
        (write_json if json else write_csv)(moves, sys.stdout)
    else:
        moves.save(output)
    if not quiet:
        for remark in heard.notes:
            note(f"note: {remark}")
        if output != STDOUT:
            note(f"{output}: {moves.frames} frames at {moves.fps:g} fps")
