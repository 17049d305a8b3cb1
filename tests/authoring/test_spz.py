# SPDX-License-Identifier: Apache-2.0
"""Niantic's .spz: every version by value, extension records, other axes, damage."""

import gzip
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

import talksplat
from authoring.makers import spz_bytes
from reference.sh import sh_basis_ref
from talksplat import AvatarInvalid
from talksplat.authoring.convert import convert
from talksplat.authoring.spz import ODD_IN_X, import_spz
from talksplat.authoring.spz_file import AXES, SYSTEMS, read_spz

FIELD_HEAD = Path(__file__).parents[1] / "golden" / "field_head.npz"
Y_DOWN = np.array([1.0, -1.0, -1.0])


@pytest.fixture(scope="module")
def field(shared_dir: Path) -> Path:
    return shared_dir / "data" / "field"


def version_4(spz: bytes, records: bytes = b"", streams: int | None = None) -> bytes:
    """The version 3 file, plain, as version 4."""
    _, _, n, degree, fraction, _, _ = struct.unpack_from("<4sIIBBBB", spz)
    widths = [9, 1, 3, 3, 4] + ([3 * ((degree + 1) ** 2 - 1)] if degree else [])
    at, parts = 16, []
    for width in widths:
        parts.append(spz[at : at + n * width])
        at += n * width
    packed = [zstandard.compress(part) for part in parts]
    count = len(parts) if streams is None else streams
    head = struct.pack("<4sIIBBBBI12x", b"NGSP", 4, n, degree, fraction, 2 * bool(records), count, 32 + len(records))
    table = b"".join(struct.pack("<QQ", len(p), len(raw)) for p, raw in zip(packed, parts, strict=True))
    return head + records + table + b"".join(packed)


def record(which: int, content: bytes) -> bytes:
    return struct.pack("<II", which, len(content)) + content


def imported(path: Path, data: bytes) -> tuple[Any, dict[str, np.ndarray]]:
    path.write_bytes(data)
    manifest, tensors = import_spz(path, "scene")
    return manifest, tensors


