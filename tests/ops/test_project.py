# SPDX-License-Identifier: Apache-2.0
"""project, seen through images of single Gaussians: where they are, how large, of which colour, and when not drawn."""

from dataclasses import replace

import numpy as np
import pytest

from backends import Backend
from ops.raster import draw, draw_all, require_matches
from reference.scenes import Scene, View, flat_scene, front_view, random_scene, turned_view
from reference.sh import sh_basis_ref

WHITE = [1.0, 1.0, 1.0]


def one(view: View, sigma_px: float = 4.0, z: float = 2.0, opacity: float = 0.8) -> Scene:
    """In the middle of the canvas."""
    return flat_scene(view, view.width / 2, view.height / 2, z, sigma_px, opacity, WHITE)


def test_profile_of_a_round_gaussian(backend: Backend) -> None:
    view = front_view(33, 33)
    alpha = draw_all(one(view), view, backend=backend)[1]
    x, y = np.meshgrid(np.arange(33) - 16, np.arange(33) - 16)
    expected = 0.8 * np.exp(-(x * x + y * y) / (2 * (4.0**2 + 0.3)))
    assert np.abs(alpha - np.where(expected >= 1 / 255, expected, 0)).max() < 2e-5


def test_pixel_centres_are_at_a_half() -> None:
    view = front_view(32, 24)
    image = draw(one(view), view)
    assert np.abs(image - image[::-1]).max() < 1e-5
    assert np.abs(image - image[:, ::-1]).max() < 1e-5
    assert draw(one(front_view(33, 25)), front_view(33, 25)).argmax() // 3 == 12 * 33 + 16


def test_axes_of_the_camera(backend: Backend) -> None:
    """x is right, y down."""
    view = front_view(48, 48)
    for x_px, y_px in ((8.5, 24.5), (40.5, 24.5), (24.5, 8.5), (24.5, 40.5)):
        alpha = draw_all(flat_scene(view, x_px, y_px, 2.0, 2.0, 0.8, WHITE), view, backend=backend)[1]
        assert np.unravel_index(alpha.argmax(), alpha.shape) == (int(y_px), int(x_px))


def test_quaternions_are_wxyz_and_right_handed(backend: Backend) -> None:
    view = front_view(64, 64)
    flat = replace(one(view), scales=np.float32([[0.3, 0.05, 0.05]]))
    half = np.pi / 8  # 45 degrees about +z: from x towards y, down on the screen
    turned = replace(flat, quats=np.float32([[np.cos(half), 0, 0, np.sin(half)]]))
    rows, columns = np.mgrid[:64, :64] - 31.5
    alpha = draw_all(turned, view, backend=backend)[1]
    assert (alpha * rows * columns).sum() > 0.9 * (alpha * (rows**2 + columns**2) / 2).sum()
    require_matches(turned, view, backend)


@pytest.mark.parametrize("length", [1e-12, 1e-3, 7.0, 1e12])
def test_quaternions_of_any_length(length: float, backend: Backend) -> None:
    view = front_view(40, 40)
    scene = random_scene(np.random.default_rng(1), 8, view, behind=0)
    unit = scene.quats / np.linalg.norm(scene.quats, axis=1, keepdims=True)
    require_matches(replace(scene, quats=(unit * length).astype(np.float32)), view, backend)


@pytest.mark.parametrize("seed", range(6))
def test_any_camera(seed: int, backend: Backend) -> None:
    rng = np.random.default_rng(seed)
    view = turned_view(rng, 72, 56, focal=float(rng.uniform(30, 120)))
    for row in range(4):
        scene = random_scene(rng, 4, view, size_px=(1, 10), behind=0)
        require_matches(scene.take([row]), view, backend)


@pytest.mark.parametrize("seed", range(4))
def test_needles_and_plates(seed: int, backend: Backend) -> None:
    """Axes that differ a thousandfold, either way; the determinant must not cancel."""
    rng, view = np.random.default_rng(seed), front_view(64, 64)
    scene = random_scene(rng, 12, view, size_px=(1, 4), stretch=30, behind=0, opacity=(0.1, 0.4))
    require_matches(scene, view, backend)


def test_off_axis_gaussians_are_sheared_as_if_within_the_field_of_view(backend: Backend) -> None:
    """The Jacobian's direction is clamped at 1.3 times the half field of view: a large Gaussian far outside shows."""
    view = front_view(48, 32, focal=30)
    for x, y in ((-3.0, 0.2), (3.5, 0.0), (0.1, 2.5), (2.6, -2.6)):
        scene = Scene(
            np.float32([[x, y, 1.0]]),
            np.float32([[1, 0.2, 0.3, 0.1]]),
            np.float32([[0.9, 0.7, 0.5]]),
            np.float32([0.9]),
            np.float32([WHITE]),
        )
        assert require_matches(scene, view, backend).max() > 0.01


