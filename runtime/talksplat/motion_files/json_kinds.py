# SPDX-License-Identifier: Apache-2.0
"""JSON that is no motion of a kind that is read: what it is, and how to get there from it."""

from __future__ import annotations

from typing import Any

from ..errors import MotionInvalid

_NPY = "an .npy table [T,52], ARKit's weights in Apple's order"


def foreign(who: str, data: Any) -> MotionInvalid:
    """The error about JSON that was parsed but is no motion."""
    what, way_out = _kind(data)
    return MotionInvalid(
        f'{who}: must be an object with "names" and "frames" (lists). It is {what}; LAM\'s JSON is read, and '
        f'Audio2Face\'s ("facsNames", "weightMat").{way_out}'
    )


def _kind(data: Any) -> tuple[str, str]:
    first = (data or [None])[0] if isinstance(data, list) else data
    if isinstance(first, dict) and isinstance(first.get("BlendShapes"), list):
        return (
            "Azure's viseme events, whose BlendShapes are 55 numbers a frame without names",
            f" Save the first 52 of every frame as {_NPY}, and give --motion-fps 60 (load_motion's fps).",
        )
    if isinstance(first, list):
        return "a list of rows without names", f" Save it as {_NPY}."
    if not isinstance(data, (dict, list)):
        return "one value", ""
    keys = list(first) if isinstance(first, dict) else []
    shown = ", ".join(_cut(key) for key in keys[:6]) + (" ..." if len(keys) > 6 else "")
    if any(key.startswith("CTRL_") for key in keys):
        return (
            f"MetaHuman's controls ({shown})",
            " Export the 52 ARKit weights of the take instead, as Live Link Face's CSV.",
        )
    if isinstance(data, list):
        return (f"a list of objects with {shown}" if keys else "a list"), ""
    return (f"an object with {shown}" if keys else "an empty object"), ""


def _cut(key: str) -> str:
    return key if len(key) <= 40 else f"{key[:37]}..."
