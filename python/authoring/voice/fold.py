# SPDX-License-Identifier: Apache-2.0
"""From a trained tower to the file's tensors, where norms' gains and biases are in the next layer; and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from .export import Array, Manifest
from .model import Layer, TowerNet


def _folded(norm: nn.LayerNorm, linear: nn.Linear) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of linear(gain * x + bias) as one linear layer of the plain normalised x."""
    return linear.weight * norm.weight, linear.bias + linear.weight @ norm.bias


@torch.no_grad()
def tensors_of(nets: list[TowerNet], dtype: type[np.floating] = np.float16) -> dict[str, Array]:
    """The file's tensors of these towers, in their order."""
    found: dict[str, torch.Tensor] = {}

    def put(at: str, weight: torch.Tensor, bias: torch.Tensor) -> None:
        found[f"{at}/weight"], found[f"{at}/bias"] = weight, bias

    for t, net in enumerate(nets):
        put(f"tower/{t}/stem", net.stem.weight, net.stem.bias)
        for i, layer in enumerate(net.layers):
            assert isinstance(layer, Layer)
            at = f"tower/{t}/layer/{i}"
            put(f"{at}/qkv", *_folded(layer.norm_attention, layer.attention.qkv))
            found[f"{at}/age_bias"] = layer.attention.age_bias
            put(f"{at}/out", layer.attention.out.weight, layer.attention.out.bias)
            put(f"{at}/gate", *_folded(layer.norm_convolution, layer.convolution.gate))
            put(f"{at}/conv", layer.convolution.weight, layer.convolution.bias)
            put(f"{at}/mix", layer.convolution.mix.weight, layer.convolution.mix.bias)
            put(f"{at}/up", *_folded(layer.norm_feed, layer.up))
            put(f"{at}/down", layer.down.weight, layer.down.bias)
        put(f"tower/{t}/head", *_folded(net.norm, net.head))
    return {name: value.numpy().astype(dtype) for name, value in found.items()}


def tower_of(manifest: Manifest, tensors: Mapping[str, Array], t: int) -> TowerNet:
    """Tower t of a voice in its training form; its norms are plain ones, their gains stay in the layers after them."""
    with torch.random.fork_rng(devices=[]):  # draws weights that are not kept
        net = TowerNet(manifest["towers"][t], manifest["n_mels"])

    def take(into: torch.Tensor, name: str) -> None:
        into.copy_(torch.from_numpy(tensors[f"tower/{t}/{name}"]))

    def linear(into: nn.Linear, name: str) -> None:
        take(into.weight, f"{name}/weight")
        take(into.bias, f"{name}/bias")

    with torch.no_grad():
        linear(net.stem, "stem")
        for i, layer in enumerate(net.layers):
            assert isinstance(layer, Layer)
            at = f"layer/{i}"
            linear(layer.attention.qkv, f"{at}/qkv")
            take(layer.attention.age_bias, f"{at}/age_bias")
            linear(layer.attention.out, f"{at}/out")
            linear(layer.convolution.gate, f"{at}/gate")
            take(layer.convolution.weight, f"{at}/conv/weight")
            take(layer.convolution.bias, f"{at}/conv/bias")
            linear(layer.convolution.mix, f"{at}/mix")
            linear(layer.up, f"{at}/up")
            linear(layer.down, f"{at}/down")
        linear(net.head, "head")
    net.eval()
    return net
