# SPDX-License-Identifier: Apache-2.0
"""Pinhole cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import _core
from ._arrays import FloatArray, as_floats, as_number, require_finite, require_shape

REFERENCE_NEAR = 0.2  # of the rasteriser that avatars were trained with


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in OpenCV axes (x right, y down, z forward).

    cam_from_world: [4,4] float32, last row 0 0 0 1.
    fx, fy, cx, cy: pixels; pixel centres are at +0.5, so cx = width / 2 is the middle.
    near: Gaussians at camera depth <= near are not drawn.
    """

    cam_from_world: FloatArray
    fx: float
    fy: float
    cx: float
    cy: float
    near: float = REFERENCE_NEAR

    def __post_init__(self) -> None:
        object.__setattr__(self, "cam_from_world", _view_matrix("Camera: cam_from_world", self.cam_from_world))
        for name in ("fx", "fy", "cx", "cy"):
            object.__setattr__(self, name, as_number(f"Camera: {name}", getattr(self, name)))
        object.__setattr__(self, "near", as_number("Camera: near", self.near, positive=True))
        if self.fx <= 0 or self.fy <= 0:
            raise ValueError(f"Camera: focal lengths must be positive pixels; got fx={self.fx}, fy={self.fy}.")

    @staticmethod
    def from_matrices(viewmat: Any, K: Any, near: float = REFERENCE_NEAR) -> Camera:
        """From viewmat [4,4] (world to camera) and K [3,3] = [[fx,0,cx],[0,fy,cy],[0,0,1]]; no skew."""
        return camera_from_matrices("Camera.from_matrices", viewmat, K, near)

    def core(self) -> _core.Camera:
        return _core.Camera(self.cam_from_world, self.fx, self.fy, self.cx, self.cy, self.near)


def camera_from_matrices(who: str, viewmat: Any, K: Any, near: Any) -> Camera:
    view = _view_matrix(f"{who}: viewmat", viewmat)
    k = as_floats(f"{who}: K", K)
    require_shape(f"{who}: K", k, (3, 3))
    require_finite(f"{who}: K", k)
    if k[0, 1] != 0 or k[1, 0] != 0 or k[2].tolist() != [0, 0, 1]:
        raise ValueError(
            f"{who}: K must be [[fx,0,cx],[0,fy,cy],[0,0,1]]; got {k.tolist()}. "
            "A camera with skew is not supported: undistort the picture first."
        )
    if k[0, 0] <= 0 or k[1, 1] <= 0:
        raise ValueError(f"{who}: K must have positive focal lengths in pixels; got fx={k[0, 0]}, fy={k[1, 1]}.")
    return Camera(
        view,
        float(k[0, 0]),
        float(k[1, 1]),
        float(k[0, 2]),
        float(k[1, 2]),
        as_number(f"{who}: near", near, positive=True),
    )


def _view_matrix(who: str, value: Any) -> FloatArray:
    matrix = as_floats(who, value)
    require_shape(who, matrix, (4, 4), "world to camera, row-major", "Add the row 0 0 0 1 to a 3x4 matrix.")
    require_finite(who, matrix)
    if matrix[3].tolist() != [0, 0, 0, 1]:
        raise ValueError(
            f"{who} must end in the row 0 0 0 1; got {matrix[3].tolist()}. "
            "Is it transposed, as in the reference rasteriser? Pass its .T."
        )
    return matrix
