# SPDX-License-Identifier: Apache-2.0
"""Voices of one's own: a file in place of the built-in voice, wherever a face speaks."""

from pathlib import Path

import numpy as np
import pytest

import talksplat
from ops.voices import make_voice, noise
from runtime.command import Output, fails
from talksplat._assets import VOICE
from talksplat.cli import main

RATE_HZ = 16000


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A voice that says other things."""
    return make_voice(tmp_path).path


def test_motion_is_the_file_s(other: Path) -> None:
    sound = noise(RATE_HZ)
    usual = talksplat.motion(sound, sample_rate=RATE_HZ)
    same = talksplat.motion(sound, sample_rate=RATE_HZ, voice=VOICE)
    np.testing.assert_array_equal(usual.weights, same.weights)
    assert np.abs(talksplat.motion(sound, sample_rate=RATE_HZ, voice=str(other)).voice - usual.voice).max() > 0.05


def test_frames_and_sessions_are_the_file_s(demo_avatar: Path, other: Path) -> None:
    """A session's first utterance is what render() makes, with this voice too."""
    avatar = talksplat.load(demo_avatar, threads=1)
    sound = noise(RATE_HZ)
    size = (64, 64)

    def rendered(voice: Path | None) -> list[np.ndarray]:
        frames = avatar.render(sound, 25, size, "rgba8", sample_rate=RATE_HZ, voice=voice)
        return [frame.image.copy() for frame in frames]

    def live(voice: Path | None) -> list[np.ndarray]:
        with avatar.create_session(25, size, latency_ms=2000, clock="caller", voice=voice) as session:
            session.push_audio(sound)
            session.close()
            images: list[np.ndarray] = []
            for step in range(1, 150):
                avatar.engine.step(0.04 * step)
                try:
                    while (frame := session.acquire(0)) is not None:
                        images.append(frame.image.copy())
                        frame.release()
                except talksplat.SessionClosed:
                    return images
            raise AssertionError("the session does not end")

    usual, own = rendered(None), rendered(other)
    assert any((a != b).any() for a, b in zip(usual, own, strict=True))
    np.testing.assert_array_equal(live(other), own)


@pytest.mark.parametrize("command", ["render", "motion"])
def test_the_commands_take_it(tmp_path: Path, other: Path, capsys: Output, command: str) -> None:
    out = tmp_path / ("out.mp4" if command == "render" else "out.csv")
    usual: list[object] = ["sample", "-o", out]
    usual = (
        ["render", "demo", *usual, "--size", "64x64", "--seconds", 0.2] if command == "render" else ["motion", *usual]
    )
    assert main([str(argument) for argument in [*usual, "--voice", other]]) == 0
    assert out.stat().st_size > 0
    capsys.readouterr()
    fails(capsys, [*usual, "--voice", tmp_path / "no.voice"], 1, "no such file")


def test_what_is_no_voice_is_refused(tmp_path: Path) -> None:
    sound = noise(1600)
    path = tmp_path / "no.voice"
    path.write_bytes(b"x" * 100)
    with pytest.raises(talksplat.VoiceInvalid, match=r"no\.voice"):
        talksplat.motion(sound, sample_rate=RATE_HZ, voice=path)
    with pytest.raises(ValueError, match="motion: voice must be a voice file's path"):
        talksplat.motion(sound, sample_rate=RATE_HZ, voice=3)  # type: ignore[arg-type]
