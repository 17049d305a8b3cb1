# SPDX-License-Identifier: Apache-2.0
"""The training loop and its loss."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from . import batches
from .corpus import CLASSES, Corpus
from .export import SHAPES
from .model import TowerNet
from .plan import (
    CLASS_WEIGHT,
    LAST_RATE,
    LEAST_SPREAD,
    MUON_RATE,
    STEPS,
    TUNE_BATCH,
    VELOCITY_WEIGHT,
    WARM_UP,
    WEIGHTS,
    Plan,
)

Report = Callable[[str], None]


def spreads(data: Corpus) -> Tensor:
    """[len(SHAPES)]: standard deviations that errors are measured in."""
    return torch.from_numpy(np.maximum(data.shape.astype(np.float32).std(0), LEAST_SPREAD))


def shape_loss(
    raw: Tensor, batch: batches.Batch, channels: Sequence[str], only: Sequence[str], spread: Tensor
) -> Tensor:
    """Standardised squared error of the shapes in `only`, and of their velocities."""
    said, index = raw[..., [channels.index(c) for c in only]], [SHAPES.index(c) for c in only]
    true = torch.from_numpy(batch.shape)[..., index]
    weight = torch.tensor([WEIGHTS.get(c, 1.0) for c in only]) / spread[index] ** 2
    still = (weight * (said - true) ** 2).mean()
    return still + VELOCITY_WEIGHT * (weight * (said.diff(dim=1) - true.diff(dim=1)) ** 2).mean()


def face_loss(raw: Tensor, batch: batches.Batch, channels: Sequence[str], spread: Tensor) -> Tensor:
    """All of a tower's channels: shape_loss of its shapes, cross-entropy of its probabilities."""
    shapes = [c for c in channels if c in SHAPES]
    total = shape_loss(raw, batch, channels, shapes, spread) if shapes else torch.zeros(())
    for name, true in (("closure", batch.closure), ("voice", batch.voice)):
        if name in channels:
            said = raw[..., channels.index(name)]
            total = total + WEIGHTS[name] * functional.binary_cross_entropy_with_logits(said, torch.from_numpy(true))
    return total


def full_loss(raw: Tensor, classes: Tensor, batch: batches.Batch, channels: Sequence[str], spread: Tensor) -> Tensor:
    """All of a tower's channels, and the names of the phonemes."""
    named = functional.cross_entropy(classes.flatten(0, 1), torch.from_numpy(batch.label).flatten())
    return CLASS_WEIGHT * named + face_loss(raw, batch, channels, spread)


def optimisers(net: TowerNet, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for what reads sound, says faces, or is no matrix.

    Muon: K. Jordan and others, "Muon: an optimizer for hidden layers in neural networks" (2024).
    """
    linear = [part for layer in net.layers for part in layer.modules() if isinstance(part, torch.nn.Linear)]
    inner = [part.weight for part in linear]
    known = {id(weight) for weight in inner}
    rest = [parameter for parameter in net.parameters() if id(parameter) not in known]
    return [torch.optim.Muon(inner, MUON_RATE * rate, weight_decay=0.01, momentum=0.95),
            torch.optim.AdamW(rest, rate, betas=(0.9, 0.98), weight_decay=0.01)]  # fmt: skip


def optimise(
    net: TowerNet, next_loss: Callable[[], Tensor], name: str, steps: int, rate: float, report: Report
) -> None:
    """`steps` steps on the losses that next_loss draws; a short warm-up, then a cosine."""

    def share(step: int) -> float:
        warm = min(1.0, (step + 1) / WARM_UP)
        return warm * (LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * step / steps)) / 2)

    used = optimisers(net, rate)
    schedules = [torch.optim.lr_scheduler.LambdaLR(optimiser, share) for optimiser in used]
    began, recent = time.monotonic(), 0.0
    net.train()
    for step in range(steps):
        loss = next_loss()
        net.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for optimiser in used:
            optimiser.step()
        for schedule in schedules:
            schedule.step()
        recent = loss.item() if step == 0 else 0.98 * recent + 0.02 * loss.item()
        if (step + 1) % 50 == 0:
            report(f"{name}: step {step + 1} of {steps}, loss {recent:.3f}, {time.monotonic() - began:.0f} s")
    net.eval()


def train_tower(plan: Plan, data: Corpus, rng: np.random.Generator, report: Report) -> TowerNet:
    """Train a tower from scratch."""
    channels = plan.tower["channels"]
    net, spread = TowerNet(plan.tower, data.mel_db.shape[1], CLASSES), spreads(data)
    mean = data.shape.astype(np.float32).mean(0)
    with torch.no_grad():
        net.head.weight *= 0.1  # begins near the mean face
        for i, channel in enumerate(channels):
            net.head.bias[i] = float(mean[SHAPES.index(channel)]) if channel in SHAPES else 0.0

    def next_loss() -> Tensor:
        batch = batches.draw(rng, data, plan.batch, STEPS, plan.other_share, look_ahead_steps=plan.look_ahead_steps)
        raw, classes = net(torch.from_numpy(batch.features))
        return full_loss(raw, classes, batch, channels, spread)

    optimise(net, next_loss, "voice", plan.steps, plan.rate, report)
    return net


def fine_tune(
    net: TowerNet, data: Corpus, take: Corpus, mapped: Sequence[str], rng: np.random.Generator, steps: int, rate: float,
    report: Report,
) -> None:  # fmt: skip
    """Go on training a tower, half on the corpus and half on an actor's take, of which only `mapped` channels count."""
    channels, spread = net.shape["channels"], spreads(data)
    only = [c for c in mapped if c in channels]

    def next_loss() -> Tensor:
        batch = batches.draw(rng, data, TUNE_BATCH, STEPS, 0.12)
        raw, classes = net(torch.from_numpy(batch.features))
        real = batches.draw(rng, take, TUNE_BATCH, STEPS, 0.0)
        heard, _ = net(torch.from_numpy(real.features))
        return full_loss(raw, classes, batch, channels, spread) + shape_loss(heard, real, channels, only, spread)

    optimise(net, next_loss, "fine-tune", steps, rate, report)


@torch.no_grad()
def enliven(net: TowerNet, gains: Mapping[str, float], shares: Mapping[str, float], data: Corpus) -> None:
    """In the head's weights: draw each channel of `gains` away from its mean in speech, then take a share of it."""
    mean = data.shape[data.voice > 0.5].astype(np.float32).mean(0)
    for i, channel in enumerate(net.shape["channels"]):
        if channel in gains:
            gain, share, middle = gains[channel], shares.get(channel, 1.0), float(mean[SHAPES.index(channel)])
            net.head.weight[i] *= share * gain
            net.head.bias[i] = share * (middle + gain * (net.head.bias[i] - middle))
