# SPDX-License-Identifier: Apache-2.0
"""Measures a voice through the runtime that ships: lips against tracked faces, closures where phones are known,
stillness where nobody speaks. bench/voice_quality.py makes the report.
"""

from __future__ import annotations

import csv
import importlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ... import _core
from . import facegood, scoring
from .closures import LEAD_S, PEAK, STEP_HZ, Counts, Faces, Span, Spoken, judge
from .export import RATE_HZ, Array
from .recordings import DEVELOPMENT

CHANNELS = ("jawOpen", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp")
LIPS = ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp", "mouthRollLower",
        "mouthRollUpper", "mouthPress", "mouthStretch", "mouthSmile")  # fmt: skip
SETTLED_S = 0.15


def read_sound(path: Path) -> Array:
    """[n] float32, 16 kHz mono, from any file that PyAV reads."""
    av: Any = importlib.import_module("av")
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
        parts = [np.zeros(0, np.float32)]
        for packet in container.decode(audio=0):
            parts += [frame.to_ndarray().ravel() for frame in resampler.resample(packet)]
        parts += [frame.to_ndarray().ravel() for frame in resampler.resample(None)]
    return np.concatenate(parts).astype(np.float32)


def read_curves(path: Path) -> dict[str, Array]:
    """Columns of a CSV with a header; a pair of sides also under the name without a side, as their mean."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    out: dict[str, Array] = {}
    for i, name in enumerate(rows[0]):
        try:
            out[name.strip()] = np.array([float(row[i]) for row in rows[1:] if len(row) == len(rows[0])])
        except ValueError:
            continue  # a column of texts
    return with_means(out)


def faces_of(voice: _core.Voice) -> Faces:
    engine = _core.Engine(1, "cpu")

    def faces(samples: Array, fps: float) -> dict[str, Array]:
        speech = _core.Speech(engine, voice, RATE_HZ, 1, fps, head=0.0, blink=0.0)
        speech.push(np.ascontiguousarray(samples, np.float32))
        speech.finish()
        weight = speech.read()["weight"].astype(np.float64)
        return with_means(dict(zip(voice.weight_names, weight.T, strict=True)))

    return faces


def with_means(curves: dict[str, Array]) -> dict[str, Array]:
    means = {
        name[:-4]: (curve + curves[name[:-4] + "Right"]) / 2
        for name, curve in curves.items()
        if name.endswith("Left") and name[:-4] + "Right" in curves
    }
    return curves | means


def grid(faces: Faces, clips: Path, truth: Path, left_out: Collection[str] = ()) -> dict[str, Any]:
    """Per channel and for the baselines of the jaw: lag, r_const, in-speech r, each clip's r."""
    said: dict[str, dict[str, Array]] = {c: {} for c in CHANNELS}
    true: dict[str, dict[str, Array]] = {c: {} for c in CHANNELS}
    base: dict[str, dict[str, Array]] = {}
    spans: dict[str, Array] = {}
    for path in sorted(p for p in clips.glob("*.mpg") if p.stem not in left_out):
        samples, curves = read_sound(path), read_curves(truth / f"{path.stem}.arkit52.csv")
        face = faces(samples, scoring.FPS)
        simple, spans[path.stem] = scoring.baselines(samples, len(curves["jawOpen"]))
        for name, curve in simple.items():
            base.setdefault(name, {})[path.stem] = curve
        for c in CHANNELS:
            said[c][path.stem], true[c][path.stem] = face[c], curves[c]
    rows = {c: scoring.score(said[c], true[c], spans) for c in CHANNELS}
    rows |= {f"jawOpen: {name}": scoring.score(curves, true["jawOpen"], spans) for name, curves in base.items()}
    return {name: summary(s) for name, s in rows.items() if s is not None}


def summary(s: scoring.Score) -> dict[str, Any]:
    parts = {"development": [r for c, r in s.whole.items() if c in DEVELOPMENT],
             "test": [r for c, r in s.whole.items() if c not in DEVELOPMENT]}  # fmt: skip
    return {"r_const": s.r_const, "r_speech": s.r_speech, "lag": s.lag, "clips": s.whole, "speech": s.speech,
            "r_const_95": scoring.bootstrap(list(s.whole.values()), scoring.mean),
            "r_speech_95": scoring.bootstrap(list(s.speech.values()), scoring.mean),
            **{f"r_const_{part}": float(np.mean(r)) for part, r in parts.items() if r}}  # fmt: skip


