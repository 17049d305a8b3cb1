# SPDX-License-Identifier: Apache-2.0
"""What a session's face is told to do besides speaking: the arguments of Session.set()."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ._arrays import as_floats, as_number, nearest
from .speech import MAX_AMOUNT

EMOTIONS = ("happy", "sad", "angry", "surprised", "afraid", "disgusted")  # order of ts_emotion
AUTO = "auto"


class Unchanged(enum.Enum):
    """What is not given."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


@dataclass(frozen=True)
class Presence:
    """As ts_presence."""

    look: bool = False
    gaze: tuple[float, ...] = (0.0, 0.0)
    head_pose: tuple[float, ...] = (0.0, 0.0, 0.0)
    head: float = 1.0
    blink: float = 1.0
    listening: float = 0.0
    emotion: tuple[float, ...] = (0.0,) * len(EMOTIONS)

    def told(self, gaze: Any, blink: Any, head: Any, emotion: Any, listening: Any) -> Presence:
        """This with what is given. Raises ValueError, and then nothing is changed."""
        new = self
        if gaze is not UNCHANGED:
            new = replace(new, **_gaze(gaze))
        if blink is not UNCHANGED:
            new = replace(new, blink=1.0 if _is_auto(blink) else _share("set: blink", blink, MAX_AMOUNT, AUTO))
        if head is not UNCHANGED:
            new = replace(new, **_head(head))
        if emotion is not UNCHANGED:
            new = replace(new, emotion=_emotion(emotion))
        if listening is not UNCHANGED:
            amount = float(listening) if isinstance(listening, bool) else _share("set: listening", listening, 1)
            new = replace(new, listening=amount)
        return new


def _is_auto(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value == AUTO)


def _share(who: str, value: Any, most: float, word: str = "") -> float:
    amount = as_number(who, value) if not isinstance(value, str) else -1.0
    if not 0 <= amount <= most:
        also = f', or "{word}"' if word else ""
        raise ValueError(f"{who} must be 0 to {most:g}{also}; got {value!r}.")
    return amount


def _vector(who: str, value: Any, size: int, contract: str) -> tuple[float, ...]:
    if isinstance(value, str):
        raise ValueError(f"{who} must be {contract}; got {value!r}.")
    array = as_floats(who, value)
    # A NaN fails the comparison too.
    if array.shape != (size,) or not (abs(array) <= 1).all():
        raise ValueError(f"{who} must be {contract}; got {value!r}.")
    return tuple(float(number) for number in array)


def _gaze(gaze: Any) -> dict[str, Any]:
    if _is_auto(gaze):
        return {"look": False, "gaze": (0.0, 0.0)}
    contract = '(left, up) of the face, each -1 to 1, or "auto"'
    return {"look": True, "gaze": _vector("set: gaze", gaze, 2, contract)}


def _head(head: Any) -> dict[str, Any]:
    if _is_auto(head):
        return {"head": 1.0, "head_pose": (0.0, 0.0, 0.0)}
    contract = f'an amount, 0 to {MAX_AMOUNT:g}, three angles in radians, each -1 to 1, or "auto"'
    if isinstance(head, str) or hasattr(head, "__len__"):
        return {"head_pose": _vector("set: head", head, 3, contract)}
    return {"head": _share("set: head", head, MAX_AMOUNT, AUTO)}


def _emotion(emotion: Any) -> tuple[float, ...]:
    if emotion is None:
        return (0.0,) * len(EMOTIONS)
    if isinstance(emotion, str):
        emotion = {emotion: 1.0}
    if not isinstance(emotion, Mapping):
        raise ValueError(
            f"set: emotion must be a name, amounts by name, or None; got {type(emotion).__name__}. "
            f"There are {', '.join(EMOTIONS)}."
        )
    for name in emotion:
        if name not in EMOTIONS:
            hint = nearest(str(name), EMOTIONS)
            raise ValueError(f"set: emotion has no {name!r}.{hint} There are {', '.join(EMOTIONS)}.")
    return tuple(_share(f"set: emotion {name}", emotion.get(name, 0.0), 1) for name in EMOTIONS)
