# SPDX-License-Identifier: Apache-2.0
"""Curves that a voice says beside what a tracker saw, and lips beside what was spoken."""

from pathlib import Path

import matplotlib
import numpy as np

from talksplat.authoring.voice import closures, evaluate, scoring
from talksplat.authoring.voice.augment import resample
from talksplat.authoring.voice.espeak import Espeak
from talksplat.authoring.voice.export import RATE_HZ
from talksplat.authoring.voice.timing import segments

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SPOKEN, SPEAKER = "Probably the most important member is the baby.", "en-us+f4"  # a held-out voice


def draw_jaws(faces: closures.Faces, data: Path, out: Path) -> None:
    """Predicted and tracked jaw of the GRID clips."""
    paths = sorted((data / "video/grid").glob("*.mpg"))
    figure, axes = plt.subplots(len(paths), 1, figsize=(8, 1.15 * len(paths)), sharex=True)
    for axis, path in zip(axes, paths, strict=True):
        true = evaluate.read_curves(data / f"motion/mediapipe_from_video/{path.stem}.arkit52.csv")["jawOpen"]
        for curve, color, label in (
            (true, "0.6", "tracked"),
            (faces(evaluate.read_sound(path), scoring.FPS)["jawOpen"], "C0", "voice"),
        ):
            axis.plot(np.arange(len(curve)) / scoring.FPS, curve, color=color, label=label)
        axis.set_ylabel(path.stem[:6], fontsize=7)
        axis.tick_params(labelsize=6)
    axes[0].legend(fontsize=6, loc="upper right", ncols=2)
    axes[-1].set_xlabel("s", fontsize=7)
    figure.tight_layout(h_pad=0.2)
    figure.savefig(out, dpi=80)
    plt.close(figure)


def draw_lips(faces: closures.Faces, out: Path) -> None:
    """A sentence by a held-out voice: how far the lips are apart, and where p, b and m are held."""
    speech = Espeak.shared().speak(SPOKEN, SPEAKER, rate=150)
    gap = closures.lip_gap(faces(resample(speech.samples, speech.rate_hz, RATE_HZ), closures.STEP_HZ))
    figure, axis = plt.subplots(figsize=(8, 2))
    axis.plot(np.arange(len(gap)) / closures.STEP_HZ, gap, color="C0", label="lip gap")
    axis.axhline(closures.CLOSED_GAP, color="0.7", linewidth=0.7)
    for s in segments(speech):
        if s.viseme.sealed:
            axis.axvspan(s.start_s, s.end_s, color="C1", alpha=0.35, linewidth=0)
            axis.text((s.start_s + s.end_s) / 2, 0.02, s.letter, ha="center", fontsize=7)
    axis.tick_params(labelsize=6)
    axis.legend(fontsize=6, loc="upper right")
    axis.set_xlabel("s", fontsize=7)
    figure.tight_layout()
    figure.savefig(out, dpi=80)
    plt.close(figure)
