# SPDX-License-Identifier: Apache-2.0
"""Static scenes from 3D Gaussian splatting's .ply files, by field name (Kerbl et al. 2023, and its descendants)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from talksplat.errors import AvatarInvalid
from talksplat.framing import Vector, direction

from .compressed_ply import decode_compressed, is_compressed
from .gaussians import Gaussians, exp_scale, gaussians, sigmoid
from .packed import read_scene
from .ply_file import columns, read_ply
from .scene import static_scene
from .source import Source
from .spec import Array, Manifest

REST_COUNTS = {3 * ((degree + 1) ** 2 - 1): degree for degree in range(11)}  # f_rest fields → SH degree
MAX_DEGREE = 3  # of what is drawn
FLAT = 1e-6  # the third standard deviation of 2D Gaussian splatting's discs
_FULL_SCALE = {"u1": 255.0, "u2": 65535.0}
_UP = re.compile(r"(?:vertical|up)[ _-]?axis\s*[:=]?\s*(.+)", re.I)


def import_ply(path: Path, name: str) -> tuple[Manifest, dict[str, Array]]:
    """A static scene from a trained .ply, or from SuperSplat's compressed one.

    A comment of the file that names its vertical axis is heeded; without one y points down.
    Raises AvatarNotFound if path cannot be read, AvatarInvalid naming the field that is missing or wrong.
    """
    source = Source()
    where = str(path)
    ply = read_ply(where, read_scene(source, path, "ply"))
    source.notes += ply.notes
    up = stated_up(ply.comments, source.notes)
    if is_compressed(ply.elements):
        cloud = decode_compressed(where, ply.elements)
        return static_scene(cloud, name, source, "compressed.ply", up=up)
    rows = without_prefix(vertex_rows(where, ply.elements))
    if "binding_0" in (rows.dtype.names or ()):
        raise AvatarInvalid(
            f"{where}: is the cloud of a GaussianAvatars head, whose Gaussians are tied to FLAME's triangles "
            "(binding_0). Convert its folder, with flame_param.npz in it: --from gaussian-avatars --flame FLAME.pkl"
        )
    return static_scene(read_cloud(where, rows, notes=source.notes), name, source, "ply", up=up)


def vertex_rows(where: str, elements: dict[str, Array]) -> Array:
    rows = elements.get("vertex")
    if rows is None or not len(rows):
        raise AvatarInvalid(f"{where}: must have an element 'vertex' with rows; it has {list(elements)[:20]}.")
    return rows


def without_prefix(rows: Array) -> Array:
    """The rows with plain names where an exporter put one word before all of them, as in gs_x and gs_opacity."""
    names = rows.dtype.names or ()
    before = next((name[: -len("opacity")] for name in names if name.lower().endswith("opacity")), "")
    if not before or "x" in names or f"{before}x" not in names:
        return rows
    plain: Array = rows.view()
    plain.dtype.names = tuple(name[len(before) :] if name.startswith(before) else name for name in names)
    return plain


def stated_up(comments: list[str], notes: list[str]) -> Vector | None:
    """What the comments say is up. A letter is that axis for nerfstudio, and the one opposite for Brush."""
    for comment in comments:
        found = _UP.search(comment)
        if found is None:
            continue
        try:
            up = direction("up", found[1])
        except ValueError:
            notes.append(f"Its comment {comment[:80]!r} names no axis that is known; y is taken to point down.")
            return None
        letter = len(found[1].strip()) <= 2
        if letter and any("brush" in other.lower() for other in comments):
            up = -up
        axis = ", ".join(f"{value:g}" for value in up + 0.0)
        notes.append(f"Up is ({axis}), by its comment {comment[:80]!r}.")
        return up
    return None


def read_cloud(where: str, rows: Array, binding: Array | None = None, notes: list[str] | None = None) -> Gaussians:
    """Activated Gaussians of a trained .ply's rows; the SH degree follows from the f_rest fields that exist.

    notes: takes what was made of fields that are not everybody's.
    """
    notes = [] if notes is None else notes
    has = frozenset(rows.dtype.names or ())
    if "scale_0" not in has and "opacity" not in has and {"x", "y", "z"} <= has:
        raise AvatarInvalid(
            f"{where}: is a cloud of points, without the scales, rotations and opacities of Gaussians: what training "
            "begins with, or a scan. Convert the .ply that the training wrote."
        )
    opacity = sigmoid(columns(where, rows, ["opacity"])[:, 0])
    scale = _scale(where, rows, has, notes)
    if "filter_3D" in has:
        scale, opacity = _filtered(scale, opacity, columns(where, rows, ["filter_3D"]))
        notes.append("Mip-Splatting's 3D filter (filter_3D) is in its scales and opacities now.")
    return gaussians(
        where,
        mean=columns(where, rows, ["x", "y", "z"]),
        quat=columns(where, rows, [f"rot_{i}" for i in range(4)]),
        scale=scale,
        opacity=opacity,
        color=color_columns(where, rows, has, notes),
        binding=binding,
    )


def _scale(where: str, rows: Array, has: frozenset[str], notes: list[str]) -> Array:
    count = sum(f"scale_{i}" in has for i in range(3))
    if "scale_0" in has and "scale_2" not in has:
        scale = exp_scale(columns(where, rows, [f"scale_{i}" for i in range(count)]))
        if count == 2:
            notes.append(f"Its Gaussians are discs (two scales, as in 2DGS); the third scale is {FLAT:g}.")
            return np.concatenate([scale, np.full((len(rows), 1), FLAT)], axis=1)
        notes.append("Its Gaussians are spheres: one scale serves for all three.")
        return np.repeat(scale, 3, axis=1)
    return exp_scale(columns(where, rows, [f"scale_{i}" for i in range(3)]))


def _filtered(scale: Array, opacity: Array, filter_3d: Array) -> tuple[Array, Array]:
    """Yu et al. 2024 (Mip-Splatting), equation 8: every Gaussian is blurred by its own filter, and so is its peak."""
    with np.errstate(all="ignore"):
        wide = np.sqrt(np.square(scale, dtype=np.float64) + np.square(filter_3d))
        peak = np.sqrt(np.prod(np.square(scale, dtype=np.float64) / np.square(wide), axis=1))
    return wide, opacity * peak


def color_columns(where: str, rows: Array, has: frozenset[str], notes: list[str]) -> Array:
    """[n,K,3] SH coefficients, or [n,3] where the file has red, green and blue."""
    rgb = ["red", "green", "blue"]
    if "f_dc_0" not in has and has.issuperset(rgb):
        full = [_FULL_SCALE.get(rows.dtype[name].str[1:], 1.0) for name in rgb]
        scaled: Array = columns(where, rows, rgb) / np.array(full)
        return scaled
    n_rest = sum(name.startswith("f_rest_") for name in has)
    degree = REST_COUNTS.get(n_rest)
    if degree is None:
        raise AvatarInvalid(f"{where}: must have 0, 9, 24 or 45 f_rest fields (SH degree 0 to 3); got {n_rest}.")
    dc = columns(where, rows, [f"f_dc_{i}" for i in range(3)])
    kept = min(degree, MAX_DEGREE)
    bands, kept_bands = n_rest // 3, (kept + 1) ** 2 - 1
    if degree > kept:
        notes.append(f"Its colours have SH degree {degree}; bands 0 to {kept} are kept.")
    # The file holds all red coefficients, then green, then blue; memory is coefficient-major.
    rest = columns(where, rows, [f"f_rest_{c * bands + k}" for c in range(3) for k in range(kept_bands)])
    return np.concatenate([dc[:, None], rest.reshape(len(rows), 3, kept_bands).transpose(0, 2, 1)], axis=1)
