# SPDX-License-Identifier: Apache-2.0
"""The `.tsplat` file (FORMAT.md): its names, shapes, dtypes and ranges, and the one function that writes it.

`write` refuses whatever the reader in the core would refuse, so a file that exists can be loaded.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from safetensors.numpy import save as serialize

from talksplat._files import whole_file
from talksplat.errors import AvatarInvalid

from . import deform_spec
from .spec_checks import FORMAT as FORMAT
from .spec_checks import (
    MAX_INFLUENCES,
    NAME,
    TensorSpec,
    check_index,
    check_keys,
    check_rows,
    check_tensor,
    is_integer,
    is_number,
    is_numbers,
    is_text,
    require,
)
from .spec_checks import MAX_JOINTS as MAX_JOINTS
from .spec_checks import MAX_ROWS as MAX_ROWS
from .spec_checks import MAX_SHAPES as MAX_SHAPES
from .spec_checks import Array as Array

METHODS = (
    "lam", "gaussian-avatars", "ggtalker", "static", "mesh", "gaussian-talker", "talking-gaussian", "embedtalk",
)  # fmt: skip
ENCODERS = ("deepspeech", "hubert", "esperanto", "talksplat-voice")
COLORS = ("rgb", "sh0", "sh1", "sh2", "sh3")
RIGS = ("none", "arkit", "flame", "mesh")
BINDINGS = ("static", "triangle", "vertex")
SCALE_RULES = ("length", "inverse_length")
TARGETS = ("blendshape", "joint_rotation", "joint_translation", "translation", "deform", "view")
NOT_STATED = "not stated"
MAX_CANVAS = 8192
MAX_FPS = 1000.0
MAX_INPUTS, MAX_INPUT_SIZE, MAX_CLIPS = 256, 65536, 1024
CAMERA_SIZE = 12  # a rotation and a translation
POSE_FEATURES = 9  # entries of a rotation matrix, per joint that drives corrective shapes
UNIT_TOLERANCE = 1e-3  # of a quaternion's norm, and of the sum of a vertex's skin weights

Tensors = Mapping[str, Array]


class Canvas(TypedDict):
    width: int
    height: int


class Camera(TypedDict):
    cam_from_world: list[float]  # 16, row-major, OpenCV axes
    fx: float
    fy: float
    cx: float
    cy: float
    near: float


class PoseShapes(TypedDict):
    first: int
    joints: list[int]


class Rig(TypedDict):
    kind: str
    pose_shapes: PoseShapes | None


class Binding(TypedDict):
    kind: str
    scale_rule: str
    rotate: bool


class Window(TypedDict):
    before: int
    after: int
    channels: int
    length: int


class _NamedInput(TypedDict):
    name: str
    size: int
    target: str


class Input(_NamedInput, total=False):
    names: list[str]
    shapes: list[int]
    joints: list[int]
    default: list[float]
    window: Window
    follows: str
    pivot: list[float]


class Clip(TypedDict):
    name: str
    fps: float
    frames: int
    inputs: list[str]


class SourceFile(TypedDict):
    name: str
    bytes: int
    sha256: str


class Provenance(TypedDict):
    source_format: str
    files: list[SourceFile]
    tool: str
    tool_version: str
    notes: str


class Manifest(TypedDict):
    format: int
    name: str
    method: str
    fps: float
    canvas: Canvas
    camera: Camera
    background: list[float] | None
    color: str
    source_count: int
    rig: Rig
    binding: Binding
    inputs: list[Input]
    deform: dict[str, Any] | deform_spec.Program
    encoder: str | None
    look_ahead_ms: float
    clips: list[Clip]
    licence: str
    subject_consent: str
    provenance: Provenance


def manifest(
    *,
    name: str,
    method: str,
    fps: float,
    canvas: Canvas,
    camera: Camera,
    color: str,
    source_count: int,
    provenance: Provenance,
    background: tuple[float, float, float] | None = None,
    rig: str = "none",
    pose_shapes: PoseShapes | None = None,
    binding: str = "static",
    scale_rule: str = "length",
    rotate: bool = True,
    inputs: list[Input] | None = None,
    clips: list[Clip] | None = None,
    deform: deform_spec.Program | None = None,
    encoder: str | None = None,
    look_ahead_ms: float = 0,
    licence: str = NOT_STATED,
    subject_consent: str = NOT_STATED,
) -> Manifest:
    """A manifest of this format from what differs between avatars."""
    return {
        "format": FORMAT,
        "name": name,
        "method": method,
        "fps": fps,
        "canvas": canvas,
        "camera": camera,
        "background": None if background is None else [float(x) for x in background],
        "color": color,
        "source_count": source_count,
        "rig": {"kind": rig, "pose_shapes": pose_shapes},
        "binding": {"kind": binding, "scale_rule": scale_rule, "rotate": rotate},
        "inputs": inputs or [],
        "deform": deform or deform_spec.NO_STAGES,
        "encoder": encoder,
        "look_ahead_ms": look_ahead_ms,
        "clips": clips or [],
        "licence": licence,
        "subject_consent": subject_consent,
        "provenance": provenance,
    }


TENSORS: dict[str, TensorSpec] = {
    "gaussians/mean": TensorSpec("float32", ("N", 3)),
    "gaussians/quat": TensorSpec("float32", ("N", 4)),
    "gaussians/scale": TensorSpec("float32", ("N", 3)),
    "gaussians/opacity": TensorSpec("float32", ("N",)),
    "gaussians/color": TensorSpec("float32", ("N", 3)),
    "gaussians/sh": TensorSpec("float32", ("N", "C", 3)),
    "gaussians/source_index": TensorSpec("uint32", ("N",)),
    "binding/index": TensorSpec("uint32", ("N",)),
    "rig/vertex": TensorSpec("float32", ("V", 3)),
    "rig/triangle": TensorSpec("uint32", ("F", 3)),
    "rig/blendshape/start": TensorSpec("uint32", ("S+1",)),
    "rig/blendshape/vertex": TensorSpec("uint32", ("Z",)),
    "rig/blendshape/delta": TensorSpec("float32", ("Z", 3)),
    "rig/joint/parent": TensorSpec("int32", ("J",)),
    "rig/joint/rest_local": TensorSpec("float32", ("J", 3, 4)),
    "rig/joint/inverse_bind": TensorSpec("float32", ("J", 3, 4)),
    "rig/joint/shape_delta": TensorSpec("float32", ("S", "J", 3)),
    "rig/skin/joint": TensorSpec("uint16", ("V", "K")),
    "rig/skin/weight": TensorSpec("float32", ("V", "K")),
    "plate/background": TensorSpec("uint8", ("H", "W", 3)),
}
GAUSSIAN_TENSORS = ("mean", "quat", "scale", "opacity", "source_index")
SHAPE_TENSORS = ("rig/blendshape/start", "rig/blendshape/vertex", "rig/blendshape/delta")
JOINT_TENSORS = ("rig/joint/parent", "rig/joint/rest_local", "rig/joint/inverse_bind")
SKIN_TENSORS = ("rig/skin/joint", "rig/skin/weight")


def write(path: str | Path, manifest: Manifest, tensors: Tensors) -> Path:
    """Validate, then write the avatar file; path is replaced at once or not at all.

    tensors: name -> array exactly as in TENSORS, plus `clip/CLIP/INPUT` [frames,size] float32.
    Raises AvatarInvalid naming the key or tensor, what it must be and what it is; OSError if path cannot be written.
    """
    validate(manifest, tensors)
    path = Path(path)
    text = json.dumps(manifest, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    data = serialize(contiguous, metadata={"talksplat": text})
    with whole_file(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return path


def validate(manifest: Manifest, tensors: Tensors) -> None:
    """Raise AvatarInvalid unless manifest and tensors together are an avatar of this format."""
    _check_manifest(manifest)
    counts = _check_shapes(manifest, tensors)
    _check_gaussians(manifest, tensors, counts)
    _check_rig(manifest, tensors, counts)
    _check_inputs(manifest, tensors, counts)
    _check_deform(manifest, tensors)
    _check_clips(manifest, tensors)


def _check_manifest(m: Manifest) -> None:
    check_keys(m, "manifest", Manifest)
    require(m["format"] == FORMAT, "manifest.format", f"{FORMAT}", m["format"])
    for key in ("name", "licence", "subject_consent"):
        require(is_text(m[key]) and bool(m[key]), f"manifest.{key}", "a non-empty text of valid Unicode", m[key])
    require(m["method"] in METHODS, "manifest.method", f"one of {METHODS}", m["method"])
    require(m["color"] in COLORS, "manifest.color", f"one of {COLORS}", m["color"])
    fps = m["fps"]
    require(is_number(fps) and 0 < fps <= MAX_FPS, "manifest.fps", f"a number in (0, {MAX_FPS:g}]", fps)
    check_keys(m["canvas"], "manifest.canvas", Canvas)
    for side, size in m["canvas"].items():
        require(is_integer(size, 1, MAX_CANVAS), f"manifest.canvas.{side}", f"an integer in 1..{MAX_CANVAS}", size)
    _check_camera(m["camera"])
    if m["background"] is not None:
        inside = is_numbers(m["background"], 3) and all(0 <= x <= 1 for x in m["background"])
        require(inside, "manifest.background", "null or three numbers in 0..1", m["background"])
    require(is_integer(m["source_count"], 0, MAX_ROWS), "manifest.source_count", f"0..{MAX_ROWS}", m["source_count"])
    check_keys(m["rig"], "manifest.rig", Rig)
    require(m["rig"]["kind"] in RIGS, "manifest.rig.kind", f"one of {RIGS}", m["rig"]["kind"])
    check_keys(m["binding"], "manifest.binding", Binding)
    binding = m["binding"]
    require(binding["kind"] in BINDINGS, "manifest.binding.kind", f"one of {BINDINGS}", binding["kind"])
    require(
        binding["scale_rule"] in SCALE_RULES, "manifest.binding.scale_rule", f"one of {SCALE_RULES}",
        binding["scale_rule"],
    )  # fmt: skip
    require(isinstance(binding["rotate"], bool), "manifest.binding.rotate", "true or false", binding["rotate"])
    require(
        (binding["kind"] == "static") == (m["rig"]["kind"] == "none"), "manifest.binding.kind",
        "static exactly when rig.kind is none", f"{binding['kind']} with {m['rig']['kind']}",
    )  # fmt: skip
    _check_provenance(m["provenance"])


def _check_camera(camera: Camera) -> None:
    check_keys(camera, "manifest.camera", Camera)
    flat = camera["cam_from_world"]
    require(is_numbers(flat, 16), "manifest.camera.cam_from_world", "16 finite numbers", flat)
    matrix = np.array(flat, np.float64).reshape(4, 4)
    rigid = np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), rtol=0, atol=UNIT_TOLERANCE)
    rigid = rigid and np.linalg.det(matrix[:3, :3]) > 0 and bool(np.all(matrix[3] == (0, 0, 0, 1)))
    require(rigid, "manifest.camera.cam_from_world", "a rotation and a translation", flat)
    for key, value in (("fx", camera["fx"]), ("fy", camera["fy"]), ("near", camera["near"])):
        require(is_number(value) and value > 0, f"manifest.camera.{key}", "a number > 0", value)
    for key, value in (("cx", camera["cx"]), ("cy", camera["cy"])):
        require(is_number(value), f"manifest.camera.{key}", "a finite number", value)


def _check_provenance(provenance: Provenance) -> None:
    where = "manifest.provenance"
    check_keys(provenance, where, Provenance)
    for key in ("source_format", "tool", "tool_version", "notes"):
        require(is_text(provenance[key]), f"{where}.{key}", "a text of valid Unicode", provenance[key])
    require(isinstance(provenance["files"], list), f"{where}.files", "a list", provenance["files"])
    for i, file in enumerate(provenance["files"]):
        check_keys(file, f"{where}.files[{i}]", SourceFile)
        require(is_text(file["name"]), f"{where}.files[{i}].name", "a text of valid Unicode", file["name"])
        require(is_integer(file["bytes"], 0, 2**53), f"{where}.files[{i}].bytes", "a size", file["bytes"])
        digest = isinstance(file["sha256"], str) and re.fullmatch(r"[0-9a-f]{64}", file["sha256"])
        require(bool(digest), f"{where}.files[{i}].sha256", "64 hexadecimal digits", file["sha256"])


def _check_shapes(m: Manifest, tensors: Tensors) -> dict[str, int]:
    """Counts by letter, after every tensor was found with its dtype and agreed with the others on them."""
    color = "gaussians/color" if m["color"] == "rgb" else "gaussians/sh"
    required = [f"gaussians/{name}" for name in GAUSSIAN_TENSORS] + [color]
    if m["binding"]["kind"] != "static":
        required += ["binding/index", "rig/vertex"]
    if m["binding"]["kind"] == "triangle":
        required.append("rig/triangle")
    for group in (SHAPE_TENSORS, (*JOINT_TENSORS, *SKIN_TENSORS)):
        if any(name in tensors for name in group):
            required += group
    for name in required:
        if name not in tensors:
            raise AvatarInvalid(f"tensor {name} is missing; this avatar needs {sorted(required)}.")
    allowed = set(required)
    if m["rig"]["kind"] != "none":
        allowed |= {"rig/triangle"}
        if "rig/joint/parent" in tensors and "rig/blendshape/start" in tensors:
            allowed |= {"rig/joint/shape_delta"}
    allowed |= {"plate/background"}
    counts = {
        "C": 1 if m["color"] == "rgb" else (int(m["color"][2:]) + 1) ** 2,
        "H": m["canvas"]["height"],
        "W": m["canvas"]["width"],
    }
    for name, array in tensors.items():
        if name.startswith(("clip/", "deform/")):  # _check_clips, _check_deform
            continue
        if name not in allowed:
            raise AvatarInvalid(f"tensor {name} has no meaning in this avatar; allowed are {sorted(allowed)}.")
        check_tensor(name, array, TENSORS[name], counts)
    if m["rig"]["kind"] == "none" and any(name.startswith("rig/") for name in tensors):
        raise AvatarInvalid("rig/ tensors are given, but manifest.rig.kind is none.")
    for letter in "VFSZJK":
        counts.setdefault(letter, 0)
    return counts


def _check_gaussians(m: Manifest, tensors: Tensors, counts: dict[str, int]) -> None:
    quat, scale, opacity = (tensors[f"gaussians/{name}"] for name in ("quat", "scale", "opacity"))
    norm = np.linalg.norm(quat.astype(np.float64), axis=1)
    check_rows("gaussians/quat", np.abs(norm - 1) > UNIT_TOLERANCE, quat, "unit quaternions wxyz")
    check_rows("gaussians/scale", np.any(scale < 0, axis=1), scale, "standard deviations >= 0 (activated)")
    check_rows("gaussians/opacity", (opacity < 0) | (opacity > 1), opacity, "in 0..1 (activated)")
    source = tensors["gaussians/source_index"]
    check_index("gaussians/source_index", source, m["source_count"])
    if len(np.unique(source)) != len(source):
        raise AvatarInvalid("tensor gaussians/source_index must have no duplicates.")
    if m["binding"]["kind"] != "static":
        limit = counts["F"] if m["binding"]["kind"] == "triangle" else counts["V"]
        check_index("binding/index", tensors["binding/index"], limit)


def _check_rig(m: Manifest, tensors: Tensors, counts: dict[str, int]) -> None:
    if "rig/triangle" in tensors:
        check_index("rig/triangle", tensors["rig/triangle"], counts["V"])
    if "rig/blendshape/start" in tensors:
        _check_blendshapes(tensors, counts)
    if "rig/joint/parent" in tensors:
        parent = tensors["rig/joint/parent"]
        check_rows("rig/joint/parent", (parent < -1) | (parent >= np.arange(len(parent))), parent,
                    "-1 or below the joint's own index")  # fmt: skip
        influences = counts["K"]
        require(1 <= influences <= MAX_INFLUENCES, "rig/skin/joint axis 1", f"1..{MAX_INFLUENCES}", influences)
        check_index("rig/skin/joint", tensors["rig/skin/joint"], counts["J"])
        weight = tensors["rig/skin/weight"]
        wrong = (weight < 0).any(1) | (np.abs(weight.sum(1, dtype=np.float64) - 1) > UNIT_TOLERANCE)
        check_rows("rig/skin/weight", wrong, weight, "not negative, and 1 in sum")
    if "rig/joint/shape_delta" in tensors:
        rotation = tensors["rig/joint/rest_local"][:, :, :3]
        check_rows("rig/joint/rest_local", (rotation != np.eye(3, dtype=np.float32)).any((1, 2)), rotation,
                    "a pure translation where rig/joint/shape_delta exists")  # fmt: skip
    pose = m["rig"]["pose_shapes"]
    if pose is not None:
        check_keys(pose, "manifest.rig.pose_shapes", PoseShapes)
        joints, first = pose["joints"], pose["first"]
        valid = isinstance(joints, list) and all(is_integer(j, 0, counts["J"] - 1) for j in joints)
        require(valid, "manifest.rig.pose_shapes.joints", f"joints below {counts['J']}", joints)
        last = counts["S"] - POSE_FEATURES * len(joints)
        require(is_integer(first, 0, last), "manifest.rig.pose_shapes.first", f"a shape in 0..{last}", first)


def _check_blendshapes(tensors: Tensors, counts: dict[str, int]) -> None:
    start, vertex = (tensors[name].astype(np.int64) for name in SHAPE_TENSORS[:2])
    ordered = start[0] == 0 and start[-1] == len(vertex) and bool(np.all(np.diff(start) >= 0))
    require(ordered, "rig/blendshape/start", f"monotone from 0 to {len(vertex)}", start[[0, -1]].tolist())
    check_index("rig/blendshape/vertex", vertex, counts["V"])
    rising = np.diff(vertex) > 0
    boundary = start[1:-1]
    rising[boundary[(boundary > 0) & (boundary < len(vertex))] - 1] = True
    require(bool(rising.all()), "rig/blendshape/vertex", "strictly increasing inside a shape", "a fall or a repeat")


def _check_inputs(m: Manifest, tensors: Tensors, counts: dict[str, int]) -> None:
    some = isinstance(m["inputs"], list) and len(m["inputs"]) <= MAX_INPUTS
    require(some, "manifest.inputs", f"a list of at most {MAX_INPUTS}", m["inputs"])
    optional = frozenset(("names", "shapes", "joints", "default", "window", "follows", "pivot"))
    seen: set[str] = set()
    for i, item in enumerate(m["inputs"]):
        where = f"manifest.inputs[{i}]"
        check_keys(item, where, Input, optional)
        name, size, target = item["name"], item["size"], item["target"]
        named = isinstance(name, str) and NAME.fullmatch(name) is not None and name not in seen
        require(named, f"{where}.name", "a new name of letters, digits, '.', '_', '-'", name)
        seen.add(name)
        where = f"manifest.inputs[{i}] ({name})"
        require(is_integer(size, 1, MAX_INPUT_SIZE), f"{where}.size", f"an integer in 1..{MAX_INPUT_SIZE}", size)
        require(target in TARGETS, f"{where}.target", f"one of {TARGETS}", target)
        needed, may = _TARGET_KEYS[target]
        extra = (set(item) & optional) - needed - may - {"default"}
        require(needed <= set(item) and not extra, where, f"with {sorted(needed)} for target {target}", sorted(item))
        _check_target(item, where, counts)
        if "default" in item:
            require(is_numbers(item["default"], size), f"{where}.default", f"{size} numbers", item["default"])


# Target → the keys that its inputs must have and may have.
_TARGET_KEYS: dict[str, tuple[set[str], set[str]]] = {
    "blendshape": ({"names", "shapes"}, set()),
    "joint_rotation": ({"joints"}, set()),
    "joint_translation": ({"joints"}, set()),
    "translation": (set(), set()),
    "deform": (set(), {"names", "window", "follows"}),
    "view": ({"pivot"}, set()),
}


def _check_target(item: Input, where: str, counts: dict[str, int]) -> None:
    size, target = item["size"], item["target"]
    if "names" in item:
        names = item["names"]
        unique = isinstance(names, list) and all(is_text(x) and x for x in names) and len(set(names)) == size
        require(unique and len(names) == size, f"{where}.names", f"{size} different texts", names)
    if target == "blendshape":
        shapes = item["shapes"]
        valid = isinstance(shapes, list) and len(shapes) == size
        valid = valid and all(is_integer(s, -1, counts["S"] - 1) for s in shapes)
        require(valid, f"{where}.shapes", f"{size} shapes in -1..{counts['S'] - 1}", shapes)
    elif target in ("translation", "view"):
        require(size == 3, f"{where}.size", "3", size)
        if "pivot" in item:
            require(is_numbers(item["pivot"], 3), f"{where}.pivot", "three numbers", item["pivot"])
    elif target != "deform":
        joints = item["joints"]
        valid = isinstance(joints, list) and all(is_integer(j, 0, counts["J"] - 1) for j in joints)
        valid = valid and size == 3 * len(joints)
        require(valid, f"{where}.joints", f"{size} / 3 of {counts['J']} joints", joints)
    if "window" in item:
        window = item["window"]
        check_keys(window, f"{where}.window", Window)
        for key, count in window.items():
            low = 0 if key in ("before", "after") else 1
            require(is_integer(count, low, MAX_INPUT_SIZE), f"{where}.window.{key}", f"a count from {low}", count)
        frames = window["before"] + 1 + window["after"]
        fits = frames * window["channels"] * window["length"] == size
        require(fits, f"{where}.window", f"(before + 1 + after) channels length = {size}", window)
    if "follows" in item:
        require(item["follows"] == "camera", f"{where}.follows", "'camera'", item["follows"])
        require(size == CAMERA_SIZE, f"{where}.size", f"{CAMERA_SIZE} where it follows the camera", size)


def _check_deform(m: Manifest, tensors: Tensors) -> None:
    deform = m["deform"]
    require(isinstance(deform, dict), "manifest.deform", "an object", deform)
    sizes = {item["name"]: item["size"] for item in m["inputs"] if item["target"] == "deform"}
    n, coefficients = len(tensors["gaussians/mean"]), 0 if m["color"] == "rgb" else tensors["gaussians/sh"].shape[1]
    deform_spec.check_program(deform, sizes, n, coefficients, tensors)
    still = deform == deform_spec.NO_STAGES or m["rig"]["kind"] == "none"
    require(still, "manifest.rig.kind", "none where there is a deform program", m["rig"]["kind"])
    encoder, look_ahead = m["encoder"], m["look_ahead_ms"]
    if encoder is None:
        require(is_number(look_ahead) and look_ahead == 0, "manifest.look_ahead_ms", "0 without an encoder", look_ahead)
        return
    # Another version of the voice's features has a name that begins with theirs.
    known = encoder in ENCODERS or str(encoder).startswith(f"{ENCODERS[-1]}-")
    require(known, "manifest.encoder", f"null or one of {ENCODERS}", encoder)
    require("audio" in sizes, "manifest.encoder", 'null without an input "audio" for the deform program', encoder)
    positive = is_number(look_ahead) and look_ahead >= 0
    require(positive, "manifest.look_ahead_ms", "a number >= 0", look_ahead)


def _check_clips(m: Manifest, tensors: Tensors) -> None:
    clips = m["clips"]
    require(
        isinstance(clips, list) and len(clips) <= MAX_CLIPS, "manifest.clips", f"a list of at most {MAX_CLIPS}", clips
    )
    names = [clip.get("name") for clip in clips]
    require(len(set(names)) == len(names), "manifest.clips", "of different names", names)
    sizes = {item["name"]: item["size"] for item in m["inputs"]}
    expected: dict[str, tuple[int, int]] = {}
    for i, clip in enumerate(clips):
        where = f"manifest.clips[{i}]"
        check_keys(clip, where, Clip)
        named = isinstance(clip["name"], str) and NAME.fullmatch(clip["name"]) is not None
        require(named, f"{where}.name", "letters, digits, '.', '_', '-'", clip["name"])
        fps, frames = clip["fps"], clip["frames"]
        require(is_number(fps) and 0 < fps <= MAX_FPS, f"{where}.fps", f"a number in (0, {MAX_FPS:g}]", fps)
        require(is_integer(frames, 1, MAX_ROWS), f"{where}.frames", f"an integer in 1..{MAX_ROWS}", frames)
        for name in clip["inputs"]:
            if name not in sizes:  # asked here, since a file may have a thousand clips of 256 inputs
                require(False, f"{where}.inputs", f"names of inputs {sorted(sizes)}", name)
            key = f"clip/{clip['name']}/{name}"
            require(key not in expected, where, "a new pair of clip and input", key)
            expected[key] = (frames, sizes[name])
    found = {name for name in tensors if name.startswith("clip/")}
    if found != set(expected):
        one = sorted(found ^ set(expected))[0]
        problem = "lacks" if one in expected else "has, beside those of its clips and inputs,"
        raise AvatarInvalid(f"clip/ tensors: the avatar {problem} {one}.")
    for key, shape in expected.items():
        check_tensor(key, tensors[key], TensorSpec("float32", shape), {})


def clip_name(text: str) -> str:
    """text as a clip name: other characters become '_'."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")
    return name or "clip"
