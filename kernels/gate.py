# SPDX-License-Identifier: Apache-2.0
"""Holds the kernels to their limits, from what a build left: `make kernels-check`, or

    python kernels/gate.py [BUILD/kernels] [--write]

No warnings, no spills, no local memory, on any architecture; registers and shared memory within kernels/limits.csv; the
fat binary within its size; blend's loop within its instructions, where there is a cuobjdump to count them; every kernel
of kernels/cuda/list.h there, and no other; the table in kernels/README.md as the build is. --write brings that table up
to date. Of several builds the last is taken; of none nothing is held, which is said. Exits 1 and says what is wrong.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from resources import Resources, read_log, warnings_in
from sass import find_cuobjdump, instructions_per_evaluation, listing_of
from tables import RESOURCES, resource_table, table_in, toolkit_of, with_table

HERE = Path(__file__).resolve().parent
MAX_FATBIN_BYTES = 1 << 20
MAX_SHARED_BYTES = 48 << 10  # what every architecture gives a block that has not asked for more
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_120")
# What blend's time was estimated from: instructions that a warp issues for one splat.
BLEND, BLEND_ARCHITECTURE, MAX_BLEND_INSTRUCTIONS = "blend_fast_kernel", "sm_75", 24.0


@dataclass(frozen=True)
class Limit:
    """threads: of a block. The other two are the most that a kernel may take on any architecture."""

    threads: int
    registers: int
    shared_bytes: int


def read_limits(path: Path) -> dict[str, Limit]:
    with path.open(newline="") as file:
        return {
            row["kernel"]: Limit(int(row["threads"]), int(row["registers"]), int(row["shared_bytes"]))
            for row in csv.DictReader(file)
        }


def listed_kernels(header: str) -> list[str]:
    """The kernels of list.h, in a frame's order."""
    return re.findall(r"^  X\((\w+),", header, re.M)


def beyond(listed: list[str], limits: Mapping[str, Limit], found: Mapping[tuple[str, str], Resources]) -> list[str]:
    """What is wrong with the kernels, a sentence each."""
    wrong = [f"{name}: is compiled, but not in kernels/cuda/list.h." for name in _names(found) if name not in listed]
    for name in listed:
        limit = limits.get(name)
        if limit is None:
            wrong.append(f"{name}: is in kernels/cuda/list.h, but has no row in kernels/limits.csv.")
            continue
        for sm in ARCHITECTURES:
            used = found.get((name, sm))
            if used is None:
                wrong.append(f"{name}: is in kernels/cuda/list.h, but was not compiled for {sm}.")
                continue
            shared = min(limit.shared_bytes, MAX_SHARED_BYTES)
            if used.registers > limit.registers:
                allowed = f"kernels/limits.csv allows {limit.registers}"
                wrong.append(f"{name}: {sm} takes {used.registers} registers; {allowed}.")
            if used.shared_bytes > shared:
                wrong.append(f"{name}: {sm} takes {used.shared_bytes} B of shared memory; {shared} are allowed.")
            if used.stack_bytes or used.spilled_bytes:
                took = f"has {used.stack_bytes} B of local memory and spills {used.spilled_bytes} B"
                wrong.append(f"{name}: {sm} {took}; neither is allowed.")
    old = (name for name in limits if name not in listed)
    return wrong + [f"{name}: has a row in kernels/limits.csv, but is not in kernels/cuda/list.h." for name in old]


def beyond_in_blend(fatbin: Path) -> list[str]:
    """What is wrong with blend's loop. Raises FileNotFoundError where cuobjdump is not installed."""
    cuobjdump = find_cuobjdump()
    if cuobjdump is None:
        raise FileNotFoundError("cuobjdump is not here; pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm")
    count = instructions_per_evaluation(listing_of(cuobjdump, fatbin, BLEND_ARCHITECTURE, BLEND), BLEND)
    print(f"{BLEND}: {count:g} instructions per warp and splat on {BLEND_ARCHITECTURE}")
    if count <= MAX_BLEND_INSTRUCTIONS:
        return []
    return [
        f"{BLEND}: {BLEND_ARCHITECTURE} issues {count:g} instructions per warp and splat; {MAX_BLEND_INSTRUCTIONS:g} "
        "are allowed."
    ]


def _names(found: Mapping[tuple[str, str], Resources]) -> list[str]:
    return list(dict.fromkeys(name for name, _ in found))


def last_build(root: Path) -> Path | None:
    """The kernels of the build that was made last; None where no build has any."""
    logs = sorted(root.glob("build/*/kernels/kernels.log"), key=lambda log: log.stat().st_mtime)
    return logs[-1].parent if logs else None


def main(arguments: list[str]) -> int:
    write = "--write" in arguments
    folders = [Path(word) for word in arguments if word != "--write"]
    if len(folders) > 1 or any(not (folder / "kernels.log").is_file() for folder in folders):
        print(__doc__, file=sys.stderr)
        return 2
    folder = folders[0] if folders else last_build(HERE.parent)
    if folder is None:
        print("skipped: no build here has kernels, for want of nvcc. make kernels installs it")
        return 1 if write else 0
    log = (folder / "kernels.log").read_text()
    fatbin_bytes = (folder / "kernels.fatbin").stat().st_size
    limits = read_limits(HERE / "limits.csv")
    listed = listed_kernels((HERE / "cuda" / "list.h").read_text())
    found = read_log(log)

    wrong = [f"nvcc warns: {line}" for line in warnings_in(log)] + beyond(listed, limits, found)
    if fatbin_bytes > MAX_FATBIN_BYTES:
        wrong.append(f"kernels.fatbin: has {fatbin_bytes} B; at most {MAX_FATBIN_BYTES} are allowed.")
    if BLEND in listed:
        try:
            wrong += beyond_in_blend(folder / "kernels.fatbin")
        except FileNotFoundError as error:
            print(f"{BLEND}: its instructions were not counted: {error}")
    toolkit = toolkit_of((folder / "fatbin.cc").read_text())
    print(f"{len(listed)} kernels, {len(ARCHITECTURES)} architectures, {fatbin_bytes} B, nvcc {toolkit}")
    if not wrong:
        threads = {name: limits[name].threads for name in listed}
        table = resource_table(threads, ARCHITECTURES, found, toolkit, fatbin_bytes)
        page = HERE / "README.md"
        text = page.read_text()
        told = table_in(text, RESOURCES)
        if write:
            page.write_text(with_table(text, RESOURCES, table))
        elif toolkit_of(told) not in (toolkit, None):
            print(f"kernels/README.md: its table is of nvcc {toolkit_of(told)}, and not compared")
        elif told != table:
            wrong.append("kernels/README.md: its table is not of this build. `make kernels` writes it.")
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
