# SPDX-License-Identifier: Apache-2.0
"""Statistics of head motion, on motions whose numbers are known."""

from pathlib import Path

import numpy as np
import pytest

from talksplat.authoring.voice import heads

FPS = 25.0
TIME = np.arange(250) / FPS


def matrices(angles: np.ndarray) -> np.ndarray:
    """[n,3] axis-angle in degrees, one axis at a time, to [n,4,4]; with a scale and a place as trackers have them."""
    out = np.tile(np.eye(4), (len(angles), 1, 1))
    for at, turn in zip(out, np.radians(angles), strict=True):
        axis = int(np.argmax(np.abs(turn)))
        a, b = (axis + 1) % 3, (axis + 2) % 3
        at[a, a] = at[b, b] = np.cos(turn[axis])
        at[b, a], at[a, b] = np.sin(turn[axis]), -np.sin(turn[axis])
        at[:3, 3] = 1, 2, -40
    return out


@pytest.mark.parametrize("axis", range(3))
def test_angles_are_those_about_the_mean_pose(axis: int) -> None:
    angles = np.zeros((250, 3))
    angles[:, axis] = 20 + 5 * np.sin(2 * np.pi * TIME)
    found = heads.angles_of(matrices(angles))
    np.testing.assert_allclose(found, angles - [20 * (i == axis) for i in range(3)], atol=0.05)


def test_numbers_of_a_wave() -> None:
    angles = np.stack([2 * np.sin(2 * np.pi * 1.5 * TIME), np.sin(2 * np.pi * 0.3 * TIME), 0 * TIME], axis=1)
    seen = heads.statistics(angles, FPS)
    np.testing.assert_allclose(seen.range_deg, [4, 2, 0], rtol=0.01)
    np.testing.assert_allclose(seen.deviation_deg, [2**0.5, 0.5**0.5, 0], rtol=0.01)
    assert seen.share[0, 2] > 0.99
    assert seen.share[1, 0] > 0.99
    assert seen.speed_deg_s[2] == pytest.approx(np.hypot(2 * 2 * np.pi * 1.5, 2 * np.pi * 0.3), rel=0.05)
    assert heads.median([seen]).range_deg == pytest.approx(seen.range_deg)


def test_a_head_that_moves_after_it_is_loud() -> None:
    rng = np.random.default_rng(0)
    level = rng.uniform(size=len(TIME))
    speed = np.roll(level, 5)  # 0.2 s later
    angles = np.zeros((len(TIME), 3))
    angles[:, 0] = np.cumsum(speed) / FPS
    r = heads.speed_after_loudness(angles, level, FPS)
    assert heads.LAGS_S[int(np.argmax(r))] == pytest.approx(0.2, abs=0.041)
    assert r.max() > 0.6


def test_loudness_is_of_the_frame_s_own_time() -> None:
    samples = np.zeros(16000)
    samples[8000:8320] = 0.5
    level = heads.loudness(samples, 25, FPS)
    assert int(np.argmax(level)) in (12, 13)
    assert level.max() == 1
    assert level[:12].max() == level[14:].max() == 0


def test_tracks_are_read_and_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "track.csv"
    angles = np.zeros((50, 3))
    angles[:, 1] = np.linspace(-3, 3, 50)
    rows = [",".join(f"{x:.9f}" for x in m.ravel()) for m in matrices(angles)]
    path.write_text("\n".join([",".join(heads.MATRIX), *rows]))
    np.testing.assert_allclose(heads.read_track(path), angles, atol=1e-3)
    path.write_text("frame,jawOpen\n0,0.5\n")
    with pytest.raises(ValueError, match=r"m00 to m33.*'m00'"):
        heads.read_track(path)
    path.write_text(",".join(heads.MATRIX) + "\n" + ",".join(["x"] * 16) + "\n")
    with pytest.raises(ValueError, match=r"m00 to m33.*'x'"):
        heads.read_track(path)
