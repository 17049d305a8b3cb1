# SPDX-License-Identifier: Apache-2.0
"""One tower that says what several say on average.

Towers of different seeds hear alike but err apart, so that their mean errs less than each (G. Hinton, O. Vinyals and
J. Dean, "Distilling the knowledge in a neural network", 2015).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError

from . import batches
from .corpus import Corpus
from .export import PROBABILITIES, SHAPES, Array, Manifest, read_voice
from .fold import tower_of
from .model import TowerNet
from .optimise import Report, face_loss, optimise, spreads
from .plan import LIVELIER, SHARE, SHIPPED, STEPS, Distil

Voice = tuple[Manifest, Mapping[str, Array]]


def read_teachers(paths: Sequence[Path]) -> list[Voice]:
    """Raises OSError, or ValueError that names the file, unless all are voices that authoring.voice.train makes."""
    voices: list[Voice] = []
    for path in paths:
        try:
            manifest, tensors = read_voice(path)
        except (SafetensorError, ValueError) as error:
            raise ValueError(f"--teachers must be voices; {path} is none: {error}") from error
        towers = manifest["towers"]
        other = batches.heard_otherwise(manifest)
        other += [] if towers == [SHIPPED.tower] else [f"towers {towers} instead of {[SHIPPED.tower]}"]
        if other:
            raise ValueError(f"--teachers must be voices that this version of authoring.voice.train made; {path} has "
                             f"{', '.join(other)}: train it again")  # fmt: skip
        voices.append((manifest, tensors))
    return voices


def taught(teachers: Sequence[TowerNet], batch: batches.Batch) -> batches.Batch:
    """The batch, with what the teachers say of it on average for its face."""
    channels = teachers[0].shape["channels"]
    chances = [i for i, c in enumerate(channels) if c in PROBABILITIES]
    mean = torch.zeros(())
    with torch.no_grad():
        for teacher in teachers:
            said, _ = teacher(torch.from_numpy(batch.features))
            said[..., chances] = torch.sigmoid(said[..., chances])
            mean = mean + said / len(teachers)
    face = dict(zip(channels, mean.numpy().transpose(2, 0, 1), strict=True))
    shape = np.stack([face[c] for c in SHAPES], -1)
    return replace(batch, shape=shape, closure=face["closure"], voice=face["voice"])


def distil(voices: Sequence[Voice], data: Corpus, plan: Distil, rng: np.random.Generator, report: Report) -> TowerNet:
    """A copy of the first voice's tower that is trained to say what all of them say.

    voices: of one tower each, which says all channels in the same order, trained by `train_tower`, then enlivened.
    """
    teachers = [tower_of(manifest, tensors, 0) for manifest, tensors in voices]
    net = tower_of(*voices[0], 0)
    channels = net.shape["channels"]
    # Errors count as they did before the teachers were enlivened.
    spread = spreads(data) * torch.tensor([LIVELIER.get(c, 1.0) * SHARE.get(c, 1.0) for c in SHAPES])

    def next_loss() -> torch.Tensor:
        batch = taught(teachers, batches.draw(rng, data, plan.batch, STEPS, plan.other_share))
        raw, _ = net(torch.from_numpy(batch.features))
        return face_loss(raw, batch, channels, spread)

    optimise(net, next_loss, "distil", plan.steps, plan.rate, report)
    return net
