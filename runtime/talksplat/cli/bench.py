# SPDX-License-Identifier: Apache-2.0
"""talksplat bench"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._text import printable
from .encoding import EncoderEngine, EncoderPath, in_words, open_encoder, require_encoder, told
from .live_options import ChunkMs, LatencyMs, TracePath, require_trace
from .options import (
    AvatarPath,
    Device,
    Json,
    MotionFps,
    Precision,
    Size,
    Threads,
    note,
    note_device,
    parse_size,
    require_motion_fps,
    require_speech_fps,
)

if TYPE_CHECKING:
    from ..avatar import Avatar
    from .bench_live import Plan

STAGES = ("pose", "deform", "project", "bin", "blend", "total")
WARM_UP = 10


def bench(
    avatar: AvatarPath,
    frames: Annotated[
        int | None,
        typer.Option("--frames", min=1, max=1_000_000, help="Frames to measure, after a warm-up; 300 if absent."),
    ] = None,
    size: Size = None,
    device: Device = "auto",
    threads: Threads = 0,
    precision: Precision = "default",
    motion: Annotated[
        str | None,
        typer.Option(
            "--motion",
            "-m",
            help="Motion file or clip:NAME; speech, or the first clip, or the neutral frame, if absent.",
        ),
    ] = None,
    motion_fps: MotionFps = None,
    live: Annotated[
        bool, typer.Option("--live", help="Sessions that are fed in real time: latency and late frames, not stages.")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=1.0, max=86400.0, help="With --live: how long; 10 if absent.")
    ] = None,
    sessions: Annotated[
        int | None, typer.Option("--sessions", min=1, max=1000, help="With --live: how many at once; 1 if absent.")
    ] = None,
    latency_ms: LatencyMs = None,
    chunk_ms: ChunkMs = None,
    fps: Annotated[
        float | None,
        typer.Option("--fps", help="With --live: frames per second, 20 to 60; the avatar's, or 25, if absent."),
    ] = None,
    audio: Annotated[
        str | None, typer.Option("--audio", help="With --live: what is spoken, over and over; sample if absent.")
    ] = None,
    encoder: EncoderPath = None,
    engine: EncoderEngine = None,
    trace: TracePath = None,
    json: Json = False,
) -> None:
    """Measure how long an avatar's frames take on this machine, stage by stage, or, with --live, if they are in time.

    An avatar that speaks, or has its --encoder, says the built-in sample: what hears it, the drawing and the encoding
    of a video are told apart.

    With --live, every session says its sound over and over, pushed as if it were spoken now, and its frames are taken
    as they become ready. What is printed is the latency that is kept and of what it is made, the time from a frame's
    last needed sample to the frame in hand, and how many frames were late.
    """
    from ..avatar import load
    from ..motion_files import load_motion
    from ..motions import fit_motion
    from .bench_speech import encode_us, speak

    pixels = None if size is None else parse_size(size)
    only_live = {
        "--seconds": seconds,
        "--sessions": sessions,
        "--latency-ms": latency_ms,
        "--chunk-ms": chunk_ms,
        "--fps": fps,
        "--audio": audio,
        "--trace": trace,
    }
    not_live = {"--frames": frames, "--motion": motion, "--motion-fps": motion_fps}
    for word, value in (not_live if live else only_live).items():
        if value is not None:
            raise typer.BadParameter(f"{word} is {'not ' if live else ''}for --live")
    require_motion_fps(motion_fps)
    require_speech_fps(fps)
    require_encoder(encoder, engine)
    require_trace(trace, {"AVATAR": avatar, "--audio": audio})
    if encoder is not None and motion is not None:
        raise typer.BadParameter("--motion and --encoder both say what moves the avatar: leave one out")
    begin = time.perf_counter()
    head = load(avatar, device, threads, precision)
    load_ms = (time.perf_counter() - begin) * 1e3
    hearer = open_encoder(encoder, engine)
    if live:
        from .bench_live import Plan

        plan = Plan(seconds or 10.0, sessions or 1, fps=fps, size=pixels, encoder=hearer)
        plan = plan._replace(latency_ms=latency_ms or plan.latency_ms, chunk_ms=chunk_ms or plan.chunk_ms)
        _bench_live(head, plan, audio or "sample", precision, trace, json)
        return
    count, canvas = frames or 300, pixels or head.size
    spoken = speak(head, count, hearer) if motion is None and (head.speaks or hearer) else None
    if motion is None and spoken is None and head.clips:
        motion = f"clip:{next(iter(head.clips))}"
    moves = None if motion is None else load_motion(motion, head, fps=motion_fps)
    for remark in () if moves is None else moves.notes:
        note(f"note: {remark}")
    if spoken is not None:
        controls = spoken.controls
    else:
        controls = _random_controls(head) if moves is None else fit_motion(moves, head).controls
    result = {
        "avatar": head.name,
        "motion": motion or ("speech" if spoken else "random features" if _networked(head) else "neutral"),
        "precision": precision,
        "load_ms": load_ms,
        **_measure(head, controls, count, canvas),
        "gaussians": head.n_gaussians,
        "machine": _machine(head),
    }
    if spoken is not None:
        heard = {"encoder": told(hearer)} if hearer else {}
        result["speech"] = {"fps": spoken.fps, **heard, "heard_us": _percentiles(spoken.heard_us),
                            "heard_mean_us": float(spoken.heard_us.mean()),
                            "moved_us": None if spoken.moved_us is None else _percentiles(spoken.moved_us),
                            "encode_us": encode_us(head, spoken, canvas)}  # fmt: skip
    if _networked(head) and result["stages_us"]["deform"]["p50"] > 0:
        result["deform"] = _deform(head, precision, result["stages_us"]["deform"]["p50"])
    note_device(head.engine, note)
    _print(result, json, _show)


def _bench_live(head: Avatar, plan: Plan, audio: str, precision: str, trace: str | None, json: bool) -> None:
    from .bench_live import Sound, measure, show
    from .render_live import trace_of

    kept = None if trace is None else trace_of(head)
    result = measure(head, Sound.read(audio), plan, kept)
    if kept is not None and trace is not None:
        kept.save(trace)
    _print({**result, "precision": precision, "machine": _machine(head)}, json, show)


def _print(result: dict[str, Any], json: bool, show: Callable[[dict[str, Any]], None]) -> None:
    if json:
        import json as text

        print(text.dumps(result, indent=2))
    else:
        show(result)


def _measure(head: Avatar, controls: dict[str, Any], frames: int, size: tuple[int, int]) -> dict[str, Any]:
    """controls: [T,size] by input, which follow each other over and over."""
    import numpy as np

    from .machine import resident_bytes

    width, height = size
    out = np.empty((height, width, 4), np.uint8)
    length = min((len(rows) for rows in controls.values()), default=1)
    stage_us = np.empty((frames, len(STAGES)))
    wall_us = np.empty(frames)
    visible, instances = np.empty(frames), np.empty(frames)
    first_ms = 0.0
    for i in range(-WARM_UP, frames):
        control = {name: rows[i % length] for name, rows in controls.items()}
        begin = time.perf_counter()
        receipt = head.render_frame(control, size, format="rgba8", out=out).receipt
        wall = (time.perf_counter() - begin) * 1e6
        if i == -WARM_UP:
            first_ms = wall / 1e3
        if i >= 0:
            wall_us[i] = wall
            stage_us[i] = [getattr(receipt, f"{stage}_us") for stage in STAGES]
            visible[i], instances[i] = receipt.n_visible, receipt.n_instances
    return {
        "frames": frames,
        "size": list(size),
        "format": "rgba8",
        "first_frame_ms": first_ms,
        "stages_us": {stage: _percentiles(stage_us[:, i]) for i, stage in enumerate(STAGES)},
        "wall_us": _percentiles(wall_us),
        "frames_per_second": 1e6 / float(np.percentile(wall_us, 50)),
        "visible": float(visible.mean()),
        "instances": float(instances.mean()),
        "resident_bytes": resident_bytes(),
        "scratch_bytes": head.scratch_bytes,
    }


def _percentiles(column: Any) -> dict[str, float]:
    import numpy as np

    return {f"p{p}": float(np.percentile(column, p)) for p in (50, 95, 99)}


def _networked(head: Avatar) -> bool:
    return bool(head.manifest["deform"].get("branches"))


def _random_controls(head: Avatar) -> dict[str, Any]:
    """Another control for each of some frames: a network is skipped while its control stays the same."""
    import numpy as np

    rng = np.random.default_rng(0)
    items = [i for i in head.manifest["inputs"] if i["target"] == "deform" and "follows" not in i]
    return {i["name"]: rng.uniform(0, 1, (16, i["size"])).astype(np.float32) for i in items}


def _deform(head: Avatar, precision: str, deform_us: float) -> dict[str, Any]:
    """What the network's time is of what the machine can do, and the same network in torch where that is installed."""
    from ..deform_cost import deform_cost

    fp32, bf16 = head.engine.measure_peak()
    chosen = {"default": head.manifest["deform"]["precision"], "fast": "bf16"}.get(precision, "fp32")
    used = "bf16" if chosen == "bf16" and bf16 else "fp32"
    flops = 2 * sum(stage.products for stage in deform_cost(head.manifest, head.tensors()))
    peak = bf16 if used == "bf16" else fp32
    gflops = flops / deform_us / 1e3
    return {
        "precision": used,
        "flops": flops,
        "gflops_per_s": gflops,
        "peak_gflops_per_s": peak,
        "of_peak": gflops / peak,
        "torch_us": _torch_us(head),
    }


