# SPDX-License-Identifier: Apache-2.0
"""Frozen files and pictures of tests/golden, through the public API, on every instruction set: values, without the
shared test data."""

import numpy as np
import pytest

import talksplat
from backends import Backend
from golden.make import (
    AVATARS,
    BACKGROUND,
    FORMAT1,
    RASTERIZE,
    Values,
    avatar_values,
    load,
    rasterize_values,
    scene_of,
)
from reference import tsplat
from reference.pose import rotation_of_quat
from tolerances import require_close


@pytest.fixture(params=AVATARS)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def golden(name: str) -> Values:
    return load(FORMAT1 / f"{name}.npz")


@pytest.fixture
def avatar(name: str, backend: Backend) -> talksplat.Avatar:
    return talksplat.load(FORMAT1 / f"{name}.tsplat", precision=backend.precision, engine=backend.engine())


def group(values: Values, prefix: str) -> Values:
    """The values whose names begin with prefix, under the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


@pytest.mark.parametrize("index", [0, 1])
def test_gaussians_after_pose(index: int, avatar: talksplat.Avatar, golden: Values) -> None:
    want = group(golden, f"gaussians/{index}/")
    got = avatar.gaussians(group(golden, f"control/{index}/"))
    drawn = want["opacity"] > 0
    assert drawn.sum() == avatar.n_gaussians
    require_close("golden mean", "float32", got.mean[drawn], want["mean"][drawn])
    require_close("golden scale", "float32", got.scale[drawn], want["scale"][drawn])
    rotations = rotation_of_quat(got.quat[drawn]), rotation_of_quat(want["quat"][drawn])
    require_close("golden rotation", "float32", *rotations)
    np.testing.assert_array_equal(got.opacity, want["opacity"])
    color, stored = (got.color, want["color"]) if got.sh is None else (got.sh, want["sh"])
    assert color is not None
    np.testing.assert_array_equal(color[drawn], stored[drawn])


def test_picture(avatar: talksplat.Avatar, golden: Values) -> None:
    got = avatar.render_frame(group(golden, "control/1/"), format="rgb_f32").image
    require_picture(got, golden["picture"], golden["ambiguous"], "golden picture")


def test_clips(avatar: talksplat.Avatar, golden: Values) -> None:
    tracks = group(golden, "clip/")
    assert tracks.keys() == {f"{clip.name}/{into}" for clip in avatar.clips.values() for into in clip.inputs}
    for name, clip in avatar.clips.items():
        motion = talksplat.load_motion(f"clip:{name}", avatar)
        assert (motion.frames, motion.fps) == (clip.frames, clip.fps)
        for into in clip.inputs:
            named = avatar.inputs[into].names
            columns = [motion.names.index(weight) for weight in named]
            rows = motion.weights[:, columns] if named else motion.inputs[into]
            np.testing.assert_array_equal(rows, tracks[f"{name}/{into}"])


def test_rasterize(backend: Backend) -> None:
    golden = load(RASTERIZE)
    scene, view = scene_of(golden)
    image, alpha, depth = talksplat.rasterize(
        scene.means, scene.quats, scene.scales, scene.opacities, scene.colors, view.cam_from_world, view.K, view.width,
        view.height, sh_degree=scene.sh_degree, near=view.near, background=BACKGROUND, engine=backend.engine(),
        precision=backend.precision,
        return_alpha=True, return_depth=True,
    )  # fmt: skip
    for got, want in ((image, "image"), (alpha, "alpha"), (depth, "depth")):
        require_picture(got, golden[want], golden["ambiguous"], "rasterize")


def require_picture(got: np.ndarray, want: np.ndarray, ambiguous: np.ndarray, what: str) -> None:
    """Tightly where the oracle is sure; within one Gaussian's rim elsewhere, which is in few places."""
    assert ambiguous.mean() < 0.02
    times = max(1.0, float(want.max()))
    require_close(what, "float32", got, want, where=~ambiguous, times=times)
    require_close("rasterize ambiguous", "float32", got, want, where=ambiguous, times=times)


# ---- the oracles themselves ----


def test_the_pose_oracle_says_what_it_said(name: str, golden: Values) -> None:
    require_same(avatar_values(tsplat.read(FORMAT1 / f"{name}.tsplat")), golden)


def test_the_raster_oracle_says_what_it_said() -> None:
    golden = load(RASTERIZE)
    require_same(rasterize_values(golden), {name: golden[name] for name in ("image", "alpha", "depth", "ambiguous")})


def require_same(got: Values, want: Values) -> None:
    """Up to the last bits, in which libraries of linear algebra differ."""
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-6, atol=1e-9, err_msg=name)
