# SPDX-License-Identifier: Apache-2.0
"""What one process of its own costs: time to the first frame, memory, growth. Run as a program by compare.py.

python bench/process.py start AVATAR     import, load and draw, then 100 frames
python bench/process.py growth FRAMES    frames of a small scene, memory before and after
"""

import time

BEGIN = time.perf_counter()  # before numpy and talksplat

import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))


def start(path: str) -> dict[str, Any]:
    import talksplat

    imported = time.perf_counter()
    avatar = talksplat.load(path)
    loaded = time.perf_counter()
    avatar.render_frame({}, (512, 512), "rgba8")
    first = time.perf_counter()
    for _ in range(100):
        avatar.render_frame({}, (512, 512), "rgba8")
    from talksplat.cli.machine import resident_bytes

    return {
        "import_ms": (imported - BEGIN) * 1e3,
        "load_ms": (loaded - imported) * 1e3,
        "first_frame_ms": (first - loaded) * 1e3,
        "total_ms": (first - BEGIN) * 1e3,
        "resident_mb": (resident_bytes() or 0) / 1e6,
        "scratch_mb": avatar.scratch_bytes / 1e6,
    }


def growth(frames: int) -> dict[str, Any]:
    """Frames of two sizes of canvas and of scene in turn, after both have been drawn a few times."""
    import numpy as np

    from reference.scenes import front_view, random_scene
    from talksplat import _core
    from talksplat.cli.machine import resident_bytes

    engine = _core.Engine(2)
    work = []
    for side, n in ((64, 300), (96, 600)):
        view = front_view(side, side)
        scene = random_scene(np.random.default_rng(n), n, view)
        camera = _core.Camera(view.cam_from_world, view.fx, view.fy, view.cx, view.cy, view.near)
        work.append((scene, camera, np.empty((side, side, 4), np.uint8)))

    def frame(i: int) -> None:
        scene, camera, image = work[i % 2]
        _core.rasterize(
            engine, scene.means, scene.quats, scene.scales, scene.opacities, scene.colors, -1, camera, None, 0.3,
            _core.Precision.REFERENCE, _core.Format.RGBA8, image.shape[1], image.shape[0], image, None, None,
        )  # fmt: skip

    for i in range(100):
        frame(i)
    resident, scratch = resident_bytes() or 0, engine.scratch_bytes
    for i in range(frames):
        frame(i)
    return {
        "frames": frames,
        "resident_growth_kb": ((resident_bytes() or 0) - resident) / 1e3,
        "scratch_growth_bytes": engine.scratch_bytes - scratch,
    }


if __name__ == "__main__":
    mode, argument = sys.argv[1:]
    print(json.dumps(start(argument) if mode == "start" else growth(int(argument))))
