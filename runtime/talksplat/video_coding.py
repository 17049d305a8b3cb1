# SPDX-License-Identifier: Apache-2.0
"""How pictures are coded in a video file: the containers, and of each what pictures it takes and by which encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
# Of each, the picture formats, the default first; rgba8 is transparent.
PICTURES = {".mp4": ("nv12",), ".mov": ("nv12", "rgba8"), ".mkv": ("nv12",), ".webm": ("nv12", "rgba8")}
MPEG4_BITS_PER_PIXEL = 0.5


class Coding(NamedTuple):
    """An encoder of FFmpeg, and the layout in which it takes pictures."""

    encoder: str
    layout: str
    options: Mapping[str, str] = {}
    bits_per_pixel: float | None = None  # where the encoder has no measure of quality


# Visually lossless at these sizes, and fast: the encoder shares the CPU with the renderer.
# x264 lays pictures out as NV12 itself; FFmpeg's MPEG-4, which stands in for it, wants its planes apart.
_H264 = Coding("libx264", "nv12", {"crf": "16", "preset": "veryfast"})
_MPEG4 = Coding("mpeg4", "yuv420p", {}, MPEG4_BITS_PER_PIXEL)
_VP9 = Coding("libvpx-vp9", "yuv420p", {"crf": "20", "b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"})
# What editors take with transparency; alpha in ten bits.
_PRORES_4444 = Coding("prores_ks", "yuva444p10le", {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"})


def coding_of(path: Path, format: str, encoders: frozenset[str] | set[str]) -> Coding:
    """For one of its picture formats. encoders: those that there are. Raises ValueError where one is missing."""
    suffix = path.suffix.lower()
    if suffix == ".webm":
        coding = _VP9._replace(layout="yuva420p") if format == "rgba8" else _VP9
    elif format == "rgba8":
        coding = _PRORES_4444
    else:
        coding = _H264 if _H264.encoder in encoders else _MPEG4
    if coding.encoder not in encoders:
        raise ValueError(
            f"output: {path} needs the encoder {coding.encoder}, which this PyAV was built without. Install PyAV from "
            "the package index, or write NAME.mp4, or NAME%05d.png, which can be transparent."
        )
    return coding
