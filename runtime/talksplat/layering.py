# SPDX-License-Identifier: Apache-2.0
"""Speech over a motion: the face speaks, and the motion moves what speech does not, over and over.

A LAM avatar, say, has its breathing and its glances in clips of its joints, which speech leaves alone. Where both move
an input, speech has it: the sum of two motions of a head is the motion of nobody. Breath is not of the face: a motion
that has it has its own.
"""

from __future__ import annotations

import numpy as np

from ._arrays import FloatArray
from .arkit import ARKIT_NAMES
from .driven import Driven
from .motions import Motion, fit_motion


class Layer:
    """What a motion adds to speech, for one avatar; repeated from its first frame after its last.

    moves: the avatar's inputs that it moves.  overruled: what it would move, too, and speech moves.
    Raises MotionInvalid where the motion does not fit the avatar, or speech does not.
    """

    def __init__(self, motion: Motion, avatar: Driven) -> None:
        weights, head = np.zeros((1, len(ARKIT_NAMES)), np.float32), np.zeros((1, 3), np.float32)
        driven = fit_motion(Motion(1.0, weights, ARKIT_NAMES, {"head_pose": head}), avatar).controls.keys()
        whole = fit_motion(motion, avatar).controls
        # Weights of the avatar's own, beside ARKit's, may share an input with those of speech.
        own = [name for name in motion.names if name not in ARKIT_NAMES]
        homes = {into.name: [into.index[name] for name in own if name in into.index] for into in avatar.inputs.values()}
        controls = {name: rows for name, rows in whole.items() if name not in driven or homes[name]}
        self._offsets = {name: avatar.inputs[name].offset for name in controls}
        # The columns of each input that are the layer's: all, or those of weights that speech does not know.
        self._columns = {
            name: np.array(homes[name] if name in driven else range(rows.shape[1])) for name, rows in controls.items()
        }
        self.moves = tuple(controls)
        self.overruled = tuple(
            name for name in whole if name in driven and (name not in controls or len(own) < len(motion.names))
        )
        # One frame more, so that what is between the last frame and the first is, too.
        self._frames = motion.frames
        self._times = np.arange(motion.frames + 1.0)
        turning = {into.name for into in avatar.inputs.values() if into.target == "joint_rotation"}
        closed = {name: np.concatenate([rows, rows[:1]]) for name, rows in controls.items()}
        self._closed = Motion(motion.fps, inputs=closed, rotations=motion.rotations | turning) if closed else None

    def under(self, spoken: FloatArray, first: int, fps: float) -> FloatArray:
        """Controls of frames first, first + 1, ... at fps, [T,n_control]: speech, and the layer where it has none."""
        if self._closed is None:
            return spoken
        at = np.arange(first, first + len(spoken), dtype=np.float64) * (self._closed.fps / fps) % self._frames
        controls: FloatArray = spoken.copy()
        for name, rows in self._closed.at(self._times, at, fps).inputs.items():
            columns = self._columns[name]
            controls[:, self._offsets[name] + columns] = rows[:, columns]
        return controls
