# SPDX-License-Identifier: Apache-2.0
"""Avatars with deform programs of random weights: the shapes of the three methods, and one that has everything."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ops.pose_avatars import gaussians, manifest

Array = np.ndarray
MOTION = 0.02  # of what networks add to means, in the world's unit: 10 px on a picture of 512


def activated(kind: str, slope: float) -> dict[str, Any]:
    return {"activation": kind, "slope": slope} if kind == "leaky_relu" else {"activation": kind}


class Program:
    """A program that is being put together. Weights keep values at the size of 1, as in trained networks."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors: dict[str, Array] = {}
        self.inputs: list[dict[str, Any]] = []
        self.condition: list[dict[str, Any]] = []
        self.branches: list[dict[str, Any]] = []
        self.n = 0

    def random(self, *shape: int, size: float = 1.0) -> Array:
        return (self.rng.normal(size=shape) * size).astype(np.float32)

    def input(self, name: str, shape: tuple[int, int, int], out: str = "", **rest: Any) -> str:
        size = int(np.prod(shape))
        if all(i["name"] != name for i in self.inputs):
            self.inputs.append({"name": name, "size": size, "target": "deform", **rest})
        return self.frame("input", out or name, input=name, shape=list(shape))

    def frame(self, kind: str, out: str, tensors: dict[str, Array] | None = None, **keys: Any) -> str:
        for name, array in (tensors or {}).items():
            self.tensors[f"deform/condition/{len(self.condition)}/{name}"] = array
        self.condition.append({"kind": kind, "out": out, **keys})
        return out

    def frame_linear(self, out: str, x: str, inputs: int, outputs: int, act: str = "none", bias: bool = True) -> str:
        tensors = {"weight": self.random(outputs, inputs, size=inputs**-0.5)}
        if bias:
            tensors["bias"] = self.random(outputs, size=0.1)
        return self.frame("linear", out, tensors, **{"in": x}, **activated(act, 0.02))

    def audio(self, root: str, channels: int = 29, length: int = 16) -> str:
        """AudioNet and its attention, as in gaussian_talker.md section 5; a value of 32 numbers."""
        window = {"before": 4, "after": 3, "channels": channels, "length": length}
        x = self.input("audio", (8, channels, length), f"{root}audio", window=window)
        inputs = channels
        for i, outputs in enumerate((32, 32, 64, 64)):
            x = self.conv(f"{root}conv{i}", x, inputs, outputs, stride=2)
            inputs = outputs
        x = self.frame_linear(f"{root}wide", x, 64, 64, "leaky_relu")
        each = self.frame_linear(f"{root}each", x, 64, 32)
        x, inputs = self.frame("transpose", f"{root}turned", **{"in": each}), 32
        for i, outputs in enumerate((16, 8, 4, 2, 1)):
            x = self.conv(f"{root}attend{i}", x, inputs, outputs, stride=1)
            inputs = outputs
        weights = self.frame_linear(f"{root}weights", x, 8, 8, "softmax")
        return self.frame("pool", f"{root}sound", **{"in": each, "weights": weights})

    def conv(self, out: str, x: str, inputs: int, outputs: int, stride: int) -> str:
        tensors = {"weight": self.random(outputs, inputs, 3, size=(3 * inputs) ** -0.5), "bias": self.random(outputs)}
        keys = activated("leaky_relu", 0.02)
        return self.frame("conv", out, tensors, stride=stride, padding=1, **{"in": x}, **keys)

    def branch(self, name: str, n: int, static: dict[str, int], **keys: Any) -> Branch:
        self.branches.append({"name": name, "rows": n, "dilate_px": 0, "static": list(static), "stages": []} | keys)
        for value, width in static.items():
            self.tensors[f"deform/{name}/static/{value}"] = self.random(n, width)
        self.n += n
        return Branch(self, self.branches[-1])

    def write(self, path: Path, sh_degree: int = -1, precision: str = "fp32") -> Path:
        tensors = gaussians(self.rng, self.n, spread=0.2) | self.tensors
        made: Any = manifest("static", self.n, inputs=self.inputs)
        if sh_degree >= 0:
            del tensors["gaussians/color"]
            tensors["gaussians/sh"] = self.random(self.n, (sh_degree + 1) ** 2, 3, size=0.3)
            made["color"] = f"sh{sh_degree}"
        tensors["gaussians/scale"] *= np.float32(0.02)
        made["camera"] = copy.deepcopy(made["camera"])
        made["camera"]["cam_from_world"][11] = 2.0
        made["deform"] = {
            "condition": self.condition, "branches": self.branches, "precision": precision, "error": None,
        }  # fmt: skip
        save_file(tensors, path, metadata={"talksplat": json.dumps(made)})
        return path


