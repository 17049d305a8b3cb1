# SPDX-License-Identifier: Apache-2.0
"""Sound from files, bytes and arrays: every sample at its time, and a named error for what is no sound."""

import gc
import io
import os
import re
import struct
import sys
import time
import tracemalloc
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from runtime.sounds import all_samples, chirps, lag_s, write_sound
from talksplat import AudioInvalid
from talksplat.audio import open_audio

RATE = 16000


def heard(source: Any, rate: int | None = None) -> Any:
    return all_samples(open_audio("test", source, rate))


def wav_bytes(data: bytes, rate: int = RATE, channels: int = 1, bits: int = 16, tag: int = 1) -> bytes:
    align = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * align & 0xFFFFFFFF, align, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


# ---- files ----

EXACT = [
    ("a.wav", "pcm_s16le", "s16", 1, 16000, 2**-15),
    ("b.wav", "pcm_s24le", "s32", 2, 44100, 2**-23),
    ("c.wav", "pcm_f32le", "flt", 2, 192000, 0),
    ("d.wav", "pcm_f64le", "dbl", 1, 8000, 0),
    ("e.wav", "pcm_u8", "u8", 1, 11025, 2**-7),
    ("f.flac", "flac", "s16", 2, 48000, 2**-15),
    ("g.flac", "flac", "s32", 6, 96000, 2**-23),
    ("i.flac", "flac", "s16", 8, 48000, 2**-15),
    ("h.mkv", "pcm_s16le", "s16", 1, 22050, 2**-15),
]


@pytest.mark.parametrize(("name", "codec", "kind", "channels", "rate", "error"), EXACT)
def test_lossless_files(
    tmp_path: Path, name: str, codec: str, kind: str, channels: int, rate: int, error: float
) -> None:
    want = chirps(1.1, rate, channels)
    audio = open_audio("test", str(write_sound(tmp_path / name, want, rate, codec, kind)))
    assert (audio.rate, audio.channels) == (rate, channels)
    assert audio.seconds == pytest.approx(1.1, abs=2e-3)
    got = all_samples(audio)
    assert got.dtype == np.float32
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=error * 1.01 + 1e-7)


LOSSY = [
    ("a.mp3", "libmp3lame", "fltp", 1, 44100),
    ("b.mp3", "libmp3lame", "fltp", 2, 16000),
    ("c.m4a", "aac", "fltp", 2, 44100),
    ("d.m4a", "aac", "fltp", 1, 8000),
    ("h.m4a", "aac", "fltp", 8, 48000),
    ("e.ogg", "libopus", "flt", 1, 48000),
    ("f.webm", "libopus", "flt", 2, 48000),
    ("g.g722", "g722", "s16", 1, 16000),
]


@pytest.mark.parametrize(("name", "codec", "kind", "channels", "rate"), LOSSY)
def test_lossy_files_start_on_time(tmp_path: Path, name: str, codec: str, kind: str, channels: int, rate: int) -> None:
    want = chirps(1.5, rate, channels)
    audio = open_audio("test", write_sound(tmp_path / name, want, rate, codec, kind))
    assert (audio.rate, audio.channels) == (rate, channels)
    got = all_samples(audio)
    assert len(want) <= len(got) <= len(want) + 4096
    # G.722 cannot say that its filters are 22 samples late.
    assert abs(lag_s(got[:, 0], want[:, 0], rate)) <= (22.5 / 16000 if name.endswith("g722") else 0.5 / rate)


@pytest.mark.parametrize("name", ["a.mp4", "b.mkv", "c.mov"])
@pytest.mark.parametrize(("start_s", "picture_s"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.4), (1.2, 0.8)])
def test_time_0_of_a_video_is_its_first_picture(tmp_path: Path, name: str, start_s: float, picture_s: float) -> None:
    rate = 48000
    want = chirps(2.0, rate)
    got = heard(write_sound(tmp_path / name, want, rate, "aac", "fltp", start_s, picture_s))[:, 0]
    delay = start_s - picture_s
    late = lag_s(got, np.pad(want[:, 0], (round(max(delay, 0) * rate), 0))[round(max(-delay, 0) * rate) :], rate)
    assert abs(late) <= 0.0011  # Matroska writes milliseconds
    if delay > 0:
        assert not got[: round(delay * rate) - 2048].any()


def test_mpeg_video(tmp_path: Path) -> None:
    want = chirps(2.0, 44100, 2)
    got = heard(write_sound(tmp_path / "a.mpg", want, 44100, "mp2", "s16", 0.0, 0.0))
    # The delay of MPEG-1 layer II's filters, 481 samples, is nowhere in the file.
    assert abs(lag_s(got[:, 0], want[:, 0], 44100)) <= 482 / 44100


