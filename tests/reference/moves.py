# SPDX-License-Identifier: Apache-2.0
"""What movements are made of, in float64, as in csrc/ops/drive_moves.h: chance, and curves of time and of steps."""

from dataclasses import dataclass, field

import numpy as np

STEP_S = 0.02


def ease(x: float) -> float:
    return 3 * x**2 - 2 * x**3


def between(curve: np.ndarray, position: float, before: float = 0.0) -> float:
    """A curve of steps, linear between them, and what it was before the first."""
    return float(np.interp(position, np.arange(-1, len(curve)), np.concatenate([[before], curve])))


def low_pass(curve: np.ndarray, seconds: float, before: float = 0.0) -> np.ndarray:
    out, mean = np.empty(len(curve)), before
    for j, value in enumerate(curve):
        mean += STEP_S / (seconds + STEP_S) * (value - mean)
        out[j] = mean
    return out


def eased(curve: np.ndarray, seconds: float, before: float = 0.0) -> np.ndarray:
    for _ in range(3):
        curve = low_pass(curve, seconds, before)
    return curve


class Random:
    """SplitMix64 (Steele, Lea and Flood 2014)."""

    def __init__(self, seed: int, stream: int) -> None:
        self.state = self.scramble(seed + stream * 0xD1B54A32D192ED03)

    @staticmethod
    def scramble(z: int) -> int:
        z %= 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    def uniform(self) -> float:
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        return (self.scramble(self.state) >> 11) / 2**53

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.uniform()

    def about_zero(self) -> float:
        return self.uniform() + self.uniform() - 1


@dataclass
class Bump:
    """0, up to amount, and back to 0."""

    start: float
    rise: float
    hold: float
    fall: float
    amount: float

    def at(self, time: float) -> float:
        end = self.start + self.rise + self.hold + self.fall
        up = ease(min(max((time - self.start) / self.rise, 0.0), 1.0))
        down = ease(min(max((end - time) / self.fall, 0.0), 1.0))
        return self.amount * min(up, down)


@dataclass
class Path:
    """A place that moves now and then, and rests between."""

    moves: list[tuple[float, float, np.ndarray]] = field(default_factory=list)  # start, duration, to

    def end(self, axes: int) -> np.ndarray:
        return self.moves[-1][2] if self.moves else np.zeros(axes)

    def at(self, time: float, axes: int) -> np.ndarray:
        place = np.zeros(axes)
        for start, duration, to in self.moves:
            x = min(max((time - start) / duration, 0.0), 1.0)
            place = place + (to - place) * (10 * x**3 - 15 * x**4 + 6 * x**5)
        return place
