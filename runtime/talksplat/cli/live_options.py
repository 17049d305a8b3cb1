# SPDX-License-Identifier: Apache-2.0
"""Options of what runs live."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated

import typer

from .outputs import refuse_inputs

LatencyMs = Annotated[
    float | None,
    typer.Option(
        "--latency-ms",
        min=1.0,
        max=60000.0,
        help="Live: from a sound to its frame, at most; 200 if absent. Refused if this machine cannot keep it.",
    ),
]
ChunkMs = Annotated[
    float | None,
    typer.Option("--chunk-ms", min=1.0, max=1000.0, help="Live: how much sound is pushed at a time; 20 if absent."),
]
TracePath = Annotated[
    str | None,
    typer.Option(
        "--trace", metavar="FILE.json", help="Live: write when each stage of each frame was, for ui.perfetto.dev."
    ),
]


def require_trace(trace: str | None, inputs: Mapping[str, str | os.PathLike[str] | None]) -> None:
    """Found before the work. inputs: as for refuse_inputs."""
    from pathlib import Path

    from .._files import require_place

    if trace is None:
        return
    if not trace.lower().endswith(".json"):
        raise typer.BadParameter(f"--trace must end in .json; got {trace}")
    refuse_inputs(trace, inputs)
    require_place(Path(trace))
