# SPDX-License-Identifier: Apache-2.0
"""Heads of strangers that ask for more time or memory than they hold: refused, or read as what they are."""

import json
import os
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from authoring.makers import (
    GlbWriter,
    cloud_rows,
    flame_fields,
    lam_animation,
    lam_members,
    lam_skin,
    ply_bytes,
    write_checkpoint,
    zip_bytes,
)  # fmt: skip
from talksplat.arkit import ARKIT_NAMES
from talksplat.authoring.convert import convert
from talksplat.authoring.flame import load_flame
from talksplat.authoring.gaussian_avatars import import_gaussian_avatars
from talksplat.authoring.glb import BINARY_CHUNK, JSON_CHUNK
from talksplat.authoring.lam import import_lam
from talksplat.authoring.source import MAX_LICENCE_BYTES, Source, stated_licence
from talksplat.authoring.spec import MAX_CLIPS, MAX_JOINTS
from talksplat.errors import AvatarInvalid

MIB = 1 << 20
Change = Callable[[GlbWriter], object]


def lam(folder: Path, **members: bytes) -> Path:
    """A LAM zip whose members of these names (with _ for .) are replaced."""
    path = folder / "anna.zip"
    replaced = {f"anna/{name.replace('_', '.')}": data for name, data in members.items()}
    path.write_bytes(zip_bytes(lam_members() | replaced))
    return path


def skin_with(change: Change) -> bytes:
    glb = lam_skin()
    change(glb)
    return glb.bytes()


def animation_with(change: Change) -> bytes:
    glb = lam_animation()
    change(glb)
    return glb.bytes()


def refused(path: Path, message: str, mib: float = 64, seconds: float = 15) -> str:
    """The error that importing gives, where it comes in time and without the memory that the file asks for."""
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        with pytest.raises(AvatarInvalid) as caught:
            import_lam(path, "anna")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - begin < seconds
    assert peak < mib * MIB
    text = str(caught.value)
    assert message in text
    assert text.startswith(str(path))
    assert len(text) < 800
    return text


# ---- chains of nodes ----


def chain(first: int, length: int) -> list[dict[str, Any]]:
    """Nodes that are each the parent of the next."""
    return [{"children": [first + i + 1]} for i in range(length - 1)] + [{}]


def spare(length: int) -> Change:
    """Nodes that move nothing."""
    return lambda glb: glb.json["nodes"].extend(chain(len(glb.json["nodes"]), length))


def above(length: int) -> Change:
    """Nodes above the root, which its joints hang from."""

    def change(glb: GlbWriter) -> None:
        first = len(glb.json["nodes"])
        nodes = chain(first, length)
        nodes[-1]["children"] = [0]
        glb.json["nodes"] += nodes

    return change


def test_spare_nodes_change_nothing(tmp_path: Path) -> None:
    _, plain = import_lam(lam(tmp_path), "anna")
    begin = time.perf_counter()
    _, chained = import_lam(lam(tmp_path, skin_glb=skin_with(spare(16_000))), "anna")
    assert time.perf_counter() - begin < 5
    assert set(plain) == set(chained)
    for name, array in plain.items():
        np.testing.assert_array_equal(array, chained[name])


def test_nodes_above_the_root_are_joints(tmp_path: Path) -> None:
    begin = time.perf_counter()
    _, tensors = import_lam(lam(tmp_path, skin_glb=skin_with(above(1000))), "anna")
    assert time.perf_counter() - begin < 10
    np.testing.assert_array_equal(tensors["rig/joint/parent"], np.arange(-1, 1003))
    np.testing.assert_array_equal(np.unique(tensors["rig/skin/joint"]), [1002, 1003])


def test_more_joints_than_the_format_has(tmp_path: Path) -> None:
    path = lam(tmp_path, skin_glb=skin_with(above(16_000)))
    refused(path, f"skins[0].joints must be at most {MAX_JOINTS} with the nodes above them; got 16004.")


