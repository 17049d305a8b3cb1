# SPDX-License-Identifier: Apache-2.0
"""Gaussians as training has them: before they are activated, since that is what a network adds to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..gaussians import Gaussians, exp_scale, gaussians, morton_order, sigmoid
from ..ply import color_columns
from ..ply_file import columns
from ..spec import Array

BLOCK = 1 << 16


@dataclass(frozen=True)
class RawCloud:
    """mean [n,3], scale [n,3], rotation [n,4] wxyz of any length, logit [n], color [n,K,3] SH, float64."""

    mean: Array
    scale: Array
    rotation: Array
    logit: Array
    color: Array

    def __getitem__(self, rows: Array) -> RawCloud:
        return RawCloud(*(value[rows] for value in vars(self).values()))


def raw_cloud(where: str, rows: Array) -> RawCloud:
    """The Gaussians of a trained .ply's rows. Raises AvatarInvalid naming the field that is missing."""

    def named(prefix: str, count: int) -> Array:
        return columns(where, rows, [f"{prefix}_{i}" for i in range(count)]).astype(np.float64)

    return RawCloud(
        mean=columns(where, rows, ["x", "y", "z"]).astype(np.float64),
        scale=named("scale", 3),
        rotation=named("rot", 4),
        logit=columns(where, rows, ["opacity"])[:, 0].astype(np.float64),
        color=color_columns(where, rows, frozenset(rows.dtype.names or ()), []).astype(np.float64),
    )


def prepared(where: str, raw: RawCloud, scale_of: Callable[[Array], Array] = exp_scale) -> tuple[Gaussians, RawCloud]:
    """The finite rows in Morton order, activated and raw; source_index is the row in raw.

    scale_of: raw scales → standard deviations. Raises AvatarInvalid if no row is finite.
    """
    with np.errstate(all="ignore"):
        flat = [np.asarray(value, np.float32).reshape(len(raw.mean), -1) for value in vars(raw).values()]
        whole = np.all(np.isfinite(np.concatenate(flat, axis=1)), axis=1)
        activated = gaussians(
            where,
            mean=np.where(whole[:, None], raw.mean, np.nan),
            quat=raw.rotation,
            scale=scale_of(raw.scale),
            opacity=sigmoid(raw.logit),
            color=raw.color,
        )
    order = morton_order(activated.mean)
    rows = activated.source_index[order]
    out = Gaussians(
        mean=activated.mean[order], quat=activated.quat[order], scale=activated.scale[order],
        opacity=activated.opacity[order], color=activated.color[order], source_index=rows,
        source_count=activated.source_count,
    )  # fmt: skip
    return out, raw[rows]


def in_blocks(features: Callable[[Array], Array], mean: Array) -> Array:
    """features(mean) of [n,3] positions, some at a time: on the way it takes much more memory than what it gives."""
    return np.concatenate([features(mean[at : at + BLOCK]) for at in range(0, max(len(mean), 1), BLOCK)])


def joined(front: Gaussians, back: Gaussians) -> Gaussians:
    """Two clouds one after the other; so are their rows in the source."""
    columns = ("mean", "quat", "scale", "opacity", "color")
    both = {name: np.concatenate([getattr(front, name), getattr(back, name)]) for name in columns}
    rows = np.concatenate([front.source_index, back.source_index + np.uint32(front.source_count)])
    return Gaussians(**both, source_index=rows, source_count=front.source_count + back.source_count)
