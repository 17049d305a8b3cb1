# SPDX-License-Identifier: Apache-2.0
"""The FLAME head model, as its owner has it, and the teeth that GaussianAvatars adds to it.

Fields and topology facts: FLAME (Li et al. 2017); GaussianAvatars flame_model/flame.py. Nothing of the model is
bundled: the caller passes their own file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talksplat._text import listed, shown
from talksplat.errors import AvatarInvalid

from .npz import read_arrays
from .safe_pickle import load_fields
from .source import Source
from .spec import MAX_SHAPES, Array

MAX_MODEL_BYTES = 1 << 30
N_VERTICES = 5023
N_TRIANGLES, N_JOINTS, N_SHAPE = 9976, 5, 300
NECK, JAW = 1, 2
PARENTS = (-1, 0, 1, 1, 1)  # root, neck, jaw, two eyes
FIELDS = ("f", "v_template", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights")

# The outer lip rings, from the left corner of the mouth to the right one (vertex ids of FLAME's topology).
UPPER_LIP = (1713, 1715, 1716, 1735, 1696, 1694, 1657, 3543, 2774, 2811, 2813, 2850, 2833, 2832, 2830)
LOWER_LIP = (1576, 1577, 1773, 1774, 1795, 1802, 1865, 3503, 2948, 2905, 2898, 2881, 2880, 2713, 2712)
RING = len(UPPER_LIP)


@dataclass(frozen=True)
class Flame:
    """float64 arrays; V = 5023, or 5143 with teeth. Triangles are uint32, the rest is as in FLAME's file."""

    vertex: Array  # [V,3]
    triangle: Array  # [F,3]
    shapedirs: Array  # [V,3,300+E]
    posedirs: Array  # [V,3,36]
    joint_regressor: Array  # [5,V]
    weights: Array  # [V,5]


def load_flame(path: Path, source: Source) -> Flame:
    """FLAME from the user's .pkl or .npz.

    Raises AvatarNotFound if path cannot be read, AvatarInvalid naming the field that is missing or misshapen.
    """
    if path.suffix.lower() == ".npz":
        source.hash(path)
        fields = read_arrays(path, FIELDS)
    else:
        fields = load_fields(str(path), source.read(path, MAX_MODEL_BYTES))
    missing = [name for name in FIELDS if name not in fields]
    if missing:
        found = listed(map(shown, sorted(fields)), len(fields)) or "no field of numbers"
        raise AvatarInvalid(f"{path}: lacks the FLAME fields {missing}; it has {found}.")
    shapes: dict[str, tuple[int | None, ...]] = {
        "f": (N_TRIANGLES, 3), "v_template": (N_VERTICES, 3), "shapedirs": (N_VERTICES, 3, None),
        "posedirs": (N_VERTICES, 3, 9 * (N_JOINTS - 1)), "J_regressor": (N_JOINTS, N_VERTICES),
        "kintree_table": (2, N_JOINTS), "weights": (N_VERTICES, N_JOINTS),
    }  # fmt: skip
    for name, shape in shapes.items():
        array = fields[name]
        fits = array.ndim == len(shape) and all(w in (None, n) for n, w in zip(array.shape, shape, strict=True))
        if not fits or not np.isfinite(array).all():
            wanted = [n or "n" for n in shape]
            raise AvatarInvalid(f"{path}: {name} must be finite {wanted}; got {list(array.shape)}. Is this FLAME?")
    n_shapes = fields["shapedirs"].shape[2]
    if n_shapes > MAX_SHAPES:
        raise AvatarInvalid(f"{path}: shapedirs may have at most {MAX_SHAPES} shapes; got {n_shapes}. Is this FLAME?")
    if ((fields["f"] < 0) | (fields["f"] >= N_VERTICES)).any():
        raise AvatarInvalid(f"{path}: f must hold vertices below {N_VERTICES}.")
    parents = fields["kintree_table"][0].astype(np.int64)
    if tuple(parents[1:]) != PARENTS[1:]:  # entry 0 is 2**32-1 for "none"
        raise AvatarInvalid(f"{path}: kintree_table must have the parents {PARENTS}; got {parents.tolist()}.")
    return Flame(
        vertex=fields["v_template"].astype(np.float64),
        triangle=fields["f"].astype(np.uint32),
        shapedirs=fields["shapedirs"].astype(np.float64),
        posedirs=fields["posedirs"].astype(np.float64),
        joint_regressor=fields["J_regressor"].astype(np.float64),
        weights=fields["weights"].astype(np.float64),
    )


