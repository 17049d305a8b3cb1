# SPDX-License-Identifier: Apache-2.0
"""talksplat example"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import note


def example(
    method: Annotated[
        str,
        typer.Argument(metavar="METHOD", help="gaussian-talker, talking-gaussian or embedtalk.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Avatar file to write (.tsplat).")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No remarks.")] = False,
) -> None:
    """Write a small avatar of a method whose Gaussians a network moves, to try it with."""
    from .._files import require_place
    from ..authoring.examples.make import example as make
    from .machine import size_text

    require_place(output)
    written = make(method, output)
    if not quiet:
        note(f"{written}: {size_text(written.stat().st_size)}; see what is in it with: talksplat inspect {written}")
