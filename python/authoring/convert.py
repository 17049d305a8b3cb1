# SPDX-License-Identifier: Apache-2.0
"""One door to every importer: what is this file, and an avatar file made of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from talksplat.errors import AvatarInvalid, AvatarNotFound

from . import sh
from .gaussian_avatars import import_gaussian_avatars, require_parameters
from .lam import import_lam
from .methods.embed_talk import importer as embed_talk
from .methods.gaussian_talker import importer as gaussian_talker
from .methods.talking_gaussian import importer as talking_gaussian
from .packed import format_of
from .ply import import_ply
from .precision import choose_precision
from .scene import turn
from .source import readable
from .spec import Array, Manifest, write
from .splat import import_splat
from .spz import import_spz

Importer = Callable[[Path, str], tuple[Manifest, dict[str, Array]]]
_PLAIN: dict[str, Importer] = {"lam": import_lam, "ply": import_ply, "splat": import_splat, "spz": import_spz}
FORMATS = ("lam", "gaussian-avatars", "gaussian-talker", "talking-gaussian", "e-d3dgs", "ply", "splat", "spz")
# The arguments that some formats alone have a use for.
_LEARNED = ("gaussian-talker", "talking-gaussian", "e-d3dgs")
_USES = {
    "flame": ("gaussian-avatars",),
    "camera": ("gaussian-avatars", *_LEARNED),
    "data": _LEARNED,
    "n_head": ("gaussian-talker",),
    "dilate": ("talking-gaussian",),
}


def convert(
    source: str | Path,
    out: str | Path,
    *,
    format: str | None = None,
    name: str | None = None,
    flame: str | Path | None = None,
    camera: str | Path | None = None,
    data: str | Path | None = None,
    n_head: int | None = None,
    dilate: bool = False,
    bake_color: bool = False,
    licence: str | None = None,
    up: object = None,
    front: object = None,
) -> Path:
    """Write the avatar file out from source, and return its path.

    format: one of FORMATS; None or "auto" looks at the source.
    name: the avatar's name; source's name without its ending by default.
    flame: the user's own FLAME model (.pkl or .npz), for gaussian-avatars only, which needs it.
    camera: a transforms.json of the training, for gaussian-avatars, whose most frontal camera is taken, and for
    gaussian-talker, talking-gaussian and e-d3dgs, of which it is the one nearest the median.
    data: the data folder of the training, for gaussian-talker, talking-gaussian and e-d3dgs: transforms_*.json, and
    bc.jpg with the torso of torso_imgs for the background. Without it the head is framed, on black.
    n_head: heads of the attention, for a gaussian-talker without cfg_args; 2, the default of its training, if None.
    dilate: for talking-gaussian: the mouth covers what is just beyond its edge, as synthesis with --dilate.
    bake_color: keep of each Gaussian's colours the one that the canvas's camera sees: smaller and faster, right from
    the front; what it costs is measured and stated in the notes. For still scenes, and networks that leave colours be.
    up, front: of a still scene, where its top is and where it is seen from: "x", "-x", "y", ... or three numbers; what
    the file says, or its format usually has, if None.
    licence: what the manifest states; by default the text of a licence file inside the source, or "not stated".
    out is replaced at once or, if anything is wrong, left as it was.
    Raises AvatarNotFound for a source that is not there, AvatarInvalid naming the file and field that is wrong,
    ValueError for arguments that do not fit together.
    """
    source, out = Path(source), Path(out)
    if format in (None, "auto"):
        format = detect_format(source)
    if format not in FORMATS:
        raise ValueError(f"format must be one of {FORMATS} or 'auto'; got {format!r}.")
    if not out.parent.is_dir():
        raise ValueError(f"out: the folder {out.parent} does not exist; create it first.")
    if out.exists() and source.is_file() and out.samefile(source):
        raise ValueError(f"out: {out} is the file that the source is; the avatar would take its place. Name another.")
    given = {"flame": flame, "camera": camera, "data": data, "n_head": n_head, "dilate": dilate or None}
    for argument, formats in _USES.items():
        if given[argument] is not None and format not in formats:
            raise ValueError(
                f"{argument} must be left out: it is for {' and '.join(formats)}, and the source is {format}."
            )
    name = name or _name_of(source, format)
    manifest, tensors = _import(source, name, format, given)
    if up is not None or front is not None:
        if manifest["method"] != "static":
            raise ValueError(f"up and front are for still scenes; the source is {format}.")
        turn(manifest, tensors, up, front)
    if bake_color:
        sh.bake_color(manifest, tensors)
    if licence is not None:
        manifest["licence"] = licence
    choose_precision(manifest, tensors)
    return write(out, manifest, tensors)


def _import(source: Path, name: str, format: str, given: dict[str, Any]) -> tuple[Manifest, dict[str, Array]]:
    paths = {key: None if given[key] is None else Path(given[key]) for key in ("flame", "camera", "data")}
    if format == "gaussian-avatars":
        require_parameters(source)
        if paths["flame"] is None:
            raise ValueError(
                "flame must name your FLAME model (.pkl or .npz): GaussianAvatars moves with it, and its licence "
                "lets nobody ship it. Get it at https://flame.is.tue.mpg.de."
            )
        return import_gaussian_avatars(source, name, paths["flame"], paths["camera"])
    if format == "gaussian-talker":
        options = gaussian_talker.Options(paths["camera"], paths["data"], given["n_head"])
        return gaussian_talker.import_gaussian_talker(source, name, options)
    if format == "talking-gaussian":
        fused = talking_gaussian.Options(paths["camera"], paths["data"], bool(given["dilate"]))
        return talking_gaussian.import_talking_gaussian(source, name, fused)
    if format == "e-d3dgs":
        return embed_talk.import_embed_talk(source, name, embed_talk.Options(paths["camera"], paths["data"]))
    return _PLAIN[format](source, name)


def _name_of(source: Path, format: str) -> str:
    """The source's name; a checkpoint's, which all trainings share, is that of its folder."""
    whole = source.resolve()
    if format == "talking-gaussian" and not source.is_dir():
        whole = whole.parent
    return readable(whole.stem) or "avatar"


def detect_format(source: str | Path) -> str:
    """The format of a file or folder, by its contents, then its ending.

    Raises AvatarNotFound if there is nothing, AvatarInvalid if it is none of FORMATS.
    """
    source = Path(source)
    if source.is_dir():
        if (source / "skin.glb").is_file():
            return "lam"
        if any(source.glob("chkpnt_fuse_*.pth")):
            return "talking-gaussian"
        if embed_talk.has_embeddings(source):
            return "e-d3dgs"
        if (source / "deformation.pth").is_file() or any(source.glob("point_cloud/*iteration_*/deformation.pth")):
            return "gaussian-talker"
        if (source / "point_cloud.ply").is_file() or (source / "point_cloud").is_dir():
            return "gaussian-avatars"
        raise AvatarInvalid(
            f"{source}: holds neither skin.glb (LAM) nor point_cloud.ply (GaussianAvatars; GaussianTalker and "
            "EmbedTalk with deformation.pth) nor chkpnt_fuse_latest.pth (TalkingGaussian)."
        )
    if re.fullmatch(r"chkpnt_fuse_\w+\.pth", source.name) and source.is_file():
        return "talking-gaussian"
    try:
        return format_of(source)
    except OSError as error:
        raise AvatarNotFound(f"{source}: cannot be read ({error.strerror or error}).") from error
