# SPDX-License-Identifier: Apache-2.0
"""Options of encoders, and what is told of the one that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..encoders.encoder import Encoder

EncoderPath = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="FOLDER|NAME",
        help="For an avatar that hears by features: its encoder, as talksplat encoder export writes it.",
    ),
]
EncoderEngine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="What runs the encoder: onnxruntime or openvino on the CPU; cuda, tensorrt-rtx or tensorrt on an NVIDIA "
        "GPU; auto, the fastest that is here, if absent.",
    ),
]


def require_encoder(encoder: str | None, engine: str | None) -> None:
    """Found before the work."""
    from ..encoders.engines import ENGINES
    from ..encoders.select import AUTO

    if engine is None:
        return
    if encoder is None:
        raise typer.BadParameter("--engine is for --encoder")
    if engine not in (AUTO, *ENGINES):
        raise typer.BadParameter(f"--engine must be {AUTO} or one of {', '.join(ENGINES)}; got {engine}")


def open_encoder(encoder: str | None, engine: str | None) -> Encoder | None:
    from ..encoders.encoder import load_encoder
    from ..encoders.select import AUTO

    return None if encoder is None else load_encoder(encoder, engine or AUTO)


def told(encoder: Encoder) -> dict[str, Any]:
    """For --json."""
    engine = encoder.engine
    return {
        "name": encoder.name, "preset": encoder.folder.preset, "engine": engine.name, "version": engine.version,
        "precision": engine.precision, "threads": engine.threads, "step_ms": engine.hop_ms,
        "step_of_sound_ms": 1e3 * encoder.hop_s, "share": encoder.share, "look_ahead_ms": 1e3 * encoder.look_ahead_s,
        "speakers_at_once": engine.batch, **({"note": engine.note} if engine.note else {}),
        **({"turns": engine.turns} if engine.turns else {}),
    }  # fmt: skip


def in_words(found: dict[str, Any]) -> str:
    return (
        f"{found['name']} ({found['preset']}) by {found['engine']} {found['version']}, {found['precision']}: "
        f"{found['step_ms']:.1f} ms for {found['step_of_sound_ms']:.0f} ms of sound, {100 * found['share']:.0f} % of a "
        "CPU's time" + (f"; {found['note']}" if "note" in found else "")
    )
