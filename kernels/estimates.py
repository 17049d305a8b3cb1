# SPDX-License-Identifier: Apache-2.0
"""What a frame should take on a GPU: estimates from counted work, since nothing was measured on one.

    python kernels/estimates.py [--write]

The work of each kernel is counted: bytes by the arrays in its header, instructions of a warp in the code for sm_75
(`cuobjdump -sass`), how often they run by the numbers of a scene, which the CPU's receipts and the kernels' tests on a
CPU give. The time is what the slower of the two takes, memory or issue, at the share of the GPU's peak that kernels of
the kind usually reach, and never less than a launch in a graph. --write puts the table into kernels/README.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tables import ESTIMATES, with_table

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Gpu:
    """NVIDIA's data sheets: multiprocessors, base clock, bandwidth. launch_us: from one kernel's start to the next
    one's in a graph, at least."""

    name: str
    multiprocessors: int
    clock_hz: float
    bytes_per_s: float
    launch_us: float


GPUS = (Gpu("RTX 2060", 30, 1.365e9, 336e9, 2.5), Gpu("H200", 132, 1.5e9, 4.8e12, 2.0))
SCHEDULERS = 4  # of a multiprocessor, each issues an instruction of a warp at a time
WARPS_TO_ISSUE = 8  # of a multiprocessor, about as many keep its schedulers busy
ISSUE_SHARE, BANDWIDTH_SHARE = 0.7, 0.75  # of the peak


