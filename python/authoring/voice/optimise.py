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
from .export import PROBABILITIES, SHAPES
from .model import TowerNet
from .plan import (
    CLASS_WEIGHT,
    GO_ON_RATE,
    LAST_RATE,
    LEAST_SPREAD,
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


def full_loss(
    raw: Tensor, classes: Tensor, batch: batches.Batch, channels: Sequence[str], spread: Tensor, class_weight: float
) -> Tensor:
    """All of a tower's channels, and the names of the phonemes."""
    total = class_weight * functional.cross_entropy(classes.flatten(0, 1), torch.from_numpy(batch.label).flatten())
    shapes = [c for c in channels if c in SHAPES]
    if shapes:
        total = total + shape_loss(raw, batch, channels, shapes, spread)
    for name, true in (("closure", batch.closure), ("voice", batch.voice)):
        if name in channels:
            said = raw[..., channels.index(name)]
            total = total + WEIGHTS[name] * functional.binary_cross_entropy_with_logits(said, torch.from_numpy(true))
    return total


def optimise(
    net: TowerNet, next_loss: Callable[[], Tensor], name: str, steps: int, rate: float, report: Report
) -> None:
    """`steps` steps of AdamW on the losses that next_loss draws; a short warm-up, then a cosine."""
    optimiser = torch.optim.AdamW(net.parameters(), rate, betas=(0.9, 0.98), weight_decay=0.01)

    def share(step: int) -> float:
        warm = min(1.0, (step + 1) / WARM_UP)
        return warm * (LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * step / steps)) / 2)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, share)
    began, recent = time.monotonic(), 0.0
    net.train()
    for step in range(steps):
        loss = next_loss()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        recent = loss.item() if step == 0 else 0.98 * recent + 0.02 * loss.item()
        if (step + 1) % 50 == 0:
            report(f"{name}: step {step + 1} of {steps}, loss {recent:.3f}, {time.monotonic() - began:.0f} s")
    net.eval()


def train_tower(
    plan: Plan, data: Corpus, rng: np.random.Generator, report: Report, net: TowerNet | None = None
) -> TowerNet:
    """Train one tower from scratch, or go on with `net`, which then learns to name phonemes anew."""
    channels = plan.tower["channels"]
    if net is None:
        net = TowerNet(plan.tower, data.mel_db.shape[1], CLASSES)
        mean = data.shape.astype(np.float32).mean(0)
        with torch.no_grad():
            net.head.weight *= 0.1  # begins near the mean face
            for i, channel in enumerate(channels):
                net.head.bias[i] = float(mean[SHAPES.index(channel)]) if channel in SHAPES else 0.0
        rate = plan.rate
    else:
        net.classes = torch.nn.Linear(net.head.in_features, CLASSES)
        rate = GO_ON_RATE
    trained, spread = net, spreads(data)

    def next_loss() -> Tensor:
        batch = batches.draw(rng, data, plan.batch, STEPS, plan.other_share, plan.louder_db)
        raw, classes = trained(torch.from_numpy(batch.features))
        return full_loss(raw, classes, batch, channels, spread, plan.class_weight)

    optimise(trained, next_loss, plan.name, plan.steps, rate, report)
    return trained


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
        return full_loss(raw, classes, batch, channels, spread, CLASS_WEIGHT) + shape_loss(
            heard, real, channels, only, spread
        )

    optimise(net, next_loss, "fine-tune", steps, rate, report)


@torch.no_grad()
def refit_head(net: TowerNet, data: Corpus, rng: np.random.Generator, plan: Plan, draws: int) -> None:
    """Give a tower's head the shapes of this corpus and leave the rest, so that its features stay what they are.

    Least squares over `draws` batches, with a ridge that only keeps them solvable.
    """
    width = net.head.in_features
    rows = [i for i, c in enumerate(net.shape["channels"]) if c in SHAPES]
    channels = [SHAPES.index(net.shape["channels"][i]) for i in rows]
    square, product = (
        torch.zeros(width + 1, width + 1, dtype=torch.float64),
        torch.zeros(width + 1, len(channels), dtype=torch.float64),
    )
    for _ in range(draws):
        batch = batches.draw(rng, data, plan.batch, STEPS, plan.other_share, plan.louder_db)
        h = net.hidden(torch.from_numpy(batch.features)).flatten(0, 1).double()
        h = torch.cat([h, torch.ones(len(h), 1, dtype=torch.float64)], 1)
        square += h.T @ h
        product += h.T @ torch.from_numpy(batch.shape[..., channels]).flatten(0, 1).double()
    square += 1e-6 * square.trace() / len(square) * torch.eye(len(square), dtype=torch.float64)
    solved = torch.linalg.solve(square, product).T.float()
    net.head.weight[rows] = solved[:, :-1]
    net.head.bias[rows] = solved[:, -1]


@torch.no_grad()
def say(net: TowerNet, channels: Sequence[str]) -> None:
    """Give a tower's head these channels: rows that it has stay, others are zeros."""
    old, known = net.head, net.shape["channels"]
    net.head = torch.nn.Linear(old.in_features, len(channels))
    for i, channel in enumerate(channels):
        have = channel in known
        net.head.weight[i] = old.weight[known.index(channel)] if have else 0.0
        net.head.bias[i] = old.bias[known.index(channel)] if have else 0.0
    net.shape = {**net.shape, "channels": list(channels), "sigmoid": [c for c in channels if c in PROBABILITIES]}


@torch.no_grad()
def share_out(phones: TowerNet, loudness: TowerNet, shares: Mapping[str, float]) -> None:
    """In the heads' weights: one tower says its share of these channels and nothing else, the other the rest.

    What several towers say of a channel is added.
    """
    say(loudness, tuple(shares))
    for net, rest in ((loudness, False), (phones, True)):
        for channel, share in shares.items():
            row = net.shape["channels"].index(channel)
            net.head.weight[row] *= 1 - share if rest else share
            net.head.bias[row] *= 1 - share if rest else share


@torch.no_grad()
def enliven(net: TowerNet, gains: Mapping[str, float], shares: Mapping[str, float], data: Corpus) -> None:
    """In the head's weights: draw each channel of `gains` away from its mean in speech, then take a share of it."""
    mean = data.shape[data.voice > 0.5].astype(np.float32).mean(0)
    for i, channel in enumerate(net.shape["channels"]):
        if channel in gains:
            gain, share, middle = gains[channel], shares.get(channel, 1.0), float(mean[SHAPES.index(channel)])
            net.head.weight[i] *= share * gain
            net.head.bias[i] = share * (middle + gain * (net.head.bias[i] - middle))
