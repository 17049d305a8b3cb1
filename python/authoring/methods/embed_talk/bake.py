# SPDX-License-Identifier: Apache-2.0
"""EmbedTalk's deform program: what a frame adds is one vector, and all that a Gaussian knows of itself is one row.

The first layer is linear in [gamma(z), a, gamma(e)]: its product with gamma(z) is made here, once, and its product with
the rest once a frame.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...deform_program import BranchProgram, Condition, program_of
from ...deform_spec import Program
from ...spec import Array, Input
from ..audio.program import audio_input, audio_stages
from ..cloud import RawCloud
from .config import AU_NAMES, HEADS, SUFFIX, EmbedTalkConfig

Weights = Mapping[str, Array]
BRANCH = "head"


def inputs(config: EmbedTalkConfig) -> list[Input]:
    """`audio`, a window of features, and `au`, action units as OpenFace's au.csv has them."""
    return [audio_input(config.audio), Input(name="au", size=len(AU_NAMES), target="deform", names=list(AU_NAMES))]


def bake(
    cloud: RawCloud, embedding: Array, weights: Weights, config: EmbedTalkConfig
) -> tuple[Program, dict[str, Array]]:
    """The program of the Gaussians in cloud's order, which is that of embedding [N,embedding], and its tensors.

    weights: float64 by the names of config.shapes().
    """

    def layer(name: str) -> tuple[Array, Array]:
        return weights[f"{name}.weight"], weights[f"{name}.bias"]

    condition = Condition()
    a, e = config.audio, config.au
    window = condition.input("audio", "audio", (a.frames, a.channels, a.length))
    heard = audio_stages(condition, window, a, weights, "heard")
    units = condition.waves("seen", condition.input("au", "au", (1, e, 1)), frequencies(config.au_waves), keep=True)
    first, bias = layer(f"feature_out{SUFFIX}.0")
    of_own, of_frame = np.split(first, [config.embedding_size], axis=1)
    frame = condition.linear("frame", condition.join("said", [heard, units]), of_frame)

    branch = BranchProgram(BRANCH, len(embedding))
    own = branch.static("own", encoding(embedding, config.embedding_waves) @ of_own.T + bias)
    # The heads begin with the activation of what feature_out gives, so it is part of its last layer here.
    x = branch.linear("feature_0", plus=own, frame=frame, activation="relu")
    for i in range(1, config.depth):
        x = branch.linear(f"feature_{i}", x, *layer(f"feature_out{SUFFIX}.{2 * i}"), activation="relu")
    for name, (to, _) in HEADS.items():
        hidden = branch.linear(name, x, *layer(f"{name}_deform{SUFFIX}.1"), activation="relu")
        canonical = cloud.logit if to == "logit" else None
        branch.add(to, hidden, *layer(f"{name}_deform{SUFFIX}.3"), canonical=canonical)
    return program_of(condition, [branch])


def encoding(x: Array, waves: int) -> Array:
    """[rows,n] → [rows, n (1 + 2 waves)] float64: each number, then sine and cosine at 1, 2, 4, ... rad per unit."""
    x = np.asarray(x, np.float64)
    angle = x[..., None] * frequencies(waves)
    pairs = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(*x.shape, -1)
    return np.concatenate([x[..., None], pairs], axis=-1).reshape(len(x), -1)


def frequencies(waves: int) -> Array:
    """[waves] rad per unit"""
    return np.asarray(2.0 ** np.arange(waves))