def in_order(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    order = np.argsort(tensors["gaussians/source_index"])
    return {name: value[order] for name, value in tensors.items()}


def test_version_1_of_the_demo_head(field: Path, tmp_path: Path) -> None:
    head = np.load(FIELD_HEAD)
    got = talksplat.load(convert(field / "head_v1_float16.spz", tmp_path / "a.tsplat")).gaussians({})
    np.testing.assert_allclose(got.mean, head["mean"], atol=2e-4)  # y up, as the demo is; halves
    np.testing.assert_allclose(got.opacity, head["opacity"], atol=0.5 / 255 + 1e-6)
    # One of sixteen, so made wider: by the square root of 3. Logarithms are in steps of 1/16.
    np.testing.assert_allclose(got.scale, np.sqrt(3) * head["scale"], rtol=0.035)
    np.testing.assert_allclose(0.28209479177387814 * got.sh[:, 0] + 0.5, head["color"], atol=3.7e-3)  # half a step


def test_records_change_no_picture(field: Path, tmp_path: Path) -> None:
    source = field / "head_v3_with_orbit_extension.spz"
    body = gzip.decompress(source.read_bytes())
    plain = bytearray(body[:-20])  # the record: 8 bytes and three floats
    plain[14] &= ~2
    (tmp_path / "plain.spz").write_bytes(gzip.compress(plain))
    avatars = [
        talksplat.load(convert(path, tmp_path / f"{i}.tsplat"))
        for i, path in enumerate((source, tmp_path / "plain.spz"))
    ]
    images = [avatar.render_frame({}, size=(96, 96)).image for avatar in avatars]
    np.testing.assert_array_equal(*images)
    assert images[0].std() > 20
    notes = [avatar.manifest["provenance"]["notes"] for avatar in avatars]
    assert notes == ["Its limits for an orbiting camera (0xADBE0002) are not used.", ""]


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_version_4_is_version_3_in_streams(tmp_path: Path, degree: int) -> None:
    three = spz_bytes(30, 3, degree, packed=False)
    want = imported(tmp_path / "3.spz", three)[1]
    got = imported(tmp_path / "4.spz", version_4(three, record(0x12345678, b"abc")))
    for name, value in want.items():
        np.testing.assert_array_equal(got[1][name], value)
    assert got[0]["provenance"]["notes"] == "Its extension record 0x12345678 of 3 bytes is of an unknown kind."


def test_version_4_of_a_scan(shared_dir: Path, tmp_path: Path) -> None:
    """A person, as SuperSplat's compressed .ply and as .spz 4 by another tool: the same Gaussians in the same place."""
    folder = shared_dir / "data" / "splats"
    spz = talksplat.load(convert(folder / "biker.spz", tmp_path / "a.tsplat"))
    ply = talksplat.load(convert(folder / "biker.compressed.ply", tmp_path / "b.tsplat"))
    one, other = spz.gaussians({}), ply.gaussians({})
    assert len(one.mean) == len(other.mean) == 152746
    # Either file has its own order: they are compared as clouds.
    for a, b in ((one.mean * Y_DOWN, other.mean), (np.sort(one.scale, 1), np.sort(other.scale, 1))):
        for share in (0.05, 0.25, 0.5, 0.75, 0.95):
            np.testing.assert_allclose(np.quantile(a, share, axis=0), np.quantile(b, share, axis=0), atol=0.02)
    pictures = [avatar.render_frame({}, size=(128, 128)).image.astype(float) for avatar in (spz, ply)]
    assert np.abs(pictures[0] - pictures[1]).mean() < 4
    assert pictures[0].std() > 20


def test_higher_bands_are_cut(tmp_path: Path) -> None:
    data = spz_bytes(5, 3, 4, packed=False)
    rest = np.frombuffer(data[-5 * 72 :], np.uint8).reshape(5, 24, 3)
    manifest, tensors = imported(tmp_path / "a.spz", data)
    np.testing.assert_allclose(in_order(tensors)["gaussians/sh"][:, 1:], (rest[:, :15] - 128.0) / 128, atol=1e-7)
    assert "SH degree 4; bands 0 to 3 are kept" in manifest["provenance"]["notes"]


def test_bytes_that_follow_are_a_note(tmp_path: Path) -> None:
    manifest, tensors = imported(tmp_path / "a.spz", spz_bytes(5, 2, packed=False) + b"xyz")
    assert len(tensors["gaussians/mean"]) == 5
    assert manifest["provenance"]["notes"] == "3 bytes after its Gaussians were not read."
    manifest, _ = imported(tmp_path / "b.spz", version_4(spz_bytes(5, 3, packed=False)) + b"xyz")
    assert "3 bytes after" in manifest["provenance"]["notes"]


def with_axes(spz: bytes, code: int) -> bytes:
    data = bytearray(spz + record(AXES, code.to_bytes(4, "little")))
    data[14] |= 2
    return bytes(data)


@pytest.mark.parametrize("system", SYSTEMS[1:])
def test_axes_of_every_system(tmp_path: Path, system: str) -> None:
    """A scene that is stored in other axes is the same picture."""
    directions = {"R": (0, 1), "L": (0, -1), "U": (1, 1), "D": (1, -1), "B": (2, 1), "F": (2, -1)}
    rng = np.random.default_rng(3)
    n = 40
    point = np.round(rng.uniform(-1, 1, (n, 3)) * (1, 0.6, 0.4) * 4096)  # right, up, back
    parts = [rng.integers(200, 256, (n, 1)), rng.integers(0, 256, (n, 3)), np.full((n, 3), 112), np.full((n, 3), 128)]

    def file(point: np.ndarray) -> bytes:
        fixed = b"".join(int(x).to_bytes(3, "little", signed=True) for x in point.ravel())
        return (
            struct.pack("<4sIIBBBB", b"NGSP", 2, n, 0, 12, 0, 0)
            + fixed
            + b"".join(part.astype(np.uint8).tobytes() for part in parts)
        )

    stored = np.stack([directions[letter][1] * point[:, directions[letter][0]] for letter in system], axis=1)
    images = []
    for name, data in (("a", file(point)), ("b", with_axes(file(stored), SYSTEMS.index(system)))):
        (tmp_path / f"{name}.spz").write_bytes(data)
        avatar = talksplat.load(convert(tmp_path / f"{name}.spz", tmp_path / f"{name}.tsplat"))
        images.append(avatar.render_frame({}, size=(64, 64)).image.astype(float))
    assert f"Its axes are {system}, by its extension record." in avatar.manifest["provenance"]["notes"]
    assert np.abs(images[0] - images[1]).max() <= 2
    assert images[0].std() > 20


def test_mirrored_colours(tmp_path: Path) -> None:
    """Where x points left, functions that are odd in x change their sign, and rotations turn the other way."""
    data = spz_bytes(6, 3, 3, packed=False)
    plain = in_order(imported(tmp_path / "a.spz", data)[1])
    mirrored = in_order(imported(tmp_path / "b.spz", with_axes(data, SYSTEMS.index("LUB")))[1])
    sign = np.ones((16, 1))
    sign[ODD_IN_X] = -1
    np.testing.assert_array_equal(mirrored["gaussians/sh"], plain["gaussians/sh"] * sign)
    np.testing.assert_array_equal(mirrored["gaussians/mean"], plain["gaussians/mean"] * (-1, 1, 1))
    np.testing.assert_allclose(mirrored["gaussians/quat"], plain["gaussians/quat"] * (1, 1, -1, -1), atol=1e-7)
    x = np.array([0.3, -0.5, 0.81])
    np.testing.assert_allclose(sh_basis_ref(3, x * (-1, 1, 1)), sh_basis_ref(3, x) * sign[:, 0], atol=1e-12)


FOUR = version_4(spz_bytes(9, 3, 1, packed=False))
BROKEN = {
    "axes": (with_axes(spz_bytes(3, 3, packed=False), 17), "must be a number 0..16; got 17"),
    "streams": (version_4(spz_bytes(3, 3, 1, packed=False), streams=5), "must have 6 streams"),
    "table": (FOUR[:16] + struct.pack("<I", 1 << 31) + FOUR[20:], "got 6 at byte 2147483648"),
    "table in the header": (FOUR[:16] + struct.pack("<I", 8) + FOUR[20:], "at byte 8"),
    "size": (FOUR[:40] + struct.pack("<Q", 82) + FOUR[48:], "stream 0 must hold 81 bytes inside the file; got 82"),
    "cut off": (FOUR[:-5], "stream 5 must hold"),
    "short": (FOUR[:20], "must have 6 streams"),
    "not zstd": (FOUR[: 32 + 96] + b"\0" * (len(FOUR) - 128), "stream 0 is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_refuses(case: str, tmp_path: Path) -> None:
    data, message = BROKEN[case]
    with pytest.raises(AvatarInvalid, match=message):
        imported(tmp_path / "a.spz", data)


@pytest.mark.parametrize("claimed", [27_000_000, 1 << 33])
def test_a_stream_that_unpacks_to_too_much(claimed: int, tmp_path: Path) -> None:
    """27 MB of zeros in about 2 kB; and a table that claims more than there is."""
    n = claimed // 9
    bomb = zstandard.compress(bytes(27_000_000), 19)
    head = struct.pack("<4sIIBBBBI12x", b"NGSP", 4, n, 0, 12, 0, 5, 32)
    table = struct.pack("<QQ", len(bomb), n * 9) + b"".join(struct.pack("<QQ", 1, n * w) for w in (1, 3, 3, 4))
    with pytest.raises(AvatarInvalid, match=r"out of proportion|1 to"):
        imported(tmp_path / "a.spz", head + table + bomb + b"xxxx")


@pytest.mark.parametrize("base", ["1", "2", "3", "4"])
def test_damage_is_told(base: str) -> None:
    whole = FOUR if base == "4" else with_axes(spz_bytes(9, int(base), 1, packed=False), 5)
    rng = np.random.default_rng(int(base))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(300):
            data = bytearray(whole)
            for at in rng.integers(0, len(data), rng.integers(1, 5)):
                data[at] = rng.integers(256)
            try:
                read_spz("a", bytes(data[: rng.integers(len(data) // 2, len(data) + 1)]))
            except AvatarInvalid as error:
                assert len(str(error)) < 300
