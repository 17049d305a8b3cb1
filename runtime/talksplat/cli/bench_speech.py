# SPDX-License-Identifier: Apache-2.0
"""What speech costs beside the picture: the voice or the encoder that hears it, and the video of both."""

from __future__ import annotations

import os
import tempfile
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._arrays import FloatArray

if TYPE_CHECKING:
    from ..avatar import Avatar
    from ..encoders.encoder import Encoder

WARM_UP = 10
ENCODED_BYTES = 100_000_000  # of pictures that are kept to be encoded
FEATURE_FRAMES = 1000  # whose windows of features are kept, for frames that may be many more


class Spoken(NamedTuple):
    """What the built-in voice, or an encoder, makes of the built-in sound, said over and over."""

    controls: dict[str, FloatArray]  # [T,size] by input
    heard_us: FloatArray  # [T] from a frame's samples to what was heard; an encoder makes several frames in one of them
    moved_us: FloatArray | None  # [T] from that to the control; None: it is what an encoder makes
    fps: float


def speak(head: Avatar, frames: int, encoder: Encoder | None = None) -> Spoken:
    """The controls of so many frames, each made of the sound of its own time, as live sound comes.

    Raises EncoderInvalid where the encoder's features are not those that the avatar hears.
    """
    from ..audio import load_audio

    sound, rate = load_audio("sample")
    return _by_voice(head, frames, sound, rate) if encoder is None else _encoded(head, frames, sound, rate, encoder)


def _by_voice(head: Avatar, frames: int, sound: FloatArray, rate: int) -> Spoken:
    from .. import _core
    from ..speech import builtin_voice, speech_fps

    fps = speech_fps(head.fps)
    speech = _core.Speech(head.engine._core, builtin_voice(), rate, 1, fps, 0, 1.0, 1.0, 1.0)
    rows: list[FloatArray] = []
    times = []
    for k in range(frames + WARM_UP + int(2 * fps)):  # two seconds more: of look-ahead
        part = _frame(sound, k, rate, fps)
        begin = time.perf_counter()
        speech.push(part)
        heard = time.perf_counter()
        rows.append(speech.read_control(head._core))
        times.append((heard - begin, time.perf_counter() - heard))
    controls = np.concatenate(rows)[:frames]
    by_input = {name: controls[:, into.columns] for name, into in head.inputs.items()}
    heard_us, moved_us = np.array(times[WARM_UP : WARM_UP + frames], np.float32).T * 1e6
    return Spoken(by_input, heard_us, moved_us, fps)


def _encoded(head: Avatar, frames: int, sound: FloatArray, rate: int, encoder: Encoder) -> Spoken:
    """What it does not hear rests."""
    frames = min(frames, FEATURE_FRAMES)
    track = head.encoded("bench", encoder)
    track.listen(rate, 1)
    heard_us: list[float] = []
    while track.ready < frames or len(heard_us) < frames + WARM_UP:
        part = _frame(sound, len(heard_us), rate, head.fps)
        begin = time.perf_counter()
        track.hear(part, False)
        heard_us.append((time.perf_counter() - begin) * 1e6)
    rest = {name: np.tile(into.default, (frames, 1)) for name, into in head.inputs.items()}
    return Spoken({**rest, **track.windows(0, frames)}, np.array(heard_us[WARM_UP:], np.float32), None, head.fps)


def _frame(sound: FloatArray, k: int, rate: int, fps: float) -> FloatArray:
    """[n,1]: the samples of frame k of a sound without end."""
    from .. import _core

    at = np.arange(_core.first_sample(k, rate, fps), _core.first_sample(k + 1, rate, fps))
    return sound[at % len(sound), None]


def encode_us(head: Avatar, spoken: Spoken, size: tuple[int, int]) -> float | None:
    """A frame's share of an H.264 file with sound, without drawing. None for sizes that H.264 has not."""
    from ..video import open_video

    width, height = size
    if width % 2 or height % 2:
        return None
    n = min(len(next(iter(spoken.controls.values()))), max(ENCODED_BYTES // (width * height * 3 // 2), 2))
    controls = ({name: rows[i] for name, rows in spoken.controls.items()} for i in range(n))
    pictures = [head.render_frame(control, size, format="nv12").image for control in controls]
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        with open_video(os.path.join(folder, "bench.mp4"), spoken.fps, size, "nv12", None) as writer:
            for picture in pictures:
                writer.write(picture, None)
        return (time.perf_counter() - begin) * 1e6 / n
