# SPDX-License-Identifier: Apache-2.0
"""Static scenes from Niantic's .spz, versions 1 to 4: fixed-point numbers to activated Gaussians."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from .gaussians import exp_scale, gaussians
from .packed import read_scene
from .scene import static_scene
from .source import Source
from .spec import Array, Manifest
from .spz_file import Spz, read_spz

COLOR_SCALE = 0.15
KEPT_DEGREE = 3  # of what is drawn
# Coefficients of the bands 0 to 3 whose function is odd in x.
ODD_IN_X = [3, 4, 7, 10, 13, 15]
_DIRECTIONS = {"R": (1, 0, 0), "L": (-1, 0, 0), "U": (0, 1, 0), "D": (0, -1, 0), "B": (0, 0, 1), "F": (0, 0, -1)}


def import_spz(path: Path, name: str) -> tuple[Manifest, dict[str, Array]]:
    """A static scene. Raises AvatarNotFound if path cannot be read, AvatarInvalid for anything but spz 1 to 4."""
    source = Source()
    where = str(path)
    spz = read_spz(where, read_scene(source, path, "spz"))
    source.notes += spz.notes
    if spz.antialiased:
        source.notes.append("Trained with anti-aliased (Mip-Splatting) filtering; it is drawn without.")
    if spz.degree > KEPT_DEGREE:
        source.notes.append(f"Its colours have SH degree {spz.degree}; bands 0 to {KEPT_DEGREE} are kept.")
    mean, quat, sh = _position(spz), _rotation(spz), _harmonics(spz)
    axes = np.array([_DIRECTIONS[letter] for letter in spz.system], np.float64).T  # right, up, back of the file's axes
    if np.linalg.det(axes) < 0:
        # A mirrored system: with x turned around it is an ordinary one.
        mean, quat = mean * (-1, 1, 1), quat * (1, 1, -1, -1)
        odd = [k for k in ODD_IN_X if k < sh.shape[1]]
        sh[:, odd] *= -1
        axes[:, 0] *= -1
    cloud = gaussians(
        where,
        mean=mean,
        quat=quat,
        scale=exp_scale(spz.scale / 16.0 - 10.0),
        opacity=spz.alpha[:, 0] / 255.0,
        color=sh,
    )
    return static_scene(cloud, name, source, "spz", up=axes[1], front=axes[2])


def _position(spz: Spz) -> Array:
    if spz.version == 1:
        return np.asarray(spz.position.copy().view("<f2"), np.float64)
    padded = np.pad(spz.position.reshape(spz.n, 3, 3), ((0, 0), (0, 0), (1, 0)))
    fixed: Array = (padded.copy().view("<i4")[..., 0] >> 8) / 2.0**spz.fraction
    return fixed


def _harmonics(spz: Spz) -> Array:
    dc = (spz.color / 255.0 - 0.5) / COLOR_SCALE
    rest = (spz.rest.reshape(spz.n, -1, 3) - 128.0) / 128.0
    kept = (min(spz.degree, KEPT_DEGREE) + 1) ** 2 - 1
    return np.concatenate([dc[:, None], rest[:, :kept]], axis=1)


def _rotation(spz: Spz) -> Array:
    return _smallest_three(spz.rotation) if spz.version >= 3 else _first_three(spz.rotation)


def _first_three(rotation: Array) -> Array:
    """[n,4] wxyz from versions 1 and 2: x, y, z in bytes over [-1, 1], w >= 0 follows."""
    xyz = rotation / 127.5 - 1
    w = np.sqrt(np.maximum(0.0, 1 - (xyz * xyz).sum(1, keepdims=True)))
    return np.concatenate([w, xyz], axis=1)


def _smallest_three(rotation: Array) -> Array:
    """[n,4] wxyz from version 3 on: two bits name the largest of x, y, z, w; the others are sign and nine bits each."""
    word = rotation.copy().view("<u4")[:, 0].astype(np.int64)
    largest = word >> 30
    xyzw = np.zeros((len(word), 4))
    for component in (3, 2, 1, 0):
        rows = np.flatnonzero(largest != component)
        magnitude = (word[rows] & 511) / 511 * math.sqrt(0.5)
        xyzw[rows, component] = np.where(word[rows] & 512, -magnitude, magnitude)
        word[rows] >>= 10
    rest = np.sqrt(np.maximum(0.0, 1 - (xyzw * xyzw).sum(1)))
    xyzw[np.arange(len(word)), largest] = rest
    return xyzw[:, [3, 0, 1, 2]]
