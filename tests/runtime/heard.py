# SPDX-License-Identifier: Apache-2.0
"""Small avatars whose networks hear windows of features, for the tests of what drives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from ops.deform_programs import MOTION, Program

UNITS = ("AU01", "AU04", "AU05", "AU06", "AU07", "AU45")
PIVOT = [0.0, 0.0, 0.0]


def program(
    frames: int, channels: int, length: int, before: int, inputs: tuple[str, ...], units: tuple[str, ...] = UNITS
) -> Program:
    """audio as a window, and of au, eye and camera those that are named; all of it moves the Gaussians."""
    p = Program(0)
    window = {"before": before, "after": frames - 1 - before, "channels": channels, "length": length}
    sound = p.input("audio", (frames, channels, length), window=window)
    rows = p.frame_linear("each", sound, channels * length, 1)
    values = [p.frame("transpose", "turned", **{"in": rows})]
    sizes = [frames]
    if "au" in inputs:
        values.append(p.input("au", (1, len(units), 1), names=list(units), default=[0.5] * len(units)))
        sizes.append(len(units))
    if "eye" in inputs:
        values.append(p.input("eye", (1, 1, 1)))
        sizes.append(1)
    if "camera" in inputs:
        values.append(p.input("camera", (1, 12, 1), follows="camera"))
        sizes.append(12)
    flat = [p.frame("slice", f"{value}_flat", first=0, count=size, **{"in": value}) for value, size in zip(
        values, sizes, strict=True)]  # fmt: skip
    p.frame_linear("frame", p.frame("join", "all", **{"in": flat}), sum(sizes), 16)
    branch = p.branch("head", 24, {"base": 16})
    h = branch.linear("h", None, 0, 16, plus="base", frame="frame", bias=False)
    branch.add("mean", h, 16, MOTION)
    return p


def write(
    path: Path, encoder: str | None, made: Program, method: str = "talking-gaussian", fps: float = 25.0,
    head: bool = False,
) -> Path:  # fmt: skip
    """head: with an input head_pose that turns the view."""
    if head:
        made.inputs.append({"name": "head_pose", "size": 3, "target": "view", "pivot": PIVOT})
    made.write(path)
    return restated(path, encoder=encoder, look_ahead_ms=200 if encoder else 0, method=method, fps=fps)


def restated(path: Path, **keys: Any) -> Path:
    """The avatar with other values in its manifest."""
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        manifest = json.loads(file.metadata()["talksplat"])
    save_file(load_file(path), path, metadata={"talksplat": json.dumps({**manifest, **keys})})
    return path


def windows(features: np.ndarray, before: int, after: int) -> np.ndarray:
    """[F,length,channels] → [F,(before + 1 + after) channels length]: the formula, frame by frame."""
    out = np.zeros((len(features), before + 1 + after, features.shape[2], features.shape[1]), np.float32)
    for frame in range(len(features)):
        for at in range(-before, after + 1):
            if 0 <= frame + at < len(features):
                out[frame, at + before] = features[frame + at].T
    return out.reshape(len(features), -1)
