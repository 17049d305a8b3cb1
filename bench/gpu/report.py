# SPDX-License-Identifier: Apache-2.0
"""What tests/gpu_check.py found, as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FPS = 25.0


def sessions(frames: Mapping[str, Mapping[str, Any]], fps: float = FPS) -> tuple[int, int]:
    """How many sessions of this head the GPU draws for at least, and in batches of how many frames.

    Of the sizes of batches whose p99 is within a frame's time, the one that gets most frames done. frames: by batch.
    """
    best = (0, 0)
    for batch, measured in frames.items():
        if measured["p99_us"] <= 1e6 / fps:
            best = max(best, (int(int(batch) * 1e6 / measured["p50_us"] / fps), int(batch)))
    return best


def page(result: Mapping[str, Any]) -> str:
    """Markdown."""
    parts = (_head, _right, _frames, _kernels, _networks, _voice, _encoders, _others)
    return "\n\n".join(text for part in parts if (text := part(result))) + "\n"


def _head(result: Mapping[str, Any]) -> str:
    gpu, machine = result["gpu"], result["machine"]
    clock = f" at {gpu['clock_mhz']} MHz" if gpu["clock_mhz"] else ""
    cuda = f"{gpu['driver_cuda'] // 1000}.{gpu['driver_cuda'] % 1000 // 10}"
    lines = [
        f"# {gpu['name']} ({result['date']})",
        "",
        f"{gpu['isa']}, {gpu['multiprocessors']} multiprocessors{clock}, {gpu['memory_bytes'] / 2**30:.1f} GiB, driver "
        f"with CUDA {cuda}. Measured here: a copy within its memory reads and writes {gpu['copy_gb_per_s']:.0f} GB/s; "
        f"products of float32 {gpu['fp32_gflops'] / 1e3:.1f} TFLOP/s, of matrices in halves "
        f"{gpu['half_matrix_gflops'] / 1e3:.1f} TFLOP/s. Networks: {gpu['networks']}; the "
        f"voice: {gpu['voice']}. "
        f"CPU: {machine['cpu']}, {machine['cpus']} of its threads; "
        f"talksplat {machine['talksplat']}, commit {machine['commit']}. By `make gpu-check`.",
    ]
    if result["fake"]:
        lines += ["", "**The fake driver: kernels ran on the CPU. No time here is a GPU's.**"]
    return "\n".join(lines)


def _right(result: Mapping[str, Any]) -> str:
    tests, rows = result["tests"], []
    rows.append(f"Tests on the device: {tests['passed']} passed, {tests['failed']} failed, {tests['skipped']} skipped.")
    rows += [f"- failed: {name}" for name in tests["failures"]]
    for tool, said in result["sanitizer"].items():
        rows.append(f"compute-sanitizer {tool}: {said}.")
    unlike = [
        f"{head} in batches of {batch}"
        for head, batches in result["frames"].items()
        for batch, measured in batches.items()
        if not (measured["repeats_alike"] and measured["batch_alike"])
    ]
    rows.append(
        f"Bits differ from draw to draw: {'; '.join(unlike)}."
        if unlike
        else "Drawn again, and beside other frames, every picture has the same bits."
    )
    for head, pictures in result["pictures"].items():
        rows.append(
            f"{head}: {pictures['within']:.4%} of the numbers of its pictures are within 2 of 255 of the CPU's in "
            f"reference precision, the farthest is {pictures['worst']} away."
        )
    return "## Right\n\n" + "\n".join(rows)


def _frames(result: Mapping[str, Any]) -> str:
    batches = sorted({int(batch) for measured in result["frames"].values() for batch in measured})
    rows = []
    for head, measured in result["frames"].items():
        times = [_times(measured.get(str(batch))) for batch in batches]
        many, batch = sessions(measured)
        first = next(iter(measured.values()))
        rows.append([head, f"{first['gaussians']:,}", f"{first['instances']:,}", *times, f"{many} ({batch})"])
    return (
        "## Frames\n\nFrom a control to RGBA8 in the host's memory, fast precision, ms: p50 / p99 of a draw of so many "
        "frames; in brackets what a draw takes where pictures stay on the GPU and nobody waits. "
        f"Sessions: at {FPS:g} frames/s by drawing alone, where p99 is within a frame, and the batch that does "
        "most.\n\n" + table(["head", "Gaussians", "pairs", *map(str, batches), "sessions (batch)"], rows)
    )


def _times(measured: Mapping[str, Any] | None) -> str:
    if measured is None:
        return ""
    host = f"{measured['p50_us'] / 1e3:.3f} / {measured['p99_us'] / 1e3:.3f}"
    return f"{host} ({measured['stays_us'] / 1e3:.3f})"


def _kernels(result: Mapping[str, Any]) -> str:
    parts = []
    for title, measured in result["kernels"].items():
        counted = measured["counters"]
        rows = []
        for piece in measured["pieces"]:
            more = counted.get(piece["name"], {})
            name = piece["name"].removesuffix("_kernel") + (f" {piece['turn'] + 1}" if piece["turn"] else "")
            rows.append(
                [
                    name,
                    f"{piece['us']:.1f}",
                    _number(piece["gb_per_s"], ".0f"),
                    _number(piece["of_copy"], ".0%"),
                    _number(more["issue_percent"] / 100 if "issue_percent" in more else piece["issue"], ".0%"),
                    _number(more.get("occupancy_percent"), ".0f"),
                ]
            )
        total = sum(piece["us"] for piece in measured["pieces"])
        rows.append(["together", f"{total:.1f}", "", "", "", ""])
        head = ["kernel", "us", "GB/s", "of the copy", "issue slots", "warps, %"]
        parts.append(f"### {title}\n\n" + table(head, rows) + _products(measured, result["gpu"], counted))
    return (
        "## Kernels\n\nEach by itself, outside the graph, the queue full; medians. GB/s are of what a kernel must read "
        "and write at least (bench/gpu/traffic.py), issue slots what Nsight Compute counts, or by instructions that "
        "kernels/estimates.py counts, at the clock that the driver tells.\n\n" + "\n\n".join(parts)
        if parts
        else ""
    )


def _products(measured: Mapping[str, Any], gpu: Mapping[str, Any], counted: Mapping[str, Any]) -> str:
    lines = []
    us = sum(piece["us"] for piece in measured["pieces"] if piece["name"].startswith("deform"))
    if us > 0 and measured["products"]:
        gflops = 2e-3 * measured["products"] * measured["batch"] / us
        share = f", {gflops / gpu['half_matrix_gflops']:.0%} of the measured rate" if gpu["half_matrix_gflops"] else ""
        lines.append(f"deform: {gflops / 1e3:.2f} TFLOP/s{share}.")
    if measured["counters_missing"]:
        lines.append(f"Not counted by Nsight Compute: {measured['counters_missing']}.")
    return "\n\n" + " ".join(lines) if lines else ""


def _networks(result: Mapping[str, Any]) -> str:
    measured = result["deform"]
    what = "Fast precision, us of a draw of so many frames: `deform_fast`; Triton's `deform_layers` and `deform_rows`."
    return "## Networks, by two kernels\n\n" + _by_two(measured, what, ("head", "frames"))


def _voice(result: Mapping[str, Any]) -> str:
    measured = result["voice"]
    what = (
        "Us of a step of the voice, from the host and back, of so many towers: `encode_step`; Triton's `encode_rows`."
    )
    return "## The voice, by two kernels\n\n" + _by_two(measured, what, ("voice", "towers"))


def _by_two(measured: Mapping[str, Any], what: str, heads: tuple[str, str]) -> str:
    if measured["missing"]:
        return f"Not measured: {measured['missing']}"
    rows = [
        [name, n, f"{times['cuda']:.1f}", f"{times['triton']:.1f}"]
        for name, measured_of in measured["us"].items()
        for n, times in measured_of.items()
    ]
    least = measured["from"]
    chosen = f"Triton's is chosen from {least} {heads[1]} on." if least else "Triton's is never chosen."
    return f"{what} {chosen}\n\n" + table([*heads, "CUDA", "Triton"], rows)


def _encoders(result: Mapping[str, Any]) -> str:
    rows, missing = [], {}
    for encoder, engines in result["encoders"].items():
        for name, one in engines.items():
            if "missing" in one:
                missing[name] = one["missing"]
                continue
            numbers = (f"{one['hop_ms']:.2f}", f"{one['hop_of_sound_ms']:.0f}", f"{one['error']:.2g}")
            together = f"{one['batch_ms']:.2f} for {one['batch']}" if one["batch"] > 1 else one["turns"] or "-"
            rows.append([f"{encoder}, {name} {one['version']} {one['precision']}", *numbers, together])
    text = "## Encoders of speech\n\n"
    if rows:
        text += (
            "A step, its golden features checked; error of their deviation over time; several speakers at once, each "
            "checked against itself alone: ms of the transformer.\n\n"
        )
        text += table(["encoder", "ms", "ms of sound", "error", "several"], rows) + "\n\n"
    return (text + "\n".join(f"Not run: {name} ({why})." for name, why in missing.items())).rstrip()


def _others(result: Mapping[str, Any]) -> str:
    others = result["others"]
    rows = [[name, f"{t['p50_us'] / 1e3:.3f}", f"{t['p99_us'] / 1e3:.3f}"] for name, t in others.get("us", {}).items()]
    missing = [f"Not measured: {name} ({why})." for name, why in others.get("missing", {}).items()]
    versions = ", ".join(f"{name} {others[name]}" for name in ("torch", "gsplat") if name in others)
    text = "## Others in the same run\n\n"
    if rows:
        text += f"{versions}: one frame that stays on the GPU, ms.\n\n" + table(["what", "p50", "p99"], rows) + "\n\n"
    return (text + "\n".join(missing)).rstrip()


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
