# SPDX-License-Identifier: Apache-2.0
"""gsplat and a plain torch program on the same GPU and the same heads, where both are installed:

    python bench/gpu/others.py FOLDER    (what heads.py wrote there; prints JSON)

Times are of one frame to RGB in float32 that stays on the GPU, between two events of torch; a frame of ours that they
stand beside ends in the host's memory, which is in our disfavour. A program of its own, because torch and the core
would share one process's context and caches.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import numpy as np

from reference import tsplat
from scenes import head_scene, head_view

FRAMES, WARM_UP = 200, 30
RIGS = ("FLAME_size", "LAM_size")
NETWORKS = {"EmbedTalk_27k_width_64": "embedtalk", "EmbedTalk_27k_width_128": "embedtalk"}


def missing() -> str:
    """Why nothing can be measured here; "" if it can."""
    try:
        import torch
    except ImportError:
        return "torch is not installed"
    return "" if torch.cuda.is_available() else "torch finds no GPU"


def measure(folder: Path) -> dict[str, Any]:
    import torch

    result: dict[str, Any] = {"torch": torch.__version__, "gpu": torch.cuda.get_device_name(), "us": {}, "missing": {}}
    parts = _with_gsplat(folder, result) | _networks(folder)
    for name, make in parts.items():
        try:
            result["us"][name] = time_us(make())
        except (ImportError, RuntimeError, FileNotFoundError) as error:
            result["missing"][name] = str(error).strip().splitlines()[0]
    return result


def time_us(frame: Callable[[], Any]) -> dict[str, float]:
    """p50 and p99 of one frame, microseconds."""
    import torch

    for _ in range(WARM_UP):
        frame()
    times = []
    for _ in range(FRAMES):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        frame()
        end.record()
        end.synchronize()
        times.append(1e3 * begin.elapsed_time(end))
    p50, p99 = np.percentile(times, [50, 99])
    return {"p50_us": float(p50), "p99_us": float(p99)}


def _with_gsplat(folder: Path, result: dict[str, Any]) -> dict[str, Callable[[], Callable[[], Any]]]:
    try:
        import gsplat
    except (ImportError, RuntimeError) as error:
        result["missing"]["gsplat"] = str(error).strip().splitlines()[0]
        return {}
    result["gsplat"] = gsplat.__version__
    parts: dict[str, Callable[[], Callable[[], Any]]] = {
        f"gsplat, head {n // 1000}k": lambda n=n: raster_of(gsplat.rasterization, n)  # type: ignore[misc]
        for n in (30_000, 100_000)
    }
    for rig in RIGS:
        parts[f"torch and gsplat, {rig.replace('_', ' ')}"] = lambda rig=rig: rigged(  # type: ignore[misc]
            folder / f"{rig}.tsplat", gsplat.rasterization
        )
    return parts


def raster_of(rasterization: Callable[..., Any], n: int, device: str = "cuda") -> Callable[[], Any]:
    """A call that draws the raster benches' head of n Gaussians."""
    import torch

    scene, view = head_scene(n), head_view()
    cameras = (view.cam_from_world[None], view.K[None])
    arrays = (scene.means, scene.quats, scene.scales, scene.opacities, scene.colors, *cameras)
    given = [torch.tensor(np.asarray(array, np.float32), device=device) for array in arrays]

    def frame() -> Any:
        with torch.inference_mode():
            return rasterization(*given, view.width, view.height, near_plane=view.near, packed=False)[0][0]

    return frame


def rigged(path: Path, rasterization: Callable[..., Any], device: str = "cuda") -> Callable[[], Any]:
    from gpu.torch_head import TorchHead, frame_of

    head = TorchHead(path, device)
    canvas = head.file.manifest["canvas"]
    return frame_of(head, rasterization, controls_of(path)[0], (canvas["width"], canvas["height"]))


def controls_of(path: Path) -> list[dict[str, np.ndarray]]:
    """Those that heads.py wrote beside the avatar, by input; an empty one for an avatar that has none."""
    inputs = tsplat.read(path).manifest["inputs"]
    if not inputs:
        return [{}]
    sizes = [entry["size"] for entry in inputs]
    rows = np.fromfile(path.with_suffix(".f32"), np.float32).reshape(-1, sum(sizes))
    ends = np.cumsum(sizes)
    return [
        {entry["name"]: row[end - size : end] for entry, size, end in zip(inputs, sizes, ends, strict=True)}
        for row in rows
    ]


def _networks(folder: Path) -> dict[str, Callable[[], Callable[[], Any]]]:
    return {
        f"torch, deformation alone, {name.replace('_', ' ')}": lambda name=name, method=method: network(  # type: ignore[misc]
            folder / f"{name}.tsplat", method
        )
        for name, method in NETWORKS.items()
    }


def network(path: Path, method: str, device: str = "cuda") -> Callable[[], Any]:
    """The unbaked network of an avatar's method."""
    import torch

    from talksplat.authoring.methods.unbaked import unbaked

    file = tsplat.read(path)
    with torch.device(device):
        frame = unbaked({**file.manifest, "method": method}, file.tensors, 1)
    if frame is None:
        raise RuntimeError(f"{path.name} has no network of {method}")
    return frame


if __name__ == "__main__":
    reason = missing()
    print(json.dumps({"missing": {"all": reason}} if reason else measure(Path(sys.argv[1]))))
