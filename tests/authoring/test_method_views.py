# SPDX-License-Identifier: Apache-2.0
"""Cameras and backgrounds of imported talking heads, from the data folder of their training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from authoring.golden_methods import Arrays, Case, case, states
from authoring.torch_files import fused_bytes
from reference.tsplat import read
from talksplat.authoring import convert
from talksplat.authoring.methods.views import head_turn, neck_of
from talksplat.errors import AvatarInvalid, AvatarNotFound

TALKER = "golden/gaussian_talker/b_layer2_smallgrid_ckpt"


@pytest.fixture
def talker(shared_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared_dir / TALKER, tmp_path / "may", copy_function=shutil.copyfile))


@pytest.fixture(scope="module")
def fused(shared_dir: Path) -> Case:
    return case(shared_dir, "talking_gaussian", "a_deepspeech")


def write_fused(folder: Path, fused: Case) -> Path:
    folder.mkdir()
    (folder / "chkpnt_fuse_latest.pth").write_bytes(fused_bytes(fused.io, states(fused)))
    return folder


def write_transforms(path: Path, io: Arrays, ids: list[int]) -> Path:
    """The golden cameras as data_utils/process.py writes them.

    Poses of the camera in OpenGL's axes, of the tracker's rotations and a tenth of its translations; their y and
    z point the other way than the network's.
    """
    frames = []
    for i, view in zip(ids, io["in_viewmatrix"].astype(np.float64), strict=True):
        tracked = np.diag([1.0, -1.0, -1.0]) @ view.T[:3]
        pose = np.eye(4)
        pose[:3, :3] = tracked[:, :3].T
        pose[:3, 3] = -tracked[:, :3].T @ tracked[:, 3] / 10
        frames.append({"img_id": i, "aud_id": i, "transform_matrix": pose.tolist()})
    lens = {"focal_len": float(io["in_focal"]), "cx": int(io["in_W"]) / 2, "cy": int(io["in_H"]) / 2}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**lens, "frames": frames}))
    return path


def median_frame(io: Arrays) -> int:
    views = io["in_viewmatrix"].astype(np.float64).transpose(0, 2, 1)[:, :3]
    away = views - np.median(views, axis=0)
    away[:, :, 3] /= np.linalg.norm(np.median(views, axis=0)[:, 3])
    return int((away**2).sum((1, 2)).argmin())


@pytest.fixture
def data(shared_dir: Path, tmp_path: Path) -> Path:
    """A data folder of the golden talker's poses; frame 1's torso is a red half, the others' are of other colours."""
    io = case(shared_dir, "gaussian_talker", "b_layer2_smallgrid").io
    folder = tmp_path / "data"
    ids = [11, 12, 13, 14]
    write_transforms(folder / "transforms_train.json", io, ids)
    (folder / "torso_imgs").mkdir()
    for i, color in zip(ids, [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)], strict=True):
        torso = np.zeros((96, 96, 4), np.uint8)
        torso[48:, :, :3] = color
        torso[48:, :, 3] = 128
        Image.fromarray(torso).save(folder / f"torso_imgs/{i}.png")
    Image.fromarray(np.full((96, 96, 3), 100, np.uint8)).save(folder / "bc.jpg")
    return folder


def test_the_talkers_camera_is_the_tracked_one(shared_dir: Path, talker: Path, data: Path, tmp_path: Path) -> None:
    io = case(shared_dir, "gaussian_talker", "b_layer2_smallgrid").io
    manifest = read(convert(talker, tmp_path / "a.tsplat", camera=data / "transforms_train.json")).manifest
    assert manifest["canvas"] == {"width": 96, "height": 96}
    camera = manifest["camera"]
    assert (camera["fx"], camera["fy"], camera["cx"], camera["cy"]) == (
        float(io["in_focal"]),
        float(io["in_focal"]),
        48,
        48,
    )
    expected = io["in_viewmatrix"][median_frame(io)].T
    np.testing.assert_allclose(np.reshape(camera["cam_from_world"], (4, 4)), expected, rtol=0, atol=1e-5)
    assert "plate/background" not in read(tmp_path / "a.tsplat").tensors


