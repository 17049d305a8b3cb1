# SPDX-License-Identifier: Apache-2.0
"""talksplat.rasterize beside the prototype, window by window in one run: python bench/compare.py [--quick]

Also how two threads compare with one, what a process costs until its first frame, and whether memory grows. Writes
results/DATE-COMMIT.json and .md, and prints the latter. Exits with 1 when a picture is wrong or memory grows.
Measure on an idle machine; the load average is in the result.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np

import talksplat
from correctness import WrongPicture, require_right
from machine import machine
from prototype import Prototype, build
from reference.scenes import Scene
from scenes import BACKGROUND, SIZE, arguments, head_scene, head_view
from shared_data import ROOT, avatar_zips
from windows import Window, ratio, run_window, summary

BENCH = Path(__file__).resolve().parent
VIEW = head_view()
MOST_GROWTH_KB = 2000  # of 10,000 frames: an allocator's page or two, not a leak


def main() -> int:
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = measure(options, Path(folder))
        except WrongPicture as error:
            print(f"compare: {error}", file=sys.stderr)
            return 1
    text = table(result)
    print(text)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        stem = options.out / f"{result['date']}-{result['machine']['commit'].rstrip('+')}"
        stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        stem.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
        print(f"\nWritten to {stem}.json and .md", file=sys.stderr)
    grown = result["growth"]
    if grown["scratch_growth_bytes"] > 0 or grown["resident_growth_kb"] > MOST_GROWTH_KB:
        print(f"compare: memory grew over {grown['frames']} frames: {grown}", file=sys.stderr)
        return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="a minute at most: fewer, shorter windows; nothing written"
    )
    parser.add_argument("--gaussians", type=int, nargs="+", default=[30_000, 50_000, 100_000])
    parser.add_argument("--windows", type=int, default=9)
    parser.add_argument("--frames", type=int, default=120, help="per window")
    parser.add_argument("--out", type=Path, default=BENCH / "results", help="folder of the results")
    options = parser.parse_args()
    options.growth_frames = 10_000
    if options.quick:
        options.windows, options.frames, options.growth_frames, options.out = 3, 30, 2_000, None
    return options


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    prototype = build(folder)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "size": [SIZE, SIZE],
        "windows": options.windows,
        "frames_per_window": options.frames,
        "prototype": "built" if isinstance(prototype, Prototype) else prototype,
        "raster": [compare(n, options, prototype) for n in options.gaussians],
        "start": starts(folder),
        "growth": in_a_process("growth", str(options.growth_frames)),
    }


# ---- raster ----


def compare(n: int, options: argparse.Namespace, prototype: Prototype | str) -> dict[str, Any]:
    """Windows of one thread, two threads and the prototype in turn."""
    scene = head_scene(n)
    out = np.empty((SIZE, SIZE, 4), np.uint8)
    one, two = (drawing(scene, out, threads) for threads in (1, 2))
    for draw in (one, two):
        out.fill(0)
        draw()
        require_right(out, scene, VIEW, BACKGROUND)
    file = prototype.write_scene(scene) if isinstance(prototype, Prototype) else None
    ours: dict[int, list[Window]] = {1: [], 2: []}
    theirs: list[Window] = []
    for _ in range(options.windows):
        if isinstance(prototype, Prototype) and file is not None:
            theirs.append(prototype.run_window(n, file, 2, options.frames))
        ours[2].append(run_window(two, options.frames))
        ours[1].append(run_window(one, options.frames))
    result: dict[str, Any] = {
        "gaussians": n,
        "two_threads": summary(ours[2]),
        "one_thread": summary(ours[1]),
        "two_over_one": ratio(ours[1], ours[2]),
    }
    if theirs:
        result |= {"prototype": summary(theirs), "faster_than_prototype": ratio(theirs, ours[2])}
    return result


def drawing(scene: Scene, out: np.ndarray, threads: int) -> Callable[[], Any]:
    given = arguments(scene, VIEW) | {"background": BACKGROUND, "dtype": "uint8", "out": out, "threads": threads}
    return lambda: talksplat.rasterize(**given)


# ---- processes ----


def in_a_process(*words: str) -> dict[str, Any]:
    command = [sys.executable, str(BENCH / "process.py"), *words]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def starts(folder: Path) -> dict[str, Any]:
    """Of the tests' head and of LAM's heads where they are at hand: the median of five processes each."""
    from talksplat.authoring.convert import convert

    head = folder / "head.tsplat"
    subprocess.run([sys.executable, ROOT / "tests" / "make_head.py", head], check=True, capture_output=True)
    paths = [head] + [convert(path, folder / f"{path.stem}.tsplat", format="lam") for path in avatar_zips()]
    result = {}
    for path in paths:
        runs = [in_a_process("start", str(path)) for _ in range(5)]
        result[path.stem] = {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
    return result


# ---- the page ----


def table(result: dict[str, Any]) -> str:
    m = result["machine"]
    lines = [
        f"# {result['date']}, {m['cpu']}, {m['cpus']} CPUs, {m['isa']}",
        "",
        f"talksplat {m['talksplat']} at {m['commit']}; {m['system']}; Python {m['python']}; load {m['load_average']}.",
        f"RGBA8 at {SIZE}x{SIZE} over a colour, in milliseconds: medians of {result['windows']} windows of "
        f"{result['frames_per_window']} frames, all kinds in turn.",
        "",
        "| Gaussians | two threads p50 | p99 | best p99/p50 | one thread p50 | two / one | prototype p50 | faster |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in result["raster"]:
        two, one = row["two_threads"], row["one_thread"]
        prototype = (
            f"{row['prototype']['p50_ms']:.2f} | {row['faster_than_prototype']:.2f}x" if "prototype" in row else "- | -"
        )
        lines.append(
            f"| {row['gaussians']:,} | {two['p50_ms']:.2f} | {two['p99_ms']:.2f} | {two['best_p99_over_p50']:.2f} "
            f"| {one['p50_ms']:.2f} | {row['two_over_one']:.2f}x | {prototype} |"
        )
    if result["prototype"] != "built":
        lines += ["", f"The prototype was not run: {result['prototype']}."]
    lines += [
        "",
        "| process | import | load | first frame | together | resident MB | scratch MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in result["start"].items():
        lines.append(
            f"| {name} | {row['import_ms']:.0f} | {row['load_ms']:.0f} | {row['first_frame_ms']:.1f} "
            f"| {row['total_ms']:.0f} | {row['resident_mb']:.0f} | {row['scratch_mb']:.1f} |"
        )
    grown = result["growth"]
    lines += [
        "",
        f"Growth over {grown['frames']:,} frames: {grown['resident_growth_kb']:.0f} kB resident, "
        f"{grown['scratch_growth_bytes']} bytes of scratch.",
        "",
        "Again: `python bench/compare.py`",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
