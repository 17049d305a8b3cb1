# SPDX-License-Identifier: Apache-2.0
""".splat files (antimatter15's layout): 32 bytes per Gaussian, no header, no view dependence."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from talksplat.errors import AvatarInvalid

from .gaussians import gaussians
from .packed import read_scene
from .scene import static_scene
from .source import Source
from .spec import Array, Manifest

ROW = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])


def import_splat(path: Path, name: str) -> tuple[Manifest, dict[str, Array]]:
    """A static scene. Raises AvatarNotFound if path cannot be read, AvatarInvalid if it has not one whole row."""
    source = Source()
    data = read_scene(source, path, "splat")
    n, extra = divmod(len(data), ROW.itemsize)
    if not n:
        raise AvatarInvalid(f"{path}: must hold rows of {ROW.itemsize} bytes; got {len(data)} bytes.")
    if extra:
        source.notes.append(f"{extra} bytes after its last whole row were not read.")
    rows = np.frombuffer(data, ROW, n)
    cloud = gaussians(
        str(path),
        mean=rows["mean"],
        quat=(rows["quat"].astype(np.float64) - 128) / 128,
        scale=np.abs(rows["scale"]),
        opacity=rows["rgba"][:, 3] / 255.0,
        color=rows["rgba"][:, :3] / 255.0,
    )
    return static_scene(cloud, name, source, "splat")