@dataclass(frozen=True)
class Scene:
    """A head of bench/scenes.py at 512x512, bound to FLAME's mesh. turns: of a warp of bin, by tests/simt/test_bin.cc.
    evaluations: of a splat by a warp of blend."""

    gaussians: int
    pairs: int
    turns: float
    evaluations: int
    vertices: int = 5023
    triangles: int = 9976
    shape_bytes: int = 8_000_000
    tiles: int = 1024

    @property
    def chunks(self) -> int:
        return -(-self.gaussians // 256)


SCENES = (Scene(30_000, 139_342, 3.0, 510_000), Scene(100_000, 271_269, 2.1, 760_000))


@dataclass(frozen=True)
class Work:
    """Of one launch. instructions: that all its warps issue."""

    kernel: str
    launches: int
    blocks: int
    threads: int
    instructions: float
    read: float
    written: float

    def us(self, gpu: Gpu) -> float:
        """Of all its launches."""
        busy = min(1.0, self.blocks * self.threads / 32 / (gpu.multiprocessors * WARPS_TO_ISSUE))
        issue = self.instructions / (gpu.multiprocessors * SCHEDULERS * gpu.clock_hz * ISSUE_SHARE * busy)
        memory = (self.read + self.written) / (gpu.bytes_per_s * BANDWIDTH_SHARE)
        return self.launches * max(gpu.launch_us, 1e6 * max(issue, memory))


def work_of(scene: Scene) -> list[Work]:
    """Of a frame in fast precision, in colours without SH, of one layer."""
    n, v, pairs, tiles, chunks = scene.gaussians, scene.vertices, scene.pairs, scene.tiles, scene.chunks
    warps = n / 32
    counts = 4 * chunks * tiles  # bytes of bin's table of chunks by tiles
    sort_blocks = -(-n // 2048)
    sorted_counts = 1024 * sort_blocks  # bytes of sort's table, which each block reads whole, from the cache
    pixels = 512 * 512
    return [
        # A shape's 192 bytes take a warp four instructions, and what follows takes it some 600 for 32 vertices.
        Work("pose_vertices", 1, -(-v // 64), 128, scene.shape_bytes / 192 * 4 + v / 32 * 600,
             scene.shape_bytes + 7 * v, 80 * v),
        Work("pose_triangles", 1, -(-scene.triangles // 128), 128, 300 * scene.triangles / 32, 60 * scene.triangles,
             68 * scene.triangles),
        Work("pose_gaussians", 1, -(-n // 128), 128, 127 * warps, 112 * n, 40 * n),
        Work("project", 1, chunks, 256, 450 * warps, 56 * n, 68 * n),
        # Of a key, 40 instructions find the lanes that have the same digit.
        Work("sort_count", 3, sort_blocks, 256, 55 * warps, 8 * n, sorted_counts),
        Work("sort_scatter", 3, sort_blocks, 256, 75 * warps + sort_blocks * sorted_counts / 32, 8 * n + sorted_counts,
             8 * n),
        Work("bin_count", 1, chunks, 256, (156 * scene.turns + 150) * warps, 68 * n, counts),
        Work("bin_scan", 1, tiles // 32, 1024, 24 * counts / 128, 2 * counts, counts),
        Work("bin_lists", 1, 1, 1024, 600 * 32, 8 * tiles, 8 * tiles),
        Work("bin_scatter", 1, chunks, 256, (646 * scene.turns + 150) * warps, 68 * n + counts, 8 * pairs),
        # Of a pair, the warps that bring its terms and look at its mask; of a warp's pixels, 150 to finish them.
        Work("blend_fast", 1, tiles, 256, 22 * scene.evaluations + 12 * pairs + 150 * pixels / 32,
             40 * pairs + 8 * tiles, 4 * pixels),
    ]  # fmt: skip


# ---- what depends on an avatar's network, and the voice: not less than ----

# Operations a multiprocessor's tensor cores do a clock, on halves with float sums: a GeForce of Turing, a Hopper.
MATRIX_FLOPS = {"RTX 2060": 512, "H200": 4096}
MATRIX_SHARE = 0.4  # of that
L2_BYTES = 64  # that a multiprocessor reads a clock


@dataclass(frozen=True)
class Network:
    """A deform network of tests/ops/deform_programs.py. read: its rows, counted as float32; in fast most are halves.
    branches: Gaussians, and what each stage of theirs reads and writes in columns, as it were by a matrix."""

    name: str
    products: int
    read: int
    branches: tuple[tuple[int, tuple[tuple[int, int], ...]], ...] = ()

    def us(self, gpu: Gpu) -> float:
        rate = gpu.multiprocessors * MATRIX_FLOPS[gpu.name] * gpu.clock_hz * MATRIX_SHARE
        memory = self.read / (gpu.bytes_per_s * BANDWIDTH_SHARE)
        return max(gpu.launch_us, 1e6 * max(2 * self.products / rate, memory))

    def triton_us(self, gpu: Gpu) -> float:
        """Of deform_layers and deform_rows: values go through L2 between stages, matrices from it to each block."""
        moved = 0
        for n, stages in self.branches:
            blocks = -(-n // TRITON_ROWS)
            moved += sum(blocks * 2 * (TRITON_ROWS * (i + o) + i * o) for i, o in stages)
        l2 = 1e6 * moved / (L2_BYTES * gpu.clock_hz * gpu.multiprocessors)
        return max(self.us(gpu), l2) + gpu.launch_us


TRITON_ROWS = 64  # of a block
_TALKER = ((64, 8), (8, 64), (64, 64), (64, 128), (128, 64), (64, 64), *((64, 128),) * 5, (128, 96))
NETWORKS = (
    Network("EmbedTalk, 27,000, width 64", 228_348_592, 7_776_000, ((27_000, ((64, 64),) * 3),)),
    Network("EmbedTalk, 27,000, width 128", 898_818_096, 14_688_000, ((27_000, ((128, 128),) * 3),)),
    Network("TalkingGaussian, 30,000 and 5,000", 221_178_368, 15_400_000,
            ((30_000, ((102, 64), (64, 64), (64, 20))), (5_000, ((32, 32), (32, 32), (32, 6))))),
    Network("GaussianTalker, 45,000, a layer", 2_966_956_080, 25_200_000, ((45_000, _TALKER),)),
)  # fmt: skip
TOWERS, TOWER_BYTES = 2, 4 * 374_600  # of the voice
ROWS_OF_A_BLOCK = 16  # of encode_rows
WAIT_CLOCKS = 250  # until L2 answers
# Times that a block of encode_rows waits for L2, one after the other: in a layer of a tower of the voice 39 products of
# 32 columns and 128 outputs, 2 reads for each of three norms, 10 for each of four heads (3 of keys, the scores, 6 of
# values), 6 for the convolution; then the stem, the head and its norm.
WAITS = 3 * (39 + 6 + 40 + 6) + 8


def step_us(gpu: Gpu, streams: int) -> float:
    """A step of the voice: each block reads its tower's weights, several after each other where streams are many."""
    turns = -(-TOWERS * streams // gpu.multiprocessors)
    return max(gpu.launch_us, 1e6 * turns * TOWER_BYTES / (L2_BYTES * gpu.clock_hz))


def rows_us(gpu: Gpu, streams: int) -> float:
    """The same by encode_rows, a block for sixteen streams of a tower, one on a multiprocessor."""
    turns = -(-TOWERS * -(-streams // ROWS_OF_A_BLOCK) // gpu.multiprocessors)
    clocks = max(TOWER_BYTES / L2_BYTES, WAITS * WAIT_CLOCKS)
    return max(gpu.launch_us, 1e6 * turns * clocks / gpu.clock_hz)


def floors() -> list[str]:
    """Lines of Markdown."""
    rows: list[tuple[str, list[float | None]]] = []
    rows += [(f"`deform_fast`: {n.name}", [n.us(gpu) for gpu in GPUS]) for n in NETWORKS]
    # Turing has no kernels of Triton's.
    rows += [(f"`deform_layers` and `deform_rows`: {n.name}", [None, n.triton_us(GPUS[1])]) for n in NETWORKS]
    rows += [(f"`encode_step`, streams: {n}", [step_us(gpu, n) for gpu in GPUS]) for n in (1, 64, 1000)]
    rows += [(f"`encode_rows`, streams: {n}", [None, rows_us(GPUS[1], n)]) for n in (1, 64, 1000)]
    heads = " | ".join(f"{gpu.name}, µs" for gpu in GPUS)
    lines = [f"| not less than | {heads} |", "|---|" + "---:|" * len(GPUS)]
    cells = ((name, ["" if us is None else f"{us:.0f}" for us in times]) for name, times in rows)
    return [*lines, *(f"| {name} | {' | '.join(texts)} |" for name, texts in cells)]


def size_text(count: float) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"


def estimates() -> str:
    """Markdown."""
    first, second = SCENES
    lines = [
        f"| {first.gaussians:,} Gaussians, {first.pairs:,} pairs | launches | blocks | reads | writes | "
        + " | ".join(f"{gpu.name}, µs" for gpu in GPUS)
        + " |",
        "|---|---:|---:|---:|---:|" + "---:|" * len(GPUS),
    ]
    works = work_of(first)
    for work in works:
        times = " | ".join(f"{work.us(gpu):.0f}" for gpu in GPUS)
        grid = f"{work.blocks:,} × {work.threads}"
        moved = f"{size_text(work.read)} | {size_text(work.written)}"
        lines.append(f"| `{work.kernel}` | {work.launches} | {grid} | {moved} | {times} |")
    for scene in (first, second):
        total = work_of(scene)
        times = " | ".join(f"{sum(work.us(gpu) for work in total):.0f}" for gpu in GPUS)
        launches = sum(work.launches for work in total)
        lines.append(f"| a frame of {scene.gaussians:,} | {launches} | | | | {times} |")
    return "\n".join([*lines, "", *floors()]) + "\n"


def main(arguments: list[str]) -> int:
    if arguments == ["--write"]:
        page = HERE / "README.md"
        page.write_text(with_table(page.read_text(), ESTIMATES, estimates()))
        return 0
    print(estimates() if not arguments else __doc__)
    return 2 if arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
