# SPDX-License-Identifier: Apache-2.0
"""What is wanted of a model."""

from __future__ import annotations

from dataclasses import dataclass

from talksplat.encoders.folder import FEATURE_HZ, FRONT_RESAMPLE_TRANSFORMER, FRONT_TRANSFORMER, Preset

# Of how graphs are made: folders of another still run, and are made again when they are asked for.
REVISION = 2


@dataclass(frozen=True)
class Wish:
    """preset, window: the name, and its rows at 50 Hz.  layer: 0 for what goes into the first layer.

    fps: of FaceFormer's order, or None.  source: a hash of the model's files.
    """

    preset: str
    window: Preset
    layer: int
    fps: float | None
    source: str

    @property
    def order(self) -> str:
        return FRONT_TRANSFORMER if self.fps is None else FRONT_RESAMPLE_TRANSFORMER

    @property
    def rows(self) -> Preset:
        """The window in rows of the transformer: as long, in frames of the video where the order is FaceFormer's."""
        if self.fps is None:
            return self.window
        return Preset(*(max(1, round(count * self.fps / FEATURE_HZ)) for count in self.window))
