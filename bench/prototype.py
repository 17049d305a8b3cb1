# SPDX-License-Identifier: Apache-2.0
"""The prototype rasteriser, the baseline to beat: built from the shared folder, run on the benches' own scenes."""

import re
import subprocess
from pathlib import Path

import numpy as np

from reference.scenes import Scene
from shared_data import shared_dir
from windows import Window

FLAGS = ["-O3", "-march=native", "-ffast-math", "-std=c++17", "-pthread"]
TIMES = re.compile(r"TOTAL med ([\d.]+) p99 ([\d.]+)")


class Prototype:
    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.folder = folder

    def write_scene(self, scene: Scene) -> Path:
        """One array after the other, float32, in the order that the prototype reads."""
        path = self.folder / f"scene_{len(scene)}.bin"
        arrays = (scene.means, scene.scales, scene.quats, scene.colors, scene.opacities)
        path.write_bytes(b"".join(np.ascontiguousarray(array, np.float32).tobytes() for array in arrays))
        return path

    def run_window(self, n: int, scene: Path, threads: int, frames: int) -> Window:
        """By its own clock, after its own warm-up of ten frames."""
        command = [str(self.program), str(n), str(scene), str(threads), str(frames)]
        output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout
        found = TIMES.search(output)
        if not found:
            raise RuntimeError(f"prototype: no times in its output:\n{output}")
        return Window(float(found[1]), float(found[2]))


def build(folder: Path) -> Prototype | str:
    """The prototype, or why there is none."""
    shared = shared_dir()
    if shared is None:
        return "its source is not here (set TALKSPLAT_SHARED to the folder that has prototypes/)"
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if "avx512bw" not in flags:
        return "it needs AVX-512"
    program = folder / "cpu_raster"
    source = shared / "prototypes" / "cpu_raster.cpp"
    try:
        subprocess.run(["g++", *FLAGS, source, "-o", program], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        return "there is no g++"
    except subprocess.CalledProcessError as error:
        return f"g++ failed: {error.stderr.strip().splitlines()[-1]}"
    return Prototype(program, folder)
