# SPDX-License-Identifier: Apache-2.0
"""Everything put together: Gaussians, mesh, skeleton, blendshapes, plate."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from talksplat.arkit import ARKIT_NAMES

from .. import camera, spec
from ..spec import Array
from . import body, eyes, face, hair, head, mouth, plate
from .mesh import BODY, EYE_LEFT, EYE_RIGHT, HEAD, JAW, NECK, Surface, Tufts
from .rig import Rig
from .splats import METRE

SEED = 20
FPS = 25.0
CANVAS: spec.Canvas = {"width": 512, "height": 512}
PARENT = np.array([-1, BODY, NECK, HEAD, HEAD, HEAD], np.int32)
PIVOT = np.array(
    [[0, -300, -30], [0, -152, -32], [0, -66, -20], head.JAW_PIVOT, head.EYE, head.EYE * (-1, 1, 1)], np.float64
)


def surfaces() -> list[Surface]:
    pairs = [face.eye_ring(), eyes.ball(), eyes.lid(), eyes.glint(), body.ear()]
    single = [face.skull(), face.mouth_ring(), mouth.cavity(), mouth.teeth(True), mouth.teeth(False), mouth.tongue(),
              hair.cap(), body.neck(), body.shirt(), body.collar()]  # fmt: skip
    return [*single, *pairs, *(pair.mirrored() for pair in pairs)]


def tufts(rng: np.random.Generator) -> list[Tufts]:
    pairs = [face.brow(rng), eyes.lashes(rng), eyes.corner_flesh()]
    single = [eyes.highlights(1.0), eyes.highlights(-1.0), hair.strands(rng)]
    return [*pairs, *(pair.mirrored() for pair in pairs), *single]


def assemble() -> dict[str, Array]:
    """The file's tensors. Deterministic."""
    rig = Rig()
    for surface in surfaces():
        rig.add(surface)
    for tuft in tufts(np.random.default_rng(SEED)):
        rig.hang(tuft)
    return {**rig.tensors(), **skeleton(), "plate/background": plate.background(CANVAS["width"])}


def skeleton() -> dict[str, Array]:
    rest, inverse = (np.tile(np.eye(3, 4), (len(PARENT), 1, 1)) for _ in range(2))
    from_parent = PIVOT - np.where(PARENT[:, None] < 0, 0, PIVOT[PARENT])
    rest[:, :, 3], inverse[:, :, 3] = from_parent * METRE, -PIVOT * METRE
    return {
        "rig/joint/parent": PARENT,
        "rig/joint/rest_local": rest.astype(np.float32),
        "rig/joint/inverse_bind": inverse.astype(np.float32),
    }


def build(path: str | Path) -> Path:
    """Write the avatar to path."""
    tensors = assemble()
    eye, target = np.array([0.0, -0.020, 1.15]), np.array([0.0, -0.043, 0.0])
    pose = camera.look_at(eye, target, np.array([0.0, 1.0, 0.0]))
    poses = {"neck_pose": [NECK], "head_pose": [HEAD], "jaw_pose": [JAW], "eyes_pose": [EYE_LEFT, EYE_RIGHT]}
    inputs: list[spec.Input] = [
        {"name": "arkit", "size": len(ARKIT_NAMES), "target": "blendshape", "names": list(ARKIT_NAMES),
         "shapes": list(range(len(ARKIT_NAMES)))},
    ]  # fmt: skip
    for name, joints in poses.items():
        inputs.append({"name": name, "size": 3 * len(joints), "target": "joint_rotation", "joints": joints})
    inputs.append({"name": "translation", "size": 3, "target": "translation"})
    inputs.append(
        {"name": "breath", "size": 1, "target": "blendshape", "names": ["breath"], "shapes": [len(ARKIT_NAMES)]}
    )
    manifest = spec.manifest(
        name="demo",
        method="mesh",
        fps=FPS,
        canvas=CANVAS,
        camera=camera.camera(pose, CANVAS, camera.focal_of(math.radians(20.2), CANVAS["height"])),
        background=(0.42, 0.50, 0.54),
        color="rgb",
        source_count=len(tensors["gaussians/mean"]),
        rig="arkit",
        binding="triangle",
        inputs=inputs,
        licence="Apache-2.0",
        subject_consent="not a person: made from formulas",
        provenance={"source_format": "generated", "files": [], "tool": "talksplat.authoring.demo", "tool_version": "1",
                    "notes": ""},
    )  # fmt: skip
    return spec.write(path, manifest, tensors)
