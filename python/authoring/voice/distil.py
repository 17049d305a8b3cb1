# SPDX-License-Identifier: Apache-2.0
"""One tower that says what several say on average.

Towers of different seeds hear alike but err apart, so that their mean errs less than each (G. Hinton, O. Vinyals and
J. Dean, "Distilling the knowledge in a neural network", 2015). And teachers may hear what a live tower may not: more of
what follows, and speech without what covers it (D. Lopez-Paz and others, "Unifying distillation and privileged
information", 2016).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError

from . import batches
from .corpus import Corpus
from .export import PROBABILITIES, SHAPES, Array, Manifest, Tower, check_manifest, check_tensors, read_voice
from .fold import tensors_of, tower_of
from .model import TowerNet
from .optimise import Report, face_loss, optimise, spreads
from .plan import LIVELIER, SHARE, SHIPPED, STEPS, TEACHER, Distil

Voice = tuple[Manifest, Mapping[str, Array]]
SPLIT = 0.02  # of the weights' deviation


@dataclass(frozen=True)
class Teacher:
    net: TowerNet
    later_steps: int  # that it hears beyond what the learner hears


def read_teachers(paths: Sequence[Path]) -> list[Voice]:
    """Raises OSError, or ValueError that names the file, unless all are voices that authoring.voice.train makes.

    The tower that learns begins as a copy of the first, which must hear no more than it; others may be TEACHERs.
    """
    voices: list[Voice] = []
    for path in paths:
        try:
            manifest, tensors = read_voice(path, TEACHER.look_ahead_steps)
        except (SafetensorError, ValueError) as error:
            raise ValueError(f"--teachers must be voices; {path} is none: {error}") from error
        hears_later = manifest["look_ahead_steps"] == TEACHER.look_ahead_steps
        if hears_later and not voices:
            raise ValueError("--teachers must begin with a voice that can be played: the new one begins as its copy; "
                             f"{path} was trained with --teacher: name another first")  # fmt: skip
        other = batches.heard_otherwise(
            {**manifest, "look_ahead_steps": batches.LOOK_AHEAD_STEPS} if hears_later else manifest
        )
        towers = manifest["towers"]
        hidden = towers[0]["hidden"]  # as wide as may be, see wider
        shape: Tower = {**SHIPPED.tower, "hidden": hidden}
        other += [] if towers == [shape] else [f"towers {towers} instead of {[shape]}"]
        if other:
            raise ValueError(f"--teachers must be voices that this version of authoring.voice.train made; {path} has "
                             f"{', '.join(other)}: train it again")  # fmt: skip
        voices.append((manifest, tensors))
    return voices


def wider(voice: Voice, rng: np.random.Generator) -> Voice:
    """The voice with feed-forward layers twice as wide, which says the same but for SPLIT and can learn more.

    Each unit becomes two of half its weight, a little apart, or both would learn the same for ever (T. Chen and others,
    "Net2Net: accelerating learning via knowledge transfer", 2016). Raises ValueError if no voice may be so wide.
    """
    manifest, tensors = voice
    shape = manifest["towers"][0]
    wide: Manifest = {**manifest, "towers": [{**shape, "hidden": 2 * shape["hidden"]}]}
    grown = dict(tensors)
    for i in range(shape["layers"]):
        up, down = (f"tower/0/layer/{i}/{part}" for part in ("up", "down"))
        weight = tensors[f"{up}/weight"]
        apart = (SPLIT * weight.std() * rng.normal(size=weight.shape)).astype(np.float32)
        grown[f"{up}/weight"] = np.concatenate([weight + apart, weight - apart])
        grown[f"{up}/bias"] = np.tile(tensors[f"{up}/bias"], 2)
        grown[f"{down}/weight"] = np.tile(tensors[f"{down}/weight"] / 2, 2)
    try:
        check_manifest(wide)
        check_tensors(wide, grown)
    except ValueError as error:
        raise ValueError(f"--wider: {error}") from error
    return wide, grown


def teachers_of(voices: Sequence[Voice]) -> list[Teacher]:
    return [Teacher(tower_of(*voice, 0), voice[0]["look_ahead_steps"] - batches.LOOK_AHEAD_STEPS) for voice in voices]


def taught(teachers: Sequence[Teacher], batch: batches.Batch, steps: int) -> batches.Batch:
    """The first `steps` steps of the batch, with what the teachers say of its uncovered sound on average for its face.

    A teacher that hears later says a step's face at a later step, which the batch must have.
    """
    channels = teachers[0].net.shape["channels"]
    chances = [i for i, c in enumerate(channels) if c in PROBABILITIES]
    mean = torch.zeros(())
    with torch.no_grad():
        for teacher in teachers:
            last = steps + teacher.later_steps
            said = teacher.net(torch.from_numpy(batch.uncovered[:, :last]))[0][:, teacher.later_steps :]
            said[..., chances] = torch.sigmoid(said[..., chances])
            mean = mean + said / len(teachers)
    face = dict(zip(channels, mean.numpy().transpose(2, 0, 1), strict=True))
    return batches.Batch(
        batch.features[:, :steps], batch.uncovered[:, :steps], np.stack([face[c] for c in SHAPES], -1),
        face["closure"], face["voice"], batch.label[:, :steps],
    )  # fmt: skip


def distil(voices: Sequence[Voice], data: Corpus, plan: Distil, rng: np.random.Generator, report: Report) -> TowerNet:
    """A copy of the first voice's tower that is trained to say what all of them say, and its mean with the copy.

    voices: of one tower each, which says all channels in the same order, trained by `train_tower`, then enlivened. Only
    the learner hears what covers speech.
    """
    teachers = teachers_of(voices)
    net = tower_of(*voices[0], 0)
    channels = net.shape["channels"]
    drawn = STEPS + max(teacher.later_steps for teacher in teachers)
    # Errors count as they did before the teachers were enlivened.
    spread = spreads(data) * torch.tensor([LIVELIER.get(c, 1.0) * SHARE.get(c, 1.0) for c in SHAPES])

    def next_loss() -> torch.Tensor:
        batch = taught(teachers, batches.draw(rng, data, plan.batch, drawn, plan.other_share), STEPS)
        raw, _ = net(torch.from_numpy(batch.features))
        return face_loss(raw, batch, channels, spread)

    optimise(net, next_loss, "distil", plan.steps, plan.rate, report)
    # M. Wortsman and others, "Robust fine-tuning of zero-shot models", 2022.
    (manifest, start), share = voices[0], plan.start_share
    mean = {name: share * start[name] + (1 - share) * end for name, end in tensors_of([net], np.float32).items()}
    return tower_of(manifest, mean, 0)
