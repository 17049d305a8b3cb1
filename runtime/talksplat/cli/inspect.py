"""talksplat inspect"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .options import AvatarPath, Json

if TYPE_CHECKING:
    from ..avatar import Avatar


def inspect(avatar: AvatarPath, json: Json = False) -> None:
    """Show what is in an avatar file and what can be done with it."""
    from ..avatar import load

    found = _describe(load(avatar, threads=1))
    if json:
        import json as text

        print(text.dumps(found, indent=2, ensure_ascii=False))
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


def _supports(head: Avatar) -> dict[str, Any]:
    """What drives it: recorded motion by kind of file, and speech."""
    arkit = any("jawOpen" in into.names for into in head.inputs.values())
    return {
        "motion": {
            "ARKit weights (.csv, .json, .npy)": arkit,
            "FLAME parameters (.npz)": "expr" in head.inputs,
            "own clips (clip:NAME)": bool(head.clips),
            "head pose": "head_pose" in head.inputs or "rotation" in head.inputs,
        },
        "speech": head.speaks,
    }


def _coverage(into: dict[str, Any]) -> str:
    """Which of the input's names move this rig, said the shorter way."""
    if not into["absent"]:
        return ""
    if 2 * len(into["absent"]) < into["size"]:
        return f"; this rig has no {', '.join(into['absent'])}"
    present = [name for name in into["names"] if name not in into["absent"]]
    return f"; this rig has only {', '.join(present) or 'none of them'}"


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from .machine import size_text

    counts, canvas = found["counts"], found["canvas"]
    table = Table(show_header=False, title=found["name"], title_justify="left", box=None)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()

    def row(label: str, text: str) -> None:
        table.add_row(label, text)

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
    for i, into in enumerate(found["inputs"]):
        row("inputs" if i == 0 else "", f"{into['name']} [{into['size']}] {into['target']}{_coverage(into)}")
    for i, clip in enumerate(found["clips"]):
        seconds = clip["frames"] / clip["fps"]
        row(
            "clips" if i == 0 else "",
            f"{clip['name']}: {seconds:.1f} s at {clip['fps']:g} fps, {', '.join(clip['inputs'])}",
        )
    motion = [kind for kind, able in found["supports"]["motion"].items() if able]
    row("driven by", ", ".join(motion) or "nothing: a still scene")
    row("speech", "by the built-in voice" if found["supports"]["speech"] else "no: it has no face that moves")
    row("licence", found["licence"])
    row("consent", found["subject_consent"])
    origin = found["provenance"]
    files = ", ".join(f"{file['name']} (sha256 {file['sha256'][:12]})" for file in origin["files"])
    row("made from", f"{origin['source_format']}: {files or 'no file named'}")
    row("made by", f"{origin['tool']} {origin['tool_version']}")
    if origin["notes"]:
        row("notes", origin["notes"])
    Console(highlight=False, markup=False).print(table)
