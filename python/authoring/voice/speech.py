# SPDX-License-Identifier: Apache-2.0
"""What every synthesiser hands over: sound, and which phoneme begins when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .export import Array


@dataclass(frozen=True)
class Phoneme:
    start_s: float
    name: str  # IPA; empty: a pause


@dataclass(frozen=True)
class Speech:
    samples: Array  # [n] float32 in [-1, 1]
    rate_hz: int
    phonemes: tuple[Phoneme, ...]  # by time; the last one ends with the sound
    stops_at_burst: bool = True  # where an unvoiced stop's event is; else at the beginning of its hold


def save_takes(path: Path, takes: Sequence[Speech], source: str) -> None:
    """Keep speech that is slow to synthesise, in an .npz: sound as 16-bit integers, phonemes by take.

    source: who says it, and its licence. Raises ValueError where there are none.
    """
    if not takes:
        raise ValueError(f"takes to keep in {path} must be one or more; nothing was said. Is what speaks installed?")
    np.savez(
        path,
        source=source,
        samples=np.round(np.clip(np.concatenate([t.samples for t in takes]), -1, 1) * 32767).astype(np.int16),
        length=np.array([len(t.samples) for t in takes]),
        rate_hz=np.array([t.rate_hz for t in takes]),
        stops_at_burst=np.array([t.stops_at_burst for t in takes]),
        phonemes=np.array([len(t.phonemes) for t in takes]),
        start_s=np.array([p.start_s for t in takes for p in t.phonemes]),
        name=np.array([p.name for t in takes for p in t.phonemes]),
    )


def load_takes(path: Path) -> list[Speech]:
    """What save_takes kept."""
    with np.load(path) as file:
        sounds = np.split(file["samples"].astype(np.float32) / 32767, np.cumsum(file["length"])[:-1])
        events = [Phoneme(float(t), str(n)) for t, n in zip(file["start_s"], file["name"], strict=True)]
        last = np.cumsum(file["phonemes"])
        return [
            Speech(x, int(rate_hz), tuple(events[end - count : end]), bool(burst))
            for x, rate_hz, count, end, burst in zip(
                sounds, file["rate_hz"], file["phonemes"], last, file["stops_at_burst"], strict=True
            )
        ]


def source_of(path: Path) -> str:
    """Whose takes a file holds, and how many. Raises ValueError for a file that does not say it."""
    with np.load(path) as file:
        if "source" not in file:
            raise ValueError(f"takes {path} do not name their source: make them again by authoring.voice.takes.")
        return f"{len(file['length'])} of {file['source']}"
