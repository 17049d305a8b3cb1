# SPDX-License-Identifier: Apache-2.0
"""What stands in, in pickles of strangers, for the few names that files of arrays have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from .pickle_machine import Stateful, Unreadable, key_text

_PLAIN = {"b1", "f2", "f4", "f8", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8))}


class Dtype(Stateful):
    """numpy.dtype(text, align, copy), then its state for the byte order."""

    def __init__(self, text: object = "", *_: object) -> None:
        self.text, self.order = _text(text), "<"

    def set_state(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = state[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        if self.text not in _PLAIN:
            return np.dtype(object)  # refused by number_array if the field is wanted
        return np.dtype(self.order + self.text)


def encode(text: object = "", *_: object) -> bytes:
    """_codecs.encode, which Python 3 uses to keep bytes in protocol 2."""
    return latin1(text) if isinstance(text, str) else b""


def ordered(pairs: object = (), *_: object) -> dict[str, object]:
    """collections.OrderedDict, which Python 2 makes of lists of two."""
    if not isinstance(pairs, list | tuple) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise Unreadable("it orders what are no pairs")
    return {key_text(key): value for key, value in pairs}


def scalar(dtype: object = None, raw: object = b"", *_: object) -> int | float:
    """numpy's scalar of its dtype and bytes."""
    raw = latin1(raw) if isinstance(raw, str) else raw
    if not (isinstance(dtype, Dtype) and isinstance(raw, bytes) and len(raw) == dtype.dtype.itemsize):
        raise Unreadable("a scalar in it is no number")
    if dtype.dtype.hasobject:
        raise Unreadable("a scalar in it is no number")
    value: int | float = np.frombuffer(raw, dtype.dtype)[0].item()
    return value


def latin1(text: str) -> bytes:
    try:
        return text.encode("latin1")
    except UnicodeEncodeError:
        raise Unreadable("its bytes are kept as a text that is no latin1") from None


def _text(value: object) -> str:
    if not isinstance(value, str | bytes) or len(value) > 2:
        return ""
    return value.decode("latin1") if isinstance(value, bytes) else value
