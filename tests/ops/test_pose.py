# SPDX-License-Identifier: Apache-2.0
"""pose: the native op on every instruction set against its float64 oracle and against GaussianAvatars' own code."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from backends import Backend, load
from ops.pose_avatars import blended_avatar, rigged_avatar, static_avatar, triangle_avatar
from reference import tsplat
from reference.pose import Posed, pose_ref, rotation_of_quat
from talksplat import _core
from talksplat.authoring import spec
from talksplat.authoring.gaussian_avatars import import_gaussian_avatars
from talksplat.avatar import Avatar

# Largest difference from the oracle, in the rig's unit (heads of about 1); rotations are compared as matrices.
# Worst measured times 1.05 over scalar, AVX2 and AVX-512 (EPYC, November 2026); caps are the golden vectors'.
TOLERANCE = {
    # what: (tolerance, cap)
    "vertex": (2.0e-7, 2e-6),
    "mean": (3.3e-7, 2e-6),
    "scale": (2.9e-7, 2e-6),
    "rotation": (1.6e-6, 2e-4),
}
TOLERANCE_SCALE = float(os.environ.get("TS_TOL_SCALE", "1"))
RIGS = {
    "vertex": {},
    "vertex-position": {"rotate": False},
    "vertex-no-joints": {"joints": 0},
    "vertex-no-shapes": {"s": 0},
    "vertex-bare": {"s": 0, "joints": 0},
    "vertex-8-influences": {"influences": 8, "joints": 40},
    "triangle": {"binding": "triangle"},
    "triangle-inverse-length": {"binding": "triangle", "scale_rule": "inverse_length"},
    "triangle-bare": {"binding": "triangle", "s": 0, "joints": 0},
    "flame": {"binding": "triangle", "flame": True, "influences": 5},
}


@dataclass(frozen=True)
class Native:
    """What the native op made of a control, Gaussians in the file's row order."""

    vertex: np.ndarray
    mean: np.ndarray
    quat: np.ndarray
    scale: np.ndarray


def pose(avatar: Avatar, file: tsplat.Tsplat, control: dict[str, np.ndarray]) -> Native:
    g = avatar.gaussians(control)
    row = file.tensors["gaussians/source_index"]
    return Native(avatar.vertices(control), g.mean[row], g.quat[row], g.scale[row])


def random_control(file: tsplat.Tsplat, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {e["name"]: rng.normal(size=e["size"], scale=0.5).astype(np.float32) for e in file.manifest["inputs"]}


def require_close(what: str, got: np.ndarray, want: np.ndarray) -> None:
    """Within the table; relative for rows longer than 1. TS_TOL_SCALE=0 shows the true residual."""
    tolerance, cap = TOLERANCE[what]
    assert tolerance <= cap
    assert got.shape == want.shape
    length = np.maximum(1, np.linalg.norm(want, axis=-1, keepdims=True))
    worst = float(np.max(np.abs(got - want) / length, initial=0.0))
    if worst > tolerance * TOLERANCE_SCALE:
        pytest.fail(f"{what}: off by {worst:.3g}", pytrace=False)


def require_posed(got: Native, want: Posed) -> None:
    require_close("vertex", got.vertex, want.vertex)
    require_close("mean", got.mean, want.mean)
    require_close("scale", got.scale, want.scale)
    np.testing.assert_allclose(np.linalg.norm(got.quat, axis=1), 1, atol=1e-6)
    require_close("rotation", rotation_of_quat(got.quat), rotation_of_quat(want.quat))


def require_matches(path: Path, backend: Backend | None, control: dict[str, np.ndarray] | None = None) -> Native:
    file = tsplat.read(path)
    control = random_control(file) if control is None else control
    got = pose(load(path, backend), file, control)
    require_posed(got, pose_ref(file, control))
    return got


# ---- against the oracle ----


@pytest.mark.parametrize("rig", RIGS)
def test_matches_the_oracle(rig: str, backend: Backend, tmp_path: Path) -> None:
    require_matches(rigged_avatar(tmp_path / "a.tsplat", **RIGS[rig]), backend)


@pytest.mark.parametrize("rig", RIGS)
def test_neutral_frame_matches_the_oracle(rig: str, backend: Backend, tmp_path: Path) -> None:
    require_matches(rigged_avatar(tmp_path / "a.tsplat", **RIGS[rig]), backend, {})


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 300])
@pytest.mark.parametrize("rig", ["vertex", "vertex-position", "triangle"])
def test_any_number_of_gaussians(rig: str, n: int, backend: Backend, tmp_path: Path) -> None:
    require_matches(rigged_avatar(tmp_path / "a.tsplat", n=n, **RIGS[rig]), backend)


