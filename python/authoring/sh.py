# SPDX-License-Identifier: Apache-2.0
"""Colours of spherical harmonics (gaussian_ply.md, section 4, step 9), and of avatars that keep one of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .spec import Array, Manifest

_C1 = 0.4886025119029199
_C2 = (1.0925484305920792, -1.0925484305920792, 0.31539156525252005, -1.0925484305920792, 0.5462742152960396)
_C3 = (-0.5900435899266435, 2.890611442640554, -0.4570457994644658, 0.3731763325901154, -0.4570457994644658,
       1.445305721320277, -0.5900435899266435)  # fmt: skip


def sh_color(sh: Array, mean_w: Array, eye_w: Array) -> Array:
    """[N,3] float64 colours, not negative, of coefficients sh [N,K,3] at mean_w [N,3], as eye_w [3] sees them."""
    towards = np.asarray(mean_w, np.float64) - eye_w
    towards /= np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-30)
    basis = _basis(towards, sh.shape[1])
    color: Array = np.maximum(np.einsum("nk,nkc->nc", basis, np.asarray(sh, np.float64)) + 0.5, 0)
    return color


def _basis(direction: Array, coefficients: int) -> Array:
    x, y, z = direction.T
    xx, yy, zz = x * x, y * y, z * z
    bands = [
        np.full_like(x, 0.28209479177387814),
        -_C1 * y, _C1 * z, -_C1 * x,
        _C2[0] * x * y, _C2[1] * y * z, _C2[2] * (2 * zz - xx - yy), _C2[3] * x * z, _C2[4] * (xx - yy),
        _C3[0] * y * (3 * xx - yy), _C3[1] * x * y * z, _C3[2] * y * (4 * zz - xx - yy),
        _C3[3] * z * (2 * zz - 3 * xx - 3 * yy), _C3[4] * x * (4 * zz - xx - yy), _C3[5] * z * (xx - yy),
        _C3[6] * x * (xx - 3 * yy),
    ]  # fmt: skip
    return np.stack(bands[:coefficients], axis=1)


CONE_DEG = 15.0  # how far heads turn when they speak


def bake_color(manifest: Manifest, tensors: dict[str, Array]) -> None:
    """Keeps of each Gaussian's colours the one that the canvas's camera sees, and notes what that costs.

    The note in the provenance has the largest and the rms difference of colour (0..1, weighted by opacity) as the
    camera goes round the head by CONE_DEG to each side. Raises ValueError for colours that are RGB already, that a
    deform program adds to, or that turn with a rig.
    """
    if manifest["color"] == "rgb":
        raise ValueError("bake_color has nothing to do: the avatar's colours are RGB, without spherical harmonics.")
    if manifest["rig"]["kind"] != "none":
        raise ValueError("bake_color is for avatars without a rig; with one the colours turn with the Gaussians.")
    program: Any = manifest["deform"]
    if any(stage.get("to") == "sh" for branch in program.get("branches", ()) for stage in branch["stages"]):
        raise ValueError(f"bake_color is not for {manifest['method']}, whose network changes the spherical harmonics.")
    sh, mean = tensors.pop("gaussians/sh"), tensors["gaussians/mean"].astype(np.float64)
    view = np.array(manifest["camera"]["cam_from_world"]).reshape(4, 4)
    eye = -view[:3, :3].T @ view[:3, 3]
    color = sh_color(sh, mean, eye)
    weight = tensors["gaussians/opacity"].astype(np.float64)[:, None]
    middle = np.median(mean, axis=0) if len(mean) else np.zeros(3)
    off = [weight * (sh_color(sh, mean, middle + turn @ (eye - middle)) - color) for turn in _cone(view[:3, :3])]
    manifest["color"] = "rgb"
    tensors["gaussians/color"] = color.astype(np.float32)
    worst, rms = np.max(np.abs(off), initial=0.0), np.sqrt(np.mean(np.square(off))) if len(mean) else 0.0
    note = (
        f"Colours are baked as the camera sees them; {CONE_DEG:g} degrees to the side they are off by {worst:.3f} at "
        f"most, {rms:.4f} rms."
    )
    manifest["provenance"]["notes"] = " ".join(filter(None, (manifest["provenance"]["notes"], note)))


def _cone(cam_from_world: Array) -> list[Array]:
    """Turns of the world about the camera's x and y by CONE_DEG either way."""
    c, s = np.cos(np.radians(CONE_DEG)), np.sin(np.radians(CONE_DEG))
    turns = []
    for side in (-s, s):
        for turn in ([[1, 0, 0], [0, c, -side], [0, side, c]], [[c, 0, side], [0, 1, 0], [-side, 0, c]]):
            turns.append(cam_from_world.T @ np.array(turn) @ cam_from_world)
    return turns
