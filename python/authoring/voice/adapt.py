# SPDX-License-Identifier: Apache-2.0
"""A voice that follows one person, from a minute or more of tracked speech: in jaw and lip shapes, and in how far the
head moves.

A copy of the voice's tower is trained on until it says what the tracker saw, and becomes a second tower that says these
shapes alone: features, closures, rolled and pressed lips and voice stay as they were. Whether it follows the person is
told by a part of the recording that is left out of a trial; shapes that follow much worse than the old ones stay the
old ones and are only scaled. Least squares flattens what it is unsure of, so each shape is drawn out again until it
moves as much as the person does.
"""

from __future__ import annotations

import csv
import importlib.util
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ... import _core
from ...audio import load_audio
from . import batches, heads
from .augment import resample
from .evaluate import with_means
from .export import MAX_PARAMETERS, MOST_MANNER, RATE_HZ, Array, Manifest, Tower, read_voice, write_voice
from .plan import FACE

STEP_HZ = 50.0
LEAST_SPEECH_S = 20.0
MOST_S = 600.0  # of a recording, which bounds the memory that its training takes
LEFT_OUT = 0.25  # of the speech, at the end: what a trial is judged by, before all of it is learned
# In Fisher's z. On some 10 s of speech the old shape may seem better by chance; one that is much better stays.
MOST_WORSE = 0.2
MOST_R = 0.9999  # of which Fisher's z is taken: that of 1 is infinite
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
    """By channel: gain, how much livelier it is than before; r_before and r_after, r of the old shape and of the trial
    with the part left out, the same where the old shape was only scaled. speech_s: seconds that were used."""

    head: tuple[float, float, float] | None  # shares of the usual pitch, yaw and roll, where they were tracked
    gain: dict[str, float]
    r_before: dict[str, float]
    r_after: dict[str, float]
    speech_s: float


@dataclass(frozen=True)
class _Said:
    """What a voice's towers say, by channel, [steps], and where the tracked frames lie among the steps."""

    steps: Mapping[str, Array]
    at: Array  # [frames], in steps

    def smooth(self, channel: str) -> Array:
        """[frames] as drive smooths it, before the gate."""
        return _smoothed(self.steps[channel], self.at)

    def shown(self, channel: str, gate: Array) -> Array:
        """[frames] as drive shows it."""
        return gate * _smoothed(np.clip(self.steps[channel], 0, 1), self.at)


@dataclass(frozen=True)
class _Voice:
    manifest: Manifest
    tensors: dict[str, Array]

    def write(self, out: str | os.PathLike[str]) -> None:
        write_voice(out, self.manifest, {name: value.astype(np.float16) for name, value in self.tensors.items()})


def require_base(base: str | os.PathLike[str]) -> None:
    """Raises what adapt() would raise of this voice, or for want of torch: before a long video is tracked."""
    if importlib.util.find_spec("torch") is None:
        raise ValueError("adapting a voice trains it, which needs torch: pip install 'talksplat[adapt]'.")
    _core.Voice(os.fspath(base))
    manifest, tensors = read_voice(base)
    name, origin = manifest["name"], manifest["provenance"].get("adapted", {}).get("from")
    way_out = f"It was adapted from {origin!r}: begin with that one." if origin else "Begin with the built-in voice."
    if len(manifest["towers"]) > 1:
        raise ValueError(f"a voice to adapt must have one tower; {name!r} has {len(manifest['towers'])}. {way_out}")
    count = sum(math.prod(value.shape) for value in tensors.values())
    if 2 * count > MAX_PARAMETERS:
        raise ValueError(f"a voice to adapt must have at most {MAX_PARAMETERS // 2} parameters, since its network "
                         f"becomes two; {name!r} has {count}. {way_out}")  # fmt: skip
    otherwise = batches.heard_otherwise(manifest)
    if otherwise:
        raise ValueError(f"a voice to adapt must hear as the built-in one does; {name!r} has "
                         f"{', '.join(otherwise)}. {way_out}")  # fmt: skip


