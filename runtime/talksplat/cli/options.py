"""Options that several commands share."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer


def parse_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None or int(match[1]) == 0 or int(match[2]) == 0:
        raise typer.BadParameter(f"{text!r} is not WIDTHxHEIGHT, as in 512x512")
    return int(match[1]), int(match[2])


AvatarPath = Annotated[Path, typer.Argument(metavar="AVATAR", help="Avatar file (.tsplat).", show_default=False)]
Size = Annotated[
    str | None, typer.Option("--size", metavar="WxH", help="Width and height in pixels; the avatar's own if absent.")
]
Threads = Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0 for one per CPU.")]
Precision = Annotated[str, typer.Option("--precision", help="reference, or fast (within 1.5/255 of it).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
MotionFps = Annotated[
    float | None,
    typer.Option("--motion-fps", help="Rate of the motion file, where it states none or a wrong one."),
]


def note(text: str) -> None:
    """A remark for people, beside the output."""
    print(text, file=sys.stderr)
