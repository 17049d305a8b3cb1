# SPDX-License-Identifier: Apache-2.0
"""TalkingGaussian's networks, for training and as the reference of their bake: torch, with the original's weights.

The original looks its grids up with CUDA; here it is done with gathers, whose gradients torch knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..audio.module import AudioAttNet, AudioNet, encode_audio
from ..mlp import Mlp
from .config import (
    AU_NAMES,
    MOUTH_SCALE,
    PLANES,
    POSITION_SCALE,
    UNUSED_OF_MOUTH,
    FaceConfig,
    GridConfig,
    MouthConfig,
    TalkingGaussianConfig,
    levels_of,
)


class FaceDeltas(NamedTuple):
    """What is added to the raw values of the face's Gaussians, [batch,N,...]; logit is what nothing uses.

    Scales are activated by softplus, not by exp.
    """

    mean: Tensor
    rotation: Tensor
    logit: Tensor
    scale: Tensor


class GridEncoder(nn.Module):
    """One plane: what each level of it has at a point, bilinear (Müller et al. 2022, without a hash)."""

    offsets: Tensor

    def __init__(self, grid: GridConfig) -> None:
        super().__init__()
        self.levels = levels_of(grid)
        ends = [level.offset for level in self.levels] + [self.levels[-1].offset + self.levels[-1].entries]
        self.embeddings = nn.Parameter(torch.empty(ends[-1], 1).uniform_(-1e-4, 1e-4))
        self.register_buffer("offsets", torch.tensor(ends, dtype=torch.int32))

    def forward(self, u: Tensor) -> Tensor:
        """[N,2] in 0..1 -> [N,levels]; 0 for every level beyond the box."""
        table = self.embeddings[:, 0]
        inside = ((u >= 0) & (u <= 1)).all(1)
        held = torch.where(inside[:, None], u, 0.5)  # an index of its own for what is 0 anyway
        out = []
        for level in self.levels:
            at = held * level.scale + 0.5
            node = at.floor()
            fx, fy = (at - node).unbind(1)
            ix, iy = node.long().unbind(1)
            first = level.offset + ix + iy * level.side
            below = table[first] * (1 - fx) + table[first + 1] * fx
            above = table[first + level.side] * (1 - fx) + table[first + level.side + 1] * fx
            out.append(below * (1 - fy) + above * fy)
        return torch.stack(out, dim=1) * inside[:, None]


class _Network(nn.Module):
    """What both networks have: three planes, and an audio encoder of their own."""

    def __init__(self, config: FaceConfig | MouthConfig) -> None:
        super().__init__()
        self.config = config
        self.audio_net, self.audio_att_net = AudioNet(config.audio), AudioAttNet(config.audio)
        for plane in PLANES:
            self.add_module(f"encoder_{plane}", GridEncoder(config.grid))

    def features(self, mean: Tensor) -> Tensor:
        """Canonical positions [N,3] -> [N,36]."""
        bound = self.config.grid.bound
        u = (mean + bound) / (2 * bound)
        return torch.cat([getattr(self, f"encoder_{name}")(u[:, list(axes)]) for name, axes in PLANES.items()], dim=1)

    def hear(self, audio: Tensor) -> Tensor:
        """[batch,frames,channels,length] -> [batch,32]"""
        return encode_audio(self.audio_net, self.audio_att_net, audio)


class MotionNetwork(_Network):
    """The face's."""

    config: FaceConfig

    def __init__(self, config: FaceConfig) -> None:
        super().__init__(config)
        n, au, features = config.grid.size, len(AU_NAMES), config.audio.features
        self.aud_ch_att_net = Mlp(n, config.audio_hidden, features)
        self.eye_att_net = Mlp(n, config.au_hidden, au)
        self.exp_encode_net = Mlp(au - 1, config.au_hidden, au - 1)
        self.sigma_net = Mlp(n + features + au, config.hidden, config.hidden, config.outputs)

    def forward(self, mean: Tensor, audio: Tensor, au: Tensor) -> FaceDeltas:
        """Canonical positions [N,3], audio [batch,frames,channels,length], au [batch,6], as AU_NAMES."""
        x = self.features(mean)
        heard = self.hear(audio)[:, None] * self.aud_ch_att_net(x)
        expression = torch.cat([self.exp_encode_net(au[:, :-1]), au[:, -1:]], dim=1)
        seen = expression[:, None] * functional.relu(self.eye_att_net(x))
        h = self.sigma_net(torch.cat([x.expand(len(audio), -1, -1), heard, seen], dim=2))
        return FaceDeltas(h[..., :3] * POSITION_SCALE, h[..., 3:7], h[..., 7:8], h[..., 8:])


class MouthMotionNetwork(_Network):
    """The mouth's: its Gaussians only change their places."""

    config: MouthConfig

    def __init__(self, config: MouthConfig) -> None:
        super().__init__(config)
        self.sigma_net = Mlp(config.grid.size + config.audio.features, config.hidden, config.hidden, config.outputs)
        before_loading: Callable[..., object] = self.register_load_state_dict_pre_hook  # torch gives it no type
        before_loading(_pass_over_unused)

    def forward(self, mean: Tensor, audio: Tensor) -> Tensor:
        """Canonical positions [N,3], audio [batch,frames,channels,length] -> what is added to them [batch,N,3]."""
        x, heard = self.features(mean), self.hear(audio)
        batch, n = len(audio), len(mean)
        h = self.sigma_net(torch.cat([x.expand(batch, -1, -1), heard[:, None].expand(-1, n, -1)], dim=2))
        out: Tensor = h * torch.tensor(MOUTH_SCALE, dtype=h.dtype)
        return out


class TalkingGaussian(nn.Module):
    """Both networks; a fused checkpoint keeps them apart, as load_state_dict() of `face` and of `mouth` take them."""

    def __init__(self, config: TalkingGaussianConfig | None = None) -> None:
        super().__init__()
        self.config = config or TalkingGaussianConfig()
        self.face, self.mouth = MotionNetwork(self.config.face), MouthMotionNetwork(self.config.mouth)


def _pass_over_unused(_: nn.Module, state: dict[str, Any], prefix: str, *__: object) -> None:
    for name in [name for name in state if name.startswith(prefix + UNUSED_OF_MOUTH)]:
        del state[name]