def adapt(
    base: str | os.PathLike[str], tracked: Tracked, out: str | os.PathLike[str], name: str,
    report: Callable[[str], None] = lambda line: None,
) -> Adapted:  # fmt: skip
    """Write the voice `base`, made to follow a person, to `out`, whole or not at all.

    name: of the new voice. report: is told how the training goes on. Raises VoiceInvalid for base, and ValueError where
    require_base() does, where there is too little speech with a face, or where the curves do not follow the sound.
    """
    require_base(base)
    tracked = _cut(tracked, round(MOST_S * tracked.fps))
    voice, old = _core.Voice(os.fspath(base)), _Voice(*read_voice(base))
    said, gate = _hear(voice, tracked)
    found = tracked.found[: len(gate)]
    used = np.flatnonzero((gate > 0) & found)
    _require_enough(len(used) / tracked.fps, tracked)
    silent = found & (gate == 0)
    resting = silent if silent.sum() >= tracked.fps else found
    result = Adapted(_manner(voice, tracked), {}, {}, {}, len(used) / tracked.fps)
    wanted: dict[str, Array] = {}
    for channel in FACE:
        if channel in tracked.curves:
            curve = np.interp(np.arange(len(gate)), np.flatnonzero(found), tracked.curves[channel][: len(gate)][found])
            movement = np.maximum(curve - np.percentile(curve[resting], REST_PERCENTILE), 0)
            scale = _scale(said.shown(channel, gate)[used], movement[used])
            if scale is not None:
                result.gain[channel], wanted[channel] = scale[0], scale[1] * movement
    if not wanted:
        raise ValueError(
            "the tracked weights have nothing to do with the sound: no channel of theirs follows it. Is it the sound "
            "of this video, and does the face speak?"
        )
    left_out = used[round((1 - LEFT_OUT) * len(used)) :]
    trial = _following(old, _cut(tracked, left_out[0]), wanted, (gate * found)[: left_out[0]], report)
    tried = _said_by(trial, tracked)
    learned = {}
    for channel, curve in wanted.items():
        before, after = (_r(s.shown(channel, gate)[left_out], curve[left_out]) for s in (said, tried))
        taught = np.arctanh(min(after, MOST_R)) > np.arctanh(min(before, MOST_R)) - MOST_WORSE
        result.r_before[channel], result.r_after[channel] = before, after if taught else before
        if taught:
            learned[channel] = curve
    new = _following(old, tracked, learned, gate * found, report)
    new_said = _said_by(new, tracked) if learned else said
    open_gate = used[gate[used] > 0.99]
    open_gate = open_gate if len(open_gate) >= LEAST_OPEN else used
    for channel, curve in wanted.items():
        _scale_rows(new, channel, *_drawn_out(new_said.smooth(channel)[open_gate], curve[open_gate]))
    _tell(new.manifest, result, old.manifest["name"], name)
    new.write(out)
    return result


def _cut(tracked: Tracked, frames: int) -> Tracked:
    """The first frames, and their sound."""
    head_deg = None if tracked.head_deg is None else tracked.head_deg[:frames]
    curves = {channel: curve[:frames] for channel, curve in tracked.curves.items()}
    samples = tracked.samples[: round(frames / tracked.fps * RATE_HZ)]
    return Tracked(samples, tracked.fps, curves, tracked.found[:frames], head_deg)


def _scale(said: Array, movement: Array) -> tuple[float, float] | None:
    """How much livelier the shape becomes, and what takes the tracker's movement there; None where the tracked curve
    does not follow the sound, or no shape can be it."""
    if movement.std() < 1e-4 or said.std() < 1e-6 or _r(said, movement) < LEAST_R:
        return None
    gain = float(np.clip(movement.std() / said.std(), *GAINS))
    scale = gain * float(said.std() / movement.std())
    middle = scale * float(movement.mean())
    if middle * (1 - middle) < (scale * movement).var():  # as no curve within 0..1 has it: an offset that hardly moves
        return None
    return gain, scale


