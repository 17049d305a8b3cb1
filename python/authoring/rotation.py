# SPDX-License-Identifier: Apache-2.0
"""Rotations of rigs and clips, float64; quaternions wxyz."""

from __future__ import annotations

import numpy as np

from .spec import Array


def matrix_of_quat(q: Array) -> Array:
    """[...,4] unit -> [...,3,3]."""
    w, x, y, z = np.moveaxis(np.asarray(q, np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def quat_of_matrix(m: Array) -> Array:
    """[...,3,3] rotations -> [...,4], w >= 0: the eigenvector of the quaternion's outer product (Bar-Itzhack 2000)."""
    m = np.asarray(m, np.float64)
    k = np.zeros((*m.shape[:-2], 4, 4))
    trace = np.trace(m, axis1=-2, axis2=-1)
    for i in range(3):
        for j in range(3):
            k[..., i + 1, j + 1] = m[..., i, j] + m[..., j, i]
    k[..., [1, 2, 3], [1, 2, 3]] -= trace[..., None]
    k[..., 0, 0] = trace
    for i, (a, b) in enumerate(((2, 1), (0, 2), (1, 0)), start=1):
        k[..., 0, i] = k[..., i, 0] = m[..., a, b] - m[..., b, a]
    q = np.linalg.eigh(k)[1][..., -1]
    return np.where(q[..., :1] < 0, -q, q)


def multiply(a: Array, b: Array) -> Array:
    """Hamilton product of [...,4] and [...,4]."""
    aw, av, bw, bv = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    w = aw * bw - (av * bv).sum(-1, keepdims=True)
    return np.concatenate([w, aw * bv + bw * av + np.cross(av, bv)], axis=-1)


def conjugate(q: Array) -> Array:
    return np.asarray(q) * (1.0, -1.0, -1.0, -1.0)


def axis_angle_of_quat(q: Array) -> Array:
    """[...,4] unit -> [...,3] radians, the shorter way round."""
    q = np.where(q[..., :1] < 0, -q, q)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., :1])
    return q[..., 1:] * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0)


def slerp(a: Array, b: Array, t: Array) -> Array:
    """Between [n,4] unit a and b at t [n], the shorter way round."""
    dot = (a * b).sum(-1, keepdims=True)
    b, dot = np.where(dot < 0, -b, b), np.minimum(np.abs(dot), 1.0)
    angle = np.arccos(dot)
    sine = np.sin(angle)
    near = sine < 1e-6
    safe = np.where(near, 1.0, sine)
    t = t[:, None]
    wa = np.where(near, 1 - t, np.sin((1 - t) * angle) / safe)
    wb = np.where(near, t, np.sin(t * angle) / safe)
    q = wa * a + wb * b
    out: Array = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return out


def affine(translation: Array, rotation: Array, scale: Array) -> Array:
    """[4,4] of translation [3], unit quaternion [4] and scale [3]."""
    m = np.eye(4)
    m[:3, :3] = matrix_of_quat(rotation) * scale
    m[:3, 3] = translation
    return m