def test_the_fusions_camera_is_a_tenth_as_far(shared_dir: Path, fused: Case, data: Path, tmp_path: Path) -> None:
    io = case(shared_dir, "gaussian_talker", "b_layer2_smallgrid").io
    folder = write_fused(tmp_path / "obama", fused)
    manifest = read(convert(folder, tmp_path / "a.tsplat", camera=data / "transforms_train.json")).manifest
    expected = io["in_viewmatrix"][median_frame(io)].T.astype(np.float64)
    expected[:3, 3] /= 10
    np.testing.assert_allclose(np.reshape(manifest["camera"]["cam_from_world"], (4, 4)), expected, rtol=0, atol=1e-6)


def test_the_plate_is_the_median_torso_over_the_background(
    shared_dir: Path, talker: Path, fused: Case, data: Path, tmp_path: Path
) -> None:
    io = case(shared_dir, "gaussian_talker", "b_layer2_smallgrid").io
    file = read(convert(talker, tmp_path / "a.tsplat", data=data))
    plate = file.tensors["plate/background"]
    color = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)])[median_frame(io)]
    share = 128 / 255
    expected = color * share + 100 * (1 - share)
    np.testing.assert_allclose(plate[:48], 100, atol=1)  # JPEG
    np.testing.assert_allclose(plate[48:], np.broadcast_to(expected, (48, 96, 3)), atol=1)
    names = [entry["name"] for entry in file.manifest["provenance"]["files"]]
    assert names[2:] == ["transforms_train.json", "bc.jpg", f"{11 + median_frame(io)}.png"]
    folder = write_fused(tmp_path / "obama", fused)
    truncated = read(convert(folder, tmp_path / "b.tsplat", data=data)).tensors["plate/background"].astype(int)
    assert set(np.unique(plate - truncated)) == {0, 1}, "one rounds, the other cuts off, as its synthesis does"


def test_another_camera_than_the_datas(talker: Path, data: Path, tmp_path: Path, shared_dir: Path) -> None:
    io = {**case(shared_dir, "gaussian_talker", "b_layer2_smallgrid").io, "in_focal": np.array(400.0)}
    path = write_transforms(tmp_path / "other.json", io, [11, 12, 13, 14])
    file = read(convert(talker, tmp_path / "a.tsplat", data=data, camera=path))
    assert file.manifest["camera"]["fx"] == 400
    assert "plate/background" in file.tensors


def test_a_torso_that_is_missing_gives_way_to_the_next(talker: Path, data: Path, tmp_path: Path) -> None:
    def torsos() -> list[str]:
        entries = read(convert(talker, tmp_path / "a.tsplat", data=data)).manifest["provenance"]["files"]
        return [entry["name"] for entry in entries if entry["name"].endswith(".png")]

    seen = set()
    for _ in range(4):
        (name,) = torsos()
        assert name not in seen
        seen.add(name)
        (data / "torso_imgs" / name).unlink()
    assert torsos() == []
    file = read(tmp_path / "a.tsplat")
    assert "the background is bc.jpg alone" in file.manifest["provenance"]["notes"]
    np.testing.assert_allclose(file.tensors["plate/background"], 100, atol=1)


def test_without_a_camera_the_head_is_framed(talker: Path, tmp_path: Path) -> None:
    file = read(convert(talker, tmp_path / "a.tsplat"))
    camera = file.manifest["camera"]
    view = np.reshape(camera["cam_from_world"], (4, 4))
    seen = file.tensors["gaussians/mean"] @ view[:3, :3].T + view[:3, 3]
    x, y = (camera["fx"] * seen[:, i] / seen[:, 2] + camera["cx"] for i in (0, 1))
    assert ((x > 0) & (x < 512) & (y > 0) & (y < 512)).mean() > 0.95
    assert min(np.ptp(x), np.ptp(y)) > 200
    np.testing.assert_allclose(view[:3, :3], np.diag([1, -1, -1]), atol=1e-12)  # y is up, the face looks at +z