def test_a_chain_with_four_hundred_joints_at_its_end(tmp_path: Path) -> None:
    """16,383 nodes, 400 joints: joints times depth is what it must not take."""
    n, n_joints, n_vertices = 16_383, 400, 100
    glb = GlbWriter()
    joint = (np.arange(4 * n_vertices) % n_joints).astype(np.uint16).reshape(-1, 4)
    attributes = {
        "POSITION": glb.accessor(np.random.default_rng(0).normal(0, 0.1, (n_vertices, 3)).astype(np.float32), "VEC3"),
        "JOINTS_0": glb.accessor(joint, "VEC4"),
        "WEIGHTS_0": glb.accessor(np.full((n_vertices, 4), 0.25, np.float32), "VEC4"),
    }
    bind = np.tile(np.eye(4, dtype=np.float32).ravel(), (n_joints, 1))
    glb.json |= {
        "nodes": chain(0, n),
        "skins": [{"joints": [*range(n - n_joints, n)], "inverseBindMatrices": glb.accessor(bind, "MAT4")}],
        "meshes": [{"primitives": [{"attributes": attributes}]}],
    }
    refused(lam(tmp_path, skin_glb=glb.bytes()), f"at most {MAX_JOINTS} with the nodes above them; got {n}.")


def test_too_many_nodes(tmp_path: Path) -> None:
    refused(lam(tmp_path, skin_glb=skin_with(spare(20_000))), "nodes must be at most 16384; got 20006.")


# ---- what accessors and clips may add up to ----


def overlapping_targets(glb: GlbWriter) -> None:
    """Fifty-two morph targets of one view: four bytes of JSON each for as much as the view holds."""

    n = 1 << 19
    binary = np.ones((n, 3), np.float32)
    target = glb.accessor(binary, "VEC3")
    joints = {"JOINTS_0": (np.zeros((n, 4), np.uint8), "VEC4"), "WEIGHTS_0": (np.ones((n, 4), np.float32), "VEC4")}
    primitive = glb.json["meshes"][0]["primitives"][0]
    primitive["attributes"] = {key: glb.accessor(*value) for key, value in joints.items()} | {"POSITION": target}
    del primitive["indices"]
    primitive["targets"] = [{"POSITION": target}] * len(ARKIT_NAMES)
    glb.json["meshes"][0]["extras"]["targetNames"] = list(ARKIT_NAMES)


def test_targets_that_share_one_view(tmp_path: Path) -> None:
    path = tmp_path / "anna"
    path.mkdir()
    for name, data in (lam_members("") | {"skin.glb": skin_with(overlapping_targets)}).items():
        if "/" not in name:
            (path / name).write_bytes(data)
    # 17 MiB of file; all of the targets would take 52 x 6 MiB of deltas and as much again of vertices.
    refused(path, "must be of a size in keeping with the file; got 524288 values after all those before it", mib=400)


def many_clips(n: int) -> Change:
    return lambda glb: glb.json.__setitem__("animations", glb.json["animations"] * n)


def last_key_at(seconds: float, n: int = 1) -> Change:
    def change(glb: GlbWriter) -> None:
        at = glb.json["bufferViews"][glb.json["accessors"][0]["bufferView"]]["byteOffset"]
        glb.binary = glb.binary[: at + 4] + struct.pack("<f", seconds) + glb.binary[at + 8 :]
        many_clips(n)(glb)

    return change


def test_clips_that_share_their_keys(tmp_path: Path) -> None:
    manifest, tensors = import_lam(lam(tmp_path, animation_glb=animation_with(many_clips(3))), "anna")
    assert [clip["name"] for clip in manifest["clips"]] == ["nod_me", "nod_me_2", "nod_me_3", "bsData"]
    for name in ("nod_me_2", "nod_me_3"):
        clip = tensors[f"clip/{name}/joint_rotation"]
        np.testing.assert_array_equal(clip, tensors["clip/nod_me/joint_rotation"])


def test_an_hour_of_two_keys_is_read(tmp_path: Path) -> None:
    manifest, _ = import_lam(lam(tmp_path, animation_glb=animation_with(last_key_at(3600))), "anna")
    assert manifest["clips"][0]["frames"] == 108_001


