# SPDX-License-Identifier: Apache-2.0
"""One tower that says what several say on average.

Towers of different seeds hear alike but err apart, so that their mean errs less than each (G. Hinton, O. Vinyals and
J. Dean, "Distilling the knowledge in a neural network", 2015), and no seed has to be chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from . import batches
from .corpus import Corpus
from .export import PROBABILITIES, SHAPES, Array, Manifest, read_voice
from .fold import tower_of
from .model import TowerNet
from .optimise import Report, face_loss, optimise, spreads
from .plan import LIVELIER, SHARE, SHIPPED, STEPS, Distil

Voice = tuple[Manifest, Mapping[str, Array]]


def read_teachers(paths: Sequence[Path]) -> list[Voice]:
    """Raises ValueError unless they are all voices of this recipe: of one tower like the shipped one, with its ears."""
    voices: list[Voice] = [read_voice(path) for path in paths]
    for path, (manifest, _) in zip(paths, voices, strict=True):
        if manifest["towers"] != [SHIPPED.tower] or batches.heard_otherwise(manifest):
            raise ValueError(f"a teacher must be a voice that authoring.voice.train made by this recipe; {path} has "
                             f"towers {manifest['towers']}, {batches.heard_otherwise(manifest)}")  # fmt: skip
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

    voices: of one tower each, which says all channels, trained by `train_tower` and livelier afterwards.
    """
    teachers = [tower_of(manifest, tensors, 0) for manifest, tensors in voices]
    net = tower_of(*voices[0], 0)
    channels = net.shape["channels"]
    spread = spreads(data) * torch.tensor([LIVELIER.get(c, 1.0) * SHARE.get(c, 1.0) for c in SHAPES])

    def next_loss() -> torch.Tensor:
        batch = taught(teachers, batches.draw(rng, data, plan.batch, STEPS, plan.other_share))
        raw, _ = net(torch.from_numpy(batch.features))
        return face_loss(raw, batch, channels, spread)

    optimise(net, next_loss, "distil", plan.steps, plan.rate, report)
    return net