def test_depth_is_camera_z(backend: Backend) -> None:
    view = turned_view(np.random.default_rng(5), 48, 48)
    scene = random_scene(np.random.default_rng(6), 1, view, size_px=(8, 9), behind=0, depth=(2.5, 2.6))
    _, alpha, depth = draw_all(scene, view, backend=backend)
    z = (view.cam_from_world @ [*scene.means[0], 1])[2]
    seen = alpha > 0.01
    np.testing.assert_allclose(depth[seen] / alpha[seen], z, rtol=1e-5)


def test_near_plane(backend: Backend) -> None:
    """Drawn beyond it, not at it."""
    view = replace(front_view(32, 32), near=np.float32(0.7))
    scene = one(view, z=1.0)
    at, beyond = np.float32(0.7), np.nextafter(np.float32(0.7), np.float32(1))
    assert draw_all(scene.with_values("means", 0, [0, 0, at]), view, backend=backend)[1].max() == 0
    assert draw_all(scene.with_values("means", 0, [0, 0, beyond]), view, backend=backend)[1].max() > 0.5


def test_support_ends_with_the_tiles_of_three_sigma(backend: Backend) -> None:
    """An opaque Gaussian is above 1/255 to 3.33 sigma, but is drawn only in the tiles that its 3-sigma square meets."""
    view = front_view(96, 96)
    sigma = np.sqrt(10.0**2 - 0.3)
    scene = flat_scene(view, 49.5, 48.5, 2.0, sigma, 1.0, WHITE)
    alpha = draw_all(scene, view, backend=backend)[1]
    # Centre 49, radius 30: pixels 19..79, so tiles 1..4 across; 48 down: 18..78, also tiles 1..4.
    assert alpha[48, 16] > 1 / 255
    assert alpha[48, 80:].max() == 0  # 0.7 % at pixel 80
    assert np.exp(-(31**2) / 200) > 1 / 255
    assert alpha[48, 79] > 1 / 255
    require_matches(scene, view, backend)


@pytest.mark.parametrize("dilation", [0.01, 0.3, 4.0])
def test_dilation(dilation: float, backend: Backend) -> None:
    view = front_view(40, 40)
    scene = random_scene(np.random.default_rng(2), 10, view, size_px=(0.5, 3), behind=0)
    require_matches(scene, view, backend, dilation=dilation)


# ---- colour ----


@pytest.mark.parametrize("degree", range(4))
@pytest.mark.parametrize("stored", [0, 16])
def test_spherical_harmonics(degree: int, stored: int, backend: Backend) -> None:
    """Also when more coefficients are stored than used: those may hold anything."""
    rng = np.random.default_rng(10 + degree)
    view = turned_view(rng, 48, 40)
    scene = random_scene(rng, 33, view, sh_degree=degree, sh_stored=stored)
    used = (degree + 1) ** 2
    scene.colors[:, used:] = np.nan
    require_matches(scene, view, backend)


def test_harmonics_are_orthonormal() -> None:
    """The oracle's own constants: over the sphere, the basis functions' products integrate to the identity."""
    z, weight = np.polynomial.legendre.leggauss(8)
    turn = np.arange(16) * np.pi / 8
    ring = np.sqrt(1 - z * z)[:, None]
    points = np.stack(np.broadcast_arrays(ring * np.cos(turn), ring * np.sin(turn), z[:, None]), axis=-1).reshape(-1, 3)
    basis = sh_basis_ref(3, points)
    gram = np.einsum("p,pi,pj->ij", np.repeat(weight, 16) * np.pi / 8, basis, basis)
    np.testing.assert_allclose(gram, np.eye(16), atol=1e-12)


def test_colour_from_harmonics_is_not_negative_but_may_pass_one(backend: Backend) -> None:
    view = front_view(24, 24)
    scene = replace(one(view), colors=np.float32([[[-9, 0, 9]]]), sh_degree=0)
    image, alpha, _ = draw_all(scene, view, backend=backend)
    centre = image[12, 12] / alpha[12, 12]
    np.testing.assert_allclose(centre, [0, 0.5, 0.5 + 9 * np.sqrt(1 / np.pi) / 2], atol=1e-5)


def test_rgb_passes_unchanged(backend: Backend) -> None:
    """No clamp on the way in or out."""
    view = front_view(24, 24)
    image, alpha, _ = draw_all(replace(one(view), colors=np.float32([[-0.5, 0.5, 3.0]])), view, backend=backend)
    np.testing.assert_allclose(image[12, 12] / alpha[12, 12], [-0.5, 0.5, 3.0], atol=1e-5)
