# SPDX-License-Identifier: Apache-2.0
"""Rotations as axis-angle vectors (radians) and quaternions (wxyz, Hamilton), over any leading axes, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


def quat_from_axis_angle(axis_angle: NDArray[Any]) -> Doubles:
    """[...,3] → [...,4]."""
    vector = np.asarray(axis_angle, np.float64)
    half = 0.5 * np.linalg.norm(vector, axis=-1, keepdims=True)
    # sin(h)/h through sinc, which is exact at zero; vector = axis · 2h.
    return np.concatenate([np.cos(half), 0.5 * np.sinc(half / np.pi) * vector], axis=-1)


def axis_angle_from_quat(quat: Doubles) -> Doubles:
    """[...,4] unit → [...,3], of angle at most π."""
    quat = np.where(quat[..., :1] < 0, -quat, quat)
    sine = np.linalg.norm(quat[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, quat[..., :1])
    return quat[..., 1:] * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0)


def quat_from_matrix(matrix: NDArray[Any]) -> Doubles:
    """Quaternion of the rotation nearest to each [...,3,3] (Bar-Itzhack 2000: an eigenvector, right at any angle)."""
    m = np.asarray(matrix, np.float64)
    k = np.zeros((*m.shape[:-2], 4, 4))
    k[..., 0, 0] = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        k[..., a + 1, a + 1] = m[..., a, a] - m[..., b, b] - m[..., c, c]
        k[..., 0, a + 1] = k[..., a + 1, 0] = m[..., c, b] - m[..., b, c]
        k[..., a + 1, b + 1] = k[..., b + 1, a + 1] = m[..., a, b] + m[..., b, a]
    return np.linalg.eigh(k)[1][..., -1]


def multiply(a: Doubles, b: Doubles) -> Doubles:
    """a after b."""
    aw, bw = a[..., :1], b[..., :1]
    av, bv = a[..., 1:], b[..., 1:]
    w = aw * bw - np.sum(av * bv, axis=-1, keepdims=True)
    return np.concatenate([w, aw * bv + bw * av + np.cross(av, bv)], axis=-1)


def slerp_axis_angle(a: NDArray[Any], b: NDArray[Any], t: NDArray[Any]) -> Doubles:
    """The rotation t (0..1, broadcast) of the way from a to b, [...,3], along the shorter arc."""
    qa, qb = quat_from_axis_angle(a), quat_from_axis_angle(b)
    dot = np.sum(qa * qb, axis=-1, keepdims=True)
    qb = np.where(dot < 0, -qb, qb)
    angle = np.arccos(np.clip(np.abs(dot), 0.0, 1.0))
    # sinc keeps the weights right down to equal rotations, where both tend to 1-t and t.
    whole = np.sinc(angle / np.pi)
    wa = (1 - t) * np.sinc((1 - t) * angle / np.pi) / whole
    wb = t * np.sinc(t * angle / np.pi) / whole
    quat = wa * qa + wb * qb
    return axis_angle_from_quat(quat / np.linalg.norm(quat, axis=-1, keepdims=True))
