# SPDX-License-Identifier: Apache-2.0
"""Sounds that can be told apart at every moment, files of them, and how far two are apart."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def chirps(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> Samples:
    """[n,channels]: band-limited noise below 1.5 kHz, 0.1 in standard deviation, whose correlation has one peak."""
    n = round(seconds * rate)
    noise = np.random.default_rng(seed).normal(size=(n, channels))
    spectrum = np.fft.rfft(noise, axis=0)
    hertz = np.fft.rfftfreq(n, 1 / rate)
    spectrum[(hertz < 100) | (hertz > 1500)] = 0
    sound = np.fft.irfft(spectrum, n, axis=0)
    return (0.1 * sound / sound.std()).astype(np.float32)


def lag_s(heard: NDArray[Any], played: NDArray[Any], rate: int) -> float:
    """Seconds by which `heard` [n] is late."""
    n = min(len(heard), len(played))
    spectra = np.fft.rfft(heard[:n], 2 * n) * np.conj(np.fft.rfft(played[:n], 2 * n))
    peak = int(np.argmax(np.fft.irfft(spectra)))
    return (peak if peak < n else peak - 2 * n) / rate


def write_sound(
    path: Path,
    samples: NDArray[Any],
    rate: int,
    codec: str,
    kind: str = "fltp",
    start_s: float = 0.0,
    picture_s: float | None = None,
    form: str | None = None,
) -> Path:
    """A file of [n,channels] samples. With picture_s: a video whose first picture is shown then, the sound at start_s.

    kind: PyAV's name of the encoder's sample format.
    """
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[samples.shape[1]]
    dtype = {"flt": np.float32, "s16": np.int16, "dbl": np.float64, "s32": np.int32, "u8": np.uint8}[kind.rstrip("p")]
    if dtype == np.uint8:
        made = np.round(samples * 127 + 128).astype(np.uint8)
    elif np.issubdtype(dtype, np.integer):
        made = np.round(samples.astype(np.float64) * np.iinfo(dtype).max).astype(dtype)
    else:
        made = samples.astype(dtype)
    with av.open(str(path), "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.layout, stream.format = layout, kind
        if codec in ("aac", "libmp3lame", "libopus", "mp2"):
            stream.bit_rate = 128_000 if samples.shape[1] < 3 else 512_000
        if picture_s is not None:
            pictures: Any = container.add_stream("mpeg1video" if path.suffix == ".mpg" else "mpeg4", rate=25)
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
            pictures.bit_rate = 200_000
            for i in range(round(len(samples) / rate * 25)):
                picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))
                picture.pts, picture.time_base = i + round(picture_s * 25), Fraction(1, 25)
                container.mux(pictures.encode(picture))
            container.mux(pictures.encode(None))
        for start in range(0, len(made), rate):
            block = made[start : start + rate]
            frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format=kind.rstrip("p"), layout=layout)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = start + round(start_s * rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def all_samples(audio: Any) -> Samples:
    return np.concatenate(list(audio.blocks()))
