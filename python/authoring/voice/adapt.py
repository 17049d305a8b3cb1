# SPDX-License-Identifier: Apache-2.0
"""A voice refitted to one person, from a minute or more of tracked speech: what it says of jaw and lip shapes, and how
far the head moves.

What drive makes of a shape, the mouth's gate times what the towers say, is linear in the first tower's features and in
what was said before. So a factor of the old rows and a row that is added to the first tower's are a ridge regression of
the tracked weights, in which the factor is free: a strong ridge leaves the old row, livelier or fainter. How strong it
is, and whether the new row follows the person better than the old one, is told by parts of the recording that were left
out. Least squares flattens what it is unsure of, so each shape is drawn out again until it moves as much as the person
does. Closures, rolled and pressed lips and voice stay as they were.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ... import _core
from ...audio import load_audio
from . import heads
from .augment import resample
from .evaluate import with_means
from .export import MOST_MANNER, RATE_HZ, Array, Manifest, Tower, read_voice, write_voice
from .plan import FACE

STEP_HZ = 50.0
LEAST_SPEECH_S = 20.0
STRENGTHS = (50.0, 150.0, 500.0, 1500.0, 5000.0)  # of the ridge, in frames
FOLDS = 5
NO_WORSE = 0.01  # in r: of strengths that do as well the strongest is taken
LEAST_BETTER = 0.005  # in r: what a new row must gain on the old one
LEAST_R = 0.2  # of a tracked curve with what the voice says anyway; below, the tracker does not see this channel
# Trackers have scales of their own, MediaPipe's of lips is small: no channel becomes livelier or fainter than this.
GAINS = (0.5, 2.0)
LEAST_OPEN = 25  # frames with an open gate, of which means and deviations are taken
DRAWS = 25  # halvings in looking for how far to draw a shape out
MOST_DRAWN = 3.0  # times: a curve that is 0 but for moments is matched by no drawing out
REST_PERCENTILE = 10.0
HEAD_WINDOW_S, HEAD_SEEDS = 3.0, 4
HEAD_SHARES = (0.3, 2.5)


@dataclass(frozen=True)
class Tracked:
    """samples [n]: 16 kHz sound from the first frame's time on. curves: ARKit names to [frames], frame k at k / fps; a
    pair of sides also as its mean, without the side. found [frames]: where a face was seen."""

    samples: Array
    fps: float
    curves: Mapping[str, Array]
    found: Array
    head_deg: Array | None = None  # [frames,3] pitch, yaw and roll about a mean pose, where the tracker tells


@dataclass(frozen=True)
class Adapted:
    """By channel: gain, how much livelier it is than before; strength of the ridge, None where the old row follows the
    person as well and was scaled alone; r_before and r_after with parts left out. speech_s: seconds that were used."""

    head: tuple[float, float, float] | None  # shares of the usual pitch, yaw and roll, where they were tracked
    gain: dict[str, float]
    strength: dict[str, float | None]
    r_before: dict[str, float]
    r_after: dict[str, float]
    speech_s: float


@dataclass(frozen=True)
class _Heard:
    """At the tracked frames."""

    feature: Array  # [frames,width] as drive smooths them, like said
    said: Mapping[str, Array]  # by channel, [frames]: what all towers say, before the gate
    gate: Array  # [frames] how far the mouth's gate is open, 0..1


@dataclass(frozen=True)
class _Row:
    """Of a channel: the first tower's row, and the factor of what the other towers say."""

    weight: Array  # [width]
    bias: float
    others: float = 1.0


