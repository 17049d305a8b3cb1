# SPDX-License-Identifier: Apache-2.0
"""The audio encoder as condition stages of a deform program, and the input that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from talksplat.errors import AvatarInvalid

from ...deform_program import Condition
from ...spec import Array, Input, Window
from .config import PADDING, STRIDE, AudioConfig


class Encoder(NamedTuple):
    """What makes features: how many steps a frame has of them, and how far they reach beyond the frame's time."""

    name: str
    length: int
    after_ms: float


# By channels; all have steps of 20 ms. DeepSpeech and Esperanto give each frame sixteen of them, centred on its time:
# eight lie after it. HuBERT gives the two that begin with it. What the encoders themselves look at beyond their steps
# is not counted: HuBERT's attention has no end.
ENCODERS = {
    29: Encoder("deepspeech", 16, 160.0),
    44: Encoder("esperanto", 16, 160.0),
    1024: Encoder("hubert", 2, 40.0),
}


def encoder_of(where: str, config: AudioConfig, weight: str) -> Encoder:
    """What makes the features that a network takes; weight is the name of the one that takes them.

    Raises AvatarInvalid, which begins with where, if it is none that is known.
    """
    if config.channels not in ENCODERS:
        known = ", ".join(f"{channels} ({encoder.name})" for channels, encoder in ENCODERS.items())
        raise AvatarInvalid(
            f"{where}: the weight {weight} must take the channels of an encoder that is known, {known}; got "
            f"{config.channels}."
        )
    return ENCODERS[config.channels]


def audio_input(config: AudioConfig, name: str = "audio") -> Input:
    """The input of features of the frames around the one that is made: [frames,channels,length], row-major."""
    window = Window(before=config.before, after=config.after, channels=config.channels, length=config.length)
    size = config.frames * config.channels * config.length
    return Input(name=name, size=size, target="deform", window=window)


def look_ahead_ms(config: AudioConfig, encoder: Encoder, fps: float) -> float:
    """How much sound after a frame its window holds: that of the frames after it, and of the last one's features."""
    return config.after * 1000.0 / fps + encoder.after_ms


def audio_stages(condition: Condition, window: str, config: AudioConfig, weights: Mapping[str, Array], out: str) -> str:
    """Add the stages that make of a window [frames,channels,length] its vector [1,features,1], named out.

    weights: by the names of audio_shapes(), without a prefix.
    """

    def convolutions(x: str, layers: str, count: int, stride: int) -> str:
        for i in range(count):
            name = f"{layers}.{2 * i}"
            x = condition.conv(f"{out}.{name}", x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, PADDING,
                               "leaky_relu", config.slope)  # fmt: skip
        return x

    def linear(x: str, name: str, activation: str, slope: float | None = None) -> str:
        return condition.linear(f"{out}.{name}", x, weights[f"{name}.weight"], weights[f"{name}.bias"], activation,
                                slope)  # fmt: skip

    steps = convolutions(window, "audio_net.encoder_conv", len(config.widths), STRIDE)
    hidden = linear(steps, "audio_net.encoder_fc1.0", "leaky_relu", config.slope)
    frames = linear(hidden, "audio_net.encoder_fc1.2", "none")
    over_time = condition.transpose(f"{out}.over_time", frames)
    scores = convolutions(over_time, "audio_att_net.attentionConvNet", len(config.attention_widths), 1)
    return condition.pool(out, frames, linear(scores, "audio_att_net.attentionNet.0", "softmax"))
