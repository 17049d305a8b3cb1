# SPDX-License-Identifier: Apache-2.0
"""Scenes in .ply as other tools write them: by value, and by the way they stand."""

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import talksplat
from authoring.makers import cloud_rows, ply_bytes
from talksplat import AvatarInvalid
from talksplat.authoring.convert import convert
from talksplat.authoring.ply import import_ply
from talksplat.authoring.ply_file import read_ply
from talksplat.cli import main

SH_C0 = 0.28209479177387814
FIELD_HEAD = Path(__file__).parents[1] / "golden" / "field_head.npz"
Y_DOWN = np.array([1.0, -1.0, -1.0])  # from the demo head's axes (y up, z to the front) to a trained scene's


@pytest.fixture(scope="module")
def field(shared_dir: Path) -> Path:
    return shared_dir / "data" / "field"


@pytest.fixture(scope="module")
def head() -> dict[str, np.ndarray]:
    """One of sixteen Gaussians of the demo head as it was when the field's files were made of it."""
    return dict(np.load(FIELD_HEAD))


def scene(path: Path, tmp_path: Path, **options: Any) -> tuple[Any, Any]:
    """The avatar, and its Gaussians in the source's order."""
    avatar = talksplat.load(convert(path, tmp_path / "scene.tsplat", **options))
    return avatar, avatar.gaussians({})


def notes(avatar: Any) -> str:
    return str(avatar.manifest["provenance"]["notes"])


def pose(avatar: Any) -> np.ndarray:
    return np.reshape(avatar.manifest["camera"]["cam_from_world"], (4, 4))


def drawn(avatar: Any) -> np.ndarray:
    return avatar.render_frame({}, size=(96, 96)).image.astype(float)


def test_discs_of_two_scales(field: Path, tmp_path: Path, head: dict[str, np.ndarray]) -> None:
    avatar, got = scene(field / "head_2dgs_two_scales.ply", tmp_path)
    np.testing.assert_allclose(got.mean, head["mean"][::2] * Y_DOWN, atol=1e-6)
    np.testing.assert_array_equal(got.scale[:, 2], np.float32(1e-6))
    assert (got.scale[:, :2] > 1e-5).all()
    assert "discs (two scales, as in 2DGS)" in notes(avatar)


def test_vertical_axis_of_nerfstudio(field: Path, tmp_path: Path, head: dict[str, np.ndarray]) -> None:
    avatar, got = scene(field / "head_nerfstudio_vertical_axis_z.ply", tmp_path)
    np.testing.assert_allclose(got.mean, head["mean"][::2][:, [0, 2, 1]] * (1, -1, 1), atol=1e-6)
    np.testing.assert_allclose(pose(avatar)[1, :3], (0, 0, -1), atol=1e-7)
    np.testing.assert_allclose(pose(avatar)[2, :3], (0, 1, 0), atol=1e-7)  # horizontal, towards the face
    assert "Up is (0, 0, 1), by its comment 'Vertical Axis: z'." in notes(avatar)


@pytest.mark.parametrize(
    ("comments", "up"),
    [
        (["Vertical Axis: z"], (0, 0, 1)),
        (["Vertical Axis: -x"], (-1, 0, 0)),
        (["Exported from Brush", "Vertical axis: y"], (0, -1, 0)),
        (["Exported from Brush", "Vertical axis: 0 0 2"], (0, 0, 1)),
        (["vertical axis: 0.6, 0.8, 0"], (0.6, 0.8, 0)),
        (["Vertical Axis: sideways"], (0, -1, 0)),
        (["a scene"], (0, -1, 0)),
    ],
)
def test_comments_that_name_an_axis(tmp_path: Path, comments: list[str], up: tuple[float, ...]) -> None:
    data = ply_bytes(cloud_rows(50))
    for comment in comments:
        data = data.replace(b"element", f"comment {comment}\nelement".encode(), 1)
    (tmp_path / "a.ply").write_bytes(data)
    avatar, _ = scene(tmp_path / "a.ply", tmp_path)
    np.testing.assert_allclose(-pose(avatar)[1, :3], up, atol=1e-6)
    assert ("sideways" in notes(avatar)) == ("sideways" in comments[0])