def test_a_thousand_hours_of_two_keys(tmp_path: Path) -> None:
    path = lam(tmp_path, animation_glb=animation_with(last_key_at(3600, 1000)))
    refused(path, "animations[19] must be shorter; got 3600 s of 4 joints after those before it.", mib=600, seconds=60)


def test_too_many_clips(tmp_path: Path) -> None:
    path = lam(tmp_path, animation_glb=animation_with(many_clips(30_000)))
    refused(path, f"animations must be at most {MAX_CLIPS}; got 30000.", mib=100)


def test_a_channel_given_twice_is_the_last_one(tmp_path: Path) -> None:
    def change(glb: GlbWriter) -> None:
        clip = glb.json["animations"][0]
        clip["channels"] = [{"sampler": 1, "target": {"node": 0, "path": "translation"}}] * 20_000 + clip["channels"]

    begin = time.perf_counter()
    _, tensors = import_lam(lam(tmp_path, animation_glb=animation_with(change)), "anna")
    assert time.perf_counter() - begin < 15
    translation = tensors["clip/nod_me/joint_translation"].reshape(31, 4, 3)
    np.testing.assert_array_equal(translation[:, 1, 1], np.where(np.arange(31) < 15, 0, 5))


# ---- JSON, names and texts ----


def glb_of(text: bytes) -> bytes:
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), JSON_CHUNK) + text + struct.pack("<II", 0, BINARY_CHUNK)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def test_json_of_a_million_lists(tmp_path: Path) -> None:
    path = lam(tmp_path, skin_glb=glb_of(b'{"nodes":[' + b"[]," * 3_000_000 + b"[]]}"))
    refused(path, "its JSON chunk: 9000016 bytes of JSON would take about 231 MiB of memory", mib=40)


def test_json_nested_to_the_limit(tmp_path: Path) -> None:
    """Too deep for the parser, or for whatever would print it."""
    refused(lam(tmp_path, skin_glb=glb_of(b"[" * 100_000 + b"]" * 100_000)), "its JSON chunk: is not JSON")
    for depth in (100, 300, 900, 980):
        text = b'{"nodes":' + b"[" * depth + b"]" * depth + b"}"
        deep = r"|its JSON chunk: is not JSON" if depth > 300 else ""
        with pytest.raises(AvatarInvalid, match=r"nodes\[0\] must be an object; got \[\[\[\.\.\.\]\]\]\." + deep):
            import_lam(lam(tmp_path, skin_glb=glb_of(text)), "anna")


