# SPDX-License-Identifier: Apache-2.0
"""talksplat.motion: what kind of motion comes out of which sound, whatever way the sound comes in."""

import math
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from runtime.sounds import write_sound
from talksplat.arkit import ARKIT_NAMES, LIVE_LINK_NAMES
from talksplat.audio import open_audio
from talksplat.audio_blocks import Audio

RATE = 16000
FIELDS = ("weights", "voice", "features")


@pytest.fixture(scope="module")
def hello() -> Any:
    """The built-in sentence: (samples [n,channels], rate)."""
    audio = open_audio("test", "sample")
    return np.concatenate(list(audio.blocks())), audio.rate


def same(a: talksplat.SpeechMotion, b: talksplat.SpeechMotion) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    np.testing.assert_array_equal(a.inputs["head_pose"], b.inputs["head_pose"])


def jaw(motion: talksplat.Motion) -> Any:
    return motion.weights[:, motion.names.index("jawOpen")]


# ---- what it is ----


def test_the_sample_speaks(hello: Any) -> None:
    motion = talksplat.motion("sample")
    samples, rate = hello
    frames = math.ceil(len(samples) * 25 / rate)
    assert isinstance(motion, talksplat.Motion)
    assert (motion.fps, motion.frames, motion.names) == (25, frames, ARKIT_NAMES)
    assert motion.weights.shape == (frames, 52)
    assert motion.weights.dtype == np.float32
    assert motion.weights.min() >= 0
    assert motion.weights.max() <= 1
    assert motion.inputs["head_pose"].shape == (frames, 3)
    assert motion.voice.shape == (frames,)
    assert motion.features.shape[0] == frames
    assert motion.features.std() > 0
    assert np.mean(motion.voice > 0.5) > 0.5
    assert jaw(motion).std() > 0.05
    assert repr(motion).startswith("SpeechMotion(")


@pytest.mark.parametrize("fps", [20, 23.976, 25, 29.97, 30, 50, 60])
@pytest.mark.parametrize("n", [1, 799, 800, 801, 16001])
def test_frames_cover_the_sound(fps: float, n: int) -> None:
    motion = talksplat.motion(np.zeros(n, np.float32), fps, sample_rate=RATE)
    assert motion.frames == math.ceil(n * fps / RATE)
    assert motion.fps == fps


def test_silence_is_still() -> None:
    motion = talksplat.motion(np.zeros(4 * RATE, np.int16), sample_rate=RATE)
    lips = [i for i, name in enumerate(ARKIT_NAMES) if name.startswith(("jaw", "mouth", "tongue"))]
    assert motion.weights[4:, lips].std(axis=0).max() < 0.01
    assert jaw(motion).max() < 0.05
    assert motion.voice.max() < 0.5


def test_seeds_and_amounts() -> None:
    base = talksplat.motion("sample", seed=1)
    same(base, talksplat.motion("sample", seed=1))
    other = talksplat.motion("sample", seed=2)
    assert not np.array_equal(base.inputs["head_pose"], other.inputs["head_pose"])
    np.testing.assert_array_equal(base.features, other.features)
    assert not talksplat.motion("sample", head=0).inputs["head_pose"].any()
    assert jaw(talksplat.motion("sample", mouth=0.5)).max() < jaw(base).max()
    blinks = [i for i, name in enumerate(ARKIT_NAMES) if name.startswith("eyeBlink")]
    assert not talksplat.motion("sample", blink=0).weights[:, blinks].any()


# ---- ways in ----


class _Cut(Audio):
    """Samples in pieces of given lengths, over and over."""

    def __init__(self, samples: Any, rate: int, lengths: list[int]) -> None:
        self.name, self.rate, self.channels = "cut", rate, samples.shape[1]
        self.seconds = None
        self._samples, self._lengths = samples, lengths

    def _chunks(self) -> Iterator[Any]:
        at = 0
        while at < len(self._samples):
            for length in self._lengths:
                yield self._samples[at : at + length]
                at += length

    def blocks(self) -> Iterator[Any]:
        """As they are, not gathered."""
        yield from (np.ascontiguousarray(chunk) for chunk in self._chunks() if len(chunk))


