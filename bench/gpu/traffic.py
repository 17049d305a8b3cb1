# SPDX-License-Identifier: Apache-2.0
"""What a draw's kernels read and write at least, counted as their headers count it: what their time is a bandwidth by.
kernels/estimates.py counts that, and instructions, for two heads before anything is drawn.

Rows that come from a cache are counted once for all that read them, gathered ones once for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from estimates import SCENES, SCHEDULERS, work_of

BIN_CHUNK = 256  # kernels/cuda/bin.h
NOTHING, TRIANGLE, VERTEX_AXES, VERTEX_POSITION = range(4)  # PoseFollow, csrc/ops/pose.h
GATHERED = {NOTHING: 0, TRIANGLE: 68, VERTEX_AXES: 64, VERTEX_POSITION: 16}  # bytes a Gaussian
POSED = {NOTHING: 12, TRIANGLE: 40, VERTEX_AXES: 28, VERTEX_POSITION: 12}


def bytes_of(piece: str, c: Mapping[str, Any], pass_: int = 0, passes: int = 1) -> float | None:
    """Of one frame. piece: a kernel's name.  c: the counts that gpu_bench prints.  pass_, passes: of a sort.

    None for what is not bound by memory, and for pictures that stand alone.
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


def with_rates(
    pieces: list[dict[str, Any]], counts: Mapping[str, Any], batch: int, gpu: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The pieces with what they reach: GB/s, as a share of the card's copy too, and the share of the issue slots.

    Uploads cross the bus. The instructions are those that were counted for two of the heads, the others have None;
    slots are of the clock that the driver tells, which the GPU may exceed.
    """
    passes = sum(piece["name"] == "sort_count_kernel" for piece in pieces)
    instructions = instructions_of(counts)
    seen: dict[str, int] = {}
    rows = []
    for piece in pieces:
        name, us = piece["name"], piece["us"]
        turn = seen[name] = seen.get(name, -1) + 1
        moved = piece["bytes"] if name == "upload" else _of_batch(bytes_of(name, counts, turn, passes), batch)
        row = piece | {"turn": turn, "moved_bytes": moved, "gb_per_s": None, "of_copy": None, "issue": None}
        if moved and us > 0:
            row["gb_per_s"] = moved / us / 1e3
            if name != "upload" and gpu["copy_gb_per_s"] > 0:
                row["of_copy"] = row["gb_per_s"] / gpu["copy_gb_per_s"]
        issued = _of_batch(instructions.get(name.removesuffix("_kernel")), batch)
        slots = us * gpu["clock_mhz"] * gpu["multiprocessors"] * SCHEDULERS
        if issued and slots > 0:
            row["issue"] = issued / slots
        rows.append(row)
    return rows


def instructions_of(counts: Mapping[str, Any]) -> dict[str, float]:
    """Of one launch of each kernel, by kernels/estimates.py, where it counted for a head of this size without a rig."""
    if counts["vertex_blocks"] or not counts["fast"]:
        return {}
    for scene in SCENES:
        if scene.gaussians == counts["gaussians"]:
            return {work.kernel: work.instructions for work in work_of(scene)}
    return {}


def _of_batch(moved: float | None, batch: int) -> float | None:
    return None if moved is None else moved * batch
