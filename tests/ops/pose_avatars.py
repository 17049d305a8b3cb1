# SPDX-License-Identifier: Apache-2.0
"""Small avatars for the tests of pose: random rigs of any size, written by the project's own writer."""

from pathlib import Path
from typing import Any

import numpy as np

from reference.pose import rotation_of_quat
from talksplat.authoring import spec

Array = np.ndarray
PROVENANCE = {"source_format": "test", "files": [], "tool": "test", "tool_version": "0", "notes": ""}
CAMERA = {"cam_from_world": np.eye(4).reshape(-1).tolist(), "fx": 64.0, "fy": 64.0, "cx": 32.0, "cy": 32.0, "near": 0.2}


def manifest(method: str, source_count: int, **rest: Any) -> Any:
    return spec.manifest(
        name="test", method=method, fps=25.0, canvas={"width": 64, "height": 64}, camera=CAMERA, color="rgb",
        source_count=source_count, provenance=PROVENANCE, **rest,
    )  # fmt: skip


def random_quats(rng: np.random.Generator, n: int) -> Array:
    q = rng.normal(size=(n, 4))
    return (q / np.linalg.norm(q, axis=1, keepdims=True)).astype(np.float32)


def gaussians(rng: np.random.Generator, n: int, spread: float = 1.0) -> dict[str, Array]:
    return {
        "gaussians/mean": rng.normal(size=(n, 3), scale=spread).astype(np.float32),
        "gaussians/quat": random_quats(rng, n),
        "gaussians/scale": rng.uniform(0.0, 0.5, (n, 3)).astype(np.float32),
        "gaussians/opacity": rng.uniform(0, 1, n).astype(np.float32),
        "gaussians/color": rng.uniform(0, 1, (n, 3)).astype(np.float32),
        "gaussians/source_index": rng.permutation(n).astype(np.uint32),
    }


def blendshapes(rng: np.random.Generator, v: int, s: int) -> tuple[dict[str, Array], dict[str, Any]]:
    """Shapes of random sparsity (some empty), and the input that drives them; one of its names is not in the rig."""
    moved = [np.flatnonzero(rng.uniform(size=v) < density) for density in rng.choice([0.0, 0.05, 0.5, 1.0], s)]
    vertex = np.concatenate(moved).astype(np.uint32)
    tensors = {
        "rig/blendshape/start": np.cumsum([0, *map(len, moved)]).astype(np.uint32),
        "rig/blendshape/vertex": vertex,
        "rig/blendshape/delta": rng.normal(size=(len(vertex), 3), scale=0.02).astype(np.float32),
    }
    names = [f"shape{i}" for i in range(s)] + ["absent"]
    return tensors, {
        "name": "face", "size": s + 1, "target": "blendshape", "names": names, "shapes": [*range(s), -1],
    }  # fmt: skip


def skeleton(
    rng: np.random.Generator, v: int, joints: int, influences: int, rest_turns: bool
) -> tuple[dict[str, Array], list[dict[str, Any]]]:
    """A random joint tree, with random influences of several counts per vertex; two inputs turn the last joint."""
    parent = np.array([-1] + [int(rng.integers(0, k)) for k in range(1, joints)], np.int32)
    world = np.tile(np.eye(4), (joints, 1, 1))
    world[:, :3, 3] = rng.normal(size=(joints, 3), scale=0.1)
    if rest_turns:
        world[:, :3, :3] = rotation_of_quat(random_quats(rng, joints))
    local = np.array([w if p < 0 else np.linalg.inv(world[p]) @ w for p, w in zip(parent, world, strict=True)])
    weight = rng.uniform(size=(v, influences)) * (rng.uniform(size=(v, influences)) < 0.6)
    weight[:, 0] += 0.1
    weight /= weight.sum(1, keepdims=True)
    tensors = {
        "rig/joint/parent": parent,
        "rig/joint/rest_local": local[:, :3].astype(np.float32),
        "rig/joint/inverse_bind": np.linalg.inv(world)[:, :3].astype(np.float32),
        "rig/skin/joint": rng.integers(0, joints, (v, influences)).astype(np.uint16),
        "rig/skin/weight": weight.astype(np.float32),
    }
    every = list(range(joints))
    return tensors, [
        {"name": "turn", "size": 3 * joints, "target": "joint_rotation", "joints": every},
        {"name": "turn_again", "size": 3, "target": "joint_rotation", "joints": [joints - 1]},
        {"name": "shift", "size": 3 * joints, "target": "joint_translation", "joints": every},
    ]


