# SPDX-License-Identifier: Apache-2.0
"""talksplat convert"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .options import Front, Up, note
from .outputs import refuse_inputs


def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="What to import.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Avatar file to write (.tsplat).")],
    format: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="lam, gaussian-avatars, gaussian-talker, talking-gaussian, e-d3dgs (EmbedTalk), ply, splat or spz; "
            "told by SRC if absent.",
        ),
    ] = None,
    flame: Annotated[
        Path | None, typer.Option("--flame", help="Your FLAME model (.pkl or .npz), for gaussian-avatars.")
    ] = None,
    camera: Annotated[
        Path | None,
        typer.Option(
            "--camera",
            help="transforms.json of the training, for gaussian-avatars, gaussian-talker, talking-gaussian, e-d3dgs.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FOLDER",
            help="Data of the training (transforms_train.json, bc.jpg, torso_imgs), for gaussian-talker, "
            "talking-gaussian and e-d3dgs: the camera and the background.",
        ),
    ] = None,
    n_head: Annotated[
        int | None,
        typer.Option("--n-head", min=1, help="Heads of a gaussian-talker's attention, where no cfg_args says it."),
    ] = None,
    dilate: Annotated[
        bool, typer.Option("--dilate", help="A talking-gaussian's mouth covers what is just beyond its edge, too.")
    ] = False,
    bake_color: Annotated[
        bool, typer.Option("--bake-color", help="Keep colours as the camera sees them, without spherical harmonics.")
    ] = False,
    name: Annotated[str | None, typer.Option("--name", help="Name of the avatar; from SRC if absent.")] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", help="Licence to record; what SRC states if absent.")
    ] = None,
    up: Up = None,
    front: Front = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No remarks.")] = False,
) -> None:
    """Import a trained head or a static scene into an avatar file."""
    from .._files import require_place
    from ..authoring.convert import convert as run
    from .machine import size_text

    refuse_inputs(str(output), {"SRC": source, "--flame": flame, "--camera": camera})
    require_place(output)
    written = run(
        source,
        output,
        format=format,
        name=name,
        flame=flame,
        camera=camera,
        data=data,
        n_head=n_head,
        dilate=dilate,
        bake_color=bake_color,
        licence=licence,
        up=up,
        front=front,
    )
    if quiet:
        return
    remarks = _remarks(written)
    if remarks:
        note(f"note: {remarks}")
    note(f"{written}: {size_text(written.stat().st_size)}; see what is in it with: talksplat inspect {written}")


def _remarks(avatar: Path) -> str:
    """What the importer found worth saying; it is kept in the avatar's file (python/authoring/FORMAT.md)."""
    with open(avatar, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    notes: str = json.loads(header["__metadata__"]["talksplat"])["provenance"]["notes"]
    return notes
