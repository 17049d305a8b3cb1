# SPDX-License-Identifier: Apache-2.0
"""The tables of kernels/README.md that a build fills in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from resources import Resources, blocks_of

BEGIN, END = "<!-- kernels/gate.py writes from here -->\n", "<!-- to here -->\n"


def toolkit_of(text: str) -> str:
    """The nvcc that is named in a fatbin.cc or in the README, "13.0.88"."""
    named = re.search(r"\bnvcc (\d+\.\d+\.\d+)", text)
    if named is None:
        raise ValueError('must name the nvcc that built the kernels, as in "nvcc 13.0.88"; it names none.')
    return named[1]


def resource_table(
    threads: Mapping[str, int],
    architectures: Sequence[str],
    found: Mapping[tuple[str, str], Resources],
    toolkit: str,
    fatbin_bytes: int,
) -> str:
    """Markdown. threads: of a block, of every kernel in a frame's order."""
    lines = [
        f"By nvcc {toolkit}: shared memory of a block, registers of a thread by architecture, and the warps of it, of",
        "32 at most, that a multiprocessor of sm_75 holds. Nothing is spilled, and nothing lies in local memory. The",
        f"fat binary has {round(fatbin_bytes / 1024)} KiB.",
        "",
        f"| kernel | threads | shared, B | {' | '.join(sm[3:] for sm in architectures)} | warps |",
        f"|---|---:|---:|{'---:|' * len(architectures)}---:|",
    ]
    for name, n in threads.items():
        used = [found[name, sm] for sm in architectures]
        shared = max(one.shared_bytes for one in used)
        warps = min(blocks_of(used[0].registers, n), 1024 // n) * n // 32
        registers = " | ".join(str(one.registers) for one in used)
        lines.append(f"| `{name.removesuffix('_kernel')}` | {n} | {shared:,} | {registers} | {warps} |")
    return "\n".join(lines) + "\n"


def table_in(page: str) -> str:
    """What lies between the marks. Raises ValueError for a page without them."""
    begin, end = page.find(BEGIN), page.find(END)
    if begin < 0 or end < begin:
        raise ValueError(f"kernels/README.md: must have the lines {BEGIN.strip()!r} and {END.strip()!r}.")
    return page[begin + len(BEGIN) : end]


def with_table(page: str, table: str) -> str:
    """The page with another table between its marks."""
    return page.replace(BEGIN + table_in(page) + END, BEGIN + table + END)
