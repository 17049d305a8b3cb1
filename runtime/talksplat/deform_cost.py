# SPDX-License-Identifier: Apache-2.0
"""What a deform program costs in a frame, by stage: multiply-adds and bytes, counted from the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]
ROW_BYTES = {"mean": 24, "log_scale": 24, "softplus_scale": 24, "rotation": 32, "logit": 8, "color": 24, "sh": 24}


class StageCost(NamedTuple):
    """part: "condition" or the branch's name.  products: multiply-adds in a frame, attention folded as the core does.
    bytes: static rows that are read and Gaussians that are read and written; weights stay in the caches."""

    part: str
    kind: str
    text: str
    products: int
    bytes: int


def deform_cost(manifest: Mapping[str, Any], tensors: Tensors) -> list[StageCost]:
    """The stages of an avatar's deform program in order; none for avatars without one."""
    program = manifest["deform"]
    if not program.get("branches"):
        return []
    return _condition(program["condition"], tensors) + [
        cost for branch in program["branches"] for cost in _branch(branch, tensors, manifest)
    ]


def _condition(stages: list[dict[str, Any]], tensors: Tensors) -> list[StageCost]:
    shapes: dict[str, tuple[int, int, int]] = {}  # rows, channels, length
    costs = []
    for i, stage in enumerate(stages):
        kind, place = stage["kind"], f"deform/condition/{i}/"
        x = shapes.get(stage["in"], (1, 1, 1)) if isinstance(stage.get("in"), str) else (1, 1, 1)
        products = 0
        if kind == "input":
            out = tuple(stage["shape"])
        elif kind == "constant":
            out = (*tensors[place + "value"].shape, 1)
        elif kind == "linear":
            outputs, inputs = tensors[place + "weight"].shape
            out, products = (x[0], outputs, 1), x[0] * outputs * inputs
        elif kind == "conv":
            outputs, channels, taps = tensors[place + "weight"].shape
            length = (x[2] + 2 * stage["padding"] - taps) // stage["stride"] + 1
            out, products = (x[0], outputs, length), x[0] * outputs * channels * taps * length
        elif kind == "waves":
            each = int(stage["keep"]) + 2 * len(tensors[place + "frequency"])
            out = (x[0], x[1] * x[2] * each, 1)
        elif kind == "transpose":
            out = (1, x[1], x[0])
        elif kind == "pool":
            out, products = (1, x[1], x[2]), x[0] * x[1] * x[2]
        elif kind == "slice":
            out = (1, stage["count"], 1)
        else:
            out = (1, sum(shapes[name][1] * shapes[name][2] for name in stage["in"]), 1)
        shapes[stage["out"]] = out
        costs.append(StageCost("condition", kind, f"{stage['out']} {list(out)}", products, 0))
    return costs


def _branch(branch: Mapping[str, Any], tensors: Tensors, manifest: Mapping[str, Any]) -> list[StageCost]:
    n, root = branch["rows"], f"deform/{branch['name']}/"
    unread = {name: tensors[f"{root}static/{name}"].shape[1] for name in branch["static"]}
    widths = dict(unread)
    costs = []
    for i, stage in enumerate(branch["stages"]):
        kind, place = stage["kind"], f"{root}{i}/"
        x = widths.get(stage.get("in"), 0)
        each, moved = 0, 0
        if kind == "linear":
            width = len(tensors[place + "weight"]) if x else widths[stage["plus"]]
            each = width * x
        elif kind == "attention":
            width = x
            each = 2 * x * stage["heads"] * len(stage["tokens"])
        elif kind == "norm":
            width = x
        else:
            width = len(tensors[place + "weight"])
            each, moved = width * x, ROW_BYTES[stage["to"]]
            if stage["to"] == "sh":  # the coefficients that are added to
                moved += 4 * width
        for name in (stage.get("in"), stage.get("plus")):
            moved += 4 * unread.pop(name, 0)
        if kind != "add":
            widths[stage["out"]] = width
        text = f"{x} to {width}" if x else f"{width}"
        costs.append(StageCost(branch["name"], kind, text + (f", {stage['to']}" if kind == "add" else ""),
                               n * each, n * moved))  # fmt: skip
    return costs
