# SPDX-License-Identifier: Apache-2.0
"""Voices of random weights, and speech through the core."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend, engine_of
from reference.encode import Encoded, encode_ref
from talksplat import _core
from talksplat.authoring.voice.export import CHANNELS, random_voice, tower, write_voice

__all__ = ["CHANNELS", "STEP", "KnownVoice", "faces", "make_voice", "noise", "steps", "tower", "tune"]

STEP = 320  # samples of 16 kHz sound in a step


@dataclass(frozen=True)
class KnownVoice:
    """A voice in the core, and what its file says."""

    core: _core.Voice
    path: Path
    manifest: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]

    @property
    def look_ahead(self) -> int:
        return int(self.manifest["look_ahead_steps"])

    def steps_ref(self, sound: np.ndarray, n: int, dtype: Any = np.float64) -> Encoded:
        """Face steps 0 to n - 1 of 16 kHz mono sound, by the oracle; dtype: the network's."""
        first = self.look_ahead - 1
        encoded = encode_ref(sound, n + max(first, 0), self.manifest, self.tensors, dtype)
        rows = np.maximum(np.arange(n) + first, 0)
        return Encoded(encoded.channel[rows], encoded.feature[rows])


def make_voice(folder: Path, *, seed: int = 0, n_mels: int = 40, towers: Sequence[Any] | None = None,
               dtype: type[np.floating[Any]] = np.float16, **changes: Any) -> KnownVoice:  # fmt: skip
    manifest, tensors = random_voice(seed, n_mels=n_mels, towers=towers, dtype=dtype)
    manifest = {**manifest, **changes}  # type: ignore[typeddict-item]
    path = folder / "voice.safetensors"
    write_voice(path, manifest, tensors)
    return KnownVoice(_core.Voice(str(path)), path, manifest, tensors)


def noise(n: int, seed: int = 0, channels: int | None = None) -> np.ndarray:
    """Noise whose loudness rises and falls, float32 within +-1."""
    rng = np.random.default_rng(seed)
    shape = (n,) if channels is None else (n, channels)
    envelope = 0.02 + 0.3 * np.sin(np.arange(n) / 2500) ** 2
    x = rng.normal(size=shape).T * envelope
    return np.ascontiguousarray(np.clip(x.T, -1, 1).astype(np.float32))


def tune(n: int, rate_hz: float, start_s: float = 0.0, top_hz: float = 5500) -> np.ndarray:
    """[n] float32: the same sound at any rate, partials of 70 Hz to top_hz that come and go."""
    rng = np.random.default_rng(7)
    t = start_s + np.arange(n) / rate_hz
    x = np.zeros(n)
    for hz in np.arange(70, top_hz, 71):
        beat, phase = rng.uniform(1, 5), rng.uniform(0, 6.28, 2)
        x += 0.01 * np.sin(2 * np.pi * hz * t + phase[0]) * (1 + np.sin(2 * np.pi * beat * t + phase[1]))
    return x.astype(np.float32)


def faces(voice: KnownVoice, samples: np.ndarray, rate_hz: int = 16000, fps: float = 25, *,
          chunks: Iterable[int] | None = None, backend: Backend | None = None,
          **options: Any) -> dict[str, np.ndarray]:  # fmt: skip
    """All frames of the samples ([n] or [n,channels]), pushed in chunks of the given sizes and then the rest."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    speech = _core.Speech(engine_of(backend)._core, voice.core, rate_hz, channels, fps, **options)
    parts, at = [], 0
    for size in () if chunks is None else chunks:
        speech.push(samples[at : at + size])
        at += size
        parts.append(speech.read())
    speech.push(samples[at:])
    speech.finish()
    parts.append(speech.read())
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def steps(voice: KnownVoice, samples: np.ndarray, rate_hz: int = 16000, **options: Any) -> Encoded:
    """The network's face steps: at 50 frames a second a frame is a step."""
    read = faces(voice, samples, rate_hz, 50.0, **options)
    return Encoded(read["channel"], read["feature"])