@pytest.mark.parametrize("v", [1, 3, 15, 16, 17, 129])
def test_any_number_of_vertices(v: int, backend: Backend, tmp_path: Path) -> None:
    require_matches(rigged_avatar(tmp_path / "a.tsplat", v=v), backend)


@pytest.mark.parametrize("n", [0, 1, 16, 17])
def test_static_gaussians_only_move_with_the_translation(n: int, backend: Backend, tmp_path: Path) -> None:
    path = static_avatar(tmp_path / "a.tsplat", n=n, source_count=20)
    require_matches(path, backend, {"translation": np.array([1.0, -2.0, 0.5], np.float32)})
    still = require_matches(path, backend, {})
    np.testing.assert_array_equal(still.mean, tsplat.read(path).tensors["gaussians/mean"])


def test_inputs_take_their_defaults(tmp_path: Path) -> None:
    inputs = [{"name": "translation", "size": 3, "target": "translation", "default": [1.0, 2.0, 3.0]}]
    path = static_avatar(tmp_path / "a.tsplat", inputs=inputs)
    file = tsplat.read(path)
    rest = file.tensors["gaussians/mean"]
    avatar = load(path)
    np.testing.assert_array_equal(pose(avatar, file, {}).mean, rest + np.array([1, 2, 3], np.float32))
    np.testing.assert_array_equal(pose(avatar, file, {"translation": np.zeros(3, np.float32)}).mean, rest)


# ---- controls at their ends ----


@pytest.mark.parametrize("weight", [0.0, 1.0, -1.0, 1e-30, 1e6, 1e30])
def test_extreme_weights(weight: float, backend: Backend, tmp_path: Path) -> None:
    path = rigged_avatar(tmp_path / "a.tsplat", rotate=False)
    size = tsplat.read(path).manifest["inputs"][0]["size"]
    control = {"face": np.full(size, weight, np.float32)}
    file = tsplat.read(path)
    got, want = pose(load(path, backend), file, control), pose_ref(file, control)
    unit = max(1.0, float(np.abs(want.vertex).max()))  # sums of huge deltas cancel: relative to the largest
    require_close("vertex", got.vertex / unit, want.vertex / unit)
    require_close("mean", got.mean / unit, want.mean / unit)


@pytest.mark.parametrize("angle", [1e-30, 1e-9, 1e-4, np.pi / 2, np.pi, 2 * np.pi, 100.0])
@pytest.mark.parametrize("axis", range(3))
def test_joint_angles(angle: float, axis: int, backend: Backend, tmp_path: Path) -> None:
    path = rigged_avatar(tmp_path / "a.tsplat", joints=1)
    turn = np.zeros(3, np.float32)
    turn[axis] = angle
    require_matches(path, backend, {"turn": turn})


def test_two_inputs_on_one_joint_compose_in_manifest_order(tmp_path: Path) -> None:
    path = rigged_avatar(tmp_path / "a.tsplat", joints=1, s=0)
    first, second = np.array([0.5, 0, 0], np.float32), np.array([0, 0.7, 0], np.float32)
    ordered = require_matches(path, None, {"turn": first, "turn_again": second})
    swapped = require_matches(path, None, {"turn": second, "turn_again": first})
    assert np.abs(ordered.vertex - swapped.vertex).max() > 0.01


# ---- frames ----


def test_triangles_in_every_orientation(backend: Backend, tmp_path: Path) -> None:
    """Half turns about axes and diagonals have a quaternion with w = 0; random ones fill the rest."""
    diagonal = np.sqrt(0.5)
    half_turns = [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, diagonal, diagonal, 0], [0, 0, diagonal, -diagonal]]
    random = np.random.default_rng(0).normal(size=(200, 4))
    quat = np.concatenate([[[1, 0, 0, 0]], half_turns, random / np.linalg.norm(random, axis=1, keepdims=True)])
    corner = np.array([[0, 0, 0], [1.0, 0, 0], [0.2, 0, -0.8]])  # its own frame is the identity
    vertex = np.einsum("qij,cj->qci", rotation_of_quat(quat), corner).reshape(-1, 3)
    path = triangle_avatar(tmp_path / "a.tsplat", vertex, np.arange(len(vertex)).reshape(-1, 3))
    require_matches(path, backend, {})


