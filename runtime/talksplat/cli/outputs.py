# SPDX-License-Identifier: Apache-2.0
"""What a command may not write over: the files that it reads."""

from __future__ import annotations

import os
from collections.abc import Mapping

import typer


def refuse_inputs(output: str, inputs: Mapping[str, str | os.PathLike[str] | None]) -> None:
    """A wrong command line where `output` is one of the inputs, by any of its names.

    inputs: what an input is called on the command line → its path; words such as demo are no files.
    """
    from ..video import holds

    for word, path in inputs.items():
        if path is not None and path != "-" and holds(output, os.fspath(path)):
            raise typer.BadParameter(f"{output} is the file that {word} is: what is written would take its place")
