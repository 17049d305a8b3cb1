# SPDX-License-Identifier: Apache-2.0
"""The command line: talksplat say, from stdin to raw pictures, and with a window that only remembers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.command import Output, fails
from runtime.say_devices import Pygame, Sounddevice
from talksplat.audio import open_audio
from talksplat.cli import main

WIDTH, HEIGHT = 64, 48
PICTURE = WIDTH * HEIGHT * 3
PATIENT = ["--latency-ms", "500"]


def said() -> np.ndarray:
    """Half a second of the sample, [n] 16-bit at its own 22050 Hz."""
    samples = np.concatenate(list(open_audio("test", "sample").blocks()))
    return np.round(samples[11025:22050, 0] * 32767).astype("<i2")


def pictures(raw: bytes, size: int = PICTURE) -> np.ndarray:
    assert len(raw) % size == 0  # whole ones
    return np.frombuffer(raw, np.uint8).reshape(-1, size)


def test_samples_in_pictures_out(program: Any, tiny_path: Path) -> None:
    say = program("say", tiny_path, "-", "--rate", "22050", "-o", "-", "--fps", "25", *PATIENT, stdin=subprocess.PIPE)
    out, err = say.communicate(said().tobytes(), timeout=120)
    assert say.returncode == 0, err
    shown = pictures(out)
    assert 13 <= len(shown) <= 60  # half a second, what its latency puts before it
    assert (shown != shown[0]).any(1).sum() >= 5  # the mouth moved
    (line,) = err.decode().splitlines()
    assert line.startswith(f"{len(shown)} frames: ")
    assert "latency 500 ms, of which the voice looks ahead" in line


@pytest.mark.parametrize(("form", "size"), [("rgb8", 3 * 64 * 48), ("rgba8", 4 * 64 * 48), ("nv12", 64 * 72)])
def test_a_file_at_its_pace(program: Any, tiny_path: Path, tmp_path: Path, form: str, size: int) -> None:
    trace = tmp_path / "live.json"
    say = program("say", tiny_path, "sample", "--raw", form, "--seconds", "0.6", "-q", "--trace", trace, *PATIENT)
    out, err = say.communicate(timeout=120)
    assert (say.returncode, err) == (0, b"")
    assert len(pictures(out, size)) == 18
    assert trace.stat().st_size > 1000


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_ctrl_c_is_how_it_ends(program: Any, tiny_path: Path, number: signal.Signals, code: int) -> None:
    say = program("say", tiny_path, "-", "--rate", "16000", "-o", "-", *PATIENT, stdin=subprocess.PIPE)
    assert len(say.stdout.read(3 * PICTURE)) == 3 * PICTURE  # it lives, though nobody speaks
    say.send_signal(number)
    rest, err = say.communicate(timeout=60)
    assert say.returncode == code
    assert len(rest) % PICTURE == 0 or number == signal.SIGTERM
    assert b"Traceback" not in err
    assert (b" frames: " in err) == (code == 0)


def test_a_reader_that_has_enough(program: Any, tiny_path: Path) -> None:
    say = program("say", tiny_path, "-", "--rate", "16000", "-o", "-", *PATIENT, stdin=subprocess.PIPE)
    assert len(say.stdout.read(PICTURE)) == PICTURE
    say.stdout.close()
    assert say.wait(60) == 1
    assert say.stderr.read() == b"error: the reader of the output closed it.\n"
    say.stdin.close()
    say.stderr.close()


def test_wrong_command_lines(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    say = ["say", tiny_path]
    fails(capsys, ["say", "sample", "demo"], 2, "AVATAR comes first, then AUDIO: talksplat say demo sample")
    fails(capsys, [*say, "sample", "--raw", "png"], 2, "--raw must be rgb8, rgba8, nv12; got png")
    fails(capsys, [*say, "sample", "-o", "a.mp4"], 2, "render --realtime writes files")
    fails(capsys, [*say, "sample", "--rate", "16000"], 2, "--rate is for raw samples on stdin: give - as AUDIO")
    fails(capsys, [*say, "sample", "--channels", "2"], 2, "--channels is for raw samples on stdin: give --rate too")
    fails(capsys, [*say, "sample", "--microphone", "1"], 2, "AUDIO and --microphone are both what is said")
    fails(capsys, [*say, "sample", "--fps", "61"], 2, "--fps must be 20 to 60 for speech; got 61.")
    fails(capsys, [*say, "sample", "--sound", "-o", "-"], 2, "--sound is for the window")
    fails(capsys, [*say, "no.wav", "-o", "-"], 1, "error: no.wav: no such file.")
    fails(capsys, [*say, "sample", "-o", "-", "--latency-ms", "30"], 1, "error: --latency-ms must be at least ")
    fails(capsys, ["say", tmp_path / "no.tsplat", "sample", "-o", "-"], 1, "no.tsplat")
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra(tiny_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sounddevice", "pygame"):
        monkeypatch.setitem(sys.modules, name, None)
    fails(capsys, ["say", tiny_path], 1, "needs the package sounddevice. pip install 'talksplat[say]'")
    fails(
        capsys,
        ["say", tiny_path, "sample", "--no-sound"],
        1,
        "needs the package pygame-ce. pip install 'talksplat[say]'",
    )


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> tuple[Pygame, Sounddevice]:
    pygame, sounddevice = Pygame(), Sounddevice()
    monkeypatch.setitem(sys.modules, "pygame", pygame)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice)  # type: ignore[arg-type]
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    return pygame, sounddevice


def test_in_a_window(tiny_path: Path, devices: tuple[Pygame, Sounddevice], capsys: Output) -> None:
    pygame, sounddevice = devices
    assert main(["say", str(tiny_path), "sample", "--seconds", "1", *PATIENT]) == 0
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("30 frames: ")
    assert len(pygame.flipped) == 30
    assert not pygame.is_open
    (speaker,) = sounddevice.streams
    assert (speaker.samplerate, speaker.channels, speaker.closed) == (22050, 1, True)


def test_keys_of_the_window(tiny_path: Path, devices: tuple[Pygame, Sounddevice], capsys: Output) -> None:
    pygame, _ = devices
    begin_s = time.monotonic()
    flip = pygame.display.flip
    keys = iter([*[None] * 30, pygame.K_SPACE])

    def pressed() -> None:
        flip()
        key = next(keys, None)
        if key is not None:
            pygame.press(key)

    pygame.display.flip = pressed
    assert main(["say", str(tiny_path), "sample", "--no-sound", *PATIENT]) == 0
    interrupted_s = time.monotonic() - begin_s
    assert interrupted_s < 6  # of a sound of nearly nine seconds
    keys = iter([*[None] * 10, pygame.K_ESCAPE])
    before = len(pygame.flipped)
    assert main(["say", str(tiny_path), "sample", "--no-sound", *PATIENT]) == 0
    assert len(pygame.flipped) - before == 11
    capsys.readouterr()


def test_a_microphone(tiny_path: Path, devices: tuple[Pygame, Sounddevice], capsys: Output) -> None:
    """What it hears is pushed, and is not played: it would be heard again."""
    pygame, sounddevice = devices
    flip = pygame.display.flip
    block = said()[:882, None]

    def heard() -> None:
        flip()
        sounddevice.streams[0].callback(block, 882, None, None)

    pygame.display.flip = heard
    assert main(["say", str(tiny_path), "--seconds", "1.5", *PATIENT]) == 0
    (microphone,) = sounddevice.streams
    assert microphone.closed
    assert len({picture.tobytes() for picture in pygame.flipped}) > 3
    capsys.readouterr()


def test_without_a_loudspeaker_it_is_seen_all_the_same(
    tiny_path: Path, devices: tuple[Pygame, Sounddevice], capsys: Output
) -> None:
    pygame, sounddevice = devices
    sounddevice.speaker = False
    assert main(["say", str(tiny_path), "sample", "--seconds", "0.5", *PATIENT]) == 0
    note, _ = capsys.readouterr().err.splitlines()
    assert note.startswith("note: there is no loudspeaker that can be used")
    assert len(pygame.flipped) == 15
