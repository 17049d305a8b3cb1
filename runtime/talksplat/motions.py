# SPDX-License-Identifier: Apache-2.0
"""Motion: what drives an avatar, frame after frame."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._arrays import FloatArray, as_floats, as_number, nearest, require_finite, shape_text
from .arkit import ARKIT_NAMES
from .driven import Driven
from .errors import MotionInvalid
from .rotation import slerp_axis_angle

MAX_FPS = 1000.0
# Of one motion that is read or resampled: what a small file can ask for stays small. An hour at 60 fps has 216,000
# frames, which are 11 million numbers with ARKit's weights.
MAX_FRAMES = 1 << 22
MAX_NUMBERS = 1 << 26
_STEP = 1 << 14  # frames that are interpolated at a time, in float64
ROTATIONS = frozenset({"head_pose", "rotation", "neck_pose", "jaw_pose", "eyes_pose", "joint_rotation"})
# What a recording carries along: an avatar without such an input does without it.
OPTIONAL_INPUTS = frozenset({"head_pose"})
_ARKIT = frozenset(ARKIT_NAMES)
FLAME_INPUTS = frozenset({"expr", "rotation", "neck_pose", "jaw_pose", "eyes_pose"})


@dataclass(frozen=True, eq=False)
class Motion:
    """T frames at a constant rate.

    fps: frames per second, (0, 1000].
    weights: [T,n] float32, one column per name in `names` (ARKit weights, or those of the avatar's own rig).
    inputs: other inputs by name, [T,size] float32: head_pose, FLAME's expr, jaw_pose, ...
    rotations: which of `inputs` are axis-angle vectors in radians, three floats per joint.
    notes: what was mended or left out when it was read from a file, in sentences for people.
    Raises ValueError if shapes disagree, there is no frame, or a number is not finite.
    """

    fps: float
    weights: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    names: tuple[str, ...] = ()
    inputs: Mapping[str, FloatArray] = field(default_factory=dict)
    rotations: frozenset[str] = ROTATIONS
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rate = as_number("Motion: fps", self.fps)
        if not 0 < rate <= MAX_FPS:
            raise ValueError(f"Motion: fps must be in (0, {MAX_FPS:g}]; got {self.fps!r}.")
        inputs = {name: _track(name, rows) for name, rows in self.inputs.items()}
        frames = {len(rows) for rows in inputs.values()}
        names = tuple(self.names)
        if len(set(names)) != len(names):
            repeated = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"Motion: names must differ; {repeated} is there twice.")
        if names:
            weights = _track("weights", self.weights)
            frames.add(len(weights))
        else:
            weights = np.zeros((max(frames, default=0), 0), np.float32)
        if weights.shape[1] != len(names):
            raise ValueError(f"Motion: weights must be [T,{len(names)}] (from names); got {shape_text(weights.shape)}.")
        if len(frames) != 1 or frames == {0}:
            lengths = {"weights": len(weights)} if names else {}
            lengths.update({name: len(rows) for name, rows in inputs.items()})
            raise ValueError(f"Motion: weights and inputs must have equally many frames, at least one; got {lengths}.")
        for name in self.rotations & inputs.keys():
            if inputs[name].shape[1] % 3:
                raise ValueError(f"Motion: {name} must be [T,3·joints]; got {shape_text(inputs[name].shape)}.")
        for attribute, value in (
            ("fps", rate),
            ("weights", weights),
            ("names", names),
            ("inputs", inputs),
            ("notes", tuple(self.notes)),
        ):
            object.__setattr__(self, attribute, value)

    def __repr__(self) -> str:
        inputs = "".join(f", {name}" for name in self.inputs)
        return f"{type(self).__name__}({self.frames} frames at {self.fps:g} fps, {len(self.names)} weights{inputs})"

    @property
    def frames(self) -> int:
        return len(self.weights)

    @property
    def seconds(self) -> float:
        """Duration: frames / fps."""
        return self.frames / self.fps

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file that load_motion() and other tools read: Live Link Face's .csv, or LAM's .json.

        Both hold weights (the .csv ARKit's only) and head_pose, to six decimals. Raises ValueError where the motion
        has more than that, or the name another ending, and OSError where the file cannot be written.
        """
        from .motion_writers import write_motion  # here: most motions are never written

        write_motion(self, Path(os.fsdecode(path)))

    def resample(self, fps: float) -> Motion:
        """This motion at another rate: values linearly interpolated, rotations along the shorter arc.

        Raises ValueError for the rate, and where there would be more frames than anyone means.
        """
        rate = as_number("resample: fps", fps)
        if not 0 < rate <= MAX_FPS:
            raise ValueError(f"resample: fps must be in (0, {MAX_FPS:g}]; got {fps!r}.")
        if rate == self.fps:
            return self
        # A last frame that rounding put just past the end still counts.
        last = (self.frames - 1) * rate / self.fps + 1e-6
        if not last < MAX_FRAMES or (last + 1) * self._width > MAX_NUMBERS:
            raise ValueError(
                f"resample: {self.frames} frames at {self.fps:g} fps would become {last + 1:.6g} at {rate:g}; at most "
                f"{MAX_FRAMES} frames and {MAX_NUMBERS} numbers are made. If the motion's own rate is wrong, load it "
                "with the right one (--motion-fps, or load_motion's fps)."
            )
        count = int(last) + 1
        return self.at(np.arange(self.frames) / self.fps, np.arange(count) / rate, rate)

    def at(self, times: NDArray[np.float64], wanted: NDArray[np.float64], fps: float) -> Motion:
        """The motion whose frames are at `times` [T] seconds (rising), seen at `wanted`; the ends hold."""
        if len(times) == 1:
            left, right, t = np.zeros(len(wanted), int), np.zeros(len(wanted), int), np.zeros(len(wanted))
        else:
            left = np.clip(np.searchsorted(times, wanted, side="right") - 1, 0, len(times) - 2)
            right = left + 1
            t = np.clip((wanted - times[left]) / (times[right] - times[left]), 0.0, 1.0)

        def between(name: str, rows: FloatArray) -> FloatArray:
            out = np.empty((len(wanted), rows.shape[1]), np.float32)
            for start in range(0, len(wanted), _STEP):
                part = slice(start, start + _STEP)
                a, b, share = rows[left[part]], rows[right[part]], t[part, None]
                if name in self.rotations:
                    turns = (len(a), a.shape[1] // 3, 3)
                    out[part] = slerp_axis_angle(a.reshape(turns), b.reshape(turns), share[:, None]).reshape(a.shape)
                else:
                    out[part] = (1 - share) * a + share * b
            return out

        inputs = {name: between(name, rows) for name, rows in self.inputs.items()}
        # "" is no input's name: weights are never rotations.
        return Motion(fps, between("", self.weights), self.names, inputs, self.rotations, self.notes)

    @property
    def _width(self) -> int:
        return len(self.names) + sum(int(rows.shape[1]) for rows in self.inputs.values())


def _track(name: str, rows: Any) -> FloatArray:
    array = as_floats(f"Motion: {name}", rows)
    if array.ndim != 2:
        raise ValueError(f"Motion: {name} must be [T,size]; got {shape_text(array.shape)}.")
    require_finite(f"Motion: {name}", array)
    return array


class FittedMotion(NamedTuple):
    controls: dict[str, FloatArray]  # input name → [T,size]
    ignored: tuple[str, ...]  # weights and inputs that are not all zero and that this avatar has no use for


def fit_motion(motion: Motion, avatar: Driven) -> FittedMotion:
    """The motion as the avatar's inputs.

    ARKit weights that the rig has no shape for go to the nearest combination that it has, and on a FLAME avatar to
    jaw, eyes, neck and expression (docs/retargeting.md). What finds no place is left out and reported; inputs that the
    motion gives itself win over those made from weights.
    Raises MotionInvalid for other names that the avatar does not know, FLAME parameters on an ARKit avatar among them.
    """
    inputs = dict(motion.inputs)
    weights = {name: motion.weights[:, column] for column, name in enumerate(motion.names)}
    moved_by_face: dict[str, FloatArray] = {}
    ignored: list[str] = []
    if avatar.takes_faces:
        face = {name: weights.pop(name) for name in motion.names if name in _ARKIT}
        turn = None if "head_pose" in avatar.inputs else inputs.pop("head_pose", None)
        moved = avatar.face_controls(face, turn)
        moved_by_face = moved.inputs
        given = face if turn is None else {**face, "head_pose": turn}
        ignored += [name for name, rows in given.items() if name not in moved.has_place and rows.any()]
    homes = {name: into for into in reversed(list(avatar.inputs.values())) for name in into.names}
    unknown = [name for name in weights if name not in homes]
    if unknown:
        raise unknown_inputs(avatar, unknown, homes)

    controls: dict[str, FloatArray] = {}
    for name, rows in inputs.items():
        into = avatar.inputs.get(name)
        if into is None:
            if name not in OPTIONAL_INPUTS:
                raise unknown_inputs(avatar, [name], avatar.inputs)
            if rows.any():
                ignored.append(name)
        elif rows.shape[1] != into.size:
            raise MotionInvalid(
                f"motion: {name} has {rows.shape[1]} values a frame, but {avatar.name} takes {into.size}. "
                "It was made for another avatar."
            )
        else:
            controls[name] = rows
    controls = {**controls, **{name: rows for name, rows in moved_by_face.items() if name not in controls}}
    for name, rows in weights.items():
        home = homes[name]
        own = controls[home.name] if home.name in controls else np.tile(home.default, (motion.frames, 1))
        controls[home.name] = own.copy()  # it may be the motion's
        controls[home.name][:, home.index[name]] = rows
    return FittedMotion(controls, tuple(ignored))


def unknown_inputs(avatar: Driven, names: Sequence[str], similar: Iterable[str]) -> MotionInvalid:
    """The error about a motion that gives what this avatar does not take."""
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    takes = ", ".join(avatar.inputs) or "nothing"
    hint = ""
    if names[0] in FLAME_INPUTS and any(not _ARKIT.isdisjoint(into.names) for into in avatar.inputs.values()):
        hint = (
            f" {names[0]} is FLAME's, and this avatar is moved by ARKit weights: use a motion of those "
            "(.csv, .json, .npy), or speech."
        )
    similar_name = nearest(names[0], similar)
    return MotionInvalid(f"motion: {avatar.name} has no input {shown}.{similar_name} It takes: {takes}.{hint}")
