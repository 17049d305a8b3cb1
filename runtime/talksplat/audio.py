"""Sound as blocks of samples: from files (PyAV decodes them), bytes and arrays, at the rate that they have."""

from __future__ import annotations

import io
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import FloatArray, as_count, shape_text
from ._assets import SAMPLE, builtin_path
from .errors import AudioInvalid

MIN_RATE, MAX_RATE = 8000, 192000  # of the core
MAX_CHANNELS = 8  # of the core
MAX_SAMPLE = 8.0  # of the core; full scale is 1
BLOCK_S = 0.25
INT16_SCALE = np.float32(1 / 32768)
_DTYPES = ("int16", "float32", "float64")
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


class Audio(ABC):
    """Sound that is read once, from its first sample to its last; sample n is at n / rate seconds.

    name: for messages.  rate: Hz.  channels: 1..8.  seconds: how long it claims to be, None where nothing tells.
    damaged: packets of a file that could not be decoded so far; they are silent.
    notes: remarks on what was met so far, sentences without a full stop; whole once the sound was read to its end.
    """

    name: str
    rate: int
    channels: int
    seconds: float | None
    damaged: int = 0

    @property
    def notes(self) -> list[str]:
        return []

    @abstractmethod
    def _chunks(self) -> Iterator[FloatArray]:
        """[n,channels] float32, of any length."""

    def blocks(self) -> Iterator[FloatArray]:
        """The samples, [n,channels] float32 with full scale at 1, about a quarter of a second at a time.

        Raises AudioInvalid where the sound cannot be read on, for numbers that are not finite or beyond 8 times full
        scale, and at the end if there was no sample.
        """
        least = int(self.rate * BLOCK_S)
        held: list[FloatArray] = []
        length = start = 0
        for chunk in self._chunks():
            self._require_sound(chunk, start + length)
            held.append(chunk)
            length += len(chunk)
            if length >= least:
                yield np.concatenate(held)
                start += length
                held, length = [], 0
        if length:
            yield np.concatenate(held)
        elif start == 0:
            raise AudioInvalid(f"{self.name}: has no sample in it. Give it a sound of at least one.")

    def _require_sound(self, chunk: FloatArray, start: int) -> None:
        # One pass for good sound: a NaN fails the comparison too.
        if chunk.size == 0 or max(-float(chunk.min()), float(chunk.max())) <= MAX_SAMPLE:
            return
        bad = ~(np.abs(chunk) <= MAX_SAMPLE)
        row, channel = (int(i) for i in np.argwhere(bad)[0])
        value = float(chunk[row, channel])
        where = f"sample {start + row} (at {(start + row) / self.rate:.3f} s)"
        if self.channels > 1:
            where += f", channel {channel}"
        if not np.isfinite(value):
            raise AudioInvalid(f"{self.name}: {where} must be finite; got {value}. Replace such samples, by 0 say.")
        raise AudioInvalid(
            f"{self.name}: {where} must be within ±{MAX_SAMPLE:g} (full scale is 1); got {value:.6g}. "
            "If they are 16-bit numbers, give them as int16 or divide them by 32768."
        )


def require_rate(who: str, rate: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioInvalid(
            f"{who}: its rate must be {MIN_RATE} to {MAX_RATE} Hz; got {rate} Hz. If the sound is good, convert it: "
            "ffmpeg -i IN -ar 48000 OUT.wav"
        )


def require_channels(who: str, channels: int) -> None:
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioInvalid(
            f"{who}: must have 1 to {MAX_CHANNELS} channels; got {channels}. Mix it down: ffmpeg -i IN -ac 2 OUT.wav"
        )


def open_audio(who: str, source: Any, sample_rate: Any = None) -> Audio:
    """Sound from what callers pass: "sample" (built in), a path, "-" (standard input), bytes or a binary file, or an
    array with its rate.

    Arrays are [n] or [n,channels], int16 or float32/float64 with full scale at 1.
    Raises AudioInvalid, which names the file and what was found in it, and ValueError for arguments.
    """
    if isinstance(source, Audio):
        return source
    if isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(source, "read"):
        if sample_rate is not None:
            raise ValueError(f"{who}: sample_rate is for arrays; a file states its own. Leave it out.")
        return _open_file(source)
    return _ArrayAudio(who, source, sample_rate)


def _open_file(source: Any) -> Audio:
    from .audio_file import AudioFile

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
        raise AudioInvalid(f"{name}: no such file.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise AudioInvalid(f"{name}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    return AudioFile(name, file)


class _ArrayAudio(Audio):
    def __init__(self, who: str, source: Any, sample_rate: Any) -> None:
        if sample_rate is None:
            raise ValueError(f"{who}: an array needs sample_rate, in Hz. Pass sample_rate=16000, say.")
        self.name = f"{who}: audio"
        self.rate = as_count(f"{who}: sample_rate", sample_rate, 1)
        require_rate(self.name, self.rate)
        self._samples = _samples(self.name, source)
        self.channels = self._samples.shape[1]
        if len(self._samples) == 0:
            raise AudioInvalid(f"{self.name}: has no sample in it. Give it a sound of at least one.")
        self.seconds = len(self._samples) / self.rate

    def _chunks(self) -> Iterator[FloatArray]:
        step = int(self.rate * BLOCK_S)
        for start in range(0, len(self._samples), step):
            yield as_float_samples(self._samples[start : start + step])


def _samples(who: str, source: Any) -> NDArray[Any]:
    if not isinstance(source, np.ndarray) and hasattr(source, "__dlpack__") and not hasattr(source, "__array__"):
        source = np.from_dlpack(source)
    try:
        array = np.asarray(source)
    except (TypeError, ValueError) as error:  # ragged sequences; tensors on another device
        raise ValueError(f"{who} must be a path, bytes, or an array of samples in CPU memory: {error}") from None
    if array.dtype.name not in _DTYPES:
        raise ValueError(
            f"{who} must be {', '.join(_DTYPES[:-1])} or {_DTYPES[-1]}, or a path; got {array.dtype}. "
            "Scale other kinds to float32, full scale at 1."
        )
    if array.ndim not in (1, 2):
        raise ValueError(f"{who} must be [n] or [n,channels]; got {shape_text(array.shape)}.")
    samples: NDArray[Any] = array.reshape(len(array), -1) if len(array) else array.reshape(0, 1)
    if samples.shape[1] > MAX_CHANNELS or samples.shape[1] == 0:
        raise ValueError(
            f"{who} must be [n] or [n,channels] with 1 to {MAX_CHANNELS} channels; got {shape_text(array.shape)}."
            + (" Are channels first? Pass its .T." if 1 <= len(array) <= MAX_CHANNELS else "")
        )
    return samples


def as_float_samples(samples: NDArray[Any]) -> FloatArray:
    """int16, or floats with full scale at 1, as C-contiguous float32."""
    if samples.dtype.kind == "i":  # of either byte order
        scaled: FloatArray = samples.astype(np.float32, order="C") * INT16_SCALE
        return scaled
    with np.errstate(over="ignore"):  # infinite then, and refused as that
        return np.ascontiguousarray(samples, np.float32)
