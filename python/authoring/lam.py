# SPDX-License-Identifier: Apache-2.0
"""LAM avatars: a zip (or its folder) of skin.glb, offset.ply and, optionally, animation.glb and bsData.json.

What the numbers mean follows LAM's public viewer (npm gaussian-splat-renderer-for-lam 0.0.8), checked by eye:
- Gaussian i sits at vertex i of skin.glb plus offset i, plus the weighted morph targets of that vertex.
- `rot` is wxyz, `scale` a logarithm, `opacity` a logit; `f_dc` is RGB in 0..1 already, not an SH coefficient.
- Animations replace the local pose of joints of the same name. The background is white.
- The camera is at (0, 1.8, 1) and looks ten degrees down, 50 degrees high.
Three departures, each judged by eye to be the better picture:
- The viewer moves all Gaussians with the bone "head" and does not rotate them, since offsets tore apart under its
  skinning. We skin offset and covariance with the vertex, so the shoulders stay when the head turns and nothing tears.
- A head takes a third of the viewer's height: from the same place, in the same direction, we zoom in on it.
- The viewer multiplies some expression weights by a gain (jawOpen 1.2, mouthClose 0.2, ...): we play them as given.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np

from talksplat._json import parse_json
from talksplat._text import listed, shortened, shown
from talksplat.arkit import ARKIT_NAMES
from talksplat.errors import AvatarInvalid, AvatarNotFound

from . import camera as cameras
from .animation import joint_clips
from .archive import MAX_MEMBER_BYTES, read_members
from .gaussians import Gaussians, exp_scale, gaussians, morton_sorted, sigmoid
from .glb import Glb
from .ply_file import columns, read_elements
from .rotation import affine
from .source import LICENCE_NAMES, Source, licence_text
from .spec import MAX_JOINTS, NOT_STATED, Array, Camera, Canvas, Clip, Input, Manifest, clip_name, manifest

MAX_WEIGHTS_BYTES = 64 << 20  # half an hour, in all digits
FPS = 30.0  # LAM's clips and expression files
HEAD = "head"
REQUIRED = ("skin.glb", "offset.ply")
OPTIONAL = ("animation.glb", "bsData.json", *LICENCE_NAMES)
VIEWER_EYE = (0.0, 1.8, 1.0)
VIEWER_PITCH_DEG = -10.0
BACKGROUND = (1.0, 1.0, 1.0)


def import_lam(path: Path, name: str) -> tuple[Manifest, dict[str, Array]]:
    """The avatar in a LAM zip or folder.

    Raises AvatarNotFound if path cannot be read, AvatarInvalid naming the member and field that is wrong.
    """
    source = Source()
    members = _read(path, source)
    skin = Glb(f"{path}:skin.glb", members["skin.glb"])
    mesh = _SkinnedMesh(skin)
    cloud = _cloud(f"{path}:offset.ply", members["offset.ply"], mesh.vertex)
    tensors = {**mesh.tensors(), **cloud.tensors()}

    inputs, dropped = mesh.inputs()
    if dropped:
        names = listed((shortened(n, 60) for n in dropped), len(dropped))
        source.notes.append(f"Morph targets without an ARKit name were left out: {names}.")
    clips: list[Clip] = []
    if "animation.glb" in members:
        animation = Glb(f"{path}:animation.glb", members["animation.glb"])
        for clip in joint_clips(animation, skin, mesh.nodes, FPS):
            label = _unused(clip_name(clip.name), clips)
            frames = len(clip.rotation)
            clips.append(
                {"name": label, "fps": FPS, "frames": frames, "inputs": ["joint_rotation", "joint_translation"]}
            )
            tensors[f"clip/{label}/joint_rotation"] = clip.rotation.reshape(frames, -1)
            tensors[f"clip/{label}/joint_translation"] = clip.translation.reshape(frames, -1)
            if clip.ignores_scale:
                source.notes.append(f"The joint scales of clip {label} were left out.")
    if "bsData.json" in members:
        weights, fps = read_weights(f"{path}:bsData.json", members["bsData.json"])
        label = _unused("bsData", clips)
        clips.append({"name": label, "fps": fps, "frames": len(weights), "inputs": ["arkit"]})
        tensors[f"clip/{label}/arkit"] = weights
    licence = next((licence_text(members[n]) for n in LICENCE_NAMES if n in members), NOT_STATED)
    canvas = cameras.DEFAULT_CANVAS
    return manifest(
        name=name,
        method="lam",
        fps=FPS,
        canvas=canvas,
        camera=_camera(mesh.vertex[cloud.binding] + cloud.mean, cloud.opacity, canvas),
        background=BACKGROUND,
        color="rgb",
        source_count=cloud.source_count,
        rig="arkit",
        binding="vertex",
        inputs=inputs,
        clips=clips,
        licence=licence,
        provenance=source.provenance("lam"),
    ), tensors


def read_weights(where: str, data: bytes) -> tuple[Array, float]:
    """ARKit weights [T,52] float32 in ARKIT_NAMES order, and their rate, from LAM's expression JSON.

    Names that are not ARKit's are refused; missing ones are 0.
    """
    known = {name: i for i, name in enumerate(ARKIT_NAMES)}
    if len(data) > MAX_WEIGHTS_BYTES:
        raise AvatarInvalid(
            f"{where}: is {len(data)} bytes; at most {MAX_WEIGHTS_BYTES} are read. Play it from a file."
        )
    content = parse_json(where, data, AvatarInvalid, "weights")
    try:
        names, frames = content["names"], content["frames"]
        fps = float(content.get("metadata", {}).get("fps", FPS))
        unknown = [shown(n) for n in names if not (isinstance(n, str) and n in known)]
        table = np.array([frame["weights"] for frame in frames], np.float64)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise AvatarInvalid(
            f"{where}: must be JSON with 'names' and 'frames' of 'weights'; "
            f"{type(error).__name__}: {shortened(str(error), 200)}."
        ) from error
    if unknown:
        raise AvatarInvalid(f"{where}: 'names' must be ARKit's; unknown are {listed(unknown, len(unknown))}.")
    if table.ndim != 2 or not len(table) or table.shape[1] != len(names) or not np.isfinite(table).all():
        raise AvatarInvalid(f"{where}: 'frames' must hold {len(names)} finite weights each; got {list(table.shape)}.")
    if not 0 < fps <= 1000:
        raise AvatarInvalid(f"{where}: metadata.fps must be in (0, 1000]; got {fps}.")
    weights = np.zeros((len(table), len(ARKIT_NAMES)), np.float32)
    weights[:, [known[n] for n in names]] = table
    if not np.isfinite(weights).all():
        raise AvatarInvalid(f"{where}: 'frames' must hold weights that float32 can; got {np.abs(table).max():g}.")
    return weights, fps


def _read(path: Path, source: Source) -> dict[str, bytes]:
    if path.is_dir():
        members = {n: source.read(path / n, MAX_MEMBER_BYTES) for n in REQUIRED + OPTIONAL if (path / n).is_file()}
    else:
        data = source.read(path)
        members = read_members(str(path), data, REQUIRED[0], REQUIRED + OPTIONAL)
    missing = [n for n in REQUIRED if n not in members]
    if missing:
        kind = AvatarNotFound if path.is_dir() else AvatarInvalid
        raise kind(f"{path}: lacks {missing}; a LAM avatar has {list(REQUIRED)} in one folder.")
    return members


def _unused(name: str, clips: list[Clip]) -> str:
    taken = {clip["name"] for clip in clips}
    return next(n for n in itertools.chain([name], (f"{name}_{i}" for i in itertools.count(2))) if n not in taken)


class _SkinnedMesh:
    """The skinned mesh of skin.glb, with its skeleton cut down to the joints that move it and their ancestors."""

    def __init__(self, glb: Glb) -> None:
        self.glb = glb
        mesh = glb.only("meshes")
        primitives = glb.items("primitives", mesh, "meshes[0].")
        if len(primitives) != 1:
            raise glb.fail("meshes[0].primitives", "a list of exactly one", len(primitives))
        primitive = glb.mapping(primitives[0], "meshes[0].primitives[0]")
        attributes = glb.mapping(primitive.get("attributes"), "meshes[0].primitives[0].attributes")
        self.vertex = glb.accessor(attributes.get("POSITION"), "POSITION", "VEC3", "f")
        if not len(self.vertex):
            raise glb.fail("POSITION", "of at least one vertex", "none")
        self.triangle = None
        if "indices" in primitive:
            flat = glb.accessor(primitive["indices"], "indices", "SCALAR", "u")[:, 0]
            if len(flat) % 3 or (len(flat) and flat.max() >= len(self.vertex)):
                raise glb.fail("indices", f"triangles of vertices below {len(self.vertex)}", f"{len(flat)} indices")
            self.triangle = flat.reshape(-1, 3).astype(np.uint32)
        self._read_targets(mesh, primitive)
        self._read_skin(attributes)

    def _read_targets(self, mesh: dict[str, object], primitive: dict[str, object]) -> None:
        glb = self.glb
        targets = glb.items("targets", primitive, "meshes[0].primitives[0].")
        extras = glb.mapping(mesh.get("extras", {}), "meshes[0].extras")
        names = glb.items("targetNames", extras, "meshes[0].extras.")
        if len(names) != len(targets) or not all(isinstance(n, str) for n in names) or len(set(names)) != len(names):
            raise glb.fail("meshes[0].extras.targetNames", f"{len(targets)} different names", f"{len(names)}")
        self.target_names = [n for n in names if n in ARKIT_NAMES]
        self.dropped = [n for n in names if n not in ARKIT_NAMES]
        starts, vertices, deltas = [0], [], []
        for name, target in zip(names, targets, strict=True):
            if name not in ARKIT_NAMES:
                continue
            index = glb.mapping(target, f"target {name}").get("POSITION")
            delta = glb.accessor(index, f"target {name}", "VEC3", "f")
            if len(delta) != len(self.vertex):
                raise glb.fail(f"target {name}", f"of {len(self.vertex)} vertices", len(delta))
            moved = np.flatnonzero(delta.any(1))
            starts.append(starts[-1] + len(moved))
            vertices.append(moved)
            deltas.append(delta[moved])
        self.shape_start = np.array(starts, np.uint32)
        self.shape_vertex = np.concatenate([*vertices, np.zeros(0, np.int64)]).astype(np.uint32)
        self.shape_delta = np.concatenate([*deltas, np.zeros((0, 3))]).astype(np.float32)

    def _read_skin(self, attributes: dict[str, object]) -> None:
        glb = self.glb
        skin = glb.only("skins")
        joints = [glb.integer(j, "skins[0].joints", len(glb.nodes)) for j in glb.items("joints", skin, "skins[0].")]
        bind = glb.accessor(skin.get("inverseBindMatrices"), "inverseBindMatrices", "MAT4", "f")
        if len(bind) != len(joints) or not joints or len(set(joints)) != len(joints):
            raise glb.fail("skins[0]", "different joints with one inverse bind matrix each", f"{len(joints)} joints")
        joint = glb.accessor(attributes.get("JOINTS_0"), "JOINTS_0", "VEC4", "u").astype(np.int64)
        weight = glb.accessor(attributes.get("WEIGHTS_0"), "WEIGHTS_0", "VEC4", "f").astype(np.float64)
        n = len(self.vertex)
        if len(joint) != n or len(weight) != n or joint.max() >= len(joints):
            raise glb.fail("JOINTS_0 and WEIGHTS_0", f"of {n} vertices and {len(joints)} joints", "others")
        total = weight.sum(1)
        if (weight < 0).any() or (total < 1e-3).any():
            raise glb.fail("WEIGHTS_0", "not negative and not all zero", f"a row that adds up to {total.min():g}")
        weight /= total[:, None]  # three.js does so too
        used = np.bincount(joint.ravel(), weight.ravel(), len(joints))
        heads = [j for j, node in enumerate(joints) if used[j] > 0 and glb.name(node) == HEAD]
        self.head_node = joints[heads[0] if heads else int(used.argmax())]
        order = np.argsort(-weight, axis=1, kind="stable")[:, : int((weight > 0).sum(1).max())]
        joint, weight = np.take_along_axis(joint, order, 1), np.take_along_axis(weight, order, 1)

        self.nodes = glb.with_ancestors(joints[j] for j in np.flatnonzero(used > 0))
        if len(self.nodes) > MAX_JOINTS:
            raise glb.fail("skins[0].joints", f"at most {MAX_JOINTS} with the nodes above them", len(self.nodes))
        new = {node: j for j, node in enumerate(self.nodes)}
        remap = np.array([new.get(node, 0) for node in joints], np.uint16)
        self.joint = np.where(weight > 0, remap[joint], 0).astype(np.uint16)
        self.weight = weight.astype(np.float32)
        self.parent = np.array([new.get(glb.parents[node], -1) for node in self.nodes], np.int32)
        local = np.stack([affine(*glb.trs(node)) for node in self.nodes])
        with np.errstate(all="ignore"):
            rest = local.copy()
            for j, parent in enumerate(self.parent):
                if parent >= 0:
                    rest[j] = rest[parent] @ local[j]
            try:
                inverse = np.linalg.inv(rest)
            except np.linalg.LinAlgError as error:
                raise glb.fail("nodes", "invertible rest poses", str(error)) from error
        place = {node: j for j, node in enumerate(joints)}
        for j, node in enumerate(self.nodes):
            if node in place:
                inverse[j] = bind[place[node]].astype(np.float64).reshape(4, 4).T
        self.rest_local = local[:, :3].astype(np.float32)
        self.inverse_bind = inverse[:, :3].astype(np.float32)

    def tensors(self) -> dict[str, Array]:
        out = {
            "rig/vertex": self.vertex,
            "rig/blendshape/start": self.shape_start,
            "rig/blendshape/vertex": self.shape_vertex,
            "rig/blendshape/delta": self.shape_delta,
            "rig/joint/parent": self.parent,
            "rig/joint/rest_local": self.rest_local,
            "rig/joint/inverse_bind": self.inverse_bind,
            "rig/skin/joint": self.joint,
            "rig/skin/weight": self.weight,
        }
        if self.triangle is not None:
            out["rig/triangle"] = self.triangle
        return out

    def inputs(self) -> tuple[list[Input], list[str]]:
        """The avatar's inputs, and the morph targets that none of them reaches."""
        shapes = [self.target_names.index(n) if n in self.target_names else -1 for n in ARKIT_NAMES]
        every = list(range(len(self.nodes)))
        head = self.nodes.index(self.head_node)
        size = 3 * len(every)
        return [
            {"name": "arkit", "size": len(ARKIT_NAMES), "target": "blendshape", "names": list(ARKIT_NAMES),
             "shapes": shapes},
            {"name": "joint_rotation", "size": size, "target": "joint_rotation", "joints": every},
            {"name": "joint_translation", "size": size, "target": "joint_translation", "joints": every},
            {"name": "head_pose", "size": 3, "target": "joint_rotation", "joints": [head]},
            {"name": "translation", "size": 3, "target": "translation"},
        ], self.dropped  # fmt: skip


