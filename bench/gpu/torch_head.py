# SPDX-License-Identifier: Apache-2.0
"""What a torch program draws a rigged head with: blendshapes, skinning and the binding as tensors, then gsplat.

The plain way, one operation after the other in float32, as published code does it; nothing is fused or captured.
Shapes' weights and joints' matrices are there before the clock starts, which favours torch. Imports torch, which is not
among the project's dependencies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from reference.pose import add_up_inputs, drive_pose_shapes, joint_matrices
from reference.tsplat import Tsplat, read

Control = Mapping[str, np.ndarray]


class TorchHead:
    """An avatar's tensors on a device. Its pose is FORMAT.md's, "How a frame is posed"."""

    def __init__(self, path: Path, device: str) -> None:
        self.file, self.device = read(path), device
        self.vertex, self.delta = self._floats("rig/vertex"), self._tensor(_dense_shapes(self.file))
        self.skin_joint, self.skin_weight = self._indices("rig/skin/joint"), self._floats("rig/skin/weight")
        self.index = self._indices("binding/index")
        binding = self.file.manifest["binding"]
        self.inverse, self.turns = binding["scale_rule"] == "inverse_length", binding["rotate"]
        self.triangle = self._indices("rig/triangle") if binding["kind"] == "triangle" else None
        self.mean, self.scale = self._floats("gaussians/mean"), self._floats("gaussians/scale")
        self.quat = normalize(self._floats("gaussians/quat"), dim=1)
        self.opacity, self.color = self._floats("gaussians/opacity"), self._floats("gaussians/color")

    def moves(self, control: Control) -> tuple[Tensor, Tensor]:
        """Weights [S] and joint matrices [J,3,4]."""
        moves = add_up_inputs(self.file, control)
        drive_pose_shapes(self.file, moves)
        return self._tensor(moves.weight), self._tensor(joint_matrices(self.file, moves))

    def pose(self, weight: Tensor, joint: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """mean [N,3], quat [N,4], scale [N,3]."""
        vertex = self.vertex + torch.einsum("s,svk->vk", weight, self.delta)
        skin = torch.einsum("vi,viab->vab", self.skin_weight, joint[self.skin_joint])
        vertex = torch.einsum("vab,vb->va", skin[:, :, :3], vertex) + skin[:, :, 3]
        if self.triangle is None:
            if not self.turns:
                return vertex[self.index] + self.mean, self.quat, self.scale
            turn = skin[:, :, :3][self.index]
            mean = vertex[self.index] + torch.einsum("nab,nb->na", turn, self.mean)
            return mean, _product(_quat_of(turn), self.quat), self.scale
        a, b, c = (vertex[self.triangle[:, corner]] for corner in range(3))
        first = normalize(b - a, dim=1)
        normal = normalize(torch.linalg.cross(first, c - a), dim=1)
        third = -normalize(torch.linalg.cross(normal, first), dim=1)
        length = ((b - a).norm(dim=1) + (third * (c - a)).sum(1).abs()) / 2
        size = (1 / length if self.inverse else length)[self.index, None]
        turn = torch.stack([first, normal, third], dim=2)
        mean = size * torch.einsum("nab,nb->na", turn[self.index], self.mean) + ((a + b + c) / 3)[self.index]
        return mean, _product(_quat_of(turn)[self.index], self.quat), size * self.scale

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.tensor(np.asarray(array, np.float32), device=self.device)

    def _floats(self, name: str) -> Tensor:
        return self._tensor(self.file.tensors[name])

    def _indices(self, name: str) -> Tensor:
        return torch.tensor(self.file.tensors[name].astype(np.int64), device=self.device)


def frame_of(
    head: TorchHead, rasterization: Callable[..., Any], control: Control, size: tuple[int, int]
) -> Callable[[], Tensor]:
    """A call that draws one frame, [H,W,3], by gsplat.rasterization. size: that of the avatar's canvas."""
    own = head.file.manifest["camera"]
    view = np.float32(own["cam_from_world"]).reshape(1, 4, 4)
    intrinsics = np.float32([[[own["fx"], 0, own["cx"]], [0, own["fy"], own["cy"]], [0, 0, 1]]])
    cameras = torch.tensor(view, device=head.device), torch.tensor(intrinsics, device=head.device)
    moves = head.moves(control)

    def frame() -> Tensor:
        with torch.inference_mode():
            mean, quat, scale = head.pose(*moves)
            images, _, _ = rasterization(
                mean, quat, scale, head.opacity, head.color, *cameras, *size, near_plane=own["near"], packed=False
            )
        image: Tensor = images[0]
        return image

    return frame


def _dense_shapes(file: Tsplat) -> np.ndarray:
    """[S,V,3]"""
    start, vertex, delta = (file.tensors[f"rig/blendshape/{name}"] for name in ("start", "vertex", "delta"))
    dense = np.zeros((len(start) - 1, len(file.tensors["rig/vertex"]), 3), np.float32)
    for shape in range(len(dense)):
        rows = slice(int(start[shape]), int(start[shape + 1]))
        dense[shape, vertex[rows]] = delta[rows]
    return dense


def _quat_of(r: Tensor) -> Tensor:
    """[N,3,3] to [N,4] wxyz, from the largest of the four entries (Shepperd 1978)."""
    xx, yy, zz = r[:, 0, 0], r[:, 1, 1], r[:, 2, 2]
    squares = torch.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], dim=1)
    wx, wy, wz = r[:, 2, 1] - r[:, 1, 2], r[:, 0, 2] - r[:, 2, 0], r[:, 1, 0] - r[:, 0, 1]
    xy, xz, yz = r[:, 1, 0] + r[:, 0, 1], r[:, 2, 0] + r[:, 0, 2], r[:, 2, 1] + r[:, 1, 2]
    columns = torch.stack(
        [
            torch.stack([squares[:, 0], wx, wy, wz], dim=1),
            torch.stack([wx, squares[:, 1], xy, xz], dim=1),
            torch.stack([wy, xy, squares[:, 2], yz], dim=1),
            torch.stack([wz, xz, yz, squares[:, 3]], dim=1),
        ],
        dim=1,
    )
    best = squares.argmax(dim=1)
    return normalize(columns[torch.arange(len(r), device=r.device), best], dim=1)


def _product(p: Tensor, q: Tensor) -> Tensor:
    """Hamilton product, wxyz."""
    w = p[:, :1] * q[:, :1] - (p[:, 1:] * q[:, 1:]).sum(1, keepdim=True)
    return torch.cat([w, p[:, :1] * q[:, 1:] + q[:, :1] * p[:, 1:] + torch.linalg.cross(p[:, 1:], q[:, 1:])], dim=1)
