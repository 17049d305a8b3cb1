# SPDX-License-Identifier: Apache-2.0
"""listen, encode and drive of the voice that ships, and of one of random weights and half its size: 10 s of sound,
pushed by the 20 ms step and read by the frame of 25 a second, as a live stream does.

Times are of the whole stream on one thread. extra_info has microseconds of a step and of a frame, the operations and
the bytes of weights that a step takes, and what rates that makes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import Backend, present_backends
from reference.encode import encode_ref
from talksplat import _core
from talksplat._assets import VOICE
from talksplat.authoring.voice.export import random_voice, read_voice, tower, write_voice

SECONDS, RATE_HZ, STEP, FPS = 10, 16000, 320, 25.0


def make_random(folder: Path) -> Path:
    path = folder / "random.safetensors"
    usual = tower(width=96, heads=4, layers=3, window=48, taps=9, hidden=288)
    write_voice(path, *random_voice(towers=[usual]))
    return path


@pytest.fixture(scope="module", params=["shipped", "random"])
def voice_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return VOICE if request.param == "shipped" else make_random(tmp_path_factory.mktemp("voice"))


def step_flops(manifest: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> int:
    """Multiplications and additions of a step: every weight once, the window's scores and sums, two spectra."""
    weights = 2 * sum(value.size for value in tensors.values())
    attention = sum(4 * t["layers"] * t["width"] * t["window"] for t in manifest["towers"])
    spectrum = 2 * (10 * 256 // 2 * 8 + 12 * 256 + 2 * 400)
    return weights + attention + spectrum


def sound(rate_hz: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    n = SECONDS * rate_hz
    return (0.2 * np.sin(np.arange(n) * 6 / rate_hz) ** 2 * rng.normal(size=n)).clip(-1, 1).astype(np.float32)


def stream(speech: _core.Speech, samples: np.ndarray, chunk: int) -> int:
    speech.reset()
    frames = 0
    for at in range(0, len(samples), chunk):
        speech.push(samples[at : at + chunk])
        frames += len(speech.read()["voice"])
    speech.finish()
    return frames + len(speech.read()["voice"])


@pytest.mark.parametrize("backend", present_backends(), ids=str)
def test_speech(voice_file: Path, backend: Backend, benchmark: Any) -> None:
    voice = _core.Voice(str(voice_file))
    speech = _core.Speech(backend.engine()._core, voice, RATE_HZ, 1, FPS)
    samples = sound(RATE_HZ)
    frames = benchmark(stream, speech, samples, STEP)
    assert frames == SECONDS * FPS

    manifest, tensors = read_voice(voice_file)
    assert json.loads(voice.manifest)["towers"] == manifest["towers"]
    steps, step_s = SECONDS * 50, benchmark.stats.stats.median / (SECONDS * 50)
    flops = step_flops(manifest, tensors)
    # Both files have binary16 weights, which every CPU target but scalar reads as they are; biases are not counted.
    halves = backend.device == "cpu" and backend.isa != "scalar"
    weight_bytes = (2 if halves else 4) * sum(value.size for name, value in tensors.items() if value.ndim == 2)
    benchmark.extra_info |= {
        "isa": backend.isa,
        "threads": 1,
        "voice": voice_file.stem,
        "parameters": voice.n_parameters,
        "us_per_step": 1e6 * step_s,
        "us_per_frame": 1e6 * benchmark.stats.stats.median / frames,
        "times_real_time": SECONDS / benchmark.stats.stats.median,
        "flops_per_step": flops,
        "weight_bytes_per_step": weight_bytes,
        "gflop_per_s": flops / step_s / 1e9,
        "gb_per_s": weight_bytes / step_s / 1e9,
    }
    # What was measured is right: the first second agrees with the oracle.
    check = _core.Speech(backend.engine()._core, voice, RATE_HZ, 1, 50.0)
    check.push(samples)
    got = check.read(50)["channel"]
    first = manifest["look_ahead_steps"] - 1
    want = encode_ref(samples, 50 + first, manifest, tensors).channel[first:]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)
    assert steps == 2 * frames


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100, 44101, 48000, 192000])
def test_listen(rate_hz: int, tmp_path: Path, benchmark: Any) -> None:
    """Another rate than 16 kHz, and the least network that there can be behind it: what listen adds."""
    path = tmp_path / "least.safetensors"
    write_voice(path, *random_voice(towers=[tower(width=16, heads=1, layers=1, window=1, taps=1, hidden=1)]))
    speech = _core.Speech(_core.Engine(1), _core.Voice(str(path)), rate_hz, 1, FPS)
    frames = benchmark(stream, speech, sound(rate_hz), rate_hz // 50)
    assert frames == SECONDS * FPS
    benchmark.extra_info |= {"isa": "any", "threads": 1, "us_per_frame": 1e6 * benchmark.stats.stats.median / frames}
