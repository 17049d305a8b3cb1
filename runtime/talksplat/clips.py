# SPDX-License-Identifier: Apache-2.0
"""Recorded motion in an avatar's manifest: a list `clips`, with tensors clip/CLIP/INPUT; in files of format 1 both are
under `motion`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Clip:
    """A motion recorded in the avatar file; play it with render_motion("clip:NAME")."""

    name: str
    fps: float
    frames: int
    inputs: tuple[str, ...]


def clips_of(manifest: Mapping[str, Any]) -> Mapping[str, Clip]:
    """By name. The manifest is one that the core has accepted."""
    entries = manifest["motion"]["clips"] if manifest["format"] == 1 else manifest["clips"]
    clips = (Clip(c["name"], float(c["fps"]), int(c["frames"]), tuple(c["inputs"])) for c in entries)
    return MappingProxyType({clip.name: clip for clip in clips})


def clip_tensor(manifest: Mapping[str, Any], clip: str, into: str) -> str:
    """Name of the tensor that holds what a clip does to the input `into`."""
    return f"{'motion' if manifest['format'] == 1 else 'clip'}/{clip}/{into}"
