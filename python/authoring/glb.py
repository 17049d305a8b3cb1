# SPDX-License-Identifier: Apache-2.0
"""The part of binary glTF 2.0 that avatars need: nodes, one skinned mesh with morph targets, skins, animations.

Every number from the file is checked before it is used as a size, an offset or an index.
Layout: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, sections 3.6 (accessors) and 4.4 (GLB).
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

from talksplat._json import parse_json
from talksplat._text import shown
from talksplat.errors import AvatarInvalid

from .spec import Array

COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
MAX_ACCESSOR_VALUES = 1 << 28
MAX_NODES = 1 << 14
MAX_JSON_BYTES = 32 << 20  # a few hundred kilobytes are usual
# Views may overlap, so accessors could give any multiple of the file. Genuine files share times, and deltas of zero.
MAX_GROWTH = 4
FREE_BYTES = 64 << 20
MAX_NAME_LETTERS = 200
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942


class Glb:
    """A parsed GLB. Its methods raise AvatarInvalid, naming the file and the place, for whatever is not glTF."""

    def __init__(self, where: str, data: bytes) -> None:
        self.where = where
        if len(data) < 20 or data[:4] != b"glTF":
            raise AvatarInvalid(f"{where}: is not a binary glTF file (it must start with 'glTF').")
        version, length = struct.unpack_from("<II", data, 4)
        if version != 2 or length > len(data):
            raise AvatarInvalid(f"{where}: must be glTF 2 of {length} bytes; got version {version}, {len(data)} bytes.")
        self._binary = b""
        text = b""
        offset = 12
        while offset + 8 <= length:
            size, kind = struct.unpack_from("<II", data, offset)
            offset += 8
            if offset + size > length:
                raise AvatarInvalid(f"{where}: a chunk of {size} bytes at byte {offset} goes past the end.")
            if kind == JSON_CHUNK and not text:
                text = data[offset : offset + size]
            elif kind == BINARY_CHUNK and not self._binary:
                self._binary = data[offset : offset + size]
            offset += (size + 3) & ~3
        if len(text) > MAX_JSON_BYTES:
            raise AvatarInvalid(f"{where}: has {len(text)} bytes of JSON; at most {MAX_JSON_BYTES} are read.")
        self._left = MAX_GROWTH * len(self._binary) + FREE_BYTES
        self.json = parse_json(f"{where}: its JSON chunk", text, AvatarInvalid, "avatar")
        if not isinstance(self.json, dict):
            raise AvatarInvalid(f"{where}: its JSON chunk must be an object.")
        self.nodes = [self.mapping(node, f"nodes[{i}]") for i, node in enumerate(self.items("nodes"))]
        if len(self.nodes) > MAX_NODES:
            raise self.fail("nodes", f"at most {MAX_NODES}", len(self.nodes))
        self.parents = self._parents()
        self.depth = self._depths()

    def fail(self, place: str, expected: str, found: str | int) -> AvatarInvalid:
        """found: words, or a number; a value of the file comes as shown()."""
        return AvatarInvalid(f"{self.where}: {place} must be {expected}; got {found}.")

    def items(self, key: str, holder: dict[str, Any] | None = None, place: str = "") -> list[Any]:
        """holder[key] (of the file when None) as a list; absent is empty."""
        value = (self.json if holder is None else holder).get(key, [])
        if not isinstance(value, list):
            raise self.fail(f"{place}{key}", "a list", shown(value))
        return value

    def mapping(self, value: object, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(place, "an object", shown(value))
        return value

    def integer(self, value: object, place: str, limit: int) -> int:
        """value as an integer in [0, limit)."""
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
            raise self.fail(place, f"an integer in 0..{limit - 1}", shown(value))
        return value

    def numbers(self, value: object, place: str, size: int) -> Array:
        """value as [size] float64, finite."""
        if isinstance(value, list) and len(value) == size and all(isinstance(x, int | float) for x in value):
            with contextlib.suppress(OverflowError):  # a whole number of 400 digits
                array = np.array(value, np.float64)
                if np.isfinite(array).all():
                    return array
        raise self.fail(place, f"{size} finite numbers", shown(value))

    def only(self, key: str) -> dict[str, Any]:
        """The single object of a list of the file."""
        items = self.items(key)
        if len(items) != 1:
            raise self.fail(key, "a list of exactly one", f"{len(items)}")
        return self.mapping(items[0], f"{key}[0]")

    def name(self, node: int) -> str:
        """The node's name, cut to a length that no tool reaches; "node 7" for one without."""
        name = self.nodes[node].get("name")
        return name[:MAX_NAME_LETTERS] if isinstance(name, str) else f"node {node}"

    def accessor(self, index: object, place: str, kind: str, dtypes: str) -> Array:
        """The accessor's values [count, width]; kind is its glTF type, dtypes the letters it may have ("fu").

        Integer values keep their type: normalised integers are refused, no avatar uses them.
        """
        accessors = self.items("accessors")
        i = self.integer(index, place, len(accessors))
        place = f"accessors[{i}] ({place})"
        item = self.mapping(accessors[i], place)
        component, count = item.get("componentType"), item.get("count")
        if item.get("type") != kind or not isinstance(component, int) or component not in COMPONENTS:
            raise self.fail(
                place, f"{kind} of a known component type", f"{shown(item.get('type'))} of {shown(component)}"
            )
        dtype, width = np.dtype(COMPONENTS[component]), WIDTHS[kind]
        if dtype.kind not in dtypes or item.get("normalized"):
            raise self.fail(place, f"numbers of kind {dtypes}, not normalised", dtype.name)
        count = self.integer(count, f"{place}.count", MAX_ACCESSOR_VALUES // width)
        self._left -= count * width * dtype.itemsize
        if self._left < 0:
            raise self.fail(place, "of a size in keeping with the file", f"{count} values after all those before it")
        if "bufferView" in item:
            values = self._view(item["bufferView"], item.get("byteOffset", 0), place, dtype, count, width)
        else:
            values = np.zeros((count, width), dtype)
        if "sparse" in item:
            values = self._sparse(item["sparse"], place, values)
        if dtype.kind == "f" and not np.isfinite(values).all():
            raise self.fail(place, "finite", "NaN or infinity")
        return values

    def _sparse(self, sparse: object, place: str, base: Array) -> Array:
        sparse = self.mapping(sparse, f"{place}.sparse")
        count = self.integer(sparse.get("count"), f"{place}.sparse.count", len(base) + 1)
        indices = self.mapping(sparse.get("indices"), f"{place}.sparse.indices")
        values = self.mapping(sparse.get("values"), f"{place}.sparse.values")
        component = indices.get("componentType")
        if component not in (5121, 5123, 5125):
            raise self.fail(f"{place}.sparse.indices.componentType", "5121, 5123 or 5125", shown(component))
        rows = self._view(indices.get("bufferView"), indices.get("byteOffset", 0), place,
                          np.dtype(COMPONENTS[component]), count, 1)[:, 0].astype(np.int64)  # fmt: skip
        if len(rows) and (rows.max() >= len(base) or (np.diff(rows) <= 0).any()):
            raise self.fail(f"{place}.sparse.indices", f"rising and below {len(base)}", "others")
        out: Array = base.copy()
        out[rows] = self._view(values.get("bufferView"), values.get("byteOffset", 0), place, base.dtype, count,
                               base.shape[1])  # fmt: skip
        return out

    def _view(self, view: object, offset: object, place: str, dtype: np.dtype, count: int, width: int) -> Array:
        views = self.items("bufferViews")
        i = self.integer(view, f"{place}.bufferView", len(views))
        item = self.mapping(views[i], f"bufferViews[{i}]")
        if item.get("buffer") != 0:
            raise self.fail(f"bufferViews[{i}].buffer", "0 (the binary chunk)", shown(item.get("buffer")))
        end = len(self._binary) + 1
        start = self.integer(item.get("byteOffset", 0), f"bufferViews[{i}].byteOffset", end)
        size = self.integer(item.get("byteLength"), f"bufferViews[{i}].byteLength", end)
        skip = self.integer(offset, f"{place}.byteOffset", end)
        row = dtype.itemsize * width
        stride = self.integer(item.get("byteStride", row), f"bufferViews[{i}].byteStride", 253)
        needed = skip + (stride * (count - 1) + row if count else 0)
        if stride < row or needed > size or start + size >= end:
            raise self.fail(place, "inside the binary chunk", f"{needed} bytes of view {i}, which has {size}")
        out: Array = np.ndarray((count, width), dtype, self._binary, start + skip, (stride, dtype.itemsize))
        return out

    def _parents(self) -> list[int]:
        parents = [-1] * len(self.nodes)
        for i, node in enumerate(self.nodes):
            for child in self.items("children", node, f"nodes[{i}]."):
                child = self.integer(child, f"nodes[{i}].children", len(self.nodes))
                if parents[child] != -1:
                    raise self.fail(f"nodes[{child}]", "the child of one node", f"{parents[child]} and {i}")
                parents[child] = i
        return parents

    def _depths(self) -> list[int]:
        """How many nodes are above each; parents come before their children, so one pass is enough."""
        depth = [-1] * len(self.nodes)
        level = [i for i, parent in enumerate(self.parents) if parent == -1]
        below = 0
        while level:
            for node in level:
                depth[node] = below
            level = [child for node in level for child in self.nodes[node].get("children", ())]
            below += 1
        if -1 in depth:
            raise self.fail("nodes", "a tree", f"a cycle with node {depth.index(-1)}")
        return depth

    def with_ancestors(self, nodes: Iterable[int]) -> list[int]:
        """The nodes and all above them, parents first."""
        kept: set[int] = set()
        for node in nodes:
            while node != -1 and node not in kept:
                kept.add(node)
                node = self.parents[node]
        return sorted(kept, key=lambda node: (self.depth[node], node))

    def trs(self, node: int) -> tuple[Array, Array, Array]:
        """Translation [3], rotation [4] wxyz (unit) and scale [3] of a node, float64."""
        item, place = self.nodes[node], f"nodes[{node}] ({self.name(node)})"
        if "matrix" in item:
            raise self.fail(f"{place}.matrix", "given as translation, rotation and scale", "a matrix")
        translation = self.numbers(item.get("translation", [0, 0, 0]), f"{place}.translation", 3)
        rotation = self.numbers(item.get("rotation", [0, 0, 0, 1]), f"{place}.rotation", 4)[[3, 0, 1, 2]]
        scale = self.numbers(item.get("scale", [1, 1, 1]), f"{place}.scale", 3)
        norm = np.linalg.norm(rotation)
        if norm < 1e-6 or (scale == 0).any():
            raise self.fail(place, "invertible", f"rotation {rotation.tolist()}, scale {scale.tolist()}")
        return translation, rotation / norm, scale
