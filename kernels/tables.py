# SPDX-License-Identifier: Apache-2.0
"""The tables of kernels/README.md, which programs of this folder fill in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from resources import Resources, warps_at_once

RESOURCES = "<!-- kernels/gate.py writes from here -->\n"
BOTH = "<!-- kernels/both.py writes from here -->\n"
ESTIMATES = "<!-- kernels/estimates.py writes from here -->\n"
END = "<!-- to here -->\n"


def toolkit_of(text: str) -> str | None:
    """The nvcc that is named in a fatbin.cc or in a table, "13.0.88"; None: there is none."""
    named = re.search(r"\bnvcc (\d+\.\d+\.\d+)", text)
    return named[1] if named else None


def resource_table(
    threads: Mapping[str, int],
    architectures: Sequence[str],
    found: Mapping[tuple[str, str], Resources],
    toolkit: str | None,
    fatbin_bytes: int,
) -> str:
    """Markdown. threads: of a block, of every kernel in a frame's order."""
    lines = [
        f"By nvcc {toolkit}; the fat binary has {round(fatbin_bytes / 1024)} KiB.",
        "",
        f"| kernel | threads | shared, B | {' | '.join(architectures)} | warps |",
        f"|---|---:|---:|{'---:|' * len(architectures)}---:|",
    ]
    for name, n in threads.items():
        used = [found[name, sm] for sm in architectures]
        shared = max(one.shared_bytes for one in used)
        warps = warps_at_once(used[0], n)
        registers = " | ".join(str(one.registers) for one in used)
        lines.append(f"| `{name.removesuffix('_kernel')}` | {n} | {shared:,} | {registers} | {warps} |")
    return "\n".join(lines) + "\n"


def table_in(page: str, mark: str) -> str:
    """What lies between a mark and the next END. Raises ValueError for a page without them."""
    begin = page.find(mark)
    end = page.find(END, begin)
    if begin < 0 or end < 0:
        raise ValueError(f"kernels/README.md: must have the lines {mark.strip()!r} and {END.strip()!r}.")
    return page[begin + len(mark) : end]


def with_table(page: str, mark: str, table: str) -> str:
    """The page with another table there."""
    return page.replace(mark + table_in(page, mark) + END, mark + table + END)
