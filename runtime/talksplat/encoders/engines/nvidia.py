# SPDX-License-Identifier: Apache-2.0
"""What the engines on NVIDIA GPUs ask before they touch a library of NVIDIA's, some of which end the process where
there is no driver."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
from collections.abc import Iterable
from pathlib import Path

from ... import _core

# Speakers whose windows are run at once: by count (bench/encoders/by_count.py) eight of them are enough to keep any but
# the largest GPUs busy with products, where one waits for memory and launches.
TOGETHER = 8


def require_gpu() -> str:
    """The first GPU's name. Raises ImportError, which says why, where the driver shows none."""
    system = _core.system_info()
    if not system["gpus"]:
        why, _, _ = str(system["why_no_gpu"]).removeprefix("cuda: ").partition(". ")
        raise ImportError(f"it needs an NVIDIA GPU, and {why or 'the driver shows none'}")
    return str(system["gpus"][0]["name"])


def package_folders(name: str, *inside: str) -> list[Path]:
    """Folders of an installed package that exist; of a namespace package there may be several."""
    spec = importlib.util.find_spec(name)
    roots = (spec.submodule_search_locations if spec is not None else None) or ()
    return [folder for root in roots if (folder := Path(root, *inside)).is_dir()]


def preload(folders: Iterable[Path], *patterns: str) -> None:
    """Loads libraries that packages carry where the dynamic linker does not look; those that fail are missed later, by
    whoever needs them, with a message of its own."""
    for folder in folders:
        for pattern in patterns:
            for path in sorted(folder.glob(pattern)):
                with contextlib.suppress(OSError):
                    ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
