# SPDX-License-Identifier: Apache-2.0
"""GaussianTalker's network, for training and as the reference of its bake: torch, every step as it was published.

Names of weights are the original's, so load_state_dict() takes its deformation.pth; weights that no inference reads
are passed over (config.UNUSED).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..audio.module import AudioAttNet, AudioNet, encode_audio
from ..mlp import Mlp
from .config import CAMERA_SIZE, HEADS, PLANES, SH_HEAD, UNUSED, GaussianTalkerConfig


class Deltas(NamedTuple):
    """What is added to the raw values of the Gaussians, [batch,N,...]; None for a head that is not applied."""

    mean: Tensor | None
    log_scale: Tensor | None
    rotation: Tensor | None
    logit: Tensor | None
    sh: Tensor | None  # [batch,N,K,3]


class Planes(nn.Module):
    """The planes of every resolution, and the box that they cover."""

    def __init__(self, config: GaussianTalkerConfig) -> None:
        super().__init__()
        # The upper corner comes first, so that it is the planes' -1.
        self.aabb = nn.Parameter(torch.tensor([[1.0] * 3, [-1.0] * 3]), requires_grad=False)
        self.grids = nn.ModuleList(
            nn.ParameterList(torch.empty(1, config.plane_channels, r, r).uniform_(0.1, 0.5) for _ in PLANES)
            for r in config.resolutions
        )


class TriPlane(nn.Module):
    """Features of positions: for each resolution, the product of what three planes have there (Fridovich-Keil 2023)."""

    def __init__(self, config: GaussianTalkerConfig) -> None:
        super().__init__()
        self.grid = Planes(config)

    def forward(self, mean: Tensor) -> Tensor:
        """[N,3] -> [N, levels x channels]; beyond the box the edge's features hold."""
        first, last = self.grid.aabb.unbind()
        place = (mean - first) * (2.0 / (last - first)) - 1.0
        return torch.cat([_product(place, list(planes.parameters())) for planes in self.grid.grids], dim=1)


def _product(place: Tensor, planes: list[nn.Parameter]) -> Tensor:
    """Places [N,3], -1..1 in the box -> [N,channels] of the planes of one resolution."""
    out = torch.ones(())
    for axes, plane in zip(PLANES, planes, strict=True):
        at = place[None, None, :, list(axes)]
        sample = functional.grid_sample(plane, at, mode="bilinear", padding_mode="border", align_corners=True)
        out = out * sample[0, :, 0].T
    return out


class Norm(nn.Module):
    """Layer norm by the population's variance."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, self.gamma.shape, self.gamma, self.beta, self.epsilon)


class Attention(nn.Module):
    """Gaussians ask, tokens answer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.w_q, self.w_k, self.w_v, self.w_concat = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """[batch,N,d], [batch,tokens,d] -> [batch,N,d], and the mean weights [batch,N,tokens] of the heads."""
        q, k, v = (
            w(value).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for w, value in ((self.w_q, x), (self.w_k, tokens), (self.w_v, tokens))
        )
        weight = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)
        return self.w_concat((weight @ v).transpose(1, 2).flatten(2)), weight.mean(1)


class FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear2(self.dropout(functional.relu(self.linear1(x))))
        return out


class Layer(nn.Module):
    def __init__(self, config: GaussianTalkerConfig) -> None:
        super().__init__()
        d = config.d_model
        self.enc_dec_attention = Attention(d, config.n_head)
        self.ffn = FeedForward(d, config.ffn_hidden, config.dropout)
        self.norm1, self.norm2 = Norm(d, config.norm_epsilon), Norm(d, config.norm_epsilon)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        read, weight = self.enc_dec_attention(x, tokens)
        x = self.norm1(self.dropout(read) + x)
        return self.norm2(self.dropout(self.ffn(x)) + x), weight


