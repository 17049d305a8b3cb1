# SPDX-License-Identifier: Apache-2.0
"""The actor's take as a small corpus, for the optional fine-tune: its training part, in many versions."""

from __future__ import annotations

import numpy as np

from .augment import AS_ANYBODY
from .corpus import Corpus, of_recording
from .export import RATE_HZ, SHAPES, Array
from .facegood import FPS, RIG_NAMES, TEST_S, Take

MAPPED = tuple(RIG_NAMES)


def take_corpus(take: Take, corpus: Corpus, rng: np.random.Generator, copies: int) -> Corpus:
    """`copies` variations of the take without its last 15 s; each curve has the corpus's mean and spread.

    Other sounds and covers are the corpus's.
    """
    length_s = len(take.curves["jawOpen"]) / FPS - TEST_S
    mean, spread = corpus.shape.astype(np.float32).mean(0), corpus.shape.astype(np.float32).std(0)

    def face(t_s: Array) -> tuple[Array, Array]:
        shape = np.tile(mean, (len(t_s), 1))
        for channel in MAPPED:
            curve = take.curves[channel][: int(length_s * FPS)]
            c = SHAPES.index(channel)
            scaled = mean[c] + (curve - curve.mean()) / (curve.std() + 1e-6) * spread[c]
            shape[:, c] = np.interp(t_s, np.arange(len(curve)) / FPS, np.clip(scaled, 0, 1))
        return shape, np.ones(len(t_s))

    return of_recording(rng, take.samples[: int(length_s * RATE_HZ)], face, copies, AS_ANYBODY, corpus)
