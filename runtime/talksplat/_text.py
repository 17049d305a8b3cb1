"""Texts of strangers on their way to a terminal."""

from __future__ import annotations

import unicodedata

# Controls, formats (they turn the direction of a line or join what is apart), surrogates (names that are no UTF-8),
# and the two separators that some terminals take for a new line.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # formats too, but part of how Persian, Hindi and emoji are written


def printable(text: str, keep: str = "") -> str:
    r"""The text with its control characters written out, as \x1b or \u202e, but for those in `keep`."""
    if text.isprintable():
        return text
    safe = _JOINERS + keep
    return "".join(
        letter if letter in safe or unicodedata.category(letter) not in _UNSAFE else _escaped(letter) for letter in text
    )


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