def _torch_us(head: Avatar, runs: int = 15) -> float | None:
    """The median of the unbaked torch module, on as many threads; None where torch is not installed."""
    import statistics

    from ..authoring.methods.unbaked import unbaked

    try:
        frame = unbaked(head.manifest, head.tensors(), head.threads)
    except ImportError:
        return None
    if frame is None:
        return None
    times = []
    for _ in range(runs + 3):
        begin = time.perf_counter()
        frame()
        times.append((time.perf_counter() - begin) * 1e6)
    return statistics.median(times[3:])


def _machine(head: Avatar) -> dict[str, Any]:
    import platform

    from .. import __version__
    from .machine import cpu_count, cpu_model

    return {
        "cpu": cpu_model(),
        "cpus": cpu_count(),
        "threads": head.threads,
        "device": head.engine.device,
        "device_name": head.engine.device_name,
        "isa": head.isa,
        "talksplat": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from .machine import in_words as machine_in_words
    from .machine import size_text

    width, height = result["size"]
    table = Table()
    table.add_column("ms")
    for name in ("p50", "p95", "p99"):
        table.add_column(name, justify="right")
    # A GPU draws a frame as one graph: it tells how long the whole of it took.
    stages = {
        stage: us for stage, us in result["stages_us"].items() if us["p99"] > 0 or result["machine"]["device"] == "cpu"
    }
    rows = {**stages, "wall (Python)": result["wall_us"]}
    speech = result.get("speech")
    if speech is not None:
        hears = "encoder" if "encoder" in speech else "voice"
        moved = {} if speech["moved_us"] is None else {"motion": speech["moved_us"]}
        rows = {f"{hears}, a frame's sound": speech["heard_us"], **moved, **rows}
    for stage, values in rows.items():
        table.add_row(stage, *(f"{value / 1e3:.3f}" for value in values.values()))
    console = Console(highlight=False, markup=False)
    names = printable(f"{result['avatar']}, {result['motion']}")
    console.print(f"{names}: {result['frames']} frames of {width}x{height}")
    console.print(table)
    if speech is not None:
        moved_us = 0 if speech["moved_us"] is None else speech["moved_us"]["p50"]
        times = 1e6 / speech["fps"] / (speech["heard_mean_us"] + moved_us + result["wall_us"]["p50"])
        encoded = speech["encode_us"]
        console.print(
            f"speech at {speech['fps']:g} fps: {times:.0f} times real time without a video; "
            + (f"encoding to H.264 is {encoded / 1e3:.1f} ms a frame more" if encoded else "H.264 has even sizes only")
        )
        if "encoder" in speech:
            console.print(f"the encoder: {printable(in_words(speech['encoder']))}")
    deform = result.get("deform")
    if deform is not None:
        unbaked, share = deform["torch_us"], 100 * deform["of_peak"]
        console.print(
            f"network: {deform['flops'] / 1e9:.2f} GFLOP in {deform['precision']}, "
            f"{deform['gflops_per_s']:.0f} GFLOP/s, {share:.0f} % of what these threads can do from registers; "
            + (f"unbaked in torch {unbaked / 1e3:.1f} ms" if unbaked else "torch is not installed to compare with")
        )
    console.print(
        f"{result['frames_per_second']:.1f} frames per second; {result['gaussians']} Gaussians, "
        f"{result['visible']:.0f} visible, {result['instances']:.0f} instances\n"
        f"load {result['load_ms']:.1f} ms, first frame {result['first_frame_ms']:.1f} ms; resident "
        f"{size_text(result['resident_bytes'])}, scratch {size_text(result['scratch_bytes'])}\n"
        f"{machine_in_words(result['machine'])}, {result['precision']}"
    )
