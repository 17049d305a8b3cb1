# SPDX-License-Identifier: Apache-2.0
"""Surfaces and tufts gathered into one mesh, its blendshapes, its skin weights and its Gaussians."""

from __future__ import annotations

import numpy as np

from ..spec import Array
from . import shapes, splats
from .mesh import BODY, HEAD, JAW, NECK, Surface, Tufts
from .sdf import smoothstep
from .splats import METRE, Splats

SMALLEST = 0.06  # mm; what moves a vertex less than this is left out


def skin_weights(surface: Surface) -> tuple[Array, Array]:
    """joint [n,2] and weight [n,2] of the surface's nodes."""
    y = surface.nodes()[..., 1].ravel()
    joint = np.full((len(y), 2), surface.joint)
    share = np.zeros(len(y))
    if surface.joint == NECK:
        joint[:, 1] = np.where(y > -140, HEAD, BODY)
        share = np.where(y > -140, smoothstep(y, -125.0, -85.0), smoothstep(-y, 150.0, 188.0))
    elif surface.joint == HEAD:
        joint[:, 1] = JAW
        share = np.broadcast_to(shapes.jaw_share(surface), surface.nodes().shape[:2]).ravel()
    elif surface.name == "glint":
        joint[:, 1] = HEAD
        share = np.full(len(y), 1 - shapes.GLINT)
    return joint, np.stack([1 - share, share], 1)


class Rig:
    """add() every surface, then hang() the tufts on them, then take the tensors()."""

    def __init__(self) -> None:
        self._vertex: list[Array] = []
        self._joint: list[Array] = []
        self._weight: list[Array] = []
        self._corner: list[Array] = []  # [n,3] the triangle of each Gaussian, by its vertices
        self._splats: list[Splats] = []
        self._moved: dict[str, list[tuple[int, Array]]] = {name: [] for name in shapes.NAMES}
        self._owned: dict[tuple[str, float], Array] = {}
        self._count = 0

    def add(self, surface: Surface) -> None:
        shown = shapes.at_rest(surface)
        triangle, cell = surface.triangles()
        picked = triangle[cell[surface.cells]] + self._count
        self._owned[surface.name, surface.side] = np.unique(picked, axis=0) if len(picked) else triangle + self._count
        self._corner.append(picked)
        self._splats.append(splats.of_cells(shown))
        joint, weight = skin_weights(surface)
        self._joint.append(joint)
        self._weight.append(weight)
        for name, delta in shapes.shapes(surface).items():
            self._moved[name].append((self._count, delta.reshape(-1, 3)))
        self._vertex.append(shown.nodes().reshape(-1, 3))
        self._count += len(joint)

    def hang(self, tufts: Tufts) -> None:
        held = [t for (name, side), t in self._owned.items() if name == tufts.on and side * tufts.side >= 0]
        triangles = np.concatenate(held)
        centres = np.concatenate(self._vertex)[triangles].mean(1)
        self._corner.append(triangles[splats.nearest(tufts.mean, centres)])
        self._splats.append(splats.of_tufts(tufts))

    def tensors(self) -> dict[str, Array]:
        """Without vertices and triangles that hold no Gaussian."""
        vertex, corners = np.concatenate(self._vertex), np.concatenate(self._corner)
        cloud = splats.bind(splats.together(self._splats), vertex, corners)
        used = np.unique(corners)
        new = np.full(len(vertex), -1)
        new[used] = np.arange(len(used))
        starts, index, deltas = [0], [], []
        for name in shapes.NAMES:
            for begin, delta in self._moved[name]:
                here = new[begin : begin + len(delta)]
                rows = np.flatnonzero((np.abs(delta).max(1) > SMALLEST) & (here >= 0))
                index.append(here[rows])
                deltas.append(delta[rows])
            starts.append(sum(map(len, index)))
        return {
            **cloud.tensors(),
            "rig/vertex": (vertex[used] * METRE).astype(np.float32),
            "rig/triangle": new[np.unique(corners, axis=0)].astype(np.uint32),
            "rig/blendshape/start": np.array(starts, np.uint32),
            "rig/blendshape/vertex": np.concatenate(index).astype(np.uint32),
            "rig/blendshape/delta": (np.concatenate(deltas) * METRE).astype(np.float32),
            "rig/skin/joint": np.concatenate(self._joint)[used].astype(np.uint16),
            "rig/skin/weight": np.concatenate(self._weight)[used].astype(np.float32),
        }