def test_degenerate_triangles_are_finite(backend: Backend, tmp_path: Path) -> None:
    """Coincident corners, corners on a line and triangles far below float32's resolution of a head."""
    a, b = np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.2, 0.3])
    triangles = [[a, a, a], [a, a, b], [a, b, a], [a, b, b], [a, b, (a + b) / 2], [a, b, b + (b - a)],
                 [a, a + 1e-12, a - 1e-12], [a * 0, a * 1e-20, b * 1e-20]]  # fmt: skip
    vertex = np.array(triangles).reshape(-1, 3)
    path = triangle_avatar(tmp_path / "a.tsplat", vertex, np.arange(len(vertex)).reshape(-1, 3))
    file = tsplat.read(path)
    got = pose(load(path, backend), file, {})
    assert all(np.isfinite(x).all() for x in (got.mean, got.quat, got.scale))
    np.testing.assert_allclose(np.linalg.norm(got.quat, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(got.mean[0], a, atol=1e-7)  # no frame: the centre
    np.testing.assert_allclose(got.scale[0], 0.5e-10 * file.tensors["gaussians/scale"][0], rtol=1e-5)


def test_zero_scale_stays_zero(backend: Backend, tmp_path: Path) -> None:
    path = rigged_avatar(tmp_path / "a.tsplat", binding="triangle")
    file = tsplat.read(path)
    file.tensors["gaussians/scale"][::3] = 0
    spec.write(path, file.manifest, file.tensors)
    assert (require_matches(path, backend).scale[::3] == 0).all()


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.5, 2.6, 3.0])
def test_blended_rotations_give_the_nearest_one(angle: float, backend: Backend, tmp_path: Path) -> None:
    second = np.linspace(0, 1, 33)
    path = blended_avatar(tmp_path / "a.tsplat", np.stack([1 - second, second], axis=1))
    turn = np.concatenate([np.zeros(3), angle * np.array([2, -1, 2]) / 3]).astype(np.float32)
    require_matches(path, backend, {"turn": turn})


def test_rotations_that_cancel_give_a_finite_frame(backend: Backend, tmp_path: Path) -> None:
    """The identity and the half turns about the three axes add up to the zero matrix."""
    path = blended_avatar(tmp_path / "a.tsplat", np.full((17, 4), 0.25))
    file = tsplat.read(path)
    turn = np.concatenate([np.zeros((1, 3)), np.pi * np.eye(3)]).reshape(-1).astype(np.float32)
    got = pose(load(path, backend), file, {"turn": turn})
    np.testing.assert_allclose(got.mean, 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(got.quat, axis=1), 1, atol=1e-6)


# ---- rows ----


def test_pruned_rows_are_transparent(tmp_path: Path) -> None:
    path = static_avatar(tmp_path / "a.tsplat", n=10, source_count=25)
    file = tsplat.read(path)
    file.tensors["gaussians/source_index"] = np.arange(20, 10, -1, dtype=np.uint32)
    spec.write(path, file.manifest, file.tensors)
    g = load(path).gaussians()
    pruned = np.setdiff1d(np.arange(25), np.arange(11, 21))
    assert (g.opacity[pruned] == 0).all() and (g.quat[pruned] == [1, 0, 0, 0]).all()
    np.testing.assert_array_equal(g.opacity[20:10:-1], file.tensors["gaussians/opacity"])
    assert g.color is not None
    np.testing.assert_array_equal(g.color[20:10:-1], file.tensors["gaussians/color"])


# ---- repeatability ----


@pytest.mark.parametrize("rig", ["vertex", "triangle", "flame"])
def test_threads_agree_bit_for_bit(rig: str, backend: Backend, tmp_path: Path) -> None:
    path = rigged_avatar(tmp_path / "a.tsplat", n=5000, v=3000, **RIGS[rig])
    file = tsplat.read(path)
    control = random_control(file)
    want = pose(load(path, backend, threads=1), file, control)
    for threads in (2, 8):
        avatar = load(path, backend, threads)
        for _ in range(5):
            got = pose(avatar, file, control)
            for name in ("vertex", "mean", "quat", "scale"):
                np.testing.assert_array_equal(getattr(got, name), getattr(want, name), f"{name}, {threads} threads")


def test_a_frame_leaves_nothing_behind(backend: Backend, tmp_path: Path) -> None:
    path = rigged_avatar(tmp_path / "a.tsplat", **RIGS["flame"])
    file = tsplat.read(path)
    avatar = load(path, backend)
    frame = _core.Frame(avatar._core, 16, 16, _core.Format.RGB8, _core.Precision.REFERENCE)
    first, other = (np.concatenate(list(random_control(file, seed).values())) for seed in (0, 1))

    def vertices(control: np.ndarray) -> np.ndarray:
        out = np.empty((avatar.info["n_vertices"], 3), np.float32)
        frame.vertices(control, out)
        return out

    once = vertices(first)
    assert np.abs(vertices(other) - once).max() > 0.01
    with pytest.raises(ValueError):
        vertices(np.full_like(first, np.nan))
    np.testing.assert_array_equal(vertices(first), once)