def adapt(base: str | os.PathLike[str], tracked: Tracked, out: str | os.PathLike[str], name: str) -> Adapted:
    """Write the voice `base`, refitted to a person, to `out`, whole or not at all.

    name: of the new voice. Raises VoiceInvalid for base, and ValueError where there is too little speech with a face,
    or the curves do not follow the sound.
    """
    voice = _core.Voice(os.fspath(base))
    manifest, tensors = read_voice(base)
    heard = _hear(voice, tracked)
    found = tracked.found[: len(heard.gate)]
    used = np.flatnonzero((heard.gate > 0) & found)
    _require_enough(len(used) / tracked.fps, tracked)
    silent = found & (heard.gate == 0)
    resting = silent if silent.sum() >= tracked.fps else found
    result = Adapted(_manner(voice, tracked), {}, {}, {}, {}, len(used) / tracked.fps)
    towers, adapted = manifest["towers"], {name: value.astype(np.float64) for name, value in tensors.items()}
    weight, bias = adapted["tower/0/head/weight"], adapted["tower/0/head/bias"]
    for row, channel in enumerate(towers[0]["channels"]):
        if channel not in tracked.curves or channel not in FACE:
            continue
        curve = tracked.curves[channel][: len(found)]
        rest = np.percentile(curve[resting], REST_PERCENTILE)
        old = _Row(weight[row].copy(), float(bias[row]))
        others = heard.said[channel] - heard.feature @ old.weight - old.bias
        new = _refit(result, channel, old, heard.feature[used], others[used], heard.gate[used], (curve - rest)[used])
        if new is not None:
            _put(towers, adapted, channel, new)
    if not result.gain:
        raise ValueError(
            "the tracked weights have nothing to do with the sound: no channel of theirs follows it. Is it the sound "
            "of this video, and does the face speak?"
        )
    provenance = {**manifest["provenance"], "adapted": {
        "from": manifest["name"], "speech_s": round(result.speech_s, 2),
        "gain": {c: round(g, 4) for c, g in result.gain.items()}, "strength": result.strength,
        "r_left_out": {c: [round(result.r_before[c], 4), round(result.r_after[c], 4)] for c in result.gain},
    }}  # fmt: skip
    changed: Manifest = {**manifest, "name": name, "provenance": provenance}
    if result.head is not None:
        usual = manifest.get("head", [1.0, 1.0, 1.0])
        changed["head"] = [round(min(a * b, MOST_MANNER), 3) for a, b in zip(usual, result.head, strict=True)]
    write_voice(out, changed,
                {key: value.astype(np.float16) for key, value in adapted.items()})  # fmt: skip
    return result


def _put(towers: Sequence[Tower], tensors: Mapping[str, Array], channel: str, new: _Row) -> None:
    """In place."""
    for t, tower in enumerate(towers):
        if channel not in tower["channels"]:
            continue
        row = tower["channels"].index(channel)
        weight, bias = tensors[f"tower/{t}/head/weight"], tensors[f"tower/{t}/head/bias"]
        weight[row] = new.weight if t == 0 else new.others * weight[row]
        bias[row] = new.bias if t == 0 else new.others * bias[row]


def _manner(voice: _core.Voice, tracked: Tracked) -> tuple[float, float, float] | None:
    """How far the head turns in three seconds with a face, beside what the voice makes of the same sound."""
    if tracked.head_deg is None:
        return None
    length = round(HEAD_WINDOW_S * tracked.fps)
    said = [heads.head_of(voice, tracked.samples, tracked.fps, seed) for seed in range(HEAD_SEEDS)]
    n = min(len(tracked.found), *(len(motion) for motion in said))
    firsts = [first for first in range(0, n - length + 1, length) if tracked.found[first : first + length].all()]
    if not firsts:
        return None

    def usual(motion: Array) -> Array:
        return np.asarray(np.median([np.ptp(motion[first : first + length], axis=0) for first in firsts], axis=0))

    share = usual(tracked.head_deg) / np.maximum(np.mean([usual(motion) for motion in said], axis=0), 1e-6)
    pitch, yaw, roll = np.clip(share, *HEAD_SHARES)
    return float(pitch), float(yaw), float(roll)


def _hear(voice: _core.Voice, tracked: Tracked) -> _Heard:
    if not _core.MIN_FPS <= tracked.fps <= _core.MAX_FPS:
        raise ValueError(f"a face is tracked at {_core.MIN_FPS:g} to {_core.MAX_FPS:g} fps; got {tracked.fps:g}.")
    steps, frames = (_faces(voice, tracked.samples, fps) for fps in (STEP_HZ, tracked.fps))
    n = min(len(frames["voice"]), len(tracked.found))
    at = np.arange(n) * STEP_HZ / tracked.fps
    channels, feature = (_smoothed(steps[part].astype(np.float64), at) for part in ("channel", "feature"))
    said = dict(zip(voice.channel_names, channels.T, strict=True))
    whole = np.clip(said["jawOpen"], 0, 1)
    jaw = frames["weight"][:n, voice.weight_names.index("jawOpen")]
    return _Heard(feature, said, np.where(whole > 0.02, jaw / np.maximum(whole, 0.02), 0.0))


