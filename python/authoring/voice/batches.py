# SPDX-License-Identifier: Apache-2.0
"""Training examples: cuts of the corpus, coloured, covered with noise, at all levels, as the network hears them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from . import augment
from .corpus import CLASSES, Corpus
from .export import Array, Feature, Leveller, Manifest, make_manifest
from .features import features_of_power
from .visemes import REST

LEVELLER: Leveller = {"start_db": -20.0, "floor_db": -45.0, "attack_s": 0.03, "release_db_per_s": 2.0}
FEATURE: Feature = {"offset_db": -26.0, "scale_db": 15.0, "clip_low": -3.0, "clip_high": 2.5}
LOOK_AHEAD_STEPS = 3
EARS = ("n_mels", "f_min_hz", "f_max_hz", "leveller", "feature", "look_ahead_steps")  # of a manifest
OTHER_GAIN_DB = (-10.0, 5.0)
SILENCE_DB = -100.0
WARM_SHARE, WARM_SPREAD_DB = 0.5, 3.0  # examples whose level has settled before they begin


def heard_otherwise(manifest: Manifest) -> list[str]:
    """What of a voice's manifest hands its network other features than this recipe: key, value, the recipe's value."""
    ours = make_manifest([], name="", leveller=LEVELLER, feature=FEATURE, look_ahead_steps=LOOK_AHEAD_STEPS)
    found, asked = cast(dict[str, object], manifest), cast(dict[str, object], ours)
    return [f"{key} {found[key]} instead of {asked[key]}" for key in EARS if found[key] != asked[key]]


@dataclass
class Batch:
    features: Array  # [batch,steps,2 n_mels] float32
    uncovered: Array  # the same without the sounds that cover speech
    shape: Array  # [batch,steps,len(SHAPES)] float32
    closure: Array  # [batch,steps] float32
    voice: Array  # [batch,steps] float32
    label: Array  # [batch,steps] int64


def draw(
    rng: np.random.Generator, corpus: Corpus, size: int, steps: int, other_share: float,
    noise_share: float = augment.NOISE_SHARE, look_ahead_steps: int = LOOK_AHEAD_STEPS,
) -> Batch:  # fmt: skip
    """`size` examples of `steps` steps, `other_share` of them without speech, `noise_share` of speech covered.

    What step k is asked for is the face `look_ahead_steps` steps before the end of its sound.
    """
    n_mels = corpus.mel_db.shape[1]
    db = np.full((size, 2 * steps, n_mels), SILENCE_DB, np.float32)
    shape = np.tile(np.array(REST.weights(), np.float32), (size, steps, 1))
    closure, voice = np.zeros((2, size, steps), np.float32)
    label = np.full((size, steps), CLASSES - 1, np.int64)
    is_speech = rng.random(size) >= other_share
    speech_db = np.zeros(size)
    late = look_ahead_steps
    for i in range(size):
        if not is_speech[i]:
            sound = int(rng.integers(len(corpus.other_start) - 1))
            _cut(db[i], corpus.other_db, corpus.other_start[sound : sound + 2], 0 if rng.random() < 0.5 else
                 int(rng.integers(0, 100)))  # fmt: skip
            continue
        clip = int(rng.integers(len(corpus.start) - 1))
        first, last = corpus.start[clip : clip + 2]
        speech_db[i] = corpus.speech_db[clip]
        slack = int(last - first) - steps
        at = int(rng.integers(min(0, slack), max(0, slack) + 1)) if slack > -20 else int(rng.integers(slack, 1))
        _cut(db[i], corpus.mel_db, (first, last), at)
        for out, source in ((shape[i], corpus.shape), (closure[i], corpus.closure), (voice[i], corpus.voice),
                            (label[i], corpus.label)):  # fmt: skip
            a, b = max(first, first + at - late), min(last, first + at - late + steps)
            out[a - (first + at - late) : b - (first + at - late)] = source[a:b]
    gain = np.where(is_speech, rng.uniform(*augment.GAIN_DB, size), rng.uniform(*OTHER_GAIN_DB, size))
    db += augment.equaliser(rng, size, n_mels)[:, None] + gain[:, None, None]
    power = 10 ** (db / 10)
    covered = power.copy()
    _cover(rng, covered, corpus, speech_db + gain, is_speech & (rng.random(size) < noise_share))
    start_db = np.full(size, LEVELLER["start_db"])
    warm = is_speech & (rng.random(size) < WARM_SHARE)
    settled = speech_db + gain + rng.normal(0, WARM_SPREAD_DB, size)
    start_db[warm] = np.maximum(settled[warm], LEVELLER["floor_db"])
    # Other sounds meet every state too: a level that speech left high, or that silence let fall.
    cold = ~is_speech & (rng.random(size) < 0.5)
    start_db[cold] = rng.uniform(LEVELLER["floor_db"], -10, int(cold.sum()))
    both = features_of_power(np.stack([covered, power]), LEVELLER, FEATURE, start_db)
    heard, uncovered = both.reshape(2, size, steps, -1)
    return Batch(heard, uncovered, shape, closure, voice, label)


def _cut(out: Array, source: Array, bounds: Array | tuple[int, int], at: int) -> None:
    """Mel columns from step `at` of the clip `bounds` into out; what lies outside of the clip is left alone."""
    first, last = 2 * int(bounds[0]), 2 * int(bounds[1])
    begin = first + 2 * at
    a, b = max(first, begin), min(last, begin + len(out))
    if b > a:
        out[a - begin : b - begin] = source[a:b]


def _cover(rng: np.random.Generator, power: Array, corpus: Corpus, speech_db: Array, chosen: Array) -> None:
    """Lay a steady sound under the chosen examples, in place."""
    columns = power.shape[1]
    length = corpus.cover_db.shape[1]
    for i in np.flatnonzero(chosen):
        sound = corpus.cover_db[int(rng.integers(len(corpus.cover_db)))]
        at = np.arange(columns) + int(rng.integers(length))
        level = speech_db[i] - rng.uniform(*augment.SNR_DB)
        power[i] += 10 ** ((sound[at % length].astype(np.float32) + level) / 10)
