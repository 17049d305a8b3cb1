# SPDX-License-Identifier: Apache-2.0
"""Inputs of an avatar, and one frame's values for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ._arrays import FloatArray, as_floats, nearest, require_finite, require_shape


class Window(NamedTuple):
    """Features of the frames around one: of each, from `before` before it to `after` after it, [channels,length]."""

    before: int
    after: int
    channels: int
    length: int


@dataclass(frozen=True, eq=False)
class Input:
    """One input of an avatar.

    size: floats, of a control those from `offset` on.  target: what it moves: blendshape, joint_rotation (axis-angle,
    radians), joint_translation, translation, view (the head turns, axis-angle) or deform (a network reads it).
    default: [size], its value when a frame does not give it.
    names: of its elements, where they have names ("jawOpen", "AU45"); else empty.  absent: names that this avatar's rig
    has no shape for.  window: what it holds, where that is features of a sound.
    """

    name: str
    size: int
    target: str
    default: FloatArray
    offset: int
    names: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    index: Mapping[str, int] = field(repr=False, default_factory=dict)
    window: Window | None = None

    @staticmethod
    def from_manifest(entry: Mapping[str, Any], default: FloatArray, offset: int) -> Input:
        target = entry["target"]
        names = tuple(entry["names"]) if target in ("blendshape", "deform") and "names" in entry else ()
        shapes = entry["shapes"] if target == "blendshape" else (0,) * len(names)
        absent = tuple(name for name, shape in zip(names, shapes, strict=True) if shape < 0)
        index = {name: i for i, name in enumerate(names)}
        window = None
        if target == "deform" and "window" in entry:
            window = Window(*(int(entry["window"][key]) for key in Window._fields))
        return Input(entry["name"], int(entry["size"]), target, default, offset, names, absent, index, window)

    @property
    def columns(self) -> slice:
        """Where it is in a control."""
        return slice(self.offset, self.offset + self.size)


def control_vector(inputs: Mapping[str, Input], control: Mapping[str, Any]) -> FloatArray:
    """The core's form of a control, [n_control]: every name, shape and number is checked, and what is missing is an
    input's default."""
    if not isinstance(control, Mapping):
        raise ValueError(f"control must map input names to arrays; got {type(control).__name__}. {{}} is neutral.")
    return joined(inputs, {name: _control_array(inputs, name, value) for name, value in control.items()})


def joined(inputs: Mapping[str, Input], arrays: Mapping[str, FloatArray]) -> FloatArray:
    """[n_control]: one frame's arrays by input, [size] each, and the defaults of the others."""
    parts = [arrays.get(into.name, into.default) for into in inputs.values()]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _control_array(inputs: Mapping[str, Input], name: str, value: Any) -> FloatArray:
    into = inputs.get(name)
    if into is None:
        known = ", ".join(inputs) or "none"
        hint = nearest(str(name), inputs)
        raise ValueError(f'control: this avatar has no input "{name}".{hint} Its inputs: {known}.')
    if isinstance(value, Mapping):
        return _named_values(into, value)
    array = as_floats(f"control: {name}", value)
    require_shape(f"control: {name}", array, (into.size,), f"{into.target}, one frame", "Leave out any batch axis.")
    require_finite(f"control: {name}", array)
    return array


def _named_values(into: Input, values: Mapping[str, Any]) -> FloatArray:
    if not into.names:
        raise ValueError(
            f"control: {into.name} has no names for its {into.size} elements; pass an array [{into.size}]."
        )
    array = np.array(into.default, np.float32)
    for name, value in values.items():
        at = into.index.get(name)
        if at is None:
            hint = nearest(str(name), into.names)
            raise ValueError(f'control: {into.name} has no "{name}".{hint} It has: {", ".join(into.names)}.')
        try:
            with np.errstate(over="ignore"):
                array[at] = value
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"control: {into.name}: {name} must be one number; got {value!r}.") from None
        if not np.isfinite(array[at]):
            raise ValueError(f"control: {into.name}: {name} must be finite; got {value!r}.")
    return array
