# SPDX-License-Identifier: Apache-2.0
"""How the built-in voice moves heads, beside tracked ones on the same sounds: python bench/head_motion.py [VIDEO ...]

Prints the tables of docs/head_motion.md, medians over clips; the voice's clips are said with several seeds. Without
videos these are the seven GRID clips of `shared` and what a tracker saw of them. Videos are tracked here, which needs
--tracker FACE_LANDMARKER.task and mediapipe (pip install talksplat[adapt]); their sounds are said.
"""

import argparse
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared_data import shared_dir
from talksplat import _core
from talksplat._assets import VOICE
from talksplat.authoring.voice import heads
from talksplat.authoring.voice.evaluate import read_sound
from talksplat.authoring.voice.export import Array
from talksplat.authoring.voice.heads import AXES, BANDS_HZ, LAGS_S, HeadStatistics

FPS = 25.0


@dataclass(frozen=True)
class Clip:
    name: str
    samples: Array  # [n] 16 kHz
    tracked: Array  # [frames,3] degrees, at FPS


@dataclass(frozen=True)
class Motion:
    """Of all clips: medians, ranges of each clip [clips,3] and how speed follows loudness [lags]."""

    usual: HeadStatistics
    ranges_deg: Array
    follows: Array


def shared_clips(shared: Path) -> list[Clip]:
    """The seven GRID clips, with what a tracker saw."""
    tracks = sorted((shared / "data/motion/mediapipe_from_video").glob("*.arkit52.csv"))
    videos = [shared / "data/video/grid" / f"{track.name.split('.')[0]}.mpg" for track in tracks]
    return [Clip(v.stem, read_sound(v), heads.read_track(t)) for v, t in zip(videos, tracks, strict=True)]


def tracked_clips(videos: list[Path], model: Path) -> list[Clip]:
    """Videos of FPS frames a second; those in which some frame has no face are left out."""
    from talksplat.authoring.voice.tracker import track

    clips = []
    for video in videos:
        seen = track(video, model)
        if abs(seen.fps - FPS) > 0.01 or not seen.found.all():
            print(f"left out: {video} ({seen.fps:g} fps, a face in {seen.found.mean():.0%} of frames)", file=sys.stderr)
            continue
        clips.append(Clip(video.stem, read_sound(video), heads.angles_of(seen.matrix)))
    return clips


def tracked_motion(clips: list[Clip]) -> Motion:
    return motion([[clip.tracked] for clip in clips], clips)


def said_motion(voice: _core.Voice, clips: list[Clip], seeds: range) -> Motion:
    said = [[heads.head_of(voice, c.samples, FPS, seed)[: len(c.tracked)] for seed in seeds] for c in clips]
    return motion(said, clips)


def motion(angles: list[list[Array]], clips: list[Clip]) -> Motion:
    """angles: of every clip, one or more motions, of which the clip counts the mean range."""
    each = [[heads.statistics(a, FPS) for a in of_clip] for of_clip in angles]
    levels = [heads.loudness(c.samples, len(of_clip[0]), FPS) for c, of_clip in zip(clips, angles, strict=True)]
    follows = [
        heads.speed_after_loudness(a, level, FPS)
        for level, of_clip in zip(levels, angles, strict=True)
        for a in of_clip
    ]
    ranges = np.array([np.mean([s.range_deg for s in of_clip], axis=0) for of_clip in each])
    return Motion(heads.median([s for of_clip in each for s in of_clip]), ranges, np.mean(follows, axis=0))


def table(tracked: Motion, said: Motion) -> str:
    """Markdown."""
    a, b = tracked.usual, said.usual
    rows = ["| | " + " | ".join(f"{axis}, tracked | said" for axis in AXES) + " |", "|---" * 7 + "|"]

    def row(what: str, left: Array, right: Array, digits: int = 2) -> None:
        cells = [f"{x:.{digits}f} | {y:.{digits}f}" for x, y in zip(left, right, strict=True)]
        rows.append(f"| {what} | " + " | ".join(cells) + " |")

    row("range, degrees", np.median(tracked.ranges_deg, axis=0), np.median(said.ranges_deg, axis=0))
    row("standard deviation, degrees", a.deviation_deg, b.deviation_deg)
    for band, (low, high) in enumerate(itertools.pairwise(BANDS_HZ)):
        row(f"power at {low:g}-{high:g} Hz, %", 100 * a.share[:, band], 100 * b.share[:, band], 0)
    rows += ["", "| degrees a second | tracked | said |", "|---|---|---|"]
    for q, x, y in zip((50, 90, 99), a.speed_deg_s, b.speed_deg_s, strict=True):
        rows.append(f"| {q}th percentile | {x:.1f} | {y:.1f} |")
    rows += ["", "| speed follows loudness by, s | tracked r | said r |", "|---|---|---|"]
    for lag, x, y in list(zip(LAGS_S, tracked.follows, said.follows, strict=True))[::2]:
        rows.append(f"| {lag:+.2f} | {x:+.2f} | {y:+.2f} |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--tracker", type=Path, help="face_landmarker.task, with videos")
    parser.add_argument("--voice", type=Path, default=VOICE)
    parser.add_argument("--seeds", type=int, default=20)
    args = parser.parse_args()
    if args.videos and not args.tracker:
        parser.error("videos need --tracker, the file of MediaPipe's face landmarker.")
    shared = shared_dir()
    if not args.videos and not shared:
        parser.error("without the folder `shared` beside the repository, name videos and --tracker.")
    clips = tracked_clips(args.videos, args.tracker) if args.videos else shared_clips(shared)
    said = said_motion(_core.Voice(str(args.voice)), clips, range(args.seeds))
    print(f"{len(clips)} clips, {args.seeds} seeds\n\n{table(tracked_motion(clips), said)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
