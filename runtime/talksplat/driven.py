# SPDX-License-Identifier: Apache-2.0
"""What motion knows of an avatar. It stands below both, so that neither has to know the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from ._arrays import FloatArray
from .clips import Clip
from .control import Input


class FaceControls(NamedTuple):
    """A face as an avatar's inputs."""

    inputs: dict[str, FloatArray]  # the inputs that it moves, [T,size]
    has_place: frozenset[str]  # of ARKit's weights and "head_pose", those that move the avatar


class Driven(Protocol):
    """What inputs drive, frame after frame: an Avatar is one, and so is whatever else has these.

    name: for messages.  fps: the rate of motions that state none.  inputs: what drives it, by name, in the order of
    its file.  clips: motions that it brings along, by name.  takes_faces: whether a face moves it, or could if it had
    the weights: motions of ARKit's are for it.
    """

    @property
    def name(self) -> str: ...
    @property
    def fps(self) -> float: ...
    @property
    def inputs(self) -> Mapping[str, Input]: ...
    @property
    def clips(self) -> Mapping[str, Clip]: ...

    @property
    def takes_faces(self) -> bool: ...

    def clip_rows(self, clip: str, name: str) -> FloatArray:
        """[T,size]: what one of its clips gives to the input `name`."""
        ...

    def face_controls(self, weights: Mapping[str, FloatArray], head_pose: FloatArray | None) -> FaceControls:
        """What ARKit weights, [T] by name, and a head pose, [T,3], make of its inputs."""
        ...
