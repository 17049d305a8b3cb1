# SPDX-License-Identifier: Apache-2.0
"""Parts of an encoder to a folder, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from talksplat._arrays import FloatArray
from talksplat.encoders.folder import (
    FEATURE_HZ,
    FORMAT,
    FRONT,
    GOLDEN,
    GRAPHS,
    MANIFEST,
    OPSET,
    RATE_HZ,
    STATE,
)
from talksplat.errors import EncoderInvalid

from .golden import Golden, make_golden, speech_windows
from .graphs import export_graph, halved, run_graph, write_int8, write_int8_static
from .hashes import hash_of
from .int8 import plan_int8
from .parts import Parts
from .place import whole_folder
from .wish import REVISION

PACKAGES = ("torch", "transformers", "onnx", "onnxruntime", "talksplat")
BATCHES = {"fp16"}  # what GPUs run, of several speakers at once
# Of the root of the mean square of what torch makes: the graphs in float32 come within 1e-5 of it.
MAX_ERROR = 1e-4


def write_folder(
    parts: Parts, folder: Path, *, fp16: bool, tell: Callable[[str], None] = lambda step: None
) -> dict[str, float]:
    """Write the parts as an encoder folder of format 1, in the place of what lies there.

    fp16: a transformer in float16 too.  tell: called with what is done next.
    Returns, for each precision, how far onnxruntime's features are from torch's on the self-test, as a part of their
    root mean square. Raises EncoderInvalid where float32 is not within MAX_ERROR, OSError where nothing can be written.
    """
    with whole_folder(folder) as place:
        return _write(parts, place, fp16, tell)


def _write(parts: Parts, place: Path, fp16: bool, tell: Callable[[str], None]) -> dict[str, float]:
    parts.front.eval()
    parts.transformer.eval()
    tell("running the model on the self-test's sound")
    windows = speech_windows(parts)
    golden = make_golden(parts, windows)
    states = {f"state/{name}": state for name, state in parts.states.items()}
    save_file({**states, "rest_row": golden.rest_row}, place / STATE)
    save_file(golden.tensors, place / GOLDEN)

    tell("exporting the front")
    inputs = {"samples": torch.zeros(1, parts.samples)}
    inputs |= {f"state_{name}": torch.from_numpy(state) for name, state in parts.states.items()}
    export_graph(parts.front, inputs, ["rows", *(f"new_state_{name}" for name in parts.states)], place / FRONT)

    tell("exporting the transformer")
    zeros = {"window": torch.zeros(1, parts.window, parts.front_width)}
    export_graph(parts.transformer, zeros, ["features"], place / GRAPHS["fp32"])
    tell("quantising its matrix products to int8")
    plan = plan_int8(parts.transformer, windows, float(golden.tensors["deviation"][0]))
    write_int8(place / GRAPHS["fp32"], place / GRAPHS["int8"], plan)
    write_int8_static(place / GRAPHS["fp32"], place / GRAPHS["int8-static"], plan)
    graphs = {name: GRAPHS[name] for name in ("fp32", "int8", "int8-static")}
    if fp16:
        tell("exporting it in float16")
        graphs["fp16"] = GRAPHS["fp16"]
        export_graph(halved(parts.transformer), zeros, ["features"], place / GRAPHS["fp16"], any_speakers=True)

    tell("running the graphs on the self-test")
    errors = _errors(parts, golden, place, graphs)
    manifest = json.dumps(_manifest(parts, place, graphs), indent=1)
    (place / MANIFEST).write_text(manifest + "\n", encoding="utf-8")
    return errors


def _errors(parts: Parts, golden: Golden, place: Path, graphs: dict[str, str]) -> dict[str, float]:
    wanted = golden.tensors
    inputs = {"samples": wanted["samples"][None], **{f"state_{name}": state for name, state in parts.states.items()}}
    rows, *states = run_graph(place / FRONT, inputs)
    front = max(
        _error(rows[0], wanted["rows"]),
        *(_error(state, wanted[f"state/{name}"]) for state, name in zip(states, parts.states, strict=True)),
        0.0,
    )
    window = {"window": wanted["window"][None]}
    found = {name: _error(run_graph(place / file, window)[0][0], wanted["features"]) for name, file in graphs.items()}
    for file, error in ((FRONT, front), (GRAPHS["fp32"], found["fp32"])):
        if not error <= MAX_ERROR:
            raise EncoderInvalid(
                f"{file}: onnxruntime's output is {error:.2g} of its size away from torch's; {MAX_ERROR:g} is allowed. "
                "Another version of torch or of onnxruntime may do better."
            )
    return found


def _error(found: FloatArray, wanted: FloatArray) -> float:
    """Root mean square of the difference to that of what is wanted; not a number where either is not."""
    size = float(np.sqrt(np.mean(np.square(wanted, dtype=np.float64))))
    difference = float(np.sqrt(np.mean(np.square(found.astype(np.float64) - wanted))))
    return difference / max(size, 1e-12)


def _manifest(parts: Parts, place: Path, graphs: dict[str, str]) -> dict[str, Any]:
    files = (FRONT, *graphs.values(), STATE, GOLDEN)
    return {
        "format": FORMAT, "name": parts.name, "family": parts.family, "rate_hz": RATE_HZ, "feature_hz": FEATURE_HZ,
        "width": parts.width, "hidden_layer": parts.hidden_layer, "preset": parts.preset,
        "left": parts.left, "chunk": parts.chunk, "right": parts.right, "order": parts.order, "fps": parts.fps,
        "front": {
            "chunk": parts.rows, "hop": parts.hop, "samples": parts.samples, "lead": parts.lead,
            "centre": parts.centre, "width": parts.front_width,
            "state": [{"name": name, "shape": list(state.shape)} for name, state in parts.states.items()],
        },
        "graphs": graphs, "batches": sorted(BATCHES & set(graphs)), "opset": OPSET, "source": parts.source,
        "revision": REVISION,
        "files": {name: _described(place / name) for name in files},
        "versions": {name: metadata.version(name) for name in PACKAGES},
    }  # fmt: skip


def _described(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hash_of([file])}
