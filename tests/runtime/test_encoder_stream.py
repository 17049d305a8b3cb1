# SPDX-License-Identifier: Apache-2.0
"""Encoders that are run live, on tiny hand-made graphs: the same features as over the whole sound, however it comes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import talksplat
from runtime.encoder_folders import ROW, WIDTH, Tiny, write_folder
from talksplat.encoders.encoder import Encoder, load_encoder
from talksplat.encoders.folder import EncoderFolder, read_folder
from talksplat.encoders.resample import Linear, exact_rate
from talksplat.encoders.stream import feature_count, look_ahead_samples, samples_for

KINDS = {
    "as it is": Tiny(),
    "one front for two steps": Tiny(chunk=1, front_chunk=2),
    "three fronts for two steps": Tiny(chunk=3, front_chunk=2, right=0),
    "nothing on the left": Tiny(left=0, chunk=4, front_chunk=1, right=3),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TALKSPLAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    return load_encoder(write_folder(tmp_path / "tiny"), precision="fp32")


def sound_of(n: int, seed: int = 0) -> np.ndarray:
    return np.clip(0.2 * np.random.default_rng(seed).normal(size=n), -1, 1).astype(np.float32)


def whole(tiny: Tiny, sound: np.ndarray, folder: EncoderFolder) -> np.ndarray:
    """The features of a 16 kHz sound, in numpy and from windows over all of its rows."""
    count = feature_count(folder, len(sound), 16000)
    rows = tiny.rows(sound, count + tiny.chunk + tiny.right + tiny.front_chunk)
    return tiny.features(rows, count)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 200, 201, 399, 400, 3200, 8111])
def test_features_are_those_of_the_whole_sound(tmp_path: Path, kind: str, n: int) -> None:
    encoder = load_encoder(write_folder(tmp_path / "tiny", KINDS[kind]), precision="fp32")
    sound = sound_of(n)
    expected = whole(KINDS[kind], sound, encoder.folder)
    stream = encoder.stream()
    features = np.concatenate([stream.push(sound), stream.flush()])
    assert features.shape == (max(0, -(-(n - 200) // 320)) + 1, WIDTH)
    np.testing.assert_allclose(features, expected, atol=2e-5)


@pytest.mark.parametrize("rate", [16000, 22050, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_chunks_change_nothing(encoder: Encoder, rate: int, channels: int) -> None:
    sound = sound_of(rate * channels).reshape(-1, channels)
    at_once = encoder.stream(rate, channels)
    expected = np.concatenate([at_once.push(sound), at_once.flush()])
    random = np.random.default_rng(1)
    stream, made, at = encoder.stream(rate, channels), [], 0
    while at < len(sound):
        n = int(random.choice([0, 1, 7, 320, 1111]))
        made.append(stream.push(sound[at : at + n]))
        at += n
    features = np.concatenate([*made, stream.flush()])
    assert features.tobytes() == expected.tobytes()
    np.testing.assert_array_equal(encoder.encode(sound, rate), expected)


def test_a_gap_is_silence_of_its_length(encoder: Encoder) -> None:
    begin, end = sound_of(3000), sound_of(2500, seed=1)
    stream = encoder.stream()
    features = [stream.push(begin), stream.gap(20011), stream.push(end), stream.flush()]
    filled = np.concatenate([begin, np.zeros(20011, np.float32), end])
    np.testing.assert_array_equal(np.concatenate(features), encoder.encode(filled, 16000))


def test_a_stream_that_was_reset_is_as_new(encoder: Encoder) -> None:
    sound = sound_of(5000)
    expected = encoder.encode(sound, 16000)
    stream = encoder.stream()
    stream.push(sound_of(4321, seed=2))
    stream.reset()
    np.testing.assert_array_equal(np.concatenate([stream.push(sound), stream.flush()]), expected)
    # And so is one that was flushed.
    np.testing.assert_array_equal(np.concatenate([stream.push(sound), stream.flush()]), expected)


def test_nothing_is_no_feature(encoder: Encoder) -> None:
    assert encoder.stream().flush().shape == (0, WIDTH)


def test_streams_of_one_encoder_do_not_meet(encoder: Encoder) -> None:
    sounds = [sound_of(6000, seed=seed) for seed in (3, 4)]
    expected = [encoder.encode(sound, 16000) for sound in sounds]
    streams = [encoder.stream() for _ in sounds]
    made: list[list[np.ndarray]] = [[], []]
    for at in range(0, 6000, 500):
        for stream, sound, into in zip(streams, sounds, made, strict=True):
            into.append(stream.push(sound[at : at + 500]))
    for stream, into, wanted in zip(streams, made, expected, strict=True):
        np.testing.assert_array_equal(np.concatenate([*into, stream.flush()]), wanted)


def test_bad_samples_are_refused_whole(encoder: Encoder) -> None:
    sound = sound_of(4000)
    stream = encoder.stream()
    made = [stream.push(sound[:2000])]
    for bad in (np.nan, np.inf, 9.0):
        damaged = sound[2000:].copy()
        damaged[100] = bad
        with pytest.raises(talksplat.AudioInvalid, match=r"sample 2100 of channel 0"):
            stream.push(damaged)
    made += [stream.push(sound[2000:]), stream.flush()]
    np.testing.assert_array_equal(np.concatenate(made), encoder.encode(sound, 16000))


@pytest.mark.parametrize("kind", KINDS)
def test_features_come_when_their_samples_are_there_and_no_later(tmp_path: Path, kind: str) -> None:
    encoder = load_encoder(write_folder(tmp_path / "tiny", KINDS[kind]), precision="fp32")
    folder = encoder.folder
    stream, made, latest = encoder.stream(), 0, 0
    for n in range(1, 6000):
        made += len(stream.push(np.zeros(1, np.float32)))
        assert n >= samples_for(folder, made)
        assert n < samples_for(folder, made + 1)
        latest = max(latest, n - (200 + 320 * made))  # how late the next feature is already
    assert latest <= look_ahead_samples(folder) <= latest + 1


@pytest.mark.parametrize("fps", [25.0, 30.0])
def test_rows_at_the_rate_of_the_video(tmp_path: Path, fps: float) -> None:
    tiny = Tiny(fps=fps)
    encoder = load_encoder(write_folder(tmp_path / "tiny", tiny), precision="fp32")
    sound = sound_of(9000)
    count = feature_count(encoder.folder, len(sound), 16000)
    plain = tiny.rows(sound, 80)
    place = [max(0.0, (k / fps - 200 / 16000) * 50) for k in range(count + 8)]
    rows = np.stack([[np.interp(p, np.arange(80), plain[:, c]) for c in range(ROW)] for p in place])
    features = encoder.encode(sound, 16000)
    assert features.shape == (count, WIDTH)
    np.testing.assert_allclose(features, tiny.features(rows, count), atol=2e-5)
    assert encoder.feature_hz == fps
    late = max(
        samples_for(encoder.folder, k + 1) - round(16000 * k / fps) for k in range(200)
    )  # fmt: skip
    assert late <= look_ahead_samples(encoder.folder) <= late + 1000


def test_the_place_of_features(encoder: Encoder) -> None:
    assert (encoder.width, encoder.feature_hz, encoder.centre_s) == (WIDTH, 50, 0.0125)
    assert encoder.hop_s == pytest.approx(0.04)
    # The window's, and what the front hears after the middle of its last row: 20 (chunk + right) + 5 ms, less the
    # half of a row that the centre lies behind its begin.
    assert encoder.look_ahead_s == pytest.approx((320 * 4 + 80 - 200) / 16000)
    assert Linear(exact_rate(25), read_folder(encoder.folder.path).front.centre).span(0) == (0, 1)
