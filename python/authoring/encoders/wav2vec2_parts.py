# SPDX-License-Identifier: Apache-2.0
"""A folder of Wav2Vec 2.0 or HuBERT to Parts: its configuration checked, its weights loaded, the model cut in two."""

from __future__ import annotations

from typing import Any

from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2Model

from talksplat._text import shown
from talksplat.encoders.folder import MAX_WIDTH, RATE_HZ, SAMPLES_PER_ROW

from .load import load_weights
from .models import CONFIG, PREPROCESSOR, Model
from .parts import Parts
from .positions import quick_positions
from .wav2vec2 import SEEN, Front, Transformer, first_states, folded
from .wish import Wish

KINDS: dict[str, tuple[Any, Any]] = {
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model),
    "hubert": (HubertConfig, HubertModel),
}
MAX_CONVOLUTIONS = 16


def build_parts(model: Model, wish: Wish) -> Parts:
    """Raises EncoderInvalid, which names file and field, for what cannot run live, EncoderNotFound for no weights."""
    width = model.count("hidden_size", 768, 1, MAX_WIDTH)
    row_width = _row_width(model)
    norm = model.config.get("feat_extract_norm", "group")
    if norm not in ("group", "layer"):
        raise model.wrong(CONFIG, f"feat_extract_norm must be group or layer; got {shown(norm)}")
    if model.config.get("add_adapter"):
        raise model.wrong(
            CONFIG, "add_adapter is set: its convolutions make fewer than 50 features a second, which is not supported"
        )
    do_normalize = _do_normalize(model)
    family = str(model.config["model_type"])
    make_config, kind = KINDS[family]
    loaded = load_weights(model, kind, make_config.from_dict(dict(model.config)))
    folded(loaded)
    window = wish.rows
    transformer = Transformer(loaded, window.left, window.chunk, wish.layer)
    transformer.positions = quick_positions(transformer.positions, sum(window))
    return Parts(
        name=model.name,
        family=family,
        preset=wish.preset,
        front=Front(loaded.feature_extractor, norm == "group", do_normalize).eval(),
        transformer=transformer.eval(),
        states=first_states(loaded.feature_extractor, norm == "group", do_normalize),
        chunk=window.chunk,
        left=window.left,
        right=window.right,
        front_width=row_width,
        width=width,
        hidden_layer=wish.layer,
        samples=SAMPLES_PER_ROW * wish.window.chunk + SEEN - SAMPLES_PER_ROW,
        lead=0,
        centre=SEEN // 2,
        order=wish.order,
        fps=wish.fps,
        front_chunk=wish.window.chunk,
        source=wish.source,
    )


def _row_width(model: Model) -> int:
    """Of the convolutions' last. Raises EncoderInvalid where they are not 400 samples wide and 320 apart."""
    defaults = {"conv_dim": [512] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2]}
    lists = {key: model.config.get(key, default) for key, default in defaults.items()}
    for key, value in lists.items():
        fits = isinstance(value, list | tuple) and 1 <= len(value) <= MAX_CONVOLUTIONS
        if not fits or not all(type(n) is int and 1 <= n <= MAX_WIDTH for n in value):
            raise model.wrong(CONFIG, f"{key} must be a list of at most {MAX_CONVOLUTIONS} counts; got {shown(value)}")
    if len({len(value) for value in lists.values()}) != 1:
        raise model.wrong(CONFIG, "conv_dim, conv_kernel and conv_stride must be equally long")
    seen, apart = 1, 1
    for kernel, stride in zip(lists["conv_kernel"], lists["conv_stride"], strict=True):
        seen += (kernel - 1) * apart
        apart *= stride
    if (seen, apart) != (SEEN, SAMPLES_PER_ROW):
        raise model.wrong(
            CONFIG,
            f"the convolutions must see {SEEN} samples, {SAMPLES_PER_ROW} apart; these see {seen}, {apart} apart",
        )
    return int(lists["conv_dim"][-1])


def _do_normalize(model: Model) -> bool:
    """Whether sound is brought to unit variance first."""
    try:
        given = model.read_json(PREPROCESSOR)
    except FileNotFoundError:
        raise model.wrong(
            PREPROCESSOR, "is missing: it says whether sound is brought to unit variance first (do_normalize)"
        ) from None
    rate = given.get("sampling_rate", RATE_HZ)
    if rate != RATE_HZ:
        raise model.wrong(PREPROCESSOR, f"sampling_rate must be {RATE_HZ}; got {shown(rate)}")
    value = given.get("do_normalize", True)  # the default of Wav2Vec2FeatureExtractor
    if not isinstance(value, bool):
        raise model.wrong(PREPROCESSOR, f"do_normalize must be true or false; got {shown(value)}")
    return value
