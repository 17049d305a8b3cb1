# SPDX-License-Identifier: Apache-2.0
"""What a session gives, frame by frame, on a clock that the test steps."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from reference.presence import Breath
from runtime.heard import program, write
from runtime.stage import FPS, SIZE, Stage, said, same_pictures, sentence, sound_of, speech_of

RATE = 16000


@pytest.fixture(scope="module")
def words() -> tuple[Any, int]:
    return sentence(2.0)


@pytest.fixture(scope="module")
def offline(words: tuple[Any, int]) -> list[talksplat.Frame]:
    """What render() makes of the words."""
    return list(talksplat.load("demo", threads=1).render(words[0], fps=FPS, size=SIZE, sample_rate=words[1]))


def whole(*pushes: Any, **options: Any) -> list[talksplat.LiveFrame]:
    """The frames of a session that was pushed all of it before its first step, each with these arguments."""
    stage = Stage(**options)
    for push in pushes:
        stage.session.push_audio(*push)
    return stage.to_the_end()


# ---- speech ----


def test_frames_are_those_of_render(words: tuple[Any, int], offline: list[talksplat.Frame]) -> None:
    frames = whole(words)
    spoken = frames[: len(offline)]
    same_pictures(spoken, offline)
    assert {f.kind for f in spoken} == {"speech"}
    assert [f.segment_end for f in spoken] == [False] * (len(spoken) - 1) + [True]
    assert not any(f.starved or f.late or f.held or f.fading for f in frames)


def test_a_seed_and_amounts_are_those_of_render(words: tuple[Any, int]) -> None:
    options = {"seed": 3, "mouth": 0.5, "head": 0.5, "blink": 2.0}
    avatar = talksplat.load("demo", threads=1)
    want = list(avatar.render(words[0], fps=FPS, size=SIZE, sample_rate=words[1], **options))
    same_pictures(whole(words, **options)[: len(want)], want)


@pytest.mark.parametrize("block", [1, 7, 160, 441, 100_000])
def test_cutting_changes_nothing(words: tuple[Any, int], offline: list[talksplat.Frame], block: int) -> None:
    pcm, rate = words
    pushes = [(pcm[start : start + block], rate) for start in range(0, len(pcm), block)]
    same_pictures(whole(*pushes)[: len(offline)], offline)


def test_pace_changes_nothing(words: tuple[Any, int], offline: list[talksplat.Frame]) -> None:
    """Pushed while the clock runs, as it is spoken."""
    stage = Stage()
    stage.say(*words)
    stage.session.flush()
    stage.play(1.0)
    same_pictures(speech_of(stage.frames), offline)


@pytest.mark.parametrize(
    "form", ["bytes", "bytearray", "memoryview", "array", "float32", "float64", "column", "strided"]
)
def test_every_form_of_sound_is_heard_alike(words: tuple[Any, int], offline: list[talksplat.Frame], form: str) -> None:
    import array

    pcm, rate = words
    made = {
        "bytes": lambda: pcm.astype("<i2").tobytes(),
        "bytearray": lambda: bytearray(pcm.astype("<i2").tobytes()),
        "memoryview": lambda: memoryview(pcm),
        "array": lambda: array.array("h", pcm.tolist()),
        "float32": lambda: pcm.astype(np.float32) / 32768,
        "float64": lambda: pcm / 32768,
        "column": lambda: pcm[:, None],
        "strided": lambda: np.repeat(pcm, 3).astype(">i2")[::3],
    }
    same_pictures(whole((made[form](), rate))[: len(offline)], offline)


def test_stereo_is_carried_and_its_mean_is_heard(words: tuple[Any, int]) -> None:
    pcm, rate = words
    both = np.stack([pcm, pcm // 2], axis=1)
    want = list(talksplat.load("demo", threads=1).render(both, fps=FPS, size=SIZE, sample_rate=rate))
    for push in ((both, rate), (both.ravel(), rate, 2), (both.astype("<i2").tobytes(), rate, 2)):
        frames = whole(push)[: len(want)]
        same_pictures(frames, want)
        assert frames[0].audio is not None and frames[0].audio.shape[1] == 2


def test_time_and_numbers(words: tuple[Any, int]) -> None:
    pcm, rate = words
    frames = whole(words, sample_rate=rate)
    assert [f.index for f in frames] == list(range(frames[0].index, frames[0].index + len(frames)))
    spoken = speech_of(frames)
    first = spoken[0].index
    for k, f in enumerate(spoken):
        assert (f.fps, f.sample_rate, f.segment, f.size, f.format) == (FPS, rate, 0, SIZE, "rgb8")
        assert f.pts == f.index / FPS
        assert f.pts_samples == talksplat._core.first_sample(f.index, rate, FPS)
        assert f.segment_sample == talksplat._core.first_sample(k, rate, FPS)
        assert f.audio is not None and f.audio.dtype == np.float32
        assert f.times.heard <= f.times.released <= f.times.begun <= f.times.driven <= f.times.ready
        assert f.times.deadline == pytest.approx(frames[0].times.deadline + (f.index - frames[0].index) / FPS)
        assert f.receipt.total_us > 0 and f.receipt.n_visible > 0
        assert f.spare_ms >= 0 and f.wait_ms >= 0 and f.draw_ms >= 0
    assert first == spoken[0].index and len(spoken) == math.ceil(len(pcm) * FPS / rate)
    said(spoken, pcm)


@pytest.mark.parametrize("fps", [20, 29.97, 30, 60])
def test_any_rate(words: tuple[Any, int], fps: float) -> None:
    pcm, rate = words
    want = list(talksplat.load("demo", threads=1).render(pcm, fps=fps, size=SIZE, sample_rate=rate))
    same_pictures(whole(words, fps=fps)[: len(want)], want)


@pytest.mark.parametrize("format", ["rgba8", "nv12", "rgb_f32"])
@pytest.mark.parametrize("background", ["avatar", None, (0.2, 0.4, 0.6)])
def test_formats_and_backgrounds(words: tuple[Any, int], format: str, background: Any) -> None:
    pcm, rate = words[0][: words[1] // 5], words[1]
    avatar = talksplat.load("demo", threads=1)
    options = {"format": format, "background": background, "size": (48, 32)}
    want = list(avatar.render(pcm, fps=FPS, sample_rate=rate, **options))
    same_pictures(whole((pcm, rate), **options)[: len(want)], want)


# ---- between utterances ----


def test_the_face_lives_between_utterances() -> None:
    stage = Stage()
    stage.session.push_audio(np.zeros(RATE // 2, np.int16), RATE)
    stage.session.flush()
    stage.play(0.8)
    idle = stage.play(6.0)
    assert {f.kind for f in idle} == {"idle"} and len(idle) == 6 * FPS
    for f in idle:
        assert (f.segment, f.segment_sample, f.segment_end, f.sample_rate) == (None, None, False, RATE)
        assert f.audio is not None and len(f.audio) == RATE // FPS and not f.audio.any()
    moves = [np.abs(a.image.astype(int) - b.image).max() for a, b in itertools.pairwise(idle)]
    assert max(moves) > 20 and np.median(moves) > 0


def test_still_and_none() -> None:
    sound = np.zeros(RATE // 2, np.int16)
    for idle, many in (("still", True), ("none", False)):
        stage = Stage(idle=idle)
        stage.session.push_audio(sound, RATE)
        stage.session.flush()
        stage.play(2.0)
        rest = stage.play(4.0)
        assert bool(rest) == many
        assert all(np.array_equal(f.image, rest[0].image) for f in rest)


def test_shoulders_breathe_as_the_head_moves() -> None:
    """Below the collar nothing else does; a head without motion holds its breath."""

    def lived(head: float) -> tuple[list[Any], list[Any]]:
        stage = Stage(head=head, blink=0, size=(128, 128), slots=64)
        list(stage.session)
        images = [f.image.astype(int) for f in stage.play(5.0)]
        return [image[:80] for image in images], [image[104:] for image in images]

    breath, avatar = Breath(0), talksplat.load("demo", threads=1)

    def shoulders_at(seconds: float, amount: float) -> Any:
        return avatar.render_frame({"breath": [amount * breath.at(seconds)]}, size=(128, 128)).image[104:].astype(int)

    for head, amount in ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (2.0, 1.0)):
        faces, shoulders = lived(head)
        assert len(shoulders) >= 5 * FPS
        for k in range(0, len(shoulders), 5):
            assert np.abs(shoulders[k] - shoulders_at(k / FPS, amount)).max() <= 1
        for part in (faces, shoulders):
            moved = max(np.abs(image - part[0]).max() for image in part)
            assert moved > 15 if head else moved == 0


def test_idle_is_the_same_every_time() -> None:
    """Also "auto", which stands for alive; another seed is another face."""

    def lived(**options: Any) -> list[talksplat.LiveFrame]:
        stage = Stage(**options)
        list(stage.session)  # begins the clock
        return stage.play(3.0)

    first = lived(seed=1)
    assert len(first) >= 3 * FPS
    same_pictures(first, lived(seed=1, idle="auto"))
    other = lived(seed=2)
    assert any(not np.array_equal(a.image, b.image) for a, b in zip(first, other, strict=True))


def test_utterances_follow_each_other(words: tuple[Any, int]) -> None:
    pcm, rate = words
    stage = Stage(idle="none")
    halves = pcm[: len(pcm) // 2], pcm[len(pcm) // 2 :]
    for half in halves:
        stage.session.push_audio(half, rate)
        stage.session.flush()
    frames = stage.to_the_end()
    for segment, half in enumerate(halves):
        mine = speech_of(frames, segment)
        said(mine, half)
        assert [f.segment_end for f in mine] == [False] * (len(mine) - 1) + [True]


def test_rate_and_channels_change_between_utterances(words: tuple[Any, int]) -> None:
    pcm, rate = words
    stage = Stage()
    stage.session.push_audio(pcm[: rate // 2], rate)
    with pytest.raises(ValueError, match=r"push_audio: this utterance has 1 channels at 22050 Hz; got 1 at 48000"):
        stage.session.push_audio(pcm[:100], 48000)
    with pytest.raises(ValueError, match=r"got 2 at 22050\. Flush before the sound changes"):
        stage.session.push_audio(pcm[:100].reshape(-1, 2), rate)
    stage.session.flush()
    stage.session.push_audio(np.zeros((4800, 2), np.float32), 48000)
    frames = stage.to_the_end()
    assert {f.sample_rate for f in speech_of(frames, 0)} == {rate}
    assert {f.sample_rate for f in speech_of(frames, 1)} == {48000}
    said(speech_of(frames, 0), pcm[: rate // 2])
    assert sound_of(speech_of(frames, 1)).shape == (3 * 1920, 2)


def test_a_push_without_a_rate_has_that_of_the_last(words: tuple[Any, int]) -> None:
    pcm, rate = words
    stage = Stage(sample_rate=rate)
    stage.session.push_audio(pcm[:500])
    stage.session.flush()
    stage.session.push_audio(np.zeros((8000, 2), np.int16), 8000)
    stage.session.push_audio(bytes(4 * 800))  # two channels, as before
    frames = stage.to_the_end()
    assert {f.sample_rate for f in speech_of(frames, 0)} == {rate}
    assert len(speech_of(frames, 1)) == math.ceil(8800 / 320)
    assert sound_of(speech_of(frames, 1)).shape[1] == 2


# ---- when sound or readers do not keep up ----


def test_starved_and_resumed(words: tuple[Any, int], offline: list[talksplat.Frame]) -> None:
    """A pause in the middle: nothing is lost, and the utterance goes on where it was."""
    pcm, rate = words
    stage = Stage(flush_after_s=None)
    stage.say(pcm[:rate], rate)
    starved = [f for f in stage.play(1.0) if f.starved]
    assert starved and all(f.kind == "speech" and not sound_of([f]).any() for f in starved)
    stage.say(pcm[rate:], rate)
    stage.to_the_end()
    said(speech_of(stage.frames), pcm)
    assert stage.session.stats().starved == sum(f.starved for f in stage.frames) >= len(starved)
    # Before the pause it was said as offline.
    before = [f for f in stage.frames if f.index < starved[0].index and f.kind == "speech"]
    same_pictures(before[: len(before) - 1], offline[: len(before) - 1])


def test_an_utterance_that_is_not_continued_ends(words: tuple[Any, int]) -> None:
    pcm, rate = words
    stage = Stage(flush_after_s=0.5)
    stage.say(pcm[: rate // 2], rate)
    stage.play(2.0)
    assert sum(f.segment_end for f in stage.frames) == 1
    assert stage.frames[-1].kind == "idle"
    stage.say(pcm[: rate // 2], rate)
    stage.to_the_end()
    assert {f.segment for f in stage.frames} == {None, 0, 1}


def test_a_reader_that_stops_loses_nothing(words: tuple[Any, int], offline: list[talksplat.Frame]) -> None:
    """While all pictures wait, no others are made."""
    stage = Stage(slots=3)
    stage.session.push_audio(*words)
    stage.play(0.4)
    stage.play(2.0, take=False)
    assert stage.session.stats().frames == len(stage.frames) + 3
    stage.frames += list(stage.session)
    stage.to_the_end()
    same_pictures(stage.frames[: len(offline)], offline)
    assert [f.index for f in stage.frames] == list(range(len(stage.frames)))
    assert stage.session.stats().late == 0


def test_a_full_queue_refuses_the_whole_push(words: tuple[Any, int]) -> None:
    pcm, rate = words
    stage = Stage(queue_s=1.0)
    stage.session.push_audio(pcm[: rate // 2], rate)
    with pytest.raises(talksplat.QueueFull, match=r"push_audio.*queue"):
        stage.session.push_audio(pcm[: rate // 2 + rate], rate)
    assert stage.session.stats().queued_s == pytest.approx(0.5, abs=0.01)
    frames = stage.to_the_end()
    said(speech_of(frames), pcm[: rate // 2])


def test_bad_sound_is_refused_and_nothing_of_it_taken() -> None:
    stage = Stage()
    good = np.full(1000, 0.1, np.float32)
    for bad, told in ((np.nan, "nan"), (-np.inf, "-inf"), (9.0, "9"), (1e300, "inf")):
        sound = good.astype(np.float64)
        sound[500] = bad
        message = (
            f"push_audio: samples must be finite and within +-8 (full scale is 1); sample 500 of channel 0 is {told}."
        )
        with pytest.raises(talksplat.AudioInvalid, match=re.escape(message)):
            stage.session.push_audio(sound, RATE)
    stage.session.push_audio(good, RATE)
    said(speech_of(stage.to_the_end()), good)


# ---- interruption ----


@pytest.mark.parametrize("fade_ms", [0, 80, 200])
def test_interrupt(words: tuple[Any, int], fade_ms: int) -> None:
    pcm, rate = words
    stage = Stage()
    stage.session.push_audio(pcm, rate)
    stage.play(0.8)
    heard = sum(len(f.audio) for f in stage.frames if f.audio is not None)
    position = stage.session.interrupt(fade_ms)
    assert position == heard
    after = stage.play(1.0)
    fading = [f for f in after if f.fading]
    assert len(fading) <= math.ceil(fade_ms * FPS / 1000) + 1
    assert fading == after[: len(fading)] and {f.kind for f in after} == {"idle"}
    assert not any(f.segment_end for f in stage.frames)
    # The sound goes on where it was, and fades to nothing.
    faded, n_fade = sound_of(after), rate * fade_ms // 1000
    gain = 1 - np.arange(n_fade, dtype=np.float32) / max(n_fade, 1)
    np.testing.assert_allclose(faded[:n_fade], pcm[heard : heard + n_fade] / 32768 * gain, atol=1e-6)
    assert not faded[n_fade:].any()
    assert stage.session.stats().queued_s == 0
    stage.session.push_audio(pcm[: rate // 2], rate)
    stage.to_the_end()
    said(speech_of(stage.frames, 1), pcm[: rate // 2])


def test_interrupting_nobody() -> None:
    stage = Stage()
    assert stage.session.interrupt() is None
    stage.session.push_audio(np.zeros(RATE // 2, np.int16), RATE)
    stage.session.flush()
    stage.play(2.0)
    assert stage.session.clear_buffer() is None


# ---- what moves it otherwise ----


def test_controls_are_drawn_as_they_are(tiny_path: Path) -> None:
    stage = Stage(tiny_path, fps=30, size=(64, 48))
    motion = talksplat.load_motion("clip:talk", stage.avatar)
    want = list(stage.avatar.render_motion(motion, size=(64, 48)))
    jaw = np.linspace(0, 1, 10, dtype=np.float32)
    rows = np.zeros((10, 52), np.float32)
    rows[:, stage.avatar.inputs["arkit"].index["jawOpen"]] = jaw
    joined = np.zeros((10, 58), np.float32)
    joined[:, stage.avatar.inputs["arkit"].columns] = rows
    for controls in (motion, {"arkit": rows}, {"arkit": {"jawOpen": jaw}}, joined):
        stage = Stage(tiny_path, fps=30, size=(64, 48))
        stage.session.push_controls(controls)
        stage.session.flush()
        frames = speech_of(stage.to_the_end())
        assert len(frames) == 10
        for mine, other in zip(frames, want, strict=True):
            np.testing.assert_array_equal(mine.image, other.image)


def test_features_move_an_avatar_of_another_encoder(tmp_path: Path) -> None:
    path = write(tmp_path / "heard.tsplat", "hubert", program(4, 3, 2, 1, ()))
    rng = np.random.default_rng(0)
    features = rng.normal(size=(12, 2, 3)).astype(np.float32)
    stage = Stage(path)
    want = list(stage.avatar.render(features=features, size=SIZE))
    stage.session.push_features(features[:5])
    stage.session.push_features(features[5:].reshape(7, 6))
    stage.session.flush()
    frames = speech_of(stage.to_the_end())
    assert len(frames) == 12
    for mine, other in zip(frames, want, strict=True):
        np.testing.assert_array_equal(mine.image, other.image)


def test_presence_moves_the_face() -> None:
    """Each does something to the picture of a second later, and nothing at once: the face does not jump."""

    def lived(**told: Any) -> list[talksplat.LiveFrame]:
        stage = Stage(size=(128, 128))
        list(stage.session)
        stage.play(0.2)
        stage.session.set(**told)
        return stage.play(1.5)

    plain = lived()
    for told in ({"gaze": (1, 0)}, {"head": (0, 0.3, 0)}, {"emotion": "happy"}, {"listening": True}, {"head": 0.0}):
        mine = lived(**told)
        assert np.abs(mine[-1].image.astype(int) - plain[-1].image).max() > 8, told
        moves = [np.abs(a.image.astype(int) - b.image).mean() for a, b in itertools.pairwise(mine)]
        assert max(moves) < 12, told
    same_pictures(lived(gaze="auto", blink="auto", head="auto", emotion=None, listening=False), plain)


# ---- the end ----


def test_the_end(words: tuple[Any, int]) -> None:
    pcm, rate = words
    stage = Stage()
    stage.session.push_audio(pcm[:rate], rate)
    frames = stage.to_the_end()
    said(speech_of(frames), pcm[:rate])
    assert frames[-1].segment_end
    session = stage.session
    assert list(session) == []
    for push in (
        lambda: session.push_audio(pcm, rate),
        lambda: session.push_controls(np.zeros((1, sum(i.size for i in stage.avatar.inputs.values())))),
        lambda: session.acquire(0),
        lambda: session.acquire(),
    ):
        with pytest.raises(talksplat.SessionClosed):
            push()
    session.close()
    assert session.stats().frames == len(frames)


def test_a_session_lives_on_without_its_avatar_and_file(words: tuple[Any, int], tmp_path: Path) -> None:
    pcm, rate = words[0][: words[1] // 2], words[1]
    demo = Path(talksplat.__file__).with_name("assets") / "demo.tsplat"
    path = tmp_path / "gone.tsplat"
    path.write_bytes(demo.read_bytes())
    stage = Stage(path)
    path.unlink()
    engine = stage.avatar.engine
    session = stage.session
    del stage.avatar
    session.push_audio(pcm, rate)
    session.close()
    frames = []
    for k in range(60):
        engine.step(k / FPS)
        frames += list(session)
    want = list(talksplat.load("demo", threads=1).render(pcm, fps=FPS, size=SIZE, sample_rate=rate))
    same_pictures(frames, want)


def test_several_sessions_of_one_engine(words: tuple[Any, int]) -> None:
    pcm, rate = words[0][: words[1] // 2], words[1]
    first = Stage()
    sessions = [first.session]
    for seed in (1, 2):
        sessions.append(first.avatar.create_session(fps=FPS, size=SIZE, format="rgb8", clock="caller", seed=seed))
    for session in sessions:
        session.push_audio(pcm, rate)
        session.close()
    assert {session.stats().sessions for session in sessions} == {3}
    came: list[list[talksplat.LiveFrame]] = [[], [], []]
    for k in range(40):
        first.avatar.engine.step(k / FPS)
        for frames, session in zip(came, sessions, strict=True):
            frames += list(session)
    for seed, frames in enumerate(came):
        want = first.avatar.render(pcm, fps=FPS, size=SIZE, sample_rate=rate, seed=seed)
        same_pictures(frames, list(want))


# ---- counts ----


def test_stats(words: tuple[Any, int]) -> None:
    stage = Stage(latency_ms=250)
    stage.session.push_audio(*words)
    begun = stage.session.stats()
    assert (begun.queued_s, begun.sessions) == (pytest.approx(2.0, abs=0.01), 1)
    frames = stage.to_the_end()
    stats = stage.session.stats()
    assert (stats.fps, stats.latency_ms, stats.sessions) == (FPS, 250, 0)  # it has ended
    assert stats.smallest_latency_ms == stage.session.smallest_latency_ms
    assert 60 <= stats.look_ahead_ms <= 120
    assert stats.look_ahead_ms + 20 + 1000 / FPS <= stats.smallest_latency_ms <= 250
    assert (stats.frames, stats.speech, stats.idle) == (
        len(frames), sum(f.kind == "speech" for f in frames), sum(f.kind == "idle" for f in frames)
    )  # fmt: skip
    assert (stats.starved, stats.late, stats.late_by_host, stats.held, stats.skipped, stats.stalls) == (0,) * 6
    assert stats.stalled_ms == stats.queued_s == 0
    assert stats.p50_ms <= stats.p95_ms <= stats.p99_ms <= stats.max_ms
    assert stats.cpu_ms > 0
    assert stats.memory_bytes > 4 * 64 * 64 * 3
    assert stats.no_input_for == ()


def test_what_an_avatar_has_no_input_for_is_said(tiny_path: Path) -> None:
    """The tiny avatar has a jaw and a head, and shows what is not said, and no more."""
    missing = Stage(tiny_path, size=(64, 48)).session.stats().no_input_for
    assert {"blink", "gaze", "breath", "emotion:happy"} <= set(missing)
    assert not {"lips", "head", "listening"} & set(missing)

    def lived(**told: Any) -> talksplat.LiveFrame:
        stage = Stage(tiny_path, size=(64, 48))
        list(stage.session)
        stage.session.set(**told)
        return stage.play(1.5)[-1]

    plain = lived().image
    for mood in ("happy", "sad", "angry", "surprised", "afraid", "disgusted"):
        if f"emotion:{mood}" in missing:
            np.testing.assert_array_equal(lived(emotion=mood).image, plain)
    assert "emotion:surprised" not in missing and not np.array_equal(lived(emotion="surprised").image, plain)
    assert np.array_equal(lived(gaze=(1, 1)).image, plain)
    assert not np.array_equal(lived(head=(0, 0.3, 0)).image, plain)
