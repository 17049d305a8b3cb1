# SPDX-License-Identifier: Apache-2.0
"""What speech costs beside the picture: the voice that turns sound into controls, and the video of both."""

from __future__ import annotations

import os
import tempfile
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._arrays import FloatArray

if TYPE_CHECKING:
    from ..avatar import Avatar

WARM_UP = 10
ENCODED_BYTES = 100_000_000  # of pictures that are kept to be encoded


class Spoken(NamedTuple):
    """What the built-in voice makes of the built-in sound, said over and over."""

    controls: dict[str, FloatArray]  # [T,size] by input
    voice_us: FloatArray  # [T] from a frame's samples to its control
    fps: float


def speak(head: Avatar, frames: int) -> Spoken:
    """The controls of so many frames, each made of the sound of its own time, as live sound comes."""
    from .. import _core
    from ..audio import load_audio
    from ..speech import builtin_voice, speech_fps

    sound, rate = load_audio("sample")
    fps = speech_fps(head.fps)
    speech = _core.Speech(head.engine._core, builtin_voice(), rate, 1, fps, 0, 1.0, 1.0, 1.0)
    rows: list[FloatArray] = []
    voice_us: list[float] = []
    for k in range(frames + WARM_UP + int(2 * fps)):  # two seconds more: of look-ahead
        at = np.arange(_core.first_sample(k, rate, fps), _core.first_sample(k + 1, rate, fps))
        part = sound[at % len(sound), None]
        begin = time.perf_counter()
        speech.push(part)
        rows.append(speech.read_control(head._core))
        voice_us.append((time.perf_counter() - begin) * 1e6)
    controls = np.concatenate(rows)[:frames]
    by_input = {name: controls[:, into.columns] for name, into in head.inputs.items()}
    return Spoken(by_input, np.array(voice_us[WARM_UP : WARM_UP + frames], np.float32), fps)


def encode_us(head: Avatar, spoken: Spoken, size: tuple[int, int]) -> float | None:
    """A frame's share of an H.264 file with sound, without drawing. None for sizes that H.264 has not."""
    from ..video import open_video

    width, height = size
    if width % 2 or height % 2:
        return None
    n = min(len(spoken.voice_us), max(ENCODED_BYTES // (width * height * 3 // 2), 2))
    controls = ({name: rows[i] for name, rows in spoken.controls.items()} for i in range(n))
    pictures = [head.render_frame(control, size, format="nv12").image for control in controls]
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        with open_video(os.path.join(folder, "bench.mp4"), spoken.fps, size, "nv12", None) as writer:
            for picture in pictures:
                writer.write(picture, None)
        return (time.perf_counter() - begin) * 1e6 / n
