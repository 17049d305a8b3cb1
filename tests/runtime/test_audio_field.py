# SPDX-License-Identifier: Apache-2.0
"""Sounds as users have them: cut, joined, several tracks, a channel turned over, no header, pipes."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import talksplat
from runtime.sounds import all_samples, chirps, lag_s, write_sound
from talksplat import AudioInvalid
from talksplat._mp3 import added_samples
from talksplat.audio import open_audio

RATE = 16000


@pytest.fixture(scope="module")
def field(shared_dir: Path) -> Path:
    return shared_dir / "data" / "field"


@pytest.fixture(scope="module")
def reference(field: Path) -> np.ndarray:
    return jaw(field / "ref_16k_mono.wav")


def jaw(source: Any) -> np.ndarray:
    motion = talksplat.motion(source)
    return motion.weights[:, motion.names.index("jawOpen")]


def test_the_reference(reference: np.ndarray) -> None:
    assert len(reference) == 88
    # The voice of that report said 0.451 and 0.186.
    assert (round(float(reference.max()), 3), round(float(reference.mean()), 3)) == (0.428, 0.178)


@pytest.mark.parametrize("name", ["stereo_out_of_phase.wav", "two_tracks_second_is_default.mkv"])
def test_heard_as_the_reference(field: Path, reference: np.ndarray, name: str) -> None:
    got = jaw(field / name)
    assert len(got) == 88
    # Until it is heard that channels cancel each other, nothing is: the sound begins some milliseconds later.
    assert np.abs(got - reference)[:3].max() < 0.1
    assert np.abs(got - reference)[3:].max() < 0.05
    assert np.corrcoef(got[5:], reference[5:])[0, 1] > 0.998


def test_the_sound_of_a_turned_channel_stays_in_the_video(field: Path) -> None:
    """Only what is heard is chosen: a frame has the samples of the file."""
    frames = list(talksplat.load("demo").render(field / "stereo_out_of_phase.wav", size=(16, 16)))
    sound = np.concatenate([frame.audio for frame in frames])
    np.testing.assert_array_equal(sound, all_samples(open_audio("test", field / "stereo_out_of_phase.wav")))
    assert sound.shape[1] == 2 and np.abs(sound).max() > 0.1


def test_recordings_after_one_another(field: Path, reference: np.ndarray) -> None:
    audio = open_audio("test", field / "cat_two_ts_segments.ts")
    got = jaw(audio)
    assert len(got) == 163
    assert audio.notes == [f"the timestamps of {audio.name} begin again at 3.49 s of sound"]
    assert np.corrcoef(got[:87], reference[:87])[0, 1] > 0.99
    assert got[88:].max() > 0.3 / 0.451 * reference.max()  # somebody else speaks there, as in that report


def test_joined_mp3s_of_two_rates(field: Path, reference: np.ndarray) -> None:
    audio = open_audio("test", field / "two_tts_engines_joined_22k_24k.mp3")
    got = jaw(audio)
    assert len(got) in (175, 176)
    assert audio.rate == 22050
    (note,) = audio.notes
    assert re.search(
        r"changes to 24000 Hz and 1 channel at 3\.5\d s; it is heard at 22050 Hz with 1 channel throughout", note
    )
    for half in (got[:87], got[88 : 88 + 87]):
        assert np.corrcoef(half[:85], reference[:85])[0, 1] > 0.95


def test_raw_law_samples(field: Path) -> None:
    with pytest.raises(AudioInvalid, match=r"call\.ul: raw samples have no header .* ffmpeg -f mulaw -ar 8000 -ac 1"):
        open_audio("test", field / "call.ul")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.AL", "alaw"), ("a.sw", "s16le"), ("a.sln", "s16le"), ("a.pcmu", "mulaw"), ("a.s24le", "s24le"),
     ("a.f64be", "f64be"), ("a.ub", "u8"), ("a.raw", "s16le"), ("a.f32", "f32le")],
)  # fmt: skip
def test_raw_samples_are_known_by_their_suffix(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_bytes(bytes(4000))
    with pytest.raises(AudioInvalid, match=rf"{name}: raw samples have no header .* ffmpeg -f {kind} -ar"):
        open_audio("test", tmp_path / name)


# ---- tracks ----


def two_tracks(path: Path, first: np.ndarray, second: np.ndarray, default: int | None) -> Path:
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("flac", rate=RATE) for _ in range(2)]
        for i, stream in enumerate(streams):
            stream.layout, stream.format = "mono", "s16"
            try:
                stream.disposition = av.stream.Disposition.default if i == default else av.stream.Disposition(0)
            except (AttributeError, TypeError):
                pytest.skip("this PyAV cannot mark a track as the default")
        for stream, sound in zip(streams, (first, second), strict=True):
            pcm = np.round(sound[:, 0] * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("default", "heard"), [(0, 0), (1, 1), (None, 0)])
def test_the_default_track_is_heard(tmp_path: Path, default: int | None, heard: int) -> None:
    sounds = [chirps(0.5, RATE, seed=seed) for seed in (1, 2)]
    audio = open_audio("test", two_tracks(tmp_path / "a.mkv", *sounds, default))
    np.testing.assert_allclose(all_samples(audio), sounds[heard], atol=2**-15)
    assert audio.notes == [f"{audio.name} has 2 sound tracks; number {heard + 1} is heard"]


# ---- sound that changes midway ----


def joined(tmp_path: Path, *parts: tuple[np.ndarray, int], ending: str = "mp3", codec: str = "libmp3lame") -> bytes:
    data = b""
    for i, (sound, rate) in enumerate(parts):
        data += write_sound(tmp_path / f"{i}.{ending}", sound, rate, codec, "fltp").read_bytes()
    return data


@pytest.mark.parametrize("rates", [(22050, 22050), (24000, 24000), (22050, 24000), (24000, 16000), (16000, 48000)])
def test_mp3s_joined_are_as_long_as_their_parts(tmp_path: Path, rates: tuple[int, int]) -> None:
    """Every part begins at its time: what its encoder added in the middle is left out too."""
    parts = [(chirps(1.0, rate, seed=i), rate) for i, rate in enumerate(rates)]
    audio = open_audio("test", joined(tmp_path, *parts))
    got = all_samples(audio)[:, 0]
    assert audio.rate == rates[0]
    assert len(got) / rates[0] == pytest.approx(2.0, abs=0.06)
    # The second part, at the first one's rate.
    times = np.arange(rates[0]) / rates[0]
    second = np.interp(times, np.arange(rates[1]) / rates[1], parts[1][0][:, 0])
    late_s = lag_s(got[rates[0] :], second, rates[0])
    assert 0 <= late_s < 0.06  # the padding of the first part's last frame
    assert len(audio.notes) == (rates[0] != rates[1])


def test_channels_that_change_midway(tmp_path: Path) -> None:
    stereo, mono = chirps(1.0, 44100, 2), chirps(1.0, 44100, 1, seed=4)
    audio = open_audio("test", joined(tmp_path, (stereo, 44100), (mono, 44100)))
    got = all_samples(audio)
    assert got.shape[1] == 2
    assert "changes to 44100 Hz and 1 channel at 1.0" in audio.notes[0]
    tail = got[-20000:-5000]
    np.testing.assert_allclose(tail[:, 0], tail[:, 1], atol=1e-6)
    assert tail.std() > 0.05


def test_what_is_no_tag() -> None:
    assert added_samples(b"") is None
    assert added_samples(b"Info" + bytes(200)) is None
    tag = b"Info" + bytes(116) + b"LAME3.100" + bytes(12) + (1105 << 12 | 7).to_bytes(3, "big")
    assert added_samples(b"\xff\xfb\x90\x64" + bytes(17) + tag) == 1105 + 529
    assert added_samples(tag[:-1]) == (1105 << 4 >> 12) + 529  # cut off: whatever it says, nothing breaks


# ---- standard input and names ----

MOTION_OF_STDIN = "import talksplat; print(talksplat.motion('-').frames)"


def test_a_dash_is_standard_input(field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = (field / "ref_16k_mono.wav").read_bytes()
    done = subprocess.run([sys.executable, "-c", MOTION_OF_STDIN], input=sound, capture_output=True)
    assert done.stdout.split() == [b"88"], done.stderr
    monkeypatch.chdir(tmp_path)
    Path("-").write_bytes(sound)
    assert open_audio("test", "./-").rate == RATE
    assert open_audio("test", Path("./-").resolve()).rate == RATE


def test_standard_input_that_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(AudioInvalid, match="standard input is closed"):
        open_audio("test", "-")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO())))
    with pytest.raises(AudioInvalid, match="standard input: the file is empty"):
        open_audio("test", "-")


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_names_that_are_no_text(tmp_path: Path, field: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.wav"
    Path(os.fsdecode(name)).write_bytes((field / "ref_16k_mono.wav").read_bytes())
    for path in (os.fsdecode(name), Path(os.fsdecode(name))):
        assert open_audio("test", path).rate == RATE


# ---- faults ----


def test_a_fault_of_ours_is_no_damaged_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument that a new PyAV does not take told users to repair their files."""
    monkeypatch.setattr(av, "open", lambda file, **options: (_ for _ in ()).throw(TypeError("unexpected argument")))
    with pytest.raises(TypeError, match="unexpected argument"):
        open_audio("test", "sample")


