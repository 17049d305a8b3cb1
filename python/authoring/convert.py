# SPDX-License-Identifier: Apache-2.0
"""One door to every importer: what is this file, and an avatar file made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from talksplat.errors import AvatarInvalid, AvatarNotFound

from .gaussian_avatars import import_gaussian_avatars
from .lam import import_lam
from .methods.embed_talk.importer import CLOUD, FIELD, NETWORK, import_embed_talk
from .packed import format_of
from .ply import import_ply
from .scene import turn
from .source import readable
from .spec import Array, Manifest, write
from .splat import import_splat
from .spz import import_spz

HEADER_BYTES = 64 << 10  # of a .ply
Importer = Callable[[Path, str], tuple[Manifest, dict[str, Array]]]
_PLAIN: dict[str, Importer] = {
    "lam": import_lam, "e-d3dgs": import_embed_talk, "ply": import_ply, "splat": import_splat, "spz": import_spz,
}  # fmt: skip
FORMATS = ("lam", "gaussian-avatars", "e-d3dgs", "ply", "splat", "spz")


def convert(
    source: str | Path,
    out: str | Path,
    *,
    format: str | None = None,
    name: str | None = None,
    flame: str | Path | None = None,
    camera: str | Path | None = None,
    licence: str | None = None,
    up: object = None,
    front: object = None,
) -> Path:
    """Write the avatar file out from source, and return its path.

    format: one of FORMATS; None or "auto" looks at the source.
    name: the avatar's name; source's name without its ending by default.
    flame: the user's own FLAME model (.pkl or .npz), for gaussian-avatars only, which needs it.
    camera: a transforms.json of the training, for gaussian-avatars only; its most frontal camera is taken.
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
    name = name or readable(source.resolve().stem) or "avatar"
    if format == "gaussian-avatars":
        if flame is None:
            raise ValueError(
                "flame must name your FLAME model (.pkl or .npz): GaussianAvatars moves with it, and its licence "
                "lets nobody ship it. Get it at https://flame.is.tue.mpg.de."
            )
        manifest, tensors = import_gaussian_avatars(source, name, Path(flame), None if camera is None else Path(camera))
    else:
        if flame is not None or camera is not None:
            raise ValueError(f"flame and camera are for gaussian-avatars; the source is {format}.")
        manifest, tensors = _PLAIN[format](source, name)
    if up is not None or front is not None:
        if manifest["method"] != "static":
            raise ValueError(f"up and front are for still scenes; the source is {format}.")
        turn(manifest, tensors, up, front)
    if licence is not None:
        manifest["licence"] = licence
    return write(out, manifest, tensors)


def detect_format(source: str | Path) -> str:
    """The format of a file or folder, by its contents, then its ending.

    Raises AvatarNotFound if there is nothing, AvatarInvalid if it is none of FORMATS.
    """
    source = Path(source)
    if source.is_dir():
        if (source / "skin.glb").is_file():
            return "lam"
        if _has_embeddings(source):
            return "e-d3dgs"
        if (source / "point_cloud.ply").is_file() or (source / "point_cloud").is_dir():
            return "gaussian-avatars"
        raise AvatarInvalid(f"{source}: holds neither skin.glb (LAM) nor point_cloud.ply (GaussianAvatars, E-D3DGS).")
    try:
        return format_of(source)
    except OSError as error:
        raise AvatarNotFound(f"{source}: cannot be read ({error.strerror or error}).") from error


def _has_embeddings(folder: Path) -> bool:
    """Whether a network lies beside a cloud whose Gaussians have embeddings."""
    try:
        if not ((folder / NETWORK).is_file() and (folder / CLOUD).is_file()):
            return False
        with open(folder / CLOUD, "rb") as file:
            return f" {FIELD}0\n".encode() in file.read(HEADER_BYTES).split(b"end_header")[0].replace(b"\r", b"")
    except OSError:
        return False
