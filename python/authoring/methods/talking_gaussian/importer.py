# SPDX-License-Identifier: Apache-2.0
"""TalkingGaussian's fused checkpoint, the one of a training's that has everything: chkpnt_fuse_latest.pth."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from talksplat._text import shown
from talksplat.errors import AvatarInvalid, AvatarNotFound

from ...gaussians import softplus_scale
from ...source import Source
from ...spec import Array, Manifest
from ...torch_file import Tensor, load_torch
from ..audio.config import Shaped
from ..audio.program import Encoder, encoder_of
from ..avatar import learned_avatar
from ..cfg_args import read_cfg_args
from ..cloud import RawCloud, joined, prepared
from ..views import view_of
from ..weights import Shapes, config_of_weights, read_weights
from .bake import bake, inputs
from .config import (
    UNUSED_OF_MOUTH,
    FaceConfig,
    MouthConfig,
    face_config_of,
    face_shapes,
    levels_of,
    mouth_config_of,
    mouth_shapes,
)

TRANSFORMS_UNIT = 1.0
DILATE_PX = 13  # of the original's --dilate
BRANCHES = ("face", "mouth")
# What gaussians.capture() begins with; the rest is the optimiser's.
CAPTURE = ("active_sh_degree", "xyz", "features_dc", "features_rest", "identity", "scaling", "rotation", "opacity")
COEFFICIENTS = {1: 0, 4: 1, 9: 2, 16: 3}  # of spherical harmonics → their degree
Config = TypeVar("Config", FaceConfig, MouthConfig)


@dataclass(frozen=True)
class Options:
    """transforms, data: see views.view_of(); dilate: whether the mouth covers what is just beyond its edge, too."""

    transforms: Path | None = None
    data: Path | None = None
    dilate: bool = False


def import_talking_gaussian(path: Path, name: str, options: Options | None = None) -> tuple[Manifest, dict[str, Array]]:
    """The avatar of a fused checkpoint, or of the training's output folder that has one.

    Raises AvatarNotFound for files that are missing, AvatarInvalid for what is wrong in them.
    """
    options = options or Options()
    source = Source()
    path = checkpoint(path)
    where = str(path)
    content = load_torch(where, source.read(path))
    if not (isinstance(content, tuple) and len(content) == 4 and isinstance(content[2], tuple)):
        raise AvatarInvalid(
            f"{where}: must hold four parts, the Gaussians and the network of the face and of the mouth; got "
            f"{shown(content)}. Pass chkpnt_fuse_latest.pth: the checkpoints of one branch are of use to training only."
        )
    clouds = [_capture(f"{where}: the {branch}", part) for branch, part in zip(BRANCHES, content[::2], strict=True)]
    face, mouth = (_state(f"{where}: the {branch}", part) for branch, part in zip(BRANCHES, content[1::2], strict=True))
    face_config, face_weights, encoder = _network(f"{where}: the face", face, FaceConfig(), face_config_of, face_shapes)
    mouth_config, mouth_weights, _ = _network(
        f"{where}: the mouth", mouth, MouthConfig(), mouth_config_of, mouth_shapes, (UNUSED_OF_MOUTH,)
    )
    heard = [(audio.channels, audio.before, audio.after) for audio in (face_config.audio, mouth_config.audio)]
    if heard[0] != heard[1]:
        raise AvatarInvalid(
            f"{where}: face and mouth must hear the same windows (channels, before, after); got {heard}."
        )
    _same_degree(clouds)
    ready = [
        prepared(f"{where}: the {branch}", cloud, softplus_scale)
        for branch, cloud in zip(BRANCHES, clouds, strict=True)
    ]
    program, tensors = bake(
        ready[0][1], ready[1][1], face_weights, mouth_weights, face_config, mouth_config,
        DILATE_PX if options.dilate else 0,
    )  # fmt: skip
    cloud = joined(ready[0][0], ready[1][0])
    view = view_of(cloud.mean, options.transforms, options.data, TRANSFORMS_UNIT, source)
    if view.plate is not None:
        tensors["plate/background"] = np.floor(view.plate).astype(np.uint8)  # as synthesis does, before it draws
    if read_cfg_args(path.parent).flag("white_background"):
        source.notes.append("It was trained on white, which its synthesis adds twice; here the background is black.")
    return learned_avatar(
        name, "talking-gaussian", source, source_format="talking-gaussian", folder=path.parent, cloud=cloud, view=view,
        inputs=inputs(face_config), program=program, tensors=tensors, audio=face_config.audio, encoder=encoder,
    )  # fmt: skip


def checkpoint(path: Path) -> Path:
    """path itself, or the fused checkpoint of the folder path: the latest, or the one of the most iterations."""
    if not path.is_dir():
        return path
    if (path / "chkpnt_fuse_latest.pth").is_file():
        return path / "chkpnt_fuse_latest.pth"
    found = [
        (int(match[1]), file)
        for file in path.glob("chkpnt_fuse_*.pth")
        if (match := re.fullmatch(r"chkpnt_fuse_(\d{1,9})\.pth", file.name))
    ]
    if not found:
        raise AvatarNotFound(
            f"{path}: has no chkpnt_fuse_latest.pth and no chkpnt_fuse_N.pth, which the last step of training writes "
            "(train_fuse.py)."
        )
    return max(found)[1]


def _capture(where: str, capture: object) -> RawCloud:
    """The Gaussians of a gaussians.capture(), with the coefficients of colour that are in use."""
    if not (isinstance(capture, tuple) and len(capture) >= len(CAPTURE)):
        raise AvatarInvalid(f"{where}'s Gaussians must be a tuple of {CAPTURE} and more; got {shown(capture)}.")
    part: dict[str, Any] = dict(zip(CAPTURE, capture, strict=False))
    xyz = part["xyz"]
    n = xyz.shape[0] if isinstance(xyz, Tensor) and len(xyz.shape) == 2 else -1
    rest = part["features_rest"]
    bands = rest.shape[1] if isinstance(rest, Tensor) and len(rest.shape) == 3 else 0
    shapes = {"xyz": (n, 3), "features_dc": (n, 1, 3), "features_rest": (n, bands, 3), "scaling": (n, 3),
              "rotation": (n, 4), "opacity": (n, 1)}  # fmt: skip
    for key, shape in shapes.items():
        found = getattr(part[key], "shape", None)
        if found != shape:
            wanted = ["N" if size == n else size for size in shape]
            raise AvatarInvalid(
                f"{where}'s {key} must be a tensor {wanted} with N = {n}; got {found or shown(part[key])}."
            )
    degree, known = part["active_sh_degree"], COEFFICIENTS.get(bands + 1)
    if known is None:
        raise AvatarInvalid(f"{where}'s features_rest must have 0, 3, 8 or 15 coefficients; got {bands}.")
    if not (isinstance(degree, int) and 0 <= degree <= known):
        raise AvatarInvalid(f"{where}'s active_sh_degree must be in 0..{known}; got {shown(degree)}.")
    arrays = {key: np.asarray(part[key].array(), np.float64) for key in shapes}
    color = np.concatenate([arrays["features_dc"], arrays["features_rest"]], axis=1)
    return RawCloud(
        mean=arrays["xyz"],
        scale=arrays["scaling"],
        rotation=arrays["rotation"],
        logit=arrays["opacity"][:, 0],
        color=color[:, : (degree + 1) ** 2],
    )


def _state(where: str, state: object) -> dict[str, Any]:
    if not isinstance(state, dict):
        raise AvatarInvalid(f"{where}'s network must be a state dict; got {shown(state)}.")
    return state


def _network(
    where: str, state: dict[str, Any], usual: Config, config_of: Callable[[Shaped], Config],
    shapes: Callable[[Config], Shapes], unused: tuple[str, ...] = (),
) -> tuple[Config, dict[str, Array], Encoder]:  # fmt: skip
    config = config_of_weights(where, state, shapes(usual), config_of)
    encoder = encoder_of(where, config.audio, "audio_net.encoder_conv.0.weight")
    config = replace(config, audio=replace(config.audio, length=encoder.length))
    weights = read_weights(where, state, shapes(config), unused)
    levels = levels_of(config.grid)
    expected = [level.offset for level in levels] + [levels[-1].offset + levels[-1].entries]
    for name, value in weights.items():
        if name.endswith(".offsets") and value.tolist() != expected:
            raise AvatarInvalid(
                f"{where}: the weight {name} must be {expected}, those of {config.grid}; got {value.tolist()}."
            )
    return config, weights, encoder


def _same_degree(clouds: list[RawCloud]) -> None:
    """Fills the colours of lower degree up with zeros, which change nothing."""
    most = max(cloud.color.shape[1] for cloud in clouds)
    for i, cloud in enumerate(clouds):
        missing = most - cloud.color.shape[1]
        clouds[i] = replace(cloud, color=np.pad(cloud.color, ((0, 0), (0, missing), (0, 0))))
