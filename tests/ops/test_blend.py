# SPDX-License-Identifier: Apache-2.0
"""blend: front to back, its thresholds and its end, on splats whose alpha at a pixel is known."""

from dataclasses import replace

import numpy as np
import pytest

from backends import Backend
from ops.raster import draw, draw_all, require_matches
from reference.rasterize import rasterize_ref
from reference.scenes import Scene, flat_scene, front_view, random_scene
from tolerances import require_close

VIEW = front_view(16, 16)
MIDDLE = 8  # the splats of `stack` are centred on pixel (8, 8)
RED, GREEN, BLUE = np.eye(3)


def stack(opacities: list[float], colors: list[np.ndarray], sigma_px: float = 3.0) -> Scene:
    """Centred on one pixel, nearest first: there alpha is the opacity."""
    z = 2 + 0.01 * np.arange(len(opacities))
    return flat_scene(VIEW, MIDDLE + 0.5, MIDDLE + 0.5, z, sigma_px, opacities, np.stack(colors))


def middle(scene: Scene, backend: Backend, **options: str) -> tuple[np.ndarray, float]:
    image, alpha, _ = draw_all(scene, VIEW, backend=backend, **options)
    return image[MIDDLE, MIDDLE], float(alpha[MIDDLE, MIDDLE])


def test_front_to_back(backend: Backend) -> None:
    rgb, alpha = middle(stack([0.5, 0.4, 0.3], [RED, GREEN, BLUE]), backend)
    np.testing.assert_allclose(rgb, [0.5, 0.4 * 0.5, 0.3 * 0.5 * 0.6], atol=2e-6)
    np.testing.assert_allclose(alpha, 1 - 0.5 * 0.6 * 0.7, atol=2e-6)


def test_depth_is_weighted_like_colour(backend: Backend) -> None:
    depth = draw_all(stack([0.5, 0.4], [RED, GREEN]), VIEW, backend=backend)[2]
    np.testing.assert_allclose(depth[MIDDLE, MIDDLE], 0.5 * 2 + 0.2 * 2.01, atol=4e-6)


@pytest.mark.parametrize("opacity", [0.99, 0.995, 1.0])
def test_alpha_is_at_most_099(opacity: float, backend: Backend) -> None:
    rgb, alpha = middle(stack([opacity, 0.5], [RED, GREEN]), backend)
    np.testing.assert_allclose(rgb, [0.99, 0.005, 0], atol=1e-6)
    np.testing.assert_allclose(alpha, 0.995, atol=1e-6)


def test_opacity_above_one_counts_as_one(backend: Backend) -> None:
    """No activation gives more; the core does not trust it."""
    np.testing.assert_array_equal(
        draw(stack([1.5], [RED]), VIEW, backend=backend), draw(stack([1.0], [RED]), VIEW, backend=backend)
    )


@pytest.mark.parametrize("factor", [0.0, -1.0, 0.5, 1 - 1e-4])
def test_fainter_than_1_in_255_is_not_drawn(factor: float, backend: Backend) -> None:
    assert middle(stack([factor / 255], [RED]), backend)[1] == 0


@pytest.mark.parametrize("factor", [1 + 1e-4, 1.05])
def test_1_in_255_is_drawn_at_its_peak(factor: float, backend: Backend) -> None:
    alpha = draw_all(stack([factor / 255], [RED]), VIEW, backend=backend)[1]
    np.testing.assert_allclose(alpha[MIDDLE, MIDDLE], factor / 255, atol=1e-7)
    assert np.count_nonzero(alpha) < 16


def test_threshold_per_pixel(backend: Backend) -> None:
    """Drawn exactly where opacity * exp(power) >= 1/255, whatever the tile or block."""
    scene = flat_scene(VIEW, MIDDLE + 0.5, MIDDLE + 0.5, 2.0, 2.2, 0.3, RED)
    y, x = np.mgrid[:16, :16] - MIDDLE
    expected = np.float32(0.3) * np.exp(-(x * x + y * y) / (2 * (2.2**2 + 0.3)))
    assert np.abs(expected * 255 - 1).min() > 1e-3
    np.testing.assert_array_equal(draw_all(scene, VIEW, backend=backend)[1] > 0, expected >= 1 / 255)


