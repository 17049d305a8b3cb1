# SPDX-License-Identifier: Apache-2.0
"""TalkingGaussian's networks as a deform program of two branches, the face in front of the mouth.

What depends on the canonical positions alone is computed here: the grids' features x, what of the first layer reads
them (base), and how much of the sound and of the action units each Gaussian hears and sees (gates). A frame's part of
the face's first layer is W (gates ∘ drive) with one vector drive for all; the mouth's is one vector for all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...deform_program import BranchProgram, Condition, program_of
from ...deform_spec import Program
from ...spec import Array, Input
from ..audio.program import audio_input, audio_stages
from ..cloud import RawCloud, in_blocks
from .config import AU_NAMES, MOUTH_SCALE, PLANES, POSITION_SCALE, FaceConfig, GridConfig, MouthConfig, levels_of

Weights = Mapping[str, Array]


def inputs(config: FaceConfig) -> list[Input]:
    """audio: a window of features; au [6]: intensities of OpenFace, 0..5, AU45 clipped to 0..2."""
    return [
        audio_input(config.audio),
        {"name": "au", "size": len(AU_NAMES), "target": "deform", "names": list(AU_NAMES)},
    ]


def bake(
    face: RawCloud, mouth: RawCloud, face_weights: Weights, mouth_weights: Weights, face_config: FaceConfig,
    mouth_config: MouthConfig, dilate_px: int = 0,
) -> tuple[Program, dict[str, Array]]:  # fmt: skip
    """The program of the Gaussians of both clouds in their order, and its tensors.

    weights: float64 by the names of config.face_shapes() and config.mouth_shapes().
    dilate_px: how wide the maximum is that covers the mouth's edges, 0 for none.
    """
    condition = Condition()
    audio = face_config.audio
    window = condition.input("window", "audio", (audio.frames, audio.channels, audio.length))
    au = condition.input("au", "au", (1, len(AU_NAMES), 1))
    drive = _drive(condition, window, au, face_weights, face_config)
    heard = audio_stages(condition, window, mouth_config.audio, mouth_weights, "mouth_heard")
    first = mouth_weights["sigma_net.net.0.weight"]
    frame = condition.linear("mouth_frame", heard, first[:, mouth_config.grid.size :])
    branches = [
        _face(face, face_weights, face_config, drive),
        _mouth(mouth, mouth_weights, mouth_config, frame, dilate_px),
    ]
    return program_of(condition, branches)


def features(mean: Array, weights: Weights, grid: GridConfig) -> Array:
    """What the grids have at positions [n,3]: [n,36], 0 for a plane on which a position is beyond the box."""
    # In float32 as in training: which cell a position is in depends on it.
    bound = np.float32(grid.bound)
    u = (np.asarray(mean, np.float32) + bound) / np.float32(2 * grid.bound)
    return np.concatenate(
        [
            _plane(u[:, list(axes)], weights[f"encoder_{plane}.embeddings"][:, 0], grid)
            for plane, axes in PLANES.items()
        ],
        axis=1,
    )


def _plane(u: Array, table: Array, grid: GridConfig) -> Array:
    inside = np.all((u >= 0) & (u <= 1), axis=1)
    held = np.where(inside[:, None], u, np.float32(0.5)).astype(np.float64)
    out = np.zeros((len(u), grid.levels))
    for i, level in enumerate(levels_of(grid)):
        at = held * np.float64(np.float32(level.scale)) + 0.5
        node = at.astype(np.int64)
        fx, fy = (at - node).T
        first = level.offset + node[:, 0] + node[:, 1] * level.side
        below = table[first] * (1 - fx) + table[first + 1] * fx
        above = table[first + level.side] * (1 - fx) + table[first + level.side + 1] * fx
        out[:, i] = np.where(inside, below * (1 - fy) + above * fy, 0.0)
    return out


def _drive(condition: Condition, window: str, au: str, weights: Weights, config: FaceConfig) -> str:
    """What the face's gates are multiplied by: [enc_a (32), enc_e (6)]."""
    heard = audio_stages(condition, window, config.audio, weights, "face_heard")
    brows = condition.slice("brows", au, 0, len(AU_NAMES) - 1)
    lids = condition.slice("lids", au, len(AU_NAMES) - 1, 1)  # enters as it is
    hidden = condition.linear("brows_hidden", brows, weights["exp_encode_net.net.0.weight"], activation="relu")
    encoded = condition.linear("brows_encoded", hidden, weights["exp_encode_net.net.1.weight"])
    return condition.join("drive", [heard, encoded, lids])


def _face(cloud: RawCloud, weights: Weights, config: FaceConfig, drive: str) -> BranchProgram:
    x = in_blocks(lambda mean: features(mean, weights, config.grid), cloud.mean)
    hears = _mlp(x, weights, "aud_ch_att_net")
    sees = np.maximum(_mlp(x, weights, "eye_att_net"), 0.0)
    first, second, last = (weights[f"sigma_net.net.{i}.weight"] for i in range(3))
    branch = BranchProgram("face", len(cloud.mean))
    base = branch.static("base", x @ first[:, : config.grid.size].T)
    gates = branch.static("gates", np.concatenate([hears, sees], axis=1))
    h = branch.linear("h1", gates, first[:, config.grid.size :], gain=drive, plus=base, activation="relu")
    h = branch.linear("h2", h, second, activation="relu")
    branch.add("mean", h, last[:3] * POSITION_SCALE)
    branch.add("rotation", h, last[3:7], canonical=cloud.rotation)
    branch.add("softplus_scale", h, last[8:11], canonical=cloud.scale)  # 7 is an opacity that nothing uses
    return branch


def _mouth(cloud: RawCloud, weights: Weights, config: MouthConfig, frame: str, dilate_px: int) -> BranchProgram:
    x = in_blocks(lambda mean: features(mean, weights, config.grid), cloud.mean)
    first, second, last = (weights[f"sigma_net.net.{i}.weight"] for i in range(3))
    branch = BranchProgram("mouth", len(cloud.mean), dilate_px)
    base = branch.static("base", x @ first[:, : config.grid.size].T)
    h = branch.linear("h1", plus=base, frame=frame, activation="relu")
    h = branch.linear("h2", h, second, activation="relu")
    branch.add("mean", h, last * np.array(MOUTH_SCALE)[:, None])
    return branch


def _mlp(x: Array, weights: Weights, name: str) -> Array:
    hidden = np.maximum(x @ weights[f"{name}.net.0.weight"].T, 0.0)
    out: Array = hidden @ weights[f"{name}.net.1.weight"].T
    return out