class Branch:
    def __init__(self, program: Program, made: dict[str, Any]) -> None:
        self.program, self.made = program, made

    def stage(self, kind: str, tensors: dict[str, Array], **keys: Any) -> None:
        for name, array in tensors.items():
            self.program.tensors[f"deform/{self.made['name']}/{len(self.made['stages'])}/{name}"] = array
        self.made["stages"].append({"kind": kind, **keys})

    def linear(
        self, out: str, x: str | None, inputs: int, outputs: int, act: str = "relu", bias: bool = True, **keys: Any
    ) -> str:
        tensors = {}
        if x:
            tensors["weight"] = self.program.random(outputs, inputs, size=(2 / inputs) ** 0.5)
            keys["in"] = x
        if bias:
            tensors["bias"] = self.program.random(outputs, size=0.1)
        self.stage("linear", tensors, out=out, **activated(act, 0.01), **keys)
        return out

    def attention(self, out: str, x: str, d: int, tokens: list[str], heads: int = 2, plus: str | None = None) -> str:
        tensors = {}
        for name in ("query", "key", "value", "out"):
            tensors[f"{name}/weight"] = self.program.random(d, d, size=d**-0.5)
            tensors[f"{name}/bias"] = self.program.random(d, size=0.1)
        keys = {"plus": plus} if plus else {}
        self.stage("attention", tensors, out=out, tokens=tokens, heads=heads, **{"in": x}, **keys)
        return out

    def norm(self, out: str, x: str, width: int, act: str = "none") -> str:
        tensors = {"gamma": 1 + self.program.random(width, size=0.1), "beta": self.program.random(width, size=0.1)}
        self.stage("norm", tensors, out=out, epsilon=1e-12, **{"in": x}, **activated(act, 0.3))
        return out

    def add(self, to: str, x: str, inputs: int, size: float, outputs: int | None = None, bias: bool = True) -> None:
        outputs = outputs or {"mean": 3, "log_scale": 3, "softplus_scale": 3, "rotation": 4, "logit": 1, "color": 3}[to]
        tensors = {"weight": self.program.random(outputs, inputs, size=size * inputs**-0.5)}
        if bias:
            tensors["bias"] = self.program.random(outputs, size=0.3 * size)
        self.stage("add", tensors, to=to, **{"in": x})
        raw = {"log_scale": (3, -4.0), "softplus_scale": (3, -4.0), "rotation": (4, 0.0), "logit": (1, 1.0)}.get(to)
        if raw:
            rows = self.program.random(self.made["rows"], raw[0]) + np.float32(raw[1])
            self.program.tensors[f"deform/{self.made['name']}/canonical/{to}"] = (
                rows.squeeze(1) if raw[0] == 1 else rows
            )


def embedtalk(n: int, width: int = 64, seed: int = 0, channels: int = 12) -> Program:
    p = Program(seed)
    sound = p.audio("", channels=channels, length=2)
    au = p.frame("waves", "waves", {"frequency": 2.0 ** np.arange(4, dtype=np.float32)}, keep=True, **{
        "in": p.input("au", (1, 6, 1)),
    })  # fmt: skip
    both = p.frame("join", "both", **{"in": [sound, au]})
    p.frame_linear("frame", both, 32 + 54, width)
    b = p.branch("head", n, {"base": width})
    h = b.linear("h", None, 0, width, plus="base", frame="frame", bias=False)
    b.add("mean", b.linear("hm", h, width, width), width, MOTION)
    b.add("logit", b.linear("ho", h, width, width), width, 0.5)
    return p


