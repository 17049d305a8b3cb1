# SPDX-License-Identifier: Apache-2.0
"""Frames of sessions as objects: lent ones and copies, pickled ones and those of a video."""

from __future__ import annotations

import copy
import gc
import pickle
from pathlib import Path

import av
import numpy as np
import pytest

import talksplat
from runtime.stage import SIZE, Stage, sentence
from talksplat.audio import open_audio


@pytest.fixture
def stage() -> Stage:
    """Speaks; the first frames are there."""
    stage = Stage(slots=4)
    stage.session.push_audio(*sentence(1.0))
    stage.play(0.2, take=False)
    return stage


def test_lent_frames_are_views_until_they_are_released(stage: Stage) -> None:
    lent = stage.session.acquire(0)
    assert lent is not None and isinstance(lent, talksplat.LiveFrame)
    assert lent.image.shape == (64, 64, 3) and not lent.image.flags.writeable and not lent.image.flags.owndata
    own = lent.copy()
    assert type(own) is talksplat.LiveFrame
    np.testing.assert_array_equal(own.image, lent.image)
    lent.release()
    lent.release()
    for read in (lambda: lent.image, lent.copy, lambda: lent.size):
        with pytest.raises(ValueError, match=r"LentFrame: .* was given back by release\(\)\."):
            read()
    assert (lent.index, lent.kind) == (own.index, own.kind)
    np.testing.assert_array_equal(lent.audio, own.audio)
    assert own.image.flags.writeable and own.image.flags.owndata
    with pytest.raises(AttributeError, match=r"LentFrame.*pixels"):
        _ = lent.pixels  # type: ignore[attr-defined]


def test_a_lent_frame_is_a_context(stage: Stage) -> None:
    for _ in range(12):  # more than there are slots
        lent = stage.session.acquire(0)
        if lent is None:
            stage.play(0.04, take=False)
            continue
        with lent as frame:
            assert frame.image.any()
        with pytest.raises(ValueError, match="release"):
            _ = frame.image


def test_a_lent_frame_that_is_forgotten_is_given_back(stage: Stage) -> None:
    for _ in range(12):
        lent = stage.session.acquire(0)
        assert lent is not None
        image = lent.image
        del lent
        gc.collect()
        assert image.any()  # an array of it keeps it
        del image
        stage.play(0.04, take=False)
    assert stage.session.stats().stalls == 0


def test_lent_frames_keep_their_contents(stage: Stage) -> None:
    """While some are lent, others come and go in the rest of the slots."""
    kept = stage.session.acquire(0)
    assert kept is not None
    before = np.array(kept.image)
    stage.play(0.6)
    np.testing.assert_array_equal(kept.image, before)
    stage.session.abort()
    np.testing.assert_array_equal(kept.image, before)
    session, stage.session = stage.session, None  # type: ignore[assignment]
    del session
    gc.collect()
    np.testing.assert_array_equal(kept.image, before)
    kept.release()


def test_copies_are_the_callers(stage: Stage) -> None:
    frames = list(stage.session)
    before = [f.image.copy() for f in frames]
    stage.play(0.5)
    for frame, image in zip(frames, before, strict=True):
        np.testing.assert_array_equal(frame.image, image)


def test_frames_pickle_and_show_themselves(stage: Stage) -> None:
    lent = stage.session.acquire(0)
    assert lent is not None
    for made in (pickle.loads(pickle.dumps(lent)), copy.copy(lent), copy.deepcopy(lent), lent.copy()):
        for again in (made, pickle.loads(pickle.dumps(made))):
            assert type(again) is talksplat.LiveFrame
            np.testing.assert_array_equal(again.image, lent.image)
            np.testing.assert_array_equal(again.audio, lent.audio)
            assert (again.index, again.pts, again.times, again.flags, again.segment, again.segment_sample) == (
                lent.index, lent.pts, lent.times, lent.flags, lent.segment, lent.segment_sample
            )  # fmt: skip
            assert again.receipt.total_us == lent.receipt.total_us
            assert repr(again) == repr(lent)
    assert repr(lent) == "<Frame 0 at 0.000 s, 64x64 rgb8, speech>"
    png = lent._repr_png_()
    assert png is not None and png.startswith(b"\x89PNG")


def test_flags_have_names() -> None:
    frame = talksplat.Frame(np.zeros((2, 2, 3), np.uint8), 0.0, 0, None)  # type: ignore[arg-type]
    names = ("late", "held", "starved", "fading", "segment_end")
    for word, flags in (("idle", 2), ("speech", 1)):
        live = talksplat.LiveFrame(frame.image, 0.0, 0, None, flags=flags)  # type: ignore[arg-type]
        assert live.kind == word and not any(getattr(live, name) for name in names)
        assert live.audible == (word == "speech")
        assert repr(live).endswith(f"rgb8, {word}>")
    for name, flag in zip(("starved", "late", "held", "segment_end", "fading"), (4, 8, 16, 32, 64), strict=True):
        live = talksplat.LiveFrame(frame.image, 0.0, 0, None, flags=1 | flag)  # type: ignore[arg-type]
        assert [other for other in names if getattr(live, other)] == [name]
        assert live.audible == (name != "starved")
        assert repr(live).endswith(f"rgb8, speech, {name}>")


def test_a_session_becomes_a_video(tmp_path: Path) -> None:
    pcm, rate = sentence(1.0)
    stage = Stage(size=SIZE, format="nv12", sample_rate=rate)
    stage.session.push_audio(pcm)
    frames = stage.to_the_end()
    path = tmp_path / "live.mp4"
    assert talksplat.write_video(frames, path) == len(frames)
    heard = open_audio("test", path)
    assert heard.rate == rate
    assert sum(map(len, heard.blocks())) / rate == pytest.approx(len(frames) / 25, abs=0.1)


def test_what_was_left_out_is_held_in_a_video(tmp_path: Path) -> None:
    """As on_late="skip" gives them: a frame has the sound of those before it that were not made."""
    rate, n = 16000, 640
    frames = []
    for index, left_out in ((0, 0), (1, 0), (4, 2), (5, 0)):
        image = np.full((64, 64, 3), 40 * index, np.uint8)
        sound = np.zeros(n * (left_out + 1), np.float32)
        frames.append(
            talksplat.LiveFrame(
                image,
                index / 25,
                index,
                None,
                sound,
                rate,
                25.0,
                pts_samples=n * (index - left_out),  # type: ignore[arg-type]
            )
        )
    assert [frame.left_out for frame in frames] == [0, 0, 2, 0]
    path = tmp_path / "skipped.mp4"
    assert talksplat.write_video(frames, path) == 6
    with av.open(str(path)) as video:
        levels = [picture.to_ndarray(format="rgb24").mean() for picture in video.decode(video=0)]
    np.testing.assert_allclose(levels, [0, 40, 40, 40, 160, 200], atol=8)
    heard = open_audio("test", path)
    assert sum(map(len, heard.blocks())) / rate == pytest.approx(6 / 25, abs=0.1)
    # The first may follow others that are not in this video.
    assert talksplat.write_video(frames[2:], path) == 2


def test_a_session_that_is_left_ends() -> None:
    stage = Stage()
    with stage.session as session:
        session.push_audio(*sentence(1.0))
        stage.play(0.2, take=False)
    with pytest.raises(talksplat.SessionClosed):
        session.acquire(0)
    with pytest.raises(talksplat.SessionClosed):
        session.push_audio(b"\0\0")
    assert list(session) == []
    assert session.stats().frames > 0
    other = stage.avatar.create_session(clock="caller")
    assert other.stats().sessions == 1