def _cloud(where: str, data: bytes, vertex: Array) -> Gaussians:
    rows = read_elements(where, data).get("vertex")
    if rows is None or len(rows) != len(vertex):
        found = "none" if rows is None else len(rows)
        raise AvatarInvalid(f"{where}: must have one row per vertex of skin.glb, {len(vertex)}; got {found}.")
    mean = columns(where, rows, ["x", "y", "z"])
    cloud = gaussians(
        where,
        mean=mean,
        quat=columns(where, rows, [f"rot_{i}" for i in range(4)]),
        scale=exp_scale(columns(where, rows, [f"scale_{i}" for i in range(3)])),
        opacity=sigmoid(columns(where, rows, ["opacity"])[:, 0]),
        color=np.clip(columns(where, rows, [f"f_dc_{i}" for i in range(3)]), 0, 1),  # the viewer's 8 bits clamp too
        binding=np.arange(len(rows)),
    )
    return morton_sorted(cloud, vertex[cloud.binding] + cloud.mean)


def _camera(mean_w: Array, opacity: Array, canvas: Canvas) -> Camera:
    """The viewer's eye and direction; what is opaque fills the height but for some air above the hair."""
    pitch = math.radians(VIEWER_PITCH_DEG)
    pose = np.eye(4)
    pose[1:3, 1:3] = [[math.cos(pitch), -math.sin(pitch)], [math.sin(pitch), math.cos(pitch)]]
    pose[:3, 3] = VIEWER_EYE
    solid = mean_w[opacity > 0.5]
    return cameras.zoomed(cameras.from_opengl(pose), solid if len(solid) else mean_w, canvas)
