# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from .streams import say

if TYPE_CHECKING:
    from ..engine import Engine

MAX_SIDE = 16384  # of the core


def parse_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not WIDTHxHEIGHT, as in 512x512")
    width, height = int(match[1]), int(match[2])
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise typer.BadParameter(f"{text!r}: width and height are 1 to {MAX_SIDE} pixels")
    return width, height


def is_avatar(text: str) -> bool:
    """Whether an argument looks like an avatar, not like a sound."""
    return text == "demo" or text.lower().endswith(".tsplat")


def require_speech_fps(fps: float | None) -> None:
    from ..speech import MAX_FPS, MIN_FPS

    if fps is not None and not MIN_FPS <= fps <= MAX_FPS:
        raise typer.BadParameter(f"--fps must be {MIN_FPS:g} to {MAX_FPS:g} for speech; got {fps:g}")


def require_motion_fps(fps: float | None) -> None:
    from ..motions import MAX_FPS

    if fps is not None and not 0 < fps <= MAX_FPS:
        raise typer.BadParameter(f"--motion-fps must be above 0 and at most {MAX_FPS:g}; got {fps:g}")


# Texts, not paths: "demo" and "sample" are words, "./demo" is a file, and a path would forget the difference.
AvatarPath = Annotated[
    str, typer.Argument(metavar="AVATAR", help="Avatar file (.tsplat), or demo (built in).", show_default=False)
]
AudioPath = Annotated[
    str | None,
    typer.Argument(metavar="AUDIO", help="What it says: a sound or video file, - for stdin, or sample (built in)."),
]
VoiceFile = Annotated[
    str | None,
    typer.Option("--voice", metavar="FILE", help="A voice file (talksplat voice adapt); the one built in if absent."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of blinks, gaze and head motion.")]
Mouth = Annotated[float, typer.Option("--mouth", min=0.0, max=2.0, help="How far the mouth moves, 0 to 2.")]
Head = Annotated[float, typer.Option("--head", min=0.0, max=2.0, help="How much the head moves, 0 to 2.")]
Blink = Annotated[float, typer.Option("--blink", min=0.0, max=2.0, help="How often the eyes blink, 0 to 2.")]
Size = Annotated[
    str | None,
    typer.Option(
        "--size", metavar="WxH", help="Pixels; the avatar's own if absent. The picture is scaled to the height."
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", help="auto (a GPU if one can be used, else the CPU), cpu, cuda or cuda:N."),
]
Threads = Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0 for one per CPU.")]
Precision = Annotated[
    str, typer.Option("--precision", help="default, reference (networks in float32), or fast (within 1.5/255 of it).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
MotionFps = Annotated[
    float | None,
    typer.Option("--motion-fps", help="Rate of the motion file, where it states none or a wrong one."),
]


Up = Annotated[str | None, typer.Option("--up", help="Of a still scene, where its top is: x, -x, y, ... or X,Y,Z.")]
Front = Annotated[str | None, typer.Option("--front", help="Of a still scene, where its front is, as for --up.")]


def note(text: str) -> None:
    """A remark for people, beside the output."""
    say(text)


def note_device(engine: Engine, remark: Callable[[str], None]) -> None:
    """Where this machine has a GPU that was not asked to stay away, and the CPU drew all the same: why."""
    from .. import _core

    if engine.note and _core.system_info()["gpus"]:
        remark(f"note: the CPU draws: {engine.note}")
