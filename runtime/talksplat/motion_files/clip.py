# SPDX-License-Identifier: Apache-2.0
"""A motion that travels in the avatar's file."""

from __future__ import annotations

import numpy as np

from .._arrays import nearest
from ..driven import Driven
from ..errors import MotionInvalid
from ..motions import ROTATIONS, Motion


def read_clip(name: str, avatar: Driven | None, fps: float | None) -> Motion:
    if avatar is None:
        raise MotionInvalid(f"clip:{name} is in an avatar's file: pass the avatar to load_motion.")
    clip = avatar.clips.get(name)
    if clip is None:
        known = ", ".join(avatar.clips) or "none"
        raise MotionInvalid(f"{avatar.name} has no clip {name!r}.{nearest(name, avatar.clips)} Its clips: {known}.")
    tracks = {into: avatar.clip_rows(name, into) for into in clip.inputs}
    named = [into for into in clip.inputs if avatar.inputs[into].names]
    names: tuple[str, ...] = ()
    weights = np.zeros((clip.frames, 0), np.float32)
    for into in named:
        fresh = [i for i, weight in enumerate(avatar.inputs[into].names) if weight not in names]
        names += tuple(avatar.inputs[into].names[i] for i in fresh)
        weights = np.concatenate([weights, tracks.pop(into)[:, fresh]], axis=1)
    turning = {into.name for into in avatar.inputs.values() if into.target == "joint_rotation"}
    return Motion(fps or clip.fps, weights, names, tracks, ROTATIONS | turning)
