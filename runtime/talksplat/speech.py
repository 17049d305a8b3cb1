# SPDX-License-Identifier: Apache-2.0
"""Speech to the motion of a face, by the built-in voice or one of a file."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from . import _core
from ._arrays import FloatArray, as_count, as_number
from ._assets import VOICE
from .arkit import ARKIT_NAMES
from .audio import open_audio
from .audio_blocks import Audio
from .engine import Engine, shared_engine
from .motions import Motion

MIN_FPS, MAX_FPS, MAX_AMOUNT = _core.MIN_FPS, _core.MAX_FPS, _core.MAX_AMOUNT
DEFAULT_FPS = 25.0
_MOTION_ARRAYS = ("weight", "head_pose", "voice", "feature")


@dataclass(frozen=True, eq=False, repr=False)
class SpeechMotion(Motion):
    """What motion() hears: a Motion of the 52 ARKit weights, with inputs["head_pose"].

    voice: [T] how surely someone speaks at that frame, 0..1.
    features: [T,n] what the voice model knows of the sound around that frame, for avatars and models that want it.
    """

    voice: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    features: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))


@functools.lru_cache(maxsize=1)
def builtin_voice() -> _core.Voice:
    """The voice of the package, loaded once. Raises VoiceInvalid."""
    return _core.Voice(os.fsencode(VOICE))


def open_voice(who: str, voice: str | os.PathLike[str] | None) -> _core.Voice:
    """The voice of a file, or of the package. Raises VoiceInvalid, and ValueError if it is not a path."""
    if voice is None:
        return builtin_voice()
    if not isinstance(voice, (str, os.PathLike)):
        raise ValueError(f"{who}: voice must be a voice file's path, or None for the one built in; got {voice!r}.")
    return _core.Voice(os.fsencode(voice))


Frames = TypeVar("Frames")


@dataclass(frozen=True, eq=False)
class Heard(Generic[Frames]):
    """A block of sound, and the frames that it made ready: those of earlier sound, too, by the look-ahead."""

    sound: FloatArray  # [n,channels]
    frames: Frames
    last: bool  # no sound in it: the rest of the frames


class Hearing:
    """A sound that is being listened to: arguments are checked here, and faces() or controls() reads it, once."""

    def __init__(
        self, who: str, engine: Engine, audio: Audio, fps: Any, seed: Any, mouth: Any, head: Any, blink: Any, voice: Any
    ) -> None:
        self.audio = audio
        self.fps = as_number(f"{who}: fps", fps)
        if not MIN_FPS <= self.fps <= MAX_FPS:
            raise ValueError(f"{who}: fps must be {MIN_FPS:g} to {MAX_FPS:g}; got {fps!r}.")
        self._speech = _core.Speech(
            engine._core,
            open_voice(who, voice),
            audio.rate,
            audio.channels,
            self.fps,
            as_count(f"{who}: seed", seed, 0),
            _amount(f"{who}: mouth", mouth),
            _amount(f"{who}: head", head),
            _amount(f"{who}: blink", blink),
        )

    def faces(self) -> Iterator[Heard[dict[str, FloatArray]]]:
        """weight [T,52], head_pose [T,3], voice [T], channel [T,n] and feature [T,n] of the frames that are ready."""
        return self._heard(self._speech.read)

    def controls(self, avatar: _core.Avatar) -> Iterator[Heard[FloatArray]]:
        """[T,n_control] of an avatar that speaks. Raises ValueError here where the voice does not fit it."""
        self._speech.read_control(avatar, 0)
        return self._heard(lambda: self._speech.read_control(avatar))

    def face_controls(self, avatar: _core.Avatar) -> Iterator[Heard[FloatArray]]:
        """[T,n_control] of an avatar that hears something else: what the face moves, and the defaults."""
        return self._heard(lambda: self._moved(avatar))

    def _moved(self, avatar: _core.Avatar) -> FloatArray:
        face = self._speech.read()
        return avatar.retarget(face["weight"], [True] * len(ARKIT_NAMES), face["head_pose"])[0]

    def _heard(self, read: Callable[[], Frames]) -> Iterator[Heard[Frames]]:
        for block in self.audio.blocks():
            self._speech.push(block)
            yield Heard(block, read(), last=False)
        self._speech.finish()
        yield Heard(np.zeros((0, self.audio.channels), np.float32), read(), last=True)


def speech_fps(fps: float) -> float:
    """The rate of an avatar, where faces can have it."""
    return fps if MIN_FPS <= fps <= MAX_FPS else DEFAULT_FPS


def frame_count(audio: Audio, fps: float) -> int | None:
    """How many frames there will be, as far as the sound says how long it is."""
    if audio.seconds is None:
        return None
    return max(1, _core.frame_count(round(audio.seconds * audio.rate), audio.rate, fps))


def _amount(who: str, value: Any) -> float:
    amount = as_number(who, value)
    if not 0 <= amount <= MAX_AMOUNT:
        raise ValueError(f"{who} must be 0 to {MAX_AMOUNT:g}, 1 as the voice has it; got {value!r}.")
    return amount


def motion(
    audio: Any,
    fps: float = DEFAULT_FPS,
    *,
    sample_rate: int | None = None,
    seed: int = 0,
    mouth: float = 1.0,
    head: float = 1.0,
    blink: float = 1.0,
    voice: str | os.PathLike[str] | None = None,
) -> SpeechMotion:
    """The motion of a face that speaks: frame k is the face at k / fps seconds of the sound.

    audio: a path (sound or video), bytes or a binary file, "sample" (built in), or an array with its sample_rate:
    [n] or [n,channels], int16 or float with full scale at 1, 8..192 kHz; the mean of the channels is heard. Time 0
    of a video is its first picture.
    fps: 20..60.  seed: of blinks, gaze and head motion.  mouth, head, blink: amounts, 0..2; 0 is none (head, blink).
    voice: a voice file, as `talksplat voice adapt` writes; None for the one built in.
    Returns ceil(seconds · fps) frames. Raises AudioInvalid for the sound, which says what is wrong and where,
    VoiceInvalid for the voice file, and ValueError for arguments.
    """
    engine = shared_engine("motion", 1, "cpu")
    hearing = Hearing("motion", engine, open_audio("motion", audio, sample_rate), fps, seed, mouth, head, blink, voice)
    # The sound itself is not kept.
    heard = [tuple(block.frames[name] for name in _MOTION_ARRAYS) for block in hearing.faces()]
    weight, head_pose, speaks, feature = (np.concatenate(rows) for rows in zip(*heard, strict=True))
    return SpeechMotion(hearing.fps, weight, ARKIT_NAMES, {"head_pose": head_pose}, voice=speaks, features=feature)
