# SPDX-License-Identifier: Apache-2.0
"""GaussianAvatars: the original code's numbers, the FLAME reader, and pickles that mean harm."""

import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from authoring.makers import cloud_rows, flame_fields, ply_bytes, write_checkpoint
from reference.pose import pose_ref
from reference.tsplat import Tsplat
from talksplat.authoring.flame import Flame, load_flame, teeth_triangles, with_teeth
from talksplat.authoring.gaussian_avatars import import_gaussian_avatars
from talksplat.authoring.rotation import matrix_of_quat
from talksplat.authoring.safe_pickle import load_fields
from talksplat.authoring.source import Source
from talksplat.authoring.spec import validate
from talksplat.errors import AvatarInvalid, AvatarNotFound

Imported = tuple[Any, dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def golden(shared_dir: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared_dir / "golden/flame/a_io.npz"))


@pytest.fixture(scope="module")
def golden_pickle(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("scipy")
    path = tmp_path_factory.mktemp("flame") / "flame.pkl"
    script = shared_dir / "golden/make_synthetic_flame.py"
    subprocess.run([sys.executable, script, shared_dir / "golden/flame/a_model.npz", path], check=True)
    return path


@pytest.fixture(scope="module")
def golden_avatar(shared_dir: Path, golden_pickle: Path) -> Imported:
    manifest, tensors = import_gaussian_avatars(shared_dir / "golden/flame/a_ckpt", "golden", golden_pickle)
    validate(manifest, tensors)
    return manifest, tensors


@pytest.fixture(scope="module")
def flame_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flame") / "flame.npz"
    np.savez(path, **flame_fields())
    return path


def test_teeth_triangles_are_the_originals(golden: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(teeth_triangles() + 5023, golden["aug_faces"][9976:])


def test_teeth_hang_where_the_original_puts_them(golden: dict[str, np.ndarray], golden_pickle: Path) -> None:
    model = with_teeth(load_flame(golden_pickle, Source()))
    np.testing.assert_array_equal(model.triangle, golden["aug_faces"])
    np.testing.assert_allclose(model.vertex, golden["aug_v_template"], atol=1e-7)
    np.testing.assert_array_equal(model.weights[5023:], golden["aug_lbs_weights_teeth"])
    dirs = golden["aug_shapedirs_teeth_upper_root"]
    np.testing.assert_allclose(model.shapedirs[5023:5038, :, :20], dirs, atol=1e-8)
    assert not model.shapedirs[5023:, :, 300:].any()


@pytest.mark.parametrize("frame", range(4))
def test_posed_frame_is_the_originals(frame: int, golden: dict[str, np.ndarray], golden_avatar: Imported) -> None:
    """Through the oracle of pose, so that no code of the engine can hide an error of the import."""
    manifest, tensors = golden_avatar
    control = {item["name"]: golden[f"in_{item['name']}"][frame] for item in manifest["inputs"]}
    posed = pose_ref(Tsplat(manifest, tensors), control)
    row = tensors["gaussians/source_index"]
    np.testing.assert_allclose(posed.vertex, golden["out_verts"][frame], rtol=0, atol=2e-6)
    np.testing.assert_allclose(posed.mean, golden["out_xyz"][frame][row], rtol=0, atol=2e-6)
    np.testing.assert_allclose(posed.scale, golden["out_scaling"][frame][row], rtol=0, atol=2e-6)
    expected = matrix_of_quat(golden["out_rotation"][frame][row])
    np.testing.assert_allclose(matrix_of_quat(posed.quat), expected, rtol=0, atol=2e-4)


def test_joints_follow_shape_and_expression(golden: dict[str, np.ndarray], golden_avatar: Imported,
                                            golden_pickle: Path) -> None:  # fmt: skip
    _, t = golden_avatar
    model = load_flame(golden_pickle, Source())
    shape = np.concatenate([golden["in_shape"], golden["in_expr"][1]])
    shaped = model.vertex + model.shapedirs @ shape + golden["in_static_offset"][0, :5023]
    expected = model.joint_regressor @ shaped
    moved = np.einsum("s,sjc->jc", golden["in_expr"][1], t["rig/joint/shape_delta"][:100])
    rest = -t["rig/joint/inverse_bind"][:, :, 3]
    np.testing.assert_allclose(rest + moved, expected, atol=1e-6)
    assert not t["rig/joint/shape_delta"][100:].any()
    parent = t["rig/joint/parent"]
    chain = t["rig/joint/rest_local"][:, :, 3].copy()
    for j in range(1, 5):
        chain[j] += chain[parent[j]]
    np.testing.assert_allclose(chain, rest, atol=1e-6)


def test_pose_correctives_are_the_models(golden_avatar: Imported, golden_pickle: Path) -> None:
    manifest, t = golden_avatar
    assert manifest["rig"]["pose_shapes"] == {"first": 100, "joints": [1, 2, 3, 4]}
    model = load_flame(golden_pickle, Source())
    start = t["rig/blendshape/start"]
    for corrective in (0, 17, 35):
        at = slice(start[100 + corrective], start[101 + corrective])
        dense = np.zeros((5143, 3))
        dense[t["rig/blendshape/vertex"][at]] = t["rig/blendshape/delta"][at]
        np.testing.assert_allclose(dense[:5023], model.posedirs[:, :, corrective], atol=1e-8)
        assert not dense[5023:].any()


def test_training_motion_is_a_clip(golden: dict[str, np.ndarray], golden_avatar: Imported) -> None:
    manifest, t = golden_avatar
    (clip,) = manifest["clips"]
    assert (clip["name"], clip["frames"]) == ("training", len(golden["in_expr"]))
    for key in ("expr", "rotation", "neck_pose", "jaw_pose", "eyes_pose", "translation"):
        np.testing.assert_array_equal(t[f"clip/training/{key}"], golden[f"in_{key}"])
    default = next(i["default"] for i in manifest["inputs"] if i["name"] == "translation")
    np.testing.assert_allclose(default, np.median(golden["in_translation"], axis=0), atol=1e-7)


def test_spherical_harmonics_are_coefficient_major(golden: dict[str, np.ndarray], golden_avatar: Imported) -> None:
    _, t = golden_avatar
    np.testing.assert_array_equal(t["gaussians/sh"], golden["gs_features"][t["gaussians/source_index"]])


def fields_equal(a: Flame, b: Flame) -> None:
    for name in ("vertex", "triangle", "shapedirs", "posedirs", "joint_regressor", "weights"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("kind", ["csc_matrix", "csr_matrix", "csc_array", "dense"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_pickle_gives_what_npz_gives(kind: str, protocol: int, flame_npz: Path, tmp_path: Path) -> None:
    fields: dict[str, Any] = flame_fields()
    if kind != "dense":
        sparse = pytest.importorskip("scipy.sparse")
        fields["J_regressor"] = getattr(sparse, kind)(fields["J_regressor"])
    fields |= {"bs_type": "lrotmin", "names": np.array(["a", None], object), "size": np.float64(3)}
    if protocol == 0:  # text is slow: keep the large fields out of it
        fields["v_template"] = np.asfortranarray(fields["v_template"])
        read = load_fields("f", pickle.dumps({k: fields[k] for k in ("v_template", "J_regressor")}, protocol))
        np.testing.assert_array_equal(read["v_template"], flame_fields()["v_template"])
        np.testing.assert_array_equal(read["J_regressor"], flame_fields()["J_regressor"])
        return
    path = tmp_path / "flame.pkl"
    path.write_bytes(pickle.dumps(fields, protocol))
    fields_equal(load_flame(path, Source()), load_flame(flame_npz, Source()))


def pickle_of_chumpy(array: np.ndarray) -> bytes:
    """What Python 2 wrote for {"a": chumpy.ch.Ch(x=array)}, without having chumpy."""
    body = pickle.dumps({"x": array, "_dirty_vars": None}, 2)[2:-1]
    return b"\x80\x02}q\x80X\x01\0\0\0acchumpy.ch\nCh\n)\x81" + body + b"bs."


def test_chumpy_values_are_their_array() -> None:
    array = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(load_fields("f", pickle_of_chumpy(array))["a"], array)


class Harm:
    def __init__(self, call: Any, *args: object) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return self.call, self.args


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickle_that_runs_a_command_is_refused_and_not_run(protocol: int, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    data = pickle.dumps({"v_template": Harm(os.system, f"touch {proof}")}, protocol)
    with pytest.raises(AvatarInvalid, match=rf"names {os.system.__module__}\.system.*not run"):
        load_fields("f", data)
    assert not proof.exists()
    with pytest.raises(AvatarInvalid, match=r"names (builtins|__builtin__)\.eval"):
        load_fields("f", pickle.dumps({"f": Harm(eval, f"open({str(proof)!r}, 'w')")}, protocol))
    assert not proof.exists()


HOSTILE = {
    "a class is given a state": b"\x80\x02ccopyreg\n_reconstructor\n}X\x01\0\0\0aK\x01sb.",
    "an allowed function builds another kind": b"\x80\x02ccopyreg\n_reconstructor\nc__builtin__\nobject\n\x85R.",
    "numpy by another door": b"\x80\x02cnumpy\nload\n.",
    "an attribute of an allowed class": b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__new__\x93.",
    "memo index of billions": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "a length past the end": b"\x80\x04\x8e" + (1 << 60).to_bytes(8, "little") + b"x.",
    "an array larger than its bytes": pickle.dumps({"a": np.zeros(4)}, 2).replace(b"K\x04\x85", b"K\x7f\x85"),
    "not a dict": pickle.dumps([1], 2),
    "empty": b"",
    "text": b"hello",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles(case: str) -> None:
    with pytest.raises(AvatarInvalid, match=r"^f: "):
        load_fields("f", HOSTILE[case])


def test_small_checkpoint(flame_npz: Path, tmp_path: Path) -> None:
    """dynamic_offset is damaged in it: that it imports shows that nobody reads it."""
    folder = write_checkpoint(tmp_path / "bo/point_cloud/iteration_700")
    write_checkpoint(tmp_path / "bo/point_cloud/iteration_60")
    (tmp_path / "bo/cfg_args").write_text("Namespace(sh_degree=3, white_background=True)")
    (folder / "LICENSE").write_text("CC BY-NC 4.0\n")
    manifest, tensors = import_gaussian_avatars(tmp_path / "bo", "bo", flame_npz)
    validate(manifest, tensors)
    assert manifest["background"] == [1, 1, 1]
    assert manifest["licence"] == "CC BY-NC 4.0"
    assert manifest["color"] == "sh1"
    assert [file["name"] for file in manifest["provenance"]["files"]] == [
        "point_cloud.ply", "flame_param.npz", "flame.npz",
    ]  # fmt: skip


def test_camera_of_the_training(flame_npz: Path, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "bo")
    transforms = tmp_path / "transforms.json"
    front = "[[1,0,0,0.1],[0,1,0,0.2],[0,0,1,1.5],[0,0,0,1]]"
    side = "[[0,0,1,1],[0,1,0,0],[-1,0,0,0],[0,0,0,1]]"
    frames = ",".join(f'{{"transform_matrix": {m}}}' for m in (side, front))
    transforms.write_text(f'{{"camera_angle_x": 0.5, "w": 550, "h": 802, "frames": [{frames}]}}')
    manifest, _ = import_gaussian_avatars(folder, "bo", flame_npz, transforms)
    assert manifest["canvas"] == {"width": 550, "height": 802}
    assert manifest["camera"]["fx"] == pytest.approx(550 / 2 / np.tan(0.25))
    expected = [[1, 0, 0, -0.1], [0, -1, 0, 0.2], [0, 0, -1, 1.5], [0, 0, 0, 1]]  # 1.5 in front, y down
    np.testing.assert_allclose(np.reshape(manifest["camera"]["cam_from_world"], (4, 4)), expected, atol=1e-12)
    transforms.write_text('{"frames": []}')
    with pytest.raises(AvatarInvalid, match=r"transforms\.json"):
        import_gaussian_avatars(folder, "bo", flame_npz, transforms)


def edit_parameters(folder: Path, **change: np.ndarray | None) -> None:
    path = folder / "flame_param.npz"
    with zipfile.ZipFile(path) as archive:
        names = [n[:-4] for n in archive.namelist() if n != "dynamic_offset.npy"]
    with np.load(path) as old:
        arrays = {n: old[n] for n in names}
    arrays |= {k: v for k, v in change.items() if v is not None}
    np.savez(path, **{k: v for k, v in arrays.items() if change.get(k, v) is not None})


def test_refuses_parameters_that_do_not_fit(flame_npz: Path, tmp_path: Path) -> None:
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "missing": ({"jaw_pose": None}, "jaw_pose"),
        "frames": ({"rotation": np.zeros((9, 3), np.float32)}, "rotation must be"),
        "nan": ({"translation": np.full((3, 3), np.nan, np.float32)}, "translation must be finite"),
        "offset": ({"static_offset": np.zeros((1, 5023, 3), np.float32)}, "static_offset"),
        "expressions": ({"expr": np.zeros((3, 50), np.float32)}, "expression shapes"),
        "objects": ({"shape": np.array([None] * 300)}, "shape"),
    }
    for name, (change, place) in cases.items():
        folder = write_checkpoint(tmp_path / name)
        edit_parameters(folder, **change)
        with pytest.raises(AvatarInvalid, match=place):
            import_gaussian_avatars(folder, "bo", flame_npz)


def test_refuses_bindings_off_the_mesh(flame_npz: Path, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "bo")
    for wrong in (10144, -1, 3.5, np.nan):
        rows = cloud_rows(12, degree=1, extra="binding_0")
        rows["binding_0"] = np.array([0] * 11 + [wrong], np.float32)
        (folder / "point_cloud.ply").write_bytes(ply_bytes(rows))
        with pytest.raises(AvatarInvalid, match=r"binding_0 must be a triangle.*row 11"):
            import_gaussian_avatars(folder, "bo", flame_npz)


def test_refuses_models_that_are_not_flame(tmp_path: Path) -> None:
    fields = flame_fields()
    for name, wrong in {
        "v_template": fields["v_template"][:100],
        "kintree_table": fields["kintree_table"][:, ::-1],
        "weights": np.full((5023, 5), np.nan),
    }.items():
        path = tmp_path / f"{name}.npz"
        np.savez(path, **(fields | {name: wrong}))
        with pytest.raises(AvatarInvalid, match=name):
            load_flame(path, Source())
    np.savez(tmp_path / "short.npz", f=fields["f"])
    with pytest.raises(AvatarInvalid, match="v_template"):
        load_flame(tmp_path / "short.npz", Source())


def test_missing_files(flame_npz: Path, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "bo")
    with pytest.raises(AvatarNotFound, match=r"no\.pkl"):
        import_gaussian_avatars(folder, "bo", tmp_path / "no.pkl")
    (folder / "flame_param.npz").unlink()
    with pytest.raises(AvatarNotFound, match="flame_param"):
        import_gaussian_avatars(folder, "bo", flame_npz)
    with pytest.raises(AvatarNotFound, match=r"point_cloud\.ply"):
        import_gaussian_avatars(tmp_path, "bo", flame_npz)
