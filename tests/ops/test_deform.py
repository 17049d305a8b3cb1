# SPDX-License-Identifier: Apache-2.0
"""deform against float64: programs of the three methods' shapes and stranger ones, on every instruction set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import talksplat
from backends import DEFORM_BACKENDS, Backend, load
from conftest import present
from ops.deform_programs import MOTION, Program, any_program, embedtalk, everything, gaussian_talker, talking_gaussian
from ops.pose_avatars import rigged_avatar, static_avatar
from reference import tsplat
from reference.deform import deform_ref
from reference.pose import pose_ref
from tolerances import require_close

SH = {"gaussian_talker": 3}
MAKERS: dict[str, Callable[[int], Program]] = {
    "embedtalk": embedtalk,
    "embedtalk 128": lambda n: embedtalk(n, 128),
    "talking_gaussian": lambda n: talking_gaussian(n, n // 3 + 2),
    "gaussian_talker": gaussian_talker,
    "gaussian_talker 2": lambda n: gaussian_talker(n, 2),
    "everything": everything,
}


@pytest.fixture(params=DEFORM_BACKENDS, ids=str)
def backend(request: pytest.FixtureRequest) -> Backend:
    return present(request.param)


def write(path: Path, maker: str, n: int, precision: str = "fp32") -> Path:
    return MAKERS[maker](n).write(path, 3 if maker.startswith("gaussian_talker") else -1, precision)


def random_control(file: tsplat.Tsplat, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {i["name"]: rng.uniform(0, 1, i["size"]).astype(np.float32) for i in file.manifest["inputs"]}


def compare(path: Path, backend: Backend, control: dict[str, np.ndarray], precision: str, threads: int = 1) -> None:
    file = tsplat.read(path)
    want = deform_ref(file, pose_ref(file, {}), control)
    g, row = load(path, backend, threads).gaussians(control), file.tensors["gaussians/source_index"]
    kind = "float32" if precision == "fp32" and backend.precision != "fast" else "bfloat16"
    name = f"{path.stem} on {backend}"
    # In what the network adds, or the unit of the value: a mean's motion, a quaternion, a scale's logarithm, a logit.
    require_close("deform mean", kind, g.mean[row] / MOTION, want.mean / MOTION, name=name)
    require_close("deform rotation", kind, g.quat[row], want.quat, name=name)
    require_close("deform scale", kind, np.log(g.scale[row] + 1e-9), np.log(want.scale + 1e-9), name=name)
    require_close("deform opacity", kind, g.opacity[row], want.opacity, name=name)
    color = g.color if file.manifest["color"] == "rgb" else g.sh
    require_close("deform color", kind, color[row], want.color, name=name)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_equals_float64(backend: Backend, maker: str, precision: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"{maker}.tsplat", maker, 200, precision)
    for seed in range(2):
        compare(path, backend, random_control(tsplat.read(path), seed), precision)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 47, 48, 49, 96, 193])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_counts_around_a_block(backend: Backend, n: int, precision: str, tmp_path: Path) -> None:
    for maker in ("embedtalk", "talking_gaussian", "gaussian_talker", "everything"):
        path = write(tmp_path / f"{maker}.tsplat", maker, n, precision)
        compare(path, backend, random_control(tsplat.read(path), n), precision)


@pytest.mark.parametrize("maker", MAKERS)
def test_threads_change_no_bit(backend: Backend, maker: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsplat", maker, 2000, "bf16")
    control = random_control(tsplat.read(path), 0)
    images = [load(path, backend, threads).render_frame(control).image for threads in (1, 2, 8)]
    assert images[0].any()
    np.testing.assert_array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[0], images[2])


@pytest.mark.parametrize("seed", range(12))
def test_any_program(backend: Backend, seed: int, tmp_path: Path) -> None:
    """Whatever is read by whom: no place in scratch memory is given away too early, and no head goes astray."""
    path = any_program(50, seed).write(tmp_path / f"seed {seed}.tsplat", precision="fp32")
    if backend.precision != "fast":
        compare(path, backend, random_control(tsplat.read(path), seed), "fp32")
    path = any_program(50, seed).write(path, precision="bf16")
    file = tsplat.read(path)
    control = random_control(file, seed)
    want, got = deform_ref(file, pose_ref(file, {}), control), load(path, backend).gaussians(control)
    row = file.tensors["gaussians/source_index"]
    # Fifteen layers of random weights are worse in bfloat16 than any network's, and far better than a wrong value.
    assert np.abs(got.mean[row] - want.mean).max() < 0.3 * MOTION
    assert np.abs(got.opacity[row] - want.opacity).max() < 0.1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, where it interprets a kernel
@pytest.mark.parametrize("huge", [3e38, -3e38, 1e20])
def test_what_is_bounded_stays_so(backend: Backend, huge: float, tmp_path: Path) -> None:
    """Numbers overflow on their way, of a control that nobody meant: opacities and rotations stay what they are."""
    path = write(tmp_path / "a.tsplat", "gaussian_talker", 33)
    control = {i["name"]: np.full(i["size"], huge, np.float32) for i in tsplat.read(path).manifest["inputs"]}
    g = load(path, backend).gaussians(control)
    assert ((g.opacity >= 0) & (g.opacity <= 1)).all()
    np.testing.assert_allclose(np.linalg.norm(g.quat, axis=1), 1, rtol=0, atol=1e-5)


def test_a_million_gaussians(tmp_path: Path) -> None:
    n = 1_000_000
    avatar = talksplat.load(embedtalk(n, 8).write(tmp_path / "a.tsplat"))
    still = avatar.gaussians()
    moved = avatar.gaussians({"au": np.full(6, 0.5, np.float32)})
    assert moved.mean.shape == (n, 3) and np.isfinite(moved.mean).all() and np.isfinite(moved.opacity).all()
    # Rows of one program: all of them move, the last as far as the first.
    shift = np.abs(moved.mean - still.mean).max(1)
    assert (shift > 0).mean() > 0.99 and 0.5 < shift[: n // 2].mean() / shift[n // 2 :].mean() < 2
    frame = avatar.render_frame(size=(64, 64))
    assert frame.receipt.n_gaussians == n and frame.image.any()


def test_no_stages_change_nothing(backend: Backend, tmp_path: Path) -> None:
    path = static_avatar(tmp_path / "a.tsplat")
    file = tsplat.read(path)
    ref = deform_ref(file, pose_ref(file, {}), {})
    g, row = load(path, backend).gaussians(), file.tensors["gaussians/source_index"]
    np.testing.assert_array_equal(g.mean[row], ref.mean)
    np.testing.assert_allclose(g.quat[row], ref.quat, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(g.scale[row], ref.scale)


def test_runs_after_pose(backend: Backend, tmp_path: Path) -> None:
    path = rigged_avatar(tmp_path / "a.tsplat", binding="triangle")
    file = tsplat.read(path)
    control = {"translation": np.array([1.0, 2.0, 3.0], np.float32)}
    ref = deform_ref(file, pose_ref(file, control), control)
    g, row = load(path, backend).gaussians(control), file.tensors["gaussians/source_index"]
    np.testing.assert_allclose(g.mean[row], ref.mean, rtol=0, atol=2e-6)
    np.testing.assert_allclose(g.scale[row], ref.scale, rtol=0, atol=2e-6)
