# SPDX-License-Identifier: Apache-2.0
"""Packages of the `say` extra, and what is said where they or the devices behind them are missing."""

from __future__ import annotations

import importlib
import os
from typing import Any

EXTRA = "pip install 'talksplat[say]'"


def sounddevice(what: str) -> Any:
    """The package. what: needs it. Raises ImportError, or OSError where it finds no PortAudio."""
    try:
        return importlib.import_module("sounddevice")
    except ImportError:
        raise ImportError(f"say: {what} needs the package sounddevice. {EXTRA}") from None
    except OSError as error:  # its own library is missing: only its wheels for macOS and Windows bring one
        raise OSError(
            f"say: {what} needs PortAudio ({without_newline(error)}). Debian, Ubuntu: apt install libportaudio2"
        ) from None


def pygame() -> Any:
    """The package. Raises ImportError."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        return importlib.import_module("pygame")
    except ImportError:
        raise ImportError(
            f"say: a window needs the package pygame-ce. {EXTRA}, or write pictures to stdout with --raw rgb8"
        ) from None


def without_newline(error: object) -> str:
    return " ".join(str(error).split()).rstrip(".")
