# SPDX-License-Identifier: Apache-2.0
"""What a training's cfg_args says: the text of a Python expression, which is matched and never run."""

from __future__ import annotations

import re
from pathlib import Path

MAX_BYTES = 64 << 10
_TEXTS = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\"""")  # paths, which may hold anything


class CfgArgs:
    """Options by name, out of "Namespace(name=value, ...)"; empty if there is no file."""

    def __init__(self, text: str = "") -> None:
        self._text = _TEXTS.sub("", text)

    def flag(self, name: str) -> bool:
        """Whether an option is True."""
        return self._value(name, "True|False") == "True"

    def count(self, name: str) -> int | None:
        """A whole number, or None where it is not stated."""
        value = self._value(name, r"\d{1,9}")
        return None if value is None else int(value)

    def _value(self, name: str, form: str) -> str | None:
        found = re.search(rf"(?:^Namespace\(|, ){name}=({form})(?=[,)])", self._text)
        return found[1] if found else None


def read_cfg_args(folder: Path) -> CfgArgs:
    """Of the training that a checkpoint's folder, up to three above cfg_args, is of."""
    for place in (folder, *folder.absolute().parents[:2]):
        try:
            with open(place / "cfg_args", "rb") as file:
                return CfgArgs(file.read(MAX_BYTES).decode("utf-8", "replace"))
        except OSError:
            continue
    return CfgArgs()
