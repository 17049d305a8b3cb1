# SPDX-License-Identifier: Apache-2.0
"""What a draw's kernels read and write at least, counted as their headers count it: what their time is a bandwidth by.

Rows that come from a cache are counted once for all that read them, gathered ones once for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BIN_CHUNK = 256  # kernels/cuda/bin.h
NOTHING, TRIANGLE, VERTEX_AXES, VERTEX_POSITION = range(4)  # PoseFollow, csrc/ops/pose.h
GATHERED = {NOTHING: 0, TRIANGLE: 68, VERTEX_AXES: 64, VERTEX_POSITION: 16}  # bytes a Gaussian
POSED = {NOTHING: 12, TRIANGLE: 40, VERTEX_AXES: 28, VERTEX_POSITION: 12}


def bytes_of(piece: str, c: Mapping[str, Any], pass_: int = 0, passes: int = 1) -> float | None:
    """Of one frame. piece: a kernel's name.  c: the counts that gpu_bench prints.  pass_, passes: of a sort.

    None for what is not bound by memory: networks and pictures that stand alone.
    """
    n, visible, instances = c["gaussians"], c["visible"], c["instances"]
    pixels = c["width"] * c["height"]
    table = -(-visible // BIN_CHUNK) * c["tiles"] * 4  # pairs of each chunk and tile
    splats = visible * (4 + 32 + 32)  # order, BlendSplat, BinSplat
    last = pass_ == passes - 1
    counted: dict[str, float] = {
        "pose_vertices": 200 * c["shape_entries"]
        + 68 * c["skin_entries"]
        + c["vertex_blocks"] * (192 + 16 * (80 if c["follow"] == VERTEX_AXES else 16)),
        "pose_triangles": 128 * c["triangles"],
        "pose_gaussians": n * (44 + GATHERED[c["follow"]] + POSED[c["follow"]]),
        "project": n * (44 + 4) + visible * (4 * c["color_floats"] + (64 if c["fast"] else 80)),
        "sort_count": n * (4 if pass_ == 0 else 8),
        "sort_scatter": n * ((4 if pass_ == 0 else 8) + (4 if last else 8)),
        "bin_count": splats + table,
        "bin_scan": 2 * table,
        "bin_lists": 12 * c["tiles"],
        "bin_scatter": splats + table + 8 * instances,
        "blend_fast": instances * (8 + 32) + 4 * pixels,
        "blend_reference": instances * (8 + 32 + 16) + 4 * pixels,
    }
    return counted.get(piece.removesuffix("_kernel"))


def with_bandwidth(
    pieces: list[dict[str, Any]], counts: Mapping[str, Any], batch: int, copy_gb_per_s: float
) -> list[dict[str, Any]]:
    """The pieces with the bandwidth that they reach, GB/s, and its share of the card's copy. Uploads cross the bus."""
    passes = sum(piece["name"] == "sort_count_kernel" for piece in pieces)
    seen: dict[str, int] = {}
    rows = []
    for piece in pieces:
        name, us = piece["name"], piece["us"]
        turn = seen[name] = seen.get(name, -1) + 1
        moved = piece["bytes"] if name == "upload" else _of_batch(bytes_of(name, counts, turn, passes), batch)
        row = piece | {"turn": turn, "moved_bytes": moved, "gb_per_s": None, "of_copy": None}
        if moved and us > 0:
            row["gb_per_s"] = moved / us / 1e3
            row["of_copy"] = None if name == "upload" or copy_gb_per_s <= 0 else row["gb_per_s"] / copy_gb_per_s
        rows.append(row)
    return rows


def _of_batch(moved: float | None, batch: int) -> float | None:
    return None if moved is None else moved * batch
