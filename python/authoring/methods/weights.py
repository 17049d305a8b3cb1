# SPDX-License-Identifier: Apache-2.0
"""State dicts on their way into a bake: every weight there, of its shape, finite, and none that nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from talksplat._text import shown
from talksplat.errors import AvatarInvalid

from ..spec import Array
from ..torch_file import Tensor
from .audio.config import Shaped

Config = TypeVar("Config")
Shapes = Mapping[str, tuple[int, ...]]
WAY_OUT = "Is it a checkpoint of this method?"


def config_of_weights(where: str, state: Shaped, usual: Shapes, config_of: Callable[[Shaped], Config]) -> Config:
    """config_of(state), for a state of tensors whose number of axes is the usual one.

    usual: the shapes of a default configuration, of which only the number of axes counts. Raises AvatarInvalid.
    """
    for name, value in state.items():
        shape = getattr(value, "shape", None)
        if shape is None:
            raise AvatarInvalid(f"{where}: {shown(name)} must be a tensor; got {shown(value)}. {WAY_OUT}")
        if name in usual and (len(shape) != len(usual[name]) or 0 in shape):
            raise AvatarInvalid(f"{where}: the weight {name} must have a shape like {list(usual[name])}; got "
                                f"{list(shape)}. {WAY_OUT}")  # fmt: skip
    try:
        return config_of(state)
    except KeyError as missing:
        raise AvatarInvalid(f"{where}: lacks the weight {missing.args[0]}. {WAY_OUT}") from None


def read_weights(
    where: str, state: Mapping[str, Any], shapes: Shapes, unused: tuple[str, ...] = ()
) -> dict[str, Array]:
    """The weights that shapes names, float64 (whole numbers as int64).

    state: name → Tensor of a file, or array. unused: beginnings of the names of weights that nothing reads.
    Raises AvatarInvalid, naming the weight, for one that is missing, unknown, of another shape or not finite.
    """
    out = {}
    for name, shape in shapes.items():
        if name not in state:
            raise AvatarInvalid(f"{where}: lacks the weight {name}, {list(shape)}. {WAY_OUT}")
        if tuple(state[name].shape) != shape:
            raise AvatarInvalid(f"{where}: the weight {name} must be {list(shape)}; got {list(state[name].shape)}.")
        out[name] = finite(f"{where}: the weight {name}", state[name])
    for name in state:
        if name not in shapes and not name.startswith(unused):
            raise AvatarInvalid(f"{where}: has the weight {shown(name)}, which this method has no place for. {WAY_OUT}")
    return out


def finite(what: str, value: Tensor | Array) -> Array:
    """Numbers of a file, as float64 or int64. Raises AvatarInvalid for what float32 cannot hold."""
    array = value.array() if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    wide = array.astype(np.float64)
    with np.errstate(over="ignore"):
        bad = np.argwhere(~np.isfinite(wide.astype(np.float32)))
    if len(bad):
        raise AvatarInvalid(f"{what} must be finite; {bad[0].tolist()} is {wide[tuple(bad[0])]}.")
    return wide
