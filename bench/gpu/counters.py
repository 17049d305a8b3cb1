# SPDX-License-Identifier: Apache-2.0
"""What Nsight Compute counts in a draw's kernels, where `ncu` is installed and may read the counters."""

from __future__ import annotations

import csv
import io
import shutil
from typing import Any

from gpu.heads import Head
from gpu.native import Native

# Nsight Compute's names, and ours.
METRICS = {
    "gpu__time_duration.sum": "us",
    "dram__bytes.sum": "dram_bytes",
    "smsp__issue_active.avg.pct_of_peak_sustained_active": "issue_percent",
    "sm__warps_active.avg.pct_of_peak_sustained_active": "occupancy_percent",
}
UNITS = {"ns": 1e-3, "nsecond": 1e-3, "us": 1, "usecond": 1, "ms": 1e3, "msecond": 1e3, "byte": 1, "Kbyte": 1e3,
         "Mbyte": 1e6, "Gbyte": 1e9, "%": 1}  # fmt: skip


def count(native: Native, head: Head, batch: int) -> tuple[dict[str, dict[str, float]], str]:
    """By kernel, of its last launch; and why there is nothing, else ""."""
    ncu = shutil.which("ncu")
    if ncu is None:
        return {}, "ncu is not installed"
    once = Native(native.program, repeats=1, small=True)
    profiled = [ncu, "--csv", "--page", "raw", "--metrics", ",".join(METRICS)]
    done = native.run([*profiled, *once.command("kernels", *once.scene(head, batch, "fast"))])
    counted = read_counters(done.stdout)
    if counted:
        return counted, ""
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("==ERROR==")]
    return {}, f"ncu counted nothing: {said[0].removeprefix('==ERROR==').strip() if said else 'it said nothing'}"


def read_counters(text: str) -> dict[str, dict[str, float]]:
    """Of what ncu prints: its own lines, the program's, then a header, units, and a row for each launch."""
    lines = text.splitlines()
    begin = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if begin is None:
        return {}
    rows = csv.DictReader(io.StringIO("\n".join(line for line in lines[begin:] if line.startswith('"'))))
    units: dict[str, Any] = {}
    counted: dict[str, dict[str, float]] = {}
    for row in rows:
        if not units:
            units = row
            continue
        counted[row["Kernel Name"].partition("(")[0]] = {
            ours: float(row[theirs].replace(",", "")) * UNITS[units[theirs]]
            for theirs, ours in METRICS.items()
            if row.get(theirs)
        }
    return counted
