# SPDX-License-Identifier: Apache-2.0
"""What moves an avatar beside a face that speaks, frame by frame: features of the sound, action units, cameras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import _core
from ._arrays import FloatArray
from .action_units import UnitTrack
from .camera_track import CameraTrack
from .control import Input
from .encoders.track import EncodedTrack
from .feature_track import FeatureTrack

HEAD = "head_pose"


class Tracks:
    """Tracks of one avatar, any of them None; frame k of each is the avatar's frame k.

    encoded: features that an encoder makes while the sound is read, which say nothing of how many frames there are.

    lengths: frames of those that are given, by what they are called.  frames: of the shortest, None without any.
    """

    def __init__(
        self, who: str, name: str, inputs: Mapping[str, Input], manifest: Mapping[str, Any], features: Any, au: Any,
        cameras: Any, encoded: EncodedTrack | None = None,
    ) -> None:  # fmt: skip
        self._inputs = inputs
        # A track that is open already is of this avatar.
        if features is not None and not isinstance(features, FeatureTrack):
            features = FeatureTrack(who, features, inputs.values(), name)
        if au is not None and not isinstance(au, UnitTrack):
            au = UnitTrack(who, au, inputs.values(), name)
        if cameras is not None and not isinstance(cameras, CameraTrack):
            cameras = CameraTrack(who, cameras, manifest)
        # Features that are given replace an encoder.
        self.encoded = encoded if features is None else None
        self.features: FeatureTrack | EncodedTrack | None = self.encoded if features is None else features
        self.units: UnitTrack | None = au
        self.cameras: CameraTrack | None = cameras
        given = (features, self.units, self.cameras)
        self.lengths = {track.who: track.frames for track in given if track is not None}
        self.frames = min(self.lengths.values(), default=None)

    def over(self, controls: FloatArray, first: int) -> FloatArray:
        """Controls [T,n_control] of frames first, first + 1, ..., which the tracks have, with what they give."""
        if (self.frames is None and self.features is None) or len(controls) == 0:
            return controls
        out: FloatArray = controls.copy()
        if self.features is not None:
            for name, rows in self.features.windows(first, len(out)).items():
                out[:, self._inputs[name].columns] = rows
        if self.units is not None:
            for column, values in self.units.columns(self._inputs, first, len(out)).items():
                out[:, column] = values
        head = self._inputs.get(HEAD)
        if self.cameras is not None and head is not None:
            out[:, head.columns] = head.default  # a camera that follows a head has its motion already
        return out

    def camera(self, frame: int, width: int, height: int) -> _core.Camera | None:
        """The camera of a frame; None where none is given."""
        return None if self.cameras is None else self.cameras.at(frame, width, height).core()
