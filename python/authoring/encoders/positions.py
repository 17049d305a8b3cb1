# SPDX-License-Identifier: Apache-2.0
"""The convolution over positions of Wav2Vec 2.0 and HuBERT, for windows of a known length: by its spectrum.

It has 128 taps over windows of 58 to 128 rows, so most of its products are with rows that are not there, and takes a
fifth of an int8 transformer's time. A window's rows and the taps that meet them, both padded to twice the rows, become
products of their spectra: a fifteenth of the products for 64 rows, and as many weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


class Spectrum(torch.nn.Module):
    """plain(hidden) of transformers' ...PositionalConvEmbedding, for hidden [n,rows,width].

    With N = 2 rows, y = E (H * D x) + bias: D takes the rows' spectrum (real parts, then imaginary ones), H is that of
    the taps, a matrix of each group for each frequency, and E goes back.
    """

    forth: Tensor
    back: Tensor
    real: Tensor
    imaginary: Tensor
    bias: Tensor

    def __init__(self, plain: Any, rows: int) -> None:
        super().__init__()
        conv = plain.conv
        self._plain = (plain,)  # not one of its modules: its weights are not exported
        self.activation = plain.activation
        self.register_buffer("bias", conv.bias.detach())
        self.rows, self.groups = rows, conv.groups
        self.inside = conv.in_channels // conv.groups  # channels of a group
        frequency = torch.arange(rows + 1, dtype=torch.float64)[:, None]
        angle = np.pi * frequency * torch.arange(rows, dtype=torch.float64) / rows
        wave = torch.cat([torch.cos(angle), -torch.sin(angle)])
        # All but the first and the last frequency stand for two.
        share = torch.where((frequency == 0) | (frequency == rows), 1.0, 2.0) / (2 * rows)
        self.register_buffer("forth", wave.float())
        self.register_buffer("back", (wave * share.repeat(2, 1)).T.contiguous().float())
        taps = self._spectrum(conv)
        self.register_buffer("real", taps.real.contiguous().float())
        self.register_buffer("imaginary", taps.imag.contiguous().float())

    def _spectrum(self, conv: Any) -> Tensor:
        """[(rows + 1) groups,in,out]: tap t of the convolution meets the row t - K / 2 after its own."""
        weight = conv.weight.detach().double()  # [out,in,K]
        taps = torch.zeros(*weight.shape[:2], 2 * self.rows, dtype=torch.float64)
        for t in range(weight.shape[2]):
            after = t - weight.shape[2] // 2
            if abs(after) < self.rows:
                taps[:, :, -after % (2 * self.rows)] += weight[:, :, t]
        spectrum: Tensor = torch.fft.rfft(taps).reshape(self.groups, self.inside, self.inside, -1).permute(3, 0, 2, 1)
        return spectrum.reshape(-1, self.inside, self.inside)

    def forward(self, hidden: Tensor) -> Tensor:
        n, _, width = hidden.shape
        parts = torch.matmul(self.forth, hidden).reshape(n, 2, -1, self.inside)
        parts = parts.permute(2, 0, 1, 3).reshape(-1, 2 * n, self.inside)  # a matrix for each frequency and group
        by_real = torch.matmul(parts, self.real).reshape(-1, n, 2, self.inside)
        by_imaginary = torch.matmul(parts, self.imaginary).reshape(-1, n, 2, self.inside)
        made = torch.stack(
            [by_real[:, :, 0] - by_imaginary[:, :, 1], by_real[:, :, 1] + by_imaginary[:, :, 0]]
        )  # [2,frequencies groups,n,inside]
        rows = torch.matmul(self.back, made.permute(2, 0, 1, 3).reshape(n, -1, width))
        activated: Tensor = self.activation(rows + self.bias)
        return activated

    @property
    def plain(self) -> Any:
        return self._plain[0]


def quick_positions(plain: Any, rows: int) -> Any:
    """Of windows of so many rows; as it is where it has more to it than one convolution."""
    if getattr(plain, "batch_norm", None) is not None:
        return plain
    return Spectrum(plain, rows)


def without_spectrum(transformer: torch.nn.Module) -> torch.nn.Module:
    """With the convolution itself: in float16, which GPUs run, where nobody has measured what is faster."""
    positions = getattr(transformer, "positions", None)
    if isinstance(positions, Spectrum):
        transformer.positions = positions.plain
    return transformer
