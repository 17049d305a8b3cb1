# SPDX-License-Identifier: Apache-2.0
"""Wav2Vec 2.0 and HuBERT of transformers, cut into a front that hears sound as it comes and a transformer of windows.

The convolutions are exact however the sound is cut: seven of them see 400 samples, 320 apart. Two things of the models
look at the whole utterance, which a live speaker has not finished: the feature extractor's unit variance, and, in base
models, the normalisation over time after the first convolution. Here both go by running statistics.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.utils import parametrize

from talksplat._arrays import FloatArray
from talksplat.encoders.folder import RATE_HZ, SAMPLES_PER_ROW

from .golden import speech

SEEN = 400  # samples that a row sees; its centre is in their middle
EXTRACTOR_EPS = 1e-7  # Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm
# How far back statistics reach, nearly: what is older fades. Utterances of training are shorter; hours of sound would
# be beyond what float32 sums can still be added to, and a speaker or microphone may change.
MEMORY_S = 60.0
# What the first states weigh: so many seconds of the package's sentence. The model's own sound soon outweighs them.
PRIOR_S = 1.0


class Front(torch.nn.Module):
    """samples [1,n] to rows [1,chunk,width]; states as state_of() has them, each updated before it is used.

    Each call counts the first `hop` samples, and as many outputs of the first convolution as begin in them: the rest
    of its samples come again in the next call, which counts them then.
    """

    def __init__(self, extractor: torch.nn.Module, by_time: bool, do_normalize: bool) -> None:
        super().__init__()
        layers: Any = extractor.conv_layers
        self.first, self.others = layers[0], layers[1:]
        self.by_time, self.do_normalize = by_time, do_normalize

    def forward(self, samples: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        hop = samples.shape[1] - (SEEN - SAMPLES_PER_ROW)
        left = list(states)
        updated: list[torch.Tensor] = []
        sound = None
        if self.do_normalize:
            sound = Statistics.updated(left[:3], samples[:, :hop], 1)
            updated += sound.states
            left = left[3:]
        hidden = samples[:, None]
        if self.by_time:
            # The extractor's gain and offset cancel here but for epsilon, so sums are of what the sound itself makes:
            # they mean the same however the gain has moved since.
            hidden = self.first.conv(hidden)
            stride = self.first.conv.stride[0]
            channels = Statistics.updated(left, hidden[0, :, : hop // stride], stride)
            updated += channels.states
            norm = self.first.layer_norm
            scale = 1.0 if sound is None else sound.variance + EXTRACTOR_EPS
            deviation = torch.sqrt(channels.variance + norm.eps * scale)
            hidden = (hidden - channels.mean[:, None]) / deviation[:, None]
            hidden = self.first.activation(hidden * norm.weight[:, None] + norm.bias[:, None])
        else:
            if sound is not None:
                hidden = (hidden - sound.mean) / torch.sqrt(sound.variance + EXTRACTOR_EPS)
            hidden = self.first(hidden)
        for layer in self.others:
            hidden = layer(hidden)
        return (hidden.transpose(1, 2), *updated)


class Statistics:
    """Of values [channels,n] so far: states are count [1], sum [channels] and sum of squares [channels]."""

    def __init__(self, count: torch.Tensor, total: torch.Tensor, squares: torch.Tensor) -> None:
        self.states = (count, total, squares)
        self.mean = total / count
        self.variance = torch.clamp(squares / count - self.mean * self.mean, min=0.0)

    @classmethod
    def updated(cls, states: list[torch.Tensor], values: torch.Tensor, stride: int) -> Statistics:
        """With these values, which are `stride` samples apart, counted too."""
        count, total, squares = states
        most = MEMORY_S * RATE_HZ / stride
        kept = torch.clamp((most - values.shape[1]) / count, max=1.0)  # infinite before the clamp where nothing was yet
        return cls(
            count * kept + values.shape[1],
            total * kept + values.sum(dim=1),
            squares * kept + (values * values).sum(dim=1),
        )


class Transformer(torch.nn.Module):
    """window [n,left+chunk+right,row width] to features [n,chunk,width]: transformers' hidden_states[hidden_layer].

    The highest layer's are its last_hidden_state, which is normalised in models with do_stable_layer_norm. Of the last
    layer only the chunk's rows are computed: the others are its keys and values, and nothing else.
    """

    def __init__(self, model: Any, left: int, chunk: int, hidden_layer: int) -> None:
        super().__init__()
        encoder = model.encoder
        self.projection = model.feature_projection
        self.positions = encoder.pos_conv_embed
        self.layers = encoder.layers[:hidden_layer]
        before = not model.config.do_stable_layer_norm
        self.norm_before = encoder.layer_norm if before else torch.nn.Identity()
        last = hidden_layer == len(encoder.layers)
        self.norm_after = encoder.layer_norm if last and not before else torch.nn.Identity()
        self.norm_first = not before  # in a layer: before its attention, as after it
        self.kept = slice(left, left + chunk)

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        hidden = self.projection(window)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden  # Wav2Vec 2.0's has its input, normalised, beside
        hidden = self.norm_before(hidden + self.positions(hidden))
        for layer in self.layers[:-1]:
            hidden = layer(hidden)
        rows = self._last(self.layers[-1], hidden) if len(self.layers) > 0 else hidden[:, self.kept]
        features: torch.Tensor = self.norm_after(rows)
        return features

    def _last(self, layer: Any, hidden: torch.Tensor) -> torch.Tensor:
        """The chunk's rows of layer(hidden)."""
        given = layer.layer_norm(hidden) if self.norm_first else hidden
        attended, *_ = layer.attention(given[:, self.kept], key_value_states=given)
        rows: torch.Tensor = hidden[:, self.kept] + attended
        if self.norm_first:
            rows = rows + layer.feed_forward(layer.final_layer_norm(rows))
            if layer.adapter_layer is not None:  # of models of many languages
                rows = rows + layer.adapter_layer(rows)
        else:
            rows = layer.layer_norm(rows)
            rows = layer.final_layer_norm(rows + layer.feed_forward(rows))
        return rows


def folded(model: torch.nn.Module) -> None:
    """Weight norm of the convolution over positions becomes the weight that it makes, in the model itself."""
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")


def first_states(extractor: Any, by_time: bool, do_normalize: bool) -> dict[str, FloatArray]:
    """States before the first call, by name: statistics of the package's sentence, with the weight of PRIOR_S."""
    samples = torch.from_numpy(speech())[None]
    states: dict[str, FloatArray] = {}
    if do_normalize:
        states |= _prior("sound", samples, 1)
    if by_time:
        conv = extractor.conv_layers[0].conv
        with torch.no_grad():
            states |= _prior("channel", conv(samples[:, None])[0], conv.stride[0])
    return states


def _prior(what: str, values: torch.Tensor, stride: int) -> dict[str, FloatArray]:
    count = PRIOR_S * RATE_HZ / stride
    doubles = values.numpy().astype(np.float64)
    sums = {
        "count": np.array([count]),
        "sum": doubles.mean(axis=1) * count,
        "squares": (doubles**2).mean(axis=1) * count,
    }
    return {f"{what}_{name}": value.astype(np.float32) for name, value in sums.items()}
