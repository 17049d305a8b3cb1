# SPDX-License-Identifier: Apache-2.0
"""Encoders of speech by each engine on this machine: those that talksplat's cache has, or one that is made up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from talksplat.encoders.encoder import load_encoder
from talksplat.encoders.engines import ENGINES
from talksplat.encoders.folder import cache_folder, read_folder
from talksplat.encoders.select import prepare
from talksplat.errors import TalksplatError


def measure() -> dict[str, dict[str, dict[str, Any]]]:
    """By encoder and engine: version, precision, hop_ms, hop_of_sound_ms, error (of the golden features' deviation),
    batch and batch_ms (the transformer of so many speakers at once, 1 where they take turns) and turns (why), or
    "missing", why it does not run there. In every precision that it has, the fastest."""
    kept = cache_folder() / "encoders"
    folders = sorted(path for path in kept.iterdir() if path.is_dir()) if kept.is_dir() else []
    if folders:
        return {folder.name: by_engine(folder, ENGINES) for folder in folders}
    try:
        from runtime.encoder_folders import write_folder
    except ImportError as error:
        return {
            "none": {name: {"missing": f"no encoder is exported, and none can be made up: {error}"} for name in ENGINES}
        }
    with tempfile.TemporaryDirectory() as place:
        # What is remembered of it says nothing to anybody.
        before = os.environ.get("TALKSPLAT_CACHE")
        os.environ["TALKSPLAT_CACHE"] = place
        try:
            return {"made up, tiny": by_engine(write_folder(Path(place) / "tiny", fp16=True), ENGINES)}
        finally:
            os.environ.pop("TALKSPLAT_CACHE")
            if before is not None:
                os.environ["TALKSPLAT_CACHE"] = before


def by_engine(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        try:
            if ENGINES[name].on_gpu:  # else the CPU would serve while plans are made
                graphs = read_folder(folder)
                prepare(graphs, name, "fp16" if "fp16" in graphs.graphs else "fp32", several=True)
            with load_encoder(folder, name) as encoder:
                engine = encoder.engine
                found[name] = {
                    "version": engine.version, "precision": engine.precision, "hop_ms": engine.hop_ms,
                    "hop_of_sound_ms": 1e3 * encoder.hop_s, "error": engine.error, "batch": engine.batch,
                    "batch_ms": engine.batch_ms, "turns": engine.turns,
                }  # fmt: skip
        except TalksplatError as error:
            found[name] = {"missing": str(error)}
    return found
