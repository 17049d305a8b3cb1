# SPDX-License-Identifier: Apache-2.0
"""Draws the scenes of the raster tests with the native code."""

from typing import Any

import numpy as np

import talksplat
from backends import Backend, engine_of
from reference.rasterize import Rasterized, rasterize_ref
from reference.scenes import Scene, View
from talksplat import _core
from tolerances import require_close


def draw(scene: Scene, view: View, *, backend: Backend | None = None, **options: Any) -> Any:
    """talksplat.rasterize on one thread and in the backend's precision unless told otherwise."""
    engine = engine_of(backend, options.pop("threads", 1))
    options.setdefault("precision", None if backend is None else backend.precision)
    return talksplat.rasterize(
        scene.means,
        scene.quats,
        scene.scales,
        scene.opacities,
        scene.colors,
        view.cam_from_world,
        view.K,
        view.width,
        view.height,
        **{"sh_degree": scene.sh_degree, "near": view.near, "engine": engine} | options,
    )


def draw_all(scene: Scene, view: View, **options: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """image, alpha, depth."""
    return draw(scene, view, return_alpha=True, return_depth=True, **options)


def draw_core(
    engine: talksplat.Engine, scene: Scene, view: View, format: _core.Format, background: np.ndarray | None = None
) -> np.ndarray:
    """One frame of a given engine in any format."""
    shapes = {
        _core.Format.RGB_F32: (view.height, view.width, 3),
        _core.Format.RGBA8: (view.height, view.width, 4),
        _core.Format.RGB8: (view.height, view.width, 3),
        _core.Format.NV12: (view.height * 3 // 2, view.width),
    }
    image = np.empty(shapes[format], np.float32 if format == _core.Format.RGB_F32 else np.uint8)
    _core.rasterize(
        engine._core,
        scene.means,
        scene.quats,
        scene.scales,
        scene.opacities,
        scene.colors,
        -1 if scene.sh_degree is None else scene.sh_degree,
        _core.Camera(view.cam_from_world, view.fx, view.fy, view.cx, view.cy, view.near),
        background,
        0.3,
        _core.Precision.REFERENCE,
        format,
        view.width,
        view.height,
        image,
        None,
        None,
    )
    return image


def require_matches(
    scene: Scene,
    view: View,
    backend: Backend | None,
    background: Any = None,
    *,
    what: str = "rasterize",
    **options: Any,
) -> np.ndarray:
    """image, alpha and depth equal the oracle's: tightly, and within one splat's worth where rounding may decide."""
    want = rasterize_ref(scene, view, dilation=options.get("dilation", 0.3))
    image, alpha, depth = draw_all(scene, view, backend=backend, background=background, **options)
    if background is not None:
        background = np.asarray(background, np.float32).reshape(-1, 3)
    require_same(image, alpha, depth, want, background, what)
    return image


def require_same(
    image: np.ndarray, alpha: np.ndarray, depth: np.ndarray, want: Rasterized, background: Any, what: str
) -> None:
    sure = ~want.ambiguous
    assert want.ambiguous.sum() <= max(4, 0.02 * len(sure)), "a scene of doubtful pixels tests nothing"
    for name, got, ref in (
        ("image", image.reshape(-1, 3), want.over(background)),
        ("alpha", alpha.reshape(-1), want.alpha),
        ("depth", depth.reshape(-1), want.depth),
    ):
        times = max(1.0, float(np.max(ref, initial=0.0)))
        require_close(what, "float32", got, ref, name=name, where=sure, times=times)
        require_close("rasterize ambiguous", "float32", got, ref, name=name, where=~sure, times=times)
