# SPDX-License-Identifier: Apache-2.0
"""pose on rigs of the two sizes that trained heads have: LAM's (20,018 vertices, 51 sparse shapes, 4 influences, one
Gaussian per vertex) and FLAME's (5,143 vertices, 100 dense shapes, 36 pose correctives, 30,000 Gaussians on triangles).

Times are of one frame through the core: controls, pose, deform, and the copy of the mesh to the caller.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference import tsplat
from reference.pose import pose_ref
from talksplat import _core
from talksplat.authoring import spec

Array = np.ndarray
Rng = np.random.Generator


def spiral_sphere(n: int) -> Array:
    """[n,3] evenly on a sphere of radius 0.1, neighbours in order close in space."""
    z = np.linspace(1, -1, n)
    turn = np.sqrt(np.pi * n) * np.arcsin(z)
    ring = np.sqrt(np.maximum(0, 1 - z * z))
    return 0.1 * np.stack([ring * np.cos(turn), z, ring * np.sin(turn)], axis=1)


def gaussians(rng: Rng, n: int) -> dict[str, Array]:
    quat = rng.normal(size=(n, 4))
    return {
        "gaussians/mean": rng.normal(size=(n, 3), scale=1e-3).astype(np.float32),
        "gaussians/quat": (quat / np.linalg.norm(quat, axis=1, keepdims=True)).astype(np.float32),
        "gaussians/scale": rng.uniform(1e-4, 3e-3, (n, 3)).astype(np.float32),
        "gaussians/opacity": rng.uniform(0, 1, n).astype(np.float32),
        "gaussians/color": rng.uniform(0, 1, (n, 3)).astype(np.float32),
        "gaussians/source_index": np.arange(n, dtype=np.uint32),
    }


def shapes(rng: Rng, vertex: Array, count: int, share: float) -> dict[str, Array]:
    """count shapes, each of which moves the given share of the vertices: those nearest to a random one."""
    moved = []
    for _ in range(count):
        distance = np.linalg.norm(vertex - vertex[rng.integers(len(vertex))], axis=1)
        moved.append(np.sort(np.argsort(distance)[: int(share * len(vertex))]))
    index = np.concatenate(moved).astype(np.uint32)
    return {
        "rig/blendshape/start": np.cumsum([0, *map(len, moved)]).astype(np.uint32),
        "rig/blendshape/vertex": index,
        "rig/blendshape/delta": rng.normal(size=(len(index), 3), scale=1e-3).astype(np.float32),
    }


def joints(vertex: Array, count: int, influences: int) -> dict[str, Array]:
    """A chain up the sphere; every vertex follows the joints nearest to it."""
    centre = np.stack([np.zeros(count), np.linspace(-0.1, 0.1, count), np.zeros(count)], axis=1)
    distance = np.linalg.norm(vertex[:, None] - centre, axis=2)
    nearest = np.argsort(distance, axis=1)[:, :influences]
    weight = np.exp(-np.take_along_axis(distance, nearest, 1) / 0.02)
    local, inverse = (np.tile(np.eye(3, 4), (count, 1, 1)) for _ in range(2))
    local[:, :, 3] = np.diff(centre, axis=0, prepend=np.zeros((1, 3)))
    inverse[:, :, 3] = -centre
    return {
        "rig/joint/parent": np.arange(-1, count - 1, dtype=np.int32),
        "rig/joint/rest_local": local.astype(np.float32),
        "rig/joint/inverse_bind": inverse.astype(np.float32),
        "rig/skin/joint": nearest.astype(np.uint16),
        "rig/skin/weight": (weight / weight.sum(1, keepdims=True)).astype(np.float32),
    }


def manifest(n: int, n_shapes: int, n_joints: int, **rest: Any) -> Any:
    names, every = [f"shape{i}" for i in range(n_shapes)], list(range(n_joints))
    return spec.manifest(
        name="bench", method="mesh", fps=25.0, canvas={"width": 512, "height": 512}, color="rgb", source_count=n,
        camera={"cam_from_world": np.eye(4).reshape(-1).tolist(), "fx": 512, "fy": 512, "cx": 256, "cy": 256,
                "near": 0.2},
        provenance={"source_format": "bench", "files": [], "tool": "bench", "tool_version": "0", "notes": ""},
        inputs=[
            {"name": "face", "size": n_shapes, "target": "blendshape", "names": names, "shapes": list(range(n_shapes))},
            {"name": "turn", "size": 3 * n_joints, "target": "joint_rotation", "joints": every},
        ],
        **rest,
    )  # fmt: skip


def write_lam_size(path: Path, rotate: bool) -> Path:
    rng, vertex = np.random.default_rng(0), spiral_sphere(20018)
    tensors = gaussians(rng, 20018) | shapes(rng, vertex, 51, 0.18) | joints(vertex, 11, 4)
    tensors |= {"rig/vertex": vertex.astype(np.float32), "binding/index": np.arange(20018, dtype=np.uint32)}
    return spec.write(path, manifest(20018, 51, 11, rig="arkit", binding="vertex", rotate=rotate), tensors)


def write_flame_size(path: Path) -> Path:
    rng, vertex, f, n = np.random.default_rng(0), spiral_sphere(5143), 10144, 30000
    tensors = gaussians(rng, n) | shapes(rng, vertex, 136, 1.0) | joints(vertex, 5, 5)
    first = np.sort(rng.integers(0, len(vertex) - 120, f))
    tensors |= {
        "rig/vertex": vertex.astype(np.float32),
        "rig/triangle": np.stack([first, first + 1, first + 119], axis=1).astype(np.uint32),
        "rig/joint/shape_delta": rng.normal(size=(136, 5, 3), scale=1e-4).astype(np.float32),
        "binding/index": np.sort(rng.integers(0, f, n)).astype(np.uint32),
    }
    pose_shapes = {"first": 100, "joints": [1, 2, 3, 4]}
    m = manifest(n, 100, 5, rig="flame", binding="triangle", pose_shapes=pose_shapes)
    return spec.write(path, m, tensors)


SCENES = {
    "lam-size": lambda path: write_lam_size(path, rotate=True),
    "lam-size-no-rotation": lambda path: write_lam_size(path, rotate=False),
    "flame-size": write_flame_size,
}


@pytest.fixture(scope="module", params=SCENES)
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SCENES[request.param](tmp_path_factory.mktemp("bench") / f"{request.param}.tsplat")


@pytest.mark.parametrize("threads", [1, 2])
def test_pose(scene: Path, threads: int, benchmark: Any) -> None:
    engine = _core.Engine(threads)
    avatar = _core.Avatar(engine, str(scene))
    frame = _core.Frame(avatar, 64, 64, _core.Format.RGB8, _core.Precision.REFERENCE)
    file = tsplat.read(scene)
    rng = np.random.default_rng(1)
    control = {
        e["name"]: rng.uniform(-0.3, 0.7, e["size"]).astype(np.float32) for e in file.manifest["inputs"]
    }  # every weight counts: the slowest frame
    vertex = np.empty(file.tensors["rig/vertex"].shape, np.float32)
    benchmark.extra_info |= {"isa": engine.isa, "threads": threads, "scene": scene.stem}
    vector = np.concatenate(list(control.values()))
    benchmark(frame.vertices, vector, vertex)
    np.testing.assert_allclose(vertex, pose_ref(file, control).vertex, rtol=0, atol=2e-6)
