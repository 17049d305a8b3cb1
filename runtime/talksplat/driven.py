"""What motion knows of an avatar. It stands below both, so that neither has to know the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ._arrays import FloatArray
from .control import Input


@dataclass(frozen=True)
class Clip:
    """A motion recorded in the avatar file; play it with render_motion("clip:NAME")."""

    name: str
    fps: float
    frames: int
    inputs: tuple[str, ...]


class Driven(Protocol):
    """What inputs drive, frame after frame: an Avatar is one, and so is whatever else has these.

    name: for messages.  fps: the rate of motions that state none.  inputs: what drives it, by name, in the order of
    its file.  clips: motions that it brings along, by name.
    """

    @property
    def name(self) -> str: ...
    @property
    def fps(self) -> float: ...
    @property
    def inputs(self) -> Mapping[str, Input]: ...
    @property
    def clips(self) -> Mapping[str, Clip]: ...

    def clip_rows(self, clip: str, name: str) -> FloatArray:
        """[T,size]: what one of its clips gives to the input `name`."""
        ...


class Rigged(Driven, Protocol):
    """One whose rig can be asked, too, for a face that is to move it: of which kind it is, and how it moves."""

    @property
    def manifest(self) -> dict[str, Any]: ...
    @property
    def info(self) -> dict[str, Any]: ...

    def vertices(self, control: Mapping[str, Any] | None = None) -> FloatArray: ...
