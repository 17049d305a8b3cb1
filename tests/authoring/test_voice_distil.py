# SPDX-License-Identifier: Apache-2.0
"""One tower that learns what several say: what it is taught, that it learns it, and who may teach."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from reference.encode import Tower
from talksplat import _core
from talksplat._assets import VOICE
from talksplat.authoring.voice import batches, corpus, export, plan

torch = pytest.importorskip("torch", reason="torch is not installed: pip install talksplat[authoring]")

from talksplat.authoring.voice.distil import Teacher, distil, read_teachers, taught, teachers_of, wider  # noqa: E402
from talksplat.authoring.voice.fold import tensors_of, tower_of  # noqa: E402

TOWER = export.tower((*plan.FACE, *plan.SEAL))  # channels in the order that trained towers have
HEAD = {channel: row for row, channel in enumerate(TOWER["channels"])}
APART = 0.4


def two_teachers() -> list[tuple[export.Manifest, dict[str, np.ndarray]]]:
    """Alike but in their heads: the second's jaw is APART further down, and it says closed at other times."""
    manifest, tensors = export.random_voice(3, towers=[TOWER], dtype=np.float32)
    other = {name: value.copy() for name, value in tensors.items()}
    other["tower/0/head/bias"][HEAD["jawOpen"]] += APART
    other["tower/0/head/weight"][HEAD["closure"]] *= -3
    return [(manifest, tensors), (manifest, other)]


def noise(steps: int, cover_db: float = 0.0) -> corpus.Corpus:
    """A corpus of one clip, of steps that are called speech and say nothing."""
    rng = np.random.default_rng(1)
    none = np.zeros(steps, np.float16)
    rest = np.tile(np.array(batches.REST.weights(), np.float16), (steps, 1))
    return corpus.Corpus(
        rng.normal(-30, 12, (2 * steps, 40)).astype(np.float16), rest, none, none + 1, none.astype(np.uint8),
        np.array([0, steps]), np.array([-20.0], np.float32), np.full((100, 40), -60, np.float16), np.array([0, 50]),
        np.full((1, 50, 40), cover_db, np.float16),
    )  # fmt: skip


def test_what_is_taught_is_the_teachers_mean() -> None:
    """Shapes' means, and means of chances, not of what chances are the logistic function of: by the float64 oracle.

    The second teacher hears 5 steps more. What covers the sound is for the learner alone.
    """
    voices, later = two_teachers(), (0, plan.TEACHER.look_ahead_steps - batches.LOOK_AHEAD_STEPS)
    voices[1] = ({**voices[1][0], "look_ahead_steps": plan.TEACHER.look_ahead_steps}, voices[1][1])
    batch = batches.draw(np.random.default_rng(0), noise(300), 2, 20 + later[1], 0.0, noise_share=1.0)
    assert np.abs(batch.features - batch.uncovered).max() > 0.1
    found = taught(teachers_of(voices), batch, 20)
    assert np.array_equal(found.features, batch.features[:, :20]) and found.shape.shape == (2, 20, len(export.SHAPES))
    for clip in range(2):
        oracles = [Tower(manifest["towers"][0], "tower/0", tensors) for manifest, tensors in voices]
        curves = [[oracle.step(heard)[0] for heard in batch.uncovered[clip]] for oracle in oracles]
        for step in range(20):
            said = np.array([curve[step + wait] for curve, wait in zip(curves, later, strict=True)])
            chances = [HEAD[name] for name in export.PROBABILITIES]
            said[:, chances] = 1 / (1 + np.exp(-said[:, chances]))
            mean = dict(zip(TOWER["channels"], said.mean(0), strict=True))
            for c, name in enumerate(export.SHAPES):
                assert found.shape[clip, step, c] == pytest.approx(mean[name], abs=1e-4), name
            assert found.closure[clip, step] == pytest.approx(mean["closure"], abs=1e-4)
            assert found.voice[clip, step] == pytest.approx(mean["voice"], abs=1e-4)