def test_recorded_video(shared_dir: Path) -> None:
    """GRID: pictures and sound start together, at time 0 of the stream."""
    audio = open_audio("test", shared_dir / "data" / "video" / "grid" / "bbaf2n.mpg")
    assert (audio.rate, audio.channels) == (44100, 2)
    assert len(all_samples(audio)) == 131328  # every sample that its packets hold


def test_bytes_and_streams(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.flac", chirps(0.3, RATE), RATE, "flac", "s16")
    want = heard(path)
    np.testing.assert_array_equal(heard(path.read_bytes()), want)
    np.testing.assert_array_equal(heard(io.BytesIO(path.read_bytes())), want)
    with open(path, "rb") as file:
        np.testing.assert_array_equal(heard(file), want)
        assert not file.closed


@pytest.mark.skipif(sys.platform != "linux", reason="lists the open files of this process")
@pytest.mark.parametrize("blocks", [0, 1])
def test_a_sound_that_is_not_read_on_is_closed(tmp_path: Path, blocks: int) -> None:
    name = tmp_path / "a.wav"
    name.write_bytes(wav_bytes(bytes(100_000)))
    gc.disable()
    try:
        reading = open_audio("test", name).blocks()
        for _ in range(blocks):
            next(reading)
        del reading
        assert not any(os.readlink(link) == str(name) for link in Path("/proc/self/fd").iterdir() if link.exists())
    finally:
        gc.enable()


@pytest.mark.parametrize("seekable", [True, False])
@pytest.mark.parametrize("good", [0, 1000, 60_000])
@pytest.mark.parametrize(
    ("error", "kind"), [(KeyboardInterrupt, KeyboardInterrupt), (RuntimeError, RuntimeError), (OSError, AudioInvalid)]
)
def test_what_goes_wrong_in_a_stream(good: int, seekable: bool, error: type[BaseException], kind: type) -> None:
    """Ctrl-C while a pipe is silent, say: PyAV alone would drop it and wait on."""

    class Breaks(io.BytesIO):
        def read(self, n: int | None = -1) -> bytes:
            if self.tell() >= good:
                raise error("lost")
            return super().read(n)

        def seekable(self) -> bool:
            return seekable

    with pytest.raises(kind, match="lost"):
        heard(Breaks(wav_bytes(bytes(200_000))))


def test_a_stream_that_gives_more_than_was_asked_for() -> None:
    class Gushes(io.BytesIO):
        def read(self, n: int | None = -1) -> bytes:
            return bytes(10_000_000)

    with pytest.raises(AudioInvalid, match=r"read\(\d+\) must give at most so many bytes"):
        heard(Gushes())


def test_whole_sounds(tmp_path: Path) -> None:
    """load_audio: [n] of one channel, [n,channels] of more."""
    samples, rate = talksplat.load_audio("sample")
    audio = open_audio("test", "sample")
    assert (samples.dtype, samples.ndim, rate) == (np.float32, 1, audio.rate)
    np.testing.assert_array_equal(samples, np.concatenate(list(audio.blocks()))[:, 0])
    both = np.stack([samples[:999], -samples[:999]], axis=1)
    path = write_sound(tmp_path / "both.wav", both, rate, "pcm_f32le", "flt")
    for source in (path, str(path), path.read_bytes()):
        again, rate_hz = talksplat.load_audio(source)
        np.testing.assert_array_equal(again, both)
        assert rate_hz == rate
    with pytest.raises(ValueError, match=r"load_audio: audio must be a path, bytes or a binary file; got ndarray\."):
        talksplat.load_audio(samples)
    with pytest.raises(AudioInvalid, match="no such file"):
        talksplat.load_audio(tmp_path / "no.wav")


def test_words_are_built_in_and_paths_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_sound(tmp_path / "a.wav", chirps(0.1, 8000), 8000, "pcm_s16le", "s16").rename("sample")
    assert len(heard("sample")) > 8000
    assert len(heard("./sample")) == len(heard(Path("sample"))) == 800


# ---- arrays ----


@pytest.mark.parametrize("channels", [None, 1, 2, 8])
def test_arrays(channels: int | None) -> None:
    values = chirps(0.7, RATE, channels or 1)
    source = values[:, 0] if channels is None else values
    audio = open_audio("test", source, RATE)
    assert (audio.rate, audio.channels, audio.seconds) == (RATE, channels or 1, 0.7)
    blocks = list(audio.blocks())
    assert all(block.flags.c_contiguous and block.dtype == np.float32 for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), values)
    np.testing.assert_array_equal(heard(source.astype(np.float64), RATE), values)
    pcm = np.round(values * 32767).astype(np.int16)
    np.testing.assert_array_equal(heard(pcm, RATE), pcm / np.float32(32768))
    np.testing.assert_array_equal(heard(np.asfortranarray(values)[::2], RATE), values[::2])


