# SPDX-License-Identifier: Apache-2.0
"""The way through the whole product, short: what `make pythons` runs on every Python, with old and new dependencies."""

import csv
import io
import os
import struct
import zlib
from pathlib import Path

import av
import numpy as np
import pytest

import talksplat
from talksplat import AudioInvalid
from talksplat.cli import main

RATE = 16000
# Name → codec that PyAV must have for it.
SOUNDS = {"s.wav": "pcm_s16le", "s.flac": "flac", "s.mp3": "libmp3lame", "s.ogg": "libopus", "s.m4a": "aac"}


def spoken() -> np.ndarray:
    """[n,1]: the built-in sentence's first second and a half, at 22 kHz."""
    blocks = talksplat.audio.open_audio("test", "sample").blocks()
    return np.concatenate(list(blocks))[:33075]


def write_sound(path: Path, samples: np.ndarray, codec: str) -> None:
    rate = 48000 if codec == "libopus" else 22050
    if rate == 48000:
        samples = np.repeat(samples, 2, axis=0)  # about twice as fast a sentence: only the container is of interest
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "mono"
        for start in range(0, len(samples), 1000):
            block = np.ascontiguousarray(samples[start : start + 1000].T)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm"])
def test_the_demo_head_speaks_a_video(tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"a{ending}"
    assert main(["render", "demo", "sample", "-o", str(path), "--size", "128x128", "--seconds", "1"]) == 0
    assert "25 frames, 128x128" in capsys.readouterr().err
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert len(pictures) == 25 and pictures[0].shape == (128, 128)
    assert np.ptp(pictures[0]) > 100 and (pictures[0] != pictures[-1]).any()
    heard = np.concatenate(list(talksplat.audio.open_audio("test", path).blocks()))
    assert np.abs(heard).max() > 0.1


@pytest.mark.parametrize(("name", "codec"), SOUNDS.items())
def test_sound_of_every_kind_moves_a_mouth(tmp_path: Path, name: str, codec: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV cannot write {codec}")
    write_sound(tmp_path / name, spoken(), codec)
    motion = talksplat.motion(tmp_path / name)
    assert 34 <= motion.frames <= 41
    assert motion.weights[:, motion.names.index("jawOpen")].max() > 0.1


def test_what_is_no_sound_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF" + bytes(range(200)))
    with pytest.raises(AudioInvalid, match=r"broken\.wav"):
        talksplat.motion(tmp_path / "broken.wav")


def test_motion_is_written_and_drives_again(tmp_path: Path) -> None:
    assert main(["motion", "sample", "-o", str(tmp_path / "m.csv"), "-q"]) == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "m.csv").read_text())))
    assert len(rows) == 211 and max(float(row["JawOpen"]) for row in rows) > 0.1
    pattern = tmp_path / "frames" / "%03d.png"
    arguments = ["render", "demo", "--motion", str(tmp_path / "m.csv"), "-o", str(pattern), "--size", "64x64", "-q"]
    assert main([*arguments, "--seconds", "0.2"]) == 0
    pictures = sorted(pattern.parent.iterdir())
    assert [path.name for path in pictures] == [f"{k:03d}.png" for k in range(5)]
    data = pictures[0].read_bytes()
    assert struct.unpack(">II", data[16:24]) == (64, 64)
    assert len(zlib.decompress(data[data.index(b"IDAT") + 4 :])) == 64 * (1 + 3 * 64)


def test_a_scene_imports_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    splats = talksplat.load("demo").gaussians({})
    rows = np.zeros(len(splats.mean), [("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])
    rows["mean"], rows["scale"] = splats.mean * (1, -1, -1), splats.scale
    rows["rgba"], rows["quat"] = (200, 150, 100, 255), (255, 128, 128, 128)
    (tmp_path / "scene.splat").write_bytes(rows.tobytes())
    assert main(["convert", str(tmp_path / "scene.splat"), "-o", str(tmp_path / "scene.tsplat")]) == 0
    avatar = talksplat.load(tmp_path / "scene.tsplat")
    assert avatar.n_gaussians == len(rows)
    middle = avatar.render_frame({}, size=(64, 64)).image[24:40, 24:40].mean(axis=(0, 1))
    assert middle[0] > middle[1] > middle[2] > 50
    assert main(["inspect", str(tmp_path / "scene.tsplat")]) == 0
    assert "a still scene" in capsys.readouterr().out


def test_doctor_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.count("passed") == 3


def test_a_wrong_command_line_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "demo", "--bogus"]) == 2
    assert "See talksplat render --help." in capsys.readouterr().err
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("talksplat ")


def test_an_exported_encoder_hears() -> None:
    folder = os.environ.get("TALKSPLAT_SMOKE_ENCODER")
    if folder is None:
        pytest.skip("make pythons makes the encoder for it")
    encoder = talksplat.load_encoder(folder, engine="onnxruntime")
    sound = spoken()
    features = encoder.encode(sound, 22050)
    assert 74 <= len(features) <= 76 and np.ptp(features) > 0.1 and np.isfinite(features).all()
    stream = encoder.stream(22050)
    parts = [stream.push(sound[at : at + 777]) for at in range(0, len(sound), 777)]
    np.testing.assert_array_equal(np.concatenate([*parts, stream.flush()]), features)
