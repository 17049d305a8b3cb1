# SPDX-License-Identifier: Apache-2.0
"""The JSON of a file, within limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._bounds import Bounds
from .._json import parse_json
from ..errors import MotionInvalid

# An hour of 52 weights at 60 fps, six digits each, is 110 MB.
BOUNDS = Bounds(MotionInvalid, file_bytes=1 << 27, unpacked_bytes=1 << 27)


def read_json_text(path: Path) -> Any:
    """What a .json or .json.gz file says. Raises MotionInvalid, and OSError as open() does."""
    who = str(path)
    text = BOUNDS.read(path)
    if path.suffix.lower() == ".gz":
        text = BOUNDS.gunzip(who, text)
    return parse_json(who, text, MotionInvalid, "motion")
