# SPDX-License-Identifier: Apache-2.0
"""EmbedTalk's sizes and defaults, and the names of its weights.

No code of it was published. Where the paper is silent, its weights are named and shaped like those of E-D3DGS (Bae et
al., ECCV 2024), which it builds on: a first linear layer for all, then two for each attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..audio.config import AudioConfig, Shaped, audio_config_of, audio_shapes

AU_NAMES = ("AU01", "AU04", "AU05", "AU06", "AU07", "AU45")  # the order of the input "au"
# A head's name → what it adds to, and how many numbers that has.
HEADS: Mapping[str, tuple[str, int]] = {"pos": ("mean", 3), "opacity": ("logit", 1)}
# E-D3DGS has a coarse and a fine network, one after the other; equation 9 of the paper has one.
SUFFIX = "_c"
# E-D3DGS's embeddings of time: its class has them, whether or not anything is moved by time.
UNUSED = ("weight", "offsets")
AUDIO_FIRST = "audio_net.encoder_conv.0.weight"  # whose columns tell the encoder


@dataclass(frozen=True)
class EmbedTalkConfig:
    """embedding_waves, au_waves: frequencies 1, 2, 4, ... of the encodings, which keep the number itself, too."""

    embedding: int = 32
    embedding_waves: int = 4
    au: int = len(AU_NAMES)
    au_waves: int = 4
    width: int = 128
    depth: int = 1  # linear layers before the heads
    audio: AudioConfig = field(default_factory=lambda: AudioConfig(channels=1024, length=2))

    @property
    def embedding_size(self) -> int:
        """Of an encoded embedding."""
        return self.embedding * (1 + 2 * self.embedding_waves)

    @property
    def au_size(self) -> int:
        """Of the encoded action units."""
        return self.au * (1 + 2 * self.au_waves)

    @property
    def inputs(self) -> int:
        return self.embedding_size + self.audio.features + self.au_size


def config_of(state: Shaped, embedding: int, au_waves: int = 4, length: int = 2) -> EmbedTalkConfig:
    """The sizes that the weights of a state dict have, for embeddings of that size.

    au_waves tells how the first layer's columns are shared between embeddings and action units, length how many steps
    a frame's features have: no weight does. Raises KeyError for a weight that is missing, ValueError for a first layer
    that has no room for such inputs.
    """
    first = state[f"feature_out{SUFFIX}.0.weight"]
    depth = 1
    while f"feature_out{SUFFIX}.{2 * depth}.weight" in state:
        depth += 1
    audio = audio_config_of(state, length=length)
    per_number = 1 + 2 * au_waves
    rest = int(first.shape[1]) - audio.features - len(AU_NAMES) * per_number
    waves, left = divmod(rest // embedding - 1, 2) if embedding > 0 and rest > 0 and rest % embedding == 0 else (0, 1)
    if left or waves < 0:
        raise ValueError(
            f"feature_out{SUFFIX}.0.weight must have a column for each number of the encoded embedding ({embedding} x "
            f"(1 + 2 waves)), of the sound ({audio.features}) and of the encoded action units ({len(AU_NAMES)} x "
            f"{per_number}); got {int(first.shape[1])} columns."
        )
    return EmbedTalkConfig(
        embedding=embedding, embedding_waves=waves, au_waves=au_waves, width=int(first.shape[0]), depth=depth,
        audio=audio,
    )  # fmt: skip


def shapes(config: EmbedTalkConfig) -> dict[str, tuple[int, ...]]:
    """Name → shape of every weight."""
    out: dict[str, tuple[int, ...]] = {}

    def linear(name: str, o: int, i: int) -> None:
        out[f"{name}.weight"], out[f"{name}.bias"] = (o, i), (o,)

    width = config.width
    for i in range(config.depth):
        linear(f"feature_out{SUFFIX}.{2 * i}", width, width if i else config.inputs)
    for head, (_, size) in HEADS.items():
        linear(f"{head}_deform{SUFFIX}.1", width, width)
        linear(f"{head}_deform{SUFFIX}.3", size, width)
    return {**out, **audio_shapes(config.audio)}
