"""JSON from a file, read only where what Python would make of it is in proportion to the text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .._bounds import Bounds
from ..errors import MotionInvalid

# An hour of 52 weights at 60 fps, six digits each, is 110 MB.
BOUNDS = Bounds(MotionInvalid, file_bytes=1 << 27, unpacked_bytes=1 << 27)
FREE_BYTES = 32 << 20
MAX_GROWTH = 10


def read_json_text(path: Path) -> Any:
    """What a .json or .json.gz file says. Raises MotionInvalid, and OSError as open() does."""
    who = str(path)
    text = BOUNDS.read(path)
    if path.suffix.lower() == ".gz":
        text = BOUNDS.gunzip(who, text)
    weight = _weight(text)
    if weight > FREE_BYTES + MAX_GROWTH * len(text):
        raise MotionInvalid(
            f"{who}: {len(text)} bytes of JSON would take about {weight >> 20} MiB of memory: it has very many small "
            "lists or objects, and no motion in them."
        )
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        several = " It holds several texts of JSON; one object is read." if "Extra data" in str(error) else ""
        raise MotionInvalid(f"{who}: is not JSON: {error}.{several}") from None


def _weight(text: bytes) -> int:
    """Bytes that CPython takes for the text's lists, objects, texts and numbers, nearly (sys.getsizeof, 3.11)."""
    keys = text.count(b'":') + text.count(b'" :')  # a key is made once, however often it is written
    texts = max(0, text.count(b'"') // 2 - keys)
    return 72 * text.count(b"[") + 240 * text.count(b"{") + 60 * texts + 24 * text.count(b".") + 9 * text.count(b",")
