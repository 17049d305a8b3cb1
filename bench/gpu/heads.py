# SPDX-License-Identifier: Apache-2.0
"""The heads that a GPU is measured with, as files: synthetic ones of the raster benches, rigs of LAM's and FLAME's
size, deform networks of the three methods' sizes, and the avatars that are at hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

import talksplat
from ops.bench_deform import SIZES, on_a_head
from ops.bench_pose import write_flame_size, write_lam_size
from ops.deform_programs import embedtalk
from reference import tsplat
from reference.scenes import View
from scenes import head_scene, head_view
from shared_data import ROOT, avatar_zips
from talksplat.authoring import spec
from talksplat.authoring.convert import convert
from talksplat.control import control_vector
from talksplat.motion_files import load_motion
from talksplat.motions import fit_motion

SIZE = (512, 512)
FRAMES = 64  # controls that frames take in turns
# Of random controls, by what they move: nothing leaves the picture. Weights and what networks hear are up to 0.5.
STRENGTH = {"joint_rotation": 0.1, "joint_translation": 0.0, "translation": 0.0}
DEMO = ROOT / "runtime" / "talksplat" / "assets" / "demo.tsplat"
RIG = ROOT / "tests" / "golden" / "format1" / "flame.tsplat"


@dataclass(frozen=True)
class Head:
    """avatar: a .tsplat file.  controls: a file of float32 [frames][n].  size: of the picture.
    gaussians: of head_scene(), for those who draw the same without an avatar; 0 for other heads."""

    name: str
    avatar: Path
    controls: Path
    size: tuple[int, int] = SIZE
    gaussians: int = 0


def make_heads(folder: Path, *, small: bool = False) -> list[Head]:
    """Writes them all. small: a head of 300 Gaussians, a rig of the tests and a network of 70, at 64x48."""
    if small:
        return [
            _head(folder, "head 300", lambda path: write_still_head(path, 300), (64, 48), 300),
            _head(folder, "a rig", lambda path: _copy(RIG, path), (64, 48)),
            _head(folder, "a network", lambda path: embedtalk(70).write(path), (64, 48)),
        ]
    heads = [
        _head(folder, f"head {n // 1000}k", lambda path, n=n: write_still_head(path, n), SIZE, n)  # type: ignore[misc]
        for n in (30_000, 100_000)
    ]
    heads.append(_head(folder, "FLAME size", lambda path: from_outside(write_flame_size(path), 40), SIZE))
    heads.append(_head(folder, "LAM size", lambda path: from_outside(write_lam_size(path, rotate=True)), SIZE))
    for name, size in SIZES.items():
        heads.append(_head(folder, name, lambda path, size=size: _deforming(path, size), SIZE))  # type: ignore[misc]
    heads.append(_head(folder, "the demo", lambda path: _copy(DEMO, path), SIZE))
    for source in avatar_zips():
        name = source.stem.replace("_", " ")
        heads.append(_head(folder, name, lambda path, source=source: convert(source, path, format="lam"), SIZE))  # type: ignore[misc]
    return heads


def write_still_head(path: Path, n: int) -> Path:
    """The raster benches' head as an avatar without a rig."""
    scene, view = head_scene(n), head_view()
    tensors = {
        "gaussians/mean": scene.means,
        "gaussians/quat": scene.quats,
        "gaussians/scale": scene.scales,
        "gaussians/opacity": scene.opacities,
        "gaussians/color": scene.colors,
        "gaussians/source_index": np.arange(n, dtype=np.uint32),
    }
    manifest = spec.manifest(
        name="head", method="static", fps=25.0, canvas={"width": view.width, "height": view.height}, color="rgb",
        source_count=n, camera=_camera(view),
        provenance={"source_format": "bench", "files": [], "tool": "bench", "tool_version": "0", "notes": ""},
    )  # fmt: skip
    return spec.write(path, manifest, tensors)


def from_outside(path: Path, larger: float = 1) -> Path:
    """A rig of the pose benches, a sphere of radius 0.1 about the camera, seen from half a metre before it. larger: by
    what its Gaussians' scales are multiplied, which may be in units of their triangles."""
    file = tsplat.read(path)
    manifest, tensors = file.manifest, dict(file.tensors)
    tensors["gaussians/scale"] = tensors["gaussians/scale"] * np.float32(larger)
    camera = manifest["camera"]
    camera["cam_from_world"][11] = 0.5
    camera["fx"] = camera["fy"] = 1024.0
    save_file(tensors, path, metadata={"talksplat": json.dumps(manifest)})
    return path


def controls_of(avatar: talksplat.Avatar) -> np.ndarray:
    """[FRAMES,n]: of the avatar's own clip, else random, for each input that does not follow the camera."""
    if avatar.clips:
        tracks = fit_motion(load_motion(f"clip:{next(iter(avatar.clips))}", avatar), avatar).controls
        frames = len(next(iter(tracks.values())))
        rows = [{name: track[t % frames] for name, track in tracks.items()} for t in range(FRAMES)]
    else:
        rng = np.random.default_rng(0)
        items = [entry for entry in avatar.manifest["inputs"] if "follows" not in entry]
        rows = [
            {
                entry["name"]: (STRENGTH.get(entry["target"], 0.5) * rng.uniform(size=entry["size"])).astype(np.float32)
                for entry in items
            }
            for _ in range(FRAMES)
        ]
    return np.stack([control_vector(avatar.inputs, row) for row in rows])


# ---- the parts of the list ----


def _head(folder: Path, name: str, write: Callable[[Path], Any], size: tuple[int, int], gaussians: int = 0) -> Head:
    path = folder / f"{name.replace(' ', '_').replace(',', '')}.tsplat"
    write(path)
    controls = path.with_suffix(".f32")
    controls_of(talksplat.load(path)).astype(np.float32).tofile(controls)
    return Head(name, path, controls, size, gaussians)


def _deforming(path: Path, size: Any) -> None:
    size.make().write(path, size.sh_degree, "bf16")
    on_a_head(path)


def _copy(source: Path, path: Path) -> None:
    path.write_bytes(source.read_bytes())


def _camera(view: View) -> dict[str, Any]:
    return {
        "cam_from_world": np.asarray(view.cam_from_world, np.float64).ravel().tolist(), "fx": view.fx, "fy": view.fy,
        "cx": view.cx, "cy": view.cy, "near": view.near,
    }  # fmt: skip