def test_mip_splatting_filter(field: Path, tmp_path: Path, head: dict[str, np.ndarray]) -> None:
    raw = read_ply("", (field / "mip_splatting_filter_3D.ply").read_bytes()).elements["vertex"]
    avatar, got = scene(field / "mip_splatting_filter_3D.ply", tmp_path)
    scale = np.exp(np.stack([raw[f"scale_{i}"] for i in range(3)], 1).astype(np.float64))
    opacity = 1 / (1 + np.exp(-raw["opacity"].astype(np.float64)))
    filtered = np.sqrt(scale**2 + raw["filter_3D"].astype(np.float64)[:, None] ** 2)
    np.testing.assert_allclose(got.scale, filtered, rtol=1e-5)
    shrunk = opacity * np.sqrt((scale**2).prod(1) / (filtered**2).prod(1))
    np.testing.assert_allclose(got.opacity, shrunk, rtol=1e-5, atol=1e-7)
    assert (shrunk < 0.9 * opacity).any() and "filter_3D" in notes(avatar)
    np.testing.assert_allclose(got.mean, head["mean"] * Y_DOWN, atol=1e-6)


def test_the_cloud_of_a_gaussian_avatars_head(field: Path, tmp_path: Path) -> None:
    with pytest.raises(AvatarInvalid, match=r"binding_0.*Convert its folder.*--from gaussian-avatars --flame"):
        convert(field / "gaussian_avatars_point_cloud_binding_0.ply", tmp_path / "a.tsplat")


def test_sh_of_degree_4(field: Path, tmp_path: Path) -> None:
    raw = read_ply("", (field / "head_sh_degree4_72_frest.ply").read_bytes()).elements["vertex"]
    avatar, got = scene(field / "head_sh_degree4_72_frest.ply", tmp_path)
    assert got.sh.shape == (200, 16, 3)
    for c in range(3):
        np.testing.assert_array_equal(got.sh[:, 0, c], raw[f"f_dc_{c}"])
        for k in range(15):
            np.testing.assert_array_equal(got.sh[:, 1 + k, c], raw[f"f_rest_{24 * c + k}"])
    assert "SH degree 4; bands 0 to 3 are kept" in notes(avatar)


@pytest.mark.parametrize("name", ["head_ascii.ply", "head_with_empty_face_list.ply"])
def test_the_same_head(field: Path, tmp_path: Path, head: dict[str, np.ndarray], name: str) -> None:
    _, got = scene(field / name, tmp_path)
    assert len(got.mean) == 300
    mean, opacity, color = (head[name][::2][:300] for name in ("mean", "opacity", "color"))
    np.testing.assert_allclose(got.mean, mean * Y_DOWN, atol=1e-6)
    np.testing.assert_allclose(got.opacity, opacity, atol=1e-4)
    np.testing.assert_allclose(0.5 + SH_C0 * got.sh[:, 0], color, atol=1e-4)


def test_colours_of_red_green_and_blue(field: Path, tmp_path: Path) -> None:
    raw = read_ply("", (field / "head_nerfstudio_ply_color_mode_rgb.ply").read_bytes()).elements["vertex"]
    _, got = scene(field / "head_nerfstudio_ply_color_mode_rgb.ply", tmp_path)
    rgb = np.stack([raw[name] for name in ("red", "green", "blue")], 1)
    np.testing.assert_allclose(got.color, rgb / 255, atol=1e-7)


def test_points_without_gaussians(field: Path, tmp_path: Path) -> None:
    with pytest.raises(AvatarInvalid, match="is a cloud of points, without the scales, rotations and opacities"):
        convert(field / "brush_init_pointcloud_rgb.ply", tmp_path / "a.tsplat")


def test_heads_stand_upright_and_show_their_face(field: Path, tmp_path: Path) -> None:
    """Whatever the axes, the picture is the one of the trained axes: the same 1072 Gaussians."""
    want = drawn(scene(field / "head_nerfstudio_ply_color_mode_rgb.ply", tmp_path)[0])
    got = drawn(scene(field / "head_nerfstudio_vertical_axis_z.ply", tmp_path)[0])
    assert np.abs(got - want).mean() < 1.0
    assert want.std() > 20


