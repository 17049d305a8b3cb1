# SPDX-License-Identifier: Apache-2.0
"""Where and of what a measurement was made."""

import os
import platform
import subprocess
from typing import Any

import talksplat
from shared_data import ROOT
from talksplat import _core
from talksplat.cli.machine import cpu_count, cpu_model


def commit() -> str:
    """Short hash, with + where files differ from it; "unknown" outside a repository."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + (
            "+" if git("status", "--porcelain", "--untracked-files=no") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> dict[str, Any]:
    return {
        "cpu": cpu_model(),
        "cpus": cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "isa": _core.Engine(1).isa,
        "talksplat": talksplat.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }
