# SPDX-License-Identifier: Apache-2.0
"""Weights into transformers' own classes, never by unpickling them and never with a part of them made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from talksplat._text import listed, shortened

from .models import CONFIG, Model, require_weights
from .quiet import quiet

# Of training alone.
_UNUSED = ("masked_spec_embed",)
_LEAST_BYTES = 2  # of a weight: float16


def load_weights(model: Model, kind: Any, config: Any) -> Any:
    """The model as a `kind`, a class of transformers, in float32 and evaluation mode, with eager attention.

    Raises EncoderNotFound where there is no model.safetensors, with the way out, EncoderInvalid where it does not hold
    what the configuration says.
    """
    path = require_weights(model)
    _require_size(model, path, kind, config)
    try:
        with quiet():  # it prints tables of what is missing, an error here, and of what is left over
            loaded, told = kind.from_pretrained(
                model.path, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True,
                attn_implementation="eager",
            )  # fmt: skip
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise model.wrong(path.name, f"does not hold what config.json says ({shortened(str(error))})") from None
    missing = sorted(str(key) for key in told["missing_keys"] if not str(key).endswith(_UNUSED))
    if missing:
        raise model.wrong(
            path.name, f"lacks {len(missing)} of the model's tensors: {listed(missing, len(missing), letters=160)}"
        )
    if told.get("mismatched_keys"):
        raise model.wrong(path.name, f"has tensors of other shapes than config.json says: {told['mismatched_keys']}")
    loaded = loaded.float().eval()
    for name, tensor in loaded.state_dict().items():
        if not bool(tensor.isfinite().all()):
            raise model.wrong(path.name, f"has numbers in {name} that are not finite")
    return loaded


def _require_size(model: Model, path: Path, kind: Any, config: Any) -> None:
    """Before memory is taken: a few bytes of config.json can describe any number of weights."""
    try:
        with torch.device("meta"):
            n_weights = sum(weight.numel() for weight in kind(config).parameters())
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, ZeroDivisionError) as error:
        raise model.wrong(CONFIG, f"describes no model ({shortened(str(error))})") from None
    n_bytes = path.stat().st_size
    if _LEAST_BYTES * n_weights > n_bytes:
        raise model.wrong(
            path.name, f"has {n_bytes} bytes, too few for the {n_weights} weights that {CONFIG} describes"
        )
