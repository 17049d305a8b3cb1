# SPDX-License-Identifier: Apache-2.0
"""What travels with the package, and the words that name it."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).with_name("assets")
VOICE = FOLDER / "voice.safetensors"
# Words, as text and exactly, for an avatar and for a sound; "./demo" and Path("demo") are files.
DEMO, SAMPLE = "demo", "sample"
_BUILT_IN = {DEMO: FOLDER / "demo.tsplat", SAMPLE: FOLDER / "hello.flac"}


def builtin_path(word: str, source: object) -> Path | None:
    """The file of the package that `source` stands for, if it is `word`."""
    return _BUILT_IN[word] if isinstance(source, str) and source == word else None
