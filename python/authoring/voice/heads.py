# SPDX-License-Identifier: Apache-2.0
"""How heads move while somebody talks: what a face tracker saw, and what a voice makes of the same sound, in numbers.

Angles are in degrees about a clip's mean pose: pitch (down), yaw (to the face's left), roll, as ARKit's and
MediaPipe's axes have them. bench/head_motion.py compares the two, docs/head_motion.md has the numbers.
"""

from __future__ import annotations

import csv
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ... import _core
from ...rotation import axis_angle_from_quat, multiply, quat_from_matrix
from .export import RATE_HZ, Array

AXES = ("pitch", "yaw", "roll")
BANDS_HZ = (0.0, 0.5, 1.0, 2.0, 4.0)  # edges
LAGS_S = np.arange(-0.4, 0.41, 0.04)
MATRIX = tuple(f"m{row}{column}" for row in range(4) for column in range(4))


@dataclass(frozen=True)
class HeadStatistics:
    """Of one clip. range_deg and deviation_deg [3] by axis; share [3,4] of each axis's power below 4 Hz in BANDS_HZ;
    speed_deg_s [3]: how fast the head turns about whatever axis, its 50th, 90th and 99th percentile."""

    range_deg: Array
    deviation_deg: Array
    share: Array
    speed_deg_s: Array


def angles_of(matrices: Array) -> Array:
    """[n,3,3] or [n,4,4] rotations of a face to [n,3] degrees about their mean."""
    rotations = matrices[:, :3, :3]
    quats = quat_from_matrix(rotations)
    back = quat_from_matrix(rotations.sum(axis=0)) * np.array([1, -1, -1, -1])
    return np.degrees(axis_angle_from_quat(multiply(np.broadcast_to(back, quats.shape), quats)))


def read_track(path: Path) -> Array:
    """[n,3] degrees from the CSV of a face tracker, whose columns m00..m33 are the face's transform.

    Raises ValueError if it has no such columns, or a row with something else than numbers in them.
    """
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        matrices = np.array([[float(row[name]) for name in MATRIX] for row in rows]).reshape(-1, 4, 4)
    except (KeyError, TypeError, ValueError) as e:
        raise ValueError(f"{path} must have numbers in columns m00 to m33, a face's transform; got {e}.") from e
    return angles_of(matrices)


def head_of(voice: _core.Voice, samples: Array, fps: float, seed: int) -> Array:
    """[n,3] degrees: the head's motion to 16 kHz samples as the runtime has it."""
    speech = _core.Speech(_core.Engine(1, "cpu"), voice, RATE_HZ, 1, fps, seed=seed)
    speech.push(np.ascontiguousarray(samples, np.float32))
    speech.finish()
    return np.degrees(speech.read()["head_pose"].astype(np.float64))


def statistics(angles: Array, fps: float) -> HeadStatistics:
    """angles [n,3] degrees, n >= 2."""
    speed = fps * np.linalg.norm(np.diff(angles, axis=0), axis=1)
    return HeadStatistics(
        range_deg=np.ptp(angles, axis=0),
        deviation_deg=angles.std(axis=0),
        share=np.array([spectrum(axis, fps) for axis in angles.T]),
        speed_deg_s=np.percentile(speed, [50, 90, 99]),
    )


def spectrum(curve: Array, fps: float) -> Array:
    """[4]: the parts of a curve's power below 4 Hz that are in each of BANDS_HZ, through a Hann window."""
    n = len(curve)
    power = np.abs(np.fft.rfft((curve - curve.mean()) * np.hanning(n), 4 * n)) ** 2
    hz = np.fft.rfftfreq(4 * n, 1 / fps)
    parts = np.array([power[(hz >= low) & (hz < high)].sum() for low, high in itertools.pairwise(BANDS_HZ)])
    return np.asarray(parts / max(parts.sum(), 1e-12))


def median(clips: list[HeadStatistics]) -> HeadStatistics:
    """Number by number; shares as means, so that they add up to 1."""
    return HeadStatistics(
        range_deg=np.median([c.range_deg for c in clips], axis=0),
        deviation_deg=np.median([c.deviation_deg for c in clips], axis=0),
        share=np.mean([c.share for c in clips], axis=0),
        speed_deg_s=np.median([c.speed_deg_s for c in clips], axis=0),
    )


def loudness(samples: Array, n_frames: int, fps: float) -> Array:
    """[n]: root mean square of 40 ms around each frame's time, over the largest."""
    half = RATE_HZ // 50
    padded = np.concatenate([np.zeros(half), samples, np.zeros(2 * half + RATE_HZ)]) ** 2
    sums = np.concatenate([[0.0], np.cumsum(padded)])
    first = np.minimum((np.arange(n_frames) * RATE_HZ / fps).astype(int), len(padded) - 2 * half)
    level = np.sqrt((sums[first + 2 * half] - sums[first]) / (2 * half))
    return np.asarray(level / max(float(level.max()), 1e-12))


def speed_after_loudness(angles: Array, level: Array, fps: float) -> Array:
    """Pearson r of how fast the head turns with how loud it was LAGS_S before."""
    speed = fps * np.linalg.norm(np.gradient(angles, axis=0), axis=1)
    n, out = len(speed), []
    for lag in np.round(LAGS_S * fps).astype(int):
        a, b = speed[max(lag, 0) : n + min(lag, 0)], level[max(-lag, 0) : n - max(lag, 0)]
        out.append(float(np.corrcoef(a, b)[0, 1]))
    return np.array(out)
