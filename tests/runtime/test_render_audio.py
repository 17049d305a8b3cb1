# SPDX-License-Identifier: Apache-2.0
"""Avatars that speak: frames with their sound, and videos whose pictures and sound agree in time."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import talksplat
from runtime.sounds import chirps, lag_s
from talksplat.audio import open_audio
from talksplat.audio_blocks import Audio
from talksplat.authoring import spec
from talksplat.sound import OPUS_RATE, aac_rate
from talksplat.video import open_video

# ---- frames ----


@pytest.mark.parametrize(
    ("rate", "channels", "n"), [(8000, 1, 8001), (16000, 1, 1), (44100, 2, 30011), (48000, 6, 4800), (192000, 1, 99999)]
)
@pytest.mark.parametrize("fps", [20, 25, 29.97, 60])
def test_frames_have_the_whole_sound(tiny: talksplat.Avatar, rate: int, channels: int, n: int, fps: float) -> None:
    samples = chirps(n / rate, rate, channels) if n > 1 else np.full((1, 1), 0.25, np.float32)
    frames = list(tiny.render(samples, fps, size=(8, 6), sample_rate=rate))
    assert len(frames) == -(-n * fps // rate)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    np.testing.assert_allclose([frame.pts for frame in frames], np.arange(len(frames)) / fps, rtol=1e-12)
    sounds: list[Any] = [frame.audio for frame in frames]
    assert all(sound.dtype == np.float32 for sound in sounds)
    np.testing.assert_array_equal(np.concatenate(sounds), samples[:, 0] if channels == 1 else samples)
    starts = np.cumsum([0, *(len(sound) for sound in sounds)])[:-1] / rate
    assert np.abs(starts - np.arange(len(frames)) / fps).max() < 1 / rate


def test_frames_show_the_motion(tiny: talksplat.Avatar) -> None:
    options = {"seed": 3, "mouth": 1.5, "head": 0.5, "blink": 0.0}
    motion = talksplat.motion("sample", 30, **options)  # type: ignore[arg-type]
    spoken = tiny.render("sample", size=(32, 24), **options)  # type: ignore[arg-type]
    count = 0
    for frame, want in zip(spoken, tiny.render_motion(motion, size=(32, 24)), strict=True):
        assert (frame.index, frame.pts) == (want.index, want.pts)
        np.testing.assert_array_equal(frame.image, want.image)
        count += 1
    assert count == motion.frames
    assert want.audio is None


def test_rate_of_the_avatar_where_faces_can_have_it(tmp_path: Path, tiny_path: Path) -> None:
    from runtime.tiny import tiny_avatar

    manifest, tensors = tiny_avatar()
    for own, used in ((20.0, 20.0), (60.0, 60.0), (15.0, 25.0), (120.0, 25.0)):
        manifest["fps"] = own
        head = talksplat.load(spec.write(tmp_path / f"{own}.tsplat", manifest, tensors), threads=1)
        assert sum(1 for _ in head.render(np.zeros(16000), size=(8, 6), sample_rate=16000)) == used


class _Counted(Audio):
    """A second of silence at a time; `read` says how many were taken."""

    name, rate, channels, seconds = "counted", 16000, 1, None

    def __init__(self, blocks: int) -> None:
        self.read = 0
        self._blocks = blocks

    def _chunks(self) -> Iterator[Any]:
        for _ in range(self._blocks):
            self.read += 1
            yield np.zeros((16000, 1), np.float32)


def test_frames_come_while_the_sound_is_read(tiny: talksplat.Avatar) -> None:
    audio = _Counted(100)
    frames = tiny.render(audio, 25, size=(8, 6))
    assert audio.read == 0
    for _ in range(30):
        next(frames)
    assert audio.read <= 3


@pytest.mark.slow
def test_a_long_sound_takes_no_memory(tiny: talksplat.Avatar) -> None:
    import tracemalloc

    out = np.empty((6, 8, 3), np.uint8)
    frames = tiny.render(_Counted(180), 20, size=(8, 6), out=out)
    for _ in range(100):
        next(frames)
    tracemalloc.start()
    count = 100 + sum(1 for _ in frames)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 180 * 20
    assert peak < 2e6


def test_errors_come_before_the_first_frame(tiny: talksplat.Avatar, tmp_path: Path) -> None:
    for wrong, kind, message in (
        ({"audio": "no.wav"}, talksplat.AudioInvalid, "no.wav: no such file."),
        ({"audio": np.zeros(9)}, ValueError, "render: an array needs sample_rate"),
        ({"fps": 61}, ValueError, "render: fps must be 20 to 60; got 61."),
        ({"format": "jpg"}, ValueError, "render: format must be one of"),
        ({"size": 5}, ValueError, "render: size must be (width, height)"),
        ({"mouth": "wide"}, ValueError, "render: mouth must be a number"),
    ):
        with pytest.raises(kind, match=re.escape(message)):
            tiny.render(**{"audio": "sample", **wrong})


def test_sound_is_not_recorded_motion(tiny: talksplat.Avatar) -> None:
    for wrong in (None, np.zeros(9)):
        with pytest.raises(
            ValueError, match=r"render_motion: motion must be a Motion, a path or .* Sound is for render"
        ):
            tiny.render_motion(wrong)  # type: ignore[arg-type]


def test_an_avatar_without_a_face(tmp_path: Path) -> None:
    from runtime.tiny import tiny_avatar

    manifest, tensors = tiny_avatar()
    manifest["inputs"] = [into for into in manifest["inputs"] if into["name"] != "arkit"]
    manifest["clips"] = []
    tensors = {k: v for k, v in tensors.items() if not k.startswith(("clip/", "rig/blendshape"))}
    head = talksplat.load(spec.write(tmp_path / "still.tsplat", manifest, tensors), threads=1)
    assert not head.speaks
    with pytest.raises(talksplat.MotionInvalid, match="render: tiny has no face that speech could move; it takes"):
        head.render("sample")


def test_the_demo_speaks() -> None:
    demo = talksplat.load("demo")
    frames = demo.render("sample", 25, size=(64, 64))
    images = [next(frames).image.astype(int) for _ in range(25)]
    assert demo.speaks
    assert np.abs(images[-1] - images[0]).max() > 20


def test_words_are_built_in_and_paths_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").write_bytes(b"no avatar")
    assert talksplat.load("demo").n_gaussians > 10000
    for path in ("./demo", Path("demo")):
        with pytest.raises(talksplat.AvatarInvalid):
            talksplat.load(path)


# ---- videos ----


def talking_video(target: Path, rate: int, channels: int, fps: float, seconds: float) -> tuple[Any, Any]:
    """Pictures that are light where the sound is loud; returns the sound and whether each frame is loud."""
    rng = np.random.default_rng(2)
    loud = rng.random(round(seconds * fps)) < 0.5
    samples = chirps(len(loud) / fps, rate, channels)
    frame_of = np.minimum((np.arange(len(samples)) * fps / rate).astype(int), len(loud) - 1)
    samples *= np.where(loud, 1.0, 0.05)[frame_of, None].astype(np.float32)
    with open_video(str(target), fps, (64, 48), None, (rate, channels)) as writer:
        for k, light in enumerate(loud):
            picture = np.full((72, 64), 128, np.uint8)
            picture[:48] = 200 if light else 40
            begin, end = (round(i * rate / fps) for i in (k, k + 1))
            writer.write(picture, samples[begin : len(samples) if k == len(loud) - 1 else end])
    return samples, loud


def read_back(target: Path) -> tuple[Any, int, Any, Any]:
    """Sound [n,channels] from the first picture on, its rate, times of the pictures, and how light they are."""
    audio = open_audio("test", target)
    samples = np.concatenate(list(audio.blocks()))
    with av.open(str(target)) as container:
        pictures = [(frame.time, float(frame.to_ndarray()[:48].mean())) for frame in container.decode(video=0)]
    times, lights = zip(*pictures, strict=True)
    return samples, audio.rate, np.array(times), np.array(lights)


@pytest.mark.parametrize(
    ("suffix", "rate", "channels", "fps"),
    [
        (".mp4", 16000, 1, 25),
        (".mp4", 44100, 2, 25),
        (".mp4", 48000, 1, 29.97),
        (".mp4", 8000, 1, 60),
        (".mp4", 37800, 2, 25),
        (".mov", 44100, 1, 30),
        (".mkv", 22050, 2, 25),
        (".webm", 44100, 2, 25),
    ],
)
def test_sound_and_pictures_agree(tmp_path: Path, suffix: str, rate: int, channels: int, fps: float) -> None:
    target = tmp_path / f"out{suffix}"
    played, loud = talking_video(target, rate, channels, fps, 6.0)
    heard, kept, times, lights = read_back(target)
    assert kept == (OPUS_RATE if suffix == ".webm" else aac_rate(rate))
    assert heard.shape[1] == channels
    np.testing.assert_allclose(times - times[0], np.arange(len(loud)) / fps, atol=1.1e-3)
    np.testing.assert_array_equal(lights > 120, loud)
    # The sound alone, to a millisecond (Matroska's unit), in the first and the last two seconds.
    ours = np.interp(np.arange(int(len(played) / rate * kept)) / kept, np.arange(len(played)) / rate, played[:, 0])
    two = 2 * kept
    assert len(heard) >= len(ours) - 1
    assert abs(lag_s(heard[:two, 0], ours[:two], kept)) <= 1.1e-3
    assert abs(lag_s(heard[len(ours) - two : len(ours), 0], ours[-two:], kept)) <= 1.1e-3
    # What is seen against what is heard: every frame's loudness belongs to its own picture.
    for part in (slice(0, round(2 * fps)), slice(-round(2 * fps), None)):
        spans = [(round(k / fps * kept), round((k + 1) / fps * kept)) for k in range(len(loud))][part]
        energy = np.array([np.square(heard[begin:end, 0]).mean() for begin, end in spans])
        match = {lag: np.corrcoef(np.roll(lights[part], lag)[3:-3], energy[3:-3])[0, 1] for lag in range(-3, 4)}
        assert max(match, key=lambda lag: match[lag]) == 0
    probe = shutil.which("ffprobe")
    if probe is not None:
        shown = subprocess.run(
            [probe, "-v", "error", "-show_entries", "stream=start_time,duration", "-of", "json", target],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        starts = [float(stream["start_time"]) for stream in json.loads(shown.stdout)["streams"]]
        assert max(starts) - min(starts) <= 1 / fps


def test_sound_is_faithful(tmp_path: Path) -> None:
    played, _ = talking_video(tmp_path / "out.mp4", 44100, 2, 25, 3.0)
    heard = read_back(tmp_path / "out.mp4")[0][: len(played)]
    error = np.square(heard - played).sum() / np.square(played).sum()
    assert 10 * np.log10(error) < -25
    assert abs(np.corrcoef(heard.T)[0, 1] - np.corrcoef(played.T)[0, 1]) < 0.02  # the channels stay apart


@pytest.mark.parametrize("channels", [3, 6, 8])
def test_many_channels_become_stereo(tmp_path: Path, channels: int) -> None:
    talking_video(tmp_path / "out.mp4", 48000, channels, 25, 0.4)
    heard = read_back(tmp_path / "out.mp4")[0]
    assert heard.shape[1] == 2
    assert np.abs(heard).max() > 0.05


def test_one_sample_of_sound(tmp_path: Path) -> None:
    with open_video(str(tmp_path / "out.mp4"), 25, (64, 48), None, (16000, 1)) as writer:
        writer.write(np.zeros((72, 64), np.uint8), np.ones(1, np.float32))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(list(container.decode(video=0))) == 1
        assert len(container.streams.audio) == 1


@pytest.mark.parametrize(
    ("rate", "kept"), [(8000, 8000), (9000, 11025), (44100, 44100), (50000, 64000), (96000, 96000), (192000, 96000)]
)
def test_rates_of_aac(rate: int, kept: int) -> None:
    assert aac_rate(rate) == kept
