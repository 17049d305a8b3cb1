# SPDX-License-Identifier: Apache-2.0
"""listen: audio at any rate, of any channels, to the 16 kHz mono that the voice hears.

The core gives no 16 kHz sound away, so it is compared by what the network makes of it: its features at 50 Hz, which
follow a shift of the sound by a microsecond. tests/cpp/test_listen.cc looks at the sound itself.
"""

from pathlib import Path

import numpy as np
import pytest

from backends import engine_of
from ops.voices import KnownVoice, faces, make_voice, noise, steps, tune
from reference.listen import listen_ref
from talksplat import _core
from talksplat.errors import AudioInvalid
from tolerances import require_close

RATES = [8000, 11025, 16000, 22050, 44100, 44101, 48000, 96000, 192000]
UGLY_RATES = [8001, 15999, 16001, 47999, 191999]  # no row of coefficients of their own for each phase


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> KnownVoice:
    return make_voice(tmp_path_factory.mktemp("voice"))


@pytest.mark.parametrize("rate_hz", RATES + UGLY_RATES)
def test_matches_the_oracle(voice: KnownVoice, rate_hz: int) -> None:
    samples = noise(rate_hz // 2 + 7)
    got = steps(voice, samples, rate_hz)
    want = voice.steps_ref(listen_ref(samples, rate_hz), len(got.feature))
    require_close("listen", "float32", got.feature, want.feature, name=f"{rate_hz} Hz")


@pytest.mark.parametrize("rate_hz", RATES)
def test_the_same_sound_at_any_rate(rate_hz: int, tmp_path: Path) -> None:
    """Sampled at another rate, a sound is heard at the same times: the features agree with those at 16 kHz."""
    top_hz = 3000.0 if rate_hz == 8000 else 4000.0  # of what passes the filter flat
    voice = make_voice(tmp_path, f_max_hz=top_hz)

    def features(rate_hz: int, start_s: float = 0.0) -> np.ndarray:
        sound = tune(3 * rate_hz // 2, rate_hz, start_s, top_hz + 100)
        return steps(voice, sound, rate_hz).feature[30:65]  # away from the sound's ends

    want = features(16000)
    off, late = np.abs(features(rate_hz) - want).max(), np.abs(features(rate_hz, 0.0005) - want).max()
    assert off < 0.01 * late  # than half a millisecond makes


@pytest.mark.parametrize("rate_hz", RATES + UGLY_RATES)
@pytest.mark.parametrize("n", [0, 1, 2, 31, 1000])
def test_any_length(voice: KnownVoice, rate_hz: int, n: int) -> None:
    samples = noise(n)
    got = faces(voice, samples, rate_hz, 25)
    assert len(got["feature"]) == -(-n * 25 // rate_hz)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 44100, 44101, 192000])
@pytest.mark.parametrize("seed", range(3))
def test_chunking_changes_nothing(voice: KnownVoice, rate_hz: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = noise(rate_hz // 4, seed, channels=2)
    chunks = np.ones(3000, int) if seed == 0 else rng.integers(0, 40 if seed == 1 else 5000, 300)
    whole, parts = faces(voice, samples, rate_hz), faces(voice, samples, rate_hz, chunks=chunks)
    for name, value in whole.items():
        np.testing.assert_array_equal(value, parts[name], err_msg=name)


@pytest.mark.parametrize("channels", [1, 2, 5, 8])
@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_int16_and_float_are_heard_alike(voice: KnownVoice, rate_hz: int, channels: int) -> None:
    rng = np.random.default_rng(0)
    pcm = rng.integers(-32768, 32768, (rate_hz // 4, channels)).astype(np.int16)
    as_float = faces(voice, (pcm / 32768).astype(np.float32), rate_hz)
    for name, value in faces(voice, pcm, rate_hz).items():
        np.testing.assert_array_equal(value, as_float[name], err_msg=name)


@pytest.mark.parametrize("channels", [2, 3, 8])
def test_channels_are_averaged(voice: KnownVoice, channels: int) -> None:
    samples = noise(16000, channels=channels)
    got = steps(voice, samples)
    want = voice.steps_ref(listen_ref(samples, 16000), len(got.feature))
    require_close("listen", "float32", got.feature, want.feature, name=f"{channels} channels")
    left_only = samples.copy()
    left_only[:, 1:] = 0
    quiet = steps(voice, left_only[:, 0] / np.float32(channels))
    np.testing.assert_allclose(steps(voice, left_only).feature, quiet.feature, atol=1e-5)


def cancelling(rate_hz: int) -> np.ndarray:
    """[n,3]: channels that agree, cancel, swap which one is loud, agree again; in between silence. Ends in a block."""
    one, other = noise(2 * rate_hz, 1), noise(2 * rate_hz, 2)
    part = rate_hz // 4 + 7
    sound = np.stack([one, one, one], axis=1)
    sound[part : 2 * part] *= (1, -0.9, 0)
    sound[2 * part : 3 * part] *= (0.1, 0.5, -0.6)
    sound[3 * part : 4 * part] = 0
    sound[5 * part : 6 * part] *= (0.5, -1, 0.45)
    sound[6 * part :, 1] = other[6 * part :]
    return sound


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 44100])
def test_channels_that_cancel(voice: KnownVoice, rate_hz: int) -> None:
    samples = cancelling(rate_hz)
    got = steps(voice, samples, rate_hz)
    want = voice.steps_ref(listen_ref(samples, rate_hz), len(got.feature))
    require_close("listen", "float32", got.feature, want.feature, name=f"{rate_hz} Hz")
    averaged = voice.steps_ref(listen_ref(samples.mean(axis=1), rate_hz), len(got.feature))
    assert np.abs(averaged.feature - got.feature).max() > 1  # so the choice was made
    for seed, longest in ((0, 2), (1, 50), (2, 3000)):
        chunks = np.random.default_rng(seed).integers(0, longest, 2000)
        parts = faces(voice, samples, rate_hz, chunks=chunks)
        for name, value in faces(voice, samples, rate_hz).items():
            np.testing.assert_array_equal(value, parts[name], err_msg=name)


def test_a_turned_sign_is_heard_as_the_sound(voice: KnownVoice) -> None:
    """But for the first 40 ms, which the network has forgotten after two seconds."""
    sound = noise(3 * 16000)
    got = steps(voice, np.stack([sound, -sound], axis=1)).feature[100:]
    np.testing.assert_allclose(got, steps(voice, sound).feature[100:], atol=1e-5)


@pytest.mark.parametrize("rate_hz", [16000, 48000])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 8.1, -8.1, 12000.0])
def test_refuses_what_is_no_sound(voice: KnownVoice, value: float, rate_hz: int) -> None:
    """The whole push is refused, and the stream goes on as if it had not been."""
    speech = _core.Speech(engine_of(None)._core, voice.core, rate_hz, 2, 25.0)
    good = noise(rate_hz // 2, channels=2)
    speech.push(good[:1000])
    bad = good[1000:].copy()
    bad[2345, 1] = value
    with pytest.raises(AudioInvalid, match=r"sample 3345 of channel 1 is ") as raised:
        speech.push(bad)
    assert ("Divide them by 32768" in str(raised.value)) == np.isfinite(value)
    speech.push(good[1000:])
    speech.finish()
    got, want = speech.read(), faces(voice, good, rate_hz)
    for name, value_of in want.items():
        np.testing.assert_array_equal(got[name], value_of, err_msg=name)


def test_the_loudest_sound_is_taken(voice: KnownVoice) -> None:
    assert np.isfinite(faces(voice, np.full(16000, 8, np.float32))["feature"]).all()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(10), "must be float32 or int16; got float64"),
        (np.zeros((10, 3), np.float32), r"must be \[n,2\]; got \(10, 3\)"),
        (np.zeros(10, np.float32), r"must be \[n,2\]; got \(10,\)"),
        (np.zeros((10, 4), np.float32)[:, ::2], "must be C-contiguous"),
        (np.zeros(81, np.uint8)[1:].view(np.float32).reshape(10, 2), "must be C-contiguous and aligned"),
    ],
)
def test_refuses_arrays(voice: KnownVoice, samples: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.Speech(engine_of(None)._core, voice.core, 16000, 2, 25.0).push(samples)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100, 192000])
def test_a_frame_waits_for_80_ms_and_the_filter(voice: KnownVoice, rate_hz: int) -> None:
    """The filter adds 1 ms, 2 ms at 8 kHz, none at 16 kHz."""
    filter_s = 0 if rate_hz == 16000 else 16 / min(rate_hz, 16000)
    speech = _core.Speech(engine_of(None)._core, voice.core, rate_hz, 1, 25.0)
    pushed = 0
    for k in range(12):
        enough = int(np.ceil((k / 25 + 0.08 + filter_s) * rate_hz)) + 1
        speech.push(np.zeros(enough - pushed, np.float32))
        pushed = enough
        assert speech.ready == k + 1
