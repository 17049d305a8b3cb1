# SPDX-License-Identifier: Apache-2.0
"""A tiny avatar whose every number can be said in advance."""

import numpy as np

from talksplat.arkit import ARKIT_NAMES
from talksplat.authoring import spec

VERTICES = np.array([[-0.4, 0, 0], [0.4, 0, 0], [0, 0.4, 0], [0, -0.4, 0]], np.float32)
JAW_DELTA = np.array([0.0, -0.2, 0.0], np.float32)  # of vertex 3, per unit of jawOpen
COLORS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], np.float32)
TALK = np.linspace(0, 1, 10, dtype=np.float32)  # jawOpen in the clip "talk"
WORLD_DISTANCE = 4.0
CANVAS = (64, 48)
FOCAL = 80.0


def tiny_avatar() -> tuple[spec.Manifest, dict[str, spec.Array]]:
    """Four Gaussians on four vertices of one joint; jawOpen moves the last; row 1 of the source's five is pruned."""
    shapes = [0 if name == "jawOpen" else -1 for name in ARKIT_NAMES]
    inputs: list[spec.Input] = [
        {"name": "arkit", "size": 52, "target": "blendshape", "names": list(ARKIT_NAMES), "shapes": shapes},
        {"name": "head_pose", "size": 3, "target": "joint_rotation", "joints": [0]},
        {"name": "translation", "size": 3, "target": "translation"},
    ]
    width, height = CANVAS
    look = np.diag([1.0, -1.0, -1.0, 1.0])
    look[2, 3] = WORLD_DISTANCE
    manifest = spec.manifest(
        name="tiny",
        method="mesh",
        fps=30,
        canvas={"width": width, "height": height},
        camera={
            "cam_from_world": look.ravel().tolist(),
            "fx": FOCAL,
            "fy": FOCAL,
            "cx": width / 2,
            "cy": height / 2,
            "near": 0.2,
        },
        color="rgb",
        source_count=5,
        provenance={"source_format": "test", "files": [], "tool": "tests", "tool_version": "1", "notes": ""},
        background=(0.0, 0.0, 0.25),
        rig="arkit",
        binding="vertex",
        inputs=inputs,
        clips=[
            {"name": "talk", "fps": 30, "frames": len(TALK), "inputs": ["arkit"]},
            {"name": "turn", "fps": 25, "frames": 3, "inputs": ["head_pose"]},
        ],
        licence="CC0-1.0",
    )
    talk = np.zeros((len(TALK), 52), np.float32)
    talk[:, ARKIT_NAMES.index("jawOpen")] = TALK
    rest = np.eye(3, 4, dtype=np.float32)[None]
    tensors = {
        "gaussians/mean": np.zeros((4, 3), np.float32),
        "gaussians/quat": np.tile(np.array([1, 0, 0, 0], np.float32), (4, 1)),
        "gaussians/scale": np.full((4, 3), 0.1, np.float32),
        "gaussians/opacity": np.full(4, 0.9, np.float32),
        "gaussians/color": COLORS,
        "gaussians/source_index": np.array([0, 2, 3, 4], np.uint32),
        "binding/index": np.arange(4, dtype=np.uint32),
        "rig/vertex": VERTICES,
        "rig/blendshape/start": np.array([0, 1], np.uint32),
        "rig/blendshape/vertex": np.array([3], np.uint32),
        "rig/blendshape/delta": JAW_DELTA[None],
        "rig/joint/parent": np.array([-1], np.int32),
        "rig/joint/rest_local": rest,
        "rig/joint/inverse_bind": rest,
        "rig/skin/joint": np.zeros((4, 1), np.uint16),
        "rig/skin/weight": np.ones((4, 1), np.float32),
        "clip/talk/arkit": talk,
        "clip/turn/head_pose": np.array([[0, 0, 0], [0, 0.2, 0], [0, 0.4, 0]], np.float32),
    }
    return manifest, tensors