class Transformer(nn.Module):
    def __init__(self, config: GaussianTalkerConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layer))

    def forward(self, x: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        weights = []
        for layer in self.layers:
            x, weight = layer(x, tokens)
            weights.append(weight)
        return x, torch.stack(weights, dim=1)


class Deformation(nn.Module):
    def __init__(self, config: GaussianTalkerConfig) -> None:
        super().__init__()
        d = config.d_model
        self.tri_plane = TriPlane(config)
        self.audio_net, self.audio_att_net = AudioNet(config.audio), AudioAttNet(config.audio)
        self.audio_mlp = Mlp(config.audio.features, config.token_hidden, d)
        self.eye_mlp = Mlp(2 * config.eye_waves, config.token_hidden, d)
        self.cam_mlp = Mlp(CAMERA_SIZE, config.token_hidden, d)
        self.null_vector = nn.Parameter(torch.randn(1, 1, d))
        self.transformer = Transformer(config)
        for head, (_, size) in {**HEADS, SH_HEAD: ("sh", 3 * config.n_coefficients)}.items():
            width = config.net_width
            layers = nn.Sequential(nn.ReLU(), nn.Linear(d, width), nn.ReLU(), nn.Linear(width, size))
            self.add_module(f"{head}_deform", layers)


class GaussianTalker(nn.Module):
    """The deformation of a head by what is heard, how far its eyes are closed, and where it is seen from."""

    def __init__(self, config: GaussianTalkerConfig | None = None) -> None:
        super().__init__()
        self.config = config or GaussianTalkerConfig()
        self.deformation_net = Deformation(self.config)
        before_loading: Callable[..., object] = self.register_load_state_dict_pre_hook  # torch gives it no type
        before_loading(_pass_over_unused)

    def features(self, mean: Tensor) -> Tensor:
        """Canonical positions [N,3] -> [N,d]."""
        out: Tensor = self.deformation_net.tri_plane(mean)
        return out

    def tokens(self, audio: Tensor, eye: Tensor, camera: Tensor) -> Tensor:
        """audio [batch,frames,channels,length], eye [batch,1] in 0..1, camera [batch,12] -> [batch,4,d]."""
        net = self.deformation_net
        heard = net.audio_mlp(encode_audio(net.audio_net, net.audio_att_net, audio))
        lids = net.eye_mlp(eye_encoding(eye, self.config).to(heard.dtype))
        view = net.cam_mlp(camera)
        null = net.null_vector[0].expand(len(audio), -1)
        return torch.stack([heard, lids, view, null], dim=1)

    def hidden(self, features: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """[N,d], [batch,4,d] -> [batch,N,d] after all layers, and the attention [batch,layers,N,4]."""
        x, weights = self.deformation_net.transformer(features.expand(len(tokens), -1, -1), tokens)
        return x, weights

    def deltas(self, hidden: Tensor) -> Deltas:
        """[batch,N,d] -> what the heads add."""
        out: dict[str, Tensor | None] = {
            to: self._head(head, hidden) if head in self.config.heads else None for head, (to, _) in HEADS.items()
        }
        sh = self._head(SH_HEAD, hidden).unflatten(-1, (-1, 3)) if SH_HEAD in self.config.heads else None
        return Deltas(**out, sh=sh)

    def forward(self, mean: Tensor, audio: Tensor, eye: Tensor, camera: Tensor) -> Deltas:
        """Canonical positions [N,3] and a batch of controls, see tokens() -> what is added to the raw values."""
        return self.deltas(self.hidden(self.features(mean), self.tokens(audio, eye, camera))[0])

    def _head(self, name: str, hidden: Tensor) -> Tensor:
        head: Callable[[Tensor], Tensor] = getattr(self.deformation_net, f"{name}_deform")
        return head(hidden)


def eye_encoding(eye: Tensor, config: GaussianTalkerConfig) -> Tensor:
    """[batch,1] -> sin and cos of each frequency in turn, [batch, 2 waves] float64.

    In float64: at the highest frequency, 5623 rad, float32 would lose 3e-4 of the phase. Frequencies are float32.
    """
    step = torch.arange(config.eye_waves, dtype=torch.float32) / config.eye_waves
    angle = eye.double() * torch.pow(torch.tensor(config.eye_base), step).double()
    return torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1).flatten(1)


def _pass_over_unused(_: nn.Module, state: dict[str, Any], prefix: str, *__: object) -> None:
    for name in [name for name in state if name.startswith(tuple(prefix + unused for unused in UNUSED))]:
        del state[name]
