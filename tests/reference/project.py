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
    cov: np.ndarray  # [N,3] xx, xy, yy with the dilation, px^2
    conic: np.ndarray  # [N,3] its inverse
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
    mean, quat, scale, opacity = (
        a.astype(np.float64) for a in (scene.means, scene.quats, scene.scales, scene.opacities)
    )
    fx, fy, cx, cy, near = (np.float64(np.float32(v)) for v in (view.fx, view.fy, view.cx, view.cy, view.near))
    w = view.cam_from_world.astype(np.float64)
    rotation, translation = w[:3, :3], w[:3, 3]
    x, y, z = (mean @ rotation.T + translation).T

    xy = np.stack([fx * x / (z + 1e-7) + cx - 0.5, fy * y / (z + 1e-7) + cy - 0.5], axis=1)
    limit_x, limit_y = 1.3 * view.width / (2 * fx), 1.3 * view.height / (2 * fy)
    jacobian = np.zeros((len(mean), 2, 3))
    jacobian[:, 0, 0], jacobian[:, 1, 1] = fx / z, fy / z
    jacobian[:, 0, 2] = -fx / z * np.clip(x / z, -limit_x, limit_x)
    jacobian[:, 1, 2] = -fy / z * np.clip(y / z, -limit_y, limit_y)
    length = np.linalg.norm(quat, axis=1)
    half = jacobian @ rotation @ rotation_of_quat(quat / length[:, None]) * scale[:, None, :]
    gram = half @ half.transpose(0, 2, 1)
    cov_xx, cov_xy, cov_yy = gram[:, 0, 0] + dilation, gram[:, 0, 1], gram[:, 1, 1] + dilation
    cov = np.stack([cov_xx, cov_xy, cov_yy], axis=1)
    # The sum of squared 2x2 minors: exact where xx yy - xy^2 cancels, even in float64, for needles.
    minors = np.linalg.norm(np.cross(half[:, 0], half[:, 1]), axis=1) ** 2
    det = minors + dilation * (cov_xx + cov_yy - dilation)
    mid = (cov_xx + cov_yy) / 2
    raw_radius = 3 * np.sqrt(mid + np.sqrt(np.maximum(0.1, mid * mid - det)))

    tiles = [-(-view.width // TILE), -(-view.height // TILE)]
    slack_px = ROUNDING * (1 + np.abs(xy)) + 1e-4
    rect = tile_rect(xy, xy, np.ceil(raw_radius), tiles)
    least = np.ceil(raw_radius * (1 - ROUNDING))
    most = np.ceil(raw_radius * (1 + ROUNDING))
    sure = tile_rect(xy + slack_px, xy - slack_px, least, tiles)
    maybe = tile_rect(xy - slack_px, xy + slack_px, most, tiles)

    if scene.sh_degree is None:
        rgb = scene.colors.astype(np.float64)
        finite_color = np.isfinite(rgb).all(1)
    else:
        used = (scene.sh_degree + 1) ** 2
        finite_color = np.isfinite(scene.colors[:, :used]).all((1, 2))
        direction = mean - np.linalg.inv(w)[:3, 3]
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        rgb = sh_color_ref(scene.sh_degree, scene.colors, direction)

    # A quaternion whose squared length leaves float32's normal range has no direction there.
    limits = np.finfo(np.float32)
    finite = finite_color & np.isfinite(opacity) & (limits.tiny <= length**2) & (length**2 <= limits.max)
    for array in (mean, scale, xy, cov):
        finite &= np.isfinite(array).all(1)
    visible = finite & (opacity >= MIN_ALPHA * (1 - 1e-4)) & (z > near)
    near_doubt = np.abs(z - near) < ROUNDING * near
    sure[near_doubt] = 0
    return Projected(
        visible=(visible | (near_doubt & finite)) & not_empty(maybe),
        depth=z,
        xy=xy,
        cov=cov,
        conic=np.stack([cov_yy, -cov_xy, cov_xx], axis=1) / det[:, None],
        radius=np.ceil(raw_radius),
        rect=rect,
        sure=sure,
        maybe=maybe,
        rgb=rgb,
        opacity=np.minimum(opacity, 1),
    )


def tile_rect(low: np.ndarray, high: np.ndarray, radius: np.ndarray, tiles: list[int]) -> np.ndarray:
    """Whole tiles that the square of this radius meets, by the reference's truncations."""
    begin = np.trunc((low - radius[:, None]) / TILE)
    end = np.trunc((high + radius[:, None] + TILE - 1) / TILE)
    rect = np.concatenate([np.clip(begin, 0, tiles), np.clip(end, 0, tiles)], axis=1)
    return np.nan_to_num(rect).astype(np.int64)


def not_empty(rect: np.ndarray) -> np.ndarray:
    return (rect[:, 0] < rect[:, 2]) & (rect[:, 1] < rect[:, 3])
