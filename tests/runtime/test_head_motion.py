# SPDX-License-Identifier: Apache-2.0
"""Heads of the built-in voice beside tracked talkers' on the same sounds. bench/head_motion.py has every number."""

from pathlib import Path

import numpy as np
import pytest

from head_motion import Motion, said_motion, shared_clips, tracked_motion
from talksplat import _core
from talksplat._assets import VOICE
from talksplat.authoring.voice import heads
from talksplat.authoring.voice.evaluate import read_sound

SEEDS = range(8)
RANGE_RATIO = (0.7, 1.4)


@pytest.fixture(scope="module")
def voice() -> _core.Voice:
    return _core.Voice(str(VOICE))


@pytest.fixture(scope="module")
def tracked_and_said(voice: _core.Voice, shared_dir: Path) -> tuple[Motion, Motion]:
    clips = shared_clips(shared_dir)
    assert len(clips) == 7
    return tracked_motion(clips), said_motion(voice, clips, SEEDS)


def test_heads_move_as_far_as_tracked_talkers(tracked_and_said: tuple[Motion, Motion]) -> None:
    tracked, said = (np.median(motion.ranges_deg, axis=0) for motion in tracked_and_said)
    ratio = dict(zip(heads.AXES, np.round(said / tracked, 2), strict=True))
    assert {axis: r for axis, r in ratio.items() if not RANGE_RATIO[0] <= r <= RANGE_RATIO[1]} == {}


def test_heads_nod_at_the_rhythm_of_tracked_talkers(tracked_and_said: tuple[Motion, Motion]) -> None:
    tracked, said = (motion.usual for motion in tracked_and_said)
    assert np.abs(said.share[0] - tracked.share[0]).max() < 0.15  # pitch
    ratio = said.speed_deg_s / tracked.speed_deg_s
    assert (ratio > 0.5).all()
    assert (ratio < 1.3).all()


def test_heads_move_with_the_voice(tracked_and_said: tuple[Motion, Motion]) -> None:
    follows = tracked_and_said[1].follows
    assert follows[(heads.LAGS_S > -0.1) & (heads.LAGS_S < 0.2)].mean() > 0.12


def test_heads_rest_in_silence(voice: _core.Voice, shared_dir: Path) -> None:
    speech = read_sound(shared_dir / "data/audio/en_jfk_16k_mono.wav")
    for seed in range(4):
        quiet = heads.statistics(heads.head_of(voice, np.zeros_like(speech), 25, seed), 25)
        spoken = heads.statistics(heads.head_of(voice, speech, 25, seed), 25)
        assert 0.05 < quiet.range_deg[0] < 0.5 * spoken.range_deg[0]
        assert quiet.speed_deg_s[2] < 5
