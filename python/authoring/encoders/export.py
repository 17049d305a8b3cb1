# SPDX-License-Identifier: Apache-2.0
"""One door to exporting: a model's folder or name in, an encoder folder out, made once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from talksplat._text import shown
from talksplat.encoders.folder import (
    MANIFEST,
    MAX_FPS,
    MIN_FPS,
    PRESETS,
    EncoderFolder,
    cache_folder,
    cached_path,
    read_folder,
)
from talksplat.errors import EncoderInvalid, EncoderNotFound

from .families import Family, family_of
from .hashes import hash_of
from .models import CONFIG, PREPROCESSOR, Model, find_model, require_weights
from .place import locked, require_replaceable
from .whisper_files import find_ctranslate2
from .wish import REVISION, Wish

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Export:
    """folder: what lies there now.  made: False where it was there already.

    errors: of a new one, by precision: how far onnxruntime's features are from torch's on the self-test, as a part of
    their root mean square.
    """

    folder: EncoderFolder
    made: bool
    errors: dict[str, float]


def export_encoder(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    *,
    preset: str = "cpu",
    layer: int | None = None,
    fp16: bool = False,
    fps: float | None = None,
    tell: Tell | None = None,
) -> Export:
    """Write the encoder folder of a Wav2Vec 2.0, HuBERT or Whisper model, or find it written.

    source: a folder with config.json, model.safetensors and preprocessor_config.json, the name of a model that is in
    the cache of the Hugging Face Hub, a folder with Whisper's model.bin of CTranslate2, or whisper-base, whose weights
    are in two packages (the extra whisper-base). Nothing is fetched.
    folder: where to write; in the cache of talksplat if None. An encoder folder that lies there is kept where it is
    whole and of the same weights and arguments, and replaced else.
    preset: the window, one of PRESETS.  layer: the hidden layer, 0 for what goes into the first; the last if None.
    fp16: a transformer in float16 too.  fps: FaceFormer's order: rows are resampled to this rate, of video frames,
    before the transformer.  tell: called with what is done next.
    Raises EncoderNotFound, EncoderInvalid, ValueError for arguments, ImportError where a package is missing,
    TimeoutError where another process is at it for too long, OSError where the folder cannot be written.
    """
    tell = tell or _untold
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {shown(preset)}.")
    if fps is not None and not MIN_FPS <= fps <= MAX_FPS:
        raise ValueError(f"fps must be {MIN_FPS:g} to {MAX_FPS:g}; got {fps:g}.")
    model = find_ctranslate2(os.fsdecode(source)) or find_model(os.fsdecode(source))
    family = family_of(model)
    n_layers = family.n_layers(model)
    if layer is not None and not 0 <= layer <= n_layers:
        raise ValueError(f"layer must be 0 to {n_layers}, the layers of {model.name}; got {layer}.")
    chosen = n_layers if layer is None else layer
    place = cached(model.name, preset, chosen, fps) if folder is None else Path(os.path.abspath(folder))
    require_replaceable(place)
    with locked(place, tell):
        wish = Wish(preset, PRESETS[preset], chosen, fps, hash_of_model(model))
        found = intact(place, model, wish, fp16)
        if found is not None:
            return Export(found, False, {})
        tell(f"loading {model.name}")
        errors = _build_and_write(family, model, wish, place, fp16, tell)
    return Export(read_folder(place), True, errors)


def _build_and_write(family: Family, model: Model, wish: Wish, place: Path, fp16: bool, tell: Tell) -> dict[str, float]:
    try:
        from .write import write_folder  # here: torch takes seconds to import, and may not be there

        parts = family.build(model, wish)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"exporting an encoder needs {error.name}, which is not installed: pip install 'talksplat[encoders-export]'"
        ) from None
    return write_folder(parts, place, fp16=fp16, tell=tell)


def _untold(text: str) -> None:
    pass


def cached(name: str, preset: str, layer: int, fps: float | None) -> Path:
    """Where an export is kept unless a folder is named."""
    path = cached_path(name, preset, layer)
    return path if fps is None else path.with_name(f"{path.name}-{fps:g}fps")


def intact(folder: Path, model: Model, wish: Wish, fp16: bool) -> EncoderFolder | None:
    """What lies there, if it is what would be written: whole, and of the same weights and arguments."""
    try:
        found = read_folder(folder)
        same = (found.name, found.preset, found.hidden_layer, found.fps) == (
            model.name, wish.preset, wish.layer, wish.fps
        )  # fmt: skip
        graphs = {"fp32", "int8", "int8-static"} | ({"fp16"} if fp16 else set())
        whole = graphs <= set(found.graphs) and (not fp16 or "fp16" in found.batches)
        if not same or not whole or _made_of(folder) != (wish.source, REVISION):
            return None
        for name in found.files:
            found.intact(name)
    except (EncoderInvalid, EncoderNotFound):
        return None
    return found


def _made_of(folder: Path) -> tuple[object, object]:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    return manifest.get("source"), manifest.get("revision")


def hash_of_model(model: Model) -> str:
    """SHA-256 of what an export depends on. Raises EncoderNotFound where the weights are missing."""
    with ExitStack() as stack:
        weights = model.weights or (require_weights(model),)
        paths = [model.path / CONFIG, *weights, model.path / PREPROCESSOR]
        return hash_of(stack.enter_context(open(path, "rb")) for path in paths if path.is_file())


def exported() -> list[EncoderFolder]:
    """The encoder folders of the cache whose manifests can be read, by name."""
    try:
        folders = sorted(entry for entry in (cache_folder() / "encoders").iterdir() if entry.is_dir())
    except FileNotFoundError:
        return []
    found = []
    for folder in folders:
        try:
            found.append(read_folder(folder))
        except (EncoderInvalid, EncoderNotFound):
            continue
    return found
