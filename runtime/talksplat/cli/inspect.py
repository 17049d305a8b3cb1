# SPDX-License-Identifier: Apache-2.0
"""talksplat inspect"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .._text import printable
from .options import AvatarPath, Json

if TYPE_CHECKING:
    from ..avatar import Avatar

# What a table shows of what a stranger wrote, at any length; --json has all of it.
MAX_NAME_LETTERS = 80
MAX_TEXT_LETTERS = 2000
MAX_NAMES = 64
MAX_ROWS = 64


def inspect(avatar: AvatarPath, json: Json = False) -> None:
    """Show what is in an avatar file and what can be done with it."""
    from ..avatar import load

    found = _describe(load(avatar, "cpu", 1))
    if json:
        import json as text

        # ASCII: any other letter may be a control character, or one that stdout cannot encode.
        print(text.dumps(found, indent=2))
    else:
        _show(found)


def _describe(head: Avatar) -> dict[str, Any]:
    manifest, info = head.manifest, head.info
    kept = ("name", "method", "fps", "canvas", "color", "rig", "binding", "background")
    return {
        **{key: manifest[key] for key in kept},
        "plate": "plate/background" in head.tensors(),
        "counts": {
            "gaussians": info["n_gaussians"],
            "source_gaussians": info["n_source"],
            "vertices": info["n_vertices"],
            "triangles": info["n_triangles"],
            "joints": info["n_joints"],
            "blendshapes": info["n_blendshapes"],
        },
        "inputs": [
            {
                "name": into.name,
                "size": into.size,
                "target": into.target,
                "names": list(into.names),
                "absent": list(into.absent),
            }
            for into in head.inputs.values()
        ],
        "deform": _deform(head),
        "clips": [
            {"name": c.name, "fps": c.fps, "frames": c.frames, "inputs": list(c.inputs)} for c in head.clips.values()
        ],
        "supports": _supports(head),
        "licence": manifest["licence"],
        "subject_consent": manifest["subject_consent"],
        "provenance": manifest["provenance"],
        "file_bytes": info["file_bytes"],
        "resident_bytes": info["resident_bytes"],
        "format": manifest["format"],
    }


def _deform(head: Avatar) -> dict[str, Any] | None:
    """The deform network: its stages with what they cost in a frame, and its precision as it was chosen at import."""
    from ..deform_cost import deform_cost

    stages = deform_cost(head.manifest, head.tensors())
    if not stages:
        return None
    program = head.manifest["deform"]
    return {
        "stages": [
            {"part": s.part, "kind": s.kind, "text": s.text, "flops": 2 * s.products, "bytes": s.bytes} for s in stages
        ],
        "branches": {branch["name"]: branch["rows"] for branch in program["branches"]},
        "flops": 2 * sum(s.products for s in stages),
        "bytes": sum(s.bytes for s in stages),
        "precision": program["precision"],
        "error": program["error"],
    }


def _precision_text(deform: dict[str, Any]) -> str:
    error = deform["error"]
    if error is None:
        return f"{deform['precision']}; bf16 was not measured at import"
    return (
        f"{deform['precision']}; bf16 is off by {error['mean_px']:.3f} px at most ({error['mean_px_rms']:.3f} rms, of "
        f"{error['motion_px']:.1f} px of motion), colour by {255 * error['color']:.2f}/255, logit by "
        f"{error['logit']:.1g}, over {error['controls']} controls"
    )


def _supports(head: Avatar) -> dict[str, Any]:
    """What drives it: recorded motion by kind of file, speech, and features of an encoder."""
    from ..action_units import told_units

    arkit = any("jawOpen" in into.names for into in head.inputs.values())
    return {
        "motion": {
            "ARKit weights (.csv, .json, .npy)": arkit,
            "FLAME parameters (.npz)": "expr" in head.inputs,
            "own clips (clip:NAME)": bool(head.clips),
            "action units (--au)": bool(told_units(head.inputs.values())),
            "head pose": "head_pose" in head.inputs or "rotation" in head.inputs,
        },
        "speech": head.speaks,
        "features": head.manifest["encoder"],
    }


def _coverage(into: dict[str, Any]) -> str:
    """Which of the input's names move this rig, said the shorter way."""
    absent = into["absent"]
    if not absent:
        return ""
    if 2 * len(absent) < into["size"]:
        return f"; this rig has no {_names(absent)}"
    lost = set(absent)
    return f"; this rig has only {_names([name for name in into['names'] if name not in lost]) or 'none of them'}"


