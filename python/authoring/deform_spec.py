# SPDX-License-Identifier: Apache-2.0
"""Deform programs (FORMAT.md, "Deform programs"): their keys, tensors and limits, and the check of a whole one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, TypedDict

import numpy as np

from talksplat._text import shown
from talksplat.errors import AvatarInvalid

from .spec_checks import MAX_ROWS, NAME, Array, check_keys, is_integer, is_number, require

MAX_BRANCHES, MAX_STAGES = 8, 64
MAX_WIDTH, MAX_NUMBERS = 1024, 4096  # of one value of a Gaussian, and of all of them
MAX_CONDITION_FLOATS, MAX_CONDITION_PRODUCTS = 1 << 20, 1 << 28
MAX_DILATION = 255
MAX_HEADS = 64
PRECISIONS = ("fp32", "bf16")
ACTIVATIONS = ("none", "relu", "leaky_relu", "tanh")
CONDITION_ACTIVATIONS = (*ACTIVATIONS, "softmax")
# Of what is added to; sh is wider.
WIDTHS = {"mean": 3, "log_scale": 3, "softplus_scale": 3, "rotation": 4, "logit": 1, "color": 3}
SCALES = ("log_scale", "softplus_scale")  # two activations of one thing
CANONICAL = (*SCALES, "rotation", "logit")
NO_STAGES: dict[str, Any] = {"stages": []}  # the program that changes nothing

Stage = dict[str, Any]  # "kind" says which keys it has, in the tables below
Tensors = Mapping[str, Array]
Shape = tuple[int, ...]


class Branch(TypedDict):
    name: str
    rows: int
    dilate_px: int
    static: list[str]
    stages: list[Stage]


class Measured(TypedDict):
    """The largest differences of bfloat16 to float32 over some controls (precision.py)."""

    controls: int
    motion_px: float
    mean_px: float
    mean_px_rms: float
    color: float
    logit: float
    scale: float
    rotation: float


class Program(TypedDict):
    condition: list[Stage]
    branches: list[Branch]
    precision: str
    error: Measured | None


# Keys beside "kind", "out" and what an activation adds; with a ? where they may be absent.
_CONDITION_KEYS = {
    "input": ("input", "shape"),
    "constant": (),
    "linear": ("in", "activation"),
    "conv": ("in", "stride", "padding", "activation"),
    "waves": ("in", "keep"),
    "transpose": ("in",),
    "pool": ("in", "weights"),
    "slice": ("in", "first", "count"),
    "join": ("in",),
}
_BRANCH_KEYS = {
    "linear": ("in?", "gain?", "frame?", "plus?", "activation"),
    "attention": ("in", "tokens", "heads", "plus?"),
    "norm": ("in", "epsilon", "activation"),
    "add": ("in", "to"),
}


def check_program(
    program: Mapping[str, Any], input_sizes: Mapping[str, int], n: int, n_coefficients: int, tensors: Tensors
) -> None:
    """Raise AvatarInvalid unless this is a program for n Gaussians, with exactly its tensors among those deform/....

    input_sizes: of the inputs whose target is "deform"; n_coefficients: of spherical harmonics, 0 if colours are RGB.
    """
    own = {name: array for name, array in tensors.items() if name.startswith("deform/")}
    reader = _Tensors(own)
    if program != NO_STAGES:
        check_keys(program, "manifest.deform", Program)
        require(program["precision"] in PRECISIONS, "manifest.deform.precision", f"one of {PRECISIONS}",
                program["precision"])  # fmt: skip
        _check_error(program["error"])
        condition = _Condition(program["condition"], input_sizes, reader)
        _check_branches(program["branches"], condition, n, n_coefficients, reader)
    stray = sorted(set(own) - reader.read)
    if stray:
        raise AvatarInvalid(
            f"tensor {stray[0]} has no meaning in this avatar: no stage of its deform program reads it."
        )


class _Tensors:
    """Tensors by their place, and which of them were asked for."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self.read: set[str] = set()

    def has(self, name: str) -> bool:
        return name in self._tensors

    def get(self, name: str, *shape: int | str) -> Shape:
        """The shape of a tensor that must be there, finite, with this shape; a letter stands for any size from 1."""
        self.read.add(name)
        if name not in self._tensors:
            raise AvatarInvalid(f"tensor {name} is missing; it must be float32 {_words(shape)}.")
        array = self._tensors[name]
        found = getattr(array, "shape", None)
        fits = found is not None and str(array.dtype) == "float32" and len(found) == len(shape)
        if not fits or any(got != want if isinstance(want, int) else got < 1
                           for got, want in zip(array.shape, shape, strict=True)):  # fmt: skip
            kind = getattr(array, "dtype", type(array).__name__)
            raise AvatarInvalid(f"tensor {name} must be float32 {_words(shape)}; got {kind} {list(found or [])}.")
        if not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise AvatarInvalid(f"tensor {name} must be finite; row {row} is not.")
        return tuple(array.shape)


