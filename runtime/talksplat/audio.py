# SPDX-License-Identifier: Apache-2.0
"""Sound from whatever callers pass: a file (PyAV decodes it), bytes, a stream or an array."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import numpy as np

from ._arrays import FloatArray
from ._assets import SAMPLE, builtin_path
from .audio_array import AudioArray
from .audio_blocks import Audio
from .errors import AudioInvalid

# Samples without a header: nothing in such a file says how they are to be read. With FFmpeg's name of the likely kind.
_RAW = {
    **{f".{name}": "s16le" for name in ("raw", "pcm", "s16", "s16le", "sw", "lin", "sln", "slin")},
    **{f".{name}": name for name in ("s16be", "u16le", "u16be", "s24le", "s24be", "u24le", "u24be", "s32le", "s32be",
                                     "u32le", "u32be", "f32le", "f32be", "f64le", "f64be", "s8", "u8")},
    ".f32": "f32le", ".f64": "f64le", ".s24": "s24le", ".s32": "s32le", ".uw": "u16le", ".sb": "s8", ".ub": "u8",
    **{f".{name}": "mulaw" for name in ("ul", "ulaw", "mulaw", "mu", "pcmu")},
    **{f".{name}": "alaw" for name in ("al", "alaw", "pcma")},
}  # fmt: skip
STDIN = "-"
_MOTION = (".csv", ".json", ".json.gz", ".npy", ".npz")


def open_audio(who: str, source: Any, sample_rate: Any = None) -> Audio:
    """Sound from what callers pass: "sample" (built in), a path, "-" (standard input), bytes or a binary file, or an
    array with its rate.

    Arrays are [n] or [n,channels], int16 or float32/float64 with full scale at 1.
    Raises AudioInvalid, which names the file and what was found in it, and ValueError for arguments.
    """
    if isinstance(source, Audio):
        return source
    if _is_file(source):
        if sample_rate is not None:
            raise ValueError(f"{who}: sample_rate is for arrays; a file states its own. Leave it out.")
        return _open_file(source)
    return AudioArray(who, source, sample_rate)


def _is_file(source: Any) -> bool:
    return isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(source, "read")


def load_audio(audio: Any) -> tuple[FloatArray, int]:
    """A whole sound, (samples, sample_rate): to feed a session from a file, say.

    audio: a path (sound or video), bytes or a binary file, or "sample" (built in).
    Returns [n] float32, or [n,channels] for more than one channel, full scale at 1, and its rate in Hz.
    Raises AudioInvalid, which says what is wrong and where.
    """
    if not _is_file(audio):
        raise ValueError(
            f"load_audio: audio must be a path, bytes or a binary file; got {type(audio).__name__}. "
            "Samples need no loading."
        )
    sound = open_audio("load_audio", audio)
    samples = np.concatenate(list(sound.blocks()))
    return samples[:, 0] if sound.channels == 1 else samples, sound.rate


def _open_file(source: Any) -> Audio:
    from .audio_file import AudioFile  # here: PyAV takes a while to import

    if isinstance(source, (bytes, bytearray, memoryview)):
        return AudioFile("audio bytes", io.BufferedReader(io.BytesIO(source)))
    if hasattr(source, "read"):
        return AudioFile(str(getattr(source, "name", "audio stream")), source, owned=False)
    if isinstance(source, str) and source == STDIN:  # "./-" is a file
        if sys.stdin is None:
            raise AudioInvalid("standard input is closed, and - reads the sound from it. Name a file.")
        return AudioFile("standard input", sys.stdin.buffer, owned=False)
    name = os.fsdecode(builtin_path(SAMPLE, source) or source)
    raw = _RAW.get(os.path.splitext(name)[1].lower())
    if raw is not None:
        rate = 8000 if raw in ("mulaw", "alaw") else 16000
        raise AudioInvalid(
            f"{name}: raw samples have no header that states their rate and kind. Give one with "
            f"ffmpeg -f {raw} -ar {rate} -ac 1 -i {name} OUT.wav, or pass an array with sample_rate."
        )
    if name.lower().endswith(_MOTION):
        raise AudioInvalid(
            f"{name}: is no sound. Recorded motion is for render --motion, and render_motion() in Python."
        )
    try:
        file = open(name, "rb")  # noqa: SIM115 (AudioFile closes it)
    except FileNotFoundError:
        hint = " The built-in sound is called sample." if name == "demo" else ""
        raise AudioInvalid(f"{name}: no such file.{hint}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise AudioInvalid(f"{name}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    return AudioFile(name, file)