def talking_gaussian(n_face: int, n_mouth: int, seed: int = 0, dilate_px: int = 0) -> Program:
    p = Program(seed)
    face, mouth = p.audio("face_", 20, 4), p.audio("mouth_", 20, 4)
    au = p.input("au", (1, 6, 1))
    brows = p.frame("slice", "brows", first=0, count=5, **{"in": au})
    brows = p.frame_linear("brows2", brows, 5, 16, "relu", bias=False)
    brows = p.frame_linear("brows3", brows, 16, 5, bias=False)
    blink = p.frame("slice", "blink", first=5, count=1, **{"in": au})
    gain = p.frame("join", "gain", **{"in": [face, brows, blink]})
    p.frame_linear("shared", mouth, 32, 32, bias=False)
    b = p.branch("face", n_face, {"base": 64, "attention": 38})
    h = b.linear("h1", "attention", 38, 64, plus="base", gain=gain, bias=False)
    h = b.linear("h2", h, 64, 64, bias=False)
    b.add("mean", h, 64, MOTION, bias=False)
    b.add("rotation", h, 64, 0.2, bias=False)
    b.add("softplus_scale", h, 64, 0.2, bias=False)
    b = p.branch("mouth", n_mouth, {"base": 32}, dilate_px=dilate_px)
    h = b.linear("h1", None, 0, 32, plus="base", frame="shared", bias=False)
    b.add("mean", b.linear("h2", h, 32, 32, bias=False), 32, MOTION, bias=False)
    return p


def gaussian_talker(n: int, layers: int = 1, seed: int = 0) -> Program:
    p = Program(seed)
    sound = p.audio("", 29, 16)
    eye = p.frame("waves", "waves", {"frequency": (10000.0 ** (np.arange(16) / 16)).astype(np.float32)}, keep=False, **{
        "in": p.input("eye", (1, 1, 1)),
    })  # fmt: skip
    view = p.input("camera", (1, 12, 1), follows="camera")
    tokens = [
        p.frame_linear(f"token{i}", p.frame_linear(f"hidden{i}", x, inputs, 64, "relu", bias=False), 64, 64, bias=False)
        for i, (x, inputs) in enumerate(((sound, 32), (eye, 32), (view, 12)))
    ]
    tokens.append(p.frame("constant", "null", {"value": p.random(1, 64)}))
    b = p.branch("head", n, {"plane": 64})
    x = "plane"
    for i in range(layers):
        x = b.norm(f"norm{i}", b.attention(f"read{i}", x, 64, tokens, plus=x), 64)
        wide = b.linear(f"wide{i}", x, 64, 128)
        last = i == layers - 1
        x = b.norm(f"x{i}", b.linear(f"deep{i}", wide, 128, 64, "none", plus=x), 64, "relu" if last else "none")
    for to, size in (("mean", MOTION), ("log_scale", 0.2), ("rotation", 0.2), ("logit", 0.3)):
        b.add(to, b.linear(f"h_{to}", x, 64, 128), 128, size)
    b.add("sh", b.linear("h_sh", x, 64, 128), 128, 0.1, outputs=48)
    return p


