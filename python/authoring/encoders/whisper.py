# SPDX-License-Identifier: Apache-2.0
"""Whisper's encoder as a live one: a front that takes sound as it comes, and a transformer over a window of its rows.

The model was made for half a minute at once. Three things in it look beyond a window, and stand here for these:

- Its two convolutions and its spectrum are padded at both ends of the sound. Here they see the sound itself, or the
  zeros before its begin: row i depends on samples 320 i - 520 to 320 i + 520 alone, so that no row waits for another.
- Its log-mel spectrum is cut off 8 decades below the loudest value of the half minute. Here that is the loudest of the
  last half minute of sound so far (`Front`).
- Its position table counts from the half minute's begin. A window has no such place, and takes the table's first rows:
  every sound that the model was trained on began there.

bench/encoders/whisper_windows.py measures what this costs: features are the same kind of thing, but other numbers. What
uses them must have learnt from a live encoder's, of the same preset.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import WhisperFeatureExtractor

from talksplat._arrays import FloatArray
from talksplat.encoders.folder import RATE_HZ, SAMPLES_PER_ROW, Preset

# Of the spectrum, in samples (WhisperFeatureExtractor has the same).
WINDOW, HOP = 400, 160
MIN_POWER = 1e-10
DECADES = 8.0
MEMORY_ROWS = 1500  # half a minute
# Where the loudest value of a sound lies before any was heard: a little below that of recordings of speech, whose own
# takes its place within their first words; one above theirs would stay for half a minute.
FIRST_LOUDEST = 0.5


class Front(nn.Module):
    """Sound to the rows that Whisper's two convolutions make, `chunk` a call, exactly what one call for all would make.

    forward: samples [1,320 chunk + 720] from hop · call - 520 on, and loudest [calls in half a minute], of the log-mel
    spectrum, the oldest first; returns rows [1,chunk,width] and loudest after them. A call without a value above the
    floor is silent and not remembered, so that a speaker finds the floor where the last words left it.
    """

    waves: Tensor  # [402,1,400]: cosines, then sines, under a Hann window
    bands: Tensor  # [bands,201]

    def __init__(self, encoder: Any, chunk: int) -> None:
        super().__init__()
        make_extractor: Any = WhisperFeatureExtractor  # without types
        extractor = make_extractor(feature_size=encoder.config.num_mel_bins, sampling_rate=RATE_HZ)
        angle = 2 * np.pi / WINDOW * np.outer(np.arange(WINDOW // 2 + 1), np.arange(WINDOW))
        hann = 0.5 - 0.5 * np.cos(2 * np.pi / WINDOW * np.arange(WINDOW))
        waves = hann * np.concatenate([np.cos(angle), np.sin(angle)])
        self.register_buffer("waves", torch.from_numpy(waves[:, None].astype(np.float32)))
        self.register_buffer("bands", torch.from_numpy(extractor.mel_filters.T.astype(np.float32)))
        self.conv1, self.conv2 = _unpadded(encoder.conv1), _unpadded(encoder.conv2)
        self.chunk = chunk

    @property
    def samples(self) -> int:
        return SAMPLES_PER_ROW * self.chunk - SAMPLES_PER_ROW + 2 * self.lead

    @property
    def lead(self) -> int:
        """A row's samples before its centre: two steps of the spectrum, a step for each convolution, and half one."""
        return 2 * HOP + WINDOW // 2

    def first_loudest(self) -> FloatArray:
        """The state before the first call."""
        return np.full(-(-MEMORY_ROWS // self.chunk), FIRST_LOUDEST, np.float32)

    def forward(self, samples: Tensor, loudest: Tensor) -> tuple[Tensor, Tensor]:
        log_mel = self.log_mel(samples)
        now = log_mel.max().reshape(1)
        heard = now > loudest.max() - DECADES
        loudest = torch.where(heard, torch.cat([loudest[1:], now]), loudest)
        log_mel = torch.maximum(log_mel, loudest.max() - DECADES)
        rows = nn.functional.gelu(self.conv1((log_mel + 4.0) / 4.0))
        rows = nn.functional.gelu(self.conv2(rows))
        return rows.transpose(1, 2), loudest

    def log_mel(self, samples: Tensor) -> Tensor:
        """Decades of power per mel band: [batch,samples] to [batch,bands,1 + (samples - 400) / 160]."""
        real, imaginary = nn.functional.conv1d(samples[:, None], self.waves, stride=HOP).chunk(2, 1)
        power = torch.matmul(self.bands, real * real + imaginary * imaginary)
        return power.clamp(min=MIN_POWER).log10()


class Transformer(nn.Module):
    """A window of rows, [batch,left + chunk + right,width], to its chunk's features, [batch,chunk,width].

    They are transformers' hidden_states[hidden_layer]: after the last layer with the norm that follows it. Of the last
    layer only the chunk's rows are computed: the others are its keys and values, and nothing else.
    """

    positions: Tensor

    def __init__(self, encoder: Any, hidden_layer: int, preset: Preset) -> None:
        super().__init__()
        self.register_buffer("positions", encoder.embed_positions.weight.detach()[: sum(preset)].clone())
        self.layers = nn.ModuleList(encoder.layers[:hidden_layer])
        self.norm = encoder.layer_norm if hidden_layer == len(encoder.layers) else nn.Identity()
        self.kept = slice(preset.left, preset.left + preset.chunk)

    def forward(self, window: Tensor) -> Tensor:
        hidden = window + self.positions
        for layer in self.layers[:-1]:
            hidden = layer(hidden, None)
        rows = self._last(self.layers[-1], hidden) if len(self.layers) > 0 else hidden[:, self.kept]
        features: Tensor = self.norm(rows)
        return features

    def _last(self, layer: Any, hidden: Tensor) -> Tensor:
        """The chunk's rows of layer(hidden)."""
        given = layer.self_attn_layer_norm(hidden)
        attended, *_ = layer.self_attn(given[:, self.kept], key_value_states=given)
        rows: Tensor = hidden[:, self.kept] + attended
        fed: Tensor = layer.fc2(layer.activation_fn(layer.fc1(layer.final_layer_norm(rows))))
        return rows + fed


def _unpadded(conv: nn.Conv1d) -> nn.Conv1d:
    """The same weights over what is really there: two values fewer come out."""
    bare = nn.Conv1d(conv.in_channels, conv.out_channels, conv.kernel_size[0], conv.stride[0])
    bare.load_state_dict(conv.state_dict())
    return bare
