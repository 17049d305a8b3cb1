# SPDX-License-Identifier: Apache-2.0
"""deform in float64: FORMAT.md's "Deform programs", stage by stage, for one control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.tsplat import Tsplat

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Deformed:
    """Activated rows [N,...] in the file's order; color as in the file."""

    mean: Array
    quat: Array
    scale: Array
    opacity: Array
    color: Array


def deform_ref(file: Tsplat, posed: Any, control: Mapping[str, Array], cam_from_world: Array | None = None) -> Deformed:
    """posed (mean, quat, scale) after the file's program; inputs that control lacks have their defaults.

    cam_from_world: [4,4] for an input that follows the camera; the file's camera if None.
    """
    color = file.f64("gaussians/color" if file.manifest["color"] == "rgb" else "gaussians/sh")
    opacity = file.f64("gaussians/opacity")
    program = file.manifest["deform"]
    if not program.get("branches"):
        return Deformed(posed.mean, posed.quat, posed.scale, opacity, color)
    values = condition_ref(file, control, cam_from_world)
    parts = []
    first = 0
    for branch in program["branches"]:
        rows = slice(first, first + branch["rows"])
        first += branch["rows"]
        quat = np.asarray(posed.quat, np.float64)[rows]
        start = Deformed(posed.mean[rows], quat, posed.scale[rows], opacity[rows], color[rows])
        parts.append(branch_ref(file, branch, values, start))
    return Deformed(*(np.concatenate(arrays) for arrays in zip(*(vars(p).values() for p in parts), strict=True)))


def condition_ref(file: Tsplat, control: Mapping[str, Array], cam_from_world: Array | None = None) -> dict[str, Array]:
    """The condition's values by name, each [rows,channels,length]."""
    values: dict[str, Array] = {}
    for i, stage in enumerate(file.manifest["deform"]["condition"]):
        values[stage["out"]] = _condition_stage(file, stage, f"deform/condition/{i}/", values, control, cam_from_world)
    return values


def _condition_stage(file, stage, place, values, control, cam_from_world):  # type: ignore[no-untyped-def]
    kind = stage["kind"]
    if kind == "input":
        return input_ref(file, stage["input"], control, cam_from_world).reshape(stage["shape"])
    if kind == "constant":
        return file.f64(place + "value")[:, :, None]
    if kind == "join":
        return np.concatenate([values[name].ravel() for name in stage["in"]])[None, :, None]
    x = values[stage["in"]]
    if kind == "linear":
        y = x.reshape(len(x), -1) @ file.f64(place + "weight").T + _bias(file, place)
        return activate(stage, y)[:, :, None]
    if kind == "conv":
        y = conv1d(x, file.f64(place + "weight"), file.f64(place + "bias"), stage["stride"], stage["padding"])
        return activate(stage, y)
    if kind == "waves":
        angle = x.reshape(len(x), -1, 1) * file.f64(place + "frequency")
        waves = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(*angle.shape[:2], -1)
        if stage["keep"]:
            waves = np.concatenate([x.reshape(len(x), -1, 1), waves], axis=2)
        return waves.reshape(len(x), -1, 1)
    if kind == "transpose":
        return x[:, :, 0].T[None]
    if kind == "pool":
        return np.tensordot(values[stage["weights"]].ravel(), x, axes=(0, 0))[None]
    if kind == "slice":
        return x.ravel()[stage["first"] : stage["first"] + stage["count"]][None, :, None]
    raise ValueError(kind)


def input_ref(file: Tsplat, name: str, control: Mapping[str, Array], cam_from_world: Array | None = None) -> Array:
    item = next(i for i in file.manifest["inputs"] if i["name"] == name)
    value = control.get(name, item.get("default", np.zeros(item["size"])))
    flat = np.asarray(value, np.float32).astype(np.float64).ravel()
    if item.get("follows") != "camera" or flat.any():
        return flat
    view = file.manifest["camera"]["cam_from_world"] if cam_from_world is None else cam_from_world
    view = np.asarray(view, np.float64).reshape(4, 4)
    return np.concatenate([view[:3, :3].T.ravel(), view[:3, 3]])


def conv1d(x: Array, weight: Array, bias: Array, stride: int, padding: int) -> Array:
    """x [rows,channels,length]: the correlation that networks call a convolution."""
    taps = weight.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding)))
    length = (padded.shape[2] - taps) // stride + 1
    return np.stack(
        [np.einsum("rck,ock->ro", padded[:, :, t * stride : t * stride + taps], weight) + bias for t in range(length)],
        axis=2,
    )


