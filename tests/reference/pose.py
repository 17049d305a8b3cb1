# SPDX-License-Identifier: Apache-2.0
"""pose in float64: one vertex, joint and Gaussian after the other, as FORMAT.md's "How a frame is posed" reads."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reference.tsplat import Tsplat


@dataclass(frozen=True)
class Posed:
    """vertex [V,3]; mean [N,3], quat [N,4] wxyz, scale [N,3] in the file's row order."""

    vertex: np.ndarray
    mean: np.ndarray
    quat: np.ndarray
    scale: np.ndarray


@dataclass
class Moves:
    """What the inputs add up to: weight [S], rotation [J,3,3], joint_translation [J,3], translation [3]."""

    weight: np.ndarray
    rotation: np.ndarray
    joint_translation: np.ndarray
    translation: np.ndarray


def pose_ref(avatar: Tsplat, control: Mapping[str, ArrayLike]) -> Posed:
    moves = add_up_inputs(avatar, control)
    if avatar.manifest["binding"]["kind"] == "static":
        mean = avatar.f64("gaussians/mean") + moves.translation
        return Posed(np.zeros((0, 3)), mean, unit_rows(avatar.f64("gaussians/quat")), avatar.f64("gaussians/scale"))
    drive_pose_shapes(avatar, moves)
    skin = skin_matrices(avatar, moves)
    vertex = blend_shapes(avatar, moves.weight)
    vertex = np.array([matrix[:, :3] @ v + matrix[:, 3] for matrix, v in zip(skin, vertex, strict=True)])
    vertex = vertex.reshape(-1, 3) + moves.translation
    follow = follow_triangles if avatar.manifest["binding"]["kind"] == "triangle" else follow_vertices
    return follow(avatar, vertex, skin)


# ---- inputs ----


def add_up_inputs(avatar: Tsplat, control: Mapping[str, ArrayLike]) -> Moves:
    n_shapes, n_joints = count_shapes(avatar), len(avatar.tensors.get("rig/joint/parent", ()))
    moves = Moves(np.zeros(n_shapes), np.tile(np.eye(3), (n_joints, 1, 1)), np.zeros((n_joints, 3)), np.zeros(3))
    for entry in avatar.manifest["inputs"]:
        given = control.get(entry["name"], entry.get("default", [0.0] * entry["size"]))
        value = np.asarray(given, np.float32).astype(np.float64)
        if entry["target"] == "blendshape":
            for shape, weight in zip(entry["shapes"], value, strict=True):
                if shape >= 0:
                    moves.weight[shape] += weight
        elif entry["target"] == "joint_rotation":
            for joint, axis_angle in zip(entry["joints"], value.reshape(-1, 3), strict=True):
                moves.rotation[joint] = moves.rotation[joint] @ rotation_of_axis_angle(axis_angle)
        elif entry["target"] == "joint_translation":
            for joint, offset in zip(entry["joints"], value.reshape(-1, 3), strict=True):
                moves.joint_translation[joint] += offset
        elif entry["target"] == "translation":
            moves.translation += value
    return moves


def count_shapes(avatar: Tsplat) -> int:
    start = avatar.get("rig/blendshape/start")
    return 0 if start is None else len(start) - 1


def rotation_of_axis_angle(r: np.ndarray) -> np.ndarray:
    """Rodrigues' formula, with the series of its two factors near 0."""
    angle = np.linalg.norm(r)
    cross = np.array([[0, -r[2], r[1]], [r[2], 0, -r[0]], [-r[1], r[0], 0]])
    sine = 1 - angle**2 / 6 if angle < 1e-4 else np.sin(angle) / angle
    cosine = 0.5 - angle**2 / 24 if angle < 1e-4 else (1 - np.cos(angle)) / angle**2
    return np.eye(3) + sine * cross + cosine * cross @ cross


def drive_pose_shapes(avatar: Tsplat, moves: Moves) -> None:
    pose = avatar.manifest["rig"]["pose_shapes"]
    if pose is None:
        return
    for j, joint in enumerate(pose["joints"]):
        first = pose["first"] + 9 * j
        moves.weight[first : first + 9] = (moves.rotation[joint] - np.eye(3)).reshape(9)


# ---- mesh ----


def blend_shapes(avatar: Tsplat, weight: np.ndarray) -> np.ndarray:
    vertex = avatar.f64("rig/vertex")
    if len(weight):
        start = avatar.tensors["rig/blendshape/start"].astype(np.int64)
        moved, delta = avatar.tensors["rig/blendshape/vertex"], avatar.f64("rig/blendshape/delta")
        for shape, w in enumerate(weight):
            rows = slice(start[shape], start[shape + 1])
            vertex[moved[rows]] += w * delta[rows]
    return vertex


def skin_matrices(avatar: Tsplat, moves: Moves) -> np.ndarray:
    """[V,3,4]: the blended joint matrix of every vertex, the identity without joints."""
    n_vertices = len(avatar.tensors["rig/vertex"])
    if "rig/joint/parent" not in avatar.tensors:
        return np.tile(np.eye(3, 4), (n_vertices, 1, 1))
    palette = joint_matrices(avatar, moves)
    joint, weight = avatar.tensors["rig/skin/joint"], avatar.f64("rig/skin/weight")
    return np.einsum("vk,vkij->vij", weight, palette[joint])


