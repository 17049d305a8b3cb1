# SPDX-License-Identifier: Apache-2.0
"""The golden faces that the core's own test compares with (tests/cpp/test_drive_oracle.cc) are the oracle's, and say
something of everything that can be set."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from golden.life import EVERY, cases
from golden.make import LIFE
from reference.drive import CHANNELS, voice_gate
from reference.presence import LISTENING, MOODS, Breath, sides
from talksplat.arkit import ARKIT_NAMES

GOLDEN = load_file(LIFE)


@pytest.mark.parametrize("index", range(len(cases())))
def test_golden_faces_are_the_oracle_s(index: int) -> None:
    values = cases()[index].values()
    assert {f"{index}/{name}" for name in values} == {name for name in GOLDEN if name.startswith(f"{index}/")}
    for name, value in values.items():
        np.testing.assert_allclose(GOLDEN[f"{index}/{name}"], value, rtol=0, atol=1e-6, err_msg=name)


def test_they_show_every_mood_in_speech_and_in_silence() -> None:
    case = cases()[0]
    gate = voice_gate(case.channel[:, CHANNELS.index("voice")] / 255)
    assert gate.phrase_ends.sum() > 2
    assert 0.2 < np.mean(gate.open > 0) < 0.8
    moved = {name for name, column in zip(ARKIT_NAMES, GOLDEN["0/weight"].T, strict=True) if column.max() > 0.05}
    assert {full for shapes in [*MOODS.values(), LISTENING] for name in shapes for full in sides(name)} <= moved
    faces = case.faces()
    assert len(GOLDEN["0/weight"]) == len(faces.weight[::EVERY])
    assert np.abs(faces.head_pose[:, 1]).max() > 0.4


def test_breath_is_regular_and_deep_enough() -> None:
    for seed in range(20):
        breath = Breath(seed)
        curve = np.array([breath.at(t) for t in np.arange(0, 600, 0.04)])
        assert 0 <= curve.min() < 0.01
        assert 0.9 < curve.max() <= 1
        assert np.abs(np.diff(curve)).max() < 0.06
        middle = curve > 0.4
        breaths = np.flatnonzero(middle[1:] & ~middle[:-1]) * 0.04
        lengths = np.diff(breaths)
        assert 2.5 < lengths.min() < lengths.max() < 6.5, (lengths.min(), lengths.max())
        assert 0.2 < lengths.std() < 1
        rising = np.mean(np.diff(curve) > 0)
        assert 0.35 < rising < 0.45  # in is shorter than out
