"""Avatars that do not move: a cloud of Gaussians and a camera that shows it."""

from __future__ import annotations

import math

import numpy as np

from .camera import DEFAULT_CANVAS, frame_box, robust_bounds
from .gaussians import Gaussians, morton_sorted
from .source import Source
from .spec import Array, Manifest, manifest

FPS = 30.0
FOV_RAD = math.radians(50)
# Trained scenes keep COLMAP's axes: y points down, and the first cameras look along +z.
FORWARD, UP = np.array([0.0, 0.0, 1.0]), np.array([0.0, -1.0, 0.0])


def static_scene(
    cloud: Gaussians, name: str, source: Source, source_format: str, y_up: bool = False
) -> tuple[Manifest, dict[str, Array]]:
    """A static avatar of cloud, seen along +z with y down; for y_up sources along -z with y up.

    The camera frames the box of the middle 98% of the Gaussians on every axis: stray ones do not shrink the view.
    """
    sign = -1.0 if y_up else 1.0
    low, high = robust_bounds(cloud.mean)
    out = manifest(
        name=name,
        method="static",
        fps=FPS,
        canvas=DEFAULT_CANVAS,
        camera=frame_box(low, high, sign * FORWARD, sign * UP, DEFAULT_CANVAS, FOV_RAD, 0.9),
        background=(0.0, 0.0, 0.0),
        color=cloud.color_kind,
        source_count=int(cloud.source_count),
        inputs=[{"name": "translation", "size": 3, "target": "translation"}],
        provenance=source.provenance(source_format),
    )
    return out, morton_sorted(cloud, cloud.mean).tensors()
