# SPDX-License-Identifier: Apache-2.0
"""rasterize and its oracle against images of an independent float64 implementation: the shared data's golden/raster."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from backends import Backend
from ops.raster import draw_all
from reference.project import project_ref
from reference.rasterize import rasterize_ref
from reference.scenes import Scene, View
from tolerances import require_close

NAMES = [
    "s1_const_bg_64x48",
    "s2_bgimage_96x96",
    "s3_anisotropic_80x64",
    "s4_nearplane_64x64",
    "s5_alpha_deg2_72x56",
    "s6_opaque_stack_48x48",
]


@dataclass(frozen=True)
class Golden:
    scene: Scene
    view: View
    background: np.ndarray  # [3] or [H,W,3]
    image: np.ndarray  # [H,W,3]
    alpha: np.ndarray
    depth: np.ndarray
    ambiguous: np.ndarray
    radius: np.ndarray  # [N], 0 where invisible
    rect: np.ndarray  # [N,4]


def read_golden(path: Path) -> Golden:
    """Matrices there are transposed, images channel-major, and fields of view stand for focal lengths."""
    with np.load(path) as file:
        g = dict(file)
    width, height = int(g["W"]), int(g["H"])
    return Golden(
        scene=Scene(g["means3D"], g["rotations"], g["scales"], g["opacities"], g["shs"], int(g["sh_degree"])),
        view=View(
            np.ascontiguousarray(g["viewmatrix"].T),
            width / (2 * float(g["tanfovx"])),
            height / (2 * float(g["tanfovy"])),
            width / 2,
            height / 2,
            width,
            height,
        ),
        background=np.ascontiguousarray(np.moveaxis(g["bg"], 0, -1)),
        image=np.moveaxis(g["out_image"], 0, -1),
        alpha=g["out_alpha"],
        depth=g["out_depth"],
        ambiguous=g["out_ambiguous"],
        radius=g["out_radii"],
        rect=g["out_rect"],
    )


@pytest.fixture(params=NAMES)
def golden(request: pytest.FixtureRequest, shared_dir: Path) -> Golden:
    return read_golden(shared_dir / "golden" / "raster" / f"{request.param}.npz")


def test_native(golden: Golden, backend: Backend, request: pytest.FixtureRequest) -> None:
    what = "golden needles" if "anisotropic" in request.node.name else "golden"
    image, alpha, depth = draw_all(
        golden.scene, golden.view, backend=backend, background=golden.background, precision="reference"
    )
    for name, got, want in (
        ("image", image, golden.image),
        ("alpha", alpha, golden.alpha),
        ("depth", depth, golden.depth),
    ):
        require_close(what, "float32", got, want, name=name, where=~golden.ambiguous)
        require_close("golden ambiguous", "float32", got, want, name=name, where=golden.ambiguous)


def test_oracle(golden: Golden) -> None:
    want = rasterize_ref(golden.scene, golden.view)
    shape = golden.alpha.shape
    image = want.over(golden.background.reshape(-1, 3)).reshape(*shape, 3)
    for name, got, ref in (
        ("image", image, golden.image),
        ("alpha", want.alpha.reshape(shape), golden.alpha),
        ("depth", want.depth.reshape(shape), golden.depth),
    ):
        require_close("golden", "oracle", got, ref, name=name, where=~golden.ambiguous)
    np.testing.assert_array_equal(want.ambiguous.reshape(shape), golden.ambiguous)


def test_oracle_radius_and_tiles(golden: Golden) -> None:
    splats = project_ref(golden.scene, golden.view)
    seen = golden.radius > 0
    np.testing.assert_array_equal(splats.visible, seen)
    np.testing.assert_array_equal(splats.radius[seen], golden.radius[seen])
    np.testing.assert_array_equal(splats.rect[seen], golden.rect[seen])
