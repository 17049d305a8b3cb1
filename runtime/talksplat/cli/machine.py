# SPDX-License-Identifier: Apache-2.0
"""What this process runs on."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any


def cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith(("model name", "Model")):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cpu_count() -> int:
    """CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_words(machine: dict[str, Any]) -> str:
    """What drew, and on what machine; of what bench says of a machine."""
    cpu = f"{machine['cpu']}, {machine['threads']} of {machine['cpus']} CPUs"
    gpu = machine["device_name"]
    return f"{gpu} ({machine['device']}), {machine['isa']}; {cpu}" if gpu else f"{cpu}, {machine['isa']}"


def resident_bytes() -> int | None:
    """Memory of this process that is in RAM; on systems without /proc, its peak; None where neither is known."""
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def size_text(count: int | None) -> str:
    if count is None:
        return "unknown"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def stolen_s() -> float | None:
    """CPU seconds that other guests of this machine's host took from it so far, all CPUs; None where nothing tells."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            return int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def busy_s() -> float:
    """CPU seconds that this process has used, all its threads."""
    used = os.times()
    return used.user + used.system
