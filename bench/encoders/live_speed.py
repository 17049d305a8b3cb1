# SPDX-License-Identifier: Apache-2.0
"""How much of a CPU's time an exported encoder takes for one live speaker, by every engine and precision that there is.

    python bench/encoders/live_speed.py FOLDER [--threads 1] [--seconds 20] [--json OUT.json]

A share above 1 is slower than the sound; on a busy machine the CPU's own clock tells more. Fails where an engine's
features are not near the first one's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from machine import machine
from talksplat import EncoderInvalid, EncoderRefused, load_audio, load_encoder
from talksplat.encoders.engines import ENGINES, installed
from talksplat.encoders.folder import read_folder
from talksplat.encoders.trial import PRECISIONS

NEAR = 0.25  # RMS of the difference, of the features' deviation over time


def measure(
    folder: Path, engine: str, precision: str, threads: int, sound: np.ndarray
) -> tuple[dict[str, Any], np.ndarray]:
    begun = time.perf_counter()
    encoder = load_encoder(folder, engine, threads, precision=precision)
    load_s = time.perf_counter() - begun
    stream, made, steps = encoder.stream(), [], []
    cpu_begun_s = time.process_time()
    for start in range(0, len(sound), 320):
        begun = time.perf_counter()
        features = stream.push(sound[start : start + 320])
        if len(features):
            made.append(features)
            steps.append((time.perf_counter() - begun) * 1e3)
    cpu_s = time.process_time() - cpu_begun_s
    p50_ms, p99_ms = np.percentile(steps, [50, 99])
    found = {
        "engine": engine, "version": encoder.engine.version, "precision": encoder.engine.precision, "threads": threads,
        "load_s": round(load_s, 3), "step_p50_ms": round(float(p50_ms), 3), "step_p99_ms": round(float(p99_ms), 3),
        "step_of_sound_ms": 1e3 * encoder.hop_s, "share": round(float(p50_ms) / (1e3 * encoder.hop_s), 4),
        "cpu_share": round(cpu_s * 16000 / len(sound), 4), "golden_error": float(encoder.engine.error),
    }  # fmt: skip
    return found, np.concatenate(made)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--seconds", type=float, default=20.0)
    arguments.add_argument("--json", type=Path)
    given = arguments.parse_args()
    samples, rate = load_audio("sample")
    sound = np.resize(np.interp(np.arange(0, len(samples), rate / 16000), np.arange(len(samples)), samples),
                      round(given.seconds * 16000)).astype(np.float32)  # fmt: skip
    folder = read_folder(given.folder)
    results: list[dict[str, Any]] = []
    first: np.ndarray | None = None
    far = False
    for engine in (name for name in ENGINES if installed(name)):
        for precision in PRECISIONS:
            try:
                found, features = measure(given.folder, engine, precision, given.threads, sound)
            except (EncoderInvalid, EncoderRefused) as error:
                print(f"{engine} {precision}: {error}")
                continue
            first = features if first is None else first
            apart = float(np.sqrt(np.mean(np.square(features - first))))
            found["from_first"] = apart / float(np.sqrt(np.mean(np.var(first, axis=0))))
            far = far or found["from_first"] > NEAR
            results.append(found)
            print(
                f"{engine} {found['version']} {found['precision']}, {given.threads} threads: "
                f"{found['step_p50_ms']:.1f} ms (p99 {found['step_p99_ms']:.1f}) for "
                f"{found['step_of_sound_ms']:.0f} ms of sound, share {found['share']:.2f}, "
                f"{found['cpu_share']:.2f} by the CPU's clock, "
                f"{found['from_first']:.2g} from the first"
            )
    if given.json is not None:
        told = {"folder": folder.name, "preset": folder.preset, "results": results, "machine": machine()}
        given.json.write_text(json.dumps(told, indent=2) + "\n")
    return 1 if far or not results else 0


if __name__ == "__main__":
    sys.exit(main())
