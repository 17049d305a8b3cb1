# SPDX-License-Identifier: Apache-2.0
"""An avatar file as plain arrays, read with the safetensors library: nothing of the code under test."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open


@dataclass(frozen=True)
class Tsplat:
    manifest: dict[str, Any]
    tensors: dict[str, np.ndarray]

    def get(self, name: str) -> np.ndarray | None:
        """The tensor as stored, or None."""
        return self.tensors.get(name)

    def f64(self, name: str) -> np.ndarray:
        return self.tensors[name].astype(np.float64)


def read(path: str | Path) -> Tsplat:
    with safe_open(path, framework="numpy") as file:
        manifest = json.loads(file.metadata()["talksplat"])
        return Tsplat(manifest, {name: file.get_tensor(name) for name in sorted(file.keys())})
