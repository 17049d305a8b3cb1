# SPDX-License-Identifier: Apache-2.0
"""Measures a voice through the runtime that ships: lips against tracked faces, closures on voices it never heard,
stillness where nobody speaks. bench/voice_quality.py makes the report.
"""

from __future__ import annotations

import csv
import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ... import _core
from . import facegood, scoring, texts
from .augment import resample
from .espeak import Espeak
from .export import RATE_HZ, Array
from .timing import segments

DEVELOPMENT = ("id2_vcd_swwp2s", "bbaf2n", "lbax4n")  # settings are chosen on these clips only
CHANNELS = ("jawOpen", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp")
CLOSED_GAP, CLOSURE_TOLERANCE_S = 0.05, 0.06
CLOSURE_PEAK, LEAD_S = 0.35, 0.3  # of the speech that closures are measured on, and silence before and after it
LIPS = ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp", "mouthRollLower",
        "mouthRollUpper", "mouthPress", "mouthStretch", "mouthSmile")  # fmt: skip
SETTLED_S = 0.15
STEP_HZ = 50.0
# 16 kHz samples and frames per second to curves by ARKit name; a pair of sides also as its mean, without the side.
Faces = Callable[[Array, float], dict[str, Array]]


def read_sound(path: Path) -> Array:
    """[n] float32, 16 kHz mono, from any file that PyAV reads."""
    av: Any = importlib.import_module("av")
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
        parts = [
            frame.to_ndarray().ravel() for packet in container.decode(audio=0) for frame in resampler.resample(packet)
        ]
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


def lip_gap(face: Mapping[str, Array]) -> Array:
    """How far the lips are apart, by weights; closed below CLOSED_GAP."""
    open_lips = np.maximum(0.0, face["jawOpen"] - face["mouthClose"])
    return np.asarray(open_lips + 0.4 * face["mouthLowerDown"] + 0.3 * face["mouthUpperUp"])


def grid(faces: Faces, clips: Path, truth: Path) -> dict[str, Any]:
    """Per channel and for the baselines of the jaw: lag, r_const, in-speech r, each clip's r."""
    said: dict[str, dict[str, Array]] = {c: {} for c in CHANNELS}
    true: dict[str, dict[str, Array]] = {c: {} for c in CHANNELS}
    base: dict[str, dict[str, Array]] = {}
    spans: dict[str, Array] = {}
    for path in sorted(clips.glob("*.mpg")):
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
            **{f"r_const_{part}": float(np.mean(r)) for part, r in parts.items() if r}}  # fmt: skip


def runs(closed: Array) -> list[tuple[int, int]]:
    """First and last index of every stretch of True."""
    edge = np.flatnonzero(np.diff(np.concatenate([[False], closed, [False]]).astype(int)))
    return [(int(a), int(b) - 1) for a, b in zip(edge[::2], edge[1::2], strict=True)]


def closures(
    faces: Faces, *, snr_db: float | None = None, said: Sequence[texts.Utterance] | None = None
) -> dict[str, Any]:
    """Recall of p/b/m holds and precision of closed lips inside speech, on `said`: by default the held-out voices.

    A hold is found if the lips are closed (gap < 0.05) at some time within 60 ms of it. A run of closed lips is right
    if it touches a hold widened by 60 ms; runs that touch a pause, where lips rest, are not counted.
    """
    rng = np.random.default_rng(0)
    counts: dict[str, Array] = {}  # by language: found, holds, right, runs
    for u in texts.held_out() if said is None else said:
        speech = Espeak.shared().speak(u.text, u.voice, rate=u.rate, pitch=u.pitch, pitch_range=u.pitch_range)
        x = resample(speech.samples, speech.rate_hz, RATE_HZ)
        x = np.pad(x * (CLOSURE_PEAK / np.abs(x).max()), round(LEAD_S * RATE_HZ))
        if snr_db is not None:
            x = x + rng.normal(size=len(x)).astype(np.float32) * np.sqrt(np.mean(x**2)) * 10 ** (-snr_db / 20)
        closed = lip_gap(faces(x, STEP_HZ)) < CLOSED_GAP
        t = np.arange(len(closed)) / STEP_HZ - LEAD_S
        spans = segments(speech)
        pauses = [(s.start_s, s.end_s) for s in spans if not s.letter]
        pauses += [(-np.inf, spans[0].start_s), (spans[-1].end_s, np.inf)]
        wide = [(s.start_s - CLOSURE_TOLERANCE_S, s.end_s + CLOSURE_TOLERANCE_S) for s in spans if s.viseme.sealed]

        def touches(run: tuple[int, int], spans: Sequence[tuple[float, float]], t: Array = t) -> bool:
            return any(t[run[0]] <= last and t[run[1]] >= first for first, last in spans)

        hits = [bool(closed[(t >= first) & (t <= last)].any()) for first, last in wide]
        right = [touches(run, wide) for run in runs(closed) if not touches(run, pauses)]
        language = u.voice.partition("+")[0]
        counts[language] = counts.get(language, np.zeros(4)) + np.array((sum(hits), len(hits), sum(right), len(right)))

    def shares(n: Array) -> tuple[float, float]:
        return float(n[0] / max(1, n[1])), float(n[2] / max(1, n[3]))

    total = np.sum(list(counts.values()), axis=0)
    recall, precision = shares(total)
    return {"recall": recall, "precision": precision, "holds": int(total[1]), "runs": int(total[3]),
            "voices": {language: shares(n) for language, n in counts.items()}}  # fmt: skip


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
