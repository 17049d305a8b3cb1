# SPDX-License-Identifier: Apache-2.0
"""Tiny sources in every format that is imported, with numbers that can be said in advance."""

import copy
import gzip
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray

CLOUD_FIELDS = (
    "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 {rest} opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3 {extra}"
)


def cloud_fields(degree: int = 0, extra: str = "") -> list[str]:
    rest = " ".join(f"f_rest_{i}" for i in range(3 * ((degree + 1) ** 2 - 1)))
    return CLOUD_FIELDS.format(rest=rest, extra=extra).split()


def cloud_rows(n: int, degree: int = 0, extra: str = "", seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    rows = {name: rng.normal(size=n).astype(np.float32) for name in cloud_fields(degree, extra)}
    for i in range(3):
        rows[f"scale_{i}"] -= 4
    return rows


def ply_bytes(rows: dict[str, Array], element: str = "vertex") -> bytes:
    n = len(next(iter(rows.values())))
    kinds = {"float32": "float", "uint32": "uint", "uint8": "uchar", "float64": "double"}
    lines = [f"property {kinds[str(a.dtype)]} {name}" for name, a in rows.items()]
    table = np.zeros(n, [(name, a.dtype) for name, a in rows.items()])
    for name, a in rows.items():
        table[name] = a
    head = "\n".join(["ply", "format binary_little_endian 1.0", f"element {element} {n}", *lines, "end_header\n"])
    return head.encode() + table.tobytes()


def compressed_ply_bytes(n: int, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    chunks = -(-n // 256)
    names = [f"{end}_{axis}" for end in ("min", "max") for axis in ("x", "y", "z", "scale_x", "scale_y", "scale_z")]
    chunk = {name: np.full(chunks, -2.0 if name.startswith("min") else 2.0, np.float32) for name in names}
    packed = {
        f"packed_{k}": rng.integers(0, 2**32, n, np.uint32) for k in ("position", "rotation", "scale", "color")
    }  # fmt: skip
    head, body = ply_bytes(chunk, "chunk").split(b"end_header\n", 1)
    head2, body2 = ply_bytes(packed).split(b"end_header\n", 1)
    return head + head2.split(b"1.0\n", 1)[1] + b"end_header\n" + body + body2


def splat_bytes(n: int, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, 6)).astype("<f4")
    numbers[:, 3:] = np.abs(numbers[:, 3:])
    codes = rng.integers(0, 256, (n, 8), np.uint8)
    return b"".join(a.tobytes() + c.tobytes() for a, c in zip(numbers, codes, strict=True))


def spz_bytes(n: int, version: int = 2, degree: int = 0, packed: bool = True, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    width = (6 if version == 1 else 9) + 1 + 3 + 3 + (4 if version == 3 else 3) + 3 * ((degree + 1) ** 2 - 1)
    body = rng.integers(0, 256, n * width, np.uint8).tobytes()
    data = struct.pack("<4sIIBBBB", b"NGSP", version, n, degree, 12, 0, 0) + body
    return gzip.compress(data) if packed else data


class GlbWriter:
    """Accessors one after another, then the file."""

    def __init__(self) -> None:
        self.json: dict[str, Any] = {"asset": {"version": "2.0"}, "buffers": [{}], "bufferViews": [], "accessors": []}
        self.binary = b""

    def view(self, array: Array) -> int:
        self.binary += b"\0" * (-len(self.binary) % 4)
        self.json["bufferViews"].append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": array.nbytes})
        self.binary += array.tobytes()
        return len(self.json["bufferViews"]) - 1

    def accessor(self, array: Array, kind: str, **extra: Any) -> int:
        component = {"float32": 5126, "uint8": 5121, "uint16": 5123, "uint32": 5125}[str(array.dtype)]
        item = {"bufferView": self.view(array), "componentType": component, "count": len(array), "type": kind, **extra}
        self.json["accessors"].append(item)
        return len(self.json["accessors"]) - 1

    def sparse(self, count: int, rows: Array, values: Array) -> int:
        sparse = {
            "count": len(rows), "indices": {"bufferView": self.view(rows.astype(np.uint16)), "componentType": 5123},
            "values": {"bufferView": self.view(values.astype(np.float32))},
        }  # fmt: skip
        self.json["accessors"].append({"componentType": 5126, "count": count, "type": "VEC3", "sparse": sparse})
        return len(self.json["accessors"]) - 1

    def bytes(self) -> bytes:
        self.json["buffers"][0]["byteLength"] = len(self.binary)
        text = json.dumps(self.json).encode()
        text += b" " * (-len(text) % 4)
        binary = self.binary + b"\0" * (-len(self.binary) % 4)
        chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


N_LAM = 8
TURNED = [0.0, 0.0, float(np.sin(0.25)), float(np.cos(0.25))]  # half a radian about z, xyzw
NODES = [  # root -> hip -> (neck -> head, arm); only neck and head carry weight
    {"name": "root", "children": [1], "scale": [0.01, 0.01, 0.01]},
    {"name": "hip", "children": [2, 4], "translation": [0, 100, 0]},
    {"name": "neck", "children": [3], "translation": [0, 50, 0], "rotation": TURNED},
    {"name": "head", "translation": [0, 10, 0]},
    {"name": "arm", "translation": [20, 0, 0]},
    {"name": "mesh", "mesh": 0, "skin": 0},
]


def lam_skin() -> GlbWriter:
    rng = np.random.default_rng(1)
    glb = GlbWriter()
    vertex = (rng.normal(size=(N_LAM, 3)) * 0.1 + (0, 1.6, 0)).astype(np.float32)
    joint = np.tile(np.array([2, 1, 0, 0], np.uint8), (N_LAM, 1))
    weight = np.tile(np.array([0.75, 0.25, 0, 0], np.float32), (N_LAM, 1))
    bind = np.tile(np.eye(4, dtype=np.float32).ravel(), (4, 1))
    attributes = {
        "POSITION": glb.accessor(vertex, "VEC3"),
        "JOINTS_0": glb.accessor(joint, "VEC4"),
        "WEIGHTS_0": glb.accessor(weight, "VEC4"),
    }
    jaw = glb.sparse(N_LAM, np.array([2, 5]), np.array([[0, -1, 0], [0, -2, 0]]))
    own = glb.accessor(np.ones((N_LAM, 3), np.float32), "VEC3")
    indices = glb.accessor(np.array([0, 1, 2, 3, 4, 5], np.uint16), "SCALAR")
    primitive = {"attributes": attributes, "indices": indices, "targets": [{"POSITION": own}, {"POSITION": jaw}]}
    glb.json |= {
        "nodes": copy.deepcopy(NODES),
        "meshes": [{"primitives": [primitive], "extras": {"targetNames": ["ownShape", "jawOpen"]}}],
        "skins": [{"joints": [1, 2, 3, 4], "inverseBindMatrices": glb.accessor(bind, "MAT4")}],
    }
    return glb


def lam_animation() -> GlbWriter:
    """Clip "nod": head turns by one radian about x from 0 to 1 s, linearly; hip steps up by 5 at 0.5 s."""
    glb = GlbWriter()
    times = glb.accessor(np.array([0, 1], np.float32), "SCALAR")
    turns = np.array([[0, 0, 0, 1], [np.sin(0.5), 0, 0, np.cos(0.5)]], np.float32)
    steps = glb.accessor(np.array([0, 0.5], np.float32), "SCALAR")
    places = np.array([[0, 100, 0], [0, 105, 0]], np.float32)
    samplers = [
        {"input": times, "output": glb.accessor(turns, "VEC4")},
        {"input": steps, "output": glb.accessor(places, "VEC3"), "interpolation": "STEP"},
    ]
    channels = [
        {"sampler": 0, "target": {"node": 1, "path": "rotation"}},
        {"sampler": 1, "target": {"node": 0, "path": "translation"}},
        {"sampler": 1, "target": {"node": 2, "path": "translation"}},
    ]
    glb.json["nodes"] = [{"name": "hip", "children": [1, 2]}, {"name": "head"}, {"name": "tail"}]
    glb.json["animations"] = [{"name": "nod me!", "channels": channels, "samplers": samplers}]
    return glb


def lam_members(folder: str = "anna/") -> dict[str, bytes]:
    weights = {"names": ["jawOpen", "tongueOut"], "metadata": {"fps": 25}, "frames": [{"weights": [0.5, 0.1]}] * 3}
    return {
        f"{folder}skin.glb": lam_skin().bytes(),
        f"{folder}offset.ply": ply_bytes(cloud_rows(N_LAM)),
        f"{folder}animation.glb": lam_animation().bytes(),
        f"{folder}bsData.json": json.dumps(weights).encode(),
        f"__MACOSX/{folder}._skin.glb": b"junk",
    }


def zip_bytes(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def flame_fields(n_expr: int = 4, seed: int = 0) -> dict[str, Array]:
    """A stand-in of FLAME's shapes and field names, random: nothing of the licensed model."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(size=(5023, 5))
    regressor = np.zeros((5, 5023))
    for row in regressor:
        row[rng.integers(0, 5023, 6)] = 1 / 6
    return {
        "f": rng.integers(0, 5023, (9976, 3)).astype(np.uint32),
        "v_template": rng.normal(size=(5023, 3)) * 0.1,
        "shapedirs": (rng.normal(size=(5023, 3, 300 + n_expr)) * 1e-3).astype(np.float32),
        "posedirs": (rng.normal(size=(5023, 3, 36)) * 1e-3).astype(np.float32),
        "J_regressor": regressor,
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "weights": weights / weights.sum(1, keepdims=True),
    }


def write_checkpoint(folder: Path, frames: int = 3, n_expr: int = 4, n: int = 12) -> Path:
    """A GaussianAvatars folder; its dynamic_offset is damaged on purpose, since nothing may read it."""
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True, exist_ok=True)
    rows = cloud_rows(n, degree=1, extra="binding_0")
    rows["binding_0"] = rng.integers(0, 10144, n).astype(np.float32)
    (folder / "point_cloud.ply").write_bytes(ply_bytes(rows))
    sizes = {"expr": n_expr, "rotation": 3, "neck_pose": 3, "jaw_pose": 3, "eyes_pose": 6, "translation": 3}
    arrays = {key: rng.normal(size=(frames, size)).astype(np.float32) for key, size in sizes.items()}
    arrays["shape"] = rng.normal(size=300).astype(np.float32)
    arrays["static_offset"] = (rng.normal(size=(1, 5143, 3)) * 1e-3).astype(np.float32)
    np.savez(folder / "flame_param.npz", **arrays)
    with zipfile.ZipFile(folder / "flame_param.npz", "a") as archive:
        archive.writestr("dynamic_offset.npy", b"not an array")
    return folder
