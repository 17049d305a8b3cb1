# SPDX-License-Identifier: Apache-2.0
"""The actor's take as a small corpus, for the optional fine-tune: its training part, in many versions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import augment
from .corpus import CLASSES, PEAK, SPEECH_DB_PERCENTILE, STEP_S, Corpus
from .export import HOP, RATE_HZ, SHAPES
from .facegood import FPS, RIG_NAMES, TEST_S, Take
from .features import decibels, mel_filters, mel_power

MAPPED = tuple(RIG_NAMES)


def take_corpus(take: Take, corpus: Corpus, rng: np.random.Generator, copies: int) -> Corpus:
    """`copies` variations of the take without its last 15 s; each curve has the corpus's mean and spread.

    Other sounds and covers are the corpus's.
    """
    length_s = len(take.curves["jawOpen"]) / FPS - TEST_S
    mean, spread = corpus.shape.astype(np.float32).mean(0), corpus.shape.astype(np.float32).std(0)
    mels, shapes, levels, starts = [], [], [], [0]
    for _ in range(copies):
        speed = rng.uniform(*augment.SPEED)
        x = augment.resample(take.samples[: int(length_s * RATE_HZ)], RATE_HZ, RATE_HZ * speed)
        if rng.random() < augment.ROOM_SHARE:
            x = augment.room(rng, x, RATE_HZ)
        x *= PEAK / np.abs(x).max()
        steps = len(x) // (2 * HOP)
        power = mel_power(x, 2 * steps, mel_filters(warp=round(float(rng.uniform(*augment.WARP)), 3)))
        t_s = STEP_S * np.arange(1, steps + 1) / speed
        shape = np.tile(mean, (steps, 1))
        for channel in MAPPED:
            curve = take.curves[channel][: int(length_s * FPS)]
            c = SHAPES.index(channel)
            scaled = mean[c] + (curve - curve.mean()) / (curve.std() + 1e-6) * spread[c]
            shape[:, c] = np.interp(t_s, np.arange(len(curve)) / FPS, np.clip(scaled, 0, 1))
        mels.append(decibels(power))
        shapes.append(shape)
        levels.append(float(np.percentile(decibels(power.mean(1)), SPEECH_DB_PERCENTILE)))
        starts.append(starts[-1] + steps)
    n = starts[-1]
    return replace(
        corpus, mel_db=np.concatenate(mels).astype(np.float16), shape=np.concatenate(shapes).astype(np.float16),
        closure=np.zeros(n, np.float16), voice=np.ones(n, np.float16), label=np.full(n, CLASSES - 1, np.uint8),
        start=np.array(starts, np.int64), speech_db=np.array(levels, np.float32),
    )  # fmt: skip