def _faces(voice: _core.Voice, samples: Array, fps: float) -> dict[str, Array]:
    speech = _core.Speech(_core.Engine(1, "cpu"), voice, RATE_HZ, 1, fps, head=0.0, blink=0.0)
    speech.push(np.ascontiguousarray(samples, np.float32))
    speech.finish()
    return dict(speech.read())


def _smoothed(steps: Array, at: Array) -> Array:
    """What drive takes of steps j - 1, j and j + 1 for a face a share of the way from j to j + 1 (drive_lips.cc)."""
    padded = np.concatenate([np.zeros_like(steps[:1]), steps, steps[-1:], steps[-1:]])
    j = at.astype(int)
    share = (at - j)[:, None]
    before, here, after = padded[j], padded[j + 1], padded[j + 2]
    return np.asarray((1 - share) / 4 * before + (1 - share) / 2 * here + (1 + 3 * share) / 4 * after)


def _require_enough(speech_s: float, tracked: Tracked) -> None:
    if not tracked.found.any():
        raise ValueError("no frame of the video has a face that the tracker sees.")
    if speech_s < LEAST_SPEECH_S:
        raise ValueError(
            f"a voice is adapted on {LEAST_SPEECH_S:g} s of speech or more; got {speech_s:.1f} s with a face, of "
            f"{len(tracked.samples) / RATE_HZ:.1f} s of sound. Record a minute or more of steady talk."
        )


def _refit(
    result: Adapted, channel: str, old: _Row, feature: Array, others: Array, gate: Array, true: Array
) -> _Row | None:
    """The new row; None where the tracked curve does not follow the sound."""
    true = np.maximum(true, 0)  # what is less than at rest is no movement of this shape
    said = gate * np.clip(feature @ old.weight + others + old.bias, 0, 1)
    if true.std() < 1e-4 or said.std() < 1e-6 or np.corrcoef(said, true)[0, 1] < LEAST_R:
        return None
    gain = float(np.clip(true.std() / said.std(), *GAINS))
    true = true * gain * said.std() / true.std()
    middle = float(true.mean())
    if middle * (1 - middle) < true.var():  # as no curve within 0..1 has it: an offset that hardly moves
        return None
    fold = np.arange(len(true)) * FOLDS // len(true)
    usual = _left_out_r(said, true, fold)
    scores = {}
    for strength in STRENGTHS:
        guess = np.empty_like(true)
        for part in range(FOLDS):
            kept = fold != part
            row = _ridge(old, feature[kept], others[kept], gate[kept], true[kept], strength)
            guess[~kept] = gate[~kept] * _said(row, feature[~kept], others[~kept])
        scores[strength] = _left_out_r(guess, true, fold)
    best = max(strength for strength in STRENGTHS if scores[strength] > max(scores.values()) - NO_WORSE)
    better = scores[best] > usual + LEAST_BETTER
    row = _ridge(old, feature, others, gate, true, best) if better else old
    # Drawn out about its middle, which is the person's, where the gate is open.
    open_gate = gate > (0.99 if (gate > 0.99).sum() >= LEAST_OPEN else 0)
    share, more = _drawn_out(_said(row, feature, others)[open_gate], true[open_gate])
    result.gain[channel], result.strength[channel] = gain, best if better else None
    result.r_before[channel], result.r_after[channel] = usual, scores[best] if better else usual
    return _Row(share * row.weight, share * row.bias + more, share * row.others)


def _drawn_out(raw: Array, wanted: Array) -> tuple[float, float]:
    """share and more, of which clip(share raw + more, 0, 1) has wanted's mean and, as far as it can, its deviation.

    Both grow with what they are looked for by, so halving finds them.
    """

    def drawn(share: float) -> tuple[Array, float]:
        more = _halved(lambda m: float(np.clip(share * raw + m, 0, 1).mean()) < wanted.mean(),
                       -share * float(raw.max()), 1 - share * float(raw.min()))  # fmt: skip
        return np.clip(share * raw + more, 0, 1), more

    share = _halved(lambda s: float(drawn(s)[0].std()) < wanted.std(), 1 / MOST_DRAWN, MOST_DRAWN)
    return share, drawn(share)[1]


