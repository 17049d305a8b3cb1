# SPDX-License-Identifier: Apache-2.0
"""EmbedTalk from a folder as E-D3DGS leaves it: point_cloud.ply with embedding_* fields, deformation.pth beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from talksplat._text import listed, shown
from talksplat.errors import AvatarInvalid
from talksplat.framing import scene_lens

from ...camera import DEFAULT_CANVAS, of_lens
from ...gaussians import morton_sorted
from ...ply import read_cloud, vertex_rows, without_prefix
from ...ply_file import columns, read_ply
from ...source import Source, stated_licence
from ...spec import Array, Manifest, manifest
from ...torch_file import Tensor, load_torch
from ..audio.program import ENCODERS, look_ahead_ms
from .bake import bake, inputs
from .config import AUDIO_FIRST, EmbedTalkConfig, config_of, shapes

CLOUD, NETWORK = "point_cloud.ply", "deformation.pth"
FPS = 25.0
FIELD = "embedding_"
# E-D3DGS's embeddings of time, which its class makes whether or not anything is moved by time.
PASSED_OVER = ("weight", "offsets")
BY_TIME = "feature_out_f.0.weight"


def import_embed_talk(folder: Path, name: str) -> tuple[Manifest, dict[str, Array]]:
    """The avatar of a folder with point_cloud.ply and deformation.pth, seen from its front.

    Raises AvatarNotFound for a file that cannot be read, AvatarInvalid naming the field or weight that is missing,
    unknown, of another shape or not finite.
    """
    source = Source()
    where = str(folder / CLOUD)
    ply = read_ply(where, source.read(folder / CLOUD))
    rows = without_prefix(vertex_rows(where, ply.elements))
    fields = _fields(where, rows)
    network = folder / NETWORK
    state = read_state(str(network), source.read(network))
    config = _config(str(network), state, len(fields))
    cloud = read_cloud(where, rows, notes=source.notes)
    cloud = morton_sorted(cloud, cloud.mean)
    embedding, logit = (columns(where, rows, names)[cloud.source_index] for names in (fields, ["opacity"]))
    _require_finite(where, fields[0], embedding)
    program, tensors = bake(config, state, embedding, logit[:, 0])
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


def read_state(where: str, data: bytes) -> dict[str, Array]:
    """The weights of a file of torch.save(network.state_dict()), float32, without those that are PASSED_OVER."""
    content = load_torch(where, data)
    if not isinstance(content, dict) or not content or not all(isinstance(name, str) for name in content):
        raise AvatarInvalid(f"{where}: must hold the state dict of a network; got {shown(content, 80)}.")
    state: dict[str, Array] = {}
    for name, value in content.items():
        if name in PASSED_OVER:
            continue
        if not isinstance(value, Tensor):
            raise AvatarInvalid(f"{where}: {shown(name)} must be a tensor; got {shown(value, 80)}.")
        state[name] = value.array().astype(np.float32)
    return state


def _fields(where: str, rows: Array) -> list[str]:
    """embedding_0, embedding_1, ... as far as they go."""
    has = frozenset(rows.dtype.names or ())
    count = sum(name.startswith(FIELD) for name in has)
    fields = [f"{FIELD}{i}" for i in range(count)]
    if not fields or not has.issuperset(fields):
        wanted = next((name for name in fields if name not in has), f"{FIELD}0")
        raise AvatarInvalid(
            f"{where}: lacks the field {wanted}; every Gaussian of EmbedTalk has an embedding. Without any it is no "
            "cloud of this method."
        )
    return fields


def _config(where: str, state: dict[str, Array], embedding: int) -> EmbedTalkConfig:
    try:
        channels = int(state[AUDIO_FIRST].shape[1])
        encoder = ENCODERS.get(channels)
        if encoder is None:
            known = ", ".join(f"{n} ({e.name})" for n, e in ENCODERS.items())
            raise AvatarInvalid(f"{where}: {AUDIO_FIRST} must have one of {known} channels; got {channels}.")
        config = config_of(state, embedding, length=encoder.length)
    except KeyError as error:
        time = " It is moved by time, not by sound: E-D3DGS's own." if BY_TIME in state else ""
        raise AvatarInvalid(f"{where}: lacks the weight {error.args[0]}.{time}") from None
    except (IndexError, ValueError) as error:
        raise AvatarInvalid(f"{where}: {error}") from None
    wanted = shapes(config)
    for name, shape in wanted.items():
        if name not in state:
            raise AvatarInvalid(f"{where}: lacks the weight {name}, {list(shape)}.")
        if state[name].shape != shape:
            raise AvatarInvalid(f"{where}: {name} must be {list(shape)}; got {list(state[name].shape)}.")
        _require_finite(where, name, state[name])
    extra = sorted(set(state) - set(wanted))
    if extra:
        raise AvatarInvalid(
            f"{where}: has {listed(map(shown, extra), len(extra))}, which EmbedTalk has no use for: its one network "
            "adds to positions and opacities. A network that does more is another method's."
        )
    return config


def _require_finite(where: str, name: str, value: Array) -> None:
    if not np.isfinite(value).all():
        raise AvatarInvalid(f"{where}: {name} must be finite; some of its {value.size} numbers are not.")