# ---- GaussianAvatars' own results ----


@pytest.fixture(scope="module")
def flame_avatar(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, golden = tmp_path_factory.mktemp("flame"), shared_dir / "golden"
    make = [sys.executable, golden / "make_synthetic_flame.py", golden / "flame" / "a_model.npz", folder / "flame.pkl"]
    subprocess.run(make, check=True)
    avatar = import_gaussian_avatars(golden / "flame" / "a_ckpt", "golden", folder / "flame.pkl")
    return spec.write(folder / "flame.tsplat", *avatar)


def test_flame_matches_gaussian_avatars(flame_avatar: Path, shared_dir: Path, backend: Backend) -> None:
    golden = np.load(shared_dir / "golden" / "flame" / "a_io.npz")
    avatar = load(flame_avatar, backend)
    for t in range(len(golden["in_expr"])):
        control = {name: golden[f"in_{name}"][t] for name in avatar.inputs}
        g = avatar.gaussians(control)
        np.testing.assert_allclose(avatar.vertices(control), golden["out_verts"][t], rtol=0, atol=2e-6)
        np.testing.assert_allclose(g.mean, golden["out_xyz"][t], rtol=0, atol=2e-6)
        np.testing.assert_allclose(g.scale, golden["out_scaling"][t], rtol=0, atol=2e-6)
        quat = golden["out_rotation"][t].astype(np.float64)
        want = rotation_of_quat(quat / np.linalg.norm(quat, axis=1, keepdims=True))
        np.testing.assert_allclose(rotation_of_quat(g.quat), want, rtol=0, atol=2e-4)


def test_the_oracle_matches_gaussian_avatars(flame_avatar: Path, shared_dir: Path) -> None:
    golden = np.load(shared_dir / "golden" / "flame" / "a_io.npz")
    file = tsplat.read(flame_avatar)
    row = file.tensors["gaussians/source_index"]
    for t in range(len(golden["in_expr"])):
        posed = pose_ref(file, {e["name"]: golden[f"in_{e['name']}"][t] for e in file.manifest["inputs"]})
        np.testing.assert_allclose(posed.vertex, golden["out_verts"][t], rtol=0, atol=3e-7)
        np.testing.assert_allclose(posed.mean, golden["out_xyz"][t][row], rtol=0, atol=3e-7)
        np.testing.assert_allclose(posed.scale, golden["out_scaling"][t][row], rtol=0, atol=3e-7)


# ---- what the core refuses, whoever calls it ----


@pytest.mark.parametrize(
    ("name", "at", "value", "message"),
    [
        ("turn", 0, np.inf, r'"turn" must be finite; number 0 is inf'),
        ("translation", 2, np.nan, r'"translation" must be finite; number 2 is -?nan'),
    ],
)
def test_wrong_controls_are_refused(name: str, at: int, value: float, message: str, tmp_path: Path) -> None:
    avatar = load(rigged_avatar(tmp_path / "a.tsplat"))
    frame = _core.Frame(avatar._core, 16, 16, _core.Format.RGB8, _core.Precision.REFERENCE)
    control = np.zeros(avatar.info["n_control"], np.float32)
    frame.vertices(control, np.empty((60, 3), np.float32))
    with pytest.raises(ValueError, match=re.escape(f"control must be [{len(control)}]; got [{len(control) - 1}].")):
        frame.vertices(control[:-1], np.empty((60, 3), np.float32))
    control[avatar.inputs[name].offset + at] = value
    with pytest.raises(ValueError, match=message):
        frame.vertices(control, np.empty((60, 3), np.float32))


@pytest.mark.parametrize(
    ("target", "message"),
    [("face", "weights of shape 0 must have a finite sum"), ("translation", "finite sum; axis 0")],
)
def test_sums_that_overflow_are_refused(target: str, message: str, tmp_path: Path) -> None:
    path = rigged_avatar(tmp_path / "a.tsplat")
    file = tsplat.read(path)
    twin = next(e for e in file.manifest["inputs"] if e["name"] == target)
    file.manifest["inputs"].append(twin | {"name": "twin"})
    spec.write(path, file.manifest, file.tensors)
    huge = np.full(twin["size"], 3e38, np.float32)
    with pytest.raises(ValueError, match=message):
        load(path).vertices({target: huge, "twin": huge})
