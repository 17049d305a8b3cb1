# SPDX-License-Identifier: Apache-2.0
"""One tower that learns what several say: what it is taught, that it learns it, and who may teach."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference.encode import Tower
from talksplat._assets import VOICE
from talksplat.authoring.voice import batches, corpus, export, plan

torch = pytest.importorskip("torch", reason="torch is not installed: pip install talksplat[authoring]")

from talksplat.authoring.voice.distil import distil, read_teachers, taught  # noqa: E402
from talksplat.authoring.voice.fold import tower_of  # noqa: E402

JAW, CLOSURE = export.CHANNELS.index("jawOpen"), export.CHANNELS.index("closure")
APART = 0.4


def two_teachers() -> list[tuple[export.Manifest, dict[str, np.ndarray]]]:
    """Alike but in their heads: the second's jaw is APART further down, and it says closed at other times."""
    manifest, tensors = export.random_voice(3, dtype=np.float32)
    other = {name: value.copy() for name, value in tensors.items()}
    other["tower/0/head/bias"][JAW] += APART
    other["tower/0/head/weight"][CLOSURE] *= -3
    return [(manifest, tensors), (manifest, other)]


def noise(steps: int) -> corpus.Corpus:
    """A corpus of one clip, of steps that say nothing."""
    rng = np.random.default_rng(1)
    none = np.zeros(steps, np.float16)
    rest = np.tile(np.array(batches.REST.weights(), np.float16), (steps, 1))
    return corpus.Corpus(
        rng.normal(-30, 12, (2 * steps, 40)).astype(np.float16), rest, none, none, none.astype(np.uint8),
        np.array([0, steps]), np.array([-20.0], np.float32), np.zeros((0, 40), np.float16), np.zeros(1, np.int64),
        np.zeros((1, 50, 40), np.float16),
    )  # fmt: skip


def test_what_is_taught_is_the_teachers_mean() -> None:
    """Shapes' means, and means of chances, not of what chances are the logistic function of: by the float64 oracle."""
    voices = two_teachers()
    batch = batches.draw(np.random.default_rng(0), noise(300), 2, 20, 0.0)
    found = taught([tower_of(*voice, 0) for voice in voices], batch)
    assert found.features is batch.features and found.shape.shape == (2, 20, len(export.SHAPES))
    for clip in range(2):
        oracles = [Tower(manifest["towers"][0], "tower/0", tensors) for manifest, tensors in voices]
        for step in range(20):
            said = np.array([oracle.step(batch.features[clip, step])[0] for oracle in oracles])
            chances = [export.CHANNELS.index(name) for name in export.PROBABILITIES]
            said[:, chances] = 1 / (1 + np.exp(-said[:, chances]))
            mean = dict(zip(export.CHANNELS, said.mean(0), strict=True))
            for c, name in enumerate(export.SHAPES):
                assert found.shape[clip, step, c] == pytest.approx(mean[name], abs=1e-4), name
            assert found.closure[clip, step] == pytest.approx(mean["closure"], abs=1e-4)
            assert found.voice[clip, step] == pytest.approx(mean["voice"], abs=1e-4)


def test_a_tower_learns_what_both_say_and_repeats() -> None:
    voices, data, small = two_teachers(), noise(600), plan.Distil(steps=60, batch=4, other_share=0.0, rate=2e-3)
    nets = [distil(voices, data, small, np.random.default_rng(0), lambda line: None) for _ in range(2)]
    np.testing.assert_array_equal(nets[0].head.weight.detach().numpy(), nets[1].head.weight.detach().numpy())
    batch = batches.draw(np.random.default_rng(9), data, 4, 100, 0.0)
    wanted = taught([tower_of(*voice, 0) for voice in voices], batch).shape[..., JAW]
    x = torch.from_numpy(batch.features)
    first, learned = (net(x)[0][..., JAW].detach().numpy() for net in (tower_of(*voices[0], 0), nets[0]))
    assert np.abs(first - wanted).mean() == pytest.approx(APART / 2, abs=1e-4)
    assert np.abs(learned - wanted).mean() < APART / 8


@pytest.mark.parametrize("changes", [{"look_ahead_steps": 2}, {"towers": [export.tower(width=64)]}])
def test_only_voices_of_the_recipe_teach(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert len(read_teachers([VOICE, VOICE])) == 2
    manifest, tensors = export.read_voice(VOICE)
    if "towers" in changes:
        tensors = export.random_voice(towers=changes["towers"])[1]
    odd = tmp_path / "odd.voice"
    export.write_voice(odd, {**manifest, **changes}, tensors)  # type: ignore[typeddict-item]
    with pytest.raises(ValueError, match=r"a teacher must be a voice .* by this recipe; .*odd\.voice"):
        read_teachers([VOICE, odd])


def test_an_actor_is_not_for_a_taught_tower(capsys: pytest.CaptureFixture[str]) -> None:
    from talksplat.authoring.voice.train import main

    with pytest.raises(SystemExit):
        main(["--out", "unused", "--teachers", str(VOICE), "--facegood", "."])
    assert "leave it or --teachers out" in capsys.readouterr().err