def static_avatar(path: Path, n: int = 33, source_count: int | None = None, inputs: Any = None) -> Path:
    if inputs is None:
        inputs = [{"name": "translation", "size": 3, "target": "translation"}]
    tensors = gaussians(np.random.default_rng(0), n)
    return spec.write(path, manifest("static", source_count or n, inputs=inputs), tensors)


def rigged_avatar(
    path: Path,
    n: int = 100,
    v: int = 60,
    s: int = 7,
    joints: int = 5,
    influences: int = 4,
    binding: str = "vertex",
    rotate: bool = True,
    scale_rule: str = "length",
    flame: bool = False,
) -> Path:
    """A random rig with everything that FORMAT.md has; inputs face, turn, turn_again, shift, translation.

    flame: joints 1..3 drive corrective shapes, shapes move joints, and joints do not turn at rest.
    """
    rng = np.random.default_rng(1)
    pose_joints = [1, 2, 3] if flame else []
    n_shapes = s + 9 * len(pose_joints)
    tensors = gaussians(rng, n, 0.1)
    tensors["rig/vertex"] = rng.normal(size=(v, 3), scale=0.2).astype(np.float32)
    inputs: list[Any] = []
    if n_shapes:
        shapes, face = blendshapes(rng, v, n_shapes)
        if flame:  # the others are for the joints to drive
            face |= {"size": s, "names": face["names"][:s], "shapes": face["shapes"][:s]}
        tensors |= shapes
        inputs.append(face)
    if joints:
        bones, moves = skeleton(rng, v, joints, influences, rest_turns=not flame)
        tensors |= bones
        inputs += moves
    if flame:
        tensors["rig/joint/shape_delta"] = rng.normal(size=(n_shapes, joints, 3), scale=0.01).astype(np.float32)
    targets = v
    if binding == "triangle":
        targets = max(v // 2, 1)
        corners = [well_shaped_triangle(rng, tensors["rig/vertex"]) for _ in range(targets)]
        tensors["rig/triangle"] = np.array(corners, np.uint32)
    tensors["binding/index"] = rng.integers(0, targets, n).astype(np.uint32)
    inputs.append({"name": "translation", "size": 3, "target": "translation"})
    m = manifest(
        "mesh", n, rig="flame" if flame else "mesh", binding=binding, rotate=rotate, scale_rule=scale_rule,
        inputs=inputs, pose_shapes={"first": s, "joints": pose_joints} if flame else None,
    )  # fmt: skip
    return spec.write(path, m, tensors)


def well_shaped_triangle(rng: np.random.Generator, vertex: Array) -> Array:
    """Three vertices whose frame float32 can resolve: the height is at least a third of the longest edge."""
    while True:
        corners = rng.choice(len(vertex), 3, replace=False)
        a, b, c = vertex[corners].astype(np.float64)
        longest = max(np.linalg.norm(b - a), np.linalg.norm(c - a), np.linalg.norm(c - b))
        if np.linalg.norm(np.cross(b - a, c - a)) > longest**2 / 3:
            return corners


def triangle_avatar(path: Path, vertex: Array, triangle: Array) -> Path:
    """One Gaussian on every triangle of a rigid mesh."""
    n = len(triangle)
    tensors = gaussians(np.random.default_rng(2), n)
    tensors |= {"rig/vertex": vertex.astype(np.float32), "rig/triangle": triangle.astype(np.uint32)}
    tensors["binding/index"] = np.arange(n, dtype=np.uint32)
    return spec.write(path, manifest("mesh", n, rig="mesh", binding="triangle"), tensors)


def blended_avatar(path: Path, weight: Array) -> Path:
    """weight [n,J]: n vertices at the origin, each with a Gaussian, that blend J joints which only turn."""
    n, joints = weight.shape
    tensors = gaussians(np.random.default_rng(3), n)
    identity = np.tile(np.eye(3, 4, dtype=np.float32), (joints, 1, 1))
    tensors |= {
        "rig/vertex": np.zeros((n, 3), np.float32),
        "rig/joint/parent": np.full(joints, -1, np.int32),
        "rig/joint/rest_local": identity,
        "rig/joint/inverse_bind": identity,
        "rig/skin/joint": np.tile(np.arange(joints, dtype=np.uint16), (n, 1)),
        "rig/skin/weight": weight.astype(np.float32),
        "binding/index": np.arange(n, dtype=np.uint32),
    }
    every = list(range(joints))
    inputs: Any = [{"name": "turn", "size": 3 * joints, "target": "joint_rotation", "joints": every}]
    return spec.write(path, manifest("mesh", n, rig="mesh", binding="vertex", inputs=inputs), tensors)
