# SPDX-License-Identifier: Apache-2.0
"""What the imported avatars of all methods have in common, around a network of their own."""

from __future__ import annotations

from pathlib import Path

from ..deform_spec import Program
from ..gaussians import Gaussians
from ..source import Source, stated_licence
from ..spec import Array, Input, Manifest, manifest
from .audio.config import AudioConfig
from .audio.program import Encoder, look_ahead_ms
from .views import View, head_turn, neck_of

FPS = 25.0  # of every training
BLACK = (0.0, 0.0, 0.0)


def learned_avatar(
    name: str,
    method: str,
    source: Source,
    *,
    source_format: str,
    folder: Path,
    cloud: Gaussians,
    view: View,
    inputs: list[Input],
    program: Program,
    tensors: dict[str, Array],
    audio: AudioConfig,
    encoder: Encoder,
    background: tuple[float, float, float] = BLACK,
) -> tuple[Manifest, dict[str, Array]]:
    """The avatar of Gaussians in cloud, moved by program, whose head turns at its neck.

    folder: where its training left it, perhaps with a licence. tensors: the program's, and the plate's.
    """
    return manifest(
        name=name,
        method=method,
        fps=FPS,
        canvas=view.canvas,
        camera=view.camera,
        background=background,
        color=cloud.color_kind,
        source_count=cloud.source_count,
        inputs=[*inputs, head_turn(neck_of(cloud.mean, view.camera))],
        deform=program,
        encoder=encoder.name,
        look_ahead_ms=look_ahead_ms(audio, encoder, FPS),
        licence=stated_licence(folder),
        provenance=source.provenance(source_format),
    ), {**cloud.tensors(), **tensors}
