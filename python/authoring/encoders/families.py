# SPDX-License-Identifier: Apache-2.0
"""The kinds of models that can be exported: how each is brought to Parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from talksplat._text import shown
from talksplat.encoders.folder import FAMILIES as NAMES
from talksplat.encoders.folder import MAX_LAYER

from .models import CONFIG, Model
from .parts import Parts
from .wish import Wish


class Family(NamedTuple):
    """n_layers: of a model's transformer, by its configuration.  build: loads the model. Both raise EncoderInvalid."""

    n_layers: Callable[[Model], int]
    build: Callable[[Model, Wish], Parts]


def _n_layers(model: Model) -> int:
    return model.count("num_hidden_layers", 12, 1, MAX_LAYER)


def _wav2vec2(model: Model, wish: Wish) -> Parts:
    from .wav2vec2_parts import build_parts  # here: torch and transformers take seconds to import

    return build_parts(model, wish)


def _n_whisper_layers(model: Model) -> int:
    return model.count("encoder_layers", 4, 1, MAX_LAYER)  # the default of WhisperConfig


def _whisper(model: Model, wish: Wish) -> Parts:
    from .whisper_parts import build_parts

    return build_parts(model, wish)


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "wav2vec2": Family(_n_layers, _wav2vec2),
        "hubert": Family(_n_layers, _wav2vec2),
        "whisper": Family(_n_whisper_layers, _whisper),
    }
)
assert set(FAMILIES) <= set(NAMES)


def family_of(model: Model) -> Family:
    """Raises EncoderInvalid for a model of another kind."""
    kind = model.config.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise model.wrong(CONFIG, f"model_type must be one of {', '.join(FAMILIES)}; got {shown(kind)}")
    return FAMILIES[kind]