@pytest.mark.parametrize("kind", [">i2", "<i2", ">f4", "<f8"])
def test_arrays_of_either_byte_order(kind: str) -> None:
    samples = np.array([0, 16384, -32768]) / (1 if kind[1] == "i" else 32768)
    assert heard(samples.astype(kind), RATE)[:, 0].tolist() == [0.0, 0.5, -1.0]


def test_one_sample() -> None:
    np.testing.assert_array_equal(heard([0.5], RATE), [[0.5]])
    assert heard(wav_bytes(b"\0\x40")).tolist() == [[0.5]]


WRONG_ARRAYS: list[tuple[Any, Any, type[Exception], str]] = [
    (np.zeros(9), None, ValueError, "test: an array needs sample_rate, in Hz. Pass sample_rate=16000, say."),
    (np.zeros(9), 16000.5, ValueError, "test: sample_rate must be a whole number, at least 1; got 16000.5."),
    (np.zeros(9), 16000.0, ValueError, "at least 1; got 16000.0. Pass it as an int."),
    (np.zeros(9), np.array([RATE]), ValueError, "test: sample_rate must be a whole number, at least 1; got array("),
    (np.zeros(9), 4000, AudioInvalid, "its rate must be 8000 to 192000 Hz; got 4000 Hz."),
    (np.zeros(9), 400000, AudioInvalid, "its rate must be 8000 to 192000 Hz; got 400000 Hz."),
    (np.zeros(9, np.int64), RATE, ValueError, "must be int16, float32 or float64, or a path; got int64."),
    (None, RATE, ValueError, "must be int16, float32 or float64, or a path; got object."),
    (np.zeros((2, 9)), RATE, ValueError, "1 to 8 channels; got [2,9]. Are channels first? Pass its .T."),
    (np.zeros((1, 2, 2)), RATE, ValueError, "must be [n] or [n,channels]; got [1,2,2]."),
    (np.zeros((9, 0)), RATE, ValueError, "1 to 8 channels; got [9,0]."),
    (np.zeros(0), RATE, AudioInvalid, "test: audio: has no sample in it."),
    ([0.0, np.nan], RATE, AudioInvalid, "sample 1 (at 0.000 s) must be finite; got nan."),
    ([[0.0, -np.inf]], RATE, AudioInvalid, "sample 0 (at 0.000 s), channel 1 must be finite; got -inf."),
    ([0.0] * RATE + [9.0], RATE, AudioInvalid, "sample 16000 (at 1.000 s) must be within ±8 (full scale is 1); got 9."),
    (np.array([1e300]), RATE, AudioInvalid, "must be finite; got inf."),
]


