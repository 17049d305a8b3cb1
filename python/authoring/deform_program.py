# SPDX-License-Identifier: Apache-2.0
"""Deform programs in the making: stages are added one by one, and their tensors get the names of their places.

Every method returns the name of the value that it writes, for the stages after it. Nothing is checked here: spec.write
does that (deform_spec.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .deform_spec import Branch, Program, Stage
from .spec_checks import Array


class Condition:
    """The stages that make vectors of the control, once per frame (FORMAT.md, "condition")."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self.tensors: dict[str, Array] = {}

    def input(self, out: str, name: str, shape: Sequence[int]) -> str:
        return self._stage("input", out, input=name, shape=[int(x) for x in shape])

    def constant(self, out: str, value: Array) -> str:
        """value [r,c]"""
        self._tensor("value", value)
        return self._stage("constant", out)

    def linear(self, out: str, x: str, weight: Array, bias: Array | None = None, activation: str = "none",
               slope: float | None = None) -> str:  # fmt: skip
        """weight [o,i], bias [o]"""
        self._map(weight, bias)
        return self._stage("linear", out, **{"in": x}, **_activated(activation, slope))

    def conv(self, out: str, x: str, weight: Array, bias: Array, stride: int, padding: int, activation: str = "none",
             slope: float | None = None) -> str:  # fmt: skip
        """weight [o,channels,k], bias [o]"""
        self._map(weight, bias)
        return self._stage("conv", out, **{"in": x}, stride=stride, padding=padding, **_activated(activation, slope))

    def waves(self, out: str, x: str, frequency: Array, keep: bool) -> str:
        """frequency [f]"""
        self._tensor("frequency", frequency)
        return self._stage("waves", out, **{"in": x}, keep=keep)

    def transpose(self, out: str, x: str) -> str:
        return self._stage("transpose", out, **{"in": x})

    def pool(self, out: str, x: str, weights: str) -> str:
        return self._stage("pool", out, **{"in": x}, weights=weights)

    def slice(self, out: str, x: str, first: int, count: int) -> str:
        return self._stage("slice", out, **{"in": x}, first=first, count=count)

    def join(self, out: str, values: Sequence[str]) -> str:
        return self._stage("join", out, **{"in": list(values)})

    def _map(self, weight: Array, bias: Array | None) -> None:
        self._tensor("weight", weight)
        if bias is not None:
            self._tensor("bias", bias)

    def _tensor(self, name: str, value: Array) -> None:
        self.tensors[f"deform/condition/{len(self.stages)}/{name}"] = _float32(value)

    def _stage(self, kind: str, out: str, **keys: object) -> str:
        self.stages.append({"kind": kind, "out": out, **keys})
        return out


class BranchProgram:
    """The stages of one branch: what is added to each of its Gaussians (FORMAT.md, "branches")."""

    def __init__(self, name: str, rows: int, dilate_px: int = 0) -> None:
        self.branch: Branch = {"name": name, "rows": rows, "dilate_px": dilate_px, "static": [], "stages": []}
        self.tensors: dict[str, Array] = {}

    def static(self, name: str, rows: Array) -> str:
        """rows [rows,w]"""
        self.branch["static"].append(name)
        self.tensors[f"deform/{self.branch['name']}/static/{name}"] = _float32(rows)
        return name

    def linear(self, out: str, x: str | None = None, weight: Array | None = None, bias: Array | None = None, *,
               gain: str | None = None, frame: str | None = None, plus: str | None = None, activation: str = "none",
               slope: float | None = None) -> str:  # fmt: skip
        """weight [o,i], bias [o]"""
        self._map("", weight, bias)
        keys = {"in": x, "gain": gain, "frame": frame, "plus": plus}
        return self._stage("linear", out, **_given(keys), **_activated(activation, slope))

    def attention(self, out: str, x: str, tokens: Sequence[str], heads: int, maps: Mapping[str, tuple[Array, Array]],
                  plus: str | None = None) -> str:  # fmt: skip
        """maps: query, key, value and out, each its weight [d,d] and its bias [d]."""
        for name, (weight, bias) in maps.items():
            self._map(f"{name}/", weight, bias)
        return self._stage("attention", out, **{"in": x}, tokens=list(tokens), heads=heads, **_given({"plus": plus}))

    def norm(self, out: str, x: str, gamma: Array, beta: Array, epsilon: float, activation: str = "none") -> str:
        """gamma, beta [w]"""
        self._tensor("gamma", gamma)
        self._tensor("beta", beta)
        return self._stage("norm", out, **{"in": x}, epsilon=epsilon, activation=activation)

    def add(self, to: str, x: str, weight: Array, bias: Array | None = None, canonical: Array | None = None) -> None:
        """weight [o,i], bias [o]; canonical: the raw values of a log_scale, a rotation or a logit, [rows,...]."""
        self._map("", weight, bias)
        if canonical is not None:
            self.tensors[f"deform/{self.branch['name']}/canonical/{to}"] = _float32(canonical)
        self.branch["stages"].append({"kind": "add", "in": x, "to": to})

    def _map(self, place: str, weight: Array | None, bias: Array | None) -> None:
        for name, value in (("weight", weight), ("bias", bias)):
            if value is not None:
                self._tensor(f"{place}{name}", value)

    def _tensor(self, name: str, value: Array) -> None:
        self.tensors[f"deform/{self.branch['name']}/{len(self.branch['stages'])}/{name}"] = _float32(value)

    def _stage(self, kind: str, out: str, **keys: object) -> str:
        self.branch["stages"].append({"kind": kind, "out": out, **keys})
        return out


def program_of(condition: Condition, branches: Sequence[BranchProgram]) -> tuple[Program, dict[str, Array]]:
    """The manifest's program, in float32 and not yet measured, and all of its tensors."""
    tensors = dict(condition.tensors)
    for branch in branches:
        tensors.update(branch.tensors)
    program: Program = {
        "condition": condition.stages,
        "branches": [branch.branch for branch in branches],
        "precision": "fp32",
        "error": None,
    }
    return program, tensors


def _given(keys: dict[str, str | None]) -> dict[str, object]:
    return {key: value for key, value in keys.items() if value is not None}


def _activated(activation: str, slope: float | None) -> dict[str, object]:
    return {"activation": activation, **({} if slope is None else {"slope": slope})}


def _float32(value: Array) -> Array:
    with np.errstate(over="ignore"):  # what is too large is named when the file is written
        return np.ascontiguousarray(value, np.float32)
