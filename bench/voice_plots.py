"""Curves that a voice said beside curves that a tracker saw."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

FPS = 25
SHOWN = ("jawOpen", "mouthFunnel")


def draw_grid(
    said: Mapping[str, Mapping[str, np.ndarray]], true: Mapping[str, Mapping[str, np.ndarray]], path: Path
) -> None:
    """One row a clip, one column a channel; each curve is drawn from its own least to its greatest value."""
    figure, axes = pyplot.subplots(len(said), len(SHOWN), figsize=(11, 1.5 * len(said)), sharex=True, squeeze=False)
    for clip, row in zip(said, axes, strict=True):
        for channel, axis in zip(SHOWN, row, strict=True):
            for curves, label, color in ((true, "tracked face", "#999999"), (said, "talksplat", "#c0392b")):
                curve = curves[clip][channel]
                span = float(np.ptp(curve)) or 1.0
                axis.plot(np.arange(len(curve)) / FPS, (curve - curve.min()) / span, color=color, label=label)
            axis.set_yticks([])
            axis.set_title(f"{clip}: {channel}", fontsize=8, loc="left")
    axes[0][0].legend(fontsize=7, loc="upper right")
    for axis in axes[-1]:
        axis.set_xlabel("seconds")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