@pytest.mark.parametrize("lengths", [[1, 2, 3], [160], [333, 1], [100_000]])
def test_cutting_changes_nothing(hello: Any, lengths: list[int]) -> None:
    samples, rate = hello[0][: 2 * hello[1]], hello[1]
    same(talksplat.motion(_Cut(samples, rate, lengths)), talksplat.motion(samples, sample_rate=rate))


def test_files_and_arrays_are_heard_alike(tmp_path: Path, hello: Any) -> None:
    samples, rate = hello[0][: 2 * hello[1]], hello[1]
    pcm = np.round(samples * 32767).astype(np.int16)
    want = talksplat.motion(pcm, sample_rate=rate)
    same(want, talksplat.motion(pcm.astype(np.float32) / 32768, sample_rate=rate))
    for name in ("a.wav", "a.flac"):
        codec = "flac" if name.endswith("flac") else "pcm_s16le"
        path = write_sound(tmp_path / name, pcm / 32767, rate, codec, "s16")
        same(want, talksplat.motion(path))
    same(want, talksplat.motion(path.read_bytes()))


def test_stereo_is_heard_as_its_mean(hello: Any) -> None:
    samples, rate = hello
    both = talksplat.motion(np.repeat(samples[:, :1], 2, axis=1), sample_rate=rate)
    np.testing.assert_allclose(both.weights, talksplat.motion(samples[:, 0], sample_rate=rate).weights, atol=1e-5)


def test_two_speakers_and_a_telephone(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "audio"
    for name, frames in (("stereo_two_speakers_16k.wav", 125), ("asterisk/fr_demo-congrats_8k.wav", 731)):
        motion = talksplat.motion(folder / name)
        assert motion.frames == frames
        assert jaw(motion).std() > 0.02
        assert np.mean(motion.voice > 0.5) > 0.3


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 192000])
def test_any_rate_says_the_same(hello: Any, rate: int) -> None:
    from scipy.signal import resample_poly

    samples, own = hello[0][:, 0], hello[1]
    divisor = math.gcd(rate, own)
    again = resample_poly(samples, rate // divisor, own // divisor).astype(np.float32)
    want, got = jaw(talksplat.motion(samples, sample_rate=own)), jaw(talksplat.motion(again, sample_rate=rate))
    n = min(len(want), len(got))
    lags = {lag: np.corrcoef(want[3 : n - 3], got[3 + lag : n - 3 + lag])[0, 1] for lag in (-2, -1, 0, 1, 2)}
    assert max(lags, key=lambda lag: lags[lag]) == 0
    assert lags[0] > (0.8 if rate < RATE else 0.99)  # a telephone's band leaves less to hear


# ---- what is refused ----

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"fps": 19}, "motion: fps must be 20 to 60; got 19."),
    ({"fps": 61}, "motion: fps must be 20 to 60; got 61."),
    ({"fps": "fast"}, "motion: fps must be a number, finite; got 'fast'."),
    ({"fps": "25"}, "motion: fps must be a number, finite; got '25'."),
    ({"fps": 10**400}, "motion: fps must be a number, finite; got 1000"),
    ({"seed": -1}, "motion: seed must be a whole number, at least 0; got -1."),
    ({"seed": 2**31}, "motion: seed must be a whole number, at least 0 and at most 2147483647; got 2147483648."),
    ({"mouth": 3}, "motion: mouth must be 0 to 2, 1 as the voice has it; got 3."),
    ({"head": -1}, "motion: head must be 0 to 2"),
    ({"blink": float("nan")}, "motion: blink must be finite; got nan."),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        talksplat.motion("sample", **options)


def test_wrong_sound() -> None:
    with pytest.raises(talksplat.AudioInvalid, match=re.escape("motion: audio: sample 9 (at 0.001 s) must be finite")):
        talksplat.motion([0.0] * 9 + [np.nan], sample_rate=RATE)
    with pytest.raises(talksplat.AudioInvalid, match="no such file"):
        talksplat.motion("demo.wav")


# ---- files of motion ----


