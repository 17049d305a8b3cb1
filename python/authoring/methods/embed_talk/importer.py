# SPDX-License-Identifier: Apache-2.0
"""EmbedTalk from a folder as E-D3DGS leaves it: point_cloud.ply with embedding_* fields, deformation.pth beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from talksplat._text import shown
from talksplat.errors import AvatarInvalid
from talksplat.framing import scene_lens

from ...camera import DEFAULT_CANVAS, of_lens
from ...ply import vertex_rows, without_prefix
from ...ply_file import columns, read_ply
from ...source import Source, stated_licence
from ...spec import Array, Manifest, manifest
from ...torch_file import load_torch
from ..audio.config import Shaped
from ..audio.program import ENCODERS, look_ahead_ms
from ..cloud import prepared, raw_cloud
from ..weights import WAY_OUT, config_of_weights, finite, read_weights
from .bake import bake, inputs
from .config import AUDIO_FIRST, UNUSED, EmbedTalkConfig, config_of, shapes

CLOUD, NETWORK = "point_cloud.ply", "deformation.pth"
FPS = 25.0
FIELD = "embedding_"
BY_TIME = "weight"  # E-D3DGS's embeddings of time


def import_embed_talk(folder: Path, name: str) -> tuple[Manifest, dict[str, Array]]:
    """The avatar of a folder with point_cloud.ply and deformation.pth, seen from its front.

    Raises AvatarNotFound for a file that cannot be read, AvatarInvalid naming the field or weight that is missing,
    unknown, of another shape or not finite.
    """
    source = Source()
    where = str(folder / CLOUD)
    ply = read_ply(where, source.read(folder / CLOUD))
    rows = without_prefix(vertex_rows(where, ply.elements))
    embedding = _embedding(where, rows)
    cloud, raw = prepared(where, raw_cloud(where, rows))
    network = folder / NETWORK
    state = load_torch(str(network), source.read(network))
    config, weights = _network(str(network), state, embedding.shape[1])
    own = finite(f"{where}: {FIELD}*", embedding[cloud.source_index])
    program, tensors = bake(raw, own, weights, config)
    encoder = ENCODERS[config.audio.channels]
    size = DEFAULT_CANVAS["width"], DEFAULT_CANVAS["height"]
    out = manifest(
        name=name,
        method="embedtalk",
        fps=FPS,
        canvas=DEFAULT_CANVAS,
        camera=of_lens(scene_lens(cloud.mean, np.array([0.0, -1.0, 0.0]), None, *size)),
        background=(0.0, 0.0, 0.0),
        color=cloud.color_kind,
        source_count=cloud.source_count,
        inputs=inputs(config),
        deform=program,
        encoder=encoder.name,
        look_ahead_ms=look_ahead_ms(config.audio, encoder, FPS),
        licence=stated_licence(folder),
        provenance=source.provenance("e-d3dgs"),
    )
    return out, {**cloud.tensors(), **tensors}


def _embedding(where: str, rows: Array) -> Array:
    """[n,embedding]: the fields embedding_0, embedding_1, ... as far as they go."""
    has = frozenset(rows.dtype.names or ())
    fields = [f"{FIELD}{i}" for i in range(max(1, sum(name.startswith(FIELD) for name in has)))]
    missing = next((name for name in fields if name not in has), None)
    if missing is not None:
        raise AvatarInvalid(
            f"{where}: lacks the field {missing}: every Gaussian of EmbedTalk has an embedding. A cloud without any "
            "was not trained with this method."
        )
    return columns(where, rows, fields)


def _network(where: str, state: object, embedding: int) -> tuple[EmbedTalkConfig, dict[str, Array]]:
    """The sizes and the weights of a state dict, for embeddings of that size."""
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise AvatarInvalid(f"{where}: must hold the state dict of a network; got {shown(state)}. {WAY_OUT}")
    if BY_TIME in state and AUDIO_FIRST not in state:
        raise AvatarInvalid(f"{where}: is moved by time and not by sound; it is a scene of E-D3DGS's own.")

    def config_of_state(weights: Shaped) -> EmbedTalkConfig:
        channels = int(weights[AUDIO_FIRST].shape[1])
        if channels not in ENCODERS:
            known = ", ".join(f"{n} ({encoder.name})" for n, encoder in ENCODERS.items())
            raise AvatarInvalid(f"{where}: the weight {AUDIO_FIRST} must have channels of {known}; got {channels}.")
        try:
            return config_of(weights, embedding, length=ENCODERS[channels].length)
        except ValueError as error:
            raise AvatarInvalid(f"{where}: {error}") from None

    config = config_of_weights(where, state, shapes(EmbedTalkConfig()), config_of_state)
    return config, read_weights(where, state, shapes(config), UNUSED)
