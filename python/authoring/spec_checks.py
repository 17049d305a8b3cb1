# SPDX-License-Identifier: Apache-2.0
"""What the checks of avatar files are made of: conditions, kinds of values, and tensors of a shape."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from talksplat._text import listed, shown
from talksplat.errors import AvatarInvalid

FORMAT = 2
MAX_ROWS = (1 << 24) - 1  # Gaussians, source rows, vertices, triangles, frames
MAX_SHAPES = MAX_JOINTS = 4096
MAX_INFLUENCES = 8
LIMITS = {"S": MAX_SHAPES, "J": MAX_JOINTS, "K": MAX_INFLUENCES, "Z": 2**32 - 1}  # by count; MAX_ROWS for the others
FLOAT32_MAX = float(np.finfo(np.float32).max)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # of what tensors are named by

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TensorSpec:
    """dtype and shape of one tensor; letters are counts that must agree over the file (FORMAT.md, Tensors)."""

    dtype: str
    shape: tuple[str | int, ...]


def require(condition: bool | np.bool_, where: str, expected: str, found: object) -> None:
    if not condition:
        raise AvatarInvalid(f"{where} must be {expected}; got {shown(found, 200)}.")


def is_integer(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_text(value: object) -> bool:
    """Whether UTF-8 can hold it: bytes of a command line that are no letters cannot be kept."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def is_number(value: object) -> bool:
    """Whether a float32 can hold it."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= FLOAT32_MAX


def is_numbers(value: object, size: int) -> bool:
    return isinstance(value, list) and len(value) == size and all(is_number(x) for x in value)


def check_keys(value: object, where: str, required: type, ignore_missing: frozenset[str] = frozenset()) -> None:
    require(isinstance(value, dict), where, "an object", value)
    assert isinstance(value, dict)
    names = set(required.__annotations__)
    missing, unknown = names - set(value) - ignore_missing, set(value) - names
    if missing or unknown:
        problem = (
            f"lacks {sorted(missing)}"
            if missing
            else f"has the unknown keys {listed(map(shown, unknown), len(unknown))}"
        )
        raise AvatarInvalid(f"{where} {problem}; format {FORMAT} has {sorted(names)}.")


def check_tensor(name: str, array: Array, spec: TensorSpec, counts: dict[str, int]) -> None:
    shape = getattr(array, "shape", None)
    if shape is None or str(array.dtype) != spec.dtype or len(shape) != len(spec.shape):
        found = f"{getattr(array, 'dtype', type(array).__name__)} {list(shape or [])}"
        raise AvatarInvalid(f"tensor {name} must be {spec.dtype} {list(spec.shape)}; got {found}.")
    for axis, (size, want) in enumerate(zip(shape, spec.shape, strict=True)):
        if isinstance(want, str) and want.endswith("+1"):
            want, size = want[:-2], size - 1
        expected = want if isinstance(want, int) else counts.setdefault(want, size)
        if size != expected:
            raise AvatarInvalid(f"tensor {name} must have {want} = {expected} on axis {axis}; got {size}.")
        limit = LIMITS.get(str(want), MAX_ROWS)
        if size > limit:
            raise AvatarInvalid(f"tensor {name} may have {want} of at most {limit} on axis {axis}; got {size}.")
    if array.dtype == np.float32 and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise AvatarInvalid(f"tensor {name} must be finite; row {row} is {array[row].tolist()}.")


def check_rows(name: str, bad: Array | np.bool_, array: Array, expected: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise AvatarInvalid(f"tensor {name} must be {expected}; row {row} is {array[row].tolist()}.")


def check_index(name: str, array: Array, limit: int) -> None:
    bad = (array < 0) | (array >= limit)
    check_rows(name, bad.reshape(len(array), bad[:1].size).any(1), array, f"indices below {limit}")
