# SPDX-License-Identifier: Apache-2.0
"""Fitting a student to the head's motion: first its ear, to the weights of lips and jaw, then all of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..methods.audio.module import encode_audio
from ..spec import Array
from . import recipes
from .students import Ear, Said, Student
from .teacher import Lesson, Modes

EAR_STEPS, EAR_BATCH, EAR_RATE = 8000, 256, 3e-3
FRAMES, ROWS = 32, 768  # of a step
RATE, EAR_SHARE, COARSE_SHARE = 3e-3, 0.1, 3.0  # Adam's, and what the ear and the tables have of it
WARM_UP = 50
# Squared millimetres that an error of one weighs: a quaternion's 0.1 turns a splat of 2 mm by 0.4 mm at its rim.
LEAP = 0.3
ROTATION_MM2, LOG_SCALE_MM2, LOGIT_MM2 = 16.0, 4.0, 0.1


@dataclass(frozen=True)
class Targets:
    """Of T frames: window [T,8,n] and units [T,6] as the student is asked, and what it should say."""

    window: Array
    units: Array
    lesson: Lesson
    logit: tuple[Array, Array] | None = None  # [T] times [N], of networks that change opacity


def train_ear(modules: Ear, window: Array, weights: Array, log: Callable[[str], None]) -> None:
    """The audio encoder alone, so that a linear map of its vector gives weights [T,n]."""
    ear, attention = modules
    moving = np.flatnonzero(weights.std(0) > 1e-3)
    x = torch.tensor(window, dtype=torch.float32)[..., None]
    y = torch.tensor(weights[:, moving], dtype=torch.float32)
    spread = y.std(0)
    with torch.no_grad():
        for layer in ear.encoder_conv:  # of features of one step, the outer taps never see anything
            if isinstance(layer, nn.Conv1d):
                layer.weight[..., 0] = layer.weight[..., 2] = 0
    out = nn.Linear(recipes.AUDIO.features, y.shape[1])
    parameters = [p for module in (ear, attention, out) for p in module.parameters()]
    optimiser = torch.optim.Adam(parameters, EAR_RATE)
    for step in range(EAR_STEPS):
        _set_rates(optimiser, [EAR_RATE], step, EAR_STEPS)
        pick = torch.randint(len(x), (EAR_BATCH,))
        loss = (((out(encode_audio(ear, attention, x[pick])) - y[pick]) / spread) ** 2).mean()
        _descend(optimiser, loss)
        if step % 1000 == 0 or step == EAR_STEPS - 1:
            log(f"ear, step {step}: {loss.item():.4f} of the variance unexplained")


def train(
    student: Student, targets: Targets, share: Array, scale: float, steps: int, seed: int,
    log: Callable[[str], None],
) -> None:  # fmt: skip
    """share [N]: how often each Gaussian is asked, 0 if it is another's; scale: of its world, units per metre."""
    rng = np.random.default_rng(seed)
    where = np.full(len(share), -1)
    where[targets.lesson.rows] = np.arange(len(targets.lesson.rows))
    asked = torch.tensor(share, dtype=torch.float64)
    mm = 1e3 / scale
    spread = np.sqrt(np.mean(targets.lesson.rotation.code**2, axis=0))
    turns = np.sqrt(((targets.lesson.rotation.mode * spread[:, None, None]) ** 2).sum((0, 2)))
    # Where triangles fold up, quaternions leap, and nobody sees it: those count little.
    steady = torch.tensor(1 / (1 + (turns / LEAP) ** 2), dtype=torch.float32)
    place = torch.tensor(where)
    window = torch.tensor(targets.window, dtype=torch.float32)[..., None]
    units = torch.tensor(targets.units, dtype=torch.float32)
    ask = {name: _Asked(getattr(targets.lesson, name)) for name in ("mean", "rotation", "log_scale")}
    logit = None if targets.logit is None else [torch.tensor(x, dtype=torch.float32) for x in targets.logit]

    ears = [p for module in student.audio for p in module.parameters()]
    coarse = student.coarse()
    taken = {id(p) for p in (*ears, *coarse)}
    rest = [p for p in student.parameters() if id(p) not in taken and p.requires_grad]
    rates = [RATE * EAR_SHARE, RATE * COARSE_SHARE, RATE]
    optimiser = torch.optim.Adam([{"params": p} for p in (ears, coarse, rest)], RATE)
    start = time.monotonic()
    for step in range(steps):
        _set_rates(optimiser, rates, step, steps)
        t = torch.randint(len(window), (FRAMES,))
        rows = torch.multinomial(asked, ROWS, replacement=True)
        said = student.say(rows, window[t], units[t], rng)
        at = place[rows]
        sure = torch.where(at >= 0, steady[at], 1.0)[None, :, None]
        losses: Said = {"mean": ((said["mean"] - ask["mean"].of(t, at) * scale) * mm) ** 2}
        if "rotation" in said:
            losses["rotation"] = (said["rotation"] - ask["rotation"].of(t, at)) ** 2 * sure * ROTATION_MM2
        if "log_scale" in said:
            losses["log_scale"] = (said["log_scale"] - ask["log_scale"].of(t, at)) ** 2 * LOG_SCALE_MM2
        if "logit" in said:
            wanted = 0.0 if logit is None else logit[0][t, None, None] * logit[1][rows][None, :, None]
            losses["logit"] = (said["logit"] - wanted) ** 2 * LOGIT_MM2
        terms = {name: value.sum(2).mean() for name, value in losses.items()}
        _descend(optimiser, torch.stack(list(terms.values())).sum())
        if step % 500 == 0 or step == steps - 1:
            text = ", ".join(f"{name} {value.item():.4f}" for name, value in terms.items())
            log(f"step {step}, {time.monotonic() - start:.0f} s: squared mm of {text}")


class _Asked:
    """Modes as tensors, and the numbers of some frames and Gaussians made from them."""

    def __init__(self, modes: Modes) -> None:
        self._code = torch.tensor(modes.code)
        still = torch.zeros_like(torch.tensor(modes.mode[:, :1]))
        self._mode = torch.cat([torch.tensor(modes.mode), still], dim=1)  # row -1: what never moves

    def of(self, frames: Tensor, rows: Tensor) -> Tensor:
        code, mode = self._code[frames], self._mode[:, rows]
        out: Tensor = (code @ mode.flatten(1)).unflatten(1, mode.shape[1:])
        return out


def _set_rates(optimiser: torch.optim.Optimizer, rates: list[float], step: int, steps: int) -> None:
    share = min(1.0, (step + 1) / WARM_UP) * (0.5 * (1 + math.cos(math.pi * step / steps)) + 0.003)
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        group["lr"] = rate * share


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
