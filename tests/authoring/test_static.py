# SPDX-License-Identifier: Apache-2.0
"""Static scenes: .ply (trained and compressed), .splat and .spz, field by field and damaged."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from authoring.makers import cloud_rows, compressed_ply_bytes, ply_bytes, splat_bytes, spz_bytes
from talksplat.authoring.ply import import_ply
from talksplat.authoring.rotation import matrix_of_quat
from talksplat.authoring.spec import validate
from talksplat.authoring.splat import import_splat
from talksplat.authoring.spz import import_spz
from talksplat.errors import AvatarInvalid, AvatarNotFound

SH_C0 = 0.28209479177387814


def imported(importer: Any, path: Path, data: bytes | None = None) -> tuple[Any, dict[str, np.ndarray]]:
    if data is not None:
        path.write_bytes(data)
    manifest, tensors = importer(path, "scene")
    validate(manifest, tensors)
    return manifest, tensors


def in_source_order(tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    out = np.empty_like(tensors[name])
    out[tensors["gaussians/source_index"]] = tensors[name]
    return out


@pytest.mark.parametrize("degree", range(4))
def test_ply_is_read_by_name_and_activated(degree: int, tmp_path: Path) -> None:
    rows = cloud_rows(50, degree, extra="embedding_0")
    shuffled = dict(sorted(rows.items(), key=lambda item: item[0][::-1]))
    manifest, tensors = imported(import_ply, tmp_path / "a.ply", ply_bytes(shuffled))
    assert manifest["color"] == f"sh{degree}"
    sh = in_source_order(tensors, "gaussians/sh")
    bands = (degree + 1) ** 2 - 1
    for c in range(3):
        np.testing.assert_array_equal(sh[:, 0, c], rows[f"f_dc_{c}"])
        for k in range(bands):  # the file holds all of red, then green, then blue
            np.testing.assert_array_equal(sh[:, 1 + k, c], rows[f"f_rest_{c * bands + k}"])
    quat = np.stack([rows[f"rot_{i}"] for i in range(4)], 1)
    quat /= np.linalg.norm(quat, axis=1, keepdims=True)
    np.testing.assert_allclose(in_source_order(tensors, "gaussians/quat"), quat, atol=1e-6)
    np.testing.assert_allclose(in_source_order(tensors, "gaussians/scale")[:, 1], np.exp(rows["scale_1"]), rtol=1e-6)
    opacity = 1 / (1 + np.exp(-rows["opacity"].astype(np.float64)))
    np.testing.assert_allclose(in_source_order(tensors, "gaussians/opacity"), opacity, rtol=1e-6)


def test_ply_of_doubles(tmp_path: Path) -> None:
    rows = cloud_rows(3)
    wide = {name: column.astype(np.float64) for name, column in rows.items()}
    _, tensors = imported(import_ply, tmp_path / "a.ply", ply_bytes(wide))
    np.testing.assert_array_equal(in_source_order(tensors, "gaussians/mean")[:, 0], rows["x"])


def test_rows_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    rows = cloud_rows(6)
    rows["x"][1], rows["scale_0"][4], rows["rot_2"][5] = np.nan, 1000, np.inf
    for i in range(4):
        rows[f"rot_{i}"][3] = 0
    manifest, tensors = imported(import_ply, tmp_path / "a.ply", ply_bytes(rows))
    assert sorted(tensors["gaussians/source_index"]) == [0, 2, 3]
    assert manifest["source_count"] == 6
    at = list(tensors["gaussians/source_index"]).index(3)
    np.testing.assert_array_equal(tensors["gaussians/quat"][at], [1, 0, 0, 0])  # a zero quaternion turns nothing


def without(name: str) -> bytes:
    return ply_bytes({k: v for k, v in cloud_rows(4, 1).items() if k != name})


GOOD = ply_bytes(cloud_rows(4))
BROKEN_PLY = {
    "empty": (b"", "is not a PLY"),
    "no header end": (GOOD[:60], "is not a PLY"),
    "truncated": (GOOD[:-1], "truncated"),
    "text": (GOOD.replace(b"binary_little_endian", b"ascii"), "says that it is text, but not all of it is numbers"),
    "middle endian": (GOOD.replace(b"binary_little", b"binary_middle"), "got 'binary_middle_endian'"),
    "no rows": (ply_bytes({k: v[:0] for k, v in cloud_rows(1).items()}), "with rows"),
    "mesh": (GOOD.replace(b"element vertex", b"element corner"), "'vertex'"),
    "list": (GOOD.replace(b"property float x", b"property list float int x"), "property list"),
    "twice": (GOOD.replace(b"float y\n", b"float x\n"), "x twice"),
    "field": (without("opacity"), "['opacity']"),
    "rest": (without("f_rest_3"), "0, 9, 24 or 45"),
    "rest name": (ply_bytes({k.replace("rest_3", "rest_9"): v for k, v in cloud_rows(4, 1).items()}), "f_rest_3"),
    "all nan": (ply_bytes({k: v * np.nan for k, v in cloud_rows(4).items()}), "none of its 4"),
    "giant": (GOOD.replace(b"vertex 4", b"vertex 99999999999"), "99999999999 rows"),
}


@pytest.mark.parametrize("case", BROKEN_PLY)
def test_refuses_ply(case: str, tmp_path: Path) -> None:
    data, place = BROKEN_PLY[case]
    with pytest.raises(AvatarInvalid) as error:
        imported(import_ply, tmp_path / "a.ply", data)
    assert place in str(error.value)


def test_compressed_ply_decodes_its_fields(tmp_path: Path) -> None:
    """One Gaussian with chosen bits between bounds of -2 and 2."""
    data = bytearray(compressed_ply_bytes(1))
    unit = lambda value, bits: round(value * ((1 << bits) - 1))  # noqa: E731
    position = unit(0.25, 11) << 21 | unit(0.5, 10) << 11 | unit(1, 11)
    rotation = 2 << 30 | unit(0.5 + 0.1 / 2**0.5, 10) << 20 | unit(0.5, 10) << 10 | unit(0.5 - 0.3 / 2**0.5, 10)
    scale = unit(0, 11) << 21 | unit(1, 10) << 11 | unit(0.5, 11)
    color = 255 << 24 | 51 << 16 | 0 << 8 | 204
    data[-16:] = struct.pack("<4I", position, rotation, scale, color)
    manifest, t = imported(import_ply, tmp_path / "a.ply", bytes(data))
    np.testing.assert_allclose(t["gaussians/mean"][0], [-1, 0, 2], atol=4e-3)
    y = np.sqrt(1 - 0.1**2 - 0.3**2)
    np.testing.assert_allclose(t["gaussians/quat"][0], [0.1, 0, y, -0.3], atol=2e-3)
    np.testing.assert_allclose(t["gaussians/scale"][0], np.exp([-2, 2, 0]), rtol=2e-3)
    np.testing.assert_allclose(0.5 + SH_C0 * t["gaussians/sh"][0, 0], [1, 0.2, 0], atol=1e-6)
    assert t["gaussians/opacity"][0] == pytest.approx(0.8)
    assert manifest["provenance"]["source_format"] == "compressed.ply"


def test_refuses_compressed_ply_without_its_chunks(tmp_path: Path) -> None:
    data = compressed_ply_bytes(300).replace(b"element chunk 2", b"element chunk 1")
    with pytest.raises(AvatarInvalid, match=r"2 chunks of 256; got 1|truncated"):
        imported(import_ply, tmp_path / "a.ply", data)
    data = compressed_ply_bytes(3).replace(b"uint packed_scale", b"uint packed_scalf")
    with pytest.raises(AvatarInvalid, match="packed_scale"):
        imported(import_ply, tmp_path / "a.ply", data)


def test_splat_rows(tmp_path: Path) -> None:
    row = struct.pack("<6f8B", 1, 2, 3, 0.1, 0.2, 0.3, 255, 0, 51, 204, 128, 255, 128, 128)
    manifest, t = imported(import_splat, tmp_path / "a.splat", row * 2)
    np.testing.assert_array_equal(t["gaussians/mean"][0], [1, 2, 3])
    np.testing.assert_allclose(t["gaussians/scale"][0], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(t["gaussians/color"][0], [1, 0, 0.2])
    assert t["gaussians/opacity"][0] == pytest.approx(0.8)
    np.testing.assert_array_equal(t["gaussians/quat"][0], [0, 1, 0, 0])
    assert manifest["color"] == "rgb"
    manifest, t = imported(import_splat, tmp_path / "a.splat", row + row[:-1])
    assert len(t["gaussians/mean"]) == 1
    assert manifest["provenance"]["notes"] == "31 bytes after its last whole row were not read."
    with pytest.raises(AvatarInvalid, match="32 bytes; got 31"):
        imported(import_splat, tmp_path / "a.splat", row[:-1])
    with pytest.raises(AvatarInvalid, match="got 0 bytes"):
        imported(import_splat, tmp_path / "a.splat", b"")


def spz_of_one(version: int) -> bytes:
    """One Gaussian: position (-1, 0.5, 2), sigma e^-3, x turned by 90 degrees, degree 1."""
    position = b"".join(round(x * 4096).to_bytes(3, "little", signed=True) for x in (-1, 0.5, 2))
    half = np.sqrt(0.5)
    if version == 2:
        rotation = bytes([round((half + 1) * 127.5), 128, 128])
    else:  # largest is x (index 0); y, z, w follow, ten bits each, w last
        rotation = struct.pack("<I", 0 << 30 | 0 << 20 | 0 << 10 | round(half / np.sqrt(0.5) * 511))
    sh = bytes([128 + 64, 128, 128, 128, 128 - 64, 128, 128, 128, 128])
    body = position + bytes([204]) + bytes([255, 0, 128]) + bytes([112] * 3) + rotation + sh
    return struct.pack("<4sIIBBBB", b"NGSP", version, 1, 1, 12, 0, 0) + body


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("version", [2, 3])
def test_spz_fields(version: int, packed: bool, tmp_path: Path) -> None:
    data = spz_of_one(version)
    manifest, t = imported(import_spz, tmp_path / "a.spz", gzip.compress(data) if packed else data)
    np.testing.assert_array_equal(t["gaussians/mean"][0], [-1, 0.5, 2])
    np.testing.assert_allclose(t["gaussians/scale"][0], np.exp(-3), rtol=1e-6)
    assert t["gaussians/opacity"][0] == pytest.approx(0.8)
    np.testing.assert_allclose(t["gaussians/sh"][0, 0], [0.5 / 0.15, -0.5 / 0.15, 0.0131], atol=1e-4)
    np.testing.assert_array_equal(t["gaussians/sh"][0, 1:], [[0.5, 0, 0], [0, -0.5, 0], [0, 0, 0]])
    turn = matrix_of_quat(t["gaussians/quat"][0])
    np.testing.assert_allclose(turn, [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1.5e-2)  # bytes are coarse
    # y points up in spz: the camera's y axis, which points down, is -y.
    assert manifest["camera"]["cam_from_world"][5] == -1


BROKEN_SPZ = {
    "version 4 in one stream": (spz_bytes(30, 4, packed=False), "must have 5 streams"),
    "version 5": (spz_bytes(3, 5), "version 5; versions 1 to 4"),
    "magic": (gzip.compress(b"x" * 64), "NGSP"),
    "empty": (b"", "NGSP"),
    "truncated gzip": (spz_bytes(40)[:-30], "damaged|cut off"),
    "truncated body": (spz_bytes(40, packed=False)[:-1], "bytes; got"),
    "degree": (struct.pack("<4sIIBBBB", b"NGSP", 2, 1, 9, 12, 0, 0), "SH degree"),
    "no points": (struct.pack("<4sIIBBBB", b"NGSP", 2, 0, 0, 12, 0, 0), "points"),
    "bomb": (
        gzip.compress(struct.pack("<4sIIBBBB", b"NGSP", 2, 2**31, 3, 12, 0, 0) + bytes(1 << 26)),
        "out of proportion",
    ),
}


@pytest.mark.parametrize("case", BROKEN_SPZ)
def test_refuses_spz(case: str, tmp_path: Path) -> None:
    data, place = BROKEN_SPZ[case]
    with pytest.raises(AvatarInvalid, match=place):
        imported(import_spz, tmp_path / "a.spz", data)


def test_camera_sees_the_scene_despite_strays(tmp_path: Path) -> None:
    rows = cloud_rows(2000)
    for axis in "xyz":
        rows[axis] = np.random.default_rng(ord(axis)).uniform(-1, 1, 2000).astype(np.float32) * 40
    rows["x"][:5] = 1e6
    manifest, t = imported(import_ply, tmp_path / "a.ply", ply_bytes(rows))
    camera = manifest["camera"]
    pose = np.array(camera["cam_from_world"]).reshape(4, 4)
    seen = t["gaussians/mean"].astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
    pixel = seen[:, :2] / seen[:, 2:] * camera["fx"] + 256
    inside = ((pixel > 0) & (pixel < 512)).all(1) & (seen[:, 2] > camera["near"])
    assert inside.mean() > 0.98
    assert np.ptp(pixel[inside][:, 1]) > 256
    np.testing.assert_array_equal(pose[1, :3], [0, 1, 0])  # y down, as trained scenes have it


def test_missing_file(tmp_path: Path) -> None:
    for importer in (import_ply, import_splat, import_spz):
        with pytest.raises(AvatarNotFound, match="nothing"):
            importer(tmp_path / "nothing", "x")


def test_real_files(shared_dir: Path) -> None:
    """The four corners of splat-transform's fixtures in three formats, and a scan of a person."""
    folder = shared_dir / "data/splats"
    for name, importer in (("minimal-v2.spz", import_spz), ("minimal-v3.spz", import_spz),
                           ("minimal-v4.spz", import_spz), ("minimal-raw.spz", import_spz),
                           ("minimal.splat", import_splat)):  # fmt: skip
        manifest, t = imported(importer, folder / "fixtures" / name)
        assert manifest["source_count"] == 4
        np.testing.assert_allclose(t["gaussians/scale"], 0.1, atol=1e-3)
        np.testing.assert_allclose(t["gaussians/opacity"], 0.9, atol=3e-3)
    manifest, t = imported(import_ply, folder / "biker.compressed.ply")
    assert manifest["source_count"] == 152746
    assert 1.5 < np.ptp(np.quantile(t["gaussians/mean"][:, 1], [0.01, 0.99])) < 6


def test_makers_are_good(tmp_path: Path) -> None:
    """The fuzz of test_convert starts from files that import."""
    imported(import_splat, tmp_path / "a", splat_bytes(9))
    imported(import_ply, tmp_path / "a", compressed_ply_bytes(300))
    for version in (1, 2, 3):
        imported(import_spz, tmp_path / "a", spz_bytes(9, version, degree=2))
