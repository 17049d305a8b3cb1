# SPDX-License-Identifier: Apache-2.0
"""Sizes of the audio encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Shaped = Mapping[str, Any]  # a state dict, of numpy's or of torch's tensors
STRIDE, PADDING, TAPS = 2, 1, 3


@dataclass(frozen=True)
class AudioConfig:
    """before, after: frames of the window around the one that is made; length: steps of a frame's features."""

    channels: int = 29
    length: int = 16
    before: int = 4
    after: int = 3
    widths: tuple[int, ...] = (32, 32, 64, 64)  # of the convolutions along a frame's steps
    hidden: int = 64
    features: int = 32
    attention_widths: tuple[int, ...] = (16, 8, 4, 2, 1)
    slope: float = 0.02  # of leaky ReLU

    @property
    def frames(self) -> int:
        return self.before + 1 + self.after


def lengths(config: AudioConfig) -> list[int]:
    """Steps after each convolution. Raises ValueError unless one step is left in the end."""
    out = [config.length]
    for _ in config.widths:
        out.append((out[-1] + 2 * PADDING - TAPS) // STRIDE + 1)
    if out[-1] != 1:
        raise ValueError(
            f"audio: {len(config.widths)} convolutions of stride {STRIDE} must leave one of {config.length} steps; "
            f"they leave {out[-1]}. At most {STRIDE ** len(config.widths)} fit."
        )
    return out[1:]


def audio_config_of(state: Shaped, prefix: str = "", length: int = 16) -> AudioConfig:
    """The sizes that the weights audio_net.* and audio_att_net.* of a state dict have.

    length: steps of a frame's features, which no weight tells. The window's longer part lies before the frame, as in
    every known training. Raises KeyError for a weight that is missing.
    """
    convolutions = _layers(state, f"{prefix}audio_net.encoder_conv.")
    attention = _layers(state, f"{prefix}audio_att_net.attentionConvNet.")
    frames = int(state[f"{prefix}audio_att_net.attentionNet.0.weight"].shape[0])
    fc1 = f"{prefix}audio_net.encoder_fc1."
    return AudioConfig(
        channels=int(convolutions[0].shape[1]),
        length=length,
        before=frames // 2,
        after=frames - 1 - frames // 2,
        widths=tuple(int(w.shape[0]) for w in convolutions),
        hidden=int(state[f"{fc1}0.weight"].shape[0]),
        features=int(state[f"{fc1}2.weight"].shape[0]),
        attention_widths=tuple(int(w.shape[0]) for w in attention),
    )


def audio_shapes(config: AudioConfig, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """Name → shape of the encoder's weights."""
    out: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int) -> None:
        out[f"{prefix}{name}.weight"] = shape
        out[f"{prefix}{name}.bias"] = shape[:1]

    ins = (config.channels, *config.widths)
    for i, width in enumerate(config.widths):
        layer(f"audio_net.encoder_conv.{2 * i}", width, ins[i], TAPS)
    layer("audio_net.encoder_fc1.0", config.hidden, config.widths[-1])
    layer("audio_net.encoder_fc1.2", config.features, config.hidden)
    ins = (config.features, *config.attention_widths)
    for i, width in enumerate(config.attention_widths):
        layer(f"audio_att_net.attentionConvNet.{2 * i}", width, ins[i], TAPS)
    layer("audio_att_net.attentionNet.0", config.frames, config.frames)
    return out


def _layers(state: Shaped, prefix: str) -> list[Any]:
    """The weights PREFIX0.weight, PREFIX2.weight, ...: activations stand between them."""
    out = [state[f"{prefix}0.weight"]]
    while (name := f"{prefix}{2 * len(out)}.weight") in state:
        out.append(state[name])
    return out
