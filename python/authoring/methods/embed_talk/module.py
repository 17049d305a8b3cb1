# SPDX-License-Identifier: Apache-2.0
"""EmbedTalk's network, for training and as the reference of its bake: torch, equation 9 of the paper.

(d_mean, d_logit) = MLP(gamma(z), a, gamma(e)), z the Gaussian's embedding, a the sound, e the action units.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..audio.module import AudioAttNet, AudioNet, encode_audio
from .config import HEADS, SUFFIX, EmbedTalkConfig


class Deltas(NamedTuple):
    """What is added to the raw values of the Gaussians."""

    mean: Tensor  # [batch,N,3]
    logit: Tensor  # [batch,N,1]


class EmbedTalk(nn.Module):
    """The deformation of a head; the embeddings are the Gaussians', and are trained beside it."""

    def __init__(self, config: EmbedTalkConfig | None = None) -> None:
        super().__init__()
        self.config = config or EmbedTalkConfig()
        width = self.config.width
        first: list[nn.Module] = [nn.Linear(self.config.inputs, width)]
        for _ in range(self.config.depth - 1):
            first += [nn.ReLU(), nn.Linear(width, width)]
        self.add_module(f"feature_out{SUFFIX}", nn.Sequential(*first))
        for name, (_, size) in HEADS.items():
            layers = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, size))
            self.add_module(f"{name}_deform{SUFFIX}", layers)
        self.audio_net, self.audio_att_net = AudioNet(self.config.audio), AudioAttNet(self.config.audio)

    def forward(self, embedding: Tensor, audio: Tensor, au: Tensor) -> Deltas:
        """Embeddings [N,embedding], audio [batch,frames,channels,length] and au [batch,6] -> what is added."""
        c = self.config
        own, seen = encoding(embedding, c.embedding_waves), encoding(au, c.au_waves)
        heard = encode_audio(self.audio_net, self.audio_att_net, audio)
        first: Any = self.get_submodule(f"feature_out{SUFFIX}")
        # The first layer is linear in what it is given, so its parts meet after it: a Gaussian's own part is the same
        # in every frame, and a frame's part for every Gaussian.
        start = first[0]
        of_own, of_heard, of_seen = start.weight.split([own.shape[1], heard.shape[1], seen.shape[1]], dim=1)
        x = (own @ of_own.T + start.bias) + (heard @ of_heard.T + seen @ of_seen.T)[:, None]
        for layer in first[1:]:
            x = layer(x)
        return Deltas(*(self.get_submodule(f"{name}_deform{SUFFIX}")(x) for name in HEADS))


def encoding(x: Tensor, waves: int) -> Tensor:
    """[rows,n] -> [rows, n (1 + 2 waves)]: each number, then its sine and cosine at 1, 2, 4, ... rad per unit.

    The form of NeRF (Mildenhall et al. 2020) without its factor pi.
    """
    angle = x[..., None] * 2.0 ** torch.arange(waves, dtype=x.dtype, device=x.device)
    pairs = torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1).flatten(-2)
    return torch.cat([x[..., None], pairs], dim=-1).flatten(-2)
