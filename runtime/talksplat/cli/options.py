"""Options that several commands share."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

MAX_SIDE = 16384  # of the core


def parse_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not WIDTHxHEIGHT, as in 512x512")
    width, height = int(match[1]), int(match[2])
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise typer.BadParameter(f"{text!r}: width and height are 1 to {MAX_SIDE} pixels")
    return width, height


AvatarPath = Annotated[Path, typer.Argument(metavar="AVATAR", help="Avatar file (.tsplat).", show_default=False)]
Size = Annotated[
    str | None,
    typer.Option(
        "--size", metavar="WxH", help="Pixels; the avatar's own if absent. The picture is scaled to the height."
    ),
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