def _part(text: str, letters: int = MAX_TEXT_LETTERS, keep: str = "") -> str:
    """The beginning of a text, with its control characters written out."""
    more = len(text) - letters
    return printable(text[:letters], keep) + (f" ... and {more} more characters; --json shows all" if more > 0 else "")


def _name(text: str) -> str:
    return printable(text[:MAX_NAME_LETTERS]) + ("..." if len(text) > MAX_NAME_LETTERS else "")


def _names(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(map(_name, names[:MAX_NAMES])) + (f" and {more} more; --json shows all" if more > 0 else "")


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from .machine import size_text

    counts, canvas = found["counts"], found["canvas"]
    table = Table(show_header=False, title=_name(found["name"]), title_justify="left", box=None)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()

    def row(label: str, text: str) -> None:
        table.add_row(label, text)

    def rows(label: str, texts: Iterable[str], count: int) -> None:
        for i, text in zip(range(min(count, MAX_ROWS)), texts, strict=False):
            row("" if i else label, text)
        if count > MAX_ROWS:
            row("", f"... and {count - MAX_ROWS} more; --json shows all")

    row(
        "file",
        f"{size_text(found['file_bytes'])}, format {found['format']}; {size_text(found['resident_bytes'])} loaded",
    )
    row("method", f"{found['method']}; {found['color']} colour; binding {found['binding']['kind']}")
    pruned = counts["source_gaussians"] - counts["gaussians"]
    row("Gaussians", f"{counts['gaussians']}" + (f" ({pruned} of the source pruned)" if pruned else ""))
    rig = ", ".join(f"{counts[key]} {key}" for key in ("vertices", "triangles", "joints", "blendshapes"))
    row("rig", found["rig"]["kind"] if found["rig"]["kind"] == "none" else f"{found['rig']['kind']}: {rig}")
    behind = "plate" if found["plate"] else found["background"] or "transparent"
    row("canvas", f"{canvas['width']}x{canvas['height']} at {found['fps']:g} fps; background {behind}")
    inputs, clips = found["inputs"], found["clips"]
    rows(
        "inputs",
        (f"{_name(into['name'])} [{into['size']}] {into['target']}{_coverage(into)}" for into in inputs),
        len(inputs),
    )
    deform = found["deform"]
    if deform is not None:
        branches = ", ".join(f"{_name(name)} {n}" for name, n in deform["branches"].items())
        row("network", f"{branches}; {deform['flops'] / 1e6:.1f} MFLOP and {deform['bytes'] / 1e6:.1f} MB a frame")
        shared = [s for s in deform["stages"] if s["part"] == "condition"]
        flops = sum(s["flops"] for s in shared)
        row("", f"once a frame: {len(shared)} stages, {flops / 1e6:.3g} MFLOP; --json lists them")
        each = [s for s in deform["stages"] if s["part"] != "condition"]
        rows(
            "",
            (
                f"{_name(s['part'])}: {s['kind']} {_name(s['text'])}"
                + (f", {s['flops'] / 1e6:.3g} MFLOP" if s["flops"] else "")
                + (f", {s['bytes'] / 1e6:.3g} MB" if s["bytes"] else "")
                for s in each
            ),
            len(each),
        )
        row("precision", _precision_text(deform))
    rows(
        "clips",
        (
            f"{_name(clip['name'])}: {clip['frames'] / clip['fps']:.1f} s at {clip['fps']:g} fps, "
            f"{_names(clip['inputs'])}"
            for clip in clips
        ),
        len(clips),
    )
    motion = [kind for kind, able in found["supports"]["motion"].items() if able]
    row("driven by", ", ".join(motion) or "nothing: a still scene")
    encoder = found["supports"]["features"]
    if found["supports"]["speech"]:
        row("speech", "by the built-in voice")
    else:
        row("speech", f"by features of {_name(encoder)}: --features" if encoder else "no: it has no face that moves")
    row("licence", _part(found["licence"], keep="\n"))
    row("consent", _part(found["subject_consent"], keep="\n"))
    origin = found["provenance"]
    files = [f"{_name(file['name'])} (sha256 {file['sha256'][:12]})" for file in origin["files"][:MAX_ROWS]]
    more = len(origin["files"]) - MAX_ROWS
    listed = ", ".join(files) + (f" and {more} more; --json shows all" if more > 0 else "")
    row("made from", f"{_name(origin['source_format'])}: {listed or 'no file named'}")
    row("made by", f"{_name(origin['tool'])} {_name(origin['tool_version'])}")
    if origin["notes"]:
        row("notes", _part(origin["notes"]))
    # Neither markup nor ":smile:" is meant by a stranger's text.
    Console(highlight=False, markup=False, emoji=False).print(table)