@pytest.mark.parametrize(("source", "rate", "kind", "message"), WRONG_ARRAYS)
def test_wrong_arrays(source: Any, rate: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        heard(source, rate)


def test_sample_rate_is_for_arrays() -> None:
    with pytest.raises(ValueError, match=re.escape("sample_rate is for arrays; a file states its own. Leave it out.")):
        heard("speech.wav", RATE)


# ---- what is no sound ----

NO_SOUND: list[tuple[str, bytes, str]] = [
    ("empty.wav", b"", "empty.wav: the file is empty."),
    ("text.wav", b"This is no sound. " * 100, "text.wav: is not sound that can be read"),
    ("list.m3u8", b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "is not sound that can be read"),
    ("none.wav", wav_bytes(b""), "none.wav: has no sample in it"),
    ("slow.wav", wav_bytes(bytes(4000), rate=1000), "its rate must be 8000 to 192000 Hz; got 1000 Hz."),
    ("fast.wav", wav_bytes(bytes(4000), rate=1_092_676), "got 1092676 Hz. If the sound is good, convert it: ffmpeg -i"),
    ("many.wav", wav_bytes(bytes(4000), channels=20), "must have 1 to 8 channels; got 20. Mix it down: ffmpeg -i"),
    ("take.csv", b"Timecode", "is no sound. Recorded motion is for render --motion, and render_motion() in Python."),
    ("take.raw", bytes(4000), "raw samples have no header that states their rate and kind. Give one with ffmpeg -f"),
    ("nan.wav", wav_bytes(struct.pack("<3f", 0, 1, np.nan), bits=32, tag=3), "sample 2 (at 0.000 s) must be finite"),
    ("inf.wav", wav_bytes(struct.pack("<2f", 0, np.inf), bits=32, tag=3), "sample 1 (at 0.000 s) must be finite"),
    ("loud.wav", wav_bytes(struct.pack("<f", 20000), bits=32, tag=3), "must be within ±8 (full scale is 1); got 20000"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "message"), NO_SOUND, ids=[name for name, _, _ in NO_SOUND])
def test_no_sound(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(AudioInvalid, match=re.escape(message)) as caught:
        heard(str(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    for name, message in (("no.wav", "no.wav: no such file."), (".", "cannot be read"), ("a\0b", "cannot be read")):
        with pytest.raises(AudioInvalid, match=re.escape(message)):
            heard(str(tmp_path / name))
    with pytest.raises(AudioInvalid, match=re.escape("demo: no such file. The built-in sound is called sample.")):
        heard("demo")


def test_a_silent_film(tmp_path: Path) -> None:
    from talksplat.video import open_video

    with open_video(str(tmp_path / "a.mp4"), 25, (64, 48)) as writer:
        writer.write(np.zeros((72, 64), np.uint8))
    with pytest.raises(AudioInvalid, match=re.escape("a.mp4: has no sound in it, only video.")):
        heard(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.m4a", "a.mkv", "a.ogg"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    """Cut short or overwritten at random: sound of about the length, or AudioInvalid; never anything else."""
    codec, kind = {
        ".wav": ("pcm_s16le", "s16"), ".flac": ("flac", "s16"), ".mp3": ("libmp3lame", "fltp"),
        ".m4a": ("aac", "fltp"), ".mkv": ("aac", "fltp"), ".ogg": ("libopus", "flt"),
    }[Path(name).suffix]  # fmt: skip
    rate = 48000
    good = write_sound(tmp_path / name, chirps(1.0, rate), rate, codec, kind).read_bytes()
    rng = np.random.default_rng(5)
    begin = time.monotonic()
    for trial in range(40):
        bad = bytearray(good)
        if trial % 2:
            del bad[int(rng.integers(1, len(bad))) :]
        else:
            for at in rng.integers(0, len(bad), 1 + trial):
                bad[at] = rng.integers(256)
        try:
            for block in open_audio("test", bytes(bad)).blocks():
                assert np.isfinite(block).all()
        except AudioInvalid as error:
            assert "audio bytes" in str(error)
    assert time.monotonic() - begin < 20


def test_recorded_malformed_files(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "audio" / "malformed"
    for name, message in (
        ("awful.wav", "got 1092676 Hz"),
        ("bad.wav", "is not sound"),
        ("evil.wav", "is not sound"),
        ("null.wav", "has no sample in it (a header, and nothing after it)."),
    ):
        with pytest.raises(AudioInvalid, match=re.escape(f"{folder / name}: ") + ".*" + re.escape(message)):
            heard(folder / name)
    assert heard(folder / "mp3_named_wav_jfk.wav").shape == (176000, 1)
    with pytest.raises(AudioInvalid, match="raw samples have no header"):
        heard(shared_dir / "data" / "audio" / "en_goforward_16k_s16le.raw")


# ---- length ----


class LongWav(io.RawIOBase):
    """An hour of a 16-bit tone that is made while it is read."""

    def __init__(self, seconds: int) -> None:
        self._size = seconds * RATE * 2
        self._header = wav_bytes(b"")[:40] + struct.pack("<I", self._size)
        tone = 3000 * np.sin(np.arange(RATE) * (2 * np.pi * 200 / RATE))
        self._second = tone.astype("<i2").tobytes()
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        made = bytearray()
        end = min(self._at + len(buffer), len(self._header) + self._size)
        while self._at < end:
            source, at = (
                (self._header, self._at)
                if self._at < len(self._header)
                else (self._second, (self._at - len(self._header)) % len(self._second))
            )
            part = source[at : at + end - self._at]
            made += part
            self._at += len(part)
        buffer[: len(made)] = made
        return len(made)


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_an_hour_takes_no_memory(traced: None) -> None:
    audio = open_audio("test", io.BufferedReader(LongWav(3600)))
    samples = sum(len(block) for block in audio.blocks())
    assert samples == 3600 * RATE
    assert tracemalloc.get_traced_memory()[1] < 4e6


def test_blocks_are_short(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(bytes(4 * 44100 * 3))
    lengths = [len(block) for block in open_audio("test", tmp_path / "a.wav").blocks()]
    assert sum(lengths) == 3 * 44100
    assert max(lengths) <= 44100