def spoil(name: str, text: str | bytes | None) -> Callable[[Path], object]:
    def change(data: Path) -> None:
        (data / name).unlink()
        if text is not None:
            (data / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    return change


def picture(name: str, width: int, height: int) -> Callable[[Path], object]:
    return lambda data: Image.new("RGB", (width, height)).save(data / name)


def lens(**values: object) -> Callable[[Path], object]:
    def change(data: Path) -> None:
        content = json.loads((data / "transforms_train.json").read_text())
        (data / "transforms_train.json").write_text(json.dumps({**content, **values}))

    return change


PNG_OF_A_MILE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (1 << 16).to_bytes(4, "big") * 2 + bytes(13)
DATA_BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no transforms": (spoil("transforms_train.json", None), "has none of transforms_train.json, transforms_val.json,"),
    "no background": (spoil("bc.jpg", None), "bc.jpg: cannot be read"),
    "no JSON": (spoil("transforms_train.json", "{"), "transforms_train.json: is not JSON"),
    "no frames": (lens(frames=[]), "transforms_train.json: must have 'frames' with 'transform_matrix', and 'focal_len"),
    "no poses": (lens(frames=[{"img_id": 1}]), "KeyError: 'transform_matrix'"),
    "poses of other shapes": (lens(frames=[{"transform_matrix": [1]}]), "transform_matrix must be [4,4] and finite, g"),
    "a lens of nothing": (lens(focal_len=0), "focal_len must be above 0, twice cx and cy in 1..8192; got 0, 96 and 96"),
    "a lens of text": (lens(cx="wide"), "ValueError: could not convert string to float: 'wide'"),
    "a canvas too large": (lens(cx=5000), "focal_len must be above 0, twice cx and cy in 1..8192; got 215.625, 10000"),
    "another size": (picture("bc.jpg", 64, 96), "bc.jpg: is 64x96, but transforms_train.json is of pictures of 96x96."),
    "torsos of another size": (lambda data: [picture(f"torso_imgs/{i}.png", 8, 9)(data) for i in range(11, 15)],
                               "must be 96x96, as bc.jpg is; got 8x9."),
    "no picture": (spoil("bc.jpg", "hello"), "bc.jpg: must be a PNG or a JPEG picture; it begins with b'hello'."),
    "a picture cut off": (lambda data: (data / "bc.jpg").write_bytes((data / "bc.jpg").read_bytes()[:30]), "bc.jpg: m"),
    "a picture of a mile": (spoil("bc.jpg", PNG_OF_A_MILE), "bc.jpg: must have 1..8192 pixels a side; got 65536x65536"),
    "a damaged picture": (spoil("bc.jpg", PNG_OF_A_MILE.replace((1 << 16).to_bytes(4, "big"), bytes([0, 0, 0, 96]))),
                          "bc.jpg: is a damaged picture ("),
}  # fmt: skip


@pytest.mark.parametrize("case", DATA_BAD)
def test_data_that_is_wrong(case: str, talker: Path, data: Path, tmp_path: Path) -> None:
    change, message = DATA_BAD[case]
    change(data)
    with pytest.raises((AvatarInvalid, AvatarNotFound)) as caught:
        convert(talker, tmp_path / "a.tsplat", data=data)
    assert message in str(caught.value)
    assert not (tmp_path / "a.tsplat").exists()


def test_data_that_is_no_folder(talker: Path, tmp_path: Path) -> None:
    with pytest.raises(AvatarNotFound, match=r"no: is no folder\. Pass the data folder of the training"):
        convert(talker, tmp_path / "a.tsplat", data=tmp_path / "no")


def test_a_head_turns_at_its_neck() -> None:
    """In the middle of its width and depth as the camera sees it, in the lower half of its height; y is down there."""
    rng = np.random.default_rng(0)
    mean = rng.uniform(-1, 1, (5000, 3)) * (1, 2, 0.5) + (3, 0, 0)
    view = np.diag([1.0, -1.0, -1.0, 1.0])
    view[:3, 3] = (-3, 0, 6)
    pivot = head_turn(neck_of(mean, {"cam_from_world": view.ravel().tolist()}))["pivot"]  # type: ignore[typeddict-item]
    np.testing.assert_allclose(pivot, (3, -1, 0), atol=0.1)
