# SPDX-License-Identifier: Apache-2.0
"""Sounds that nobody says, at all levels: the face must rest through them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .export import RATE_HZ, Array

LEVEL_DB = (-55.0, -3.0)  # RMS of full scale
Maker = Callable[[np.random.Generator, int], Array]


def noise(rng: np.random.Generator, n: int) -> Array:
    """Gaussian noise whose power goes with frequency to a power of -2.5..1 (brown, pink, white, blue), 1 in 3 white."""
    spectrum = np.fft.rfft(rng.normal(size=n))
    if rng.random() < 0.67:
        f = np.maximum(np.arange(len(spectrum)) * RATE_HZ / n, 40.0)
        spectrum *= f ** (rng.uniform(-2.5, 1.0) / 2)
        if rng.random() < 0.3:
            spectrum[f > rng.uniform(1000, 7000)] *= 0.05
        if rng.random() < 0.3:
            spectrum[f < rng.uniform(100, 2000)] *= 0.05
    return np.asarray(np.fft.irfft(spectrum, n))


def tone(rng: np.random.Generator, n: int) -> Array:
    """A steady tone of 40..7000 Hz, sometimes with a few harmonics, a slow swell, or a little noise."""
    f = np.exp(rng.uniform(np.log(40), np.log(7000)))
    t = np.arange(n) / RATE_HZ
    out = np.sin(2 * np.pi * f * t + rng.uniform(0, 6.28))
    if rng.random() < 0.3:
        for k in range(2, int(rng.integers(3, 8))):
            if k * f < 7800:
                out += np.sin(2 * np.pi * k * f * t + rng.uniform(0, 6.28)) * rng.uniform(0, 1.2) / k
    if rng.random() < 0.2:
        out = out * (1 + rng.uniform(0, 0.5) * np.sin(2 * np.pi * rng.uniform(0.2, 8) * t))
    if rng.random() < 0.4:
        out += rng.normal(size=n) * 10 ** (-rng.uniform(15, 60) / 20)
    return np.asarray(out)


def sweep(rng: np.random.Generator, n: int) -> Array:
    """A tone that glides between two pitches."""
    a, b = np.exp(rng.uniform(np.log(80), np.log(5000), 2))
    phase = np.cumsum(a * (b / a) ** (np.arange(n) / n)) * 2 * np.pi / RATE_HZ
    return np.asarray(np.sin(phase))


def hum(rng: np.random.Generator, n: int) -> Array:
    """Mains hum of 50 or 60 Hz with its harmonics, and hiss."""
    f = rng.choice([50.0, 60.0]) * rng.uniform(0.995, 1.005)
    t = np.arange(n) / RATE_HZ
    fall = rng.uniform(0.4, 2.5)
    odd = rng.random() < 0.4
    out = np.zeros(n)
    for k in range(1, int(rng.integers(2, 40)), 2 if odd else 1):
        out += np.sin(2 * np.pi * k * f * t + rng.uniform(0, 6.28)) * rng.uniform(0.3, 1) / k**fall
    return np.asarray(out + noise(rng, n) * 10 ** (-rng.uniform(15, 60) / 20))


def music(rng: np.random.Generator, n: int) -> Array:
    """Chords or arpeggios of plucked or held notes with harmonics."""
    out = np.zeros(n)
    root = np.exp(rng.uniform(np.log(80), np.log(500)))
    scale = [0, 2, 4, 5, 7, 9, 11, 12, 14, 16]
    beat = int(rng.uniform(0.12, 0.6) * RATE_HZ)
    held = rng.random() < 0.4
    fall = rng.uniform(0.7, 2.0)
    for first in range(0, n, beat):
        for note in rng.choice(scale, int(rng.integers(1, 4))):
            f = root * 2 ** (note / 12)
            t = np.arange(min(n - first, 3 * beat)) / RATE_HZ
            envelope = np.minimum(1, t / 0.01) * np.exp(-t * (1.0 if held else rng.uniform(3, 12)))
            for k in range(1, 8):
                if k * f < 7500:
                    partial = np.sin(2 * np.pi * k * f * t + rng.uniform(0, 6.28)) / k**fall
                    out[first : first + len(t)] += envelope * partial
    return out


def clicks(rng: np.random.Generator, n: int) -> Array:
    """Short bursts: keys, knocks, pops."""
    out = rng.normal(size=n) * 10 ** (-rng.uniform(40, 70) / 20)
    for at in rng.integers(0, n, int(rng.integers(1, 12))):
        length = int(rng.uniform(0.0005, 0.03) * RATE_HZ)
        burst = rng.normal(size=length) * np.exp(-5 * np.arange(length) / length)
        out[at : at + length] += burst[: n - at] * rng.uniform(1, 6)
    return out


def silence(rng: np.random.Generator, n: int) -> Array:
    """Digital silence, or hiss too quiet to matter."""
    return np.zeros(n) if rng.random() < 0.4 else rng.normal(size=n) * 10 ** (-rng.uniform(60, 95) / 20)


MAKERS: tuple[tuple[Maker, float], ...] = (
    (noise, 0.3), (tone, 0.28), (hum, 0.12), (music, 0.12), (silence, 0.08), (sweep, 0.05), (clicks, 0.05),
)  # fmt: skip


def interruptions(rng: np.random.Generator, n: int) -> Array:
    """[n] 0..1: sounds begin late, stop and go on, end early, most of them without a warning."""
    if rng.random() < 0.25:
        return np.ones(n)
    edges = np.sort(rng.integers(0, n, int(rng.integers(1, 7))))
    on = (np.searchsorted(edges, np.arange(n), "right") + rng.integers(2)) % 2 == 1
    if rng.random() < 0.7:
        return np.asarray(on, np.float64)
    fade = int(rng.uniform(0.002, 0.05) * RATE_HZ)
    return np.convolve(on, np.ones(fade) / fade, "same")


def draw(rng: np.random.Generator, n: int, *, steady: bool = False) -> Array:
    """[n] float32 of some sound; its level is drawn; unless `steady` it may stop and go on."""
    makers = [m for m, _ in MAKERS if not (steady and m in (silence, clicks))]
    shares = np.array([share for m, share in MAKERS if m in makers])
    make = makers[int(rng.choice(len(makers), p=shares / shares.sum()))]
    x = make(rng, n)
    if make is not silence:
        x = x * (10 ** (rng.uniform(*LEVEL_DB) / 20) / np.sqrt(np.mean(x**2) + 1e-12))
        if not steady:
            x = x * interruptions(rng, n)
    return np.clip(x, -1, 1).astype(np.float32)
