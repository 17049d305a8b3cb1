"""Static scenes from 3D Gaussian splatting's .ply files, by field name (Kerbl et al. 2023, and its descendants)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from talksplat.errors import AvatarInvalid

from .compressed_ply import decode_compressed, is_compressed
from .gaussians import Gaussians, exp_scale, gaussians, sigmoid
from .ply_file import columns, read_elements
from .scene import static_scene
from .source import Source
from .spec import Array, Manifest

REST_COUNTS = {0: 0, 9: 1, 24: 2, 45: 3}  # f_rest fields -> SH degree


def import_ply(path: Path, name: str) -> tuple[Manifest, dict[str, Array]]:
    """A static scene from a trained .ply, or from SuperSplat's compressed one.

    Raises AvatarNotFound if path cannot be read, AvatarInvalid naming the field that is missing or wrong.
    """
    source = Source()
    elements = read_elements(str(path), source.read(path))
    if is_compressed(elements):
        return static_scene(decode_compressed(str(path), elements), name, source, "compressed.ply")
    return static_scene(read_cloud(str(path), vertex_rows(str(path), elements)), name, source, "ply")


def vertex_rows(where: str, elements: dict[str, Array]) -> Array:
    rows = elements.get("vertex")
    if rows is None or not len(rows):
        raise AvatarInvalid(f"{where}: must have an element 'vertex' with rows; it has {list(elements)}.")
    return rows


def read_cloud(where: str, rows: Array, binding: Array | None = None) -> Gaussians:
    """Activated Gaussians of a trained .ply's rows; the SH degree follows from the f_rest fields that exist."""
    n_rest = sum(name.startswith("f_rest_") for name in rows.dtype.names or ())
    if n_rest not in REST_COUNTS:
        raise AvatarInvalid(f"{where}: must have 0, 9, 24 or 45 f_rest fields (SH degree 0 to 3); got {n_rest}.")
    dc = columns(where, rows, [f"f_dc_{i}" for i in range(3)])
    rest = columns(where, rows, [f"f_rest_{i}" for i in range(n_rest)])
    # The file holds all red coefficients, then green, then blue; memory is coefficient-major.
    rest = rest.reshape(len(rows), 3, n_rest // 3).transpose(0, 2, 1)
    return gaussians(
        where,
        mean=columns(where, rows, ["x", "y", "z"]),
        quat=columns(where, rows, [f"rot_{i}" for i in range(4)]),
        scale=exp_scale(columns(where, rows, [f"scale_{i}" for i in range(3)])),
        opacity=sigmoid(columns(where, rows, ["opacity"])[:, 0]),
        color=np.concatenate([dc[:, None], rest], axis=1),
        binding=binding,
    )
