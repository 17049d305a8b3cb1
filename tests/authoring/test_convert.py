# SPDX-License-Identifier: Apache-2.0
"""The one door: which format is it, what goes wrong by name, and byte flips in every kind of file."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from authoring.makers import (
    cloud_rows,
    compressed_ply_bytes,
    flame_fields,
    lam_members,
    ply_bytes,
    splat_bytes,
    spz_bytes,
    write_checkpoint,
    zip_bytes,
)
from talksplat.authoring import convert, detect_format
from talksplat.authoring.npz import read_arrays
from talksplat.authoring.safe_pickle import load_fields
from talksplat.errors import AvatarInvalid, AvatarNotFound, TalksplatError

SOURCES = {
    "anna.zip": ("lam", zip_bytes(lam_members())),
    "stored.zip": ("lam", zip_bytes(lam_members(), compression=0)),
    "cloud.ply": ("ply", ply_bytes(cloud_rows(20, 1))),
    "compressed.ply": ("ply", compressed_ply_bytes(300)),
    "cloud.splat": ("splat", splat_bytes(20)),
    "cloud.spz": ("spz", spz_bytes(20, 3, degree=1)),
    "raw.spz": ("spz", spz_bytes(20, 2, packed=False)),
}


def manifest_of(path: Path) -> Any:
    with safe_open(path, "np") as file:
        return json.loads(file.metadata()["talksplat"])


@pytest.mark.parametrize("name", SOURCES)
def test_converts_what_it_recognises(name: str, tmp_path: Path) -> None:
    kind, data = SOURCES[name]
    source = tmp_path / name
    source.write_bytes(data)
    assert detect_format(source) == kind
    out = convert(source, tmp_path / "out.tsplat")
    manifest = manifest_of(out)
    assert manifest["name"] == Path(name).stem
    assert manifest["licence"] == "not stated"
    (file,) = manifest["provenance"]["files"]
    assert file == {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    convert(source, out, format=kind, name="Bo", licence="CC0-1.0")
    assert (manifest_of(out)["name"], manifest_of(out)["licence"]) == ("Bo", "CC0-1.0")
    assert sorted(os.listdir(tmp_path)) == sorted([name, "out.tsplat"])


def test_converts_a_checkpoint(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "bo")
    np.savez(tmp_path / "flame.npz", **flame_fields())
    assert detect_format(folder) == "gaussian-avatars"
    manifest = manifest_of(convert(folder, tmp_path / "bo.tsplat", flame=tmp_path / "flame.npz"))
    assert (manifest["name"], manifest["method"]) == ("bo", "gaussian-avatars")


def test_a_folder_that_is_not_all_there(tmp_path: Path) -> None:
    """Nobody is sent for FLAME who has a head of another method."""
    folder = write_checkpoint(tmp_path / "bo")
    (folder / "flame_param.npz").unlink()
    with pytest.raises(AvatarNotFound, match=r"flame_param\.npz: no such file.* which must be copied, too"):
        convert(folder, tmp_path / "bo.tsplat")
    (folder / "deformation.pth").write_bytes(b"")
    with pytest.raises(AvatarNotFound, match="it is one of GaussianTalker"):
        convert(folder, tmp_path / "bo.tsplat", format="gaussian-avatars")


def test_nothing_that_converts_needs_torch() -> None:
    code = "import sys, talksplat.authoring.convert; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_arguments_that_do_not_fit(tmp_path: Path) -> None:
    source = tmp_path / "cloud.ply"
    source.write_bytes(SOURCES["cloud.ply"][1])
    with pytest.raises(ValueError, match="format must be one of"):
        convert(source, tmp_path / "o", format="obj")
    with pytest.raises(ValueError, match="does not exist; create it"):
        convert(source, tmp_path / "no/o.tsplat")
    arguments: dict[str, Any] = {"flame": source, "camera": source, "data": tmp_path, "n_head": 2, "dilate": True}
    for argument, value in arguments.items():
        with pytest.raises(ValueError, match=f"^{argument} must be left out: it is for .*, and the source is ply"):
            convert(source, tmp_path / "o", **{argument: value})
    folder = write_checkpoint(tmp_path / "eve")
    for argument in ("data", "n_head", "dilate"):
        with pytest.raises(ValueError, match=f"^{argument} must be left out: .*, and the source is gaussian-avatars"):
            convert(folder, tmp_path / "o", flame=source, **{argument: arguments[argument]})
    with pytest.raises(ValueError, match="flame must name your FLAME model"):
        convert(write_checkpoint(tmp_path / "bo"), tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_sources_that_are_nothing(tmp_path: Path) -> None:
    with pytest.raises(AvatarNotFound, match="cannot be read"):
        convert(tmp_path / "nothing", tmp_path / "o")
    with pytest.raises(AvatarInvalid, match="neither skin"):
        convert(tmp_path, tmp_path / "o")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(AvatarInvalid, match="of no kind that is known"):
        convert(tmp_path / "notes.txt", tmp_path / "o")
    (tmp_path / "head.glb").write_bytes(b"glTF\2\0\0\0")
    with pytest.raises(AvatarInvalid, match="whole zip"):
        convert(tmp_path / "head.glb", tmp_path / "o")


def test_failure_leaves_the_old_avatar(tmp_path: Path) -> None:
    source, out = tmp_path / "cloud.ply", tmp_path / "out.tsplat"
    source.write_bytes(SOURCES["cloud.ply"][1])
    before = convert(source, out).read_bytes()
    source.write_bytes(SOURCES["cloud.ply"][1][:-5])
    with pytest.raises(AvatarInvalid, match=r"cloud\.ply"):
        convert(source, out)
    assert out.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["cloud.ply", "out.tsplat"]


DAMAGE = st.tuples(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
    st.none() | st.floats(0, 1),
)


def damaged(data: bytes, damage: Any) -> bytes:
    flips, cut = damage
    out = bytearray(data)
    for place, value in flips:
        out[int(place * len(out))] = value
    return bytes(out if cut is None else out[: int(cut * len(out))])


def only_named_errors(source: Path, folder: Path, **arguments: Any) -> None:
    out = folder / "out.tsplat"
    try:
        convert(source, out, **arguments)
    except TalksplatError as error:
        assert str(error)
        assert not out.exists()
    else:
        manifest_of(out)
        out.unlink()
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=50, deadline=None, derandomize=True)
@given(damage=DAMAGE)
def test_byte_flips(name: str, damage: Any) -> None:
    kind, data = SOURCES[name]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, name)
        source.write_bytes(damaged(data, damage))
        only_named_errors(source, Path(folder), format=kind)


MEMBERS = ("skin.glb", "offset.ply", "animation.glb", "bsData.json")


@pytest.mark.parametrize("member", MEMBERS)
@settings(max_examples=50, deadline=None, derandomize=True)
@given(damage=DAMAGE)
def test_byte_flips_inside_the_zip(member: str, damage: Any) -> None:
    """Behind the zip's checksum, where flips reach the readers."""
    members = {k.removeprefix("anna/"): v for k, v in lam_members().items() if k.startswith("anna/")}
    with tempfile.TemporaryDirectory() as folder:
        for name, data in members.items():
            Path(folder, name).write_bytes(damaged(data, damage) if name == member else data)
        only_named_errors(Path(folder), Path(folder), format="lam")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder)
    np.savez(folder / "flame.npz", **flame_fields())
    return folder


