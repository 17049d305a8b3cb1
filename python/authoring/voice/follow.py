# SPDX-License-Identifier: Apache-2.0
"""A tower trained on, from where it is, to follow one person's curves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from . import batches
from .augment import AS_ONESELF
from .corpus import of_recording, without_speech
from .export import SHAPES, Array, Manifest
from .fold import tower_of
from .model import TowerNet
from .optimise import Report, optimise
from .plan import FOLLOW, STEPS, VELOCITY_WEIGHT


def follow(
    manifest: Manifest, tensors: Mapping[str, Array], samples: Array, fps: float, curves: Mapping[str, Array],
    share: Array, report: Report,
) -> TowerNet:  # fmt: skip
    """A copy of the voice's first tower that says `curves` of the recording, frame k at k / fps.

    samples: [n] 16 kHz. share: [frames] how much a frame counts, 0..1. The voice's sound is the recipe's (batches.py).
    """
    rng = np.random.default_rng(7)
    columns = {SHAPES.index(c): curve for c, curve in curves.items()}
    last = len(share) - 1

    def face(t_s: Array) -> tuple[Array, Array]:
        frame = t_s * fps
        shape = np.zeros((len(t_s), len(SHAPES)))
        for column, curve in columns.items():
            shape[:, column] = np.interp(frame, np.arange(last + 1), curve)
        before, after = (np.clip(edge(frame), 0, last).astype(int) for edge in (np.floor, np.ceil))
        return shape, np.where(frame <= last, np.minimum(share[before], share[after]), 0.0)

    take = of_recording(rng, samples, face, FOLLOW.copies, AS_ONESELF, without_speech(rng, 0.0, 0))
    net = tower_of(manifest, tensors, 0)
    rows, shown = [net.shape["channels"].index(c) for c in curves], list(columns)
    used = take.voice > 0.5
    spread = torch.from_numpy(np.maximum(take.shape[used][:, shown].astype(np.float32).std(0), 1e-3))
    weight = torch.tensor([FOLLOW.jaw_weight if c == "jawOpen" else 1.0 for c in curves])

    def next_loss() -> Tensor:
        batch = batches.draw(rng, take, FOLLOW.batch, STEPS, other_share=0.0, noise_share=0.0)
        raw, _ = net(torch.from_numpy(batch.features))
        error = (raw[..., rows] - torch.from_numpy(batch.shape[..., shown])) / spread
        error = error * torch.from_numpy(batch.voice)[..., None]
        smooth = (error[:, :-2] + 2 * error[:, 1:-1] + error[:, 2:]) / 4  # nearly as drive smooths what is said
        loss: Tensor = (weight * smooth**2).mean() + VELOCITY_WEIGHT * (weight * smooth.diff(dim=1) ** 2).mean()
        return loss

    optimise(net, next_loss, "follow", FOLLOW.steps, FOLLOW.rate, report)
    return net