# ---- the file itself ----


def big_endian(data: bytes) -> bytes:
    head, body = data.split(b"end_header\n", 1)
    return head.replace(b"little", b"big") + b"end_header\n" + np.frombuffer(body, "<f4").astype(">f4").tobytes()


def as_text(data: bytes) -> bytes:
    head, body = data.split(b"end_header\n", 1)
    n = head.count(b"property")
    rows = np.frombuffer(body, "<f4").reshape(-1, n)
    text = "\n".join(" ".join(f"{value:.9g}" for value in row) for row in rows) + "\n"
    return head.replace(b"binary_little_endian", b"ascii") + b"end_header\n" + text.encode()


@pytest.mark.parametrize("form", [big_endian, as_text])
@pytest.mark.parametrize("degree", [0, 3])
def test_other_encodings_give_the_same(form: Any, degree: int) -> None:
    data = ply_bytes(cloud_rows(7, degree))
    want, got = read_ply("a", data).elements["vertex"], read_ply("a", form(data)).elements["vertex"]
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def with_lists(order: str, counts: list[int], after: int = 3) -> bytes:
    """Faces between a camera and the vertices: an index list and a flag each."""
    name = {"<": "binary_little_endian", ">": "binary_big_endian", "a": "ascii"}[order]
    head = (
        f"ply\nformat {name} 1.0\nelement camera 1\nproperty double f\nelement face {len(counts)}\n"
        "property uchar flag\nproperty list uchar int vertex_indices\nproperty short tail\n"
        f"element vertex {after}\nproperty float x\n"
        "property list ushort double w\nelement edge 2\nproperty list int int e\nend_header\n"
    ).encode()
    values: list[Any] = [("d", 2.5)]
    for i, count in enumerate(counts):
        values += [("B", i % 200), ("B", count), *(("i", k) for k in range(count)), ("h", -i)]
    for i in range(after):
        values += [("f", i + 0.5), ("H", i), *(("d", 9.0) for _ in range(i))]
    if order == "a":
        return head + " ".join(str(value) for _, value in values).encode()
    return head + b"".join(struct.pack(order + kind, value) for kind, value in values)


@pytest.mark.parametrize("order", ["<", ">", "a"])
@pytest.mark.parametrize("counts", [[], [3], [3, 3, 3], [3, 4, 0, 255], [0, 0]])
def test_lists_are_stepped_over(order: str, counts: list[int]) -> None:
    ply = read_ply("a", with_lists(order, counts))
    assert ply.elements["camera"]["f"].tolist() == [2.5]
    assert ply.elements["face"]["tail"].tolist() == [-i for i in range(len(counts))]
    assert ply.elements["vertex"]["x"].tolist() == [0.5, 1.5, 2.5]
    assert "edge" not in ply.elements


@pytest.mark.parametrize("order", ["<", ">", "a"])
def test_lists_that_go_past_the_end(order: str) -> None:
    data = with_lists(order, [3, 4, 250])
    for cut in range(len(data) - 40, len(data), 3):
        with pytest.raises(AvatarInvalid, match=r"truncated|not all of it is numbers"):
            read_ply("a", data[: cut if order != "a" else cut - 5])


def test_many_triangles_are_quick() -> None:
    """Half a million of them: rows of one size are read at once."""
    n = 500_000
    faces = np.zeros(n, [("count", "u1"), ("items", "<i4", 3)])
    faces["count"] = 3
    head = f"ply\nformat binary_little_endian 1.0\nelement face {n}\nproperty list uchar int i\nelement vertex 1\n"
    data = (head + "property float x\nend_header\n").encode() + faces.tobytes() + struct.pack("<f", 7)
    assert read_ply("a", data).elements["vertex"]["x"].tolist() == [7]


def test_bytes_that_follow_are_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_bytes(ply_bytes(cloud_rows(5)) + b"1234")
    assert "4 bytes after the element vertex were not read" in notes(scene(tmp_path / "a.ply", tmp_path)[0])


