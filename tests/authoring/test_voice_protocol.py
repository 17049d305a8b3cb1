# SPDX-License-Identifier: Apache-2.0
"""How lips are judged where phones are known: hand-made faces on hand-made clips, and intervals."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import talksplat
from talksplat import _core
from talksplat._assets import VOICE
from talksplat.authoring.voice import augment, closures, evaluate, recordings, scoring
from talksplat.authoring.voice.closures import Counts, Spoken
from talksplat.authoring.voice.export import RATE_HZ, Array
from talksplat.authoring.voice.visemes import Segment


def clip_of(holds: tuple[closures.Span, ...], pauses: tuple[closures.Span, ...] = (), length_s: float = 2.0) -> Spoken:
    samples = np.full(round(length_s * RATE_HZ), 0.1, np.float32)
    return Spoken("a clip", "a group", samples, holds, holds, pauses)


def closing(*spans: closures.Span) -> closures.Faces:
    """A face whose lips are closed in these seconds of the clip."""

    def faces(samples: Array, fps: float) -> dict[str, Array]:
        t_s = np.arange(int(len(samples) / RATE_HZ * fps)) / fps - closures.LEAD_S
        closed = np.any([(t_s >= a) & (t_s <= b) for a, b in spans], axis=0).astype(float)
        still = np.zeros(len(t_s))
        return {"jawOpen": still + 0.3, "mouthClose": 0.3 * closed, "mouthLowerDown": still, "mouthUpperUp": still}

    return faces


def test_runs_of_closed_lips() -> None:
    assert closures.runs(np.array([True, False, True, True, False])) == [(0, 0), (2, 3)]
    assert closures.runs(np.zeros(3, bool)) == []


def test_a_hold_is_found_within_60_ms_and_no_further() -> None:
    clip = clip_of(((1.0, 1.1),))
    assert closures.judge(closing((0.94, 0.95)), clip) == Counts(found=1, holds=1, right=1, runs=1)
    assert closures.judge(closing((0.88, 0.92)), clip) == Counts(found=0, holds=1, right=0, runs=1)
    assert closures.judge(closing((5.0, 6.0)), clip) == Counts(found=0, holds=1)


def test_lips_that_rest_in_a_pause_are_not_counted() -> None:
    clip = clip_of(((1.0, 1.1),), pauses=((0.4, 0.6),))
    found = closures.judge(closing((0.45, 0.5), (1.0, 1.1), (1.5, 1.6)), clip)
    assert found == Counts(found=1, holds=1, right=1, runs=2)
    assert (found.recall, found.precision) == (1.0, 0.5)


def test_noise_is_as_loud_as_was_asked_and_the_same_for_a_seed() -> None:
    heard: list[Array] = []

    def faces(samples: Array, fps: float) -> dict[str, Array]:
        heard.append(samples)
        return closing((0.0, 0.1))(samples, fps)

    clip = clip_of(())
    for snr_db in (None, 20.0, 20.0):
        closures.judge(faces, clip, snr_db, seed=3)
    plain, noisy, again = heard
    assert np.array_equal(noisy, again)
    assert 20 * np.log10(plain.std() / (noisy - plain).std()) == pytest.approx(
        20 + 20 * np.log10(plain.std() / np.sqrt(np.mean(plain**2))), abs=0.2
    )


def test_average_precision_is_that_of_all_thresholds() -> None:
    true = np.array([True, False, True, False])
    assert evaluate.average_precision(np.array([0.9, 0.1, 0.8, 0.2]), true) == 1.0
    assert evaluate.average_precision(np.array([0.4, 0.9, 0.8, 0.1]), true) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert evaluate.average_precision(np.ones(4), np.zeros(4, bool)) == 0.0


def test_closed_lips_are_told_from_open_ones_in_speech_alone() -> None:
    """Holds that are where the voice hears closures are told apart, holds elsewhere are not; pauses do not count."""
    said, rate_hz = talksplat.load_audio("sample")
    samples = augment.resample(said, rate_hz, RATE_HZ).astype(np.float32)
    voice = _core.Voice(str(VOICE))
    speech = _core.Speech(_core.Engine(1, "cpu"), voice, RATE_HZ, 1, closures.STEP_HZ, head=0.0, blink=0.0)
    speech.push(np.pad(samples * (closures.PEAK / np.abs(samples).max()), round(closures.LEAD_S * RATE_HZ)))
    speech.finish()
    heard = speech.read()["channel"][:, voice.channel_names.index("closure")] > 0.5
    spans = tuple(
        (a / closures.STEP_HZ - closures.LEAD_S - 1e-6, (b + 1) / closures.STEP_HZ - closures.LEAD_S - 1e-6)
        for a, b in closures.runs(heard)
    )
    assert len(spans) > 5
    right = Spoken("sample", "a voice", samples, spans, spans, ())
    late = tuple((a + 0.2, b + 0.2) for a, b in spans)
    wrong = Spoken("sample", "a voice", samples, late, late, ())
    assert evaluate.told_apart(voice, [right]) == pytest.approx(1.0)
    assert evaluate.told_apart(voice, [right, wrong]) < 0.9
    assert evaluate.told_apart(voice, [Spoken("sample", "", samples, spans, spans, spans)]) == 0.0  # all in pauses


def test_counts_are_pooled_and_listed_by_group() -> None:
    clips = [clip_of(((1.0, 1.1),)), Spoken("b", "other", np.full(RATE_HZ, 0.1, np.float32), ((0.2, 0.3),), (), ())]
    score = evaluate.closures(closing((1.0, 1.1)), clips)
    assert (score["recall"], score["holds"], score["runs"]) == (0.5, 2, 1)
    assert score["voices"] == {"a group": (1.0, 1.0), "other": (0.0, 0.0)}
    assert score["clips"]["b"] == (0, 1, 0, 0)
    assert score["recall_95"] == (0.0, 1.0)  # two clips, one of each kind


def test_an_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for i in range(60):
        low, high = scoring.bootstrap(list(rng.normal(size=40)), scoring.mean, seed=i)
        covered.append(low < 0 < high)
    assert 0.85 < np.mean(covered) <= 1.0
    assert scoring.bootstrap([0.3] * 5, scoring.mean) == pytest.approx((0.3, 0.3))


def test_arpabet_is_in_the_table_of_visemes() -> None:
    spans = recordings.segments_of([("SIL", 0, 0.1), *((name, 0.1, 0.2) for name in recordings.IPA)])
    assert [s.letter for s in spans if s.viseme.sealed] == ["b", "m", "p"]
    assert [s for s in spans if not s.letter] == [Segment(0, 0.1, "")]


def test_on_video_a_hold_counts_where_lips_were_seen_closed() -> None:
    gap = np.full(50, 0.1)
    gap[10:13] = 0.004  # 0.40-0.48 s
    gap[30] = 0.004
    phones = [("SIL", 0.0, 0.2), ("B", 0.42, 0.5), ("AA", 0.5, 1.5), ("M", 1.5, 1.6), ("SIL", 1.6, 2.0)]
    clip = recordings.seen("x", np.zeros(2 * RATE_HZ, np.float32) + 0.1, phones, gap)
    assert clip.holds == ((0.42, 0.5),)  # the m was said with open lips
    assert clip.closed == ((10 / 25, 12 / 25), (30 / 25, 30 / 25))  # and lips closed once without being asked


def test_a_lost_face_keeps_its_lips(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("frame,innerLipGap_per_eye_distance\n0,0.1\n1,nan\n2,0.01\n")
    assert recordings.video_gap(path).tolist() == [0.1, 0.1, 0.01]


@pytest.mark.skipif(importlib.util.find_spec("pocketsphinx") is None, reason="no aligner: pip install pocketsphinx")
def test_words_are_found_in_a_recording(shared_dir: Path) -> None:
    samples = evaluate.read_sound(shared_dir / "data/audio/en_librivox_sense_0880.wav")
    phones = recordings.align(samples, recordings.LIBRIVOX["en_librivox_sense_0880"])
    names = [name for name, _, _ in phones if name != "SIL"]
    assert names[:2] == ["HH", "IY"] and "P" in names and names[-2:] == ["AE", "N"]
    assert phones[-1][2] <= len(samples) / RATE_HZ + recordings.MARGIN_S
    assert all(a < b for _, a, b in phones)
