# SPDX-License-Identifier: Apache-2.0
"""What adapting the built-in voice to a person brings: python bench/voice_adapt.py [VOICE.safetensors] [--choices 6]

GRID talker s1 of `shared`: a minute of his clips, chosen by chance, is adapted to, and the others are what the voice is
measured on, before and after. Prints the table of docs/voice_adapt.md, whose last column is of another VOICE.
Needs torch (pip install talksplat[adapt]).
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from machine import machine
from shared_data import shared_dir
from talksplat import _core
from talksplat._assets import VOICE
from talksplat.authoring.voice import adapt, evaluate, recordings, scoring
from talksplat.authoring.voice.export import RATE_HZ
from voice_report import table

CLIPS = 20  # of three seconds
FRAME = round(RATE_HZ / scoring.FPS)
SHOWN = ("jawOpen", "mouthPucker", "mouthFunnel", "mouthLowerDown")
KINDS = ("r_const", "r_speech")


def joined(clips: list[Path], tracks: Path) -> adapt.Tracked:
    """The clips one after another, as one recording."""
    sounds, curves = [], []
    for clip in clips:
        curves.append(evaluate.read_curves(tracks / f"{clip.stem}.arkit52.csv"))
        samples, length = evaluate.read_sound(clip), FRAME * len(curves[-1]["jawOpen"])
        sounds.append(np.pad(samples[:length], (0, max(0, length - len(samples)))))
    whole = {name: np.concatenate([of[name] for of in curves]) for name in curves[0]}
    found = np.isfinite(whole["jawOpen"])  # the tables have nothing where no face was found
    return adapt.Tracked(np.concatenate(sounds), scoring.FPS, whole, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voice", type=Path, nargs="?", default=VOICE)
    parser.add_argument("--choices", type=int, default=6, help="ways to choose the clips")
    a = parser.parse_args()
    shared = shared_dir()
    if shared is None:
        parser.error("the recordings are not here: put them at ../shared or set TALKSPLAT_SHARED")
    if a.choices < 1:
        parser.error(f"--choices must be at least 1, not {a.choices}")
    data = shared / "data"
    videos, tracks = data / "video/grid_s1", data / "motion/grid_s1"
    clips = sorted(path for path in videos.glob("*.mpg") if path.stem not in recordings.VIDEO_LEFT_OUT)
    found: list[list[list[float]]] = []  # [choice][before, after][channel, whole and in speech]
    with tempfile.TemporaryDirectory() as folder:
        for choice in range(a.choices):
            chosen = [clips[i] for i in np.random.default_rng(choice).permutation(len(clips))[:CLIPS]]
            own = Path(folder) / f"{choice}.voice"
            adapt.adapt(a.voice, joined(chosen, tracks), own, f"s1, choice {choice}")
            left_out = {*recordings.VIDEO_LEFT_OUT, *(clip.stem for clip in chosen)}
            voices = [evaluate.faces_of(_core.Voice(str(path))) for path in (a.voice, own)]
            scores = [evaluate.grid(faces, videos, tracks, left_out) for faces in voices]
            found.append([[score[c][kind] for c in SHOWN for kind in KINDS] for score in scores])
            jaws = ", ".join(f"{score[0]:.3f} / {score[1]:.3f}" for score in found[-1])
            print(f"choice {choice}: jaw before and adapted {jaws}", flush=True)
    mean = np.mean(found, axis=0).reshape(2, len(SHOWN), 2)
    rows = [[c, *(f"{whole:.3f} / {speech:.3f}" for whole, speech in mean[:, i])] for i, c in enumerate(SHOWN)]
    print(f"\n{a.voice.stem}, {len(clips) - CLIPS} other clips, mean of {a.choices} choices; {machine()['cpu']}\n")
    print(table(["r, whole clip / in speech", "before", "adapted"], rows))


if __name__ == "__main__":
    main()