def test_a_sound_that_was_never_opened_goes_quietly(recwarn: pytest.WarningsRecorder) -> None:
    from talksplat.audio_file import AudioFile

    AudioFile.__new__(AudioFile).__del__()


@pytest.mark.skipif(int(av.__version__.split(".")[0]) < 18, reason="earlier releases of PyAV cannot be told")
def test_large_pictures_beside_the_sound_are_not_decoded(tmp_path: Path) -> None:
    """One picture of 8000x8000 took 190 MB to learn its pixel format."""
    path = tmp_path / "big.mov"
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("png", rate=25)
        pictures.width = pictures.height = 8000
        pictures.pix_fmt = "rgb24"
        sound = container.add_stream("pcm_s16le", rate=RATE)
        sound.layout = "mono"
        container.mux(pictures.encode(av.VideoFrame(8000, 8000, "rgb24")))
        container.mux(pictures.encode(None))
        pcm = np.round(chirps(1.0, RATE)[:, 0] * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    peak = (
        "import sys, resource; from talksplat.audio import open_audio\n"
        "n = sum(len(b) for b in open_audio('t', sys.argv[1]).blocks())\n"
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )

    def run(of: Path) -> tuple[int, int]:
        samples, kilobytes = subprocess.run(
            [sys.executable, "-c", peak, of], capture_output=True, text=True, check=True
        ).stdout.split()
        return int(samples), int(kilobytes)

    plain = write_sound(tmp_path / "plain.wav", chirps(1.0, RATE), RATE, "pcm_s16le", "s16")
    (count, with_pictures), (_, without) = run(path), run(plain)
    assert count == RATE
    assert with_pictures < without + 40_000
