# SPDX-License-Identifier: Apache-2.0
"""encode: sound to what a face does, on every instruction set, against its float64 oracle."""

import json
import math
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import talksplat
from backends import ENCODE_BACKENDS, Backend, engine_of
from conftest import present
from ops.voices import CHANNELS, STEP, KnownVoice, faces, make_voice, noise, steps, tower, tune
from talksplat import _core
from talksplat.arkit import ARKIT_NAMES
from talksplat.authoring.voice.export import read_voice, write_voice
from tolerances import require_close

SHAPES = {
    # Tower sizes on both sides of a register and of a packed block, and the ends of their ranges.
    "least": [tower(width=16, heads=1, layers=1, window=1, taps=1, hidden=1)],
    "width-17": [tower(width=17, heads=1, window=15, taps=2, hidden=15)],
    "width-31": [tower(width=31, heads=1, window=16, hidden=16)],
    "width-32-heads-16": [tower(width=32, heads=16, window=17, taps=3, hidden=17)],
    "width-33": [tower(width=33, heads=3, window=31, hidden=33)],
    "width-65": [tower(width=65, heads=5, layers=3, window=33, taps=17, hidden=129)],
    "usual": [tower(width=96, heads=4, layers=4, window=48, taps=9, hidden=576)],
    "wide": [tower(width=144, heads=9, layers=1, window=256, taps=64, hidden=511)],
    "two-towers": [
        tower(CHANNELS[::2], width=24, heads=2, window=7),
        tower(CHANNELS[1::2], width=40, heads=5, layers=1, hidden=9),
    ],
    # A weight and a probability that two and three towers say: sums, of which sigmoids are taken afterwards.
    "sums": [
        tower(("jawOpen", "voice"), width=24, heads=2, window=7),
        tower(CHANNELS[::-1], width=16, heads=1, layers=1),
        tower(("voice", "mouthPress", "jawOpen"), width=17, heads=1, layers=1),
    ],
    "four-towers": [tower(CHANNELS[i::4], width=16 + i, heads=1, layers=1 + i) for i in range(4)],
}


@pytest.fixture(params=ENCODE_BACKENDS, ids=str)
def backend(request: pytest.FixtureRequest) -> Backend:
    return present(request.param)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> KnownVoice:
    return make_voice(tmp_path_factory.mktemp("voice"))


def require_steps(voice: KnownVoice, sound: np.ndarray, backend: Backend | None = None, name: str = "") -> None:
    got = steps(voice, sound, backend=backend)
    want = voice.steps_ref(sound, len(got.channel))
    assert len(got.channel) == math.ceil(len(sound) / STEP)
    require_close("encode", "float32", got.channel, want.channel, name=f"channel {name}")
    require_close("encode", "float32", got.feature, want.feature, name=f"feature {name}")


# ---- against the oracle ----


@pytest.mark.parametrize("shape", SHAPES)
def test_matches_the_oracle(shape: str, backend: Backend, tmp_path: Path) -> None:
    n = 900 if "TALKSPLAT_TEST_INTERPRETED" in os.environ else 30000  # a step takes the interpreter a second or more
    require_steps(make_voice(tmp_path, towers=SHAPES[shape]), noise(n), backend, shape)


@pytest.mark.parametrize("n_mels", [1, 7, 8, 9, 40, 128])
def test_any_number_of_bands(n_mels: int, backend: Backend, tmp_path: Path) -> None:
    """128 bands have triangles between two bins of the spectrum."""
    require_steps(make_voice(tmp_path, n_mels=n_mels), noise(8000), backend, f"{n_mels} bands")


@pytest.mark.parametrize("n", [0, 1, 159, 160, 161, 319, 320, 321, 960, 961, 16001])
def test_any_length(voice: KnownVoice, n: int, backend: Backend) -> None:
    require_steps(voice, noise(n), backend, f"{n} samples")


@pytest.mark.parametrize("look_ahead", [0, 1, 2, 3])
def test_look_ahead_of_the_network(look_ahead: int, tmp_path: Path) -> None:
    voice = make_voice(tmp_path, look_ahead_steps=look_ahead)
    assert voice.core.look_ahead_s == pytest.approx(0.02 * (look_ahead + 1))
    require_steps(voice, noise(8000), name=f"look-ahead {look_ahead}")