BAD_VALUES: dict[str, tuple[Change, str]] = {
    "a huge number": (lambda g: g.json["nodes"][0].__setitem__("translation", [10**400, 0, 0]), "3 finite numbers"),
    "a huge scale": (lambda g: g.json["nodes"][0].__setitem__("scale", [10**400, 1, 1]), "a whole number of 1329 bits"),
    "a long type": (lambda g: g.json["accessors"][0].__setitem__("type", "x" * 1_000_000), "'xxxxxxxxxx"),
    "a child that is a text": (lambda g: g.json["nodes"][0].__setitem__("children", ["\x1b[2J"]), r"got '\x1b[2J'"),
    "a buffer that is a list": (lambda g: g.json["bufferViews"][0].__setitem__("buffer", [[]] * 1000), "[[], [], "),
    "a long name": (
        lambda g: g.json["nodes"][2].update(name="n" * 1_000_000, scale=[0, 0, 0]), "nodes[2] (" + "n" * 200 + ") must"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_VALUES)
def test_messages_show_a_part_of_the_value(case: str, tmp_path: Path) -> None:
    change, message = BAD_VALUES[case]
    assert refused(lam(tmp_path, skin_glb=skin_with(change)), message).isprintable()


def test_json_larger_than_any_avatars(tmp_path: Path) -> None:
    path = lam(
        tmp_path, skin_glb=glb_of(b'{"nodes":[],"x":"' + os.urandom(12 << 20).hex().encode() + b" " * (9 << 20) + b'"}')
    )
    refused(path, "skin.glb: has 34603028 bytes of JSON; at most 33554432 are read.", mib=160)


def test_names_of_morph_targets_are_noted_in_part(tmp_path: Path) -> None:
    def change(glb: GlbWriter) -> None:
        primitive = glb.json["meshes"][0]["primitives"][0]
        primitive["targets"] += [primitive["targets"][0]] * 5000
        glb.json["meshes"][0]["extras"]["targetNames"] += [f"own\x1b{i}" + "x" * 100 for i in range(5000)]

    manifest, _ = import_lam(lam(tmp_path, skin_glb=skin_with(change)), "anna")
    notes = manifest["provenance"]["notes"]
    assert notes.startswith(r"Morph targets without an ARKit name were left out: ownShape, own\x1b0xxx")
    assert notes.endswith(", ... (5001 in all).")
    assert len(notes) < 600


def test_weights_of_another_kind(tmp_path: Path) -> None:
    data = json.dumps({"names": ["\x1b" + "x" * 1000] * 10_000, "frames": [{"weights": [0]}]}).encode()
    refused(lam(tmp_path, bsData_json=data), r"'names' must be ARKit's; unknown are '\x1bxxx")
    refused(lam(tmp_path, bsData_json=b'{"names": [[[]]], "frames": []}'), "unknown are [[]].")
    data = json.dumps({"names": ["jawOpen"], "frames": [{"weights": ["y" * 100_000]}]}).encode()
    refused(lam(tmp_path, bsData_json=data), "could not convert string to float: 'yyyy")
    data = b'{"names":[' + b"[]," * 3_000_000 + b"[]]}"
    refused(lam(tmp_path, bsData_json=data), "bytes of JSON would take about 231 MiB of memory", mib=40)
    data = os.urandom(4 << 20).hex().encode() * 9
    refused(lam(tmp_path, bsData_json=data), "bsData.json: is 75497472 bytes; at most 67108864 are read.", mib=320)


def test_a_long_licence_is_cut_off(tmp_path: Path) -> None:
    data = b"\x1b[2J" + b"MIT " * 50_000
    cut = f"\n(cut off after {MAX_LICENCE_BYTES} bytes)"
    manifest, _ = import_lam(lam(tmp_path, LICENSE=data), "anna")
    # Kept as it is in the file; what shows it escapes it.
    assert manifest["licence"] == data[:MAX_LICENCE_BYTES].decode().strip() + cut
    (tmp_path / "LICENSE").write_bytes(data)
    assert stated_licence(tmp_path) == manifest["licence"]


# ---- zips and .npz ----


def test_a_zip_that_unpacks_out_of_proportion(tmp_path: Path) -> None:
    refused(lam(tmp_path, offset_ply=b"\0" * (40 * MIB)), " to 41943040 bytes; at most ", mib=4)


def test_a_zip_of_too_many_members(tmp_path: Path) -> None:
    path = tmp_path / "anna.zip"
    path.write_bytes(zip_bytes(lam_members() | {f"x{i}": b"" for i in range(5000)}, zipfile.ZIP_STORED))
    refused(path, "members or more", mib=4)


def test_names_of_members_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "anna.zip"
    path.write_bytes(zip_bytes({f"\x1b{i}" + "n" * 1000: b"" for i in range(100)}))
    assert refused(path, "must hold exactly one skin.glb; it has '\\x1b0nnn").isprintable()


def test_an_npz_that_unpacks_out_of_proportion(tmp_path: Path) -> None:
    path = tmp_path / "flame.npz"
    np.savez_compressed(path, **(flame_fields() | {"shapedirs": np.zeros((5023, 3, 9000), np.uint8)}))
    tracemalloc.start()
    try:
        with pytest.raises(AvatarInvalid, match=r"flame\.npz: .*shapedirs\.npy unpacks from \d+ to 135621128 bytes"):
            load_flame(path, Source())
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_more_shapes_than_the_format_has(tmp_path: Path) -> None:
    path = tmp_path / "flame.npz"
    np.savez(path, **(flame_fields() | {"shapedirs": np.zeros((5023, 3, 4097), np.float16)}))
    with pytest.raises(AvatarInvalid, match=r"shapedirs may have at most 4096 shapes; got 4097\. Is this FLAME\?"):
        load_flame(path, Source())


@pytest.mark.parametrize(("header", "message"), [
    ("{'descr': '|u1', 'fortran_order': False, 'shape': (1" + "0" * 60 + ", 0), }", "does not fit its 0 bytes"),
    ("{'descr': '|u1', 'fortran_order': False, 'shape': " + "(" * 90 + ")" * 90 + ", }", "v_template"),
    ("{'descr': [('" + "x" * 9000 + "', '|u1')], 'fortran_order': False, 'shape': (0,), }", "plain numbers"),
    ("-" * 9000, "has no valid .npy header"),
])  # fmt: skip
def test_headers_of_npy_that_mean_harm(header: str, message: str, tmp_path: Path) -> None:
    data = b"\x93NUMPY\1\0" + struct.pack("<H", len(header) + 1) + header.encode() + b"\n"
    with zipfile.ZipFile(tmp_path / "flame.npz", "w") as archive:
        archive.writestr("v_template.npy", data)
    with pytest.raises(AvatarInvalid) as caught:
        load_flame(tmp_path / "flame.npz", Source())
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_cameras_of_which_each_would_copy_all_of_the_file(tmp_path: Path) -> None:
    """What one camera leaves out is stated for all of them; merged for each, it would be a square."""
    np.savez(tmp_path / "flame.npz", **flame_fields())
    folder = write_checkpoint(tmp_path / "bo")
    pose = {"transform_matrix": [[1, 0, 0, 0.1], [0, 1, 0, 0.2], [0, 0, 1, 1.5], [0, 0, 0, 1]]}
    content = {f"key{i}": 0 for i in range(20_000)} | {"camera_angle_x": 0.5, "w": 55, "h": 80, "frames": [pose] * 5000}
    transforms = tmp_path / "transforms.json"
    transforms.write_text(json.dumps(content))
    begin = time.perf_counter()
    manifest, _ = import_gaussian_avatars(folder, "bo", tmp_path / "flame.npz", transforms)
    assert time.perf_counter() - begin < 15
    assert manifest["canvas"] == {"width": 55, "height": 80}
    transforms.write_text('{"frames": [{"transform_matrix": "' + "\\u001b" * 10_000 + '"}]}')
    with pytest.raises(AvatarInvalid, match=r"transforms\.json: must have 'frames'") as caught:
        import_gaussian_avatars(folder, "bo", tmp_path / "flame.npz", transforms)
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()


# ---- devices and pipes ----


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no /dev/zero here")
@pytest.mark.parametrize("format", ["ply", "splat", "lam"])
def test_a_device_is_read_to_its_limit(format: str, tmp_path: Path) -> None:
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "from talksplat.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, "convert", "--from", format, "/dev/zero", "-o", tmp_path / "a.tsplat"]
    few = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each thread reserves addresses
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=few)
    assert done.returncode == 1
    message = "is a pipe or a device that gives more than 268435456 bytes, which are the most that are read."
    assert done.stderr == f"error: /dev/zero: {message}\n"
    assert not os.listdir(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no /dev/zero here")
@pytest.mark.parametrize("name", ["flame.npz", "flame.pkl"])
def test_a_model_that_is_a_link_to_a_device(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to("/dev/zero")
    message = (
        "It is read twice, so it must be a file" if name == "flame.npz" else "is a pipe or a device that gives more"
    )
    with pytest.raises(AvatarInvalid, match=message):
        load_flame(tmp_path / name, Source())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:

    pipe = tmp_path / "cloud.ply"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(ply_bytes(cloud_rows(9))))
    writer.start()
    written = convert(pipe, tmp_path / "a.tsplat", format="ply")
    writer.join()
    assert written.stat().st_size > 1000
