# SPDX-License-Identifier: Apache-2.0
"""Where a model lies on this machine, and what its configuration says. Nothing here reaches for a network."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from talksplat._json import parse_json
from talksplat._text import shown
from talksplat.encoders.folder import MAX_LETTERS, export_command
from talksplat.errors import EncoderInvalid, EncoderNotFound

CONFIG, WEIGHTS, PREPROCESSOR = "config.json", "model.safetensors", "preprocessor_config.json"
PICKLED = "pytorch_model.bin"
MAX_JSON_BYTES = 1 << 20
# OWNER/MODEL, as the Hugging Face Hub has them, or MODEL alone.
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")


@dataclass(frozen=True)
class Model:
    """path: the folder.  name: as it was asked for.  config: what config.json says, an object of no checked fields.

    weights: files that hold them one after the other, where they are not in model.safetensors.
    """

    path: Path
    name: str
    config: Mapping[str, Any]
    weights: tuple[Path, ...] = ()

    def count(self, key: str, default: int | None, least: int, most: int) -> int:
        """A whole number of the configuration. Raises EncoderInvalid where it is none, or out of range."""
        value = self.config.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(CONFIG, f"{key} must be a whole number, {least} to {most}; got {shown(value)}")
        return value

    def wrong(self, file: str, what: str) -> EncoderInvalid:
        return EncoderInvalid(f"{self.path / file}: {what}. Fetch the model again, or another one.")

    def read_json(self, file: str) -> dict[str, Any]:
        """A JSON object of the folder. Raises EncoderInvalid where it is none, OSError where it cannot be read."""
        path = self.path / file
        with open(path, "rb") as opened:
            text = opened.read(MAX_JSON_BYTES + 1)
        if len(text) > MAX_JSON_BYTES:
            raise self.wrong(file, f"has more than {MAX_JSON_BYTES} bytes")
        value = parse_json(str(path), text, EncoderInvalid, "configuration")
        if not isinstance(value, dict):
            raise self.wrong(file, f"must be a JSON object; got {shown(value)}")
        return value


def find_model(source: str) -> Model:
    """The model in a folder, or of that name in the cache of the Hugging Face Hub.

    Raises EncoderNotFound, with how to fetch it, EncoderInvalid for a configuration that cannot be read, and
    ValueError for what is neither a folder nor a name.
    """
    if os.path.isdir(source):
        path = Path(source)
        name = path.resolve().name
        if not name.isprintable() or not 1 <= len(name) <= MAX_LETTERS:
            name = "model"
    elif _NAME.fullmatch(source):
        path, name = _cached(source), source
    else:
        raise EncoderNotFound(
            f"{shown(source)}: there is no such folder, nor is it a name as facebook/wav2vec2-base-960h."
        )
    model = Model(path, name, {})
    try:
        config = model.read_json(CONFIG)
    except OSError as error:
        raise EncoderNotFound(
            f"{path / CONFIG}: cannot be read ({error.strerror or error}). A model's folder has {CONFIG}, "
            f"{WEIGHTS} and {PREPROCESSOR}, as save_pretrained() of transformers writes them."
        ) from None
    return Model(path, name, MappingProxyType(config))


def require_weights(model: Model) -> Path:
    """The file of the weights. Raises EncoderNotFound where there is none that is safe to read."""
    path = model.path / WEIGHTS
    if path.is_file():
        return path
    if (model.path / PICKLED).is_file():
        raise EncoderNotFound(
            f"{model.path}: has {PICKLED}, a pickle, which can run anything and is not read. Take the model's "
            f"{WEIGHTS} where it has one; else, if you trust where it is from, make it, in Python: from transformers "
            f"import AutoModel; AutoModel.from_pretrained({str(model.path)!r}).save_pretrained({str(model.path)!r})"
        )
    raise EncoderNotFound(f"{path}: there are no weights. Copy the model's {WEIGHTS} to it.")


def hub_cache() -> Path:
    """Where the Hugging Face Hub's own tools keep models."""
    if own := os.environ.get("HF_HUB_CACHE"):
        return Path(own)
    if home := os.environ.get("HF_HOME"):
        return Path(home) / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface" / "hub"


def _cached(name: str) -> Path:
    folder = hub_cache() / f"models--{name.replace('/', '--')}"
    try:
        revision = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        revision = ""
    if re.fullmatch(r"[0-9a-f]{40}", revision) and (path := folder / "snapshots" / revision).is_dir():
        return path
    local = name.rpartition("/")[2]
    fetch = shlex.join(["hf", "download", name, CONFIG, WEIGHTS, PREPROCESSOR, "--local-dir", local])
    raise EncoderNotFound(
        f"{name}: there is no folder of that name, and the model is not in {hub_cache()}. talksplat fetches nothing "
        f"itself. Where there is a network: {fetch}. Then: {export_command('./' + local)}"
    )