def test_the_shipped_voice(backend: Backend) -> None:
    path = Path(talksplat.__file__).parent / "assets" / "voice.safetensors"
    core = _core.Voice(str(path))
    voice = KnownVoice(core, path, *read_voice(path))
    sound = noise(20000)
    got = steps(voice, sound, backend=backend)
    want, rounded = (voice.steps_ref(sound, len(got.channel), dtype) for dtype in (np.float64, np.float32))
    # What its layers add up grows large, and float32 rounds it: kernels may be twice as far off as that alone.
    for name in ("channel", "feature"):
        error, floor = (np.abs(getattr(x, name) - getattr(want, name)).max() for x in (got, rounded))
        assert error <= 2 * floor < 1e-4, f"{name}: {error:.2g} from the oracle, whose float32 is {floor:.2g} from it"
    assert core.look_ahead_s == 0.08
    assert core.n_parameters < 1_500_000
    assert core.file_bytes < 2_000_000


def test_weights_in_float32(backend: Backend, tmp_path: Path) -> None:
    require_steps(make_voice(tmp_path, dtype=np.float32), noise(8000), backend)


@pytest.mark.parametrize("shape", ["width-17", "usual", "two-towers"])
def test_halves_say_what_floats_say(shape: str, backend: Backend, tmp_path: Path) -> None:
    """One weight of a head that no half holds makes its tower's floats: all other channels stay, to the bit."""
    halves, sound = make_voice(tmp_path, towers=SHAPES[shape]), noise(8000)
    tensors = {name: value.astype(np.float32) for name, value in halves.tensors.items()}
    said = SHAPES[shape][-1]["channels"]
    tensors[f"tower/{len(SHAPES[shape]) - 1}/head/weight"][0, 0] += np.float32(1e-6)
    write_voice(tmp_path / "floats.safetensors", halves.manifest, tensors)  # type: ignore[arg-type]
    floats = _core.Voice(str(tmp_path / "floats.safetensors"))
    a, b = (steps(replace(halves, core=core), sound, backend=backend) for core in (halves.core, floats))
    others = [i for i, name in enumerate(halves.core.channel_names) if name != said[0]]
    assert np.array_equal(a.feature, b.feature) and np.array_equal(a.channel[:, others], b.channel[:, others])
    assert not np.array_equal(a.channel, b.channel)


@pytest.mark.parametrize("gain", [0.0, 1e-20, 1e-5, 0.01, 1.0, 25.0])
def test_any_loudness(voice: KnownVoice, gain: float, backend: Backend) -> None:
    require_steps(voice, np.clip(gain * noise(20000), -8, 8).astype(np.float32), backend, f"gain {gain}")


@pytest.mark.parametrize("hz", [50, 1000, 7900])
def test_a_loud_tone_leaves_quiet_bands_exact(voice: KnownVoice, hz: float, backend: Backend) -> None:
    t = np.arange(16000) / 16000
    require_steps(voice, np.sin(2 * np.pi * hz * t).astype(np.float32), backend, f"{hz} Hz")


def test_the_leveller_rises_and_falls(backend: Backend, tmp_path: Path) -> None:
    leveller = {"start_db": 0.0, "floor_db": -40.0, "attack_s": 0.001, "release_db_per_s": 200.0}
    sound = noise(32000) * np.repeat([1e-3, 1, 1e-4, 0.1], 8000).astype(np.float32)
    require_steps(make_voice(tmp_path, leveller=leveller), sound.astype(np.float32), backend)


# ---- streams ----


@pytest.mark.parametrize("seed", range(6))
def test_chunking_changes_nothing(voice: KnownVoice, seed: int, backend: Backend) -> None:
    rng = np.random.default_rng(seed)
    sound = noise(12000, seed)
    chunks = rng.integers(0, [2, 5, 200, 400, 2000, 9000][seed], 12000 if seed == 0 else 400)
    whole, parts = faces(voice, sound, backend=backend), faces(voice, sound, chunks=chunks, backend=backend)
    for name, value in whole.items():
        np.testing.assert_array_equal(value, parts[name], err_msg=name)


def test_reset_begins_at_zero(voice: KnownVoice) -> None:
    speech = _core.Speech(engine_of(None)._core, voice.core, 16000, 1, 25.0)
    speech.push(noise(5000, 1))
    speech.finish()
    speech.read(3)
    speech.reset()
    assert speech.ready == 0
    speech.push(noise(7000, 2))
    speech.finish()
    again, fresh = speech.read(), faces(voice, noise(7000, 2))
    for name, value in fresh.items():
        np.testing.assert_array_equal(value, again[name], err_msg=name)


