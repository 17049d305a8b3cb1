# SPDX-License-Identifier: Apache-2.0
"""Do lips close where they should? Recall of p, b, m and precision of closed lips, on speech whose phones are known.

A hold is found if the lips are closed (gap < 0.05) at some time within 60 ms of it. A run of closed lips is right if it
touches a hold widened by 60 ms; runs that touch a pause, where lips rest, are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from . import texts
from .augment import resample
from .espeak import Espeak
from .export import RATE_HZ, Array
from .speech import Speech
from .timing import segments
from .visemes import Segment

CLOSED_GAP, TOLERANCE_S = 0.05, 0.06
PEAK, LEAD_S = 0.35, 0.3  # of the sound, and silence before and after it
STEP_HZ = 50.0
# 16 kHz samples and frames per second to curves by ARKit name; a pair of sides also as its mean, without the side.
Faces = Callable[[Array, float], dict[str, Array]]
Span = tuple[float, float]  # first and last second


@dataclass(frozen=True)
class Spoken:
    """Sound in which it is known where lips are closed."""

    name: str
    group: str  # what it is listed under: a language, a voice, a recording
    samples: Array  # [n] float32, 16 kHz mono
    holds: tuple[Span, ...]  # lips must close here
    closed: tuple[Span, ...]  # lips may be closed here: the holds, and on video whatever else was seen closed
    pauses: tuple[Span, ...]


@dataclass(frozen=True)
class Counts:
    found: int = 0
    holds: int = 0
    right: int = 0
    runs: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.found + other.found, self.holds + other.holds, self.right + other.right,
                      self.runs + other.runs)  # fmt: skip

    @property
    def recall(self) -> float:
        return self.found / max(1, self.holds)

    @property
    def precision(self) -> float:
        return self.right / max(1, self.runs)


def lip_gap(face: Mapping[str, Array]) -> Array:
    """How far the lips are apart, by weights; closed below CLOSED_GAP."""
    open_lips = np.maximum(0.0, face["jawOpen"] - face["mouthClose"])
    return np.asarray(open_lips + 0.4 * face["mouthLowerDown"] + 0.3 * face["mouthUpperUp"])


def runs(closed: Array) -> list[tuple[int, int]]:
    """First and last index of every stretch of True."""
    edge = np.flatnonzero(np.diff(np.concatenate([[False], closed, [False]]).astype(int)))
    return [(int(a), int(b) - 1) for a, b in zip(edge[::2], edge[1::2], strict=True)]


def judge(faces: Faces, clip: Spoken, snr_db: float | None = None, seed: int = 0, fps: float = STEP_HZ) -> Counts:
    """One clip's holds and closed runs; snr_db: white noise that much below the sound, drawn from the seed."""
    x = np.pad(clip.samples * (PEAK / np.abs(clip.samples).max()), round(LEAD_S * RATE_HZ))
    if snr_db is not None:
        noise = np.random.default_rng(seed).normal(size=len(x)).astype(np.float32)
        x = x + noise * np.float32(np.sqrt(np.mean(x**2)) * 10 ** (-snr_db / 20))
    closed = lip_gap(faces(x, fps)) < CLOSED_GAP
    t_s = np.arange(len(closed)) / fps - LEAD_S
    pauses = (*clip.pauses, (-np.inf, 0.0), (len(clip.samples) / RATE_HZ, np.inf))

    def touches(run: tuple[int, int], spans: Sequence[Span]) -> bool:
        return any(t_s[run[0]] <= last and t_s[run[1]] >= first for first, last in spans)

    def wide(spans: Sequence[Span]) -> list[Span]:
        return [(first - TOLERANCE_S, last + TOLERANCE_S) for first, last in spans]

    found = [bool(closed[(t_s >= first) & (t_s <= last)].any()) for first, last in wide(clip.holds)]
    right = [touches(run, wide(clip.closed)) for run in runs(closed) if not touches(run, pauses)]
    return Counts(sum(found), len(found), sum(right), len(right))


def spoken(name: str, group: str, samples: Array, spans: Sequence[Segment]) -> Spoken:
    """A clip whose phones are known: lips are closed on p, b and m and nowhere else."""
    holds = tuple((s.start_s, s.end_s) for s in spans if s.viseme.sealed)
    pauses = [(s.start_s, s.end_s) for s in spans if not s.letter]
    pauses += [(-np.inf, spans[0].start_s), (spans[-1].end_s, np.inf)]
    return Spoken(name, group, samples, holds, holds, tuple(pauses))


def of_speech(name: str, group: str, speech: Speech) -> Spoken:
    return spoken(name, group, resample(speech.samples, speech.rate_hz, RATE_HZ), segments(speech))


def of_espeak(said: Sequence[texts.Utterance] | None = None) -> list[Spoken]:
    """Utterances by eSpeak NG; without `said` those of the held-out voices."""
    return [
        of_speech(f"{u.voice} {i}", u.voice.partition("+")[0],
                  Espeak.shared().speak(u.text, u.voice, rate=u.rate, pitch=u.pitch, pitch_range=u.pitch_range))
        for i, u in enumerate(texts.held_out() if said is None else said)
    ]  # fmt: skip
