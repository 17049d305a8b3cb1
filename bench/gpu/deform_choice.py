# SPDX-License-Identifier: Apache-2.0
"""Which of deform's two kernels is the faster one on this GPU, from how many frames in a draw on: what
kernels/triton/measured.csv keeps, and the loader chooses by (csrc/cuda/triton.h)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gpu.heads import Head
from gpu.native import BenchFailed, Native

KERNELS = ("cuda", "triton")
LEAST_GAIN = 0.02  # of the time of all networks, below which the hand-written kernel stays
FIELDS = ("capability", "from_frames", "gpu", "date")


def measure(native: Native, heads: Iterable[Head], batches: Iterable[int]) -> dict[str, Any]:
    """us[head][batch][kernel]: of deform's launches in a draw of so many frames, for heads that have a network.
    missing: why Triton's kernel could not be measured, or ""."""
    us: dict[str, dict[str, dict[str, float]]] = {}
    try:
        for head in heads:
            for batch in batches:
                times = {kernel: deform_us(native.kernels(head, batch, deform=kernel)) for kernel in KERNELS}
                if any(time is not None for time in times.values()):
                    us.setdefault(head.name, {})[str(batch)] = {kernel: time or 0.0 for kernel, time in times.items()}
    except BenchFailed as error:
        return {"us": {}, "missing": str(error), "from_frames": 0}
    return {"us": us, "missing": "", "from_frames": from_frames(us)}


def deform_us(measured: Mapping[str, Any]) -> float | None:
    """None for a head without a network."""
    times = [piece["us"] for piece in measured["pieces"] if piece["name"].startswith("deform")]
    return sum(times) if times else None


def from_frames(us: Mapping[str, Mapping[str, Mapping[str, float]]]) -> int:
    """The least number of frames that was measured from which on Triton's kernel takes less time for all heads
    together; 0: it does not for the largest number."""
    least = 0
    for batch in sorted({int(batch) for measured in us.values() for batch in measured}, reverse=True):
        together = {kernel: sum(measured[str(batch)][kernel] for measured in us.values()) for kernel in KERNELS}
        if together["triton"] > (1 - LEAST_GAIN) * together["cuda"]:
            break
        least = batch
    return least


def keep(path: Path, capability: int, frames: int, gpu: str, date: str) -> None:
    """Writes the row of this architecture in the place of an older one."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["capability"]) != capability]
    rows.append({"capability": str(capability), "from_frames": str(frames), "gpu": gpu, "date": date})
    rows.sort(key=lambda row: int(row["capability"]))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
