# SPDX-License-Identifier: Apache-2.0
"""Which engine runs an encoder here, and in which precision: the first that makes the golden features, and a cheaper
graph where it is faster on this machine and its features are near enough."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._arrays import FloatArray
from .._files import whole_file
from .._text import shown
from ..errors import EncoderInvalid, EncoderRefused
from .engines import ENGINES, Engine, Graph, GraphError, GraphSpec, installed, open_engine
from .folder import FRONT, EncoderFolder, cache_folder

AUTO = "auto"
# Of the golden values' own size: what is another order of the same sums stays far below it.
MAX_ERROR = 1e-3
# Of the golden features' deviation over time, for precisions below float32: a tenth of what cutting sound into windows
# changes, which is about a whole deviation.
MAX_SHARE = 0.1
RUNS = 5  # of a hop, of which the median counts


@dataclass(frozen=True)
class EngineInfo:
    """What runs an encoder. precision: of the transformer; the front is float32.  hop_ms: what a hop takes, measured
    when it was loaded.  error: RMS of its features from the golden ones, of their deviation over time."""

    name: str
    version: str
    precision: str
    threads: int
    hop_ms: float
    error: float


@dataclass(frozen=True)
class Loaded:
    front: Graph
    transformer: Graph
    info: EngineInfo


def load_graphs(folder: EncoderFolder, engine: Any, precision: Any, threads: int) -> Loaded:
    """Raises ValueError for arguments, EncoderInvalid for a folder that no engine could use, else EncoderRefused."""
    if engine != AUTO and engine not in ENGINES:
        raise ValueError(f"load_encoder: engine must be {AUTO} or one of {', '.join(ENGINES)}; got {shown(engine)}.")
    if precision != AUTO and precision not in folder.graphs:
        raise ValueError(
            f"load_encoder: precision must be {AUTO} or one of {', '.join(folder.graphs)}, which {folder.path} has; "
            f"got {shown(precision)}."
        )
    golden, state = folder.golden(), folder.state()[0]
    reasons = []
    for name in ENGINES if engine == AUTO else (engine,):
        if not installed(name):
            reasons.append(f"{name} is not installed (pip install {ENGINES[name]})")
            continue
        try:
            opened = open_engine(name, threads)
        except (ImportError, OSError, RuntimeError) as error:  # another machine's wheel, libraries that are missing
            reasons.append(f"{name} cannot be used here ({error})")
            continue
        try:
            return _Trial(folder, opened, golden, state).load(precision)
        except EncoderInvalid:
            if engine != AUTO:
                raise
            raise
        except EncoderRefused as error:
            reasons.append(str(error))
    raise EncoderRefused(f"{folder.path}: no engine runs this encoder: {'; '.join(reasons)}.")


class _Trial:
    """One engine with one folder."""

    def __init__(
        self, folder: EncoderFolder, engine: Engine, golden: dict[str, FloatArray], state: dict[str, FloatArray]
    ) -> None:
        self._folder = folder
        self._engine = engine
        self._golden = golden
        self._state = state