def with_teeth(flame: Flame) -> Flame:
    """flame with GaussianAvatars' teeth: 120 vertices that hang on the lips' identity shape, neck and jaw."""
    upper, lower = flame.vertex[list(UPPER_LIP)], flame.vertex[list(LOWER_LIP)]
    gap = float(np.linalg.norm(upper - lower, axis=1).mean())
    middle = (upper + lower) / 2
    middle[:, 1] = middle[:, 1].mean()
    middle[:, 2] -= 1.5 * gap

    up, back = np.array([0, gap, 0]), np.array([0, 0, gap])
    upper_edge = middle + 0.1 * up
    upper_root = upper_edge + 2 * up
    lower_edge = middle - 0.1 * up - 0.4 * back
    lower_root = lower_edge - 2 * up
    front = [upper_root, lower_root, upper_edge, lower_edge]
    behind = [upper_root - back, upper_edge - back, lower_root - back, lower_edge - back]
    on_jaw = [False, True, False, True, False, False, True, True]
    n_groups = len(on_jaw)

    dirs = (flame.shapedirs[list(UPPER_LIP)] + flame.shapedirs[list(LOWER_LIP)]) / 2
    dirs[:, :, N_SHAPE:] = 0  # expressions do not move teeth
    weights = np.zeros((n_groups, RING, N_JOINTS))
    for group, jaw in enumerate(on_jaw):
        weights[group, :, JAW if jaw else NECK] = 1
    n_teeth = n_groups * RING
    return Flame(
        vertex=np.concatenate([flame.vertex, *front, *behind]),
        triangle=np.concatenate([flame.triangle, teeth_triangles() + np.uint32(N_VERTICES)]),
        shapedirs=np.concatenate([flame.shapedirs, *[dirs] * n_groups]),
        posedirs=np.concatenate([flame.posedirs, np.zeros((n_teeth, *flame.posedirs.shape[1:]))]),
        joint_regressor=np.concatenate([flame.joint_regressor, np.zeros((N_JOINTS, n_teeth))], axis=1),
        weights=np.concatenate([flame.weights, weights.reshape(n_teeth, N_JOINTS)]),
    )


# Two triangles of the quad (a0, a1, b0, b1) between rings a and b, as corners 0..3, for each diagonal and winding.
_DOWN, _UP = ((0, 3, 2), (0, 1, 3)), ((0, 1, 2), (1, 3, 2))
_DOWN_FLIPPED, _UP_FLIPPED = ((0, 2, 3), (0, 3, 1)), ((0, 2, 1), (1, 2, 3))
# Strips of quads: ring a, ring b (numbers of the groups above), diagonals left and right of the middle.
_STRIPS = (
    (0, 2, _DOWN, _UP),  # upper teeth: front, back, edge
    (4, 5, _DOWN_FLIPPED, _UP_FLIPPED),
    (5, 2, _UP_FLIPPED, _DOWN_FLIPPED),
    (3, 1, _UP, _DOWN),  # lower teeth
    (6, 7, _DOWN, _UP),
    (7, 3, _UP, _DOWN),
)


def teeth_triangles() -> Array:
    """[168,3] uint32, numbered from the first tooth vertex, in the order that trained bindings refer to."""
    rows = []
    for a, b, left, right in _STRIPS:
        for i in range(RING - 1):
            corner = (a * RING + i, a * RING + i + 1, b * RING + i, b * RING + i + 1)
            rows += [[corner[c] for c in t] for t in (left if i < RING // 2 else right)]
    return np.array(rows, np.uint32)
