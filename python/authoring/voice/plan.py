# SPDX-License-Identifier: Apache-2.0
"""What is trained, on what share of what, for how long: every choice of the recipe that is a number."""

from __future__ import annotations

from dataclasses import dataclass

from .export import Tower, tower

# One tower is trained for thousands of steps and hears which phoneme it is: it says everything, and avatars listen to
# its features. The other, trained for a few hundred, hears mostly how loud speech is, and has a say in the jaw.
FACE = ("jawOpen", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp", "mouthStretch", "mouthSmile",
        "tongueOut")  # fmt: skip
SEAL = ("mouthRollLower", "mouthRollUpper", "mouthPress", "closure", "voice")
LOUDNESS_SHARE = {"jawOpen": 0.25}  # of what both say; the second tower keeps no other channel
PHONE_STEPS, LOUDNESS_STEPS = 4500, 240
FEATURES = "talksplat-voice-2"  # what the features of a voice trained so are called: each shipped training has a name
WEIGHTS = {"jawOpen": 2.5, "closure": 5.0, "voice": 5.0}  # of the loss's terms, others 1
VELOCITY_WEIGHT, CLASS_WEIGHT, PHONE_CLASS_WEIGHT = 1.2, 0.15, 0.5
LEAST_SPREAD = 0.05  # of a channel: rarer ones must not outweigh the others
STEPS = 150  # of 20 ms in an example
WARM_UP, LAST_RATE = 30, 0.05  # optimiser steps; share of the rate that is left at the end
# The loudness's tower runs on features this much louder than those it was trained on: it opens the mouth with them.
RUN_LOUDER_DB = 6.0
# Least squares flattens what it is unsure of: shapes are said with half to two thirds of their targets' spread. Each is
# drawn away from its mean by so much after training; correlations stay, and an "oo" looks like one.
LIVELIER = dict.fromkeys(FACE, 1.8) | {"jawOpen": 1.35}
# Tracked talkers open the jaw about half as far as the table of visemes asks, which lets lips be read.
SHARE = {"jawOpen": 0.7}
# Going on from a voice: batches that heads are fitted on first, and the rate of its phonemes' tower.
REFIT_DRAWS, GO_ON_RATE = 60, 1.2e-3
TUNE_STEPS, TUNE_BATCH, TUNE_COPIES, TUNE_RATE_SHARE = 120, 16, 10, 0.25  # batch: of each, synthetic and real


@dataclass(frozen=True)
class Plan:
    name: str
    tower: Tower
    steps: int
    batch: int  # examples in a step
    other_share: float  # of examples without speech
    louder_db: float  # what its features are raised by in training
    class_weight: float = CLASS_WEIGHT  # of naming phonemes
    rate: float = 2e-3


def plans(phone_steps: int, loudness_steps: int) -> list[Plan]:
    size = {"width": 96, "heads": 4, "layers": 3, "window": 48, "taps": 9, "hidden": 288}
    return [
        Plan("phones", tower((*FACE, *SEAL), **size), phone_steps, 20, 0.25, RUN_LOUDER_DB, PHONE_CLASS_WEIGHT),
        Plan("loudness", tower(FACE, **size), loudness_steps, 32, 0.12, 0.0),
    ]
