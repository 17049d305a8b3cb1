# SPDX-License-Identifier: Apache-2.0
"""A head of EmbedTalk's size that hears live through an encoder: python bench/encoders/live_head.py FOLDER

The head has 27,000 Gaussians moved by a network of width 64 with random weights, which hears pairs of the encoder's
features in windows of 8 frames; 512x512 at 25 frames a second. FOLDER is an exported encoder. The session asks for the
smallest latency that is accepted, at most --latency-ms. Exits with 1 where a frame was late that the host did not make
late.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import talksplat
from machine import machine
from ops.bench_deform import on_a_head
from ops.deform_programs import embedtalk
from runtime.heard import restated
from talksplat.cli.bench_live import Plan, Sound, measure

GAUSSIANS, WIDTH, SH_DEGREE, FPS = 27_000, 64, 3, 25.0
ASKED_AGAIN_MS = 10.0  # above what was the smallest: it is measured anew for each session


def head_of(encoder: talksplat.Encoder, path: Path) -> talksplat.Avatar:
    embedtalk(GAUSSIANS, WIDTH, channels=encoder.width).write(path, SH_DEGREE, "bf16")
    on_a_head(path)
    return talksplat.load(restated(path, encoder=encoder.name, method="embedtalk", fps=FPS))


def smallest_ms(head: talksplat.Avatar, encoder: talksplat.Encoder) -> float:
    with head.create_session(encoder=encoder, latency_ms=5000) as session:
        return session.smallest_latency_ms


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--latency-ms", type=float, default=640.0)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        encoder = talksplat.load_encoder(given.folder, given.engine)
        head = head_of(encoder, Path(folder) / "head.tsplat")
        latency_ms = min(given.latency_ms, smallest_ms(head, encoder) + ASKED_AGAIN_MS)
        plan = Plan(given.seconds, latency_ms=latency_ms, size=(512, 512), encoder=encoder)
        result = measure(head, Sound.read("sample"), plan) | {"precision": "default", "machine": machine()}
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "machine"}, indent=1))
    return 1 if result["late"] > result["late_by_host"] else 0


if __name__ == "__main__":
    sys.exit(main())