def test_csv_has_live_link_faces_columns(tmp_path: Path) -> None:
    talksplat.motion("sample").save(tmp_path / "a.csv")
    rows = [line.split(",") for line in (tmp_path / "a.csv").read_text().splitlines()]
    turns = ["HeadYaw", "HeadPitch", "HeadRoll"]
    eyes = [f"{side}Eye{turn}" for side in ("Left", "Right") for turn in ("Yaw", "Pitch", "Roll")]
    assert rows[0] == ["Timecode", "BlendShapeCount", *LIVE_LINK_NAMES, *turns, *eyes]
    assert rows[0][16:20] == ["JawForward", "JawRight", "JawLeft", "JawOpen"]
    assert {len(row) for row in rows} == {63}
    assert [row[0] for row in rows[1:3]] == ["00:00:00:00.000", "00:00:00:01.000"]
    assert rows[26][0] == "00:00:01:00.000"
    assert {row[1] for row in rows[1:]} == {"61"}


@pytest.mark.parametrize("kind", [".csv", ".json"])
@pytest.mark.parametrize("fps", [20, 24, 25, 30, 40, 50, 60])
@pytest.mark.parametrize("frames", [2, 19, 61, 300])
def test_saved_motion_reads_back(tmp_path: Path, kind: str, fps: int, frames: int) -> None:
    rng = np.random.default_rng(frames)
    weights = rng.random((frames, 52), np.float32)
    turns = rng.normal(0, 0.6, (frames, 3)).astype(np.float32)
    path = tmp_path / f"take{kind}"
    talksplat.Motion(fps, weights, ARKIT_NAMES, {"head_pose": turns}).save(path)
    back = talksplat.load_motion(path)
    assert (back.fps, back.frames) == (fps, frames)
    assert set(back.names) == set(ARKIT_NAMES)
    columns = [back.names.index(name) for name in ARKIT_NAMES]
    np.testing.assert_allclose(back.weights[:, columns], weights, atol=6e-7)
    np.testing.assert_allclose(back.inputs["head_pose"], turns, atol=5e-6)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("fps", [22.5, 23.976, 29.97, 47.5, 59.94])
def test_saved_motion_of_an_odd_rate_reads_back(tmp_path: Path, fps: float) -> None:
    weights = np.random.default_rng(0).random((200, 52), np.float32)
    for kind in (".csv", ".json"):
        talksplat.Motion(fps, weights, ARKIT_NAMES).save(tmp_path / f"take{kind}")
        back = talksplat.load_motion(tmp_path / f"take{kind}")
        assert back.frames == 200
        assert back.fps == pytest.approx(fps, rel=3e-6)


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    own = talksplat.Motion(25, np.zeros((1, 1)), ("rig_1",))
    own.save(tmp_path / "own.json")
    flame = talksplat.Motion(25, inputs={"expr": np.zeros((1, 10))})
    for motion, name, message in (
        (own, "a.csv", "a .csv file holds the 52 ARKit weights and head_pose only, not rig_1."),
        (flame, "a.json", "a .json file holds weights and head_pose only, not expr."),
        (own, "a.npz", "a.npz must end in .csv or .json."),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            motion.save(tmp_path / name)
    with pytest.raises(OSError, match="there is no folder"):
        own.save(tmp_path / "no" / "a.json")
    assert [entry.name for entry in tmp_path.iterdir()] == ["own.json"]


# ---- long sound ----


@pytest.mark.slow
def test_long_sound_takes_no_memory() -> None:
    """Five minutes of noise, listened to as it is made: nothing is kept but the faces."""
    minutes = 5
    noise = np.random.default_rng(0).normal(0, 0.1, (RATE, 1)).astype(np.float32)

    class Long(Audio):
        name, rate, channels, seconds = "long", RATE, 1, None

        def _chunks(self) -> Iterator[Any]:
            for _ in range(60 * minutes):
                yield noise.copy()

    talksplat.motion(noise, sample_rate=RATE)  # loads the voice
    tracemalloc.start()
    motion = talksplat.motion(Long())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert motion.frames == 60 * minutes * 25
    kept = sum(getattr(motion, name).nbytes for name in FIELDS) + motion.inputs["head_pose"].nbytes
    assert peak < 2.5 * kept + 2e6  # pieces, and the whole that they are joined to
    assert 2.5 * kept + 2e6 < noise.nbytes * 60 * minutes