# ---- the end of a pixel ----


def test_the_splat_that_would_pass_the_limit_is_not_added(backend: Backend) -> None:
    """T: 1, 0.01, 1.01e-4 after 0.9899; then 0.99 would take it to 1e-6: left out, and so is all behind it."""
    rgb, alpha = middle(stack([0.99, 0.9899, 0.99, 0.005], [RED, GREEN, BLUE, BLUE]), backend)
    np.testing.assert_allclose(rgb, [0.99, 0.01 * 0.9899, 0], atol=1e-6)
    np.testing.assert_allclose(alpha, 1 - 1.01e-4, atol=1e-6)


def test_a_stopped_pixel_stays_stopped(backend: Backend) -> None:
    """The last splat alone would leave T above the limit; the one before it has stopped the pixel."""
    rgb, _ = middle(stack([0.99, 0.98, 0.8, 0.01], [RED, RED, GREEN, BLUE]), backend)
    np.testing.assert_allclose(rgb[1:], 0, atol=1e-9)


@pytest.mark.parametrize("position", [0, 3, 7, 8, 511, 512, 513, 1023, 1024])
def test_the_end_falls_anywhere_in_a_batch(position: int, backend: Backend) -> None:
    """`position` faint splats, then a wall that ends the pixel, then more that must not show."""
    opacity = [0.0045] * position + [0.98, 0.98, 0.98] + [0.3] * 600
    colors = [GREEN] * position + [RED] * 3 + [BLUE] * 600
    scene = stack(opacity, colors, sigma_px=0.01)
    want = rasterize_ref(scene, VIEW)
    assert want.color[MIDDLE * 16 + MIDDLE, 2] == 0
    rgb, _ = middle(scene, backend)
    require_close("rasterize", "float32", rgb, want.color[MIDDLE * 16 + MIDDLE])
    require_matches(scene, VIEW, backend)


def test_neighbours_end_at_different_splats(backend: Backend) -> None:
    """Every pixel of the tile is walled off at its own depth."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(16) + 0.5, np.arange(16) + 0.5)
    x, y = np.tile(x.ravel(), 6), np.tile(y.ravel(), 6)
    z = 2 + rng.permutation(len(x)) / len(x)
    scene = flat_scene(VIEW, x, y, z, 0.3, 0.97, rng.uniform(0, 1, (len(x), 3)))
    assert rasterize_ref(scene, VIEW).transmittance.max() < 1e-2
    require_matches(scene, VIEW, backend)


# ---- fast ----


@pytest.mark.parametrize("seed", range(4))
def test_fast_is_within_its_bound(seed: int, backend: Backend) -> None:
    rng, view = np.random.default_rng(seed), front_view(80, 60)
    scene = random_scene(rng, 400, view, size_px=(0.5, 8), opacity=(0.05, 1) if seed % 2 else (0.8, 1))
    background = rng.uniform(0, 1, 3)
    want = rasterize_ref(scene, view)
    image, alpha, _ = draw_all(scene, view, backend=backend, background=background, precision="fast")
    require_close("rasterize", "fast", image.reshape(-1, 3), want.over(background.astype(np.float32)))
    require_close("rasterize", "fast", alpha.reshape(-1), want.alpha)


def test_colours_do_not_change_coverage(backend: Backend) -> None:
    view = front_view(40, 40)
    scene = random_scene(np.random.default_rng(9), 100, view)
    other = replace(scene, colors=scene.colors[::-1].copy())
    np.testing.assert_array_equal(draw_all(scene, view, backend=backend)[1], draw_all(other, view, backend=backend)[1])
