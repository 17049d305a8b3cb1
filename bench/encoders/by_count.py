# SPDX-License-Identifier: Apache-2.0
"""What a step of an encoder should take on a GPU, by count: python bench/encoders/by_count.py [--write]

Counted are the products and the weights of a Wav2Vec 2.0 or HuBERT base, the front in float32, the transformer in fp16.
Each takes what the slowest of three takes: products, at the share of the GPU's peak that engines usually reach for
windows this small; weights, which are read once for all speakers; and launches. --write puts the table into
docs/encoders.md, beside what was measured.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from talksplat.encoders.encoder import MAX_SHARE
from talksplat.encoders.engines.nvidia import TOGETHER
from talksplat.encoders.folder import FEATURE_HZ, PRESETS
from talksplat.encoders.trial import EngineInfo

PAGE = Path(__file__).resolve().parents[2] / "docs" / "encoders.md"
BEGIN, END = "<!-- by count: bench/encoders/by_count.py -->\n", "<!-- end -->\n"
# Of a base model.
WIDTH, INNER, LAYERS, ROW = 768, 3072, 12, 512
TAPS, GROUPS = 128, 16  # of the convolution over positions
LAYER = 4 * WIDTH**2 + 2 * WIDTH * INNER
WEIGHTS = LAYERS * LAYER + ROW * WIDTH + TAPS * WIDTH * WIDTH // GROUPS
BYTES = 2
CONVOLUTIONS = ((1, 10, 5), *((ROW, 3, 2),) * 4, *((ROW, 2, 2),) * 2)  # of the front: channels, taps, stride
# Kernels that engines make of them, and from one to the next in a recorded graph.
LAUNCHES, FRONT_LAUNCHES, LAUNCH_S = 150, 40, 2e-6
PEAK_SHARE, BANDWIDTH_SHARE = 0.4, 0.75


@dataclass(frozen=True)
class Gpu:
    """NVIDIA's data sheets: dense fp16 products with sums in float32, those in float32, and bandwidth."""

    name: str
    flops: float
    flops_fp32: float
    bytes_per_s: float


GPUS = (
    Gpu("RTX 2060", 26e12, 6.5e12, 336e9),
    Gpu("L4", 121e12, 30e12, 300e9),
    Gpu("RTX 4090", 165e12, 82e12, 1008e9),
    Gpu("H200", 989e12, 67e12, 4800e9),
)


def flops(rows: int, chunk: int) -> float:
    """Of a window: each weight once a row, and attention; of the last layer keys and values, and the chunk's rows."""
    spared = (rows - chunk) * (LAYER - 2 * WIDTH**2 + 2 * rows * WIDTH)
    return 2.0 * (rows * WEIGHTS + LAYERS * 2 * rows * rows * WIDTH - spared)


def front_s(gpu: Gpu, rows: int) -> float:
    samples, products = 320 * rows + 80, 0.0
    for channels, taps, stride in CONVOLUTIONS:
        samples = (samples - taps) // stride + 1
        products += 2.0 * samples * channels * taps * ROW
    return max(products / (gpu.flops_fp32 * PEAK_SHARE), FRONT_LAUNCHES * LAUNCH_S)


def transformer_s(gpu: Gpu, rows: int, chunk: int, speakers: int) -> float:
    products = speakers * flops(rows, chunk) / (gpu.flops * PEAK_SHARE)
    return max(products, WEIGHTS * BYTES / (gpu.bytes_per_s * BANDWIDTH_SHARE), LAUNCHES * LAUNCH_S)


def table() -> str:
    lines = [
        f"| GPU | preset | front, ms | transformer, ms | of {TOGETHER} speakers at once, ms | speakers | measured |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for gpu in GPUS:
        for name in ("low", "cpu"):
            preset = PRESETS[name]
            rows, hop_s = sum(preset), preset.chunk / FEATURE_HZ
            front, one = front_s(gpu, preset.chunk), transformer_s(gpu, rows, preset.chunk, 1)
            several = transformer_s(gpu, rows, preset.chunk, TOGETHER)
            engine = EngineInfo("", "", "", 1, front + one, 0, front_ms=front, batch=TOGETHER, batch_ms=several)
            most = next(n for n in count(1) if engine.hops_ms(n + 1) > MAX_SHARE * hop_s)
            times = " | ".join(f"{1e3 * time:.2f}" for time in (front, one, several))
            lines.append(f"| {gpu.name} | {name} | {times} | {most} | not yet |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END, 1)[1]}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(with_table(PAGE.read_text()))
    else:
        print(table(), end="")
