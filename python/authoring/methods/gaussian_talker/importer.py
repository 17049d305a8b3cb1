# SPDX-License-Identifier: Apache-2.0
"""GaussianTalker's checkpoints: point_cloud.ply and deformation.pth of one iteration, and the training's cfg_args."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from talksplat._text import shown
from talksplat.errors import AvatarInvalid, AvatarNotFound

from ...ply import vertex_rows
from ...ply_file import read_elements
from ...source import Source
from ...spec import Array, Manifest
from ...torch_file import load_torch
from ..audio.program import Encoder, encoder_of
from ..avatar import BLACK, learned_avatar
from ..cfg_args import CfgArgs, read_cfg_args
from ..cloud import prepared, raw_cloud
from ..views import view_of
from ..weights import config_of_weights, read_weights
from .bake import bake, inputs
from .config import HEADS, NET, SH_HEAD, UNUSED, GaussianTalkerConfig, config_of, shapes

N_HEAD = 2
TRANSFORMS_UNIT = 10.0  # its poses are the tracker's; a transforms.json has them divided by this
# The training's switches that take a head away.
SWITCHES = {"pos": "no_dx", "scales": "no_ds", "rotations": "no_dr", "opacity": "no_do", SH_HEAD: "no_dshs"}
UNKNOWN_SWITCHES = ("empty_voxel", "static_mlp", "apply_rotation")


@dataclass(frozen=True)
class Options:
    """transforms, data: see views.view_of(); n_head: heads of the attention, where no cfg_args says how many."""

    transforms: Path | None = None
    data: Path | None = None
    n_head: int | None = None


def import_gaussian_talker(
    folder: Path, name: str, options: Options | None = None
) -> tuple[Manifest, dict[str, Array]]:
    """The avatar in folder, the training's output or one iteration of it.

    Raises AvatarNotFound for files that are missing, AvatarInvalid for what is wrong in them, ValueError for options
    that contradict them.
    """
    options = options or Options()
    source = Source()
    folder = checkpoint(folder)
    arguments = read_cfg_args(folder)
    where = str(folder / "point_cloud.ply")
    raw = raw_cloud(where, vertex_rows(where, read_elements(where, source.read(folder / "point_cloud.ply"))))
    config, weights, encoder = _network(folder / "deformation.pth", arguments, options.n_head, source)
    if raw.color.shape[1:] != (config.n_coefficients, 3) and SH_HEAD in config.heads:
        raise AvatarInvalid(
            f"{where}: must have the {config.n_coefficients} SH coefficients that deformation.pth moves; got "
            f"{list(raw.color.shape[1:])}."
        )
    cloud, raw = prepared(where, raw)
    program, tensors = bake(raw, weights, config)
    view = view_of(cloud.mean, options.transforms, options.data, TRANSFORMS_UNIT, source)
    if view.plate is not None:
        tensors["plate/background"] = np.rint(view.plate).astype(np.uint8)
    white = arguments.flag("white_background")
    return learned_avatar(
        name, "gaussian-talker", source, source_format="gaussian-talker", folder=folder, cloud=cloud, view=view,
        inputs=inputs(config), program=program, tensors=tensors, audio=config.audio, encoder=encoder,
        background=(1.0, 1.0, 1.0) if white else BLACK,
    )  # fmt: skip


def checkpoint(folder: Path) -> Path:
    """folder, or the last iteration in it; those of the coarse stage, whose network was not trained yet, come last."""
    if (folder / "deformation.pth").is_file():
        return folder
    found = [
        (match[1] is None, int(match[2]), path)
        for path in folder.glob("point_cloud/*iteration_*")
        if (match := re.fullmatch(r"(coarse_)?iteration_(\d{1,9})", path.name)) and (path / "deformation.pth").is_file()
    ]
    if not found:
        raise AvatarNotFound(f"{folder}: has neither a deformation.pth nor a point_cloud/iteration_N with one.")
    return max(found)[2]


def _network(
    path: Path, arguments: CfgArgs, n_head: int | None, source: Source
) -> tuple[GaussianTalkerConfig, dict[str, Array], Encoder]:
    where = str(path)
    state = load_torch(where, source.read(path))
    if not isinstance(state, dict):
        raise AvatarInvalid(f"{where}: must hold a state dict; got {shown(state)}.")
    for switch in UNKNOWN_SWITCHES:
        if arguments.flag(switch):
            raise AvatarInvalid(f"{where}: was trained with {switch} (cfg_args), which is not known how to run.")
    heads = tuple(head for head in (*HEADS, SH_HEAD) if not arguments.flag(SWITCHES[head]))
    stated = arguments.count("n_head")
    if None not in (stated, n_head) and stated != n_head:
        raise ValueError(f"n_head must be {stated}, as the training's cfg_args says, or be left out; got {n_head}.")
    if stated is None and n_head is None:
        source.notes.append(
            f"No cfg_args says how many heads its attention has; {N_HEAD} are taken, the default. If it was trained "
            "with others, name them: --n-head."
        )
    chosen = stated or n_head or N_HEAD
    config = config_of_weights(
        where, state, shapes(GaussianTalkerConfig()), lambda state: config_of(state, chosen, heads)
    )
    if config.d_model % config.n_head:
        raise ValueError(f"n_head must divide the network's width {config.d_model}; got {config.n_head}.")
    encoder = encoder_of(where, config.audio, f"{NET}audio_net.encoder_conv.0.weight")
    config = replace(config, audio=replace(config.audio, length=encoder.length))
    weights = read_weights(where, state, shapes(config), UNUSED)
    first, last = weights[f"{NET}tri_plane.grid.aabb"]
    if (first == last).any():
        raise AvatarInvalid(f"{where}: the weight {NET}tri_plane.grid.aabb must be two corners of a box; got "
                            f"{first.tolist()} twice along an axis.")  # fmt: skip
    return config, weights, encoder
