# SPDX-License-Identifier: Apache-2.0
"""GaussianAvatars: Gaussians in the frames of FLAME's triangles (Qian et al., CVPR 2024).

Source: a folder with point_cloud.ply and flame_param.npz (or the training output that holds point_cloud/iteration_N),
and the user's own FLAME model. What does not move is baked: identity and static offset go into the rest mesh, the
joints' regressor becomes one offset per joint and expression. `dynamic_offset` is not read: no renderer uses it.

World: FLAME's, y up, the face looks along +z. The checkpoint states no camera, so the avatar gets one in front of the
face; `translation` defaults to the middle of the training's, where that camera looks. The background is black, or
white if the training's cfg_args says so.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from talksplat._json import parse_json
from talksplat._text import shortened, shown
from talksplat.errors import AvatarInvalid, AvatarNotFound
from talksplat.framing import frame_box

from . import camera as cameras
from .flame import N_SHAPE, PARENTS, Flame, load_flame, with_teeth
from .gaussians import Gaussians, morton_sorted
from .npz import read_arrays
from .ply import read_cloud, vertex_rows
from .ply_file import columns, read_elements
from .source import Source, stated_licence
from .spec import MAX_CANVAS, Array, Camera, Canvas, Input, Manifest, manifest

FPS = 25.0  # NeRSemble and VHAP's default
FOV_RAD = math.radians(20)  # a portrait lens
MAX_TRANSFORMS_BYTES = 256 << 20
# Training's names for the inputs, with the joints that the rotations turn.
JOINTS = {"rotation": [0], "neck_pose": [1], "jaw_pose": [2], "eyes_pose": [3, 4]}
PARAMETERS = ("shape", "expr", "translation", "static_offset", *JOINTS)


def import_gaussian_avatars(
    folder: Path, name: str, flame: Path, camera: Path | None = None
) -> tuple[Manifest, dict[str, Array]]:
    """The avatar in folder on the FLAME model in the file flame (.pkl or .npz).

    camera: a transforms.json of the training; its most frontal camera replaces the chosen one.
    Raises AvatarNotFound for files that are missing, AvatarInvalid for what is wrong in them.
    """
    source = Source()
    folder = _checkpoint(folder)
    where = str(folder / "point_cloud.ply")
    rows = vertex_rows(where, read_elements(where, source.read(folder / "point_cloud.ply")))
    parameters = _parameters(folder / "flame_param.npz", source)
    model = with_teeth(load_flame(flame, source))

    rest, joints = _rest(model, parameters, folder / "flame_param.npz")
    cloud = read_cloud(where, rows, _binding(where, rows, len(model.triangle)))
    cloud = morton_sorted(cloud, _world(rest, model.triangle, cloud))
    n_expr = parameters["expr"].shape[1]
    middle = np.median(parameters["translation"], axis=0)
    canvas, seen = (
        _training_camera(camera, source)
        if camera
        else (cameras.DEFAULT_CANVAS, _frontal_camera(rest + middle, cameras.DEFAULT_CANVAS))
    )
    frames = len(parameters["expr"])
    tensors = {
        **cloud.tensors(),
        **_rig(model, rest, joints, n_expr),
        **{f"clip/training/{key}": parameters[key].astype(np.float32) for key in _moving()},
    }
    return manifest(
        name=name,
        method="gaussian-avatars",
        fps=FPS,
        canvas=canvas,
        camera=seen,
        background=_background(folder),
        color=cloud.color_kind,
        source_count=cloud.source_count,
        rig="flame",
        pose_shapes={"first": n_expr, "joints": list(range(1, len(PARENTS)))},
        binding="triangle",
        inputs=_inputs(n_expr, middle),
        clips=[{"name": "training", "fps": FPS, "frames": frames, "inputs": _moving()}],
        licence=stated_licence(folder),
        provenance=source.provenance("gaussian-avatars"),
    ), tensors


def _moving() -> list[str]:
    return ["expr", *JOINTS, "translation"]


def _checkpoint(folder: Path) -> Path:
    """folder, or its latest point_cloud/iteration_N."""
    if (folder / "point_cloud.ply").is_file() or not (folder / "point_cloud").is_dir():
        return folder
    numbered = [(int(p.name[10:]), p) for p in (folder / "point_cloud").glob("iteration_*") if p.name[10:].isdecimal()]
    if not numbered:
        raise AvatarNotFound(f"{folder}: has neither a point_cloud.ply nor a point_cloud/iteration_N folder.")
    return max(numbered)[1]


def require_parameters(folder: Path) -> None:
    """That it is a folder of GaussianAvatars, before anybody has to fetch FLAME. Raises AvatarNotFound."""
    folder = _checkpoint(folder)
    if not (folder / "point_cloud.ply").is_file() or (folder / "flame_param.npz").is_file():
        return
    others = "it is one of GaussianTalker (--from gaussian-talker) or EmbedTalk (--from e-d3dgs)"
    if not (folder / "deformation.pth").is_file():
        others = (
            "a folder of GaussianTalker or EmbedTalk has deformation.pth there, which must be copied, too; of a still "
            "scene convert the point_cloud.ply itself"
        )
    raise AvatarNotFound(
        f"{folder / 'flame_param.npz'}: no such file, and without it this is no folder of GaussianAvatars: {others}."
    )


def _parameters(path: Path, source: Source) -> dict[str, Array]:
    """flame_param.npz, float64: shape [300], static_offset [5143,3], the others [T,size]."""
    source.hash(path)
    out = read_arrays(path, PARAMETERS)
    missing = [key for key in PARAMETERS if key not in out]
    if missing:
        raise AvatarInvalid(f"{path}: lacks {missing}; it has {sorted(out)}.")
    frames = len(out["expr"]) if out["expr"].ndim else 0
    n_expr = out["expr"].shape[-1] if out["expr"].ndim else 0
    if out["static_offset"].ndim == 3:
        out["static_offset"] = out["static_offset"][0] if len(out["static_offset"]) else out["static_offset"]
    sizes = {"expr": n_expr, "translation": 3, **{key: 3 * len(joints) for key, joints in JOINTS.items()}}
    expected = {"shape": (N_SHAPE,), **{key: (frames, size) for key, size in sizes.items()}}
    if not frames or not n_expr:
        raise AvatarInvalid(f"{path}: expr must be [frames,coefficients]; got {list(out['expr'].shape)}.")
    for key, shape in expected.items():
        if out[key].shape != shape:
            raise AvatarInvalid(f"{path}: {key} must be {list(shape)}; got {list(out[key].shape)}.")
    for key, array in out.items():
        with np.errstate(over="ignore"):
            if not np.isfinite(array.astype(np.float32)).all():
                raise AvatarInvalid(f"{path}: {key} must be finite.")
    return out


def _rest(model: Flame, parameters: dict[str, Array], path: Path) -> tuple[Array, Array]:
    """The subject's rest mesh [V,3] and its joints [5,3]."""
    offset, n_expr = parameters["static_offset"], parameters["expr"].shape[1]
    if offset.shape != model.vertex.shape:
        raise AvatarInvalid(f"{path}: static_offset must be {list(model.vertex.shape)}; got {list(offset.shape)}.")
    if model.shapedirs.shape[2] < N_SHAPE + n_expr:
        raise AvatarInvalid(
            f"{path}: expr has {n_expr} coefficients, but the FLAME model has only "
            f"{model.shapedirs.shape[2] - N_SHAPE} expression shapes. Pass the FLAME release it was trained with."
        )
    rest = model.vertex + model.shapedirs[:, :, :N_SHAPE] @ parameters["shape"] + offset
    return rest, model.joint_regressor @ rest


