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
from pathlib import Path
from typing import Any

import numpy as np

from machine import machine
from shared_data import shared_dir
from talksplat import _core
from talksplat._assets import VOICE
from talksplat.authoring.voice import evaluate, scoring
from talksplat.authoring.voice.drive import Constants, gate

Curves = dict[str, np.ndarray]
RATE_HZ, STEP_HZ = 16000, 50
GRID_GOAL, SPEECH_GOAL, MARGIN_GOAL = 0.58, 0.45, 0.05
RECALL_GOAL, PRECISION_GOAL, STILL_GOAL = 0.90, 0.85, 0.01


def faces(voice: _core.Voice, samples: np.ndarray, fps: float = STEP_HZ) -> Curves:
    """Curves at fps by ARKit name, pairs of sides also as their mean, and the gate that tells when it speaks."""
    speech = _core.Speech(voice, RATE_HZ, 1, fps)
    speech.push(np.ascontiguousarray(samples, np.float32))
    speech.finish()
    frames = speech.read()
    curves = {name: frames["weight"][:, i].astype(np.float64) for i, name in enumerate(voice.weight_names)}
    for name in [n[:-4] for n in curves if n.endswith("Left") and n[:-4] + "Right" in curves]:
        curves[name] = (curves[name + "Left"] + curves[name + "Right"]) / 2
    said = frames["channel"][:, voice.channel_names.index("voice")]
    return curves | {"gate": gate(said, Constants())}


