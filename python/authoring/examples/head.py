# SPDX-License-Identifier: Apache-2.0
"""The built-in head as a thing to learn from: its Gaussians under any face, and the face around which they move.

A face is 52 ARKit weights. The head's own pose stays still: the camera moves instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

import talksplat
from talksplat.arkit import ARKIT_NAMES

from ..spec import Array

SMALLEST_M = 1e-7  # of a standard deviation, so that it has a logarithm
INDEX = {name: i for i, name in enumerate(ARKIT_NAMES)}
# Trained heads are canonical somewhere in the middle of their motion. Here the mouth and the lids are half open: what
# touches at rest and then parts is apart, since no field over space could tell it apart.
CANONICAL = {
    "jawOpen": 0.16, "mouthLowerDownLeft": 0.12, "mouthLowerDownRight": 0.12, "mouthUpperUpLeft": 0.08,
    "mouthUpperUpRight": 0.08, "eyeBlinkLeft": 0.4, "eyeBlinkRight": 0.4,
}  # fmt: skip
# OpenFace's action units in the order of TalkingGaussian, the intensity that moves a shape fully, and those shapes.
UNITS: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("AU01", 4.0, ("browInnerUp",)),
    ("AU04", 4.0, ("browDownLeft", "browDownRight")),
    ("AU05", 4.0, ("eyeWideLeft", "eyeWideRight")),
    ("AU06", 4.0, ("cheekSquintLeft", "cheekSquintRight")),
    ("AU07", 4.0, ("eyeSquintLeft", "eyeSquintRight")),
    ("AU45", 2.0, ("eyeBlinkLeft", "eyeBlinkRight")),
)


@dataclass(frozen=True)
class Cloud:
    """mean [N,3] metres, quat [N,4] wxyz unit, log_scale [N,3] of one face, float64."""

    mean: Array
    quat: Array
    log_scale: Array


def face_of(weights: dict[str, float]) -> Array:
    """[52] float32."""
    face = np.zeros(len(INDEX), np.float32)
    for name, value in weights.items():
        face[INDEX[name]] = value
    return face


def faces_of_units(units: Array) -> Array:
    """[T,6] intensities in the order of UNITS → [T,52] float32 ARKit weights; each moves its shapes fully at most."""
    units = np.asarray(units, np.float32)
    faces = np.zeros((len(units), len(INDEX)), np.float32)
    for column, (_, full, names) in enumerate(UNITS):
        for name in names:
            faces[:, INDEX[name]] = np.clip(units[:, column] / full, 0, 1)
    return faces


@dataclass(frozen=True)
class World:
    """A method's own coordinates: (metres - centre) · scale."""

    scale: float
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def of(self, mean: Array) -> Array:
        """[N,3] metres → [N,3]"""
        return (np.asarray(mean, np.float64) - self.centre) * self.scale

    def cam_from(self, cam_from_metres: Array) -> Array:
        """[4,4]: the same view of this world; depths are scaled, pictures are not."""
        view = np.array(cam_from_metres, np.float64).reshape(4, 4)
        view[:3, 3] = self.scale * (view[:3, :3] @ np.array(self.centre) + view[:3, 3])
        return view


class Head:
    """The built-in avatar, held still: its N Gaussians in the order in which its builder made them."""

    def __init__(self) -> None:
        self.avatar = talksplat.load("demo", threads=1)
        g = self.avatar.gaussians()
        assert g.color is not None
        self.opacity, self.color = g.opacity, g.color

    def __len__(self) -> int:
        return len(self.opacity)

    def cloud(self, face: Array) -> Cloud:
        """Its Gaussians where the face [52] puts them."""
        g = self.avatar.gaussians({"arkit": np.asarray(face, np.float32)})
        scale = np.maximum(g.scale.astype(np.float64), SMALLEST_M)
        return Cloud(g.mean.astype(np.float64), g.quat.astype(np.float64), np.log(scale))

    @cached_property
    def canonical(self) -> Cloud:
        return self.cloud(face_of(CANONICAL))

    @cached_property
    def shape_deltas(self) -> Array:
        """[N,3·52] float64: how far each ARKit weight moves every Gaussian from the canonical face, by a fifth of it.

        What tells Gaussians apart by how they move, and nothing else.
        """
        base, rest = face_of(CANONICAL), self.canonical.mean
        deltas = []
        for i in range(len(INDEX)):
            face = base.copy()
            face[i] += 0.2
            deltas.append((self.cloud(face).mean - rest) * 5)
        return np.concatenate(deltas, axis=1)
