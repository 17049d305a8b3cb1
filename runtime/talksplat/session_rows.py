# SPDX-License-Identifier: Apache-2.0
"""What moves a session's face instead of its voice, row by row: controls, and features of another encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._arrays import FloatArray, as_floats, nearest, require_finite, shape_text
from .control import Input
from .driven import Driven
from .errors import MotionInvalid
from .motions import Motion, fit_motion


def control_rows(who: str, avatar: Driven, controls: Any, fps: float) -> FloatArray:
    """[T,n_control], a row a frame: of a Motion, a mapping of input names, or rows that are that already."""
    if isinstance(controls, Motion):
        controls = fit_motion(controls.resample(fps), avatar).controls
    if not isinstance(controls, Mapping):
        rows = as_floats(f"{who}: controls", controls)
        n_control = sum(into.size for into in avatar.inputs.values())
        if rows.ndim != 2 or rows.shape[1] != n_control:
            raise ValueError(
                f"{who}: controls must be [T,{n_control}], all inputs side by side, a Motion, or a mapping of input "
                f"names to [T,size]; got {shape_text(rows.shape)}."
            )
        require_finite(f"{who}: controls", rows)
        return rows
    columns = {name: _column(who, avatar, name, value) for name, value in controls.items()}
    lengths = {name: len(rows) for name, rows in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"{who}: controls must have an input, and equally many frames of every one; got {lengths}.")
    out = np.empty((next(iter(lengths.values())), sum(into.size for into in avatar.inputs.values())), np.float32)
    for into in avatar.inputs.values():
        out[:, into.columns] = columns.get(into.name, into.default)
    return out


def _column(who: str, avatar: Driven, name: str, value: Any) -> FloatArray:
    into = avatar.inputs.get(name)
    if into is None:
        known = ", ".join(avatar.inputs) or "none"
        raise ValueError(
            f'{who}: {avatar.name} has no input "{name}".{nearest(str(name), avatar.inputs)} Its inputs: {known}.'
        )
    if isinstance(value, Mapping):
        return _named(who, into, value)
    rows = as_floats(f"{who}: {name}", value)
    if rows.ndim != 2 or rows.shape[1] != into.size:
        raise ValueError(f"{who}: {name} must be [T,{into.size}]; got {shape_text(rows.shape)}.")
    require_finite(f"{who}: {name}", rows)
    return rows


def _named(who: str, into: Input, values: Mapping[str, Any]) -> FloatArray:
    given = {name: as_floats(f"{who}: {into.name}: {name}", value) for name, value in values.items()}
    for name, rows in given.items():
        if name not in into.index:
            has = f" It has: {', '.join(into.names)}." if into.names else ""
            raise ValueError(f'{who}: {into.name} has no "{name}".{nearest(str(name), into.names)}{has}')
        if rows.ndim != 1:
            raise ValueError(
                f"{who}: {into.name}: {name} must be [T], one number a frame; got {shape_text(rows.shape)}."
            )
        require_finite(f"{who}: {into.name}: {name}", rows)
    lengths = {name: rows.size for name, rows in given.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"{who}: {into.name} must have equally many frames of every name; got {lengths}.")
    out = np.tile(into.default, (next(iter(lengths.values())), 1))
    for name, rows in given.items():
        out[:, into.index[name]] = rows
    return out


def feature_rows(who: str, avatar: Driven, features: Any) -> FloatArray:
    """[T,length * channels], a row a frame, for the avatar's windows. Raises MotionInvalid where it has none."""
    window = next((into.window for into in avatar.inputs.values() if into.window is not None), None)
    if window is None:
        raise MotionInvalid(f"{who}: {avatar.name} takes no features: none of its inputs has a window of them.")
    length, channels = window.length, window.channels
    rows = as_floats(f"{who}: features", features)
    flat = rows.reshape(len(rows), -1) if rows.ndim == 3 and rows.shape[1:] == (length, channels) else rows
    if flat.ndim != 2 or flat.shape[1] != length * channels:
        raise ValueError(
            f"{who}: features must be [T,{length},{channels}], or [T,{length * channels}] of the same order; got "
            f"{shape_text(rows.shape)}."
        )
    require_finite(f"{who}: features", flat)
    return flat
