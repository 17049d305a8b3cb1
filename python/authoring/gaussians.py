# SPDX-License-Identifier: Apache-2.0
"""Gaussians on their way into an avatar: activation, clean-up and order, the same for every importer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from talksplat.errors import AvatarInvalid

from .spec import Array

SH_C0 = 0.28209479177387814  # Y_0^0, as in the reference rasteriser


@dataclass(frozen=True)
class Gaussians:
    """Activated Gaussians in the source's order until `prepare` sorts them.

    mean [N,3], quat [N,4] wxyz, scale [N,3], opacity [N], color [N,3] RGB or [N,K,3] SH coefficients, all float32;
    binding [N] uint32 or None; source_index [N] uint32, below source_count.
    """

    mean: Array
    quat: Array
    scale: Array
    opacity: Array
    color: Array
    source_index: Array
    source_count: int
    binding: Array | None = None

    @property
    def color_kind(self) -> str:
        """The manifest's `color`."""
        return "rgb" if self.color.ndim == 2 else f"sh{round(self.color.shape[1] ** 0.5) - 1}"

    def tensors(self) -> dict[str, Array]:
        out = {
            "gaussians/mean": self.mean,
            "gaussians/quat": self.quat,
            "gaussians/scale": self.scale,
            "gaussians/opacity": self.opacity,
            "gaussians/color" if self.color.ndim == 2 else "gaussians/sh": self.color,
            "gaussians/source_index": self.source_index,
        }
        if self.binding is not None:
            out["binding/index"] = self.binding
        return out


def gaussians(
    where: str,
    mean: Array,
    quat: Array,
    scale: Array,
    opacity: Array,
    color: Array,
    binding: Array | None = None,
) -> Gaussians:
    """Gaussians from activated arrays: quaternions become unit, rows that are not finite are left out.

    Raises AvatarInvalid if nothing is left; where names the file in the message.
    """
    with np.errstate(all="ignore"):
        columns = [np.asarray(x, np.float32).reshape(len(mean), -1) for x in (mean, quat, scale, opacity, color)]
        keep = np.flatnonzero(np.isfinite(np.concatenate(columns, axis=1)).all(1))
    if not len(keep):
        raise AvatarInvalid(f"{where}: none of its {len(mean)} Gaussians is finite; export the scene again.")
    return Gaussians(
        mean=columns[0][keep],
        quat=unit_quat(np.asarray(quat)[keep]),
        scale=columns[2][keep],
        opacity=columns[3][keep, 0],
        color=np.asarray(color, np.float32)[keep],
        source_index=keep.astype(np.uint32),
        source_count=len(mean),
        binding=None if binding is None else binding[keep].astype(np.uint32),
    )


def unit_quat(quat: Array) -> Array:
    """[N,4] float32, normalised in float64. A zero quaternion rotates by nothing, as in the reference rasteriser."""
    wide = np.asarray(quat, np.float64)
    norm = np.sqrt((wide * wide).sum(1, keepdims=True))
    wide = np.where(norm > 1e-12, wide / np.maximum(norm, 1e-12), (1.0, 0.0, 0.0, 0.0))
    return wide.astype(np.float32)


def sigmoid(x: Array) -> Array:
    """Opacity from its logit, in float64; the overflow of exp for very negative x is the limit 0."""
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-np.asarray(x, np.float64)))


def exp_scale(x: Array) -> Array:
    """Standard deviation from its logarithm; too large ones become inf and their rows are left out."""
    with np.errstate(over="ignore"):
        return np.exp(np.asarray(x, np.float64)).astype(np.float32)


def softplus_scale(x: Array) -> Array:
    """Standard deviation as TalkingGaussian activates it: log(1 + exp(x))."""
    return np.logaddexp(0.0, np.asarray(x, np.float64)).astype(np.float32)


def morton_sorted(g: Gaussians, mean_w: Array) -> Gaussians:
    """g reordered along the Morton curve of its rest-pose world positions mean_w [N,3]."""
    order = morton_order(mean_w)
    return replace(
        g,
        mean=g.mean[order],
        quat=g.quat[order],
        scale=g.scale[order],
        opacity=g.opacity[order],
        color=g.color[order],
        source_index=g.source_index[order],
        binding=None if g.binding is None else g.binding[order],
    )


def morton_order(points: Array) -> Array:
    """[N] permutation that sorts points [N,3] along a Morton (Z-order) curve with 21 bits per axis; stable."""
    points = np.asarray(points, np.float64)
    if not len(points):
        return np.zeros(0, np.int64)
    low = points.min(0)
    extent = float((points.max(0) - low).max()) or 1.0
    cell = ((points - low) / extent * (2**21 - 1)).astype(np.uint64)
    code = _spread(cell[:, 0]) | _spread(cell[:, 1]) << np.uint64(1) | _spread(cell[:, 2]) << np.uint64(2)
    return np.argsort(code, kind="stable")


def _spread(x: Array) -> Array:
    """The 21 low bits of x with two zeros after each."""
    for shift, mask in (
        (32, 0x001F00000000FFFF),
        (16, 0x001F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        x = (x | x << np.uint64(shift)) & np.uint64(mask)
    return x
