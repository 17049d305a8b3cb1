# SPDX-License-Identifier: Apache-2.0
"""ARKit motion on rigs that lack shapes, on FLAME avatars, and what is refused."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from authoring.makers import flame_fields, write_checkpoint
from reference.retarget import (
    EYE_RAD,
    JAW_OPEN_RAD,
    JAW_SIDE_RAD,
    LIP_NAMES,
    LOWER_LIP,
    N_VERTICES,
    STAND_INS,
    UPPER_LIP,
    lip_movement,
    solve_lips,
    stand_ins,
    to_flame,
    to_rig,
)
from runtime.tiny import tiny_avatar
from talksplat import _core
from talksplat.arkit import ARKIT_NAMES
from talksplat.authoring import spec
from talksplat.authoring.gaussian_avatars import import_gaussian_avatars
from talksplat.authoring.lam import import_lam
from talksplat.errors import MotionInvalid
from talksplat.motions import Motion, fit_motion
from talksplat.speech import builtin_voice

EVERY = frozenset(ARKIT_NAMES)
# Alone of its kind: nothing else of a face moves so.
WITHOUT_STAND_IN = {
    "eyeBlinkLeft", "eyeBlinkRight", "eyeWideLeft", "eyeWideRight", "jawForward", "browDownLeft", "browDownRight",
    "cheekPuff", "tongueOut", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft",
    "eyeLookUpRight",
}  # fmt: skip


def motion_of(**weights: float) -> Motion:
    return Motion(25, np.array([list(weights.values())] * 2, np.float32), tuple(weights))


def rig_with(folder: Path, names: Sequence[str]) -> talksplat.Avatar:
    """An avatar whose input `face` has these names, each a shape of its rig."""
    path = folder / "rig.tsplat"
    if names:
        manifest, tensors = tiny_avatar()
        n = len(names)
        faces = {"name": "face", "size": n, "target": "blendshape", "names": list(names), "shapes": list(range(n))}
        manifest["inputs"] = [faces]
        manifest["clips"] = []
        tensors = {name: value for name, value in tensors.items() if not name.startswith("clip/")}
        tensors["rig/blendshape/start"] = np.zeros(n + 1, np.uint32)
        tensors["rig/blendshape/vertex"] = np.zeros(0, np.uint32)
        tensors["rig/blendshape/delta"] = np.zeros((0, 3), np.float32)
    return talksplat.load(spec.write(path, manifest, tensors), threads=1)


def moved_on(rig: talksplat.Avatar, **weights: float) -> tuple[dict[str, float], tuple[str, ...]]:
    """The rig's own weights, those that are not 0, and what found no place."""
    controls, ignored = fit_motion(motion_of(**weights), rig)
    face = controls.get("face", np.zeros((2, rig.inputs["face"].size), np.float32))[0]
    return {name: float(face[i]) for name, i in rig.inputs["face"].index.items() if face[i] != 0}, ignored


# ---- rigs that lack shapes ----


def test_a_whole_rig_needs_no_stand_in(tmp_path: Path) -> None:
    rig = rig_with(tmp_path, ARKIT_NAMES)
    assert rig.speaks
    weights = {name: (i + 1) / 64 for i, name in enumerate(ARKIT_NAMES)}
    assert moved_on(rig, **weights) == (weights, ())
    assert moved_on(rig, jawOpen=0.5, mouthClose=0.25) == ({"jawOpen": 0.5, "mouthClose": 0.25}, ())


@pytest.mark.parametrize("name", ARKIT_NAMES)
def test_every_single_shape_may_be_missing(name: str, tmp_path: Path) -> None:
    rig = rig_with(tmp_path, sorted(EVERY - {name}))
    found = stand_ins(EVERY - {name})
    if name in WITHOUT_STAND_IN:
        assert found == {}
        assert moved_on(rig, **{name: 0.5}) == ({}, (name,))
    else:
        assert set(found) == {name}
        assert all(0 < abs(share) <= 1 for share in found[name].values())
        moved, ignored = moved_on(rig, **{name: 0.5})
        assert ignored == ()
        # What would go below 0 stays there.
        assert moved == pytest.approx({into: 0.5 * share for into, share in found[name].items() if share > 0})