def _binding(where: str, rows: Array, n_triangles: int) -> Array:
    binding = columns(where, rows, ["binding_0"])[:, 0]
    wrong = np.flatnonzero(~((binding >= 0) & (binding < n_triangles) & (binding == np.floor(binding))))
    if len(wrong):
        raise AvatarInvalid(
            f"{where}: binding_0 must be a triangle of FLAME with teeth, 0..{n_triangles - 1}; row {wrong[0]} is "
            f"{binding[wrong[0]]:g}."
        )
    return binding.astype(np.int64)


def _world(vertex: Array, triangle: Array, cloud: Gaussians) -> Array:
    """Rest-pose positions [N,3] of bound Gaussians (FORMAT.md, "How a frame is posed", 5)."""
    assert cloud.binding is not None
    a, b, c = np.moveaxis(vertex[triangle[cloud.binding]], 1, 0)
    a0 = _unit(b - a)
    a1 = _unit(np.cross(a0, c - a))
    a2 = -_unit(np.cross(a1, a0))
    size = (np.linalg.norm(b - a, axis=1) + np.abs((a2 * (c - a)).sum(1))) / 2
    local = cloud.mean.astype(np.float64)
    turned = a0 * local[:, :1] + a1 * local[:, 1:2] + a2 * local[:, 2:]
    out: Array = size[:, None] * turned + (a + b + c) / 3
    return out


def _unit(x: Array) -> Array:
    out: Array = x / np.sqrt(np.maximum((x * x).sum(-1, keepdims=True), 1e-20))
    return out


