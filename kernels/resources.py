# SPDX-License-Identifier: Apache-2.0
"""What each kernel takes of a multiprocessor, as ptxas says it in kernels.log."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(sm_\d+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")

# Of a multiprocessor of sm_75, the smallest of them: CUDA C++ Programming Guide, technical specifications.
REGISTERS, SHARED_BYTES, WARPS = 65536, 64 << 10, 32
REGISTERS_AT_ONCE, SHARED_AT_ONCE = 256, 256  # a warp's and a block's come in units of so many


@dataclass(frozen=True)
class Resources:
    """Of one kernel on one architecture: registers of a thread, static shared memory of a block, and per thread a stack
    frame and what is spilled to it, all three in bytes."""

    registers: int
    shared_bytes: int
    stack_bytes: int
    spilled_bytes: int


def read_log(log: str) -> dict[tuple[str, str], Resources]:
    """(kernel, architecture) → what it takes. Raises ValueError for a log that ends within a kernel."""
    found: dict[tuple[str, str], Resources] = {}
    # Before the first entry there is what functions take that were not inlined; kernels have none.
    for part in re.split(r"(?=Compiling entry function)", log)[1:]:
        entry, stack, used = _ENTRY.search(part), _STACK.search(part), _USED.search(part)
        if entry is None or stack is None or used is None:
            raise ValueError(f"kernels.log: must say registers and stack of every kernel; got {part.strip()!r}.")
        shared = _SHARED.search(part)
        found[entry[1], entry[2]] = Resources(
            int(used[1]), int(shared[1]) if shared else 0, int(stack[1]), int(stack[2]) + int(stack[3])
        )
    return found


def warnings_in(log: str) -> list[str]:
    """Lines of nvcc and ptxas that warn, once each."""
    return list(dict.fromkeys(line.strip() for line in log.splitlines() if re.search(r"\bwarning\b", line)))


def warps_at_once(used: Resources, threads: int) -> int:
    """Warps of a kernel, in whole blocks, that a multiprocessor of sm_75 holds; dynamic shared memory not counted."""
    registers = -(-used.registers * 32 // REGISTERS_AT_ONCE) * REGISTERS_AT_ONCE
    shared = -(-used.shared_bytes // SHARED_AT_ONCE) * SHARED_AT_ONCE
    warps = threads // 32
    blocks = min(REGISTERS // (registers * warps), WARPS // warps, SHARED_BYTES // shared if shared else WARPS)
    return blocks * warps
