# SPDX-License-Identifier: Apache-2.0
"""Example avatars: the built-in head's Gaussians at its canonical face, and a network fitted to its motion."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from talksplat.speech import builtin_voice

from .. import spec
from ..deform_spec import Program
from ..gaussians import SH_C0, Gaussians, softplus_scale
from ..methods.cloud import RawCloud, joined, prepared
from ..methods.embed_talk import bake as embed_talk
from ..methods.embed_talk.config import shapes as embed_talk_shapes
from ..methods.gaussian_talker import bake as gt
from ..methods.gaussian_talker.config import shapes as gaussian_talker_shapes
from ..methods.talking_gaussian import bake as tg
from ..methods.talking_gaussian.config import face_shapes, mouth_shapes
from ..methods.views import head_turn
from ..methods.weights import Shapes, read_weights
from ..precision import choose_precision
from ..spec import Array, Input, Manifest
from . import knowledge, recipes
from .head import Head, World
from .speech import AFTER, FPS
from .weights import Weights, load, path_of

HEAD = "the built-in head"
TOOL, VERSION = "talksplat.authoring.examples", "1"
NECK = (0.0, -0.066, -0.020)  # metres, the demo's joint
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
    choose_precision(manifest, tensors)
    return spec.write(out, manifest, tensors)


def embedtalk(head: Head, weights: Weights) -> tuple[Manifest, dict[str, Array]]:
    config, world = recipes.EMBED_TALK, recipes.EMBED_TALK_WORLD
    assert weights.projection is not None
    embedding = knowledge.embeddings(head, weights.projection, weights.marks)
    cloud, raw = prepared(HEAD, _raw(head, world))
    state = _state(weights, "head", embed_talk_shapes(config))
    program, tensors = embed_talk.bake(raw, embedding[cloud.source_index], state, config)
    manifest = _manifest(head, "embedtalk", weights.features, world, cloud, embed_talk.inputs(config), program)
    return manifest, {**cloud.tensors(), **tensors, **_plate(head)}


def gaussian_talker(head: Head, weights: Weights) -> tuple[Manifest, dict[str, Array]]:
    config, world = recipes.GAUSSIAN_TALKER, recipes.GAUSSIAN_TALKER_WORLD
    cloud, raw = prepared(HEAD, _raw(head, world))
    state = _state(weights, "head", gaussian_talker_shapes(config))
    program, tensors = gt.bake(raw, state, config)
    manifest = _manifest(head, "gaussian-talker", weights.features, world, cloud, gt.inputs(config), program)
    return manifest, {**cloud.tensors(), **tensors, **_plate(head)}


def talking_gaussian(head: Head, weights: Weights) -> tuple[Manifest, dict[str, Array]]:
    config, world = recipes.TALKING_GAUSSIAN, recipes.TALKING_GAUSSIAN_WORLD
    raw, behind = _raw(head, world), weights.marks["behind"]
    raw = replace(raw, scale=np.log(np.expm1(np.exp(raw.scale))))  # that softplus makes the same scale of
    # Rows of the source are the face's, then the mouth's, as in a checkpoint of both.
    face, raw_face = prepared(HEAD, raw[np.flatnonzero(~behind)], softplus_scale)
    mouth, raw_mouth = prepared(HEAD, raw[np.flatnonzero(behind)], softplus_scale)
    states = _state(weights, "face", face_shapes(config.face)), _state(weights, "mouth", mouth_shapes(config.mouth))
    program, tensors = tg.bake(raw_face, raw_mouth, *states, config.face, config.mouth)
    cloud = joined(face, mouth)
    manifest = _manifest(head, "talking-gaussian", weights.features, world, cloud, tg.inputs(config.face), program)
    return manifest, {**cloud.tensors(), **tensors, **_plate(head)}


def _raw(head: Head, world: World) -> RawCloud:
    """The head at its canonical face, as training would have it: logits, log-scales, SH coefficients."""
    at = head.canonical
    solid = np.clip(head.opacity.astype(np.float64), 1 - SOLID, SOLID)
    return RawCloud(
        mean=world.of(at.mean),
        scale=at.log_scale + math.log(world.scale),
        rotation=at.quat,
        logit=np.log(solid / (1 - solid)),
        color=((head.color.astype(np.float64) - 0.5) / SH_C0)[:, None],
    )


def _state(weights: Weights, network: str, shapes: Shapes) -> dict[str, Array]:
    return read_weights(f"the example's network {network!r}", weights.networks[network], shapes)


def _plate(head: Head) -> dict[str, Array]:
    return {"plate/background": np.array(head.avatar.tensors()["plate/background"])}


def _manifest(
    head: Head, method: str, features: str, world: World, cloud: Gaussians, inputs: list[Input], program: Program
) -> Manifest:
    from_demo = head.avatar.manifest
    view: spec.Camera = dict(from_demo["camera"])  # type: ignore[assignment]
    view["cam_from_world"] = [float(x) for x in world.cam_from(np.array(view["cam_from_world"])).ravel()]
    return spec.manifest(
        name=f"{method} example",
        method=method,
        fps=FPS,
        canvas=from_demo["canvas"],
        camera=view,
        background=from_demo["background"],
        color=cloud.color_kind,
        source_count=cloud.source_count,
        inputs=[*inputs, head_turn(world.of(np.array([NECK]))[0])],
        deform=program,
        encoder=features,
        look_ahead_ms=AFTER * 1e3 / FPS + builtin_voice().look_ahead_s * 1e3,
        licence=from_demo["licence"],
        subject_consent=from_demo["subject_consent"],
        provenance={"source_format": "generated", "files": [], "tool": TOOL, "tool_version": VERSION,
                    "notes": "The head is made from formulas; its network was fitted to its rig, to synthetic speech."},
    )  # fmt: skip


_MAKERS = {"embedtalk": embedtalk, "gaussian-talker": gaussian_talker, "talking-gaussian": talking_gaussian}
