# SPDX-License-Identifier: Apache-2.0
"""Which of two kernels is the faster one on this GPU, from how many at once on: what kernels/triton/measured.csv keeps,
and the loader chooses by (csrc/cuda/triton.h). Frames of a draw for networks, towers of streams for the voice."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gpu.heads import Head
from gpu.native import BenchFailed, Native

BY = ("cuda", "triton")
NETWORKS, VOICE = "deform_layers_kernel", "encode_rows_kernel"
LEAST_GAIN = 0.02  # of all that was measured of one size, below which the hand-written kernel stays
FIELDS = ("kernel", "capability", "from", "gpu", "date")


def measure_networks(native: Native, heads: Iterable[Head], batches: Iterable[int]) -> dict[str, Any]:
    """us[head][batch]["cuda" or "triton"]: of deform's launches in a draw of so many frames, for heads that have a
    network. missing: why Triton's kernel could not be measured, or "". from: as from_how_many()."""
    us: dict[str, dict[str, dict[str, float]]] = {}
    try:
        for head in heads:
            for batch in batches:
                times = {by: deform_us(native.kernels(head, batch, deform=by)) for by in BY}
                if any(time is not None for time in times.values()):
                    us.setdefault(head.name, {})[str(batch)] = {by: time or 0.0 for by, time in times.items()}
    except BenchFailed as error:
        return {"us": {}, "missing": str(error), "from": 0}
    return {"us": us, "missing": "", "from": from_how_many(us)}


def measure_voice(native: Native, voice: Path, streams: Iterable[int]) -> dict[str, Any]:
    """us["the voice"][towers]["cuda" or "triton"]: of a step of so many streams, from the host and back. apart: by
    kernel, how far what it said is at most from the CPU's. missing, from: as above."""
    us: dict[str, dict[str, float]] = {}
    apart = dict.fromkeys(BY, 0.0)
    try:
        for n in streams:
            for by in BY:
                measured = native.voice(voice, n, by)
                us.setdefault(str(measured["towers"]), {})[by] = measured["p50_us"]
                apart[by] = max(apart[by], measured["apart"])
    except BenchFailed as error:
        return {"us": {}, "apart": apart, "missing": str(error), "from": 0}
    found = {"the voice": us}
    return {"us": found, "apart": apart, "missing": "", "from": from_how_many(found)}


def deform_us(measured: Mapping[str, Any]) -> float | None:
    """None for a head without a network."""
    times = [piece["us"] for piece in measured["pieces"] if piece["name"].startswith("deform")]
    return sum(times) if times else None


def from_how_many(us: Mapping[str, Mapping[str, Mapping[str, float]]]) -> int:
    """The least number that was measured from which on Triton's kernel takes less time for all together; 0: it does not
    for the largest number."""
    least = 0
    for n in sorted({int(n) for measured in us.values() for n in measured}, reverse=True):
        together = {by: sum(measured[str(n)][by] for measured in us.values()) for by in BY}
        if together["triton"] > (1 - LEAST_GAIN) * together["cuda"]:
            break
        least = n
    return least


def keep(path: Path, kernel: str, capability: int, n: int, gpu: str, date: str) -> None:
    """Writes the row of this kernel and architecture in the place of an older one."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["kernel"], int(row["capability"])) != (kernel, capability)]
    rows.append({"kernel": kernel, "capability": str(capability), "from": str(n), "gpu": gpu, "date": date})
    rows.sort(key=lambda row: (row["kernel"], int(row["capability"])))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
