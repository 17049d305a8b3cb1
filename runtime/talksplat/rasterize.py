# SPDX-License-Identifier: Apache-2.0
"""Gaussians to an image, without an avatar."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._arrays import FloatArray, as_count, as_floats, as_number, require_shape, shape_text
from ._images import FORMATS, background_array, image_array
from .camera import camera_from_matrices
from .engine import Engine, precision_of, shared_engine

MAX_COEFFICIENTS = _core.MAX_SH_COEFFICIENTS
_DTYPES = {"float32": FORMATS["rgb_f32"], "uint8": FORMATS["rgba8"]}


def rasterize(
    means: Any,
    quats: Any,
    scales: Any,
    opacities: Any,
    colors: Any,
    viewmat: Any,
    K: Any,
    width: int,
    height: int,
    *,
    sh_degree: int | None = None,
    background: Any = None,
    near: float = 0.2,
    dilation: float = 0.3,
    threads: int | None = None,
    engine: Engine | None = None,
    precision: str | None = None,
    dtype: Any = "float32",
    out: NDArray[Any] | None = None,
    return_alpha: bool = False,
    return_depth: bool = False,
) -> Any:
    """Draw N Gaussians. Arguments have gsplat's order and meaning; all are activated (no logits, no logs).

    means: [N,3] world positions.  quats: [N,4] wxyz, normalised inside.  scales: [N,3] standard deviations.
    opacities: [N] in 0..1.
    colors: [N,3] RGB, or with sh_degree 0..3 [N,K,3] SH coefficients, (sh_degree+1)² <= K <= 16.
    viewmat: [4,4] world to camera, OpenCV axes.  K: [3,3] in pixels, pixel centres at +0.5, no skew.
    background: None, one colour [3], or a picture [height,width,3]; RGB in 0..1, or uint8.
    near: Gaussians at camera depth <= near are not drawn.  dilation: px² added to the 2-D covariance's diagonal.
    threads: None and 0 for one per CPU; the picture does not depend on it.  engine: draws, with its device and threads;
    None: one with device="auto" that is shared by all calls with as many `threads`.
    precision: "reference" (within 2e-5 of float64), "fast" (within 1.5/255), or "default" (also None): on the CPU
    reference, on a GPU fast.
    dtype: "float32" for RGB [height,width,3], not clamped; "uint8" for RGBA [height,width,4], whose alpha is 255 over
    a background and straight coverage without one.
    out: array of that shape and dtype to draw into, else a new one; its rows may be apart.

    Returns the image, or (image, alpha [height,width] if asked for, depth [height,width] if asked for); depth is
    the alpha-weighted sum of camera depths. Gaussians that are not finite are skipped. Raises ValueError for
    arguments. May be called from several threads; calls on one engine take turns.
    """
    mean = as_floats("rasterize: means", means)
    if mean.ndim != 2 or mean.shape[1] != 3:
        raise ValueError(f"rasterize: means must be [N,3]; got {shape_text(mean.shape)}.")
    n = mean.shape[0]
    quat = _rows("quats", quats, n, (4,), "wxyz quaternions, not matrices.")
    scale = _rows("scales", scales, n, (3,), "One standard deviation per axis.")
    opacity = _rows("opacities", opacities, n, (), "Drop a trailing axis with opacities[:, 0].")
    color, degree = _colors(colors, n, sh_degree)
    w = as_count("rasterize: width", width, 1)
    h = as_count("rasterize: height", height, 1)
    try:
        form = _DTYPES[np.dtype(dtype).name]
    except (KeyError, TypeError):
        raise ValueError(f'rasterize: dtype must be "float32" or "uint8"; got {dtype!r}.') from None
    camera = camera_from_matrices("rasterize", viewmat, K, near)
    behind = background_array("rasterize", background, w, h)
    image = image_array("rasterize", form, w, h, out)
    alpha = np.empty((h, w), np.float32) if return_alpha else None
    depth = np.empty((h, w), np.float32) if return_depth else None
    _core.rasterize(
        _engine_of(engine, threads)._core,
        mean,
        quat,
        scale,
        opacity,
        color,
        degree,
        camera.core(),
        behind,
        as_number("rasterize: dilation", dilation, positive=True),
        precision_of("rasterize", precision),
        form.core,
        w,
        h,
        image,
        alpha,
        depth,
    )
    extra = tuple(array for array in (alpha, depth) if array is not None)
    return (image, *extra) if extra else image


def _engine_of(engine: Any, threads: Any) -> Engine:
    if engine is None:
        return shared_engine("rasterize", 0 if threads is None else threads)
    if not isinstance(engine, Engine):
        raise ValueError(f"rasterize: engine must be a talksplat.Engine or None; got {type(engine).__name__}.")
    if threads is not None:
        raise ValueError(f"rasterize: threads are the engine's where one is given; got {threads!r}. Leave it out.")
    return engine


def _rows(name: str, value: Any, n: int, tail: tuple[int, ...], way_out: str) -> FloatArray:
    array = as_floats(f"rasterize: {name}", value)
    require_shape(f"rasterize: {name}", array, (n, *tail), f"N={n} from means", way_out)
    return array


def _colors(colors: Any, n: int, sh_degree: Any) -> tuple[FloatArray, int]:
    """Colours and the core's degree, -1 for RGB."""
    color = as_floats("rasterize: colors", colors)
    if getattr(colors, "dtype", None) == np.uint8:
        raise ValueError("rasterize: colors must be floats, RGB in 0..1; got uint8. Divide them by 255.")
    if sh_degree is None:
        require_shape("rasterize: colors", color, (n, 3), f"N={n} from means", "For SH coefficients pass sh_degree.")
        return color, -1
    degree = as_count("rasterize: sh_degree", sh_degree, 0)
    if degree > 3:
        raise ValueError(f"rasterize: sh_degree must be 0, 1, 2, 3 or None; got {degree}.")
    least = (degree + 1) ** 2
    if color.ndim != 3 or color.shape != (n, color.shape[1], 3) or not least <= color.shape[1] <= MAX_COEFFICIENTS:
        raise ValueError(
            f"rasterize: colors must be [N,K,3] SH coefficients with N={n} (from means) and K={least}.."
            f"{MAX_COEFFICIENTS} (from sh_degree={degree}); got {shape_text(color.shape)}. "
            "For RGB [N,3] leave sh_degree out."
        )
    return color, degree
