# SPDX-License-Identifier: Apache-2.0
"""Avatars whose features an encoder makes while a sound is read, or spoken: in files, in sessions, several at once."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import talksplat
from runtime.encoder_folders import WIDTH, Tiny, write_folder
from runtime.heard import program, write
from runtime.recorder import Recorder, recorded
from runtime.stage import SIZE, Stage, said, same_pictures, speech_of
from talksplat.control import Window
from talksplat.encoders import feed
from talksplat.encoders.encoder import Encoder
from talksplat.encoders.resample import FrameRows, Linear, exact_rate

RATE, AFTER = 24000, 2
WINDOW = Window(1, AFTER, WIDTH, 2)
LIVE = {"latency_ms": 600, "sample_rate": RATE}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKSPLAT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    return talksplat.load_encoder(write_folder(tmp_path / "tiny"), precision="fp32")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "pairs.tsplat", "hubert", program(4, WIDTH, 2, 1, ()))


def sound_of(seconds: float, seed: int = 0) -> np.ndarray:
    values = 0.2 * np.random.default_rng(seed).normal(size=round(seconds * RATE))
    return np.clip(values, -1, 1).astype(np.float32)


def pairs_of(encoder: Encoder, sound: np.ndarray) -> np.ndarray:
    """[F,2,width] as HuBERT's users make them of a whole sound: two features a frame."""
    frames = -(-len(sound) * 25 // RATE)
    return features_of(encoder, sound, 2 * frames).reshape(frames, 2, WIDTH)


def features_of(encoder: Encoder, sound: np.ndarray, count: int) -> np.ndarray:
    stream = encoder.stream(RATE)
    return np.concatenate([stream.push(sound), stream.flush(count)])


# ---- files ----


def test_a_file_is_rendered_as_by_features_of_the_whole(encoder: Encoder, path: Path) -> None:
    avatar = talksplat.load(path, threads=1)
    sound = sound_of(1.03)
    want = list(avatar.render(sound, sample_rate=RATE, features=pairs_of(encoder, sound), size=SIZE))
    for given in (encoder, encoder.folder.path, str(encoder.folder.path)):
        frames = list(avatar.render(sound, sample_rate=RATE, encoder=given, size=SIZE))
        assert len(frames) == 26
        for mine, other in zip(frames, want, strict=True):
            np.testing.assert_array_equal(mine.image, other.image)
            np.testing.assert_array_equal(mine.audio, other.audio)
    assert any((a.image != b.image).any() for a, b in zip(frames, frames[5:], strict=False))


def test_one_feature_a_frame_at_another_rate(encoder: Encoder, tmp_path: Path) -> None:
    avatar = talksplat.load(
        write(tmp_path / "30.tsplat", "esperanto", program(3, WIDTH, 1, 1, ()), fps=30.0), threads=1
    )
    sound = sound_of(0.7)
    rows = FrameRows(Linear(exact_rate(30), 200), WIDTH).push(features_of(encoder, sound, 40), 21)
    want = list(avatar.render(sound, sample_rate=RATE, features=rows, size=SIZE))
    frames = list(avatar.render(sound, sample_rate=RATE, encoder=encoder, size=SIZE))
    assert len(frames) == 21
    for mine, other in zip(frames, want, strict=True):
        np.testing.assert_array_equal(mine.image, other.image)


def test_features_replace_the_encoder(encoder: Encoder, path: Path) -> None:
    avatar = talksplat.load(path, threads=1)
    features = np.random.default_rng(1).normal(size=(5, 2, WIDTH))
    frames = list(avatar.render(sound_of(0.2), sample_rate=RATE, features=features, encoder=encoder, size=SIZE))
    for mine, other in zip(frames, avatar.render(features=features, size=SIZE), strict=True):
        np.testing.assert_array_equal(mine.image, other.image)


def test_encoders_that_do_not_fit(encoder: Encoder, path: Path, tmp_path: Path) -> None:
    avatar = talksplat.load(path, threads=1)
    sound = {"audio": sound_of(0.2), "sample_rate": RATE}
    with pytest.raises(ValueError, match="render: encoder hears a sound: pass one as audio"):
        avatar.render(encoder=encoder)
    with pytest.raises(ValueError, match=r"render: encoder must be a talksplat.Encoder, a folder or a name; got int"):
        avatar.render(**sound, encoder=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"render: fps must be 25, the avatar's, whose frames encoder has; got 30"):
        avatar.render(**sound, encoder=encoder, fps=30)
    with pytest.raises(talksplat.EncoderNotFound):
        avatar.render(**sound, encoder=tmp_path / "absent")
    wide = talksplat.load_encoder(write_folder(tmp_path / "wide", Tiny(width=7)))
    with pytest.raises(
        talksplat.EncoderInvalid, match=r"takes features of 6 channels, and tests/tiny \(layer 1\) has 7"
    ):
        avatar.render(**sound, encoder=wide)
    with pytest.raises(talksplat.EncoderInvalid, match=r"create_session: .* takes features of 6 channels"):
        avatar.create_session(encoder=wide)
    at_30 = talksplat.load_encoder(write_folder(tmp_path / "30", Tiny(fps=30.0)))
    with pytest.raises(talksplat.EncoderInvalid, match="was exported for one feature a frame at 30 fps"):
        avatar.render(**sound, encoder=at_30)
    with pytest.raises(talksplat.EncoderInvalid, match="takes no features of sound"):
        talksplat.load("demo", threads=1).render("sample", encoder=encoder)
    threes = talksplat.load(write(tmp_path / "3.tsplat", "hubert", program(2, WIDTH, 3, 1, ())), threads=1)
    with pytest.raises(talksplat.EncoderInvalid, match="takes 3 features a frame at 25 fps, and tests/tiny makes 50"):
        threes.render(**sound, encoder=encoder)


# ---- sessions whose clock the test holds: the encoder works inside the pushes ----


def by_features(path: Path, encoder: Encoder, sound: np.ndarray) -> list[Any]:
    avatar = talksplat.load(path, threads=1)
    return list(avatar.render(sound, sample_rate=RATE, features=pairs_of(encoder, sound), size=SIZE))


def test_a_session_shows_what_a_file_shows(encoder: Encoder, path: Path) -> None:
    sound = sound_of(1.03)
    stage = Stage(path, encoder=encoder, idle="none", **LIVE)
    stage.say(sound, RATE, 480)
    stage.session.flush()
    stage.to_the_end()
    same_pictures(stage.frames, by_features(path, encoder, sound))
    assert stage.session.stats().starved == 0


def test_utterances_that_are_pushed_ahead(encoder: Encoder, path: Path) -> None:
    sounds = [sound_of(0.5), sound_of(0.31, seed=1)]
    stage = Stage(path, encoder=encoder, **LIVE)
    for sound in sounds:
        stage.session.push_audio(sound)
        stage.session.flush()
    frames = stage.to_the_end()
    for segment, sound in enumerate(sounds):
        mine = speech_of(frames, segment)
        said(mine, sound)
        want = by_features(path, encoder, sound)
        assert len(mine) == len(want)
        np.testing.assert_array_equal(mine[-1].image, want[-1].image)


def test_rows_of_an_interrupted_utterance_do_not_come_in_the_next(encoder: Encoder, path: Path) -> None:
    sound = sound_of(0.6, seed=2)
    stage = Stage(path, encoder=encoder, idle="still", **LIVE)
    stage.say(sound_of(0.4), RATE, 480)
    assert stage.session.interrupt(0) is not None
    stage.play(1.5)
    before = len(stage.frames)
    stage.session.push_audio(sound)
    stage.session.flush()
    stage.to_the_end()
    frames = speech_of(stage.frames[before:])
    said(frames, sound)
    want = by_features(path, encoder, sound)
    assert len(frames) == len(want)
    # Beyond the fade from the rest before it, the pictures are those of the sound alone.
    for mine, other in list(zip(frames, want, strict=True))[8:]:
        np.testing.assert_array_equal(mine.image, other.image)


def test_rows_that_are_pushed_replace_the_encoder(encoder: Encoder, path: Path) -> None:
    rows = np.random.default_rng(3).normal(size=(10, 2, WIDTH)).astype(np.float32)
    stage = Stage(path, encoder=encoder, **LIVE)
    stage.session.push_features(rows)
    stage.session.push_audio(sound_of(0.4))
    with pytest.raises(ValueError, match="moved by features"):
        stage.session.push_controls(np.zeros((1, 4 * WIDTH * 2), np.float32))
    stage.session.flush()
    stage.session.push_audio(sound_of(0.2))
    with pytest.raises(ValueError, match="the encoder moves this utterance"):
        stage.session.push_features(rows)
    frames = speech_of(stage.to_the_end(), 0)
    for mine, other in zip(frames, stage.avatar.render(features=rows, size=SIZE), strict=True):
        np.testing.assert_array_equal(mine.image, other.image)


def test_what_a_session_refuses(encoder: Encoder, path: Path) -> None:
    stage = Stage(path, encoder=encoder, queue_s=1.0, **LIVE)
    session = stage.session
    session.push_audio(sound_of(0.5))
    with pytest.raises(ValueError, match="this utterance has 1 channels at 24000 Hz; got 1 at 16000"):
        session.push_audio(sound_of(0.1), 16000)
    bad = sound_of(0.1)
    bad[7] = np.nan
    with pytest.raises(talksplat.AudioInvalid):
        session.push_audio(bad)
    with pytest.raises(talksplat.QueueFull):
        session.push_audio(sound_of(0.6))
    session.push_audio(sound_of(0.1))
    frames = speech_of(stage.to_the_end())
    want = by_features(path, encoder, np.concatenate([sound_of(0.5), sound_of(0.1)]))
    same_pictures(frames, want)
    with pytest.raises(talksplat.SessionClosed):
        session.push_audio(sound_of(0.1))


def test_latency_has_what_the_encoder_hears_later(encoder: Encoder, path: Path) -> None:
    avatar = talksplat.load(path, threads=1)
    plain = avatar.create_session(clock="caller", latency_ms=2000)
    late = avatar.create_session(clock="caller", latency_ms=2000, encoder=encoder)
    # The window's and the front's, the last of a pair behind the begin of its frame, and the filter of other rates.
    more_ms = (320 * 4 + 80 - 200 + 200 + 320) / 16 + 2
    assert late.smallest_latency_ms == pytest.approx(plain.smallest_latency_ms + more_ms)
    assert late.stats().look_ahead_ms == pytest.approx(1000 * AFTER / 25 + more_ms)
    with pytest.raises(talksplat.LatencyRefused, match=rf"look-ahead, {more_ms:.1f} of it feature_look_ahead_ms") as no:
        avatar.create_session(clock="caller", latency_ms=100, encoder=encoder)
    assert no.value.smallest_ms == pytest.approx(late.smallest_latency_ms)


# ---- live ----


def until(true: Callable[[], bool], what: str, within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.005)


@pytest.fixture
def start(encoder: Encoder) -> Iterator[Callable[..., tuple[feed.EncodedCore, Recorder]]]:
    made = []

    def begin(flush_after_s: float | None = None) -> tuple[feed.EncodedCore, Recorder]:
        session, core = recorded(encoder, WINDOW, flush_after_s)
        made.append(session)
        return session, core

    yield begin
    for session in made:
        session.abort()


def test_two_speakers_of_one_encoder_get_what_each_gets_alone(
    encoder: Encoder, start: Callable[..., tuple[feed.EncodedCore, Recorder]]
) -> None:
    sounds = [sound_of(1.5, seed=seed) for seed in (4, 5, 6)]
    pairs = [start() for _ in sounds]
    for at in range(0, len(sounds[0]), 1001):
        for (session, _), sound in zip(pairs, sounds, strict=True):
            session.push_audio(sound[at : at + 1001], RATE)
    for session, _ in pairs:
        session.flush()
    until(lambda: all(core.utterances for _, core in pairs), "the last rows")
    for (_, core), sound in zip(pairs, sounds, strict=True):
        np.testing.assert_array_equal(core.utterances[0], pairs_of(encoder, sound).reshape(-1, 2 * WIDTH))


def test_interrupted_by_another_thread(
    encoder: Encoder, start: Callable[..., tuple[feed.EncodedCore, Recorder]]
) -> None:
    session, core = start()
    sound = sound_of(0.3, seed=7)
    for _ in range(30):
        session.push_audio(sound_of(0.5), RATE)
        session.flush()
        session.push_audio(sound_of(0.2), RATE)
        session.interrupt(0)
        core.utterances.clear()
        session.push_audio(sound, RATE)
        session.flush()
        until(lambda: bool(core.utterances), "the last rows")
        np.testing.assert_array_equal(core.utterances[-1], pairs_of(encoder, sound).reshape(-1, 2 * WIDTH))


def test_an_utterance_whose_sound_does_not_come_ends(
    encoder: Encoder, start: Callable[..., tuple[feed.EncodedCore, Recorder]]
) -> None:
    session, core = start(flush_after_s=0.05)
    session.push_audio(sound_of(0.2), RATE)
    until(lambda: len(core.utterances) == 1, "the end")
    np.testing.assert_array_equal(core.utterances[0], pairs_of(encoder, sound_of(0.2)).reshape(-1, 2 * WIDTH))


def test_an_utterance_of_rows_ends_as_well(start: Callable[..., tuple[feed.EncodedCore, Recorder]]) -> None:
    session, core = start(flush_after_s=0.05)
    rows = np.ones((3, 2 * WIDTH), np.float32)
    session.push_features(rows)
    until(lambda: len(core.utterances) == 1, "the end")
    np.testing.assert_array_equal(core.utterances[0], rows)
    session.push_audio(sound_of(0.2), RATE)  # the next one is the encoder's
    until(lambda: len(core.utterances) == 2, "the end of the next")


def test_an_utterance_that_waits_for_the_one_before_it_does_not_end(
    start: Callable[..., tuple[feed.EncodedCore, Recorder]],
) -> None:
    session, core = start(flush_after_s=0.05)
    session.push_features(np.ones((100, 2 * WIDTH), np.float32))  # four seconds
    session.flush()
    session.push_features(np.ones((1, 2 * WIDTH), np.float32))
    time.sleep(0.5)
    assert len(core.utterances) == 1
    session.interrupt(0)
    session.push_features(np.ones((1, 2 * WIDTH), np.float32))
    until(lambda: len(core.utterances) == 2, "the end of one that waits for nothing")


def test_a_closed_session_says_what_was_pushed(
    encoder: Encoder, start: Callable[..., tuple[feed.EncodedCore, Recorder]]
) -> None:
    session, core = start()
    session.push_audio(sound_of(0.5), RATE)
    session.close()
    session.close()
    until(lambda: core.closed, "the end")
    assert len(core.utterances[0]) == 13
    with pytest.raises(talksplat.SessionClosed):
        session.push_audio(sound_of(0.1), RATE)
    interrupted, other = start()
    interrupted.push_audio(sound_of(0.5), RATE)
    interrupted.close()
    interrupted.interrupt(0)
    until(lambda: other.closed, "the end of one that was interrupted")


def test_a_failure_is_told_by_the_next_push(
    start: Callable[..., tuple[feed.EncodedCore, Recorder]], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, core = start()

    def fail(rows: np.ndarray) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(core, "push_features", fail)
    session.push_audio(sound_of(0.5), RATE)
    until(lambda: len(core.utterances) == 1, "the end")
    with pytest.raises(talksplat.EncoderRefused, match="the encoder of this session failed: no memory"):
        session.push_audio(sound_of(0.5), RATE)


def test_the_thread_ends_with_its_last_speaker(
    encoder: Encoder, start: Callable[..., tuple[feed.EncodedCore, Recorder]]
) -> None:
    def threads() -> int:
        return sum(thread.name == "talksplat encoder" for thread in threading.enumerate())

    until(lambda: threads() == 0, "threads of other tests")
    first, second = start()[0], start()[0]
    assert threads() == 1
    first.abort()
    second.close()
    until(lambda: threads() == 0, "the thread's end")
    assert start()[0] is not None and threads() == 1


def test_a_live_session_is_in_time(encoder: Encoder, path: Path) -> None:
    avatar = talksplat.load(path, threads=1)
    sound = sound_of(0.8)
    with avatar.create_session(encoder=encoder, size=SIZE, format="rgb8", latency_ms=3000, sample_rate=RATE) as session:
        session.push_audio(sound[:9999])
        session.push_audio(sound[9999:])
        session.flush()
        session.close()
        frames = speech_of(list(session))
    same_pictures(frames, by_features(path, encoder, sound))
    del session
    gc.collect()
    assert len(feed.speakers_of(encoder)._allowed_ms) == 0


def test_presets_that_are_too_slow_are_refused(encoder: Encoder, path: Path) -> None:
    avatar = talksplat.load(path, threads=1)
    loaded = encoder._loaded
    assert loaded is not None
    loaded.info = replace(loaded.info, hop_ms=0.9 * 1e3 * encoder.hop_s)
    with pytest.raises(talksplat.EncoderRefused, match=r"tests/tiny \(cpu\) is too slow here: .* is 90 % of the time"):
        avatar.create_session(encoder=encoder, latency_ms=3000)
    # A file may take its time.
    assert len(list(avatar.render(sound_of(0.1), sample_rate=RATE, encoder=encoder, size=SIZE))) == 3
    loaded.info = replace(loaded.info, hop_ms=0.45 * 1e3 * encoder.hop_s)
    first = avatar.create_session(encoder=encoder, latency_ms=3000, size=SIZE)
    with pytest.raises(talksplat.EncoderRefused, match="with 1 that speak already is 90 %"):
        avatar.create_session(encoder=encoder, latency_ms=3000, size=SIZE)
    first.abort()
    avatar.create_session(encoder=encoder, latency_ms=3000, size=SIZE).abort()


def test_a_promise_is_kept_to_those_that_have_it(encoder: Encoder, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    avatar = talksplat.load(path, threads=1)
    with avatar.create_session(encoder=encoder, latency_ms=3000, size=SIZE) as session:
        speakers = feed.speakers_of(encoder)
        for core in speakers._allowed_ms:
            speakers._allowed_ms[core] = 0.0
        with pytest.raises(talksplat.LatencyRefused, match="could not keep its latency with this one"):
            avatar.create_session(encoder=encoder, latency_ms=3000, size=SIZE)
        assert session.latency_ms == 3000


@pytest.mark.parametrize(
    "ends", ["", "raise SystemExit(0)", "session.close()", "del session", "os.fork() or os._exit(0)"]
)
def test_a_program_ends_while_an_encoder_works(encoder: Encoder, path: Path, ends: str) -> None:
    """Python ends threads where they come back from a library, and the process would be aborted."""
    program = f"""
import os, sys, time
import numpy as np
import talksplat
from talksplat.encoders import at_work, feed
encoder = talksplat.load_encoder(sys.argv[1])
session = talksplat.load(sys.argv[2], threads=1).create_session(encoder=encoder, latency_ms=2000, size=(32, 32))
session.push_audio(np.zeros(16000, np.float32), 16000)
busy = at_work._Silence(encoder)
feed.speakers_of(encoder).worker.add(busy)  # who has always something to do
time.sleep(0.2)
print("the last line", flush=True)
{ends}
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, encoder.folder.path, path], capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "the last line\n", "")
