# SPDX-License-Identifier: Apache-2.0
"""EmbedTalk from a folder as E-D3DGS leaves it: point_cloud.ply with embedding_* fields, deformation.pth beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from talksplat._text import shown
from talksplat.errors import AvatarInvalid

from ...ply import vertex_rows
from ...ply_file import MAX_HEADER_BYTES, columns, read_elements
from ...source import Source
from ...spec import Array, Manifest
from ...torch_file import load_torch
from ..audio.config import Shaped
from ..audio.program import Encoder, encoder_of
from ..avatar import learned_avatar
from ..cloud import prepared, raw_cloud
from ..views import view_of
from ..weights import WAY_OUT, config_of_weights, finite, read_weights
from .bake import bake, inputs
from .config import AUDIO_FIRST, UNUSED, EmbedTalkConfig, config_of, shapes

CLOUD, NETWORK = "point_cloud.ply", "deformation.pth"
TRANSFORMS_UNIT = 1.0  # the paper says nothing of one
FIELD = "embedding_"
BY_TIME = "weight"  # E-D3DGS's embeddings of time


@dataclass(frozen=True)
class Options:
    """transforms, data: see views.view_of()."""

    transforms: Path | None = None
    data: Path | None = None


def import_embed_talk(folder: Path, name: str, options: Options | None = None) -> tuple[Manifest, dict[str, Array]]:
    """The avatar of a folder with point_cloud.ply and deformation.pth, seen from its front.

    Raises AvatarNotFound for a file that cannot be read, AvatarInvalid naming the field or weight that is missing,
    unknown, of another shape or not finite.
    """
    options = options or Options()
    source = Source()
    where = str(folder / CLOUD)
    rows = vertex_rows(where, read_elements(where, source.read(folder / CLOUD)))
    embedding = _embedding(where, rows)
    cloud, raw = prepared(where, raw_cloud(where, rows))
    network = folder / NETWORK
    state = load_torch(str(network), source.read(network))
    config, weights, encoder = _network(str(network), state, embedding.shape[1])
    own = finite(f"{where}: {FIELD}*", embedding[cloud.source_index])
    program, tensors = bake(raw, own, weights, config)
    view = view_of(cloud.mean, options.transforms, options.data, TRANSFORMS_UNIT, source)
    if view.plate is not None:
        tensors["plate/background"] = np.rint(view.plate).astype(np.uint8)
    return learned_avatar(
        name, "embedtalk", source, source_format="e-d3dgs", folder=folder, cloud=cloud, view=view,
        inputs=inputs(config), program=program, tensors=tensors, audio=config.audio, encoder=encoder,
    )  # fmt: skip


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


def _network(where: str, state: object, embedding: int) -> tuple[EmbedTalkConfig, dict[str, Array], Encoder]:
    """The sizes and the weights of a state dict, for embeddings of that size."""
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise AvatarInvalid(f"{where}: must hold the state dict of a network; got {shown(state)}. {WAY_OUT}")
    if BY_TIME in state and AUDIO_FIRST not in state:
        raise AvatarInvalid(f"{where}: is moved by time and not by sound; it is a scene of E-D3DGS's own.")

    def config_of_state(weights: Shaped) -> EmbedTalkConfig:
        try:
            return config_of(weights, embedding)
        except ValueError as error:
            raise AvatarInvalid(f"{where}: {error}") from None

    config = config_of_weights(where, state, shapes(EmbedTalkConfig()), config_of_state)
    encoder = encoder_of(where, config.audio, AUDIO_FIRST)
    config = replace(config, audio=replace(config.audio, length=encoder.length))
    return config, read_weights(where, state, shapes(config), UNUSED), encoder


def has_embeddings(folder: Path) -> bool:
    """Whether it is a folder to import: a network beside a cloud whose Gaussians have embeddings."""
    try:
        if not ((folder / NETWORK).is_file() and (folder / CLOUD).is_file()):
            return False
        with open(folder / CLOUD, "rb") as file:
            header = file.read(MAX_HEADER_BYTES).split(b"end_header")[0]
    except OSError:
        return False
    return any(line.split()[-1:] == [f"{FIELD}0".encode()] for line in header.splitlines())