def _halved(too_low: Callable[[float], bool], low: float, high: float) -> float:
    for _ in range(DRAWS):
        middle = (low + high) / 2
        low, high = (middle, high) if too_low(middle) else (low, middle)
    return (low + high) / 2


def _said(row: _Row, feature: Array, others: Array) -> Array:
    return feature @ row.weight + row.others * others + row.bias


def _left_out_r(guess: Array, true: Array, fold: Array) -> float:
    """The mean over parts, so that none counts for its level."""
    with np.errstate(invalid="ignore"):  # a part in which nothing moves counts as 0
        r = [np.corrcoef(guess[fold == part], true[fold == part])[0, 1] for part in range(FOLDS)]
    return float(np.mean(np.nan_to_num(r)))


def _ridge(old: _Row, feature: Array, others: Array, gate: Array, true: Array, strength: float) -> _Row:
    """k times what was said before, and a row besides: the least |gate (k before + feature w + b) - true|² + strength ·
    |spread w|², spread the features' own. The stronger, the nearer to what was said before, livelier or fainter."""
    mean, spread = feature.mean(0), np.maximum(feature.std(0), 1e-6)
    before = _said(old, feature, others)
    free = [np.ones(len(feature))] + ([before] if before.std() > 1e-4 else [])
    x = gate[:, None] * np.column_stack([(feature - mean) / spread, *free])
    ridge = strength * np.diag([*np.ones(len(mean)), *np.zeros(len(free))])
    found = np.linalg.solve(x.T @ x + ridge, x.T @ (true if len(free) > 1 else true - gate * before))
    w, b, k = found[: len(mean)] / spread, found[len(mean)], float(found[-1]) if len(free) > 1 else 1.0
    return _Row(k * old.weight + w, k * old.bias + float(b - mean @ w), k * old.others)


def sound_of(path: Path) -> Array:
    """[n] float32, 16 kHz: the mean of a sound's channels, or of a video's, from its first picture on.

    Raises AudioInvalid.
    """
    samples, rate_hz = load_audio(path)
    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    return mono if rate_hz == RATE_HZ else resample(mono, rate_hz, RATE_HZ)


def read_tracked(csv_path: Path, samples: Array) -> Tracked:
    """A tracker's CSV: time_s at a constant rate, columns named as ARKit's weights, and, where every row has a face,
    m00 to m33 for its transform.

    Raises ValueError if it has no times that go up, no jawOpen, or values that are no numbers.
    """
    with csv_path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if len(rows) < 2 or "time_s" not in rows[0] or "jawOpen" not in rows[0]:
        raise ValueError(
            f"{csv_path} must have columns time_s and jawOpen, and two rows or more; got {len(rows)} rows."
        )
    columns: dict[str, Array] = {}
    for column in rows[0]:
        try:
            columns[column] = np.array([float(row[column] or "nan") for row in rows])
        except (TypeError, ValueError) as e:
            raise ValueError(f"{csv_path}: column {column} must be numbers; got {e}.") from e
    steps = np.diff(columns["time_s"])
    step = float(np.median(steps))
    if not (step > 0 and np.abs(steps - step).max() < 0.5 * step):
        raise ValueError(f"{csv_path}: time_s must go up by one step from row to row; its steps are {steps.min():g} to "
                         f"{steps.max():g} s.")  # fmt: skip
    found = np.isfinite(columns["jawOpen"])
    filled = {name: np.where(np.isfinite(curve), curve, 0.0) for name, curve in columns.items()}
    # A whole number where it is meant to be: drive smooths frames that coincide with its steps more than others.
    head_deg = heads.read_track(csv_path) if found.all() and set(heads.MATRIX) <= columns.keys() else None
    return Tracked(samples, round(1 / float(steps.mean()), 3), with_means(filled), found, head_deg)


def track_video(video: Path, model: Path, samples: Array) -> Tracked:
    """The same of a video, by MediaPipe. Raises ValueError as tracker.track() does."""
    from .tracker import track

    seen = track(video, model)
    head_deg = np.zeros((len(seen.found), 3))
    if seen.found.any():
        head_deg[seen.found] = heads.angles_of(seen.matrix[seen.found])
    curves = with_means(dict(zip(seen.names, seen.weight.T, strict=True)))
    return Tracked(samples, seen.fps, curves, seen.found, head_deg)
