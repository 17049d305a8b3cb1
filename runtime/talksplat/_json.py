# SPDX-License-Identifier: Apache-2.0
"""JSON of strangers, read only where what Python would make of it is in proportion to the text."""

from __future__ import annotations

import json
from typing import Any

from .errors import TalksplatError

FREE_BYTES = 32 << 20
MAX_GROWTH = 10


def parse_json(who: str, text: bytes, error: type[TalksplatError], wanted: str) -> Any:
    """What the text says. Raises `error` where it is no JSON, or has too many small values to be the `wanted` thing."""
    weight = weight_of(text)
    if weight > FREE_BYTES + MAX_GROWTH * len(text):
        raise error(
            f"{who}: {len(text)} bytes of JSON would take about {weight >> 20} MiB of memory: it has very many small "
            f"lists or objects, and no {wanted} in them."
        )
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as wrong:  # UnicodeDecodeError is a ValueError
        several = " It holds several texts of JSON; one object is read." if "Extra data" in str(wrong) else ""
        raise error(f"{who}: is not JSON: {wrong}.{several}") from None


def weight_of(text: bytes) -> int:
    """Bytes that CPython takes for the text's lists, objects, texts and numbers, nearly (sys.getsizeof, 3.11)."""
    keys = text.count(b'":') + text.count(b'" :')  # a key is made once, however often it is written
    texts = max(0, text.count(b'"') // 2 - keys)
    return 72 * text.count(b"[") + 240 * text.count(b"{") + 60 * texts + 24 * text.count(b".") + 9 * text.count(b",")
