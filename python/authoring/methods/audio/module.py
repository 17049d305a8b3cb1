# SPDX-License-Identifier: Apache-2.0
"""AudioNet and AudioAttNet (Guo et al. 2021, AD-NeRF), as GaussianTalker and TalkingGaussian train them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .config import PADDING, STRIDE, TAPS, AudioConfig, lengths


class AudioNet(nn.Module):
    """A frame's features become one vector: convolutions of stride 2 down to one step, then two linear layers."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        lengths(config)
        widths = (config.channels, *config.widths)
        self.encoder_conv = _convolutions(widths, STRIDE, config.slope)
        self.encoder_fc1 = nn.Sequential(
            nn.Linear(widths[-1], config.hidden), nn.LeakyReLU(config.slope), nn.Linear(config.hidden, config.features)
        )

    def forward(self, features: Tensor) -> Tensor:
        """[frames,channels,length] -> [frames,features]"""
        out: Tensor = self.encoder_fc1(self.encoder_conv(features).squeeze(-1))
        return out


class AudioAttNet(nn.Module):
    """A window's vectors become one: their mean, with weights that convolutions over the window find."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.attentionConvNet = _convolutions((config.features, *config.attention_widths), 1, config.slope)
        self.attentionNet = nn.Sequential(nn.Linear(config.frames, config.frames), nn.Softmax(dim=-1))

    def forward(self, x: Tensor) -> Tensor:
        """[batch,frames,features] -> [batch,features]"""
        weight = self.attentionNet(self.attentionConvNet(x.transpose(1, 2)).squeeze(1))
        return torch.einsum("bt,btf->bf", weight, x)


def encode_audio(net: AudioNet, attention: AudioAttNet, window: Tensor) -> Tensor:
    """Windows of features [batch,frames,channels,length] -> [batch,features]."""
    batch, frames = window.shape[:2]
    out: Tensor = attention(net(window.flatten(0, 1)).view(batch, frames, -1))
    return out


def _convolutions(widths: Sequence[int], stride: int, slope: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, o in itertools.pairwise(widths):
        layers += [nn.Conv1d(i, o, TAPS, stride, PADDING), nn.LeakyReLU(slope)]
    return nn.Sequential(*layers)