def _following(
    old: _Voice, tracked: Tracked, curves: Mapping[str, Array], share: Array, report: Callable[[str], None]
) -> _Voice:
    """The voice with a tower for these curves, if there are any; the first tower says the rest."""
    tensors = {name: value.astype(np.float64) for name, value in old.tensors.items()}
    if not curves:
        return _Voice({**old.manifest}, tensors)
    from .fold import tensors_of
    from .follow import follow

    of_these = {channel: curve[: len(share)] for channel, curve in curves.items()}
    net = follow(old.manifest, old.tensors, tracked.samples, tracked.fps, of_these, share, report)
    whole = old.manifest["towers"][0]
    tensors |= {key.replace("tower/0", "tower/1"): value for key, value in tensors_of([net], np.float32).items()}
    towers: list[Tower] = []
    for t, own in enumerate(([c for c in whole["channels"] if c not in curves], list(curves))):
        rows = [whole["channels"].index(c) for c in own]
        for part in ("weight", "bias"):
            tensors[f"tower/{t}/head/{part}"] = tensors[f"tower/{t}/head/{part}"][rows].astype(np.float64)
        towers.append({**whole, "channels": own, "sigmoid": [c for c in whole["sigmoid"] if c in own]})
    return _Voice({**old.manifest, "towers": towers}, tensors)


def _tell(manifest: Manifest, result: Adapted, origin: str, name: str) -> None:
    """What a voice's file says of its adaptation, in place."""
    manifest["name"] = name
    manifest["provenance"] = {**manifest["provenance"], "adapted": {
        "from": origin, "speech_s": round(result.speech_s, 2),
        "gain": {c: round(g, 4) for c, g in result.gain.items()},
        "r_left_out": {c: [round(r, 4), round(result.r_after[c], 4)] for c, r in result.r_before.items()},
    }}  # fmt: skip
    if result.head is not None:
        usual = manifest.get("head", [1.0, 1.0, 1.0])
        manifest["head"] = [round(min(a * b, MOST_MANNER), 3) for a, b in zip(usual, result.head, strict=True)]


def _scale_rows(voice: _Voice, channel: str, share: float, more: float) -> None:
    """In place."""
    for t, tower in enumerate(voice.manifest["towers"]):
        if channel in tower["channels"]:
            row = tower["channels"].index(channel)
            voice.tensors[f"tower/{t}/head/weight"][row] *= share
            bias = voice.tensors[f"tower/{t}/head/bias"]
            bias[row] = share * bias[row] + more


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


def _hear(voice: _core.Voice, tracked: Tracked) -> tuple[_Said, Array]:
    """What the voice says of the sound, and [frames] how far drive's gate of the mouth is open, 0..1."""
    if not _core.MIN_FPS <= tracked.fps <= _core.MAX_FPS:
        raise ValueError(f"a face is tracked at {_core.MIN_FPS:g} to {_core.MAX_FPS:g} fps; got {tracked.fps:g}.")
    steps, frames = (_faces(voice, tracked.samples, fps) for fps in (STEP_HZ, tracked.fps))
    n = min(len(frames["voice"]), len(tracked.found))
    by_channel = dict(zip(voice.channel_names, steps["channel"].astype(np.float64).T, strict=True))
    said = _Said(by_channel, np.arange(n) * STEP_HZ / tracked.fps)
    whole = said.shown("jawOpen", np.ones(n))
    jaw = frames["weight"][:n, voice.weight_names.index("jawOpen")]
    return said, np.where(whole > 0.02, np.minimum(jaw / np.maximum(whole, 0.02), 1.0), 0.0)


def _said_by(voice: _Voice, tracked: Tracked) -> _Said:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "new.voice")
        voice.write(path)
        return _hear(_core.Voice(path), tracked)[0]


def _faces(voice: _core.Voice, samples: Array, fps: float) -> dict[str, Array]:
    speech = _core.Speech(_core.Engine(1, "cpu"), voice, RATE_HZ, 1, fps, head=0.0, blink=0.0)
    speech.push(np.ascontiguousarray(samples, np.float32))
    speech.finish()
    return dict(speech.read())


def _smoothed(steps: Array, at: Array) -> Array:
    """What drive takes of steps j - 1, j and j + 1 for a face a share of the way from j to j + 1 (drive_lips.cc)."""
    padded = np.concatenate([[0.0], steps, steps[-1:], steps[-1:]])
    j = at.astype(int)
    share = at - j
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


def _r(a: Array, b: Array) -> float:
    """Pearson r; 0 where one of them does not move."""
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


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
