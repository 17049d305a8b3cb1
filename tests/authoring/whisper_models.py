# SPDX-License-Identifier: Apache-2.0
"""Whisper encoders of random weights, small enough for tests, and files of CTranslate2 that hold them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

TYPES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
N_LAYERS = 2


def tiny_config(n_positions: int = 200) -> WhisperConfig:
    return WhisperConfig(
        d_model=32, encoder_layers=N_LAYERS, encoder_attention_heads=4, encoder_ffn_dim=48, num_mel_bins=80,
        max_source_positions=n_positions, decoder_layers=1, decoder_attention_heads=4, decoder_ffn_dim=32,
        vocab_size=100, pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=0,
        attn_implementation="eager",
    )  # fmt: skip


def tiny_encoder(n_positions: int = 200) -> Any:
    """In evaluation mode; every weight is random, biases and norms too, so that a swap of two shows."""
    torch.manual_seed(0)
    encoder = WhisperEncoder(tiny_config(n_positions)).eval()
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            weight.copy_(0.2 * torch.randn(weight.shape) + ("norm" in name and "weight" in name))
    return encoder


def tensors_of(encoder: Any) -> dict[str, np.ndarray]:
    """What CTranslate2's converter makes of the encoder, by its names."""
    state = {name: value.detach().numpy() for name, value in encoder.state_dict().items()}
    found: dict[str, np.ndarray] = {
        "encoder/num_heads": np.array(encoder.config.encoder_attention_heads, np.int16),
        "encoder/pre_norm": np.array(1, np.int8),
        "encoder/activation": np.array(3, np.int8),
        "encoder/position_encodings/encodings": state["embed_positions.weight"],
        "decoder/embeddings/weight": np.zeros((3, 2), np.float32),
    }

    def pair(here: str, there: str, names: tuple[str, str] = ("weight", "bias")) -> None:
        found[f"encoder/{here}/{names[0]}"] = state[f"{there}.weight"]
        found[f"encoder/{here}/{names[1]}"] = state[f"{there}.bias"]

    norm = ("gamma", "beta")
    pair("conv1", "conv1")
    pair("conv2", "conv2")
    pair("layer_norm", "layer_norm", norm)
    for i in range(encoder.config.encoder_layers):
        own, there = f"layer_{i}/self_attention", f"layers.{i}"
        pair(f"{own}/layer_norm", f"{there}.self_attn_layer_norm", norm)
        pair(f"{own}/linear_1", f"{there}.self_attn.out_proj")
        pair(f"layer_{i}/ffn/layer_norm", f"{there}.final_layer_norm", norm)
        pair(f"layer_{i}/ffn/linear_0", f"{there}.fc1")
        pair(f"layer_{i}/ffn/linear_1", f"{there}.fc2")
        q, k, v = (state[f"{there}.self_attn.{part}_proj.weight"] for part in "qkv")
        found[f"encoder/{own}/linear_0/weight"] = np.concatenate([q, k, v])
        q, v = (state[f"{there}.self_attn.{part}_proj.bias"] for part in "qv")
        found[f"encoder/{own}/linear_0/bias"] = np.concatenate([q, np.zeros_like(q), v])
    return found


def text(name: str) -> bytes:
    return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"


def tensor(name: str, array: np.ndarray) -> bytes:
    head = text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
    return head + struct.pack("<BI", TYPES[array.dtype.name], array.nbytes) + array.tobytes()


def model_bin(tensors: Mapping[str, np.ndarray]) -> bytes:
    """model.bin as CTranslate2's model_spec.py lays it out."""
    aliases = struct.pack("<I", 1) + text("decoder/projection/weight") + text("decoder/embeddings/weight")
    body = b"".join(tensor(name, array) for name, array in sorted(tensors.items()))
    return struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(tensors)) + body + aliases
