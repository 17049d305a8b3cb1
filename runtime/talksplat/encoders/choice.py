# SPDX-License-Identifier: Apache-2.0
"""Which engine and precision were the fastest for an encoder on this machine, kept in the cache: to find it out takes
all of them into memory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .. import _core
from .._files import whole_file
from .engines import Engine
from .engines.engine_cache import make_private
from .folder import EncoderFolder, cache_folder

SUFFIX = ".choice.json"
MAX_BYTES = 1 << 16


class Chosen(NamedTuple):
    """engine, precision: the fastest.  hop_ms: what a hop took by it.  encoder: of which folder, for people."""

    engine: str
    precision: str
    hop_ms: float
    encoder: str


class Choice:
    """Between these engines in these precisions, for a folder's graphs."""

    def __init__(self, folder: EncoderFolder, engines: Sequence[Engine], precision: str) -> None:
        self._path = place() / f"{place_name(folder, engines, precision)}{SUFFIX}"
        self._encoder = folder.path.name

    def read(self) -> Chosen | None:
        return _read(self._path)

    def write(self, engine: str, precision: str, hop_ms: float) -> None:
        # A cache that cannot be written to is one that costs some seconds at every start.
        with contextlib.suppress(OSError):
            make_private(self._path.parent)
            with whole_file(self._path) as file:
                file.write(json.dumps(Chosen(engine, precision, hop_ms, self._encoder)._asdict()).encode())


def remembered() -> list[Chosen]:
    """All that the cache has, by encoder."""
    try:
        paths = sorted(place().glob(f"*{SUFFIX}"))
    except OSError:
        return []
    return sorted(chosen for path in paths if (chosen := _read(path)) is not None)


def _read(path: Path) -> Chosen | None:
    try:
        with open(path, "rb") as file:
            found: Any = json.loads(file.read(MAX_BYTES))
        engine, precision, encoder = (str(found[name]) for name in ("engine", "precision", "encoder"))
        return Chosen(engine, precision, float(found["hop_ms"]), encoder)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def place() -> Path:
    """Where the cache keeps what is known of engines."""
    return cache_folder() / "engines"


def place_name(folder: EncoderFolder, engines: Sequence[Engine], what: str) -> str:
    """For a file about these engines, a folder's graphs, and this machine as it is now."""
    tried = [[engine.name, engine.version, engine.threads, sorted(engine.precisions.items())] for engine in engines]
    hashes = sorted(folder.files[file][1] for file in folder.graphs.values())
    key = json.dumps([hashes, tried, what, _cpu(), os.cpu_count(), _gpus()])
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _cpu() -> str:
    """The CPU's model and its instructions, which a virtual machine may hide, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first, _, _ = file.read().partition("\n\n")
        told = [line for line in first.splitlines() if line.startswith(("model name", "flags", "Features"))]
        return "\n".join(told) or platform.machine()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"


def _gpus() -> list[list[Any]]:
    system = _core.system_info()
    return [[gpu["name"], gpu["capability"], gpu["bytes"], system["driver_version"]] for gpu in system["gpus"]]