@pytest.mark.parametrize("name", ["point_cloud.ply", "flame_param.npz"])
@settings(max_examples=12, deadline=None, derandomize=True)
@given(damage=DAMAGE)
def test_byte_flips_of_a_checkpoint(name: str, checkpoint: Path, damage: Any) -> None:
    path = checkpoint / name
    whole = path.read_bytes()
    try:
        path.write_bytes(damaged(whole, damage))
        only_named_errors(checkpoint, checkpoint, flame=checkpoint / "flame.npz", format="gaussian-avatars")
    finally:
        path.write_bytes(whole)


PICKLE = pickle.dumps({"v_template": np.zeros((5, 3)), "f": np.ones((2, 3), np.uint32), "text": "x"}, 2)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(damage=DAMAGE)
def test_byte_flips_of_a_pickle(damage: Any) -> None:
    try:
        fields = load_fields("flame.pkl", damaged(PICKLE, damage))
    except AvatarInvalid as error:
        assert str(error).startswith("flame.pkl")
    else:
        assert all(isinstance(array, np.ndarray) for array in fields.values())


@settings(max_examples=50, deadline=None, derandomize=True)
@given(damage=DAMAGE)
def test_byte_flips_of_an_npz(damage: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.npz")
        np.savez(path, expr=np.zeros((3, 4), np.float32))
        path.write_bytes(damaged(path.read_bytes(), damage))
        try:
            read_arrays(path, ("expr",))
        except AvatarInvalid as error:
            assert "a.npz" in str(error)
