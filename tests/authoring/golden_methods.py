# SPDX-License-Identifier: Apache-2.0
"""The golden cases of the methods whose Gaussians a network moves (shared/golden)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

Arrays = dict[str, np.ndarray]
TALKER = ("a_layer1_default", "b_layer2_smallgrid")
FUSED = ("a_deepspeech", "b_hubert")


class Case(NamedTuple):
    io: Arrays
    weights: Arrays


def case(shared_dir: Path, method: str, name: str) -> Case:
    folder = shared_dir / "golden" / method
    return Case(*(dict(np.load(folder / f"{name}_{kind}.npz")) for kind in ("io", "weights")))


def part(weights: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def states(fused: Case) -> list[Arrays]:
    """The state dicts of a TalkingGaussian's face and mouth."""
    return [part(fused.weights, branch) for branch in ("face.", "mouth.")]
