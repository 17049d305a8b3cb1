# SPDX-License-Identifier: Apache-2.0
"""talksplat encoder"""

from __future__ import annotations

import json as text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import Json, note

if TYPE_CHECKING:
    from ..encoders.folder import EncoderFolder


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="NAME_OR_FOLDER",
            help="A model: its folder (config.json, model.safetensors, preprocessor_config.json), or its name, as "
            "facebook/wav2vec2-base-960h, where the Hugging Face Hub's cache has it.",
            show_default=False,
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder to write; in talksplat's cache if absent."),
    ] = None,
    preset: Annotated[
        str, typer.Option("--preset", help="Window: low, balanced, cpu or quality, from least to most look-ahead.")
    ] = "cpu",
    layer: Annotated[
        int | None,
        typer.Option("--layer", min=0, help="Hidden layer, 0 for what goes into the first; the last if absent."),
    ] = None,
    fp16: Annotated[bool, typer.Option("--fp16", help="A transformer in float16 too, for GPUs.")] = False,
    fps: Annotated[
        float | None,
        typer.Option("--fps", help="FaceFormer's order: rows are resampled to this rate before the transformer."),
    ] = None,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No remarks.")] = False,
) -> None:
    """Export Wav2Vec 2.0, HuBERT or Whisper to a folder that talksplat runs live, without torch."""
    from ..authoring.encoders import export_encoder
    from .machine import size_text

    done = export_encoder(
        source, folder, preset=preset, layer=layer, fp16=fp16, fps=fps, tell=_silent if quiet else _tell
    )
    if json:
        print(text.dumps({**_described(done.folder), "made": done.made, "errors": done.errors}, indent=2))
    elif not quiet:
        found = done.folder
        parts = ", ".join(
            f"{name} {size_text(found.files[file][0])}"
            + (f" (error {done.errors[name]:.1g})" if name in done.errors else "")
            for name, file in found.graphs.items()
        )
        note(f"{found.path}: {'' if done.made else 'was there already: '}{parts}")


def list_folders(json: Json = False) -> None:
    """List the exported encoders of talksplat's cache."""
    from ..authoring.encoders import exported
    from ..encoders.folder import cache_folder

    found = exported()
    if json:
        print(text.dumps([_described(folder) for folder in found], indent=2))
        return
    if not found:
        note(f"no encoders in {cache_folder() / 'encoders'}; make one with: talksplat encoder export NAME_OR_FOLDER")
    for folder in found:
        print(f"{folder.path.name}: {folder.name}, layer {folder.hidden_layer}, {', '.join(folder.graphs)}")


def _tell(step: str) -> None:
    note(f"{step} ...")


def _silent(step: str) -> None:
    pass


def _described(folder: EncoderFolder) -> dict[str, Any]:
    return {
        "folder": str(folder.path),
        "name": folder.name,
        "family": folder.family,
        "hidden_layer": folder.hidden_layer,
        "width": folder.width,
        "preset": folder.preset,
        "left": folder.left,
        "chunk": folder.chunk,
        "right": folder.right,
        "order": folder.order,
        "fps": folder.fps,
        "bytes": sum(n_bytes for n_bytes, _ in folder.files.values()),
        "graphs": dict(folder.graphs),
    }
