# SPDX-License-Identifier: Apache-2.0
"""An actor's take of FACEGOOD-Audio2Face (MIT): 49 s of speech with the weights of its own rig, at 30 fps.

The first 34 s may be trained on (`--facegood`), the last 15 s are the test.
"""

from __future__ import annotations

import warnings
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .export import RATE_HZ, Array

FPS = 30.0
TEST_S = 15.0
SOUND, WEIGHTS, NAMES = "1114_3_15.wav", "bs_value_1114_3_15.npy", "shirley_1119_bs_name316.npy"
# The rig fires its funnel on "s" too, and only its jaw carries much; what is not here is left alone.
RIG_NAMES: dict[str, tuple[str, ...]] = {
    "jawOpen": ("mouth_stretch_c",),
    "mouthFunnel": ("mouth_funnel_dl", "mouth_funnel_dr", "mouth_funnel_ul", "mouth_funnel_ur"),
    "mouthPucker": ("mouth_oh_c",),
    "mouthRollLower": ("mouth_suck_dl", "mouth_suck_dr"),
    "mouthRollUpper": ("mouth_suck_ul", "mouth_suck_ur"),
    "mouthLowerDown": ("mouth_lowerLipDepress_l", "mouth_lowerLipDepress_r"),
    "mouthUpperUp": ("mouth_upperLipRaise_l", "mouth_upperLipRaise_r"),
}


@dataclass(frozen=True)
class Take:
    samples: Array  # [n] float32, 16 kHz
    curves: dict[str, Array]  # by ARKit name without a side, each [frames], frame k at k / FPS


def load(folder: Path) -> Take:
    """Read the take from the folder of its three files. Raises ValueError if they are not what they should be."""
    with wave.open(str(folder / SOUND), "rb") as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE_HZ, 1, 2):
            raise ValueError(f"{folder / SOUND} must be 16 kHz mono 16-bit; got {file.getparams()}.")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # numpy's advice to save files of Python 2 again
        weights = np.load(folder / WEIGHTS, allow_pickle=False)
        names = [str(name) for name in np.load(folder / NAMES, allow_pickle=False)]
    if weights.ndim != 2 or weights.shape[1] != len(names):
        raise ValueError(f"{folder / WEIGHTS} must have {len(names)} columns; got {weights.shape}.")
    curves = {
        channel: np.mean([weights[:, names.index(rig)] for rig in rigs], axis=0) for channel, rigs in RIG_NAMES.items()
    }
    return Take(samples, curves)
