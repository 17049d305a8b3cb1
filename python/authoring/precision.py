# SPDX-License-Identifier: Apache-2.0
"""In which precision an avatar's deform network runs: measured at import on random controls, against fixed gates."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import talksplat
from talksplat import _core

from .deform_spec import Measured
from .sh import sh_color
from .spec import Array, Manifest, Tensors, write

CONTROLS = 8
ISAS = ("avx512_amx", "avx512_bf16")  # that multiply bfloat16
# What bfloat16 may be off by float32: 0.2 px at 30 px of motion on 512 px, and half a step of 8 bits.
MEAN_PX, MEAN_PX_RMS, MOTION_PX, HEIGHT = 0.2, 0.03, 30.0, 512
COLOR, LOGIT = 0.5 / 255, 5e-3


def choose_precision(manifest: Manifest, tensors: Tensors) -> None:
    """Sets precision and error of the manifest's deform program: bf16 where it was measured to be within the gates.

    Where this CPU has no bfloat16 nothing can be measured: the choice is fp32.
    """
    program: Any = manifest["deform"]
    isa = next((isa for isa in ISAS if isa in _core.isa_names()), None)
    if isa is None or "branches" not in program:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "avatar.tsplat", manifest, tensors)
        engine = talksplat.Engine("cpu", isa=isa)
        error = _measure(*(talksplat.load(str(path), engine=engine, precision=p) for p in ("reference", "fast")))
    program["error"] = error
    program["precision"] = "bf16" if _passes(error) else "fp32"


def _passes(error: Measured) -> bool:
    motion = max(error["motion_px"] / MOTION_PX, 1.0)  # rounding grows with what is rounded
    return (
        error["mean_px"] <= MEAN_PX * motion
        and error["mean_px_rms"] <= MEAN_PX_RMS * motion
        and error["color"] <= COLOR
        and error["logit"] <= LOGIT
    )


def _measure(exact: talksplat.Avatar, fast: talksplat.Avatar) -> Measured:
    rng = np.random.default_rng(0)
    rest = exact.gaussians()
    worst = dict.fromkeys(("motion_px", "mean_px", "color", "logit", "scale", "rotation"), 0.0)
    squares = []
    for _ in range(CONTROLS):
        control = _random_control(exact, rng)
        a, b = exact.gaussians(control), fast.gaussians(control)
        at, off = _pixels(exact, a.mean), _pixels(exact, b.mean)
        squares.append(np.sum((at - off) ** 2, axis=1).mean() if len(at) else 0.0)
        found = {
            "motion_px": np.linalg.norm(at - _pixels(exact, rest.mean), axis=1),
            "mean_px": np.linalg.norm(at - off, axis=1),
            "color": np.abs(_color(exact, a) - _color(exact, b)),
            "logit": np.abs(_logit(a.opacity) - _logit(b.opacity)),
            "scale": np.abs(np.log(np.maximum(a.scale, 1e-12)) - np.log(np.maximum(b.scale, 1e-12))),
            "rotation": np.abs(a.quat - b.quat),
        }
        worst = {key: max(value, float(np.max(found[key], initial=0.0))) for key, value in worst.items()}
    return {
        "controls": CONTROLS,
        "motion_px": worst["motion_px"],
        "mean_px": worst["mean_px"],
        "mean_px_rms": float(np.sqrt(np.mean(squares))),
        "color": worst["color"],
        "logit": worst["logit"],
        "scale": worst["scale"],
        "rotation": worst["rotation"],
    }


def _random_control(avatar: talksplat.Avatar, rng: np.random.Generator) -> dict[str, Array]:
    """Features at the size of 1, other numbers from 0 to 1; inputs that follow the camera are left to it."""
    control = {}
    for item in avatar.manifest["inputs"]:
        if item["target"] != "deform" or "follows" in item:
            continue
        draw = rng.normal(size=item["size"]) if "window" in item else rng.uniform(0, 1, item["size"])
        control[item["name"]] = draw.astype(np.float32)
    return control


def _pixels(avatar: talksplat.Avatar, mean_w: Array) -> Array:
    """[N,2] on the canvas, scaled to a height of 512; nowhere for what is behind the camera."""
    camera, canvas = avatar.manifest["camera"], avatar.manifest["canvas"]
    view = np.array(camera["cam_from_world"]).reshape(4, 4)
    seen = np.asarray(mean_w, np.float64) @ view[:3, :3].T + view[:3, 3]
    depth = np.where(seen[:, 2:] > camera["near"], seen[:, 2:], np.inf)
    pixels: Array = seen[:, :2] / depth * (camera["fx"], camera["fy"]) * (HEIGHT / canvas["height"])
    return pixels


def _color(avatar: talksplat.Avatar, g: talksplat.Gaussians) -> Array:
    if g.sh is None:
        return np.asarray(g.color)
    view = np.array(avatar.manifest["camera"]["cam_from_world"]).reshape(4, 4)
    return sh_color(g.sh, g.mean, -view[:3, :3].T @ view[:3, 3])


def _logit(opacity: Array) -> Array:
    o = np.clip(np.asarray(opacity, np.float64), 1e-6, 1 - 1e-6)
    return np.log(o / (1 - o))
