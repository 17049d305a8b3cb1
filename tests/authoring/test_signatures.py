# SPDX-License-Identifier: Apache-2.0
"""What a file is, by its first bytes: taken out of its packing, or named with the way out."""

import gzip
import io
import os
import shutil
import struct
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

import talksplat
from authoring.makers import cloud_rows, ply_bytes, splat_bytes, spz_bytes, zip_bytes
from talksplat import AvatarInvalid
from talksplat.authoring.convert import FORMATS, convert, detect_format
from talksplat.authoring.signatures import kind_of

PLY = ply_bytes(cloud_rows(5))


@pytest.fixture(scope="module")
def field(shared_dir: Path) -> Path:
    return shared_dir / "data" / "field"


@pytest.mark.parametrize("name", ["point_cloud_in_zip.zip", "scene.ply.gz"])
def test_packed_scenes_of_the_field(field: Path, tmp_path: Path, name: str) -> None:
    avatar = talksplat.load(convert(field / name, tmp_path / "a.tsplat"))
    data = (field / name).read_bytes()
    if name.endswith("gz"):
        inner = gzip.decompress(data)
    else:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inner = archive.read(archive.namelist()[0])
        assert "point_cloud/iteration_30000/point_cloud.ply" in avatar.manifest["provenance"]["notes"]
    (tmp_path / "plain.ply").write_bytes(inner)
    plain = talksplat.load(convert(tmp_path / "plain.ply", tmp_path / "b.tsplat"))
    np.testing.assert_array_equal(avatar.gaussians({}).mean, plain.gaussians({}).mean)
    (file,) = avatar.manifest["provenance"]["files"]
    assert (file["name"], file["bytes"]) == (name, len(data))


def test_a_splat_with_bytes_left(field: Path, tmp_path: Path) -> None:
    avatar = talksplat.load(convert(field / "head_trailing_4_bytes.splat", tmp_path / "a.tsplat"))
    assert avatar.n_gaussians == 1072
    assert avatar.manifest["provenance"]["notes"] == "4 bytes after its last whole row were not read."


FIELD_MESSAGES = {
    "scene.sog": r"is a \.sog scene \(PlayCanvas\), which is not read yet\. Export the scene as \.ply",
    "khr_gaussian_splatting.glb": r"is a glTF scene of Gaussians \(KHR_gaussian_splatting\), which is not read yet",
    "stereo_out_of_phase.wav": r"is a sound \(WAV\)\. It is something to say: talksplat render AVATAR .*wav -o OUT",
    "two_tracks_second_is_default.mkv": r"is a video \(Matroska\)",
    "nvidia_audio2face_export.json": r"is a JSON text\. Recorded motion goes to render --motion",
}


@pytest.mark.parametrize("name", FIELD_MESSAGES)
@pytest.mark.parametrize("format", [None, "ply", "splat", "spz"])
def test_other_files_of_the_field_are_named(field: Path, tmp_path: Path, name: str, format: str | None) -> None:
    with pytest.raises(AvatarInvalid, match=FIELD_MESSAGES[name]):
        convert(field / name, tmp_path / "a.tsplat", format=format)


