# SPDX-License-Identifier: Apache-2.0
"""What the networks learn from: sentences of eSpeak NG, as the built-in voice's features and the face that it makes."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

import talksplat
from talksplat.arkit import ARKIT_NAMES
from talksplat.speech import builtin_voice

from ..spec import Array
from ..voice import texts
from ..voice.espeak import Espeak
from ..voice.export import FEATURES
from .head import INDEX, face_of

FPS = 25.0
BEFORE, AFTER = 4, 3  # frames of a window: GaussianTalker's and TalkingGaussian's
TRAINING_SENTENCES, TESTED_SENTENCES = 300, 24
SILENCE_S = 0.5  # before and after each, at least
PEAKS = (0.2, 0.9)
# The voice's brows, lids and gaze are chance; the networks have inputs of their own for brows and lids.
GAP = ("jawOpen", "mouthClose", "mouthLowerDownLeft", "mouthUpperUpLeft")
LIPS = tuple(name for name in ARKIT_NAMES if name.startswith(("jaw", "mouth", "tongue")))
WIDE_OPEN = face_of({"jawOpen": 0.5, "mouthPucker": 0.4})


@dataclass(frozen=True)
class Takes:
    """Frames of all sentences, one after another.

    features: their name.  window: [T,8,n] float32 of them.  face: [T,52] float32 ARKit weights, zero but for LIPS.
    """

    features: str
    window: Array
    face: Array


def builtin_features() -> str:
    """The name of what the built-in voice knows of sound."""
    return str(json.loads(builtin_voice().manifest).get("features", FEATURES))


def windows(features: Array) -> Array:
    """[T,n] features → [T,8,n]: the frames from BEFORE before to AFTER after each, zeros beyond the ends."""
    padded = np.pad(np.asarray(features, np.float32), ((BEFORE, AFTER), (0, 0)))
    return np.stack([padded[k : k + len(features)] for k in range(BEFORE + 1 + AFTER)], axis=1)


def takes_of(sentences: list[texts.Utterance], seed: int) -> Takes:
    """What the voice hears when eSpeak NG says sentences, with silences and at levels drawn from seed."""
    rng = np.random.default_rng(seed)
    found = [_heard(sentence, rng) for sentence in sentences]
    window, face = (np.concatenate([getattr(take, part) for take in found]) for part in ("window", "face"))
    return Takes(builtin_features(), window, face)


def training(seed: int = 0) -> Takes:
    rng = np.random.default_rng(seed)
    return takes_of([texts.draw(rng) for _ in range(TRAINING_SENTENCES)], seed)


def tested() -> Takes:
    """Languages and speakers that neither the voice nor the networks were trained on."""
    all_of_them = texts.held_out()
    step = max(1, len(all_of_them) // TESTED_SENTENCES)
    return takes_of(all_of_them[::step][:TESTED_SENTENCES], 1)


def lip_gap(face: Array) -> Array:
    """[T,52] weights → [T]: how far the lips are apart, 0 where they touch; about 0.6 for an "ah"."""
    jaw, shut, low, up = (face[:, INDEX[name]] for name in GAP)
    out: Array = np.maximum(0, jaw - shut) + 0.4 * low + 0.3 * up
    return out


def _heard(sentence: texts.Utterance, rng: np.random.Generator) -> Takes:
    said = Espeak.shared().speak(
        sentence.text, sentence.voice, rate=sentence.rate, pitch=sentence.pitch, pitch_range=sentence.pitch_range
    )
    level = rng.uniform(*PEAKS) / max(float(np.abs(said.samples).max()), 1e-6)
    quiet = [round((SILENCE_S + rng.uniform(0, 0.5)) * said.rate_hz) for _ in range(2)]
    sound = np.pad(said.samples * np.float32(level), quiet).astype(np.float32)
    heard = talksplat.motion(sound, FPS, sample_rate=said.rate_hz, head=0, blink=0)
    face = np.where(np.isin(heard.names, LIPS), heard.weights, 0).astype(np.float32)
    return Takes(builtin_features(), windows(heard.features), face)
