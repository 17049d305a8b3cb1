# SPDX-License-Identifier: Apache-2.0
"""Targets: what each Gaussian's mean, rotation and log-scale add to the canonical ones, for thousands of faces.

The rig's motion has few degrees of freedom, so the targets of all faces are kept as sums of a few modes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spec import Array
from .head import UNITS, Cloud, Head, faces_of_units

MODES = 24
SAMPLED_FACES = 400  # that the modes are found from
QUIET = 0.35  # share of frames whose action units all rest
STILL_M = 1e-5  # what moves less in all sampled faces is still
BLINK = 5  # its place among UNITS


@dataclass(frozen=True)
class Modes:
    """Row t of `code` [T,M] times `mode` [M,R,C]: C numbers for each of R Gaussians, float32."""

    code: Array
    mode: Array


@dataclass(frozen=True)
class Lesson:
    """T frames of the R Gaussians `rows` that move at all; targets are differences to the canonical cloud."""

    rows: Array  # [R] int64
    mean: Modes  # metres
    rotation: Modes  # of the quaternion, by its nearer sign
    log_scale: Modes


def random_units(count: int, rng: np.random.Generator) -> Array:
    """[count,6] intensities by chance: often none, else some of them, over all that OpenFace gives, 0..5."""
    units = rng.uniform(0, 5, (count, len(UNITS))) * rng.uniform(0, 1, (count, len(UNITS)))
    units *= rng.random(units.shape) < 0.4
    blink = rng.random(count)
    units[:, BLINK] = np.where(blink < 0.5, 0, np.where(blink < 0.65, 2, rng.uniform(0, 2, count)))
    units[rng.random(count) < QUIET] = 0
    return units.astype(np.float32)


def lesson(head: Head, speech: Array, units: Array) -> Lesson:
    """speech [T,52] weights of lips and jaw, units [T,6]: what the rig makes of both."""
    faces = speech + faces_of_units(units)
    chosen = np.unique(np.linspace(0, len(faces) - 1, min(SAMPLED_FACES, len(faces))).astype(int))
    rest = head.canonical
    sampled = [differences(head.cloud(faces[t]), rest) for t in chosen]
    most = np.max([np.abs(mean).max(1) for mean, _, _ in sampled], axis=0)
    rows = np.flatnonzero(most > STILL_M)
    bases = [_basis(np.stack([s[k][rows] for s in sampled])) for k in range(3)]
    codes = [np.empty((len(faces), len(b)), np.float32) for b in bases]
    still = Cloud(*(x[rows] for x in (rest.mean, rest.quat, rest.log_scale)))
    for t, face in enumerate(faces):
        now = head.cloud(face)
        moved = differences(Cloud(*(x[rows] for x in (now.mean, now.quat, now.log_scale))), still)
        for code, basis, target in zip(codes, bases, moved, strict=True):
            code[t] = basis @ target.astype(np.float32).ravel()
    shaped = [b.reshape(len(b), len(rows), -1) for b in bases]
    return Lesson(rows, *(Modes(c, b) for c, b in zip(codes, shaped, strict=True)))


def differences(now: Cloud, canonical: Cloud) -> tuple[Array, Array, Array]:
    """[N,3], [N,4], [N,3]: mean, quaternion and log-scale less the canonical ones."""
    nearer = np.where((now.quat * canonical.quat).sum(1, keepdims=True) < 0, -1, 1)
    return now.mean - canonical.mean, now.quat * nearer - canonical.quat, now.log_scale - canonical.log_scale


def _basis(samples: Array) -> Array:
    """[M, values] float32: the orthonormal directions that the samples [S,...] vary along most, from zero."""
    flat = samples.reshape(len(samples), -1)
    power, mix = np.linalg.eigh(flat @ flat.T)
    keep = np.argsort(power)[::-1][:MODES]
    keep = keep[power[keep] > 1e-9 * power.max()]
    out: Array = (mix[:, keep].T @ flat / np.sqrt(power[keep])[:, None]).astype(np.float32)
    return out