class _Condition:
    """The stages that make vectors of the control. values: name → (rows, channels, length)."""

    def __init__(self, stages: object, input_sizes: Mapping[str, int], tensors: _Tensors) -> None:
        self.values: dict[str, tuple[int, int, int]] = {}
        self._inputs, self._tensors, self._products = input_sizes, tensors, 0
        for i, stage in enumerate(_stages(stages, "manifest.deform.condition")):
            where = f"manifest.deform.condition[{i}]"
            kind = _kind(stage, where, _CONDITION_KEYS)
            where = f"{where} ({kind})"
            _check_stage_keys(stage, where, _CONDITION_KEYS[kind], writes=True)
            if "activation" in stage:
                _check_activation(stage, where, CONDITION_ACTIVATIONS)
            value = self._value(stage, kind, where, f"deform/condition/{i}/")
            _check_new(stage["out"], f"{where}.out", self.values)
            self.values[stage["out"]] = value
            total = sum(map(prod, self.values.values()))
            require(total <= MAX_CONDITION_FLOATS, where,
                    f"part of a condition of at most {MAX_CONDITION_FLOATS} numbers", total)  # fmt: skip
            require(self._products <= MAX_CONDITION_PRODUCTS, where,
                    f"part of a condition of at most {MAX_CONDITION_PRODUCTS} products", self._products)  # fmt: skip

    def row(self, name: object, where: str, size: int | None = None) -> int:
        """The numbers of a value of one row; as many as size, if that is given."""
        rows, channels, length = self._named(name, where)
        require(rows == 1 and size in (None, channels * length), where,
                "a value of one row" + (f" of {size} numbers" if size is not None else ""),
                f"{name}: {rows} of {channels * length}")  # fmt: skip
        return channels * length

    def _named(self, name: object, where: str) -> tuple[int, int, int]:
        known = isinstance(name, str) and name in self.values
        require(known, where, f"the name of an earlier value, of {sorted(self.values)}", name)
        return self.values[str(name)]

    def _value(self, stage: Stage, kind: str, where: str, place: str) -> tuple[int, int, int]:
        if kind == "input":
            return self._input(stage, where)
        if kind == "constant":
            rows, channels = self._tensors.get(f"{place}value", "r", "c")
            return rows, channels, 1
        if kind == "join":
            require(isinstance(stage["in"], list) and bool(stage["in"]), f"{where}.in", "a list of values", stage["in"])
            return 1, sum(self.row(name, f"{where}.in") for name in stage["in"]), 1
        rows, channels, length = self._named(stage["in"], f"{where}.in")
        size = channels * length
        if kind == "linear":
            outputs = self._tensors.get(f"{place}weight", "o", size)[0]
            if self._tensors.has(f"{place}bias"):
                self._tensors.get(f"{place}bias", outputs)
            self._products += rows * outputs * size
            return rows, outputs, 1
        if kind == "conv":
            return self._conv(stage, where, place, (rows, channels, length))
        if kind == "waves":
            require(isinstance(stage["keep"], bool), f"{where}.keep", "true or false", stage["keep"])
            frequencies = self._tensors.get(f"{place}frequency", "f")[0]
            return rows, size * (stage["keep"] + 2 * frequencies), 1
        if kind == "transpose":
            require(length == 1, f"{where}.in", "of length 1", length)
            return 1, channels, rows
        if kind == "pool":
            self.row(stage["weights"], f"{where}.weights", rows)
            self._products += rows * size
            return 1, channels, length
        self.row(stage["in"], f"{where}.in")  # slice
        inside = is_integer(stage["first"], 0, size - 1) and is_integer(stage["count"], 1, size - stage["first"])
        require(inside, f"{where}.first and count", f"inside of the {size} numbers", [stage["first"], stage["count"]])
        return 1, stage["count"], 1

    def _input(self, stage: Stage, where: str) -> tuple[int, int, int]:
        name, shape = stage["input"], stage["shape"]
        known = isinstance(name, str) and name in self._inputs
        require(known, f"{where}.input", f'an input with the target "deform", of {sorted(self._inputs)}', name)
        fits = isinstance(shape, list) and len(shape) == 3 and all(is_integer(x, 1, MAX_ROWS) for x in shape)
        size = self._inputs[name]
        require(fits and prod(shape) == size, f"{where}.shape", f"three counts of {size} numbers in all", shape)
        return shape[0], shape[1], shape[2]

    def _conv(self, stage: Stage, where: str, place: str, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        rows, channels, length = shape
        outputs, _, taps = self._tensors.get(f"{place}weight", "o", channels, "k")
        self._tensors.get(f"{place}bias", outputs)
        for key, low in (("stride", 1), ("padding", 0)):
            require(is_integer(stage[key], low, MAX_CONDITION_FLOATS), f"{where}.{key}", f"a whole number from {low}",
                    stage[key])  # fmt: skip
        free = length + 2 * stage["padding"] - taps
        require(free >= 0, f"{where}.padding", f"such that {taps} taps fit on {length} steps", stage["padding"])
        out = (rows, outputs, free // stage["stride"] + 1)
        self._products += prod(out) * channels * taps
        return out


def _check_branches(branches: object, condition: _Condition, n: int, n_coefficients: int, tensors: _Tensors) -> None:
    where = "manifest.deform.branches"
    some = isinstance(branches, list) and 1 <= len(branches) <= MAX_BRANCHES
    require(some, where, f"a list of 1 to {MAX_BRANCHES}", branches)
    assert isinstance(branches, list)
    names: set[str] = set()
    rows = 0
    added = []
    for i, branch in enumerate(branches):
        check_keys(branch, f"{where}[{i}]", Branch)
        require(branch["name"] != "condition", f"{where}[{i}].name", "another one", branch["name"])
        _check_new(branch["name"], f"{where}[{i}].name", names)
        names.add(branch["name"])
        front = f"{where}[{i}].dilate_px"
        require(
            i > 0 or branch["dilate_px"] == 0, front, "0 for the first, which nothing is before", branch["dilate_px"]
        )
        checked = _Branch(branch, condition, n_coefficients, tensors)
        rows += checked.rows
        added.append(checked.added)
    require(rows == n, f"{where}' rows", f"{n} in all, the rows of gaussians/mean", rows)
    both = len({"sh" in targets for targets in added}) == 1
    require(both, where, 'adding to "sh" all, or none of them', [sorted(targets) for targets in added])


class _Branch:
    """One branch. values: name → numbers of each Gaussian; added: what it adds to."""

    def __init__(self, branch: Branch, condition: _Condition, n_coefficients: int, tensors: _Tensors) -> None:
        name, self.rows = branch["name"], branch["rows"]
        root, place = f"manifest.deform branch {name}", f"deform/{name}/"
        self.values: dict[str, int] = {}
        self.added: set[str] = set()
        self._scores = 0  # of attention, heads times tokens
        self._condition, self._tensors = condition, tensors
        self._widths = {**WIDTHS, "sh": 3 * n_coefficients}
        if n_coefficients:
            del self._widths["color"]
        else:
            del self._widths["sh"]
        require(is_integer(self.rows, 0, MAX_ROWS), f"{root}.rows", f"0..{MAX_ROWS}", self.rows)
        dilate = branch["dilate_px"]
        odd = is_integer(dilate, 0, MAX_DILATION) and (dilate == 0 or dilate % 2 == 1)
        require(odd, f"{root}.dilate_px", f"0 or odd, up to {MAX_DILATION}", dilate)
        static = branch["static"]
        some = isinstance(static, list) and len(static) <= MAX_STAGES
        require(some, f"{root}.static", f"a list of at most {MAX_STAGES} names", static)
        for key in static:
            _check_new(key, f"{root}.static", self.values)
            self._write(root, key, tensors.get(f"{place}static/{key}", self.rows, "w")[1])
        for i, stage in enumerate(_stages(branch["stages"], f"{root}.stages")):
            self._check_stage(stage, f"{root}.stages[{i}]", f"{place}{i}/")
        for key in (key for key in CANONICAL if key in self.added):
            width = WIDTHS[key]
            tensors.get(f"{place}canonical/{key}", self.rows, *(() if width == 1 else (width,)))

    def _check_stage(self, stage: Stage, where: str, place: str) -> None:
        kind = _kind(stage, where, _BRANCH_KEYS)
        where = f"{where} ({kind})"
        _check_stage_keys(stage, where, _BRANCH_KEYS[kind], writes=kind != "add")
        if "activation" in stage:
            _check_activation(stage, where, ACTIVATIONS)
        inputs = self._width(stage["in"], f"{where}.in") if "in" in stage else 0
        if kind == "add":
            self._add(stage, where, place, inputs)
            return
        width = inputs
        if kind == "linear":
            width = self._linear(stage, where, place, inputs)
        elif kind == "attention":
            self._attention(stage, where, place, inputs)
        else:
            positive = is_number(stage["epsilon"]) and stage["epsilon"] > 0
            require(positive, f"{where}.epsilon", "a number > 0", stage["epsilon"])
            self._tensors.get(f"{place}gamma", width)
            self._tensors.get(f"{place}beta", width)
        if "plus" in stage:
            plus = self._width(stage["plus"], f"{where}.plus")
            require(plus == width, f"{where}.plus", f"a value of {width} numbers", f"{stage['plus']}: {plus}")
        _check_new(stage["out"], f"{where}.out", self.values)
        self._write(where, stage["out"], width)

    def _add(self, stage: Stage, where: str, place: str, inputs: int) -> None:
        target = stage["to"]
        taken = self.added | (set(SCALES) if self.added & set(SCALES) else set())
        free = isinstance(target, str) and target in self._widths and target not in taken
        require(free, f"{where}.to", f"one of {sorted(set(self._widths) - taken)}, each once", target)
        self.added.add(target)
        self._tensors.get(f"{place}weight", self._widths[target], inputs)
        if self._tensors.has(f"{place}bias"):
            self._tensors.get(f"{place}bias", self._widths[target])

    def _linear(self, stage: Stage, where: str, place: str, inputs: int) -> int:
        if "in" in stage:
            width = self._tensors.get(f"{place}weight", "o", inputs)[0]
            if "gain" in stage:
                self._condition.row(stage["gain"], f"{where}.gain", inputs)
        else:
            require("gain" not in stage, f"{where}.gain", "absent where there is no in", stage.get("gain"))
            require("plus" in stage, where, "with in or plus", sorted(stage))
            width = self._width(stage["plus"], f"{where}.plus")
        if self._tensors.has(f"{place}bias"):
            self._tensors.get(f"{place}bias", width)
        if "frame" in stage:
            self._condition.row(stage["frame"], f"{where}.frame", width)
        return width

    def _attention(self, stage: Stage, where: str, place: str, width: int) -> None:
        tokens, heads = stage["tokens"], stage["heads"]
        some = isinstance(tokens, list) and 1 <= len(tokens) <= MAX_STAGES
        require(some, f"{where}.tokens", f"a list of 1 to {MAX_STAGES} values", tokens)
        for token in tokens:
            self._condition.row(token, f"{where}.tokens", width)
        divides = is_integer(heads, 1, MAX_HEADS) and width % heads == 0 and heads * len(tokens) <= MAX_WIDTH
        require(divides, f"{where}.heads", f"a divisor of {width}, up to {MAX_HEADS}", heads)
        for name in ("query", "key", "value", "out"):
            self._tensors.get(f"{place}{name}/weight", width, width)
            self._tensors.get(f"{place}{name}/bias", width)
        self._scores += heads * len(tokens)

    def _width(self, name: object, where: str) -> int:
        known = isinstance(name, str) and name in self.values
        require(known, where, f"the name of an earlier value, of {sorted(self.values)}", name)
        return self.values[str(name)]

    def _write(self, where: str, name: str, width: int) -> None:
        require(width <= MAX_WIDTH, where, f"with values of at most {MAX_WIDTH} numbers", f"{name}: {width}")
        self.values[name] = width
        total = sum(self.values.values()) + self._scores
        require(total <= MAX_NUMBERS, where, f"with values of at most {MAX_NUMBERS} numbers in all", total)


def _stages(stages: object, where: str) -> list[Stage]:
    some = isinstance(stages, list) and len(stages) <= MAX_STAGES
    require(some, where, f"a list of at most {MAX_STAGES} stages", stages)
    assert isinstance(stages, list)
    return stages


def _kind(stage: object, where: str, kinds: Iterable[str]) -> str:
    kind = stage.get("kind") if isinstance(stage, dict) else stage
    require(isinstance(kind, str) and kind in kinds, f"{where}.kind", f"one of {list(kinds)}", kind)
    return str(kind)


def _check_stage_keys(stage: Stage, where: str, keys: tuple[str, ...], writes: bool) -> None:
    needed = {"kind", *(key for key in keys if not key.endswith("?")), *(["out"] if writes else [])}
    if stage.get("activation") == "leaky_relu":
        needed.add("slope")
    allowed = needed | {key.rstrip("?") for key in keys}
    for key in sorted(needed - set(stage)):
        raise AvatarInvalid(f"{where} lacks {key}; it has {shown(sorted(stage))}.")
    for key in sorted(set(map(str, stage)) - allowed):
        raise AvatarInvalid(f"{where} has the unknown key {shown(key)}; it may have {sorted(allowed)}.")


def _check_activation(stage: Stage, where: str, known: tuple[str, ...]) -> None:
    require(stage["activation"] in known, f"{where}.activation", f"one of {known}", stage["activation"])
    if "slope" in stage:
        require(is_number(stage["slope"]), f"{where}.slope", "a finite number", stage["slope"])


def _check_new(name: object, where: str, taken: Iterable[str]) -> None:
    new = isinstance(name, str) and NAME.fullmatch(name) is not None and name not in taken
    require(new, where, "a new name of letters, digits, '.', '_', '-'", name)


def _check_error(error: object) -> None:
    if error is None:
        return
    where = "manifest.deform.error"
    check_keys(error, where, Measured)
    assert isinstance(error, dict)
    require(is_integer(error["controls"], 1, MAX_ROWS), f"{where}.controls", "a count", error["controls"])
    for key, value in error.items():
        require(is_number(value) and value >= 0, f"{where}.{key}", "a number >= 0", value)


def _words(shape: Iterable[int | str]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
