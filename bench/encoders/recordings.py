# SPDX-License-Identifier: Apache-2.0
"""What the benches of encoders hear."""

from pathlib import Path

import numpy as np

from talksplat.authoring.voice.evaluate import read_sound
from talksplat.encoders.folder import RATE_HZ

HALF_MINUTE = 30 * RATE_HZ


def recordings(shared: Path) -> dict[str, np.ndarray]:
    """The first half minute of each recording of speech by name, [n] float32 of 16 kHz."""
    folder = shared / "data" / "audio"
    paths = [*sorted(folder.glob("ljspeech/*.flac"))[:8], *sorted(folder.glob("en_*.wav"))]
    return {path.stem: read_sound(path)[:HALF_MINUTE] for path in paths}
