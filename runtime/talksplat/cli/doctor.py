# SPDX-License-Identifier: Apache-2.0
"""talksplat doctor"""

from __future__ import annotations

import json as text
from collections.abc import Callable
from functools import partial
from importlib import metadata
from typing import Any

from ..engine import Engine
from ..errors import DeviceError, TalksplatError
from . import checks
from .checks import PASSED, outcome
from .machine import size_text
from .options import Json
from .stopping import Stopped

# Distribution → what needs it.
PACKAGES = {
    "numpy": "everything",
    "av": "sound and video files",
    "safetensors": "importing avatars",
    "typer": "the command line",
    "rich": "tables and progress bars",
    "zstandard": ".spz files of version 4",
    "pytest-benchmark": "the bench suite",
}
EXTRAS = {"pytest-benchmark": "talksplat[bench]"}
CHECKS: dict[str, Callable[[], None]] = {
    "draws": checks.drawing,
    "hears sound": checks.decoding,
    "writes video": checks.encoding,
}


def doctor(json: Json = False) -> None:
    """Check this installation: CPU and GPUs, packages, what is built in, and whether it works.

    The exit code is 1 if something of it does not.
    """
    found = _examine()
    if json:
        print(text.dumps(found, indent=2))
    else:
        _show(found)
    failed = [name for name, result in found["checks"].items() if result != PASSED]
    failed += [name for name in ("voice", "demo") if "error" in found[name]]
    if failed:
        raise Stopped(f"this installation does not work: {', '.join(failed)}.", 1)


def _examine() -> dict[str, Any]:
    import platform

    from .. import __version__, _core
    from ..encoders import choice, engines
    from .machine import cpu_count, cpu_model

    threads, used, wrong = cpu_count(), None, None
    try:
        engine = Engine("cpu")
        threads, used = engine.threads, engine.isa
    except DeviceError as error:  # TALKSPLAT_ISA names what this CPU does not have
        wrong = str(error)
    system = _core.system_info()
    gpus = [] if system["why_no_gpu"] else [gpu["device"] for gpu in system["gpus"]]
    tried: dict[str, Callable[[], None]] = {
        **CHECKS,
        **{f"draws on {gpu}": partial(checks.drawing, gpu) for gpu in gpus},
    }
    packages = {}
    for name, use in PACKAGES.items():
        version = _version(name)
        packages[name] = {"version": version, "for": use}
        if version is None:
            packages[name]["get"] = f"pip install {EXTRAS.get(name, name)}"
    return {
        "talksplat": __version__,
        "abi": _core.ABI_VERSION,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": cpu_model(),
        "cpus": cpu_count(),
        "threads": threads,
        "isa": {"available": _core.isa_names(), "used": used, "error": wrong},
        "devices": ["cpu", *gpus],
        "gpu": system,
        "h264": _h264(packages),
        "aac": _aac(packages),
        "voice": _voice(),
        "demo": _demo(),
        "packages": packages,
        "engines": engines.describe(),
        "encoders": [chosen._asdict() for chosen in choice.remembered()],
        "checks": {name: outcome(check) if wrong is None else f"failed: {wrong}" for name, check in tried.items()},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _h264(packages: dict[str, Any]) -> str | None:
    if packages["av"]["version"] is None:
        return None
    from ..video import h264_encoder

    return h264_encoder()


def _aac(packages: dict[str, Any]) -> str | None:
    if packages["av"]["version"] is None:
        return None
    from ..video import aac_encoder

    return aac_encoder()


def _voice() -> dict[str, Any]:
    """The voice of the package: what it is, or what is wrong with it."""
    from ..speech import builtin_voice

    try:
        voice = builtin_voice()
    except (TalksplatError, ValueError) as error:
        return {"error": str(error)}
    manifest = text.loads(voice.manifest)
    return {
        "name": manifest["name"],
        "parameters": voice.n_parameters,
        "bytes": voice.file_bytes,
        "look_ahead_ms": voice.look_ahead_s * 1e3,
    }


def _demo() -> dict[str, Any]:
    """The avatar of the package."""
    from .._assets import DEMO
    from ..avatar import load

    try:
        demo = load(DEMO, "cpu", 1)
    except TalksplatError as error:
        return {"error": str(error)}
    return {"name": demo.name, "gaussians": demo.n_gaussians, "bytes": demo.info["file_bytes"]}


def _voice_text(voice: dict[str, Any]) -> str:
    if "error" in voice:
        return f"cannot be used: {voice['error']}"
    return (
        f"{voice['name']}: {voice['parameters']} parameters, {size_text(voice['bytes'])}, "
        f"look-ahead {voice['look_ahead_ms']:g} ms"
    )


def _demo_text(demo: dict[str, Any]) -> str:
    if "error" in demo:
        return f"cannot be used: {demo['error']}"
    return f"{demo['name']}: {demo['gaussians']} Gaussians, {size_text(demo['bytes'])}"


def _version_text(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def _driver_text(gpu: dict[str, Any]) -> str:
    needed = gpu["oldest_driver_version"]
    least = f"; the kernels need {_version_text(needed)} or newer" if needed else ""
    return f"CUDA {_version_text(gpu['driver_version'])}{least}" if gpu["driver_version"] else f"none{least}"


def _gpu_text(gpu: dict[str, Any]) -> str:
    seen = (
        f"{one['device']} is {one['name']}, {size_text(one['bytes'])}, compute capability "
        f"{one['capability'] // 10}.{one['capability'] % 10}"
        for one in gpu["gpus"]
    )
    unused = gpu["why_no_gpu"]
    return "; ".join((*seen, *([f"not used: {unused}"] if unused else [])))


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("talksplat", f"{found['talksplat']} (C ABI {found['abi']}), Python {found['python']}")
    table.add_row("system", found["system"])
    table.add_row("CPU", f"{found['cpu']}; {found['cpus']} CPUs, {found['threads']} threads used")
    isa = found["isa"]
    table.add_row("instruction set", f"{isa['used'] or isa['error']} (available: {', '.join(isa['available'])})")
    gpu = found["gpu"]
    table.add_row("GPU", _gpu_text(gpu))
    for one in gpu["gpus"]:
        table.add_row(f"networks on {one['device']}", one["deform"])
        table.add_row(f"voice on {one['device']}", one["encode"])
    table.add_row("NVIDIA driver", _driver_text(gpu))
    table.add_row("GPU kernels", gpu["kernels"] or "none in this build")
    h264 = found["h264"] or "missing: video files are MPEG-4 part 2, which is larger. pip install --upgrade av"
    table.add_row("H.264", h264)
    table.add_row("AAC", found["aac"] or "missing: videos cannot have sound. pip install --upgrade av")
    table.add_row("voice", _voice_text(found["voice"]))
    table.add_row("demo avatar", _demo_text(found["demo"]))
    for i, (name, package) in enumerate(found["packages"].items()):
        state = package["version"] or f"missing; for {package['for']}: {package['get']}"
        table.add_row("packages" if i == 0 else "", f"{name} {state}")
    for name, engine in found["engines"].items():
        table.add_row(f"encoders by {name}", engine)
    for one in found["encoders"]:
        by = f"{one['engine']} {one['precision']}"
        table.add_row(f"encoder {one['encoder']}", f"{by} was the fastest here, {one['hop_ms']:.1f} ms a step")
    for name, result in found["checks"].items():
        table.add_row(name, result)
    Console(highlight=False, markup=False).print(table)
