# SPDX-License-Identifier: Apache-2.0
"""What a family of encoders hands to the one that writes its folder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass
class Parts:
    name: str
    family: str
    front: torch.nn.Module
    transformer: torch.nn.Module
    states: dict[str, np.ndarray]
    chunk: int
    left: int
    right: int
    front_width: int
    width: int
    hidden_layer: int
    samples: int
    lead: int
    centre: int
    order: str
    fps: float | None
