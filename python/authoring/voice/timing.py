# SPDX-License-Identifier: Apache-2.0
"""From a synthesiser's phoneme events to segments that say when the mouth does what, and how loudly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .export import Array
from .speech import Speech
from .visemes import SILENT_STOPS, Segment, split

BLOCK_S = 0.005
DROP_DB = 18.0  # below the loudest of the 0.2 s before a burst: the stop's silence
LEAST_HOLD_S, MOST_HOLD_S, INITIAL_HOLD_S = 0.03, 0.09, 0.06
BURST_S = 0.01
SHORT_PAUSE_S = 0.06  # a shorter one is a mark inside a word, not a pause
LOUDNESS_RANGE_DB = 12.0
QUIET_DB, LEAST_LAST_S = 35.0, 0.06  # below the loudest is silence; of a phoneme before a pause


def block_levels(samples: Array, rate_hz: int) -> Array:
    """Level of each 5 ms, dB."""
    block = round(BLOCK_S * rate_hz)
    n = len(samples) // block
    power = np.mean(samples[: n * block].reshape(n, block).astype(np.float64) ** 2, axis=1)
    return np.asarray(10 * np.log10(power + 1e-10))


def _silence_before(level: Array, burst_s: float) -> float:
    """Length of the silence that ends at a stop's burst."""
    at = min(int(burst_s / BLOCK_S), len(level))
    before = level[max(0, at - 40) : at]
    if len(before) == 0:
        return INITIAL_HOLD_S
    quiet = before < before.max() - DROP_DB
    loud = np.flatnonzero(~quiet)
    silence = (len(before) - 1 - loud[-1]) * BLOCK_S
    return float(np.clip(silence, LEAST_HOLD_S, MOST_HOLD_S))


def _end_with_sound(level: Array, s: Segment) -> Segment:
    """A phoneme before a pause, without the silence that neural synthesisers count among its length."""
    first, last = int(s.start_s / BLOCK_S), min(int(s.end_s / BLOCK_S), len(level))
    heard = np.flatnonzero(level[first:last] > level.max() - QUIET_DB)
    end_s = (first + (int(heard[-1]) + 1 if len(heard) else 0)) * BLOCK_S
    return replace(s, end_s=min(s.end_s, max(end_s, s.start_s + LEAST_LAST_S)))


def segments(speech: Speech) -> list[Segment]:
    """The speech's phonemes as segments without gaps, pauses included.

    Where the event of an unvoiced stop is at its burst (eSpeak's are), the mouth makes its shape in the silence before:
    those are moved back to the hold, and what follows the burst belongs to the next segment. Elsewhere a phoneme before
    a pause ends with its sound.
    """
    level = block_levels(speech.samples, speech.rate_hz)
    end_s = len(speech.samples) / speech.rate_hz
    found: list[Segment] = []
    for p, q_s in zip(speech.phonemes, [q.start_s for q in speech.phonemes[1:]] + [end_s], strict=True):
        found += split(p.name, p.start_s, max(q_s, p.start_s))
    out: list[Segment] = []
    burst_s: float | None = None
    for s in found:
        start_s = s.start_s if burst_s is None else burst_s
        burst_s = None
        short = not s.letter and s.end_s - s.start_s < SHORT_PAUSE_S
        if short and out:
            out[-1] = replace(out[-1], end_s=max(out[-1].end_s, s.end_s))
            continue
        if speech.stops_at_burst and s.letter in SILENT_STOPS:
            after_pause = not out or not out[-1].letter
            hold = INITIAL_HOLD_S if after_pause else _silence_before(level, s.start_s)
            start_s = s.start_s - hold
            burst_s = s.start_s + BURST_S
            if out:
                start_s = max(start_s, out[-1].start_s + BLOCK_S)
                out[-1] = replace(out[-1], end_s=start_s)
            s = replace(s, end_s=burst_s)
        if out and not out[-1].letter and not s.letter:
            out[-1] = replace(out[-1], end_s=s.end_s)
        else:
            out.append(replace(s, start_s=start_s, end_s=max(s.end_s, start_s + 1e-3)))
    if not speech.stops_at_burst:
        for i in range(len(out) - 1):
            if out[i].letter and not out[i + 1].letter:
                out[i] = _end_with_sound(level, out[i])
                out[i + 1] = replace(out[i + 1], start_s=out[i].end_s)
    # Names without a letter (marks, language switches) leave holes: what came before lasts.
    nexts = [s.start_s for s in out[1:]] + [end_s]
    return [replace(s, end_s=max(s.end_s, q)) if q > s.end_s else s for s, q in zip(out, nexts, strict=True)]


def loudness(speech: Speech, spans: Sequence[Segment]) -> Array:
    """[len(spans)] in -1..1: level of each segment against the speaker's usual one (60th percentile of speech)."""
    level = block_levels(speech.samples, speech.rate_hz)
    spoken = level[level > level.max() - 40] if len(level) else level
    if len(spoken) == 0:
        return np.zeros(len(spans))
    usual = float(np.percentile(spoken, 60))
    out = np.zeros(len(spans))
    for i, s in enumerate(spans):
        part = level[int(s.start_s / BLOCK_S) : int(s.end_s / BLOCK_S) + 1]
        if len(part):
            out[i] = (part.max() - usual) / LOUDNESS_RANGE_DB
    return np.clip(out, -1.0, 1.0)
