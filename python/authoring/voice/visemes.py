# SPDX-License-Identifier: Apache-2.0
"""Phonemes in, mouth shapes out: a table of visemes, coarticulation by dominance, and lips that close on p, b and m.

Coarticulation after Cohen and Massaro, "Modeling coarticulation in synthetic visual speech" (1993): every phoneme pulls
the mouth towards its shape with a strength that fades with distance in time.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .export import SHAPES, Array

# Strengths: how much a phoneme insists on its jaw, and on its lips.
CORE = 0.6  # of a phoneme's half length: full strength up to there
FADE_POWER = 1.2
JAW_TAU_S = (0.075, 0.085)  # before the phoneme, after it
LIP_TAU_S = (0.085, 0.095)
GATE_S = (0.035, 0.045)  # how long lips take to close before a hold and to open after it
SEALED_JAW = 0.06
BRIDGED_PAUSE_S = 0.2  # a shorter pause between words is still speech
RESTING_PAUSE_S = 0.3  # a shorter pause pulls the mouth to rest in proportion


@dataclass(frozen=True)
class Viseme:
    """A mouth's shape, ARKit weights in 0..1, with strengths. Left out: 0."""

    jaw: float
    jaw_strength: float = 1.0
    lip_strength: float = 0.7
    funnel: float = 0.0
    pucker: float = 0.0
    lower: float = 0.0  # mouthLowerDown: lower teeth show
    upper: float = 0.0  # mouthUpperUp
    roll_lower: float = 0.0
    roll_upper: float = 0.0
    press: float = 0.0
    stretch: float = 0.0
    smile: float = 0.0
    tongue: float = 0.0
    sealed: bool = False
    vowel: bool = False

    def weights(self) -> tuple[float, ...]:
        """In the order of SHAPES."""
        return (self.jaw, self.funnel, self.pucker, self.lower, self.upper, self.roll_lower, self.roll_upper,
                self.press, self.stretch, self.smile, self.tongue)  # fmt: skip


REST = Viseme(0.02, 0.9, 0.9)
OPEN = Viseme(0.66, lower=0.36, upper=0.2, vowel=True)
FRONT_OPEN = Viseme(0.6, lower=0.38, upper=0.22, stretch=0.12, smile=0.1, vowel=True)
BACK_OPEN = Viseme(0.58, lip_strength=0.9, funnel=0.2, pucker=0.1, lower=0.25, upper=0.15, vowel=True)
MID_FRONT = Viseme(0.46, lower=0.32, upper=0.18, stretch=0.18, smile=0.15, vowel=True)
MID = Viseme(0.42, lower=0.28, upper=0.15, vowel=True)
MID_ROUND = Viseme(0.42, 0.9, 1.2, funnel=0.42, pucker=0.42, lower=0.14, upper=0.12, vowel=True)
SCHWA = Viseme(0.3, 0.7, 0.5, lower=0.22, upper=0.12, vowel=True)
CLOSE = Viseme(0.24, 0.8, lower=0.28, upper=0.16, stretch=0.26, smile=0.24, vowel=True)
CLOSE_LAX = Viseme(0.3, 0.8, lower=0.27, upper=0.15, stretch=0.18, smile=0.16, vowel=True)
CLOSE_ROUND = Viseme(0.2, 0.8, 1.3, funnel=0.42, pucker=0.8, lower=0.06, upper=0.05, vowel=True)
CLOSE_BACK = Viseme(0.24, 0.7, 0.6, lower=0.2, upper=0.1, vowel=True)  # unrounded
SEALED = Viseme(SEALED_JAW, 1.4, 1.0, roll_lower=0.25, roll_upper=0.22, press=0.35, sealed=True)
BITE = Viseme(0.09, 1.2, 1.6, roll_lower=0.42, upper=0.15)
TEETH = Viseme(0.15, 0.6, 0.7, lower=0.25, upper=0.14, tongue=0.3)
TIP = Viseme(0.2, 0.45, 0.25, lower=0.22, upper=0.1)
SIDE = Viseme(0.17, 0.45, 0.25, lower=0.24, upper=0.1)
BACK = Viseme(0.22, 0.3, 0.15, lower=0.2, upper=0.1)
HISS = Viseme(0.16, 0.9, 0.6, lower=0.26, upper=0.15, stretch=0.16, smile=0.1)
HUSH = Viseme(0.17, 0.9, 1.2, funnel=0.5, pucker=0.25, lower=0.18, upper=0.18)
R_LIKE = Viseme(0.15, 0.6, 0.9, funnel=0.3, pucker=0.35, lower=0.16, upper=0.1)
TRILL = Viseme(0.22, 0.4, 0.2, lower=0.22, upper=0.1)
GLIDE_ROUND = Viseme(0.12, 1.0, 1.5, funnel=0.4, pucker=0.75, lower=0.04, upper=0.04)
GLIDE_FRONT = Viseme(0.2, 0.6, 0.4, lower=0.24, upper=0.14, stretch=0.2, smile=0.18)
BREATH = Viseme(0.25, 0.12, 0.1, lower=0.2, upper=0.1)