def _rig(model: Flame, rest: Array, joints: Array, n_expr: int) -> dict[str, Array]:
    expression = model.shapedirs[:, :, N_SHAPE : N_SHAPE + n_expr]
    shapes = np.concatenate([expression, model.posedirs], axis=2).transpose(2, 0, 1).astype(np.float32)
    shape, vertex = np.nonzero(shapes.any(2))  # in shape order, vertices rising
    start = np.searchsorted(shape, np.arange(len(shapes) + 1))
    # Joints are regressed from the expressive mesh before the pose correctives.
    joint_shapes = np.zeros((len(shapes), len(PARENTS), 3), np.float32)
    joint_shapes[:n_expr] = np.einsum("jv,vcs->sjc", model.joint_regressor, expression)
    parent = np.array(PARENTS, np.int32)
    local = np.tile(np.eye(3, 4), (len(PARENTS), 1, 1))
    local[:, :, 3] = joints - np.where(parent[:, None] >= 0, joints[parent], 0)
    inverse = np.tile(np.eye(3, 4), (len(PARENTS), 1, 1))
    inverse[:, :, 3] = -joints
    return {
        "rig/vertex": rest.astype(np.float32),
        "rig/triangle": model.triangle,
        "rig/blendshape/start": start.astype(np.uint32),
        "rig/blendshape/vertex": vertex.astype(np.uint32),
        "rig/blendshape/delta": shapes[shape, vertex],
        "rig/joint/parent": parent,
        "rig/joint/rest_local": local.astype(np.float32),
        "rig/joint/inverse_bind": inverse.astype(np.float32),
        "rig/joint/shape_delta": joint_shapes,
        "rig/skin/joint": np.tile(np.arange(len(PARENTS), dtype=np.uint16), (len(rest), 1)),
        "rig/skin/weight": model.weights.astype(np.float32),
    }


def _inputs(n_expr: int, translation: Array) -> list[Input]:
    names = [f"expr_{i}" for i in range(n_expr)]
    return [
        {"name": "expr", "size": n_expr, "target": "blendshape", "names": names, "shapes": list(range(n_expr))},
        *(
            Input(name=name, size=3 * len(joints), target="joint_rotation", joints=joints)
            for name, joints in JOINTS.items()
        ),
        {"name": "translation", "size": 3, "target": "translation", "default": [float(x) for x in translation]},
    ]


def _background(folder: Path) -> tuple[float, float, float]:
    """White if the cfg_args that training left two folders up says so; only matched as text, it is Python source."""
    for place in (folder, folder.parent.parent):
        try:
            if not (place / "cfg_args").is_file():
                continue
            with open(place / "cfg_args", "rb") as file:
                text = file.read(64 << 10).decode("utf-8", "replace")
        except OSError:
            continue
        if re.search(r"white_background=True\b", text):
            return (1.0, 1.0, 1.0)
    return (0.0, 0.0, 0.0)


def _frontal_camera(vertex: Array, canvas: Canvas) -> Camera:
    low, high = vertex.min(0), vertex.max(0)
    size = canvas["width"], canvas["height"]
    return cameras.of_lens(frame_box(low, high, (0, 0, -1), (0, 1, 0), *size, FOV_RAD, 0.85))


def _training_camera(path: Path, source: Source) -> tuple[Canvas, Camera]:
    """The camera of a transforms.json that looks most directly along -z, into the face."""
    content = parse_json(str(path), source.read(path, MAX_TRANSFORMS_BYTES), AvatarInvalid, "cameras")
    try:
        frames = content["frames"]
        poses = np.array([frame["transform_matrix"] for frame in frames], np.float64)
        if poses.ndim != 3 or poses.shape[1:] != (4, 4) or not np.isfinite(poses).all():
            raise ValueError(f"transform_matrix must be [4,4], got {poses.shape}")
        best = int(np.argmax(poses[:, 2, 2]))  # OpenGL cameras look along their -z
        frame = {**content, **frames[best]}
        canvas: Canvas = {"width": int(frame["w"]), "height": int(frame["h"])}
        fov = float(frame["camera_angle_x"])
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise AvatarInvalid(
            f"{path}: must have 'frames' with 'transform_matrix', and 'camera_angle_x', 'w', 'h'; "
            f"{type(error).__name__}: {shortened(str(error), 200)}."
        ) from error
    if not (0 < fov < math.pi and all(1 <= canvas[k] <= MAX_CANVAS for k in ("width", "height"))):
        raise AvatarInvalid(
            f"{path}: camera_angle_x must be in (0, pi), w and h in 1..{MAX_CANVAS}; got {fov:g}, "
            f"{shown(canvas['width'])} and {shown(canvas['height'])}."
        )
    return canvas, cameras.camera(cameras.from_opengl(poses[best]), canvas, cameras.focal_of(fov, canvas["width"]))
