# SPDX-License-Identifier: Apache-2.0
"""Whisper's encoder to Parts: its weights loaded, of either format, the model cut in two."""

from __future__ import annotations

from typing import Any

import torch
from transformers import WhisperConfig, WhisperModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from talksplat._text import shown

from .load import load_weights
from .models import CONFIG, Model
from .parts import Parts
from .whisper import Front, Transformer
from .whisper_ctranslate2 import read_encoder
from .whisper_files import joined
from .wish import Wish


def build_parts(model: Model, wish: Wish) -> Parts:
    """Raises EncoderInvalid for weights that cannot be read, ValueError for a rate of video frames or a long window."""
    if wish.fps is not None:
        raise ValueError("fps is for FaceFormer's order, which is of Wav2Vec 2.0 and HuBERT; Whisper has none.")
    encoder = load_encoder(model)
    window, n_positions = wish.rows, encoder.embed_positions.num_embeddings
    if sum(window) > n_positions:
        raise ValueError(f"the window must be at most {n_positions} rows, the model's positions; got {sum(window)}.")
    front, width = Front(encoder, window.chunk), int(encoder.config.d_model)
    return Parts(
        name=model.name,
        family="whisper",
        preset=wish.preset,
        front=front.eval(),
        transformer=Transformer(encoder, wish.layer, window).eval(),
        states={"loudest": front.first_loudest()},
        chunk=window.chunk,
        left=window.left,
        right=window.right,
        front_width=width,
        width=width,
        hidden_layer=wish.layer,
        samples=front.samples,
        lead=front.lead,
        centre=0,
        order=wish.order,
        source=wish.source,
    )


def load_encoder(model: Model) -> Any:
    """The model as a WhisperEncoder of transformers, in float32 and evaluation mode, with eager attention.

    Raises EncoderInvalid for damaged weights and for a configuration that is not of Whisper as it was published.
    """
    if model.weights:
        return _of_ctranslate2(model)
    config = WhisperConfig.from_dict(dict(model.config))
    if config.activation_function != "gelu" or config.scale_embedding:
        raise model.wrong(
            CONFIG,
            "activation_function must be gelu and scale_embedding false, as of every Whisper; got "
            f"{shown(config.activation_function)} and {shown(config.scale_embedding)}",
        )
    return load_weights(model, WhisperModel, config).encoder


def _of_ctranslate2(model: Model) -> Any:
    sizes, weights = read_encoder(str(model.weights[0]), joined(model))
    make_config: Any = WhisperConfig  # its types lack attn_implementation
    config = make_config(
        num_mel_bins=sizes.n_mels,
        d_model=sizes.width,
        encoder_layers=sizes.n_layers,
        encoder_attention_heads=sizes.n_heads,
        encoder_ffn_dim=sizes.n_inner,
        max_source_positions=sizes.n_positions,
        activation_function="gelu",
        attn_implementation="eager",
    )
    with torch.device("meta"):  # no memory, and no random numbers, for weights that come next
        encoder: Any = WhisperEncoder(config)
    encoder.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, assign=True)
    return encoder.eval()
