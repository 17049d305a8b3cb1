# SPDX-License-Identifier: Apache-2.0
"""An example avatar: the built-in head's Gaussians at its canonical face, and a network that was fitted to its motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from talksplat.speech import builtin_voice

from .. import spec
from ..gaussians import Gaussians, gaussians, morton_sorted
from ..methods.embed_talk import bake as embed_talk
from ..spec import Array, Input, Manifest
from . import knowledge, recipes
from .head import Head, World
from .speech import AFTER, FPS
from .weights import Weights, load, path_of

TOOL, VERSION = "talksplat.authoring.examples", "1"
ENCODER = "talksplat-voice"
SOLID = 0.999  # the largest opacity that still has a logit that a network can lower


def example(method: str, out: str | Path) -> Path:
    """Write the example avatar of a method, one of recipes.NAMES, to out, and return its path; takes seconds.

    The same bytes each time on the same machine. out is replaced at once or, if anything is wrong, left as it was.
    Raises ValueError for another method, and for a folder that does not exist.
    """
    if method not in recipes.NAMES:
        raise ValueError(f"method must be one of {', '.join(recipes.NAMES)}; got {method!r}.")
    out = Path(out)
    if not out.parent.is_dir():
        raise ValueError(f"out: the folder {out.parent} does not exist; create it first.")
    head = Head()
    weights = load(path_of(method), len(head))
    manifest, tensors = _MAKERS[method](head, weights)
    return spec.write(out, manifest, tensors)


def embedtalk(head: Head, weights: Weights) -> tuple[Manifest, dict[str, Array]]:
    config, world = recipes.EMBED_TALK, recipes.EMBED_TALK_WORLD
    assert weights.projection is not None
    embedding = knowledge.embeddings(head, weights.projection, weights.marks)
    cloud = _cloud(head, world)
    cloud = morton_sorted(cloud, cloud.mean)
    rows = cloud.source_index
    program, tensors = embed_talk.bake(config, weights.networks["head"], embedding[rows], logits(head.opacity)[rows])
    manifest = _manifest(head, "embedtalk", world, cloud, embed_talk.inputs(config))
    manifest["deform"] = program
    return manifest, {**cloud.tensors(), **tensors, **_plate(head)}


def logits(opacity: Array) -> Array:
    """[N] float64"""
    solid = np.clip(np.asarray(opacity, np.float64), 1 - SOLID, SOLID)
    return np.log(solid / (1 - solid))


def _cloud(head: Head, world: World) -> Gaussians:
    at = head.canonical
    return gaussians(
        "the built-in head", world.of(at.mean), at.quat, np.exp(at.log_scale) * world.scale, head.opacity, head.color
    )


def _plate(head: Head) -> dict[str, Array]:
    return {"plate/background": np.array(head.avatar.tensors()["plate/background"])}


def _manifest(head: Head, method: str, world: World, cloud: Gaussians, inputs: list[Input]) -> Manifest:
    from_demo = head.avatar.manifest
    view: spec.Camera = dict(from_demo["camera"])  # type: ignore[assignment]
    view["cam_from_world"] = [float(x) for x in world.cam_from(view["cam_from_world"]).ravel()]
    return spec.manifest(
        name=f"{method} example",
        method=method,
        fps=FPS,
        canvas=from_demo["canvas"],
        camera=view,
        background=from_demo["background"],
        color=cloud.color_kind,
        source_count=cloud.source_count,
        inputs=inputs,
        encoder=ENCODER,
        look_ahead_ms=AFTER * 1e3 / FPS + builtin_voice().look_ahead_s * 1e3,
        licence=from_demo["licence"],
        subject_consent=from_demo["subject_consent"],
        provenance={"source_format": "generated", "files": [], "tool": TOOL, "tool_version": VERSION,
                    "notes": "The head is made from formulas; its network was fitted to its rig and to synthetic speech."},
    )  # fmt: skip


_MAKERS = {"embedtalk": embedtalk}