@pytest.mark.parametrize("seed", range(30))
def test_any_rig_agrees_with_the_oracle(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    whole = [n.removesuffix("Left") for n in ARKIT_NAMES if n.endswith("Left") and n not in ("jawLeft", "mouthLeft")]
    names = [n for n in (*ARKIT_NAMES, *whole) if rng.uniform() < (0.2, 0.5, 0.8)[seed % 3]] or ["jawOpen"]
    rig = rig_with(tmp_path, names)
    if not rig.speaks:
        assert EVERY.isdisjoint(names)
        return
    given = [n for n in ARKIT_NAMES if rng.uniform() < 0.7]
    rows = rng.uniform(-0.2, 1.3, (7, len(given))).astype(np.float32)
    control, ignored = fit_motion(Motion(25, rows, tuple(given)), rig)
    want = to_rig({n: rows[:, i] for i, n in enumerate(given)}, frozenset(names))
    face = control.get("face", np.zeros((7, len(names)), np.float32))
    for i, name in enumerate(names):
        np.testing.assert_allclose(face[:, i], want.get(name, np.zeros(7)), rtol=0, atol=1e-6, err_msg=name)
    places = EVERY & (frozenset(names) | stand_ins(frozenset(names)).keys())
    assert set(ignored) == set(given) - places


def test_a_missing_close_closes_the_jaw(tmp_path: Path) -> None:
    rig = rig_with(tmp_path, sorted(EVERY - {"mouthClose"}))
    assert moved_on(rig, jawOpen=0.5, mouthClose=0.5) == ({}, ())
    assert moved_on(rig, jawOpen=0.2, mouthClose=0.5) == ({}, ())  # and never below


def test_stand_ins_add_up_and_stop_at_one(tmp_path: Path) -> None:
    rig = rig_with(tmp_path, ["mouthPucker", "jawOpen"])
    moved, ignored = moved_on(rig, mouthFunnel=0.5, mouthPucker=0.25, jawOpen=0.5, tongueOut=0.0)
    assert moved == pytest.approx({"mouthPucker": 0.55, "jawOpen": 0.6})
    assert ignored == ()  # a tongue that rests is no loss
    assert moved_on(rig, mouthFunnel=1, mouthPucker=0.9)[0]["mouthPucker"] == 1
    # Trackers overshoot, and what the rig has is played as given.
    assert moved_on(rig, mouthFunnel=0, mouthPucker=1.3)[0]["mouthPucker"] == pytest.approx(1.3)


def test_names_without_a_side_take_both(tmp_path: Path) -> None:
    rig = rig_with(tmp_path, ["eyeBlink", "jawOpen"])
    assert moved_on(rig, eyeBlinkLeft=0.8, eyeBlinkRight=0.4)[0] == pytest.approx({"eyeBlink": 0.6})
    # mouthLeft is a direction, not the left side of "mouth".
    (tmp_path / "other").mkdir()
    rig = rig_with(tmp_path / "other", ["mouth", "jaw", "jawOpen"])
    assert moved_on(rig, mouthLeft=0.5) == ({}, ("mouthLeft",))


def test_a_rig_without_arkit_names_does_not_speak(tmp_path: Path) -> None:
    rig = rig_with(tmp_path, ["smirk"])
    assert not rig.speaks
    with pytest.raises(MotionInvalid, match="tiny has no input jawOpen"):
        fit_motion(motion_of(jawOpen=0.5), rig)
    speech = _core.Speech(rig.engine._core, builtin_voice(), 16000, 1, 25.0)
    with pytest.raises(ValueError, match="this avatar has no face that speech could move"):
        speech.read_control(rig._core)


def test_the_document_says_what_the_table_says() -> None:
    document = Path(__file__).parents[2] / "docs/retargeting.md"
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", document.read_text("utf-8"), re.MULTILINE)
    said = {
        name: [
            {n: float(share) for share, n in re.findall(r"(-?[\d.]+) `(\w+)`", option)} for option in cell.split(";")
        ]
        for name, cell in rows
    }
    table = {name: [dict(option) for option in options] for name, options in STAND_INS.items()}
    assert said == table


def test_motion_reaches_the_rig_that_lacks_shapes(tiny: talksplat.Avatar) -> None:
    controls, ignored = fit_motion(motion_of(mouthFunnel=0.5, jawOpen=0.25, mouthClose=0.125, cheekPuff=0.1), tiny)
    jaw = controls["arkit"][:, tiny.inputs["arkit"].index["jawOpen"]]
    np.testing.assert_allclose(jaw, 0.25 + 0.2 * 0.5 - 0.125, atol=1e-6)  # no pucker either: the jaw alone
    assert ignored == ("cheekPuff",)


def test_lam_has_all_but_the_tongue(shared_dir: Path, tmp_path: Path) -> None:
    lam = talksplat.load(
        spec.write(tmp_path / "james.tsplat", *import_lam(shared_dir / "data/avatars/lam_james.zip", "j"))
    )
    controls, ignored = fit_motion(motion_of(jawOpen=0.5, tongueOut=0.5, mouthClose=0.25), lam)
    assert ignored == ("tongueOut",)
    assert controls["arkit"][0, lam.inputs["arkit"].index["jawOpen"]] == 0.5
    # +y turns the face to its left, +x down: what drive and the motion files mean by head_pose.
    nose = int(np.argmax(lam.vertices()[:N_VERTICES, 2]))
    assert lam.vertices({"head_pose": [0, 0.3, 0]})[nose, 0] > lam.vertices()[nose, 0] + 0.01
    assert lam.vertices({"head_pose": [0.3, 0, 0]})[nose, 1] < lam.vertices()[nose, 1] - 0.01


# ---- FLAME ----


def lips_on_an_ellipse() -> np.ndarray:
    """Rest vertices [5023,3]: the lip rings on an ellipse 0.05 wide, all others far from it."""
    rest = np.random.default_rng(0).normal(size=(N_VERTICES, 3)) * 0.02 + (0, 0.12, 0)
    for ring, side in ((UPPER_LIP, 1), (LOWER_LIP, -1)):
        angle = np.linspace(0, np.pi, 15)
        rest[list(ring)] = np.stack([0.025 * np.cos(angle), side * 0.004 * np.sin(angle), 0.1 + 0 * angle], 1)
    return rest


def flame_avatar(folder: Path, expressions: np.ndarray, rest: np.ndarray) -> talksplat.Avatar:
    """expressions [5023,3,E]."""
    n_expr = expressions.shape[2]
    fields = flame_fields(n_expr)
    fields["v_template"] = rest
    fields["shapedirs"] = np.concatenate([np.zeros((N_VERTICES, 3, 300)), expressions], axis=2).astype(np.float32)
    np.savez(folder / "flame.npz", **fields)
    checkpoint = write_checkpoint(folder / "head", n_expr=n_expr)
    return talksplat.load(
        spec.write(folder / "head.tsplat", *import_gaussian_avatars(checkpoint, "Flo", folder / "flame.npz"))
    )


@pytest.fixture(scope="module")
def flo(tmp_path_factory: pytest.TempPathFactory) -> talksplat.Avatar:
    """expr_0 is a pucker and nothing else, expr_1 a pucker that lifts the rest of the head, expr_2 a noise."""
    rest = lips_on_an_ellipse()
    expressions = np.zeros((N_VERTICES, 3, 3))
    ring = [*UPPER_LIP, *LOWER_LIP]
    expressions[ring, :, 0] = expressions[ring, :, 1] = 0.05 * lip_movement("mouthPucker", rest)
    expressions[:, 1, 1] += np.where(np.linalg.norm(rest, axis=1) > 0.12, 0.02, 0)
    expressions[:, :, 2] = np.random.default_rng(1).normal(size=(N_VERTICES, 3)) * 1e-3
    return flame_avatar(tmp_path_factory.mktemp("flame"), expressions, rest)


def test_flame_turns_jaw_eyes_and_neck(flo: talksplat.Avatar) -> None:
    weights = motion_of(
        jawOpen=0.5, mouthClose=0.25, jawLeft=0.5, eyeLookOutLeft=0.5, eyeLookInRight=0.5, eyeLookDownLeft=0.25,
        eyeLookUpRight=0.25,
    )  # fmt: skip
    motion = Motion(25, weights.weights, weights.names, {"head_pose": np.array([[0.1, 0.2, 0.3]] * 2)})
    controls, ignored = fit_motion(motion, flo)
    assert set(controls) == {"jaw_pose", "eyes_pose", "expr", "neck_pose"}
    assert ignored == ()
    np.testing.assert_allclose(controls["jaw_pose"][1], [JAW_OPEN_RAD * 0.25, JAW_SIDE_RAD * 0.5, 0], atol=1e-7)
    left, right = [0.25 * EYE_RAD, 0.5 * EYE_RAD, 0], [-0.25 * EYE_RAD, 0.5 * EYE_RAD, 0]
    np.testing.assert_allclose(controls["eyes_pose"][1], [*left, *right], atol=1e-7)
    np.testing.assert_allclose(controls["neck_pose"][1], [0.1, 0.2, 0.3], atol=1e-7)
    assert not controls["expr"].any()
    flo.render_frame({name: rows[0] for name, rows in controls.items()}, size=(16, 16))


def test_flame_lips_are_shut_when_mouth_close_matches_the_jaw(flo: talksplat.Avatar) -> None:
    controls, _ = fit_motion(motion_of(jawOpen=0.4, mouthClose=0.4), flo)
    assert not controls["jaw_pose"].any()
    controls, _ = fit_motion(motion_of(jawOpen=0.2, mouthClose=0.4), flo)
    assert not controls["jaw_pose"].any()


def test_flame_lips_are_solved_on_the_mesh(flo: talksplat.Avatar) -> None:
    controls, ignored = fit_motion(motion_of(mouthPucker=0.5), flo)
    assert ignored == ()
    expr = controls["expr"][0]
    assert expr[0] == pytest.approx(0.5, abs=0.03)  # the pucker that moves nothing else
    assert abs(expr[1]) < 0.03
    moved = flo.vertices({"expr": expr}) - flo.vertices()
    wanted = 0.5 * 0.05 * lip_movement("mouthPucker", lips_on_an_ellipse())
    np.testing.assert_allclose(moved[[*UPPER_LIP, *LOWER_LIP]], wanted, atol=4e-4)  # metres


@pytest.mark.parametrize("seed", range(8))
def test_flame_agrees_with_the_oracle(seed: int, flo: talksplat.Avatar) -> None:
    rng = np.random.default_rng(seed)
    given = tuple(n for n in ARKIT_NAMES if rng.uniform() < 0.6) if seed else ARKIT_NAMES
    rows = rng.uniform(-0.2, 1.3, (5, len(given))).astype(np.float32)
    turn = rng.normal(size=(5, 3)).astype(np.float32) if seed % 2 else None
    motion = Motion(25, rows, given, {} if turn is None else {"head_pose": turn})
    rest = flo.vertices().astype(np.float64)
    n_expr = flo.inputs["expr"].size
    shapes = [flo.vertices({"expr": e}) - rest for e in np.eye(n_expr, dtype=np.float32)]
    want = to_flame(
        {n: rows[:, i] for i, n in enumerate(given)}, turn,
        {into.name: into.default for into in flo.inputs.values()}, solve_lips(rest, np.stack(shapes)),
    )  # fmt: skip
    controls = fit_motion(motion, flo).controls
    assert set(controls) == set(want)
    for name, values in want.items():
        np.testing.assert_allclose(controls[name], values, rtol=0, atol=2e-4 if name == "expr" else 1e-6, err_msg=name)


def test_flame_reports_what_it_has_no_place_for(flo: talksplat.Avatar) -> None:
    motion = motion_of(eyeBlinkLeft=1, browInnerUp=0.5, tongueOut=0.5, jawForward=0.5, jawOpen=0.1, cheekPuff=0)
    controls, ignored = fit_motion(motion, flo)
    assert set(ignored) == {"eyeBlinkLeft", "browInnerUp", "tongueOut", "jawForward"}
    assert controls["jaw_pose"][0, 0] == pytest.approx(0.1 * JAW_OPEN_RAD)


def test_parameters_that_are_given_win(flo: talksplat.Avatar) -> None:
    both = motion_of(jawOpen=1)
    given = Motion(25, both.weights, both.names, {"jaw_pose": np.full((2, 3), 0.05)})
    np.testing.assert_allclose(fit_motion(given, flo).controls["jaw_pose"], 0.05)
    own = Motion(25, inputs={"expr": np.ones((2, 3)), "neck_pose": np.full((2, 3), 0.05)})
    controls = fit_motion(own, flo).controls
    assert set(controls) == {"expr", "neck_pose"}
    turned = fit_motion(Motion(25, inputs={"head_pose": np.full((2, 3), 0.05)}), flo)
    assert set(turned.controls) == {"neck_pose"}


def test_flame_on_real_faces(shared_dir: Path, tmp_path: Path) -> None:
    """LAM's mesh has FLAME's topology and an artist's ARKit shapes: principal components of those stand for FLAME's
    expressions, and lips must go where they were asked to with the rest of the face quiet."""
    lam = talksplat.load(
        spec.write(tmp_path / "james.tsplat", *import_lam(shared_dir / "data/avatars/lam_james.zip", "j"))
    )
    rest = lam.vertices()[:N_VERTICES].astype(np.float64)
    shapes = [n for n in ARKIT_NAMES if not n.startswith("jaw") and n not in ("mouthClose", "tongueOut")]
    own = {n: lam.vertices({"arkit": {n: 1}})[:N_VERTICES] - rest for n in shapes}
    rng = np.random.default_rng(0)
    faces = rng.uniform(size=(400, len(shapes))) ** 3 @ np.stack([own[n].ravel() for n in shapes])
    _, spread, components = np.linalg.svd(faces - faces.mean(0), full_matrices=False)
    basis = (components[:40] * (spread[:40, None] / 20)).reshape(40, N_VERTICES, 3)
    flame = flame_avatar(tmp_path, np.moveaxis(basis, 0, 2), rest - rest.mean(0))
    weights = np.eye(len(LIP_NAMES), dtype=np.float32)
    coefficients = fit_motion(Motion(25, weights, LIP_NAMES), flame).controls["expr"]
    posed = flame.vertices().astype(np.float64)
    expressions = np.stack([flame.vertices({"expr": e}) - posed for e in np.eye(40, dtype=np.float32)])
    np.testing.assert_allclose(coefficients, solve_lips(posed, expressions), rtol=0, atol=2e-4)
    ring = [*UPPER_LIP, *LOWER_LIP]
    width = np.linalg.norm(rest[UPPER_LIP[0]] - rest[UPPER_LIP[-1]])
    far = np.linalg.norm(rest - rest[ring].mean(0), axis=1) > 1.5 * width
    assert np.abs(coefficients).max() < 5
    for name, c in zip(LIP_NAMES, coefficients, strict=True):
        moved = np.tensordot(c, basis, 1)
        wanted = width * lip_movement(name, rest)
        off = np.linalg.norm(moved[ring] - wanted) / np.linalg.norm(wanted)
        assert off < (0.6 if "Dimple" in name else 0.38), name  # the artist's dimple is another one
        assert np.linalg.norm(moved[far], axis=1).max() < 0.12 * width, name
        alike = (moved[ring] * own[name][ring]).sum() / np.linalg.norm(moved[ring]) / np.linalg.norm(own[name][ring])
        assert alike > 0.3, name


# ---- refusals ----


def test_flame_motion_is_not_for_arkit_avatars(tiny: talksplat.Avatar) -> None:
    for name, size in (("expr", 10), ("jaw_pose", 3)):
        motion = Motion(25, inputs={name: np.ones((1, size))})
        with pytest.raises(MotionInvalid) as caught:
            fit_motion(motion, tiny)
        assert f"motion: tiny has no input {name}." in str(caught.value)
        assert "It takes: arkit, head_pose, translation." in str(caught.value)
        assert f"{name} is FLAME's, and this avatar is moved by ARKit weights: use a motion of those" in str(
            caught.value
        )


def test_flame_avatars_still_refuse_unknown_names(flo: talksplat.Avatar) -> None:
    with pytest.raises(MotionInvalid, match="motion: Flo has no input jawOpne"):
        fit_motion(motion_of(jawOpne=1), flo)


def test_faces_that_are_none(tiny: talksplat.Avatar) -> None:
    row = np.zeros(3, np.float32)
    wrong: list[tuple[Any, Any, str]] = [
        ({"jawOpne": row}, None, "weights must have ARKit's names; got 'jawOpne'"),
        ({"jawOpen": row, "mouthClose": row[:2]}, None, r"weights must have equally many frames; got \[2, 3\]"),
        ({"jawOpen": row * np.nan}, None, "weight must be finite; number 17 of row 0 is -?nan"),
        ({"jawOpen": row}, np.zeros((2, 3)), r"head_pose must be \[3,3\]; got \[2,3\]"),
        ({}, np.full((2, 3), np.inf), "head_pose must be finite; number 0 of row 0 is inf"),
        ([row], None, "weights must map ARKit's names to arrays; got list"),
        (0.5, None, "weights must map ARKit's names to arrays; got float"),
        ({"jawOpen": 0.5}, None, r"jawOpen must be \[T\], one number per frame; got \[\]"),
        ({"jawOpen": [[0, 1]]}, None, r"jawOpen must be \[T\], one number per frame; got \[1,2\]"),
        ({"jawOpen": ["wide"]}, None, "jawOpen must hold real numbers; got dtype <U4"),
        ({"jawOpen": [[0], [0, 1]]}, None, "jawOpen must be an array of numbers"),
        ({}, 0.5, r"head_pose must be \[0,3\]; got \[\]"),
        ({}, [0, 0, 1], r"head_pose must be \[3,3\]; got \[3\]"),
        ({"jawOpen": row}, [0, 0, 1], r"head_pose must be \[3,3\]; got \[3\]"),
    ]
    for weights, turn, message in wrong:
        with pytest.raises(ValueError, match=message):
            tiny.face_controls(weights, turn)
    assert tiny.face_controls({}).inputs == {}
    of_lists = tiny.face_controls({"jawOpen": [0, 1]}, [[0, 0, 0], [0, 0, 1]])  # type: ignore[dict-item, arg-type]
    assert {name: rows.shape for name, rows in of_lists.inputs.items()} == {"arkit": (2, 52), "head_pose": (2, 3)}