def grid(voice: _core.Voice, shared: Path) -> tuple[dict[str, Any], dict[str, Curves]]:
    """What the project's scorer says of every clip, and the curves it was given."""
    clips: dict[str, Curves] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted((shared / "data/video/grid").glob("*.mpg")):
            clips[path.stem] = faces(voice, evaluate.read_sound(path), scoring.FPS)
            with (Path(folder) / f"{path.stem}.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(voice.weight_names)
                writer.writerows(zip(*(clips[path.stem][name] for name in voice.weight_names), strict=True))
        command = [sys.executable, str(shared / "tools/score_lips.py"), folder, "--json"]
        scores = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return scores, clips


def measure(path: Path, shared: Path) -> tuple[dict[str, Any], dict[str, Curves]]:
    voice = _core.Voice(str(path))

    def at_steps(samples: np.ndarray) -> Curves:
        return faces(voice, samples)

    scores, clips = grid(voice, shared)
    sound = np.zeros(60 * RATE_HZ, np.float32)
    sound[:] = 0.1 * np.random.default_rng(0).normal(size=len(sound))
    began = time.perf_counter()
    faces(voice, sound, scoring.FPS)
    took = time.perf_counter() - began
    return {
        "file": path.name,
        "provenance": json.loads(voice.manifest)["provenance"],
        "parameters": voice.n_parameters,
        "ms_per_25fps_frame": 1000 * took / (60 * scoring.FPS),
        "grid": scores,
        "closures": evaluate.closures(at_steps),
        "closures_20db_noise": evaluate.closures(at_steps, snr_db=20),
        "facegood": evaluate.facegood_jaw(at_steps, shared / "data/motion/facegood"),
        "negatives": evaluate.negatives(at_steps),
    }, clips


def misses(result: dict[str, Any]) -> list[str]:
    """Goals that this voice does not reach."""
    jaw = result["grid"]["jawOpen: prediction"]
    best = max(s["r_const"] for name, s in result["grid"].items() if name.startswith("jawOpen: ") and s is not jaw)
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


def table(results: list[dict[str, Any]], where: dict[str, Any]) -> str:
    """The report, in Markdown."""
    head = "| |" + "".join(f" {r['file']} |" for r in results)
    line = "|---|" + "---:|" * len(results)

    def row(name: str, values: list[str]) -> str:
        return f"| {name} | " + " | ".join(values) + " |"

    def over(name: str, form: str, *keys: str) -> str:
        values = []
        for r in results:
            value: Any = r
            for key in keys:
                value = value[key]
            values.append(form.format(value))
        return row(name, values)

    out = [
        f"# The built-in voice, {time.strftime('%Y-%m-%d')}, {where['cpu']}",
        "",
        f"talksplat {where['talksplat']} at {where['commit']}, {where['isa']}, load {where['load_average']}. "
        "GRID and FACEGOOD: Pearson r with a tracked face; see the scorer's definitions in "
        "python/authoring/voice/scoring.py. Never trained on any of it.",
        "",
        head,
        line,
        over("parameters", "{:,}", "parameters"),
        over("ms per 25-fps frame, one thread", "{:.3f}", "ms_per_25fps_frame"),
    ]
    for name in results[0]["grid"]:
        if name.endswith(": prediction"):
            channel = name.split(":")[0]
            out.append(over(f"GRID {channel}, r whole clip", "{:.3f}", "grid", name, "r_const"))
            out.append(over(f"GRID {channel}, r in speech", "{:.3f}", "grid", name, "r_speech"))
    jaw = "jawOpen: prediction"
    out.append(over("GRID jawOpen, r of the four test clips", "{:.3f}", "grid", jaw, "r_const_test"))
    out.append(over("GRID jawOpen, lag in frames", "{:+d}", "grid", jaw, "lag"))
    out += [over(f"GRID jawOpen, {clip}", "{:.3f}", "grid", jaw, "per_clip", clip) for clip in
            results[0]["grid"][jaw]["per_clip"]]  # fmt: skip
    out += [over(f"FACEGOOD last 15 s, jaw r{'' if name == 'r' else ': ' + name}", "{:.3f}", "facegood", name) for name
            in results[0]["facegood"]]  # fmt: skip
    for key, name in (("closures", "p b m"), ("closures_20db_noise", "p b m in noise at 20 dB")):
        out.append(over(f"{name}: recall", "{:.3f}", key, "recall"))
        out.append(over(f"{name}: precision", "{:.3f}", key, "precision"))
    for kind in ("silence", "tone", "hum", "white noise"):
        worst = [max(v for n, v in r["negatives"].items() if n.startswith(kind)) for r in results]
        out.append(row(f"largest lip deviation after 150 ms, {kind}", [f"{w:.4f}" for w in worst]))
    out.append(row("goals not reached", ["; ".join(misses(r)) or "none" for r in results]))
    out += ["", "| baseline, GRID jawOpen | r whole clip | r in speech |", "|---|---:|---:|"]
    for name, s in results[0]["grid"].items():
        if name.startswith("jawOpen: ") and name != jaw:
            out.append(f"| {name[9:]} | {s['r_const']:.3f} | {s['r_speech']:.3f} |")
    held = results[0]["closures"]
    out += ["", f"Closures of {results[0]['file']} by voice, {held['holds']} holds, {held['runs']} runs: " + ", ".join(
        f"{v} {r:.2f}/{p:.2f}" for v, (r, p) in held["voices"].items()) + " (recall/precision).", "",
        "Again: `python bench/voice_quality.py`"]  # fmt: skip
    return "\n".join(out)


def main() -> int:
    from voice_plots import draw_grid  # matplotlib is for the report only

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voices", type=Path, nargs="*", default=[VOICE], help="voice files; the built-in one")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="where the report goes")
    options = parser.parse_args()
    shared = shared_dir()
    if shared is None:
        parser.error("the recordings are not here: put them at ../shared or set TALKSPLAT_SHARED")
    measured = [measure(path, shared) for path in options.voices]
    results = [result for result, _ in measured]
    where = machine()
    text = table(results, where)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "voice.json").write_text(json.dumps({"machine": where, "voices": results}, indent=1) + "\n")
    (options.out / "voice.md").write_text(text + "\n")
    truth = {clip: evaluate.read_curves(shared / f"data/motion/mediapipe_from_video/{clip}.arkit52.csv") for clip in
             measured[0][1]}  # fmt: skip
    draw_grid(measured[0][1], truth, options.out / "voice.png")
    return 1 if misses(results[0]) else 0


if __name__ == "__main__":
    sys.exit(main())
