# SPDX-License-Identifier: Apache-2.0
"""How well the built-in voice moves lips: python bench/voice_quality.py [VOICE.safetensors ...] [--out FOLDER]

The shipped runtime hears real recordings that no voice was trained on and is compared with what a face tracker saw
(GRID clips, FACEGOOD's last 15 s), closes lips on held-out synthetic voices, and must keep still for sounds that are
not speech. Simple baselines stand beside it. Several voice files (the seeds of a training) make a column each; the
first is plotted. Needs espeakng-loader and matplotlib (pip install talksplat[bench]) and the recordings of `shared`.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from machine import machine
from shared_data import shared_dir
from talksplat import _core
from talksplat._assets import VOICE
from talksplat.authoring.voice import evaluate, scoring
from talksplat.authoring.voice.evaluate import DEVELOPMENT, Faces

GRID_GOAL, SPEECH_GOAL, MARGIN_GOAL = 0.58, 0.45, 0.05
RECALL_GOAL, PRECISION_GOAL, STILL_GOAL = 0.90, 0.85, 0.01


def grid_scores(faces: Faces, shared: Path) -> dict[str, Any]:
    """What the project's scorer says of the GRID clips."""
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted((shared / "data/video/grid").glob("*.mpg")):
            curves = faces(evaluate.read_sound(path), scoring.FPS)
            with (Path(folder) / f"{path.stem}.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(curves)
                writer.writerows(zip(*curves.values(), strict=True))
        command = [sys.executable, str(shared / "tools/score_lips.py"), folder, "--json"]
        return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def frame_ms(voice: _core.Voice) -> tuple[float, float]:
    """Median and p99 of what 40 ms of sound take, on one thread: a frame of 25 a second."""
    speech = _core.Speech(_core.Engine(1), voice, 16000, 1, 25.0)
    sound = (0.1 * np.random.default_rng(0).normal(size=(1500, 640))).astype(np.float32)
    took = []
    for chunk in sound:
        began = time.perf_counter()
        speech.push(chunk)
        speech.read()
        took.append(1000 * (time.perf_counter() - began))
    return float(np.median(took)), float(np.percentile(took, 99))


def measure(path: Path, shared: Path) -> dict[str, Any]:
    voice = _core.Voice(str(path))
    faces = evaluate.faces_of(voice)
    median_ms, p99_ms = frame_ms(voice)
    return {
        "file": path.stem,
        "provenance": json.loads(voice.manifest)["provenance"],
        "parameters": voice.n_parameters,
        "frame_ms": {"median": median_ms, "p99": p99_ms},
        "scorer": grid_scores(faces, shared),
        "grid": evaluate.grid(faces, shared / "data/video/grid", shared / "data/motion/mediapipe_from_video"),
        "closures": evaluate.closures(faces),
        "noisy": evaluate.closures(faces, snr_db=20),
        "facegood": evaluate.facegood_jaw(faces, shared / "data/motion/facegood"),
        "negatives": evaluate.negatives(faces),
    }


def misses(result: dict[str, Any]) -> list[str]:
    """Goals that this voice does not reach."""
    jaw = result["scorer"]["jawOpen: prediction"]
    best = max(s["r_const"] for name, s in result["scorer"].items() if name.startswith("jawOpen: ") and s is not jaw)
    worst = max(result["negatives"], key=result["negatives"].get)
    checks = [
        (jaw["r_const"] >= GRID_GOAL, f"jawOpen r_const {jaw['r_const']:.3f} < {GRID_GOAL}"),
        (jaw["r_speech"] >= SPEECH_GOAL, f"jawOpen in-speech r {jaw['r_speech']:.3f} < {SPEECH_GOAL}"),
        (abs(jaw["lag"]) <= 1, f"lag {jaw['lag']} frames"),
        (jaw["r_const"] >= best + MARGIN_GOAL, f"jawOpen r_const {jaw['r_const']:.3f}, best baseline {best:.3f}"),
        (result["closures"]["recall"] >= RECALL_GOAL, f"closure recall {result['closures']['recall']:.3f}"),
        (result["closures"]["precision"] >= PRECISION_GOAL, f"closure precision {result['closures']['precision']:.3f}"),
        (result["negatives"][worst] < STILL_GOAL, f"lips move by {result['negatives'][worst]:.4f} for {worst}"),
    ]
    return [text for kept, text in checks if not kept]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    form = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---", *["---:"] * (len(head) - 1)], *form])


def report(results: Sequence[dict[str, Any]], where: dict[str, Any]) -> str:
    """Markdown: the summary, each clip's jaw, closures by voice, sounds that are not speech."""
    names = [r["file"] for r in results]
    jaw = [r["grid"]["jawOpen"] for r in results]
    base = {k.partition(": ")[2]: v for k, v in results[0]["grid"].items() if ":" in k}
    shapes = [c for c in evaluate.CHANNELS[1:] if c in results[0]["grid"]]
    rows: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
        ("parameters", lambda r: f"{r['parameters']:,}"),
        ("milliseconds of a 25-fps frame, one thread: median", lambda r: r["frame_ms"]["median"]),
        ("p99", lambda r: r["frame_ms"]["p99"]),
        ("jaw r, 7 clips", lambda r: r["grid"]["jawOpen"]["r_const"]),
        ("jaw r in speech, 7 clips", lambda r: r["grid"]["jawOpen"]["r_speech"]),
        ("jaw r, 3 development clips", lambda r: r["grid"]["jawOpen"]["r_const_development"]),
        ("jaw r, 4 test clips", lambda r: r["grid"]["jawOpen"]["r_const_test"]),
        ("jaw lag, frames of 40 ms", lambda r: r["grid"]["jawOpen"]["lag"]),
        *[(f"{c} r", lambda r, c=c: r["grid"][c]["r_const"]) for c in shapes],
        ("p b m: recall", lambda r: r["closures"]["recall"]),
        ("p b m: precision", lambda r: r["closures"]["precision"]),
        ("p b m in white noise at 20 dB: recall", lambda r: r["noisy"]["recall"]),
        ("p b m in white noise at 20 dB: precision", lambda r: r["noisy"]["precision"]),
        ("lips' deviation, worst of the other sounds", lambda r: f"{max(r['negatives'].values()):.4f}"),
        ("FACEGOOD, last 15 s: jaw r", lambda r: r["facegood"]["r"]),
        ("goals not reached", lambda r: "; ".join(misses(r)) or "none"),
    ]
    parts = [
        f"# The built-in voice, {time.strftime('%Y-%m-%d')}, {where['cpu']}",
        f"talksplat {where['talksplat']} at {where['commit']}, {where['isa']}, load {where['load_average']}. What is "
        "measured: [the training report](../../docs/voice_training.md). Again: `python bench/voice_quality.py`.",
        table(["", *names], [[name, *[f(r) for r in results]] for name, f in rows]),
    ]
    for key, title, mean in (("clips", "jaw r", "r_const"), ("speech", "jaw r in speech", "r_speech")):
        body = [
            [clip + (" (development)" if clip in DEVELOPMENT else ""), *[j[key][clip] for j in jaw],
             *[b[key][clip] for b in base.values()]] for clip in jaw[0]["clips"]
        ]  # fmt: skip
        body.append(["mean", *[j[mean] for j in jaw], *[b[mean] for b in base.values()]])
        parts.append(table([title, *names, *base], body))
    languages = [
        [v, *["{:.2f} / {:.2f}".format(*r["closures"]["voices"][v]) for r in results]]
        for v in results[0]["closures"]["voices"]
    ]
    parts.append(table(["p b m: recall / precision", *names], languages))
    kinds = dict.fromkeys(sound.partition(" dB")[0].rpartition(" ")[0] or sound for sound in results[0]["negatives"])
    worst = [
        [k, *[f"{max(v for n, v in r['negatives'].items() if n.startswith(k)):.4f}" for r in results]] for k in kinds
    ]
    parts.append(table(["lips' largest deviation after 150 ms, all levels", *names], worst))
    actor = [[name, value] for name, value in results[0]["facegood"].items() if name != "r"]
    parts.append(table(["FACEGOOD baselines", "jaw r"], actor))
    return "\n\n".join(parts)


def main() -> int:
    from voice_plots import draw_jaws, draw_lips  # matplotlib is for the report only

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voices", type=Path, nargs="*", default=[VOICE], help="voice files; the built-in one if none")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="where the report goes")
    options = parser.parse_args()
    shared = shared_dir()
    if shared is None:
        parser.error("the recordings are not here: put them at ../shared or set TALKSPLAT_SHARED")
    results = [measure(path, shared) for path in options.voices]
    where = machine()
    text = report(results, where)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "voice.json").write_text(json.dumps({"machine": where, "voices": results}, indent=1) + "\n")
    (options.out / "voice.md").write_text(text + "\n")
    faces = evaluate.faces_of(_core.Voice(str(options.voices[0])))
    draw_jaws(faces, shared / "data", options.out / "voice_jaw.png")
    draw_lips(faces, options.out / "voice_lips.png")
    return 1 if any(misses(result) for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
