"""talksplat convert"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import note


def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="What to import.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Avatar file to write (.tsplat).")],
    format: Annotated[
        str | None, typer.Option("--from", help="lam, gaussian-avatars, ply, splat or spz; told by SRC if absent.")
    ] = None,
    flame: Annotated[
        Path | None, typer.Option("--flame", help="Your FLAME model (.pkl or .npz), for gaussian-avatars.")
    ] = None,
    camera: Annotated[
        Path | None, typer.Option("--camera", help="transforms.json of the training, for gaussian-avatars.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the avatar; from SRC if absent.")] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", help="Licence to record; what SRC states if absent.")
    ] = None,
) -> None:
    """Import a trained head or a static scene into an avatar file."""
    from ..authoring.convert import convert as run
    from .machine import size_text

    written = run(source, output, format=format, name=name, flame=flame, camera=camera, licence=licence)
    note(f"{written}: {size_text(written.stat().st_size)}; see what is in it with: talksplat inspect {written}")