def test_a_tower_learns_what_both_say_and_repeats() -> None:
    voices, data = two_teachers(), noise(600, cover_db=-200)
    small = plan.Distil(steps=60, batch=4, other_share=0.0, rate=2e-3, start_share=0.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        shares = (0.0, 0.0, 0.25)
        plans = [replace(small, start_share=share) for share in shares]
        nets = [distil(voices, data, p, np.random.default_rng(0), lambda line: None) for p in plans]
    finally:
        torch.set_num_threads(threads)
    learned, again, quarter = (tensors_of([net], np.float32) for net in nets)
    for name, start in voices[0][1].items():
        assert np.array_equal(learned[name], again[name])
        np.testing.assert_allclose(quarter[name], 0.25 * start + 0.75 * learned[name], rtol=0, atol=1e-6)
    batch = batches.draw(np.random.default_rng(9), data, 4, 100, 0.0)
    wanted = taught(teachers_of(voices), batch, 100)
    first, last = (taught([Teacher(net, 0)], batch, 100) for net in (tower_of(*voices[0], 0), nets[0]))
    jaw = export.SHAPES.index("jawOpen")
    before, after = (np.abs(said.shape - wanted.shape)[..., jaw].mean() for said in (first, last))
    assert before == pytest.approx(APART / 2, abs=1e-4) and after < APART / 8
    before, after = (np.abs(said.closure - wanted.closure).mean() for said in (first, last))
    assert before > 0.1 and after < before / 2


def test_a_wider_tower_says_the_same_and_can_learn_more() -> None:
    """By the float64 oracle; its units' twins are no copies, or they would stay alike."""
    voice = two_teachers()[0]
    manifest, tensors = wide = wider(voice, np.random.default_rng(0))
    hidden = TOWER["hidden"]
    assert manifest["towers"] == [{**TOWER, "hidden": 2 * hidden}] and voice[0]["towers"] == [TOWER]
    heard = np.random.default_rng(1).normal(size=(30, 80))
    narrow, twice = ([Tower(m["towers"][0], "tower/0", t).step(x)[0] for x in heard] for m, t in (voice, wide))
    assert np.abs(np.array(narrow) - twice).max() < 0.01 < 0.1 < np.std(narrow)
    for i in range(TOWER["layers"]):
        up = tensors[f"tower/0/layer/{i}/up/weight"]
        apart = np.abs(up[:hidden] - up[hidden:]).max(1)
        assert (apart > 0).all() and apart.max() < np.abs(up).max() / 2
    with pytest.raises(ValueError, match=r"--wider: .*hidden must be .*2048"):
        wider(({**manifest, "towers": [{**TOWER, "hidden": 1025}]}, tensors), np.random.default_rng(0))


def test_the_recipe_teaches_and_tells(tmp_path: Path) -> None:
    from talksplat.authoring.voice.train import main

    noise(300).save(tmp_path / "corpus.npz")
    out, wide = tmp_path / "taught.safetensors", tmp_path / "wide.safetensors"
    rest = ["--corpus", str(tmp_path / "corpus.npz"), "--steps", "1", "--teachers"]
    threads = torch.get_num_threads()
    try:
        main(["--out", str(out), *rest, str(VOICE), str(VOICE)])
        main(["--out", str(wide), "--wider", *rest, str(out), str(VOICE)])
    finally:
        torch.set_num_threads(threads)
    assert _core.Voice(str(wide)).n_parameters > _core.Voice(str(out)).n_parameters
    assert len(read_teachers([wide, VOICE])) == 2
    manifest, tensors = export.read_voice(out)
    before = export.read_voice(VOICE)[1]
    assert manifest["provenance"]["steps"] == 1
    # Features are other ones than the teacher's: avatars that were fitted to those must not take them for theirs.
    assert manifest["features"] != export.read_voice(VOICE)[0]["features"]
    assert [teacher["file"] for teacher in manifest["provenance"]["teachers"]] == [VOICE.name] * 2
    assert any(not np.array_equal(tensors[name], before[name]) for name in tensors)
    assert all(np.allclose(tensors[name], before[name], atol=0.1) for name in tensors)  # not from scratch


def test_a_teacher_hears_later_and_is_not_played(tmp_path: Path) -> None:
    from talksplat.authoring.voice.train import main

    noise(300).save(tmp_path / "corpus.npz")
    out, threads = tmp_path / "teacher.safetensors", torch.get_num_threads()
    try:
        main(["--out", str(out), "--corpus", str(tmp_path / "corpus.npz"), "--steps", "1", "--teacher"])
    finally:
        torch.set_num_threads(threads)
    steps = plan.TEACHER.look_ahead_steps
    assert export.read_voice(out, steps)[0]["look_ahead_steps"] == steps
    assert len(read_teachers([VOICE, out])) == 2
    taught_by = tmp_path / "taught.safetensors"
    both = ["--teachers", str(VOICE), str(out)]
    try:
        main(["--out", str(taught_by), "--corpus", str(tmp_path / "corpus.npz"), "--steps", "1", *both])
    finally:
        torch.set_num_threads(threads)
    assert _core.Voice(str(taught_by)).look_ahead_s == 0.08
    heard = [teacher["look_ahead_steps"] for teacher in export.read_voice(taught_by)[0]["provenance"]["teachers"]]
    assert heard == [batches.LOOK_AHEAD_STEPS, steps]
    with pytest.raises(ValueError, match=r"must begin with .*teacher\.safetensors"):
        read_teachers([out, VOICE])
    with pytest.raises(talksplat.VoiceInvalid, match="look_ahead_steps"):
        _core.Voice(str(out))


def test_the_teachers_that_are_kept_teach() -> None:
    kept = sorted((Path(__file__).parents[2] / "python/authoring/voice/teachers").iterdir())
    voices = read_teachers([VOICE, *kept])
    assert [teacher.later_steps for teacher in teachers_of(voices)] == [0, 5, 5]
    assert [manifest["provenance"]["seed"] for manifest, _ in voices[1:]] == [1, 2]
    assert all(manifest["provenance"]["steps"] == plan.SHIPPED.steps for manifest, _ in voices[1:])


@pytest.mark.parametrize(
    "wrong", [["--teachers"], ["--steps", "0"], ["--steps", "-3"], ["--features", "mine"], ["--wider"]]
)
def test_nothing_is_trained_by_a_slip(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from talksplat.authoring.voice.train import main

    with pytest.raises(SystemExit):
        main(["--out", "unused", *wrong])
    assert wrong[0] in capsys.readouterr().err


@pytest.mark.parametrize("changes", [{"look_ahead_steps": 2}, {"towers": [export.tower(width=64)]}])
def test_only_voices_of_the_recipe_teach(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert len(read_teachers([VOICE, VOICE])) == 2
    manifest, tensors = export.read_voice(VOICE)
    if "towers" in changes:
        tensors = export.random_voice(towers=changes["towers"])[1]
    odd = tmp_path / "odd.voice"
    export.write_voice(odd, {**manifest, **changes}, tensors)  # type: ignore[typeddict-item]
    with pytest.raises(ValueError, match=r"--teachers must be voices .*odd\.voice has (towers|look_ahead_steps)"):
        read_teachers([VOICE, odd])
    odd.write_bytes(b"no voice")
    with pytest.raises(ValueError, match=r"--teachers must be voices; .*odd\.voice is none"):
        read_teachers([odd])


def test_noise_alone_is_what_the_learner_hears_beside() -> None:
    """Covers of -200 dB cover nothing: what teachers hear is then what the learner hears, to the bit."""
    draws = [batches.draw(np.random.default_rng(0), noise(300, db), 4, 50, 0.0, noise_share=1.0) for db in (-200, 0)]
    assert np.array_equal(draws[0].features, draws[0].uncovered)
    assert np.array_equal(draws[1].uncovered, draws[0].uncovered)
    assert not np.array_equal(draws[1].features, draws[0].features)


@pytest.mark.parametrize(
    "both",
    [["--teachers", str(VOICE), "--facegood"], ["--teachers", str(VOICE), "--teacher"], ["--teacher", "--facegood"]],
)
def test_a_tower_learns_in_one_way(both: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from talksplat.authoring.voice.train import main

    with pytest.raises(SystemExit):
        main(["--out", "unused", *both, *(["."] if both[-1] == "--facegood" else [])])
    assert f"leave it or {both[0]} out" in capsys.readouterr().err