_GROUPS: tuple[tuple[str, Viseme], ...] = (
    ("aɐɑä", OPEN), ("æ", FRONT_OPEN), ("ɒ", BACK_OPEN), ("ɛεeɘ", MID_FRONT), ("ʌɜɝɞ", MID),
    ("oɔøœɤɶ", MID_ROUND), ("əɚᵻ", SCHWA), ("i", CLOSE), ("ɪ", CLOSE_LAX), ("uʊyʏʉɵ", CLOSE_ROUND), ("ɨɯ", CLOSE_BACK),
    ("pbmɓɱʙ", SEALED), ("fvʋⱱɸβ", BITE), ("θð", TEETH), ("tdnɗʈɖɳɲɟcɕʑȵ", TIP), ("lɫɭʎɬɮ", SIDE),
    ("kɡgŋqɠɢɴ", BACK), ("sz", HISS), ("ʃʒʂʐ", HUSH), ("ɹɻ", R_LIKE), ("rɾɽʀʁ", TRILL), ("wʍɥ", GLIDE_ROUND),
    ("jʝç", GLIDE_FRONT), ("hɦxɣχħʕʔʜʢ", BREATH),
)  # fmt: skip
TABLE: dict[str, Viseme] = {letter: viseme for letters, viseme in _GROUPS for letter in letters}
GROUPS = len(_GROUPS)
_GROUP_OF = {letter: i for i, (letters, _) in enumerate(_GROUPS) for letter in letters}
STOPS = frozenset("pbtdkɡgʈɖcɟqɢɓɗɠ")
SILENT_STOPS = frozenset("ptkʈcq")  # the event is at the burst: the hold is the silence before


def group(letter: str) -> int:
    """Which of the GROUPS sets of like-looking phonemes a letter of TABLE is in."""
    return _GROUP_OF[letter]


def letters(name: str) -> tuple[str, ...]:
    """The base letters of a phoneme's IPA name: without stress, length, ties, marks, and "(en)" language switches."""
    if name.startswith("("):
        return ()
    plain = unicodedata.normalize("NFD", name).replace("c\u0327", "ç")  # the one letter among them that NFD takes apart
    return tuple(c for c in plain if c in TABLE)


@dataclass(frozen=True)
class Segment:
    start_s: float
    end_s: float
    letter: str  # of TABLE; empty: a pause

    @property
    def viseme(self) -> Viseme:
        return TABLE[self.letter] if self.letter else REST


def split(name: str, start_s: float, end_s: float) -> list[Segment]:
    """One phoneme's span as segments: diphthongs 55/45, affricates 30/70, other clusters evenly; marks alone: none."""
    found = letters(name)
    if not found:
        return [] if name.strip("_ :;|\u0303\u02d0\u02c8\u02cc") else [Segment(start_s, end_s, "")]
    shares = [1 / len(found)] * len(found)
    if len(found) == 2:
        first = TABLE[found[0]]
        if first.vowel and TABLE[found[1]].vowel:
            shares = [0.55, 0.45]
        elif found[0] in STOPS and not TABLE[found[1]].vowel:
            shares = [0.3, 0.7]
    edges = start_s + (end_s - start_s) * np.concatenate([[0.0], np.cumsum(shares)])
    return [Segment(float(a), float(b), x) for a, b, x in zip(edges, edges[1:], found, strict=False)]


