# SPDX-License-Identifier: Apache-2.0
"""GaussianTalker's network as a deform program: what depends on the canonical Gaussians alone is computed here.

Those are the features of their positions, since the network is always asked about the canonical ones; attention, layers
and heads stay as they are, for the core to fold the tokens into them once per frame.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...deform_program import BranchProgram, Condition, program_of
from ...deform_spec import Program
from ...spec import Array, Input
from ..audio.program import audio_input, audio_stages
from ..cloud import RawCloud, in_blocks
from .config import CAMERA_SIZE, HEADS, NET, PLANES, SH_HEAD, TOKENS, GaussianTalkerConfig

Weights = Mapping[str, Array]


def inputs(config: GaussianTalkerConfig) -> list[Input]:
    """audio: a window of features; eye [1]: how far the eyes are closed, AU45 clipped to 0..2, halved; camera [12]."""
    return [
        audio_input(config.audio),
        {"name": "eye", "size": 1, "target": "deform"},
        {"name": "camera", "size": CAMERA_SIZE, "target": "deform", "follows": "camera"},
    ]


def bake(cloud: RawCloud, weights: Weights, config: GaussianTalkerConfig) -> tuple[Program, dict[str, Array]]:
    """The program of the Gaussians in cloud's order, and its tensors.

    weights: float64 by the names of config.shapes().
    """
    net = {name.removeprefix(NET): value for name, value in weights.items()}
    condition = Condition()
    tokens = _tokens(condition, net, config)
    branch = BranchProgram("head", len(cloud.mean))
    x = branch.static("features", in_blocks(lambda mean: features(mean, net, config), cloud.mean))
    for i in range(config.n_layer):
        x = _layer(branch, x, tokens, net, config, i)
    for head, (to, _) in HEADS.items():
        if head in config.heads:
            canonical = {"log_scale": cloud.scale, "rotation": cloud.rotation, "logit": cloud.logit}.get(to)
            _head(branch, x, head, to, net, canonical)
    if SH_HEAD in config.heads:
        _head(branch, x, SH_HEAD, "sh", net, None)
    return program_of(condition, [branch])


def features(mean: Array, net: Weights, config: GaussianTalkerConfig) -> Array:
    """What the planes have at positions [n,3]: [n, levels x channels]. Beyond the box the edge's values hold."""
    first, last = net["tri_plane.grid.aabb"]  # the upper corner comes first: it is the planes' -1
    place = (mean - first) * (2.0 / (last - first)) - 1.0
    out = []
    for level in range(len(config.resolutions)):
        product = np.ones(())
        for plane, axes in enumerate(PLANES):
            grid = net[f"tri_plane.grid.grids.{level}.{plane}"][0]
            product = product * _bilinear(grid, place[:, list(axes)])
        out.append(product)
    return np.concatenate(out, axis=1)


def _bilinear(grid: Array, place: Array) -> Array:
    """grid [channels,r,r] at places [n,2] in -1..1, the outermost nodes' middles; the first runs along the rows."""
    size = np.array(grid.shape[:0:-1])
    at = np.clip((place + 1) / 2 * (size - 1), 0, size - 1)
    node = np.minimum(at.astype(np.int64), np.maximum(size - 2, 0))
    (fx, fy), (x, y) = (at - node).T, node.T
    x1, y1 = np.minimum(x + 1, size[0] - 1), np.minimum(y + 1, size[1] - 1)
    above = grid[:, y, x] * (1 - fx) + grid[:, y, x1] * fx
    below = grid[:, y1, x] * (1 - fx) + grid[:, y1, x1] * fx
    out: Array = (above * (1 - fy) + below * fy).T
    return out


def eye_frequencies(config: GaussianTalkerConfig) -> Array:
    """Of the eye's waves, [waves]; in float32, as training had them."""
    step = np.arange(config.eye_waves, dtype=np.float32) / np.float32(config.eye_waves)
    out: Array = np.power(np.float32(config.eye_base), step)
    return out


def _tokens(condition: Condition, net: Weights, config: GaussianTalkerConfig) -> list[str]:
    audio = config.audio
    window = condition.input("window", "audio", (audio.frames, audio.channels, audio.length))
    heard = audio_stages(condition, window, audio, net, "heard")
    eye = condition.input("eye", "eye", (1, 1, 1))
    lids = condition.waves("eye_waves", eye, eye_frequencies(config), keep=False)
    view = condition.input("camera", "camera", (1, CAMERA_SIZE, 1))
    for token, source, mlp in (("audio", heard, "audio_mlp"), ("eye", lids, "eye_mlp"), ("camera", view, "cam_mlp")):
        hidden = condition.linear(f"{token}_hidden", source, net[f"{mlp}.net.0.weight"], activation="relu")
        condition.linear(f"{token}_token", hidden, net[f"{mlp}.net.1.weight"])
    condition.constant("null_token", net["null_vector"][0])
    return [f"{token}_token" for token in TOKENS]


def _layer(branch: BranchProgram, x: str, tokens: list[str], net: Weights, config: GaussianTalkerConfig, i: int) -> str:
    layer = f"transformer.layers.{i}."

    def map_(name: str) -> tuple[Array, Array]:
        return net[f"{layer}{name}.weight"], net[f"{layer}{name}.bias"]

    def norm(out: str, x: str, name: str, activation: str = "none") -> str:
        gamma, beta = net[f"{layer}{name}.gamma"], net[f"{layer}{name}.beta"]
        return branch.norm(out, x, gamma, beta, config.norm_epsilon, activation)

    parts = {"query": "w_q", "key": "w_k", "value": "w_v", "out": "w_concat"}
    maps = {part: map_(f"enc_dec_attention.{name}") for part, name in parts.items()}
    seen = branch.attention(f"seen_{i}", x, tokens, config.n_head, maps, plus=x)
    normed = norm(f"normed_{i}", seen, "norm1")
    hidden = branch.linear(f"hidden_{i}", normed, *map_("ffn.linear1"), activation="relu")
    fed = branch.linear(f"fed_{i}", hidden, *map_("ffn.linear2"), plus=normed)
    # All heads begin with ReLU, and nothing else reads what the last layer writes.
    return norm(f"layer_{i}", fed, "norm2", "relu" if i == config.n_layer - 1 else "none")


def _head(branch: BranchProgram, x: str, head: str, to: str, net: Weights, canonical: Array | None) -> None:
    name = f"{head}_deform"
    hidden = branch.linear(f"{to}_hidden", x, net[f"{name}.1.weight"], net[f"{name}.1.bias"], activation="relu")
    branch.add(to, hidden, net[f"{name}.3.weight"], net[f"{name}.3.bias"], canonical)
