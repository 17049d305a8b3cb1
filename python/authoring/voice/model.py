# SPDX-License-Identifier: Apache-2.0
"""The network in its training form: all steps of a clip at once, torch. The core runs it step by step.

Norms carry a gain and a bias here; export folds them into the linear layer that follows each.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .export import Tower

EPSILON = 1e-5


class Attention(nn.Module):
    """Each step looks at the last `window` steps, itself included, with a learned bias for each age and head."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        slopes = torch.tensor([0.3 * 2.0 ** (-2 * h) for h in range(heads)])
        self.age_bias = nn.Parameter(-slopes[:, None] * torch.arange(window))

    def forward(self, a: Tensor) -> Tensor:
        batch, steps, width = a.shape
        q, k, v = self.qkv(a).view(batch, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        age = torch.arange(steps)[:, None] - torch.arange(steps)
        bias = self.age_bias[:, age.clamp(0, self.window - 1)]
        bias = bias.masked_fill((age < 0) | (age >= self.window), -math.inf)
        score = (q / math.sqrt(width / self.heads)) @ k.transpose(-1, -2)
        weight = torch.softmax(score + bias, -1)
        out: Tensor = self.out((weight @ v).transpose(1, 2).reshape(batch, steps, width))
        return out


class Convolution(nn.Module):
    """Gated, depthwise over time, causal."""

    def __init__(self, width: int, taps: int) -> None:
        super().__init__()
        self.taps = taps
        self.gate = nn.Linear(width, 2 * width)
        self.weight = nn.Parameter(torch.randn(width, taps) / math.sqrt(taps))  # tap i: i steps ago
        self.bias = nn.Parameter(torch.zeros(width))
        self.mix = nn.Linear(width, width)

    def forward(self, c: Tensor) -> Tensor:
        u = functional.glu(self.gate(c), -1).transpose(1, 2)
        padded = functional.pad(u, (self.taps - 1, 0))
        y = functional.conv1d(padded, self.weight.flip(1)[:, None], self.bias, groups=self.weight.shape[0])
        out: Tensor = self.mix(functional.silu(y.transpose(1, 2)))
        return out


class Layer(nn.Module):
    def __init__(self, shape: Tower) -> None:
        super().__init__()
        d = shape["width"]
        self.norm_attention, self.norm_convolution, self.norm_feed = (nn.LayerNorm(d, eps=EPSILON) for _ in range(3))
        self.attention = Attention(d, shape["heads"], shape["window"])
        self.convolution = Convolution(d, shape["taps"])
        self.up, self.down = nn.Linear(d, shape["hidden"]), nn.Linear(shape["hidden"], d)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm_attention(x))
        x = x + self.convolution(self.norm_convolution(x))
        out: Tensor = x + self.down(functional.silu(self.up(self.norm_feed(x))))
        return out


class TowerNet(nn.Module):
    """One tower. `classes` adds an auxiliary head that names the phoneme's group; it is not exported."""

    def __init__(self, shape: Tower, n_mels: int, classes: int = 0) -> None:
        super().__init__()
        self.shape = shape
        d = shape["width"]
        self.stem = nn.Linear(2 * n_mels, d)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape["layers"]))
        self.norm = nn.LayerNorm(d, eps=EPSILON)
        self.head = nn.Linear(d, len(shape["channels"]))
        self.classes = nn.Linear(d, classes) if classes else None

    def hidden(self, features: Tensor) -> Tensor:
        """[batch,steps,2 n_mels] -> [batch,steps,width]: what the heads read."""
        x = self.stem(features)
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.norm(x)
        return out

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """[batch,steps,2 n_mels] -> raw outputs [batch,steps,channels] (no sigmoid), class scores or None."""
        h = self.hidden(features)
        return self.head(h), None if self.classes is None else self.classes(h)