def everything(n: int, seed: int = 0) -> Program:
    """What no method has: odd widths, values with several readers, all activations, rows that pass through."""
    p = Program(seed)
    x = p.input("x", (3, 5, 7))
    p.tensors["deform/condition/1/weight"], p.tensors["deform/condition/1/bias"] = p.random(4, 5, 2), p.random(4)
    y = p.frame("conv", "y", **{"in": x, "stride": 3, "padding": 2, "activation": "tanh"})
    w = p.input("w", (1, 3, 1), default=[0.2, -0.4, 0.1])
    pooled = p.frame("pool", "pooled", **{"in": y, "weights": w})
    flat = p.frame_linear("flat", pooled, 16, 33, "tanh")
    small = p.frame_linear("small", flat, 33, 5, "softmax")
    tokens = [p.frame_linear(f"t{i}", flat, 33, 9) for i in range(3)]
    b = p.branch("odd", n, {"a": 5, "b": 33, "c": 9})
    h = b.linear("h", "a", 5, 33, "leaky_relu", plus="b", gain=small, frame="flat")
    b.linear("dead", h, 33, 7)
    k = b.linear("k", h, 33, 9, "tanh", plus="c")
    k = b.linear("k2", k, 9, 9, "tanh", plus=k)
    k = b.attention("read", k, 9, tokens, heads=3)
    k = b.norm("normed", k, 9, "leaky_relu")
    point = b.linear("point", None, 0, 9, "tanh", plus=k, bias=True)
    one = b.linear("one", point, 9, 1, "none")
    b.add("color", h, 33, 0.1)
    b.add("logit", one, 1, 0.5)
    b.add("mean", h, 33, MOTION, bias=False)
    b.add("rotation", point, 9, 0.3)
    p.branch("still", 3, {})
    return p


def any_program(n: int, seed: int) -> Program:
    """Branches of random stages: values of random widths with no, one or many readers, in every role that there is."""
    p = Program(seed)
    rng = p.rng
    x = p.input("x", (1, 6, 1))
    vectors: dict[int, str] = {}  # of the condition, by their size

    def vector(size: int) -> str:
        if size not in vectors:
            vectors[size] = p.frame_linear(f"v{size}", x, 6, size, "tanh")
        return vectors[size]

    for b in range(int(rng.integers(1, 4))):
        width = {f"s{i}": int(rng.integers(1, 70)) for i in range(int(rng.integers(1, 4)))}
        branch = p.branch(f"b{b}", n, dict(width), dilate_px=3 if b else 0)
        for i in range(int(rng.integers(3, 16))):
            _any_stage(branch, f"o{i}", width, vector)
        targets = ["mean", "rotation", "logit", "color", str(rng.choice(["log_scale", "softplus_scale"]))]
        for to in rng.permutation(targets)[: rng.integers(1, 6)]:
            # Of one value as often as not, so that heads are joined, and so that one alone is fused.
            value = str(rng.choice(list(width))) if rng.uniform() < 0.5 else list(width)[-1]
            branch.add(str(to), value, width[value], MOTION if to == "mean" else 0.2, bias=bool(rng.integers(2)))
    return p


def _any_stage(branch: Branch, out: str, width: dict[str, int], vector: Callable[[int], str]) -> None:
    rng = branch.program.rng
    value = str(rng.choice(list(width)))
    kind = rng.choice(["linear", "linear", "point", "attention", "norm"])
    act = str(rng.choice(["none", "relu", "leaky_relu", "tanh"]))
    w = width[value]
    if kind == "norm":
        branch.norm(out, value, w, act)
    elif kind == "attention":
        heads = int(rng.choice([h for h in (1, 2, 3, 4) if w % h == 0]))
        plus = [v for v in width if width[v] == w]
        tokens = [vector(w)] * int(rng.integers(1, 5))
        branch.attention(out, value, w, tokens, heads, str(rng.choice(plus)) if rng.integers(2) else None)
    elif kind == "point":
        branch.linear(out, None, 0, w, "tanh", plus=value, **({"frame": vector(w)} if rng.integers(2) else {}))
    else:
        outputs = int(rng.choice([w, rng.choice(list(width.values())), rng.integers(1, 70)]))
        keys = {"plus": [v for v in width if width[v] == outputs], "gain": [vector(w)], "frame": [vector(outputs)]}
        chosen = {key: str(rng.choice(of)) for key, of in keys.items() if of and rng.integers(2)}
        branch.linear(out, value, w, outputs, "tanh", **chosen)
        w = outputs
    width[out] = w