def branch_ref(file: Tsplat, branch: Mapping[str, Any], values: Mapping[str, Array], start: Deformed) -> Deformed:
    """One branch's Gaussians after its stages; start has those that came in."""
    root = f"deform/{branch['name']}/"
    of: dict[str, Array] = {name: file.f64(f"{root}static/{name}") for name in branch["static"]}
    added: dict[str, Array] = {}
    for i, stage in enumerate(branch["stages"]):
        place = f"{root}{i}/"
        if stage["kind"] == "add":
            added[stage["to"]] = of[stage["in"]] @ file.f64(place + "weight").T + _bias(file, place)
        else:
            of[stage["out"]] = _branch_stage(file, stage, place, of, values)
    raw = {
        name: file.f64(f"{root}canonical/{name}").reshape(added[name].shape) + added[name]
        for name in CANONICAL & set(added)
    }
    mean, color = np.asarray(start.mean, np.float64), start.color
    if "color" in added:
        color = color + added["color"]
    if "sh" in added:
        color = color + added["sh"].reshape(color.shape)
    quat = start.quat
    if "rotation" in raw:
        quat = raw["rotation"] / np.linalg.norm(raw["rotation"], axis=1, keepdims=True)
    scale = np.asarray(start.scale, np.float64)
    if "log_scale" in raw:
        scale = np.exp(raw["log_scale"])
    if "softplus_scale" in raw:
        scale = np.logaddexp(0.0, raw["softplus_scale"])
    return Deformed(
        mean=mean + added.get("mean", 0.0),
        quat=quat,
        scale=scale,
        opacity=1 / (1 + np.exp(-raw["logit"].ravel())) if "logit" in raw else start.opacity,
        color=color,
    )


CANONICAL = {"log_scale", "softplus_scale", "rotation", "logit"}


def _branch_stage(file, stage, place, of, values):  # type: ignore[no-untyped-def]
    kind = stage["kind"]
    plus = of[stage["plus"]] if stage.get("plus") else 0.0
    if kind == "linear":
        y = plus + _bias(file, place)
        if stage.get("in"):
            x = of[stage["in"]]
            if stage.get("gain"):
                x = x * values[stage["gain"]].ravel()
            y = y + x @ file.f64(place + "weight").T
        if stage.get("frame"):
            y = y + values[stage["frame"]].ravel()
        return activate(stage, y)
    if kind == "attention":
        return attention_ref(file, stage, place, of[stage["in"]], values) + plus
    if kind == "norm":
        x = of[stage["in"]]
        centred = x - x.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + stage["epsilon"])
        return activate(stage, scaled * file.f64(place + "gamma") + file.f64(place + "beta"))
    raise ValueError(kind)


def attention_ref(file: Tsplat, stage: Any, place: str, x: Array, values: Mapping[str, Array]) -> Array:
    def map_(name: str, x: Array) -> Array:
        return x @ file.f64(f"{place}{name}/weight").T + file.f64(f"{place}{name}/bias")

    tokens = np.stack([values[name].ravel() for name in stage["tokens"]])
    q, k, v = map_("query", x), map_("key", tokens), map_("value", tokens)
    size = x.shape[1] // stage["heads"]
    read = []
    for h in range(stage["heads"]):
        at = slice(h * size, (h + 1) * size)
        score = q[:, at] @ k[:, at].T / np.sqrt(size)
        weight = np.exp(score - score.max(1, keepdims=True))
        read.append(weight / weight.sum(1, keepdims=True) @ v[:, at])
    return map_("out", np.concatenate(read, axis=1))


def activate(stage: Mapping[str, Any], x: Array) -> Array:
    kind = stage["activation"]
    if kind == "none":
        return x
    if kind == "relu":
        return np.maximum(x, 0)
    if kind == "leaky_relu":
        return np.where(x > 0, x, stage["slope"] * x)
    if kind == "tanh":
        return np.tanh(x)
    if kind == "softmax":
        flat = x.reshape(len(x), -1)
        e = np.exp(flat - flat.max(1, keepdims=True))
        return (e / e.sum(1, keepdims=True)).reshape(x.shape)
    raise ValueError(kind)


def _bias(file: Tsplat, place: str) -> Array | float:
    return file.f64(place + "bias") if file.get(place + "bias") is not None else 0.0