def test_one_word_before_every_name(tmp_path: Path) -> None:
    rows = cloud_rows(5, 1)
    (tmp_path / "a.ply").write_bytes(ply_bytes({f"gs_{name}": column for name, column in rows.items()}))
    _, got = scene(tmp_path / "a.ply", tmp_path)
    np.testing.assert_array_equal(got.mean[:, 1], rows["y"])


def test_far_away_gaussians_are_an_error_without_warnings(tmp_path: Path) -> None:
    rows = cloud_rows(5)
    rows["x"][:] = 1e38
    (tmp_path / "a.ply").write_bytes(ply_bytes(rows))
    with warnings.catch_warnings(), pytest.raises(AvatarInvalid, match=r"lie up to 1e\+38 from the origin"):
        warnings.simplefilter("error")
        import_ply(tmp_path / "a.ply", "a")


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["binary", "big", "ascii", "<", ">", "a"]))
def test_damage_is_told(seed: int, kind: str) -> None:
    cloud = ply_bytes(cloud_rows(4, 1))
    whole = {"binary": cloud, "big": big_endian(cloud), "ascii": as_text(cloud)}.get(kind) or with_lists(kind, [3, 5])
    rng = np.random.default_rng(seed)
    data = bytearray(whole)
    for at in rng.integers(0, len(data), rng.integers(1, 6)):
        data[at] = rng.integers(256)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read_ply("a", bytes(data[: rng.integers(len(data) // 2, len(data) + 1)]))
        except AvatarInvalid as error:
            assert len(str(error)) < 3000


# ---- turning ----


def test_a_scene_is_turned_by_the_user(field: Path, tmp_path: Path) -> None:
    source = field / "head_nerfstudio_ply_color_mode_rgb.ply"  # y down, seen along z
    want = drawn(scene(source, tmp_path)[0])
    same = talksplat.load(convert(source, tmp_path / "b.tsplat", up="-y", front=(0, 0, -3)))
    np.testing.assert_array_equal(drawn(same), want)
    upside_down = talksplat.load(convert(source, tmp_path / "c.tsplat", up="y", front="-z"))
    assert np.abs(drawn(upside_down)[::-1, ::-1] - want).mean() < 1
    side = talksplat.load(convert(source, tmp_path / "d.tsplat", front="x"))
    np.testing.assert_allclose(pose(side)[:3, :3] @ (1, 0, 0), (0, 0, -1), atol=1e-6)
    np.testing.assert_allclose(pose(side)[1, :3], (0, 1, 0), atol=1e-6)
    again = same.view(front="x")  # the same without another file
    np.testing.assert_allclose(again.cam_from_world, pose(side), atol=1e-5)
    assert again.fx == pytest.approx(side.manifest["camera"]["fx"])


WRONG_TURNS = [
    ({"up": "w"}, "up must be x, -x, y, -y, z, -z or three numbers, not all 0; got w"),
    ({"front": "1,2"}, "front must be x"),
    ({"up": (0, 0, 0)}, "not all 0"),
    ({"up": (0, float("nan"), 1)}, "up must be"),
    ({"up": "z", "front": "-z"}, "up and front must not be parallel"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_TURNS)
def test_wrong_turns(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    (tmp_path / "a.ply").write_bytes(ply_bytes(cloud_rows(5)))
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        convert(tmp_path / "a.ply", tmp_path / "a.tsplat", **options)
    assert not (tmp_path / "a.tsplat").exists()


def test_what_moves_is_not_turned() -> None:
    with pytest.raises(ValueError, match="view: demo is no still scene"):
        talksplat.load("demo").view(up="z")


def test_turning_on_the_command_line(
    field: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = str(field / "head_nerfstudio_ply_color_mode_rgb.ply")
    assert main(["convert", source, "-o", "a.tsplat", "--up", "-y", "--front=-z"]) == 0
    assert main(["render", "a.tsplat", "-o", "f/%d.png", "--size", "64x64", "--seconds", "0.01", "--front", "x"]) == 0
    assert main(["convert", source, "-o", "b.tsplat", "--front", "0,0"]) == 1
    assert "error: --front must be x, -x" in capsys.readouterr().err
    assert main(["render", "demo", "-o", "g/%d.png", "--up", "z"]) == 1
    assert "demo is no still scene" in capsys.readouterr().err
