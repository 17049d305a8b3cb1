# SPDX-License-Identifier: Apache-2.0
"""LAM avatars: a tiny one whose numbers are known, the two real ones, and broken ones."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from authoring.makers import N_LAM, GlbWriter, cloud_rows, lam_animation, lam_members, lam_skin, ply_bytes, zip_bytes
from talksplat.arkit import ARKIT_NAMES
from talksplat.authoring.lam import import_lam, read_weights
from talksplat.authoring.rotation import matrix_of_quat
from talksplat.authoring.spec import validate
from talksplat.errors import AvatarInvalid, AvatarNotFound


def imported(tmp_path: Path, members: dict[str, bytes]) -> tuple[Any, dict[str, np.ndarray]]:
    path = tmp_path / "anna.zip"
    path.write_bytes(zip_bytes(members))
    manifest, tensors = import_lam(path, "anna")
    validate(manifest, tensors)
    return manifest, tensors


def input_of(manifest: Any, name: str) -> Any:
    return next(item for item in manifest["inputs"] if item["name"] == name)


def test_gaussians_are_activated_and_bound_to_their_vertex(tmp_path: Path) -> None:
    manifest, tensors = imported(tmp_path, lam_members())
    rows = cloud_rows(N_LAM)
    source = tensors["gaussians/source_index"]
    np.testing.assert_array_equal(tensors["binding/index"], source)
    np.testing.assert_allclose(tensors["gaussians/opacity"], 1 / (1 + np.exp(-rows["opacity"][source])), rtol=1e-6)
    for i in range(3):
        np.testing.assert_allclose(tensors["gaussians/scale"][:, i], np.exp(rows[f"scale_{i}"][source]), rtol=1e-6)
        # f_dc is RGB itself here, clamped as the viewer's bytes are.
        np.testing.assert_array_equal(tensors["gaussians/color"][:, i], np.clip(rows[f"f_dc_{i}"][source], 0, 1))
        np.testing.assert_array_equal(tensors["gaussians/mean"][:, i], rows["xyz"[i]][source])
    quat = np.stack([rows[f"rot_{i}"] for i in range(4)], 1)[source]
    np.testing.assert_allclose(tensors["gaussians/quat"], quat / np.linalg.norm(quat, axis=1, keepdims=True), atol=1e-6)
    assert manifest["binding"] == {"kind": "vertex", "scale_rule": "length", "rotate": True}


def test_skeleton_keeps_joints_with_weight_and_their_ancestors(tmp_path: Path) -> None:
    _, tensors = imported(tmp_path, lam_members())
    np.testing.assert_array_equal(tensors["rig/joint/parent"], [-1, 0, 1, 2])  # root, hip, neck, head; no arm
    np.testing.assert_array_equal(np.unique(tensors["rig/skin/joint"]), [2, 3])
    assert tensors["rig/skin/weight"].shape == (N_LAM, 2)
    np.testing.assert_allclose(tensors["rig/joint/rest_local"][0, :, :3], 0.01 * np.eye(3), atol=1e-9)
    turned = matrix_of_quat(np.array([np.cos(0.25), 0, 0, np.sin(0.25)]))
    np.testing.assert_allclose(tensors["rig/joint/rest_local"][2, :, :3], turned, atol=1e-7)
    np.testing.assert_array_equal(tensors["rig/joint/rest_local"][3, :, 3], [0, 10, 0])


def test_a_head_bone_without_weight_is_not_turned(tmp_path: Path) -> None:
    glb = lam_skin()
    glb.json["nodes"][4]["name"], glb.json["nodes"][3]["name"] = "head", "skull"
    manifest, _ = imported(tmp_path, lam_members() | {"anna/skin.glb": glb.bytes()})
    assert input_of(manifest, "head_pose")["joints"] == [3]  # skull, which carries most weight


def test_sparse_morph_target_keeps_moved_vertices_only(tmp_path: Path) -> None:
    manifest, tensors = imported(tmp_path, lam_members())
    np.testing.assert_array_equal(tensors["rig/blendshape/start"], [0, 2])
    np.testing.assert_array_equal(tensors["rig/blendshape/vertex"], [2, 5])
    np.testing.assert_array_equal(tensors["rig/blendshape/delta"][:, 1], [-1, -2])
    shapes = dict(zip(*(input_of(manifest, "arkit")[key] for key in ("names", "shapes")), strict=True))
    assert shapes.pop("jawOpen") == 0
    assert set(shapes.values()) == {-1}
    assert "ownShape" in manifest["provenance"]["notes"]


def test_clips_are_sampled_relative_to_rest(tmp_path: Path) -> None:
    manifest, tensors = imported(tmp_path, lam_members())
    assert [clip["name"] for clip in manifest["clips"]] == ["nod_me", "bsData"]
    rotation = tensors["clip/nod_me/joint_rotation"].reshape(31, 4, 3)
    translation = tensors["clip/nod_me/joint_translation"].reshape(31, 4, 3)
    np.testing.assert_allclose(rotation[:, 3, 0], np.arange(31) / 30, atol=1e-6)  # slerp: constant speed
    rotation[:, 3, 0] = 0
    np.testing.assert_array_equal(rotation, 0)
    np.testing.assert_array_equal(translation[:, 1, 1], np.where(np.arange(31) < 15, 0, 5))  # STEP at frame 15
    assert (tensors["clip/bsData/arkit"][:, ARKIT_NAMES.index("jawOpen")] == 0.5).all()
    assert input_of(manifest, "head_pose")["joints"] == [3]


def test_folder_gives_what_its_zip_gives(tmp_path: Path) -> None:
    members = lam_members("")
    for name, data in members.items():
        if "/" not in name:
            (tmp_path / name).write_bytes(data)
    (tmp_path / "LICENSE").write_text("mine\n")
    manifest, tensors = import_lam(tmp_path, "anna")
    _, zipped = imported(tmp_path, members)
    assert manifest["licence"] == "mine"
    assert set(tensors) == set(zipped)
    for name, array in tensors.items():
        np.testing.assert_array_equal(array, zipped[name])


def test_animations_and_weights_are_optional(tmp_path: Path) -> None:
    members = {k: v for k, v in lam_members().items() if k.endswith(("skin.glb", "offset.ply"))}
    manifest, tensors = imported(tmp_path, members)
    assert manifest["clips"] == []
    assert not [name for name in tensors if name.startswith("clip/")]


def without(name: str) -> Callable[[], dict[str, bytes]]:
    return lambda: {k: v for k, v in lam_members().items() if not k.endswith(f"/{name}")}


def replaced(name: str, data: bytes) -> Callable[[], dict[str, bytes]]:
    return lambda: lam_members() | {f"anna/{name}": data}


def skin_with(change: Callable[[GlbWriter], object]) -> Callable[[], dict[str, bytes]]:
    glb = lam_skin()
    change(glb)
    return replaced("skin.glb", glb.bytes())


def animation_with(change: Callable[[GlbWriter], object]) -> Callable[[], dict[str, bytes]]:
    glb = lam_animation()
    change(glb)
    return replaced("animation.glb", glb.bytes())


def point_past_the_end(glb: GlbWriter) -> None:
    glb.json["bufferViews"][0]["byteOffset"] = 1 << 20


def cyclic(glb: GlbWriter) -> None:
    glb.json["nodes"] = [*glb.json["nodes"], {"children": [7]}, {"children": [6]}]


def huge_zeros(glb: GlbWriter) -> None:
    accessor = {"componentType": 5126, "count": 1 << 26, "type": "VEC3"}
    glb.json["accessors"][glb.json["meshes"][0]["primitives"][0]["attributes"]["POSITION"]] = accessor


def first_sampler(key: str, value: object) -> Callable[[GlbWriter], None]:
    return lambda glb: glb.json["animations"][0]["samplers"][0].__setitem__(key, value)


BROKEN = {
    "no skin": (without("skin.glb"), "skin.glb"),
    "no offset": (without("offset.ply"), "offset.ply"),
    "two skins": (lambda: lam_members() | {"b/skin.glb": b"x"}, "exactly one skin.glb"),
    "not a glb": (replaced("skin.glb", b"nonsense"), "skin.glb"),
    "cut glb": (replaced("skin.glb", lam_skin().bytes()[:-100]), "skin.glb"),
    "glb version": (replaced("skin.glb", b"glTF\1\0\0\0" + lam_skin().bytes()[8:]), "glTF 2"),
    "glb json": (replaced("skin.glb", lam_skin().bytes().replace(b'"asset"', b'"asset ')), "JSON"),
    "view past the end": (skin_with(point_past_the_end), "bufferViews[0].byteOffset"),
    "count past the end": (skin_with(lambda g: g.json["accessors"][0].__setitem__("count", 500)), "inside the binary"),
    "cycle of nodes": (skin_with(cyclic), "a tree"),
    "bomb of zeros": (skin_with(huge_zeros), "in keeping with the file"),
    "two meshes": (skin_with(lambda g: g.json["meshes"].append({})), "meshes"),
    "no skin object": (skin_with(lambda g: g.json.pop("skins")), "skins"),
    "target names": (skin_with(lambda g: g.json["meshes"][0].pop("extras")), "targetNames"),
    "joint out of range": (skin_with(lambda g: g.json["skins"][0]["joints"].__setitem__(0, 99)), "skins[0].joints"),
    "matrix node": (skin_with(lambda g: g.json["nodes"][2].__setitem__("matrix", [1.0] * 16)), "matrix"),
    "flat node": (skin_with(lambda g: g.json.__setitem__("nodes", [{**n, "scale": [0, 1, 1]} for n in g.json["nodes"]])), "invertible"),  # noqa: E501
    "curve": (animation_with(first_sampler("interpolation", "CUBICSPLINE")), "LINEAR or STEP"),
    "values of another count": (animation_with(first_sampler("output", 1)), "VEC4"),
    "rows": (replaced("offset.ply", ply_bytes(cloud_rows(N_LAM + 1))), f"{N_LAM}; got {N_LAM + 1}"),
    "fields": (
        replaced("offset.ply", ply_bytes({k: v for k, v in cloud_rows(N_LAM).items() if k != "rot_2"})), "rot_2",
    ),
    "weights": (replaced("bsData.json", b'{"names": ["jawOpen"], "frames": [{"weights": [1, 2]}]}'), "bsData.json"),
    "weight names": (replaced("bsData.json", b'{"names": ["jaw"], "frames": [{"weights": [1]}]}'), "jaw"),
    "weights nan": (replaced("bsData.json", b'{"names": ["jawOpen"], "frames": [{"weights": [NaN]}]}'), "finite"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_refuses(case: str, tmp_path: Path) -> None:
    make, place = BROKEN[case]
    with pytest.raises(AvatarInvalid) as error:
        imported(tmp_path, make())
    assert place in str(error.value)


def test_refuses_a_zip_bomb_before_unpacking_it(tmp_path: Path) -> None:
    members = lam_members() | {"anna/animation.glb": b"\0" * (20 << 20)}
    with pytest.raises(AvatarInvalid, match=r"animation\.glb unpacks from \d+ to 20971520 bytes"):
        imported(tmp_path, members)


def test_refuses_a_zip_bomb_whose_header_lies(tmp_path: Path) -> None:
    data = bytearray(zip_bytes(lam_members() | {"anna/animation.glb": b"\0" * (40 << 20)}))
    size = (40 << 20).to_bytes(4, "little")
    assert data.count(size) == 2  # local header and directory
    path = tmp_path / "anna.zip"
    path.write_bytes(bytes(data).replace(size, (1 << 10).to_bytes(4, "little")))
    with pytest.raises(AvatarInvalid, match=r"anna\.zip"):
        import_lam(path, "anna")


def test_refuses_an_encrypted_zip(tmp_path: Path) -> None:
    data = bytearray(zip_bytes(lam_members()))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        place = archive.getinfo("anna/skin.glb").header_offset
    data[place + 6] |= 1
    directory = data.index(b"PK\1\2")
    data[directory + 8] |= 1
    path = tmp_path / "anna.zip"
    path.write_bytes(data)
    with pytest.raises(AvatarInvalid, match=r"encrypted|password"):
        import_lam(path, "anna")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(AvatarNotFound, match=r"nothing\.zip"):
        import_lam(tmp_path / "nothing.zip", "x")
    with pytest.raises(AvatarNotFound, match=r"skin\.glb"):
        import_lam(tmp_path, "x")


def test_weights_take_arkits_order() -> None:
    content = {"names": ["tongueOut", "eyeBlinkLeft"], "frames": [{"weights": [0.25, 0.75]}]}
    weights, fps = read_weights("w", json.dumps(content).encode())
    assert fps == 30
    assert (weights[0, 0], weights[0, 51]) == (0.75, 0.25)
    assert weights.sum() == 1


@pytest.mark.parametrize("name", ["lam_p2-1", "lam_james"])
def test_real_avatar(name: str, shared_dir: Path) -> None:
    manifest, tensors = import_lam(shared_dir / "data/avatars" / f"{name}.zip", name)
    validate(manifest, tensors)
    assert len(tensors["gaussians/mean"]) == len(tensors["rig/vertex"]) == 20018
    assert len(tensors["rig/triangle"]) == 39904
    assert len(tensors["rig/joint/parent"]) == 11  # of 264 nodes
    missing = [n for n, s in zip(*(input_of(manifest, "arkit")[k] for k in ("names", "shapes")), strict=True) if s < 0]
    assert missing == ["tongueOut"]
    clips = {clip["name"]: clip for clip in manifest["clips"]}
    assert len(clips) == 12 + (name == "lam_james")
    assert clips["yumi_h5_a3_idle"]["frames"] == 301
    # Idle sways, it does not jump: below 6 degrees from rest, below one degree from frame to frame.
    idle = tensors["clip/yumi_h5_a3_idle/joint_rotation"]
    assert 0.02 < np.abs(idle).max() < np.radians(6)
    assert np.abs(np.diff(idle, axis=0)).max() < np.radians(1)
    # The rest pose is the bind pose: every joint leaves the mesh where it is.
    world = np.zeros((11, 4, 4))
    for j, parent in enumerate(tensors["rig/joint/parent"]):
        local = np.vstack([tensors["rig/joint/rest_local"][j], [0, 0, 0, 1]])
        world[j] = local if parent < 0 else world[parent] @ local
        stay = world[j] @ np.vstack([tensors["rig/joint/inverse_bind"][j], [0, 0, 0, 1]])
        np.testing.assert_allclose(stay, np.eye(4), atol=2e-5)
    # The camera has the whole head in the picture.
    camera = manifest["camera"]
    pose = np.array(camera["cam_from_world"]).reshape(4, 4)
    seen = tensors["rig/vertex"] @ pose[:3, :3].T + pose[:3, 3]
    pixel = seen[:, :2] / seen[:, 2:] * camera["fx"] + (camera["cx"], camera["cy"])
    assert pixel[:, 1].min() > 0
    assert 0 < pixel[:, 0].min() < pixel[:, 0].max() < 512
    assert np.median(pixel[:, 0]) == pytest.approx(256, abs=25)
