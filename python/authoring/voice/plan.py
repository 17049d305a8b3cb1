# SPDX-License-Identifier: Apache-2.0
"""What is trained, on what share of what, for how long: every choice of the recipe that is a number."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .batches import LOOK_AHEAD_STEPS
from .export import Tower, tower

FACE = ("jawOpen", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp", "mouthStretch", "mouthSmile",
        "tongueOut")  # fmt: skip
SEAL = ("mouthRollLower", "mouthRollUpper", "mouthPress", "closure", "voice")
WEIGHTS = {"jawOpen": 2.5, "closure": 5.0, "voice": 5.0}  # of the loss's terms, others 1
VELOCITY_WEIGHT, CLASS_WEIGHT = 1.2, 0.5  # of shapes' velocities, of naming phonemes
LEAST_SPREAD = 0.05  # of a channel: rarer ones must not outweigh the others
STEPS = 150  # of 20 ms in an example
WARM_UP, LAST_RATE = 30, 0.02  # optimiser steps; share of the rate that is left at the end
# Matrices of the layers are trained by Muon, at this many times the rate of AdamW, which trains all else: in 200 steps
# it hears what AdamW alone hears in 400. At 25 times it hears less.
MUON_RATE = 10.0
# Least squares flattens what it is unsure of: shapes are said with half to two thirds of their targets' spread. Each is
# drawn away from its mean by so much after training; correlations stay, and an "oo" looks like one.
LIVELIER = dict.fromkeys(FACE, 1.8) | {"jawOpen": 1.35}
# Tracked talkers open the jaw about half as far as the table of visemes asks, which lets lips be read.
SHARE = {"jawOpen": 0.7}
TUNE_STEPS, TUNE_BATCH, TUNE_COPIES, TUNE_RATE_SHARE = 120, 16, 10, 0.25  # batch: of each, corpus and take


@dataclass(frozen=True)
class Plan:
    tower: Tower
    steps: int = 4500
    batch: int = 20  # examples in a step
    other_share: float = 0.25  # of examples without speech
    rate: float = 2e-3
    look_ahead_steps: int = LOOK_AHEAD_STEPS


SHIPPED = Plan(tower((*FACE, *SEAL), width=96, heads=4, layers=4, window=48, taps=9, hidden=288))
# One that is only learned from may hear 160 ms of what follows: a live voice would be late by them.
TEACHER = replace(SHIPPED, look_ahead_steps=8)


@dataclass(frozen=True)
class Distil:
    """Of the tower that learns from several: each step costs their hearing too."""

    steps: int = 4000
    batch: int = 20
    other_share: float = 0.25
    rate: float = 1e-3
    start_share: float = 0.25  # of its first weights, in the mean that hears better than what was learned alone


DISTIL = Distil()


@dataclass(frozen=True)
class Follow:
    """Of a voice's adaptation. Chosen on the actor of FACEGOOD and on parts left out of recordings to adapt to."""

    steps: int = 100
    batch: int = 12
    rate: float = 8e-4
    copies: int = 6  # of the recording, each a little faster or slower
    jaw_weight: float = 5.0  # in the loss, others 1


FOLLOW = Follow()
