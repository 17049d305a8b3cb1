# SPDX-License-Identifier: Apache-2.0
"""Gaussians and cameras for the raster tests. Arrays are float32, as the native code gets them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Rng = np.random.Generator


@dataclass(frozen=True)
class Scene:
    """means [N,3], quats [N,4] wxyz, scales [N,3], opacities [N], colors [N,3] RGB or [N,K,3] SH."""

    means: np.ndarray
    quats: np.ndarray
    scales: np.ndarray
    opacities: np.ndarray
    colors: np.ndarray
    sh_degree: int | None = None

    def __len__(self) -> int:
        return len(self.means)

    def take(self, rows: Any) -> "Scene":
        return Scene(
            self.means[rows],
            self.quats[rows],
            self.scales[rows],
            self.opacities[rows],
            self.colors[rows],
            self.sh_degree,
        )

    def with_values(self, array: str, rows: Any, value: Any) -> "Scene":
        """A copy in which those rows of one array are value."""
        changed = getattr(self, array).copy()
        changed[rows] = value
        return replace(self, **{array: changed})


@dataclass(frozen=True)
class View:
    """A pinhole camera and its canvas: cam_from_world [4,4], the rest in pixels; cx = width / 2 is the middle."""

    cam_from_world: np.ndarray
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    near: float = 0.2

    @property
    def K(self) -> np.ndarray:
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float32)


def front_view(width: int, height: int, focal: float = 60.0) -> View:
    """From the origin along +z."""
    return View(np.eye(4, dtype=np.float32), focal, focal, width / 2, height / 2, width, height)


def turned_view(rng: Rng, width: int, height: int, focal: float = 60.0) -> View:
    """Anywhere, turned anyhow, with pixels that are not square and a principal point that is not the middle."""
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = random_rotation(rng)
    cam_from_world[:3, 3] = rng.normal(size=3)
    shift = rng.uniform(-0.2, 0.2, 2)
    return View(
        cam_from_world.astype(np.float32),
        np.float32(focal),
        np.float32(focal * rng.uniform(0.7, 1.4)),
        np.float32(width * (0.5 + shift[0])),
        np.float32(height * (0.5 + shift[1])),
        width,
        height,
    )


def random_rotation(rng: Rng) -> np.ndarray:
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * np.linalg.det(q)


def random_scene(
    rng: Rng,
    n: int,
    view: View,
    *,
    size_px: tuple[float, float] = (0.3, 6.0),
    stretch: float = 3.0,
    opacity: tuple[float, float] = (0.02, 1.0),
    sh_degree: int | None = None,
    sh_stored: int = 0,
    behind: float = 0.1,
    depth: tuple[float, float] = (1.5, 4.0),
) -> Scene:
    """Spread over the canvas and a little beyond; a share of `behind` is at or behind the camera.

    size_px: standard deviations on the screen; axes differ by a factor of up to `stretch` either way.
    Depths differ by at least a thousandth of their range (n <= 500; less above), so that float32 sorts as float64 does.
    """
    z = depth[0] + (depth[1] - depth[0]) * (rng.permutation(n) + rng.uniform(0.25, 0.75, n)) / max(n, 1)
    hidden = rng.uniform(size=n) < behind
    z[hidden] = rng.uniform(-1, view.near - 0.01, np.count_nonzero(hidden))
    x_px = rng.uniform(-0.15, 1.15, n) * view.width
    y_px = rng.uniform(-0.15, 1.15, n) * view.height
    mean_c = np.stack([(x_px - view.cx) / view.fx * z, (y_px - view.cy) / view.fy * z, z], axis=1)
    sigma_px = np.exp(rng.uniform(*np.log(size_px), n)) if n else np.zeros(0)
    scale = (sigma_px * np.abs(z) / view.fx)[:, None] * np.exp(rng.uniform(-1, 1, (n, 3)) * np.log(stretch))
    if sh_degree is None:
        colors = rng.uniform(0, 1, (n, 3))
    else:
        stored = max(sh_stored, (sh_degree + 1) ** 2)
        colors = rng.normal(size=(n, stored, 3)) * np.where(np.arange(stored) == 0, 0.8, 0.25)[:, None]
    return Scene(
        to_world(view, mean_c),
        (rng.normal(size=(n, 4)) * rng.uniform(0.2, 5, (n, 1))).astype(np.float32),
        scale.astype(np.float32),
        rng.uniform(*opacity, n).astype(np.float32),
        colors.astype(np.float32),
        sh_degree,
    )


def to_world(view: View, mean_c: np.ndarray) -> np.ndarray:
    rotation, translation = np.split(view.cam_from_world[:3].astype(np.float64), [3], axis=1)
    return ((mean_c - translation[:, 0]) @ np.linalg.inv(rotation).T).astype(np.float32)


def flat_scene(view: View, x_px: Any, y_px: Any, z: Any, sigma_px: Any, opacity: Any, color: Any) -> Scene:
    """Round Gaussians at given places on the screen of a front view; arguments broadcast, color is [...,3].

    Places count from the canvas corner, so pixel (i, j) has its centre at (i + 0.5, j + 0.5).
    """
    x_px, y_px, z, sigma_px, opacity = (
        np.atleast_1d(a).astype(np.float64) for a in np.broadcast_arrays(x_px, y_px, z, sigma_px, opacity)
    )
    n = len(z)
    means = np.stack([(x_px - view.cx) / view.fx * z, (y_px - view.cy) / view.fy * z, z], axis=1)
    return Scene(
        means.astype(np.float32),
        np.tile(np.float32([1, 0, 0, 0]), (n, 1)),
        np.tile((sigma_px * z / view.fx)[:, None], (1, 3)).astype(np.float32),
        opacity.astype(np.float32),
        np.broadcast_to(np.asarray(color, np.float32), (n, 3)).copy(),
    )


def every_pixel(view: View) -> np.ndarray:
    """[height*width,2] of (column, row), row by row."""
    rows, columns = np.mgrid[: view.height, : view.width]
    return np.stack([columns.ravel(), rows.ravel()], axis=1)
