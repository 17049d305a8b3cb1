# SPDX-License-Identifier: Apache-2.0
"""Sizes of the example networks, and where their worlds lie."""

from __future__ import annotations

import numpy as np

from ..methods.audio.config import AudioConfig
from ..methods.embed_talk.config import EmbedTalkConfig
from ..methods.gaussian_talker.config import GaussianTalkerConfig
from ..methods.talking_gaussian.config import FaceConfig, GridConfig, MouthConfig, TalkingGaussianConfig
from ..spec import Array
from .head import World

NAMES = ("gaussian-talker", "talking-gaussian", "embedtalk")
VOICE_FEATURES = 96  # of the built-in voice
AUDIO = AudioConfig(channels=VOICE_FEATURES, length=1)

EMBED_TALK = EmbedTalkConfig(width=64, audio=AUDIO)
EMBED_TALK_WORLD = World(10.0)
SHAPES_KNOWN = 28  # numbers of an embedding that say how a Gaussian moves; the others say what it is a part of

GAUSSIAN_TALKER = GaussianTalkerConfig(
    resolutions=(32, 64), plane_channels=16, ffn_hidden=64, net_width=64, token_hidden=32, dropout=0.0, sh_degree=0,
    audio=AUDIO,
)  # fmt: skip
# The method's cameras stand some seven units away, the head's 1.15 m.
GAUSSIAN_TALKER_WORLD = World(6.0)
# Metres; the upper corner comes first, as the method has it. Beyond the box the edge's features hold. Little moves
# behind it, where z is below 28 mm; in it, lids and eyeballs are 2 mm apart and need fine cells.
_BOX = ((0.070, 0.066, 0.106), (-0.070, -0.110, 0.028))
GAUSSIAN_TALKER_BOX = GAUSSIAN_TALKER_WORLD.of(np.array(_BOX))

# The face fills the box of the grids, whose side is 0.3, and what is beyond it has no features and never moves.
TALKING_GAUSSIAN_WORLD = World(1.7, (0.0, -0.022, 0.055))
TALKING_GAUSSIAN = TalkingGaussianConfig(
    face=FaceConfig(audio=AUDIO),
    # Smaller than the method's own, and getting smaller by level as they do.
    mouth=MouthConfig(grid=GridConfig(24, 21.6), audio=AUDIO),
    sh_degree=0,
)


def cameras(count: int, rng: np.random.Generator) -> Array:
    """[count,12] views of the head from anywhere in front of it, as GaussianTalker's network is told them."""
    yaw, pitch, roll = rng.uniform(-1.2, 1.2, count), rng.uniform(-0.6, 0.6, count), rng.uniform(-0.3, 0.3, count)
    turn = _about(1, yaw) @ _about(0, pitch) @ _about(2, roll)
    flip = np.diag([1.0, -1.0, -1.0])  # OpenCV's axes, of a camera that looks along -z
    world_from_cam = turn @ flip
    distance = rng.uniform(4.0, 11.0, count)
    shift = rng.normal(0, 0.3, (count, 3)) + np.stack([0 * yaw, 0 * yaw, distance], -1)
    return np.concatenate([world_from_cam.reshape(count, 9), shift], axis=1)


def _about(axis: int, angle: Array) -> Array:
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    out = np.tile(np.eye(3), (len(angle), 1, 1))
    out[:, a, a] = out[:, b, b] = np.cos(angle)
    out[:, b, a], out[:, a, b] = np.sin(angle), -np.sin(angle)
    return out