def test_two_streams_do_not_mix(voice: KnownVoice) -> None:
    streams = [_core.Speech(engine_of(None)._core, voice.core, 16000, 1, 25.0) for _ in range(2)]
    for i in range(0, 8000, 500):
        for seed, speech in enumerate(streams):
            speech.push(noise(8000, seed)[i : i + 500])
    for seed, speech in enumerate(streams):
        speech.finish()
        np.testing.assert_array_equal(speech.read()["feature"], faces(voice, noise(8000, seed))["feature"])


def test_threads_that_share_a_stream_wait_for_each_other(voice: KnownVoice) -> None:
    speech = _core.Speech(engine_of(None)._core, voice.core, 16000, 1, 25.0)
    frames: list[int] = []

    def push() -> None:
        for _ in range(50):
            speech.push(np.zeros(800, np.float32))
            frames.append(len(speech.read()["voice"]))

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    speech.finish()
    assert sum(frames) + len(speech.read()["voice"]) == 4 * 50 * 800 * 25 // 16000


def test_a_stream_outlives_its_voice(tmp_path: Path) -> None:
    voice = make_voice(tmp_path)
    want = faces(voice, noise(8000))["feature"]
    core = _core.Voice(str(voice.path))
    speech = _core.Speech(engine_of(None)._core, core, 16000, 1, 25.0)
    del core
    speech.push(noise(8000))
    speech.finish()
    np.testing.assert_array_equal(speech.read()["feature"], want)


def test_reading_in_parts(voice: KnownVoice) -> None:
    whole = faces(voice, noise(16000))
    speech = _core.Speech(engine_of(None)._core, voice.core, 16000, 1, 25.0)
    speech.push(noise(16000))
    speech.finish()
    parts = []
    while speech.ready:
        left = speech.ready
        parts.append(speech.read(4))
        assert speech.ready == left - len(parts[-1]["voice"])
    assert [len(part["voice"]) for part in parts] == [4] * 6 + [1]
    for name, value in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), value)
    assert len(speech.read()["voice"]) == 0


