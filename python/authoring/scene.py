# SPDX-License-Identifier: Apache-2.0
"""Avatars that do not move: a cloud of Gaussians and a camera that shows it."""

from __future__ import annotations

import numpy as np

from talksplat.errors import AvatarInvalid
from talksplat.framing import Vector, scene_lens, turned_lens

from .camera import DEFAULT_CANVAS, of_lens
from .gaussians import Gaussians, morton_sorted
from .source import Source
from .spec import Array, Manifest, manifest

FPS = 30.0
MAX_EXTENT = 1e12  # beyond it float32 has no place for a camera beside the scene


def static_scene(
    cloud: Gaussians,
    name: str,
    source: Source,
    source_format: str,
    up: Vector | None = None,
    front: Vector | None = None,
) -> tuple[Manifest, dict[str, Array]]:
    """A static avatar of cloud, seen from its front and upright.

    up, front: where its top is and where it is seen from, as far as the file or its format says; else -y, as in
    trained scenes, and the front that goes with it.
    """
    if up is None:
        up = np.array([0.0, -1.0, 0.0])
    extent = float(np.abs(cloud.mean).max())
    if not extent < MAX_EXTENT:
        raise AvatarInvalid(
            f"{name}: its Gaussians lie up to {extent:.3g} from the origin; at most {MAX_EXTENT:g} is drawn. Is the "
            "file damaged, or of another kind?"
        )
    lens = scene_lens(cloud.mean, up, front, DEFAULT_CANVAS["width"], DEFAULT_CANVAS["height"])
    out = manifest(
        name=name,
        method="static",
        fps=FPS,
        canvas=DEFAULT_CANVAS,
        camera=of_lens(lens),
        background=(0.0, 0.0, 0.0),
        color=cloud.color_kind,
        source_count=int(cloud.source_count),
        inputs=[{"name": "translation", "size": 3, "target": "translation"}],
        provenance=source.provenance(source_format),
    )
    return out, morton_sorted(cloud, cloud.mean).tensors()


def turn(manifest: Manifest, tensors: dict[str, Array], up: object, front: object) -> None:
    """Sets the manifest's camera to what the user says of the scene's axes. Raises ValueError."""
    canvas, own = manifest["canvas"], manifest["camera"]["cam_from_world"]
    lens = turned_lens(tensors["gaussians/mean"], up, front, own, canvas["width"], canvas["height"])
    manifest["camera"] = of_lens(lens)
