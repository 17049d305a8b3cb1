# SPDX-License-Identifier: Apache-2.0
"""Real spherical harmonics in float64, with the constants derived instead of listed."""

import numpy as np

PI = np.pi


def sh_basis_ref(degree: int, direction: np.ndarray) -> np.ndarray:
    """[N,3] unit vectors -> [N,(degree+1)^2] in the order and with the signs of 3D Gaussian Splatting: within a band
    from m = -l to l, odd m negative (the Condon-Shortley phase)."""
    x, y, z = np.asarray(direction, np.float64).T
    bands = [
        [np.full_like(x, np.sqrt(1 / PI) / 2)],
        [np.sqrt(3 / (4 * PI)) * v for v in (-y, z, -x)],
        [
            np.sqrt(15 / (4 * PI)) * x * y,
            -np.sqrt(15 / (4 * PI)) * y * z,
            np.sqrt(5 / (16 * PI)) * (2 * z * z - x * x - y * y),
            -np.sqrt(15 / (4 * PI)) * x * z,
            np.sqrt(15 / (16 * PI)) * (x * x - y * y),
        ],
        [
            -np.sqrt(35 / (32 * PI)) * y * (3 * x * x - y * y),
            np.sqrt(105 / (4 * PI)) * x * y * z,
            -np.sqrt(21 / (32 * PI)) * y * (4 * z * z - x * x - y * y),
            np.sqrt(7 / (16 * PI)) * z * (2 * z * z - 3 * x * x - 3 * y * y),
            -np.sqrt(21 / (32 * PI)) * x * (4 * z * z - x * x - y * y),
            np.sqrt(105 / (16 * PI)) * z * (x * x - y * y),
            -np.sqrt(35 / (32 * PI)) * x * (x * x - 3 * y * y),
        ],
    ]
    return np.stack([value for band in bands[: degree + 1] for value in band], axis=-1)


def sh_color_ref(degree: int, coefficients: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """coefficients [N,K,3], K >= (degree+1)^2 -> RGB [N,3], from 0 up."""
    basis = sh_basis_ref(degree, direction)
    used = np.asarray(coefficients, np.float64)[:, : basis.shape[1]]
    return np.maximum(0, np.einsum("nk,nkc->nc", basis, used) + 0.5)
