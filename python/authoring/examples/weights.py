# SPDX-License-Identifier: Apache-2.0
"""The files that training leaves beside this module: a network in 16-bit floats, and marks of the head's Gaussians."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save as serialize

from talksplat.errors import AvatarInvalid

from ..spec import Array

FOLDER = Path(__file__).with_name("weights")
MARK, NETWORK = "mark/", "network/"


@dataclass(frozen=True)
class Weights:
    """features: the name of those that they hear.  networks: name of a network → its state dict.  marks: name → [N]
    bool.  projection: see knowledge.py."""

    features: str
    networks: dict[str, dict[str, Array]]
    marks: dict[str, Array]
    projection: Array | None = None


def path_of(method: str, folder: Path = FOLDER) -> Path:
    return folder / f"{method}.safetensors"


def save(path: Path, weights: Weights, trained: dict[str, object]) -> None:
    """trained: how, for whoever looks into the file."""
    tensors = {
        f"{NETWORK}{name}/{key}": _stored(key, value)
        for name, state in weights.networks.items()
        for key, value in state.items()
    }
    tensors |= {f"{MARK}{name}": np.packbits(mark) for name, mark in weights.marks.items()}
    if weights.projection is not None:
        tensors["projection"] = weights.projection.astype(np.float16)
    path.parent.mkdir(exist_ok=True)
    # The library writes an array's memory as it lies, whatever its strides say.
    whole = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    about = {"features": weights.features, "trained": json.dumps(trained, sort_keys=True)}
    path.write_bytes(serialize(whole, metadata=about))


def load(path: Path, n_gaussians: int) -> Weights:
    """Raises AvatarInvalid where the file is not there or not whole, or is about another head."""
    try:
        with safe_open(path, framework="numpy") as file:
            tensors: dict[str, Array] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            features = file.metadata()["features"]
    except Exception as error:  # safetensors has errors of its own
        raise AvatarInvalid(f"{path}: cannot be read ({error}). Install talksplat again.") from error
    networks: dict[str, dict[str, Array]] = {}
    marks: dict[str, Array] = {}
    for name, value in tensors.items():
        if name.startswith(NETWORK):
            network, key = name.removeprefix(NETWORK).split("/", 1)
            networks.setdefault(network, {})[key] = value
        elif name.startswith(MARK):
            if len(value) != -(-n_gaussians // 8):
                raise AvatarInvalid(f"{path}: tensor {name} must have a bit for each of {n_gaussians} Gaussians.")
            marks[name.removeprefix(MARK)] = np.unpackbits(value, count=n_gaussians).astype(bool)
    projection = tensors.get("projection")
    return Weights(features, networks, marks, None if projection is None else projection.astype(np.float32))


def _stored(key: str, value: Array) -> Array:
    """In half the bytes, but for numbers that count things, and the box that all planes depend on."""
    return value.astype(np.float16) if value.dtype.kind == "f" and not key.endswith(".aabb") else value
