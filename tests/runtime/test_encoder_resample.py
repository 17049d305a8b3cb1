# SPDX-License-Identifier: Apache-2.0
"""Features at 50 Hz to the frames of a video: against float64, at every rate, and however they come."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from talksplat.encoders.resample import Each, FrameRows, Groups, Linear, exact_rate, groups_fit, stretched

RATES = {
    "20": Fraction(20), "23.976": Fraction(24000, 1001), "25": Fraction(25), "29.97": Fraction(30000, 1001),
    "30": Fraction(30), "50": Fraction(50), "60": Fraction(60),
}  # fmt: skip
CENTRE = 200


def features_of(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, 3)).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
def test_rows_lie_between_the_features_about_their_time(rate: str) -> None:
    fps = RATES[rate]
    features = features_of(3000)
    rows = FrameRows(Linear(fps, CENTRE), 3).push(features)[:, 0]
    at = np.arange(len(rows)) / float(fps)
    places = CENTRE / 16000 + np.arange(3000) / 50
    wanted = np.stack([np.interp(at, places, features[:, c].astype(np.float64)) for c in range(3)], axis=1)
    np.testing.assert_allclose(rows, wanted, atol=1e-5)
    # As many as lie before the last feature: frame k + 1 would read beyond it.
    assert (len(rows) - 1) / float(fps) <= places[-1] < len(rows) / float(fps)


@pytest.mark.parametrize("rate", RATES)
def test_positions_do_not_drift(rate: str) -> None:
    fps = RATES[rate]
    frame = 24 * 3600 * 60  # of a day at 60 fps
    exact = 50 * (frame / fps - Fraction(CENTRE, 16000))
    first, end = Linear(fps, CENTRE).span(frame)
    assert first == exact.numerator // exact.denominator
    assert end == first + (1 if exact.denominator == 1 else 2)


@pytest.mark.parametrize(
    ("written", "meant"),
    [(25.0, Fraction(25)), (29.97002997, Fraction(30000, 1001)), (24000 / 1001, Fraction(24000, 1001))],
)
def test_a_rounded_rate_is_the_exact_one(written: float, meant: Fraction) -> None:
    assert exact_rate(written) == meant


@pytest.mark.parametrize(
    "taps", [Linear(Fraction(30), CENTRE), Groups(2, CENTRE), Each()], ids=["linear", "pairs", "each"]
)
def test_pieces_change_nothing(taps: Linear | Groups | Each) -> None:
    features = features_of(200)
    whole = FrameRows(taps, 3).push(features)
    random, made, at, rows = np.random.default_rng(0), [], 0, FrameRows(taps, 3)
    while at < 200:
        n = int(random.integers(0, 9))
        made.append(rows.push(features[at : at + n]))
        at += n
    assert np.concatenate(made).tobytes() == whole.tobytes()


def test_pairs_are_features_2k_and_2k_plus_1() -> None:
    features = features_of(21)
    rows = FrameRows(Groups(2, CENTRE), 3).push(features)
    np.testing.assert_array_equal(rows, features[:20].reshape(10, 2, 3))


@pytest.mark.parametrize(
    ("length", "fps", "fit"), [(2, 25.0, True), (1, 50.0, True), (2, 30.0, False), (16, 25.0, False)]
)
def test_groups_fit_where_none_is_left(length: int, fps: float, fit: bool) -> None:
    assert groups_fit(length, fps) is fit


@pytest.mark.parametrize("rate", RATES)
def test_frames_take_as_many_features_as_is_said_and_no_more(rate: str) -> None:
    rows = FrameRows(Linear(RATES[rate], CENTRE), 3)
    for frames in range(1, 40):
        needed = rows.needed(frames)
        enough, short = (FrameRows(Linear(RATES[rate], CENTRE), 3) for _ in range(2))
        assert len(enough.push(features_of(needed))) >= frames
        assert len(short.push(features_of(needed - 1))) < frames


@pytest.mark.parametrize("rate", RATES)
def test_how_late_the_last_feature_of_a_frame_is(rate: str) -> None:
    fps = RATES[rate]
    for taps in (Linear(fps, CENTRE), *([Groups(2, CENTRE)] if fps == 25 else [])):
        late = max(CENTRE + 320 * (taps.span(k)[1] - 1) - 16000 * k / fps for k in range(2000))
        assert late <= taps.late_samples < late + 320


def test_no_more_frames_than_are_asked_for() -> None:
    rows = FrameRows(Linear(Fraction(25), CENTRE), 3)
    assert len(rows.push(features_of(50), frames=7)) == 7
    assert len(rows.push(features_of(50), frames=7)) == 0


@pytest.mark.parametrize(("n", "frames"), [(1, 1), (1, 5), (5, 1), (7, 7), (50, 30), (49, 25), (30, 60)])
def test_stretched_features_have_their_ends_aligned(n: int, frames: int) -> None:
    features = features_of(n)
    places = np.linspace(0, n - 1, frames) if frames > 1 else np.zeros(1)
    wanted = np.stack([np.interp(places, np.arange(n), features[:, c].astype(np.float64)) for c in range(3)], axis=1)
    np.testing.assert_allclose(stretched(features, frames), wanted, atol=1e-5)


def test_nothing_cannot_be_stretched() -> None:
    with pytest.raises(ValueError, match="needs features and frames"):
        stretched(features_of(0), 3)
