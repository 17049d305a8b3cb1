# SPDX-License-Identifier: Apache-2.0
"""Small networks of linear layers without biases, with ReLU between them."""

from __future__ import annotations

import itertools

from torch import Tensor, nn
from torch.nn import functional


class Mlp(nn.Module):
    """Layers of these widths, from the input's to the output's; nothing is applied to the last."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.net = nn.ModuleList(nn.Linear(i, o, bias=False) for i, o in itertools.pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """[...,first] -> [...,last]"""
        for layer in self.net[:-1]:
            x = functional.relu(layer(x))
        out: Tensor = self.net[-1](x)
        return out
