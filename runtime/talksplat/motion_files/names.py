# SPDX-License-Identifier: Apache-2.0
"""Names of weights in motion files: many spellings, prefixes of tools, and columns that are no weights at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .._arrays import nearest
from ..arkit import ARKIT_NAMES, canonical_name, folded
from ..driven import Driven
from ..errors import MotionInvalid

NEUTRAL = "neutral"  # MediaPipe's score of the face at rest
# Folded; one name behind them is enough. Other prefixes must be those of most of the weights.
PREFIXES = frozenset({"arkit", "blendshape", "blendshapes", "ctrlexpressions"})
MAX_NAME = 32  # letters that an ARKit name may be spelled with
_SEPARATOR = re.compile(r"[\W_]+")
_ARKIT = frozenset(ARKIT_NAMES)


class Settled(NamedTuple):
    columns: dict[str, int]  # weight → its column in the file
    notes: tuple[str, ...]


def settle_names(who: str, names: Sequence[str], avatar: Driven | None, moves: bool = False) -> Settled:
    """Which weights a file's names mean.

    The avatar's own names come first, then ARKit's in any spelling, then ARKit's behind a prefix. Other names are left
    out with a note, where some name is known or something else in the file moves the head (`moves`).
    Raises MotionInvalid for weights that are there twice, for a slip of the pen in a weight that is not there
    otherwise, and where no name is known.
    """
    own = own_names(avatar)
    columns: dict[str, int] = {}
    behind: dict[str, list[tuple[str, int]]] = {}  # prefix → weights and their columns
    unknown: dict[int, str] = {}

    def take(name: str, column: int) -> None:
        if name in columns:
            raise MotionInvalid(f"{who}: {_shown(names[column])} names {name} a second time.")
        columns[name] = column

    for column, written in enumerate(names):
        name = written if written in own else canonical_name(written)
        if name in own or name in _ARKIT:
            take(name, column)
        elif folded(written) != NEUTRAL:
            prefix, rest = _behind_prefix(written)
            if rest in _ARKIT:
                behind.setdefault(prefix, []).append((rest, column))
            if rest != NEUTRAL:
                unknown[column] = written
    prefix = max(behind, key=lambda name: len(behind[name]), default="")
    found = behind.get(prefix, [])
    if len(found) > len(columns) and (len(found) > 1 or folded(prefix) in PREFIXES):
        for name, column in found:
            take(name, column)
            del unknown[column]
    if not unknown:
        return Settled(columns, ())
    left_out = list(unknown.values())
    slips = _slips([name.removeprefix(prefix) for name in left_out], _ARKIT - columns.keys())
    if slips or not (columns or moves):
        wrong = [left_out[i] for i in slips] if columns or moves else left_out
        hint = nearest(wrong[0].removeprefix(prefix)[:MAX_NAME], _ARKIT | own)
        raise MotionInvalid(
            f"{who}: not the name of a weight: {_listed(wrong)}.{hint} Known are the 52 ARKit names and those of the "
            "avatar, if one is given."
        )
    return Settled(columns, (f"{who}: what is no known weight is left out: {_listed(left_out)}",))


def own_names(avatar: Driven | None) -> frozenset[str]:
    """Names of the weights that the avatar's own rig has."""
    return frozenset() if avatar is None else frozenset(name for into in avatar.inputs.values() for name in into.names)


def _behind_prefix(name: str) -> tuple[str, str]:
    """A name as a prefix that ends with punctuation, and the ARKit name (or "neutral") behind it; ("", "") if none."""
    for separator in _SEPARATOR.finditer(name, max(0, len(name) - MAX_NAME)):
        rest = name[separator.end() :]
        for candidate in (canonical_name(rest), folded(rest)):
            if candidate in _ARKIT or candidate == NEUTRAL:
                return name[: separator.end()], candidate
    return "", ""


def _slips(names: Iterable[str], missing: Iterable[str]) -> list[int]:
    """Which of the names are a missing weight's but for one letter that is wrong, lost, added or misplaced."""
    words = {folded(name) for name in missing}
    wanted = {variant for word in words for variant in _variants(word)}
    sides = {word + side for word in words for side in "lr"}  # cheekPuff_L is a shape of its own
    slips = []
    for i, name in enumerate(names):
        word = folded(name) if len(name) <= MAX_NAME else ""
        if word and word not in sides and not wanted.isdisjoint(_variants(word)):
            slips.append(i)
    return slips


def _variants(word: str) -> set[str]:
    # Words that are one slip apart have a word in common once a letter of each may be left out.
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(_shown(name) for name in names[:12]) + more


def _shown(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."
