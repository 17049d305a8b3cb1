# SPDX-License-Identifier: Apache-2.0
"""The corpus: hours of speech as band powers with the face that belongs to it, and other sounds.

Everything follows from a seed, the installed eSpeak NG and the takes that are handed in. Band powers are kept in dB as
16-bit floats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from . import augment, negatives, texts
from .espeak import Espeak
from .export import HOP, RATE_HZ, Array
from .features import decibels, mel_filters, mel_power
from .speech import Speech
from .timing import loudness, segments
from .visemes import GROUPS, Segment, group, targets

STEP_S = 2 * HOP / RATE_HZ
PAUSE_S = (0.05, 0.8)  # silence before and after an utterance
PEAK = 0.7
NEGATIVE_S = 5.0
SPEECH_DB_PERCENTILE = 90  # of the mel columns' loudness: what signal-to-noise ratios refer to
CLASSES = GROUPS + 1  # the last one: pause


@dataclass
class Corpus:
    """Clips one after another: mel columns at 100 Hz, steps at 50 Hz (two columns each)."""

    mel_db: Array  # [columns,n_mels] float16, peak of the sound at PEAK
    shape: Array  # [steps,len(SHAPES)] float16
    closure: Array  # [steps] float16
    voice: Array  # [steps] float16; of a recording: how much a step counts
    label: Array  # [steps] uint8, the phoneme's group
    start: Array  # [clips+1] int64, in steps
    speech_db: Array  # [clips] float32
    other_db: Array  # [columns,n_mels] float16: sounds that are not speech, as they are
    other_start: Array  # [sounds+1] int64, in steps
    cover_db: Array  # [sounds,columns,n_mels] float16: steady ones of RMS 1, to lay over speech

    def save(self, path: Path) -> None:
        np.savez(path, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Corpus:
        with np.load(path) as file:
            return cls(**{f.name: file[f.name] for f in fields(cls)})


def labels(t_s: Array, spans: list[Segment]) -> Array:
    """[len(t_s)] uint8: group of the phoneme at each time."""
    out = np.full(len(t_s), GROUPS, np.uint8)
    for s in spans:
        out[(t_s >= s.start_s) & (t_s < s.end_s)] = group(s.letter) if s.letter else GROUPS
    return out


@dataclass
class Clip:
    mel_db: Array
    shape: Array
    closure: Array
    voice: Array
    label: Array
    speech_db: float


def make_clip(rng: np.random.Generator, speech: Speech) -> Clip | None:
    """An utterance moved through a random speaker, room and line; None if nothing was said."""
    if len(speech.samples) < speech.rate_hz // 4 or np.abs(speech.samples).max() < 1e-3:
        return None
    spans = segments(speech)
    loud = loudness(speech, spans)
    speed = rng.uniform(*augment.SPEED)
    band = (200.0, 3600.0) if rng.random() < augment.TELEPHONE_SHARE else None
    x = augment.resample(speech.samples, speech.rate_hz, RATE_HZ * speed, band)
    before, after = rng.uniform(*PAUSE_S, 2)
    x = np.pad(x, (round(before * RATE_HZ), round(after * RATE_HZ)))
    if rng.random() < augment.ROOM_SHARE:
        x = augment.room(rng, x, RATE_HZ)
    x *= PEAK / np.abs(x).max()
    steps = int(np.ceil(len(x) / (2 * HOP)))
    filters = mel_filters(warp=round(float(rng.uniform(*augment.WARP)), 3))
    power = mel_power(x, 2 * steps, filters)
    column_db = decibels(power.mean(1))
    # Step k reads sound up to 20 (k + 1) ms; the look-ahead is applied when examples are drawn.
    t_s = (STEP_S * np.arange(1, steps + 1) - round(before * RATE_HZ) / RATE_HZ) / speed
    shape, closure, voice = targets(t_s, spans, loud)
    return Clip(decibels(power), shape, closure, voice, labels(t_s, spans),
                float(np.percentile(column_db, SPEECH_DB_PERCENTILE)))  # fmt: skip


def said_by_espeak(rng: np.random.Generator) -> Speech:
    u = texts.draw(rng)
    return Espeak.shared().speak(u.text, u.voice, rate=u.rate, pitch=u.pitch, pitch_range=u.pitch_range)


def build(
    seed: int, hours: float = 3.0, other_hours: float = 1.5, covers: int = 240, takes: Sequence[Speech] = (),
    take_share: float = 0.7,
) -> Corpus:  # fmt: skip
    """Make a corpus: `hours` of speech, `other_hours` of other sounds, and `covers` sounds to lay over speech.

    takes: other speech, synthesised or recorded; `take_share` of the utterances are drawn of it, each anew transformed.
    """
    rng = np.random.default_rng([seed, 0])
    clips: list[Clip] = []
    steps = 0
    while steps * STEP_S < hours * 3600:
        taken = len(takes) > 0 and rng.random() < take_share
        speech = takes[int(rng.integers(len(takes)))] if taken else said_by_espeak(rng)
        clip = make_clip(rng, speech)
        if clip is not None:
            clips.append(clip)
            steps += len(clip.voice)
    lengths = [len(c.voice) for c in clips]
    return replace(
        without_speech(rng, other_hours, covers),
        mel_db=np.concatenate([c.mel_db for c in clips]).astype(np.float16),
        shape=np.concatenate([c.shape for c in clips]).astype(np.float16),
        closure=np.concatenate([c.closure for c in clips]).astype(np.float16),
        voice=np.concatenate([c.voice for c in clips]).astype(np.float16),
        label=np.concatenate([c.label for c in clips]),
        start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        speech_db=np.array([c.speech_db for c in clips], np.float32),
    )


def without_speech(rng: np.random.Generator, other_hours: float, covers: int) -> Corpus:
    """A corpus of other sounds alone, or of nothing."""
    n = int(NEGATIVE_S * RATE_HZ)
    filters = mel_filters()
    columns = 2 * round(NEGATIVE_S / STEP_S)
    sounds = round(other_hours * 3600 / NEGATIVE_S)
    other = [decibels(mel_power(negatives.draw(rng, n), columns, filters)) for _ in range(sounds)]
    cover = []
    for _ in range(covers):
        x = negatives.draw(rng, n, steady=True)
        cover.append(decibels(mel_power(x / np.sqrt(np.mean(x**2) + 1e-12), columns, filters)))
    none = np.zeros(0, np.float16)
    return Corpus(
        none, none, none, none, none, np.zeros(1, np.int64), none,
        other_db=np.concatenate([np.zeros((0, len(filters))), *other]).astype(np.float16),
        other_start=(np.arange(sounds + 1) * (columns // 2)).astype(np.int64),
        cover_db=np.reshape(cover, (covers, columns, len(filters))).astype(np.float16),
    )  # fmt: skip


def of_recording(
    rng: np.random.Generator, samples: Array, face: Callable[[Array], tuple[Array, Array]], copies: int,
    disguise: augment.Disguise, base: Corpus,
) -> Corpus:  # fmt: skip
    """`copies` of a recording ([n], 16 kHz), each disguised; base: other sounds.

    face: seconds of the recording [steps] -> shapes [steps,len(SHAPES)], and how much a step counts [steps], which the
    corpus has as `voice`.
    """
    mels, shapes, weights, levels, starts = [], [], [], [], [0]
    for _ in range(copies):
        speed = rng.uniform(*disguise.speed)
        x = augment.resample(samples, RATE_HZ, RATE_HZ * speed)
        if rng.random() < disguise.room_share:
            x = augment.room(rng, x, RATE_HZ)
        x *= PEAK / np.abs(x).max()
        steps = len(x) // (2 * HOP)
        power = mel_power(x, 2 * steps, mel_filters(warp=round(float(rng.uniform(*disguise.warp)), 3)))
        shape, weight = face(STEP_S * np.arange(1, steps + 1) / speed)
        mels.append(decibels(power))
        shapes.append(shape)
        weights.append(weight)
        levels.append(float(np.percentile(decibels(power.mean(1)), SPEECH_DB_PERCENTILE)))
        starts.append(starts[-1] + steps)
    return replace(
        base, mel_db=np.concatenate(mels).astype(np.float16), shape=np.concatenate(shapes).astype(np.float16),
        closure=np.zeros(starts[-1], np.float16), voice=np.concatenate(weights).astype(np.float16),
        label=np.full(starts[-1], CLASSES - 1, np.uint8), start=np.array(starts, np.int64),
        speech_db=np.array(levels, np.float32),
    )  # fmt: skip