def dominance(t_s: Array, segments: Sequence[Segment], tau_s: tuple[float, float]) -> Array:
    """[len(t_s), len(segments)] in 0..1: 1 inside a segment's core, fading before and after it."""
    start = np.array([s.start_s for s in segments])
    end = np.array([s.end_s for s in segments])
    offset = t_s[:, None] - (start + end) / 2
    beyond = np.maximum(0.0, np.abs(offset) - CORE * (end - start) / 2)
    tau = np.where(offset < 0, tau_s[0], tau_s[1])
    return np.asarray(np.exp(-((beyond / tau) ** FADE_POWER)))


def seal(t_s: Array, segments: Sequence[Segment]) -> Array:
    """[len(t_s)] in 0..1: lips sealed, 1 during the holds of p, b and m, with straight ramps beside them."""
    out = np.zeros(len(t_s))
    for s in segments:
        if s.viseme.sealed:
            closing = (t_s - (s.start_s - GATE_S[0])) / GATE_S[0]
            opening = (s.end_s + GATE_S[1] / 2 - t_s) / GATE_S[1]  # centred on the end of the hold
            out = np.maximum(out, np.clip(np.minimum(closing, opening), 0.0, 1.0))
    return out


def speaking(t_s: Array, segments: Sequence[Segment]) -> Array:
    """[len(t_s)] 0 or 1: inside speech, short pauses included."""
    out = np.zeros(len(t_s))
    for i, s in enumerate(segments):
        bridged = not s.letter and 0 < i < len(segments) - 1 and s.end_s - s.start_s < BRIDGED_PAUSE_S
        if s.letter or bridged:
            out[(t_s >= s.start_s) & (t_s < s.end_s)] = 1.0
    return out


def targets(t_s: Array, segments: Sequence[Segment], loudness: Array | None = None) -> tuple[Array, Array, Array]:
    """What a face does at times t_s.

    segments: by time, pauses included; loudness: [len(segments)] in -1..1, how loud each one is for its speaker.
    Returns shapes [n,len(SHAPES)] in 0..1, closure [n] and voice [n].
    """
    if not segments:
        return np.zeros((len(t_s), len(SHAPES))), np.zeros(len(t_s)), np.zeros(len(t_s))
    visemes = [s.viseme for s in segments]
    insists = np.array([1.0 if s.letter else min(1.0, (s.end_s - s.start_s) / RESTING_PAUSE_S) for s in segments])
    # Rolled and pressed lips come with the seal alone: blended, they would linger over the neighbouring vowels.
    shape = np.array([replace(v, roll_lower=0, roll_upper=0, press=0).weights() if v.sealed else v.weights()
                      for v in visemes])  # fmt: skip
    if loudness is not None:
        vowel = np.array([v.vowel for v in visemes])
        shape[:, 0] *= np.where(vowel, 1 + 0.35 * loudness, 1.0)
    jaw = dominance(t_s, segments, JAW_TAU_S) * np.array([v.jaw_strength for v in visemes]) * insists
    lips = dominance(t_s, segments, LIP_TAU_S) * np.array([v.lip_strength for v in visemes]) * insists
    # Far from everything (a long pause is one segment, so only in gaps between segments) the mouth rests.
    jaw = np.concatenate([jaw, np.full((len(t_s), 1), 1e-3)], 1)
    lips = np.concatenate([lips, np.full((len(t_s), 1), 1e-3)], 1)
    shape = np.concatenate([shape, np.array([REST.weights()])])
    out = (lips @ shape) / lips.sum(1, keepdims=True)
    out[:, 0] = (jaw @ shape[:, 0]) / jaw.sum(1)
    closed = seal(t_s, segments)
    sealed = np.array(SEALED.weights())
    out = out + closed[:, None] * (sealed - out)
    return np.clip(out, 0.0, 1.0), closed, speaking(t_s, segments)