def joint_matrices(avatar: Tsplat, moves: Moves) -> np.ndarray:
    """[J,3,4]: world from mesh at rest."""
    parents = avatar.tensors["rig/joint/parent"]
    delta = np.zeros((len(parents), 3))
    if "rig/joint/shape_delta" in avatar.tensors:
        delta = np.einsum("s,sja->ja", moves.weight, avatar.f64("rig/joint/shape_delta"))
    world: list[np.ndarray] = []
    for k, parent in enumerate(parents):
        local = square(avatar.f64("rig/joint/rest_local")[k])
        local[:3, 3] += moves.joint_translation[k] + delta[k] - (delta[parent] if parent >= 0 else 0)
        local[:3, :3] = local[:3, :3] @ moves.rotation[k]
        world.append(world[parent] @ local if parent >= 0 else local)
    matrices = []
    for k, world_from_joint in enumerate(world):
        joint_from_mesh = square(avatar.f64("rig/joint/inverse_bind")[k])
        joint_from_mesh[:3, 3] -= delta[k]
        matrices.append((world_from_joint @ joint_from_mesh)[:3])
    return np.array(matrices)


def square(matrix: np.ndarray) -> np.ndarray:
    """[3,4] with the row 0 0 0 1 below."""
    return np.vstack([matrix, [0, 0, 0, 1]])


# ---- binding ----


def follow_triangles(avatar: Tsplat, vertex: np.ndarray, skin: np.ndarray) -> Posed:
    mean, quat, scale = (avatar.f64(f"gaussians/{name}") for name in ("mean", "quat", "scale"))
    quat = unit_rows(quat)
    for i, triangle in enumerate(avatar.tensors["binding/index"]):
        a, b, c = vertex[avatar.tensors["rig/triangle"][triangle]]
        rotation, length = triangle_frame(a, b, c)
        k = 1 / length if avatar.manifest["binding"]["scale_rule"] == "inverse_length" else length
        mean[i] = k * rotation @ mean[i] + (a + b + c) / 3
        quat[i] = multiply(quat_of_rotation(nearest_rotation(rotation)), quat[i])
        scale[i] *= k
    return Posed(vertex, mean, quat, scale)


def triangle_frame(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, float]:
    """Columns first edge, normal, their cross product turned round; and the triangle's length l."""
    a0 = unit(b - a)
    a1 = unit(np.cross(a0, c - a))
    a2 = -unit(np.cross(a1, a0))
    return np.stack([a0, a1, a2], axis=1), (length_of(b - a) + abs(a2 @ (c - a))) / 2


def follow_vertices(avatar: Tsplat, vertex: np.ndarray, skin: np.ndarray) -> Posed:
    mean, quat, scale = (avatar.f64(f"gaussians/{name}") for name in ("mean", "quat", "scale"))
    quat = unit_rows(quat)
    for i, v in enumerate(avatar.tensors["binding/index"]):
        if avatar.manifest["binding"]["rotate"]:
            mean[i] = skin[v][:, :3] @ mean[i]
            quat[i] = multiply(quat_of_rotation(nearest_rotation(skin[v][:, :3])), quat[i])
        mean[i] += vertex[v]
    return Posed(vertex, mean, quat, scale)


# ---- vectors and quaternions ----


def length_of(x: np.ndarray) -> float:
    """With the floor that keeps degenerate triangles finite."""
    return float(np.sqrt(max(x @ x, 1e-20)))


def unit(x: np.ndarray) -> np.ndarray:
    return x / length_of(x)


def unit_rows(q: np.ndarray) -> np.ndarray:
    return q / np.linalg.norm(q, axis=1, keepdims=True)


def multiply(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Hamilton product, wxyz."""
    w = p[0] * q[0] - p[1:] @ q[1:]
    return np.concatenate([[w], p[0] * q[1:] + q[0] * p[1:] + np.cross(p[1:], q[1:])])


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """By singular values; some rotation where there is no single nearest one."""
    u, _, vt = np.linalg.svd(matrix)
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def quat_of_rotation(r: np.ndarray) -> np.ndarray:
    """From the largest of the four entries, so that the division is safe (Shepperd 1978)."""
    four_squares = 1 + np.array(
        [
            r[0, 0] + r[1, 1] + r[2, 2],
            r[0, 0] - r[1, 1] - r[2, 2],
            r[1, 1] - r[0, 0] - r[2, 2],
            r[2, 2] - r[0, 0] - r[1, 1],
        ]
    )
    q = np.empty(4)
    i = int(np.argmax(four_squares))
    q[i] = np.sqrt(four_squares[i]) / 2
    minus = np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]])
    if i == 0:
        q[1:] = minus / (4 * q[0])
        return q
    q[0] = minus[i - 1] / (4 * q[i])
    for j in {1, 2, 3} - {i}:
        q[j] = (r[i - 1, j - 1] + r[j - 1, i - 1]) / (4 * q[i])
    return q


def rotation_of_quat(q: np.ndarray) -> np.ndarray:
    """[...,4] wxyz, unit -> [...,3,3]."""
    w, x, y, z = np.moveaxis(np.asarray(q, np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))
