# SPDX-License-Identifier: Apache-2.0
"""Small models of transformers with random weights, in folders as save_pretrained() writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

TINY = {
    "num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4,
    "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip


def save_model(folder: Path, family: str = "wav2vec2", norm: str = "group", do_normalize: bool = True) -> Path:
    """A tiny model whose norms and biases are random too, in `folder`; needs torch and transformers."""
    import torch
    import transformers

    prefix = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert"}[family]
    config = getattr(transformers, f"{prefix}Config")(
        **TINY, feat_extract_norm=norm, do_stable_layer_norm=norm == "layer", conv_bias=norm == "layer"
    )
    torch.manual_seed(1)
    model = getattr(transformers, f"{prefix}Model")(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    model.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=do_normalize).save_pretrained(folder)
    return folder


def load_model(folder: Path) -> Any:
    import transformers

    return transformers.AutoModel.from_pretrained(folder).eval()


def sound(n: int, seed: int = 0) -> np.ndarray:
    """[n] float32: a voice-like hum with noise and an offset, swelling and fading."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / 16000
    hum = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 12))
    return (0.01 + 0.1 * (0.3 + np.sin(2 * np.pi * 3 * t) ** 2) * (hum + rng.standard_normal(n))).astype(np.float32)
