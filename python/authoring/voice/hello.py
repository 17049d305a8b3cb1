# SPDX-License-Identifier: Apache-2.0
"""The sample sentence that ships with talksplat, spoken by eSpeak NG.

python -m talksplat.authoring.voice.hello hello.flac
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .espeak import Espeak
from .export import Array

TEXT = "Hello! I am a talking head, made by talksplat. My lips move with every word, and I am very happy to be here."
VOICE, RATE, PITCH, PITCH_RANGE = "en-us", 155, 45, 60
PEAK, LEAD_S, TAIL_S = 0.7, 0.35, 0.5


def hello() -> tuple[Array, int]:
    """The sentence as [n] int16 mono and its rate, Hz."""
    speech = Espeak.shared().speak(TEXT, VOICE, rate=RATE, pitch=PITCH, pitch_range=PITCH_RANGE)
    loud = np.flatnonzero(np.abs(speech.samples) > 1e-3)
    x = speech.samples[loud[0] : loud[-1] + 1]
    x = np.pad(x * (PEAK / np.abs(x).max()), (round(LEAD_S * speech.rate_hz), round(TAIL_S * speech.rate_hz)))
    return np.round(x * 32767).astype(np.int16), speech.rate_hz


def write_flac(path: Path, samples: Array, rate_hz: int) -> None:
    """samples: [n] int16 mono."""
    av: Any = importlib.import_module("av")
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate_hz, layout="mono")
        stream.options = {"compression_level": "12"}
        for first in range(0, len(samples), 4096):
            part = np.ascontiguousarray(samples[first : first + 4096][None])
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate_hz, first, Fraction(1, rate_hz)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the .flac to write")
    write_flac(parser.parse_args(arguments).out, *hello())


if __name__ == "__main__":
    main()