def test_an_hour_does_not_drift(tmp_path: Path) -> None:
    """Sound that repeats is heard alike an hour later, to the bit, where the network's rings stand alike."""
    voice = make_voice(tmp_path, towers=[tower(width=16, heads=1, layers=1, window=5, taps=4, hidden=16)])
    period = 200  # steps: a multiple of window and taps
    speech = _core.Speech(engine_of(None)._core, voice.core, 16000, 1, 50.0)
    parts = []
    sound = noise(period * STEP)
    for _ in range(180_000 // period):
        speech.push(sound)
        parts.append(speech.read()["feature"])
    feature = np.concatenate(parts)
    assert len(feature) == 180_000 - voice.look_ahead
    early, late = feature[1000 : 1000 + period], feature[179_000 : 179_000 + period]
    np.testing.assert_array_equal(early, late)
    assert np.ptp(early) > 1


# ---- frames ----


@pytest.mark.parametrize("fps", [20, 23.976, 24, 25, 29.97, 30000 / 1001, 30, 50, 59.94, 60])
def test_frames_lie_between_steps(voice: KnownVoice, fps: float) -> None:
    sound = noise(16000)
    got, step = faces(voice, sound, fps=fps), steps(voice, np.append(sound, np.zeros(STEP * 3, np.float32)))
    at = np.arange(len(got["channel"])) * 50 / fps
    low = np.floor(at + 1e-9).astype(int)
    mix = (at - low)[:, None]
    for name, value in (("channel", step.channel), ("feature", step.feature)):
        want = (1 - mix) * value[low].astype(np.float64) + mix * value[low + 1]
        np.testing.assert_allclose(got[name], want, atol=2e-6 * np.abs(value).max())


@pytest.mark.parametrize("fps", [20, 24, 25, 30000 / 1001, 50, 60])
@pytest.mark.parametrize("n", [0, 1, 639, 640, 641, 16000, 16016, 48048, 100003])
def test_number_of_frames(voice: KnownVoice, n: int, fps: float) -> None:
    """Frame k exists where k / fps is before the audio's end; a frame on its end does not."""
    got = faces(voice, np.zeros(n, np.float32), fps=fps)
    assert {len(value) for value in got.values()} == {sum(k / fps < n / 16000 for k in range(int(n / 100) + 2))}


def test_a_frame_waits_for_80_ms_and_no_more(voice: KnownVoice) -> None:
    """At 25 frames a second frame k is there as soon as the audio up to 40 k + 80 ms is."""
    speech = _core.Speech(engine_of(None)._core, voice.core, 16000, 1, 25.0)
    assert voice.core.look_ahead_s == 0.08
    for k in range(20):
        for last in (1, 0):  # the sample before, then all of them
            speech.push(np.zeros(16 * (40 if k else 80) - 1 if last else 1, np.float32))
            assert speech.ready == k + 1 - last


@pytest.mark.parametrize("fps", [20, 25, 30, 60])
def test_a_frame_hears_its_look_ahead_and_nothing_later(voice: KnownVoice, fps: float) -> None:
    """Another sound from a moment on changes no frame whose look-ahead ends there; from just before, it does."""
    sound = tune(12800, 16000).astype(np.float32)
    plain = faces(voice, sound, fps=fps)
    for k in (0, 3, 7):
        step = int(k * 50 / fps + 1e-9) + 1  # the last face step that frame k needs
        end = STEP * (step + voice.look_ahead)
        assert end / 16000 <= k / fps + voice.core.look_ahead_s + 1e-9
        later = sound.copy()
        later[end:] = 4
        changed = faces(voice, later, fps=fps)
        for name, value in plain.items():
            np.testing.assert_array_equal(changed[name][: k + 1], value[: k + 1], err_msg=f"{name} {k}")
        if k * 50 / fps % 1:  # between two steps: the later one has a part in it
            just_before = sound.copy()
            just_before[end - 40 :] = 4  # the mel window is nearly 0 at its very end
            assert (faces(voice, just_before, fps=fps)["channel"][k] != plain["channel"][k]).any()


# ---- what it takes and refuses ----


def test_info(voice: KnownVoice) -> None:
    core = voice.core
    assert core.channel_names == CHANNELS
    assert core.weight_names == ARKIT_NAMES
    assert core.n_features == 32
    assert core.n_parameters == sum(value.size for value in voice.tensors.values())
    assert core.file_bytes == voice.path.stat().st_size
    assert json.loads(core.manifest) == voice.manifest


def test_channels_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    names = tuple(reversed(CHANNELS))
    voice = make_voice(tmp_path, towers=[tower(names)])
    assert voice.core.channel_names == names
    read = faces(voice, noise(16000))
    speaks = read["channel"][:, names.index("voice")]
    assert (speaks > 0).all()
    assert (speaks < 1).all()  # a sigmoid
    assert np.abs(read["channel"]).max() > 1  # and others are not


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate_hz": 7999}, "rate_hz must be from 8000 to 192000; got 7999"),
        ({"rate_hz": 192001}, "rate_hz must be from 8000 to 192000; got 192001"),
        ({"channels": 0}, "channels must be from 1 to 8; got 0"),
        ({"channels": 9}, "channels must be from 1 to 8; got 9"),
        ({"fps": 19.9}, "fps must be from 20 to 60; got 19.9"),
        ({"fps": 61}, "fps must be from 20 to 60; got 61"),
        ({"fps": math.nan}, "fps must be from 20 to 60; got nan"),
        ({"mouth": 2.1}, "mouth must be from 0 to 2; got 2.1"),
        ({"head": -0.1}, "head must be from 0 to 2; got -0.1"),
        ({"blink": math.inf}, "blink must be from 0 to 2; got inf"),
    ],
)
def test_refuses_parameters(voice: KnownVoice, options: dict[str, float], message: str) -> None:
    given = {"rate_hz": 16000, "channels": 1, "fps": 25.0} | options
    with pytest.raises(ValueError, match=message):
        _core.Speech(engine_of(None)._core, voice.core, **given)  # type: ignore[arg-type]


def test_refuses_files_that_are_no_voice(tmp_path: Path) -> None:
    from talksplat.errors import VoiceInvalid

    with pytest.raises(VoiceInvalid, match="no such file"):
        _core.Voice(str(tmp_path / "nothing.safetensors"))
    (tmp_path / "text").write_text("hello there")
    with pytest.raises(VoiceInvalid, match="not a safetensors file"):
        _core.Voice(str(tmp_path / "text"))


def test_refuses_pushes_after_the_end(voice: KnownVoice) -> None:
    speech = _core.Speech(engine_of(None)._core, voice.core, 16000, 1, 25.0)
    speech.finish()
    speech.finish()
    assert len(speech.read()["weight"]) == 0
    with pytest.raises(ValueError, match="finished; reset"):
        speech.push(np.zeros(1, np.float32))
