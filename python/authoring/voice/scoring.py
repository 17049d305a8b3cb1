# SPDX-License-Identifier: Apache-2.0
"""How predicted lips are judged against tracked ones, and simple baselines to beat.

Whole-clip r: Pearson r over all frames, one constant lag for all clips (the best mean over -3..3 frames; positive: the
prediction is late). In-speech r: the same from the first to the last 20 ms of speech, which is where the band energy
300-3000 Hz exceeds floor + 0.35 (peak - floor) in dB, floor and peak being the clip's 10th and 98th percentiles.
Curves whose standard deviation is below 0.01 are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .export import HOP, RATE_HZ, WINDOW, Array

T = TypeVar("T")
LAGS = range(-3, 4)
LEAST_DEVIATION = 0.01
FPS = 25


def correlation(said: Array, true: Array, lag: int, kept: Array | None = None) -> float:
    """Pearson r of said[k + lag] and true[k] over the frames k in `kept` where both exist; 0 where undefined."""
    n = min(len(said), len(true))
    k = np.arange(n)
    inside = (k + lag >= 0) & (k + lag < n)
    if kept is not None:
        inside &= kept[:n]
    a, b = said[k[inside] + lag], true[k[inside]]
    if len(a) < 10 or a.std() < 1e-6 or b.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def baselines(samples: Array, n_frames: int) -> tuple[dict[str, Array], Array]:
    """Curves that need no training, at 25 fps, and [n_frames] bool: inside speech."""
    count = max(1, (len(samples) - WINDOW) // HOP + 1)
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP][:count]
    power = np.abs(np.fft.rfft(windows * np.hanning(WINDOW), 512)) ** 2
    hz = np.fft.rfftfreq(512, 1 / RATE_HZ)

    def smooth(x: Array, n: int) -> Array:
        return np.convolve(x, np.ones(n) / n, "same")

    def band_db(low: float, high: float, n: int = 0) -> Array:
        energy = power[:, (hz >= low) & (hz < high)].sum(1)
        return 10 * np.log10((smooth(energy, n) if n else energy) + 1e-10)

    def frames(x: Array) -> Array:
        return np.interp(np.arange(n_frames) / FPS * 100, np.arange(len(x)) + 1.25, x)

    energy = band_db(300, 3000, 2)
    floor, peak = np.percentile(energy, 10), np.percentile(energy, 98)
    speech = (energy > floor + 0.35 * (peak - floor)).astype(float)
    low = (hz >= 200) & (hz < 1100)
    centroid = (power[:, low] * hz[low]).sum(1) / (power[:, low].sum(1) + 1e-10)
    span = np.zeros(n_frames, bool)
    on = np.flatnonzero(speech)
    if len(on):
        span[int(on[0] / 4) : int(on[-1] / 4) + 1] = True
    curves = {
        "energy 300-1000 Hz": frames(smooth(band_db(300, 1000), 6)),
        "centroid 200-1100 Hz": frames(smooth(centroid * speech, 6)),
        "speech on/off": frames(smooth(speech, 6)),
    }
    return curves, span


DRAWS = 2000


def bootstrap(values: Sequence[T], statistic: Callable[[list[T]], float], seed: int = 0) -> tuple[float, float]:
    """Where 95 % of the statistic lie if clips are drawn anew, as many as there are; percentiles, Efron 1979."""
    rng = np.random.default_rng(seed)
    drawn = [statistic([values[i] for i in rng.integers(len(values), size=len(values))]) for _ in range(DRAWS)]
    return float(np.percentile(drawn, 2.5)), float(np.percentile(drawn, 97.5))


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


@dataclass(frozen=True)
class Score:
    lag: int
    whole: dict[str, float]  # clip -> r at that lag
    speech: dict[str, float]

    @property
    def r_const(self) -> float:
        return float(np.mean(list(self.whole.values())))

    @property
    def r_speech(self) -> float:
        return float(np.mean(list(self.speech.values())))


def score(said: Mapping[str, Array], true: Mapping[str, Array], spans: Mapping[str, Array]) -> Score | None:
    """Judge one channel over clips; None if no clip's true curve moves."""
    clips = [c for c in said if true[c].std() >= LEAST_DEVIATION]
    if not clips:
        return None
    r = {g: {c: correlation(said[c], true[c], g) for c in clips} for g in LAGS}
    lag = max(LAGS, key=lambda g: float(np.mean(list(r[g].values()))))
    return Score(lag, r[lag], {c: correlation(said[c], true[c], lag, spans[c]) for c in clips})
