# SPDX-License-Identifier: Apache-2.0
"""What a file is, by its first bytes: for messages to people who gave the wrong one."""

from __future__ import annotations

from typing import NamedTuple

HEAD_BYTES = 4096  # enough to tell


class Kind(NamedTuple):
    """format: what convert() calls it, "zip" or "gzip" for packed files, None for what is not read at all."""

    format: str | None
    what: str
    way_out: str = ""


_SPEAKS = "It is something to say: talksplat render AVATAR {name} -o OUT.mp4."
SCENES_ARE = "Export the scene as .ply, .splat or .spz."
_SIGNATURES: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"ply", Kind("ply", "a PLY file")),
    (0, b"NGSP", Kind("spz", "an .spz scene")),
    (0, b"\x1f\x8b\x08", Kind("gzip", "a gzip file")),
    (0, b"PK\3\4", Kind("zip", "a zip")),
    (0, b"PK\5\6", Kind("zip", "an empty zip")),
    (0, b"\x89PNG", Kind(None, "a picture (PNG)", SCENES_ARE)),
    (0, b"\xff\xd8\xff", Kind(None, "a picture (JPEG)", SCENES_ARE)),
    (0, b"GIF8", Kind(None, "a picture (GIF)", SCENES_ARE)),
    (8, b"WEBP", Kind(None, "a picture (WebP)", SCENES_ARE)),
    (8, b"WAVE", Kind(None, "a sound (WAV)", _SPEAKS)),
    (0, b"OggS", Kind(None, "a sound (Ogg)", _SPEAKS)),
    (0, b"fLaC", Kind(None, "a sound (FLAC)", _SPEAKS)),
    (0, b"ID3", Kind(None, "a sound (MP3)", _SPEAKS)),
    (4, b"ftyp", Kind(None, "a video or a sound (MP4)", _SPEAKS)),
    (0, b"\x1aE\xdf\xa3", Kind(None, "a video (Matroska)", _SPEAKS)),
    (0, b"\x93NUMPY", Kind(None, "a numpy array", "Recorded motion goes to render --motion.")),
    (0, b"7z\xbc\xaf\x27\x1c", Kind(None, "a 7z archive", "Unpack it first.")),
    (0, b"Rar!", Kind(None, "a RAR archive", "Unpack it first.")),
    (0, b"\x28\xb5\x2f\xfd", Kind(None, "a file that is packed with zstd", "Unpack it first.")),
    (0, b"%PDF", Kind(None, "a PDF document", SCENES_ARE)),
    (0, b"\x7fELF", Kind(None, "a program", SCENES_ARE)),
    (0, b"version https://git-lfs", Kind(None, "a Git LFS pointer, not the file itself", "Fetch it: git lfs pull.")),
)
_CHECKPOINT = Kind(
    None,
    "a PyTorch checkpoint",
    "Of GaussianTalker convert the training's folder, of TalkingGaussian its folder or chkpnt_fuse_latest.pth, and of "
    "a static scene the point_cloud.ply beside it.",
)


def kind_of(head: bytes) -> Kind | None:
    """What a file with these first bytes is; None if they could be anything, an array of numbers say."""
    for at, mark, kind in _SIGNATURES:
        if head[at : at + len(mark)] == mark:
            return kind
    if head.startswith(b"glTF"):
        if b"KHR_gaussian_splatting" in head:
            return Kind(None, "a glTF scene of Gaussians (KHR_gaussian_splatting), which is not read yet", SCENES_ARE)
        return Kind(None, "a glTF mesh without its Gaussians", "Of a LAM avatar convert the whole zip.")
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5") and _begins_pickle(head[2:]):
        return _CHECKPOINT
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 30:
        if b'"talksplat"' in head:
            return Kind(None, "an avatar already", "Use it as it is: talksplat inspect {name}.")
        return Kind(None, "a safetensors file of weights", SCENES_ARE)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return Kind(None, "a web page, not the file that it links to", "Download the file itself.")
    if text.startswith((b"{", b"[")) and b"\0" not in head:
        return Kind(None, "a JSON text", "Recorded motion goes to render --motion.")
    return None


def _begins_pickle(code: bytes) -> bool:
    """More than the two bytes of its protocol: a .splat, which has no mark, may well begin with those."""
    framed = code[:1] == b"\x95" and code[4:9] == bytes(5)
    return framed or code.startswith((b"}q", b"]q", b"(l", b"\x8a\n", b"cc", b"cn", b"ct", b"ci"))


def kind_of_zip(members: list[str]) -> Kind | None:
    """What a zip with these members is; None if its members must be looked at one by one."""
    names = {name.rpartition("/")[2] for name in members}
    if "skin.glb" in names:
        return Kind("lam", "a LAM avatar")
    if "meta.json" in names and any(name.endswith(".webp") for name in names):
        return Kind(None, "a .sog scene (PlayCanvas), which is not read yet", SCENES_ARE)
    if "data.pkl" in names:
        return _CHECKPOINT
    if any(name.endswith(".npy") for name in names):
        return Kind(None, "an .npz of arrays", "FLAME's parameters go to render --motion.")
    return None


def sentence(kind: Kind, name: str) -> str:
    """ "is WHAT. WAY OUT" """
    return f"is {kind.what}. {kind.way_out.format(name=name)}".rstrip()
