# SPDX-License-Identifier: Apache-2.0
"""project in float64: world Gaussians to screen ellipses, as the reference rasteriser defines them.

Where a decision (culled or not, radius, which tiles) is within float32's rounding of turning out the other way, both
outcomes are kept: `sure` is what every right implementation covers, `maybe` what some may.
"""

from dataclasses import dataclass

import numpy as np

from reference.pose import rotation_of_quat
from reference.scenes import Scene, View
from reference.sh import sh_color_ref

TILE = 16
MIN_ALPHA = 1 / 255
ROUNDING = 2e-5  # relative, of a float32 result that took some twenty operations


@dataclass(frozen=True)
class Projected:
    """Rows are the scene's. The centre of pixel (i, j) is at (i, j)."""

    visible: np.ndarray  # [N] bool
    depth: np.ndarray  # [N] camera z
    xy: np.ndarray  # [N,2] px
    conic: np.ndarray  # [N,3] xx, xy, yy of the inverse covariance, which includes the dilation
    radius: np.ndarray  # [N] px, whole
    rect: np.ndarray  # [N,4] tiles x0, y0, x1, y1, end exclusive
    sure: np.ndarray  # [N,4] the least rect that rounding allows
    maybe: np.ndarray  # [N,4] the largest
    rgb: np.ndarray  # [N,3]
    opacity: np.ndarray  # [N]


def project_ref(scene: Scene, view: View, dilation: float = 0.3) -> Projected:
    with np.errstate(all="ignore"):  # hidden rows may hold anything
        return _project(scene, view, np.float64(np.float32(dilation)))


def _project(scene: Scene, view: View, dilation: np.float64) -> Projected:
    cam_from_world = view.cam_from_world.astype(np.float64)
    mean_c = scene.means.astype(np.float64) @ cam_from_world[:3, :3].T + cam_from_world[:3, 3]
    x, y, z = mean_c.T
    fx, fy, cx, cy, near = (np.float64(np.float32(v)) for v in (view.fx, view.fy, view.cx, view.cy, view.near))
    xy = np.stack([fx * x / (z + 1e-7) + cx - 0.5, fy * y / (z + 1e-7) + cy - 0.5], axis=1)

    half = half_covariance(scene, mean_c, cam_from_world[:3, :3], view)
    gram = half @ half.transpose(0, 2, 1)
    xx, xy_, yy = gram[:, 0, 0] + dilation, gram[:, 0, 1], gram[:, 1, 1] + dilation
    # The sum of squared 2x2 minors: exact where xx yy - xy^2 cancels, even in float64, for needles.
    minors = np.linalg.norm(np.cross(half[:, 0], half[:, 1]), axis=1) ** 2
    det = minors + dilation * (xx + yy - dilation)
    mid = (xx + yy) / 2
    three_sigma = 3 * np.sqrt(mid + np.sqrt(np.maximum(0.1, mid * mid - det)))

    tiles = [-(-view.width // TILE), -(-view.height // TILE)]
    slack = ROUNDING * (1 + np.abs(xy)) + 1e-4
    sure = tile_rect(xy + slack, xy - slack, np.ceil(three_sigma * (1 - ROUNDING)), tiles)
    maybe = tile_rect(xy - slack, xy + slack, np.ceil(three_sigma * (1 + ROUNDING)), tiles)
    at_near_plane = np.abs(z - near) < ROUNDING * near
    sure[at_near_plane] = 0

    rgb, finite = colors(scene, cam_from_world)
    finite &= has_direction(scene.quats) & (scene.opacities >= MIN_ALPHA * (1 - 1e-4)) & np.isfinite(scene.opacities)
    finite &= np.isfinite(np.column_stack([scene.means, scene.scales, xy, xx, xy_, yy])).all(1)
    return Projected(
        visible=finite & ((z > near) | at_near_plane) & not_empty(maybe),
        depth=z,
        xy=xy,
        conic=np.stack([yy, -xy_, xx], axis=1) / det[:, None],
        radius=np.ceil(three_sigma),
        rect=tile_rect(xy, xy, np.ceil(three_sigma), tiles),
        sure=sure,
        maybe=maybe,
        rgb=rgb,
        opacity=np.minimum(scene.opacities.astype(np.float64), 1),
    )


def half_covariance(scene: Scene, mean_c: np.ndarray, rotation: np.ndarray, view: View) -> np.ndarray:
    """[N,2,3]: times its transpose, the covariance on the screen before dilation."""
    x, y, z = mean_c.T
    fx, fy = np.float64(np.float32(view.fx)), np.float64(np.float32(view.fy))
    limit_x, limit_y = 1.3 * view.width / (2 * fx), 1.3 * view.height / (2 * fy)
    jacobian = np.zeros((len(mean_c), 2, 3))
    jacobian[:, 0, 0], jacobian[:, 1, 1] = fx / z, fy / z
    jacobian[:, 0, 2] = -fx / z * np.clip(x / z, -limit_x, limit_x)
    jacobian[:, 1, 2] = -fy / z * np.clip(y / z, -limit_y, limit_y)
    quat = scene.quats.astype(np.float64)
    axes = rotation_of_quat(quat / np.linalg.norm(quat, axis=1, keepdims=True)) * scene.scales[:, None, :]
    return jacobian @ rotation @ axes


def has_direction(quats: np.ndarray) -> np.ndarray:
    """[N] bool: the squared length is a normal float32. Also false for what is not finite."""
    squared = (quats.astype(np.float64) ** 2).sum(1)
    return (np.finfo(np.float32).tiny <= squared) & (squared <= np.finfo(np.float32).max)


def colors(scene: Scene, cam_from_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """rgb [N,3], and [N] bool: whether all that it is made of is finite."""
    if scene.sh_degree is None:
        return scene.colors.astype(np.float64), np.isfinite(scene.colors).all(1)
    used = scene.colors[:, : (scene.sh_degree + 1) ** 2]
    direction = scene.means - np.linalg.inv(cam_from_world)[:3, 3]
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return sh_color_ref(scene.sh_degree, used, direction), np.isfinite(used).all((1, 2))


def tile_rect(low: np.ndarray, high: np.ndarray, radius: np.ndarray, tiles: list[int]) -> np.ndarray:
    """Whole tiles that the square of this radius meets, by the reference's truncations."""
    begin = np.trunc((low - radius[:, None]) / TILE)
    end = np.trunc((high + radius[:, None] + TILE - 1) / TILE)
    rect = np.concatenate([np.clip(begin, 0, tiles), np.clip(end, 0, tiles)], axis=1)
    return np.nan_to_num(rect).astype(np.int64)


def not_empty(rect: np.ndarray) -> np.ndarray:
    return (rect[:, 0] < rect[:, 2]) & (rect[:, 1] < rect[:, 3])
