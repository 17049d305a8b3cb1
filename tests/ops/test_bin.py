# SPDX-License-Identifier: Apache-2.0
"""bin, seen through images: what tiles, blocks, spans and sorting make equals an oracle that has none of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends import Backend
from ops.raster import draw, draw_all, require_matches, require_same
from reference.rasterize import Rasterized, rasterize_ref
from reference.scenes import Scene, View, flat_scene, front_view, random_scene, turned_view

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.integers(0, 90), st.integers(1, 80), st.integers(1, 80), st.sampled_from([None, 0, 1, 2, 3]))
@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # backend is a constant
)
def test_random_scenes(backend: Backend, seed: int, n: int, width: int, height: int, sh_degree: int | None) -> None:
    rng = np.random.default_rng(seed)
    view = turned_view(rng, width, height, focal=float(rng.uniform(20, 150)))
    scene = random_scene(
        rng,
        n,
        view,
        size_px=(0.2, float(rng.uniform(1, 25))),
        opacity=(0, 1) if seed % 2 else (0.9, 1),
        sh_degree=sh_degree,
    )
    background = [None, rng.uniform(0, 1, 3), rng.uniform(0, 1, (height, width, 3))][seed % 3]
    require_matches(scene, view, backend, background)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 31, 33, 255, 257])
def test_any_number_of_gaussians(n: int, backend: Backend) -> None:
    view = front_view(50, 34)
    require_matches(random_scene(np.random.default_rng(n), n, view), view, backend)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (17, 33), (15, 16), (16, 17), (3, 130), (130, 3)])
def test_any_canvas(width: int, height: int, backend: Backend) -> None:
    view = front_view(width, height)
    require_matches(random_scene(np.random.default_rng(width), 60, view), view, backend)


@pytest.mark.parametrize("degrees", [0, 3, 45, 90, 100, 179])
def test_wide_and_thin(degrees: float, backend: Backend) -> None:
    """Splats longer than the four tiles of a span, in every direction, centred in and outside the canvas."""
    view = front_view(128, 128)
    half = np.deg2rad(degrees) / 2
    for x_px, y_px in ((64.3, 60.8), (-20.0, 70.0), (64.0, 150.0)):
        scene = flat_scene(view, x_px, y_px, 2.0, 1.0, 0.9, [0.2, 0.6, 1.0])
        scene = replace(
            scene,
            scales=np.float32([[2.0, 0.004, 0.004]]),
            quats=np.float32([[np.cos(half), 0, 0, np.sin(half)]]),
        )
        require_matches(scene, view, backend)


def test_subpixel_splats(backend: Backend) -> None:
    """Smaller than a pixel, on and between centres and on tile borders: none is lost or doubled."""
    view = front_view(64, 64)
    places = np.array([0.0, 0.5, 15.5, 15.999, 16.0, 16.001, 16.5, 31.75, 47.99, 48.25, 63.5, 64.0])
    x, y = np.meshgrid(places, places)
    n = x.size
    scene = flat_scene(view, x.ravel(), y.ravel(), 2 + np.arange(n) / n, 0.01, 0.5, [0.9, 0.5, 0.1])
    require_matches(scene, view, backend)


# ---- order ----


def stack(view: View, z: np.ndarray, rng: np.random.Generator, opacity: float = 0.5) -> Scene:
    """Splats that all cover the middle of the canvas, of random colours."""
    n = len(z)
    return flat_scene(view, view.width / 2, view.height / 2, z, 6.0, opacity, rng.uniform(0, 1, (n, 3)))


@pytest.mark.parametrize("n", [2, 40, 3000])
def test_equal_depths_go_by_index(n: int, backend: Backend) -> None:
    view, rng = front_view(24, 24), np.random.default_rng(n)
    scene = stack(view, np.full(n, 2.0), rng)
    front = draw_all(scene.take(slice(0, 1)), view, backend=backend)[0][12, 12]
    assert np.abs(front - scene.colors[0] * 0.5).max() < 0.01
    image = require_matches(scene, view, backend)
    for threads in (2, 8):  # more parts to sort
        np.testing.assert_array_equal(draw(scene, view, backend=backend, threads=threads), image)


def test_depths_that_differ_in_the_last_bit(backend: Backend) -> None:
    view = front_view(24, 24)
    z = np.float32(2) * (1 + np.arange(6, dtype=np.float32) * np.finfo(np.float32).eps)
    assert len(set(z.tolist())) == 6
    scene = stack(view, z[[3, 0, 5, 1, 4, 2]], np.random.default_rng(3))
    assert np.array_equal(np.argsort(scene.means[:, 2]), [1, 3, 5, 0, 4, 2])
    require_matches(scene, view, backend)


def test_depths_over_the_whole_range_of_floats(backend: Backend) -> None:
    """The sort's digits are of the key's range: from 24 bits to all of them."""
    view = replace(front_view(16, 16), near=1e-30)
    rng = np.random.default_rng(4)
    z = np.float32(10.0) ** rng.permutation(np.arange(-12, 12)).astype(np.float32)
    scene = stack(view, z, rng, opacity=0.2)
    want = rasterize_ref(scene, view)
    image, alpha, depth = draw_all(scene, view, backend=backend)
    # Depths reach 1e11, so the weighted sum is as coarse as that: colours tell the order.
    require_same(image, alpha, np.zeros_like(depth), replace(want, depth=np.zeros_like(want.depth)), None, "rasterize")


def test_input_order_does_not_matter(backend: Backend) -> None:
    rng, view = np.random.default_rng(5), front_view(60, 44)
    scene = random_scene(rng, 400, view)
    image = draw(scene, view, backend=backend)
    np.testing.assert_array_equal(draw(scene.take(rng.permutation(400)), view, backend=backend), image)


# ---- long lists ----


def test_several_batches_in_one_tile(backend: Backend) -> None:
    """1,700 splats in one tile: four batches, some pixels stopped in the first, others open to the last."""
    rng, view = np.random.default_rng(7), front_view(16, 16)
    n = 1700
    # Close to pixel centres, so that no alpha is near 1/255.
    x, y = rng.integers(0, 16, (2, n)) + 0.5 + rng.uniform(-0.05, 0.05, (2, n))
    z = 1.5 + 2 * rng.permutation(n) / n
    scene = flat_scene(view, x, y, z, 0.01, np.where(x < 8, 0.9, 0.006), rng.uniform(0, 1, (n, 3)))
    want = rasterize_ref(scene, view)
    assert want.transmittance.min() < 1e-3 < 0.9 < want.transmittance.max()
    require_matches(scene, view, backend)


LONG = 70_000


@pytest.fixture(scope="module")
def long_list() -> tuple[Scene, View, np.ndarray, Rasterized]:
    """More splats in one tile than 16 bits count, so faint and small that they all matter. Oracle at 40 pixels."""
    rng, view = np.random.default_rng(8), front_view(16, 16)
    # Offset from the pixel centres by at most 0.1 px: alpha between 1/255 and opacity.
    x, y = rng.integers(0, 16, (2, LONG)) + 0.5 + rng.uniform(-0.1, 0.1, (2, LONG))
    z = 1.5 + 2 * rng.permutation(LONG) / LONG
    scene = flat_scene(view, x, y, z, 1e-4, rng.uniform(0.0044, 0.0060, LONG), rng.uniform(0, 1, (LONG, 3)))
    pixels = rng.choice(256, 40, replace=False)
    pixels = np.stack([pixels % 16, pixels // 16], axis=1)
    return scene, view, pixels, rasterize_ref(scene, view, pixels=pixels)


def test_more_than_65536_in_one_tile(long_list: tuple[Scene, View, np.ndarray, Rasterized], backend: Backend) -> None:
    scene, view, pixels, want = long_list
    assert want.transmittance.min() > 0.1  # the last splat still counts
    outputs = draw_all(scene, view, backend=backend)
    image, alpha, depth = (a[pixels[:, 1], pixels[:, 0]] for a in outputs)
    require_same(image, alpha, depth, want, None, "rasterize")