def closures(
    faces: Faces, clips: Sequence[Spoken], *, snr_db: float | None = None, fps: float = STEP_HZ
) -> dict[str, Any]:
    """Recall of p, b and m and precision of closed lips on the clips: in all, by group, each with its counts by clip.

    Intervals are those of 95 %, by drawing clips anew.
    """
    counts = {clip.name: judge(faces, clip, snr_db, i, fps) for i, clip in enumerate(clips)}
    groups: dict[str, list[Counts]] = {}
    for clip in clips:
        groups.setdefault(clip.group, []).append(counts[clip.name])
    total = sum(counts.values(), Counts())
    drawn = list(counts.values())
    return {
        "recall": total.recall, "precision": total.precision, "holds": total.holds, "runs": total.runs,
        "recall_95": scoring.bootstrap(drawn, lambda c: sum(c, Counts()).recall),
        "precision_95": scoring.bootstrap(drawn, lambda c: sum(c, Counts()).precision),
        "voices": {g: (sum(c, Counts()).recall, sum(c, Counts()).precision) for g, c in groups.items()},
        "clips": {name: (c.found, c.holds, c.right, c.runs) for name, c in counts.items()},
    }  # fmt: skip


def told_apart(voice: _core.Voice, clips: Sequence[Spoken]) -> float:
    """Average precision of the closure that the voice hears, over steps of speech: one number for all thresholds."""
    engine, scores, truths = _core.Engine(1, "cpu"), [], []
    channel = voice.channel_names.index("closure")
    for clip in clips:
        speech = _core.Speech(engine, voice, RATE_HZ, 1, STEP_HZ, head=0.0, blink=0.0)
        speech.push(np.pad(clip.samples * (PEAK / np.abs(clip.samples).max()), round(LEAD_S * RATE_HZ)))
        speech.finish()
        closure = speech.read()["channel"][:, channel]
        t_s = np.arange(len(closure)) / STEP_HZ - LEAD_S
        spoken = ~_within(t_s, [*clip.pauses, (-np.inf, 0.0), (len(clip.samples) / RATE_HZ, np.inf)])
        scores.append(closure[spoken])
        truths.append(_within(t_s, clip.closed)[spoken])
    return average_precision(np.concatenate(scores), np.concatenate(truths))


def _within(t_s: Array, spans: Sequence[Span]) -> Array:
    found = np.zeros(len(t_s), bool)
    for first, last in spans:
        found |= (t_s >= first) & (t_s < last)
    return found


def average_precision(score: Array, true: Array) -> float:
    """The mean of the precisions at the rank of each that is true; 0 where none is."""
    ranked = true[np.argsort(-score, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean()) if ranked.any() else 0.0


def negatives(faces: Faces) -> dict[str, float]:
    """Largest standard deviation of any lip weight, 150 ms after the sound began and later, in 4 s of each sound."""
    rng = np.random.default_rng(5)
    n = 4 * RATE_HZ
    t = np.arange(n) / RATE_HZ
    sounds: dict[str, Array] = {"silence": np.zeros(n)}
    for level in (-50, -35, -20, -6):
        a = 10 ** (level / 20)
        sounds[f"white noise {level} dB"] = rng.normal(size=n) * a
        for f in (80, 125, 200, 300, 440, 660, 1000, 1500, 2000, 3000, 4000):
            sounds[f"tone {f} Hz {level} dB"] = np.sin(2 * np.pi * f * t) * a * np.sqrt(2)
        for f in (50, 60):
            buzz = np.sum([np.sin(2 * np.pi * f * k * t + k) / k for k in range(1, 11)], axis=0)
            sounds[f"hum {f} Hz {level} dB"] = buzz * a
    out = {}
    for name, x in sounds.items():
        worst = 0.0
        for lead_s in (0.0, 0.5):
            face = faces(np.clip(np.pad(x, (round(lead_s * RATE_HZ), 0)), -1, 1), STEP_HZ)
            first = round((lead_s + SETTLED_S) * STEP_HZ)
            worst = max(worst, *(float(face[c][first:].std()) for c in LIPS))
        out[name] = worst
    return out


def facegood_jaw(faces: Faces, folder: Path) -> dict[str, float]:
    """Jaw r on the actor's last 15 s (best lag of -3..3 frames of 1/30 s), and the baselines' beside it."""
    take = facegood.load(folder)
    true = take.curves["jawOpen"]
    kept = np.arange(len(true)) >= len(true) - round(facegood.TEST_S * facegood.FPS)
    n25 = round(len(true) * scoring.FPS / facegood.FPS)
    curves = {"r": faces(take.samples, facegood.FPS)["jawOpen"]}
    for name, curve in scoring.baselines(take.samples, n25)[0].items():
        curves[name] = np.interp(np.arange(len(true)) / facegood.FPS * scoring.FPS, np.arange(n25), curve)
    return {name: max(scoring.correlation(c, true, lag, kept) for lag in scoring.LAGS) for name, c in curves.items()}
