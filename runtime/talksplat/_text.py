# SPDX-License-Identifier: Apache-2.0
"""Texts of strangers on their way to a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

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


def shown(value: object, letters: int = 80, depth: int = 2) -> str:
    """A value out of a file for a message: short and printable, whatever it is and however deep it is nested.

    repr() would not do: it walks everything below, which may be a value that holds itself twice, sixty times over.
    """
    if isinstance(value, str):
        return _cut(repr(value[:letters]), letters, len(value) > letters)
    if isinstance(value, int):  # bool too
        size = value.bit_length()
        return repr(value) if size <= 256 else f"a whole number of {size} bits"
    if value is None or isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        first, last = "[]" if isinstance(value, list) else "()"
        single = "," if isinstance(value, tuple) and len(value) == 1 else ""
        return first + listed((shown(x, letters, depth - 1) for x in value), len(value), depth, letters) + single + last
    if isinstance(value, dict):
        return "{" + listed((shown(key, letters, 0) + ": ..." for key in value), len(value), depth, letters) + "}"
    return f"<{type(value).__name__}>"


def listed(texts: Iterable[str], count: int, depth: int = 1, letters: int = 400) -> str:
    """The first of so many texts, as far as `letters` go; "..." stands for the others."""
    if not depth:
        return "..." if count else ""
    out: list[str] = []
    length = 0
    for text in texts:
        length += len(text) + 2
        if out and length > letters:
            break
        out.append(text)
    return ", ".join(out) + (f", ... ({count} in all)" if len(out) < count else "")


def shortened(text: str, letters: int = 400) -> str:
    """A message of another library, which may quote the file at any length, as far as it is good for a line."""
    return _cut(printable(text[:letters]), letters, len(text) > letters)


def _cut(text: str, letters: int, more: bool) -> str:
    return text[:letters] + "..." if more or len(text) > letters + 2 else text


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