def safetensors(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header


NAMED = {
    "a.tsplat": (safetensors(b'{"__metadata__": {"talksplat": "{}"}}'), "is an avatar already. Use it as it is"),
    "a.safetensors": (safetensors(b'{"w": 1}'), "is a safetensors file of weights"),
    "a.png": (b"\x89PNG\r\n\x1a\n" + bytes(64), "is a picture (PNG)"),
    "a.jpg": (b"\xff\xd8\xff\xe0" + bytes(64), "is a picture (JPEG)"),
    "a.mp4": (b"\0\0\0\x20ftypisom" + bytes(64), "is a video or a sound (MP4)"),
    "a.html": (b"\n<!DOCTYPE html><html>", "is a web page, not the file that it links to. Download the file itself."),
    "a.glb": (
        b"glTF\2\0\0\0" + bytes(40),
        "is a glTF mesh without its Gaussians. Of a LAM avatar",
    ),
    "a.npz": (zip_bytes({"expr.npy": b"x"}), "is an .npz of arrays"),
    "a.pth": (zip_bytes({"archive/data.pkl": b"x"}), "is a PyTorch checkpoint. Of GaussianTalker convert"),
    "b.pth": (b"\x80\x02}q\x00.", "is a PyTorch checkpoint"),
    "a.npy": (b"\x93NUMPY\1\0" + bytes(64), "is a numpy array"),
    "a.ply": (b"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer, not the file itself"),
    "a.ksplat": (bytes(4096), "is a .ksplat scene, which is not read"),
    "a.txt": (b"hello", "is of no kind that is known"),
    "empty.ply": (b"", "is of no kind that is known"),
    "a.ply.gz": (gzip.compress(b"<html>"), "is a web page"),
    "twice.gz": (gzip.compress(gzip.compress(PLY)), "is packed twice"),
    "two.zip": (zip_bytes({"a.ply": PLY, "b/c.splat": b"x"}), "must hold exactly one .ply, .splat or .spz; it has"),
    "none.zip": (zip_bytes({"readme.txt": PLY}), "exactly one .ply, .splat or .spz; it has 'readme.txt'"),
    "cut.gz": (gzip.compress(os.urandom(5000))[:3000], "is of no kind that is known"),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_a_file_is(tmp_path: Path, name: str) -> None:
    data, message = NAMED[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(AvatarInvalid) as caught:
        convert(tmp_path / name, tmp_path / "out.tsplat")
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    ("data", "format", "message"),
    [
        (PLY, "spz", "is a PLY file, not spz."),
        (PLY, "splat", "is a PLY file, not splat."),
        (spz_bytes(5), "ply", "is an .spz scene, not ply."),
        (gzip.compress(PLY), "spz", "is a PLY file, not spz."),
        (zip_bytes({"skin.glb": b"x"}), "ply", "is a LAM avatar."),
    ],
)
def test_a_format_that_the_file_is_not(tmp_path: Path, data: bytes, format: str, message: str) -> None:
    (tmp_path / "a.ply").write_bytes(data)
    with pytest.raises(AvatarInvalid) as caught:
        convert(tmp_path / "a.ply", tmp_path / "out.tsplat", format=format)
    assert message in str(caught.value)


@pytest.mark.parametrize("inner", ["a.ply", "a.splat", "a.spz"])
@pytest.mark.parametrize("packing", ["plain", "gz", "zip"])
def test_every_scene_in_every_packing(tmp_path: Path, inner: str, packing: str) -> None:
    data = {"a.ply": PLY, "a.splat": splat_bytes(5), "a.spz": spz_bytes(5, 3)}[inner]
    name = {"plain": inner, "gz": f"{inner}.gz", "zip": "a.zip"}[packing]
    if packing == "gz" and inner == "a.spz":
        data = gzip.decompress(data)
    packed = {"plain": data, "gz": gzip.compress(data), "zip": zip_bytes({f"deep/{inner}": data})}[packing]
    (tmp_path / name).write_bytes(packed)
    assert detect_format(tmp_path / name) == inner[2:]
    assert talksplat.load(convert(tmp_path / name, tmp_path / "out.tsplat")).n_gaussians == 5


def test_splats_are_not_taken_for_something_else() -> None:
    """A .splat has no mark: its first number must not look like another file's, but for one in millions."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=200_000).astype("<f4").tobytes()
    rest = bytes(28)
    taken = [kind for i in range(0, len(first), 4) if (kind := kind_of(first[i : i + 4] + rest)) is not None]
    assert not taken


def test_the_source_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.tsplat").write_bytes(PLY)
    os.link(tmp_path / "a.tsplat", tmp_path / "hard.tsplat")
    (tmp_path / "soft.tsplat").symlink_to("a.tsplat")
    for out in ("a.tsplat", "hard.tsplat", "soft.tsplat"):
        with pytest.raises(ValueError, match="is the file that the source is"):
            convert(tmp_path / "a.tsplat", tmp_path / out, format="ply")
    assert (tmp_path / "a.tsplat").read_bytes() == PLY


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.ply")

    def feed() -> None:
        with open(tmp_path / "p.ply", "wb") as pipe, open(tmp_path / "a.ply", "rb") as file:
            shutil.copyfileobj(file, pipe)

    (tmp_path / "a.ply").write_bytes(PLY)
    writer = threading.Thread(target=feed)
    writer.start()
    assert talksplat.load(convert(tmp_path / "p.ply", tmp_path / "out.tsplat", format="ply")).n_gaussians == 5
    writer.join()
    with pytest.raises(AvatarInvalid, match="is a pipe or a device, which cannot be looked at first"):
        detect_format("/dev/zero")


@pytest.mark.parametrize(
    "format", [format for format in FORMATS if format not in ("gaussian-avatars", "gaussian-talker", "e-d3dgs")]
)
@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no /dev/zero here")
def test_devices_are_bounded(tmp_path: Path, format: str) -> None:
    with pytest.raises(AvatarInvalid, match="a pipe or a device that gives more than"):
        convert("/dev/zero", tmp_path / "a.tsplat", format=format)
