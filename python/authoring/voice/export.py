# SPDX-License-Identifier: Apache-2.0
"""The voice's weights file: names, shapes and ranges, the one function that writes it, and its reader for evaluation.

One safetensors file; `__metadata__["talksplat_voice"]` is the manifest as JSON, tensors are F16 or F32 and named by
role. `write_voice` refuses whatever the reader in the core would refuse, so a file that exists can be loaded; but for
teachers, which hear more of what follows than the core allows.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save as serialize

FORMAT = 1
KEY = "talksplat_voice"
RATE_HZ, HOP, WINDOW, FFT = 16000, 160, 400, 512
MAX_PARAMETERS = 1_500_000
MAX_BYTES = 2 * MAX_PARAMETERS + (64 << 10)  # as 16-bit floats, and the manifest
SHAPES = (
    "jawOpen", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp", "mouthRollLower", "mouthRollUpper",
    "mouthPress", "mouthStretch", "mouthSmile", "tongueOut",
)  # fmt: skip
PROBABILITIES = ("closure", "voice")
CHANNELS = (*SHAPES, *PROBABILITIES)
MOST_LOOK_AHEAD_STEPS = 3
LIMITS = {"width": (16, 512), "heads": (1, 16), "layers": (1, 8), "window": (1, 256), "taps": (1, 64),
          "hidden": (1, 2048)}  # fmt: skip
MAX_TOWERS = 4
MOST_MANNER = 3.0

Array = np.ndarray[Any, Any]


class Leveller(TypedDict):
    start_db: float
    floor_db: float
    attack_s: float
    release_db_per_s: float


class Feature(TypedDict):
    offset_db: float
    scale_db: float
    clip_low: float
    clip_high: float


class Tower(TypedDict):
    width: int
    heads: int
    layers: int
    window: int
    taps: int
    hidden: int
    channels: list[str]
    sigmoid: list[str]


FEATURES = "talksplat-voice"  # of voices that do not name them; the names of other versions begin with it


class Manner(TypedDict, total=False):
    """head: optional; shares of the usual head motion, pitch, yaw and roll."""

    head: list[float]


class Manifest(Manner):
    format: int
    name: str
    features: str  # the name of what the first tower knows of the sound: avatars are fitted to it
    rate_hz: int
    hop: int
    window: int
    fft: int
    n_mels: int
    f_min_hz: float
    f_max_hz: float
    leveller: Leveller
    feature: Feature
    look_ahead_steps: int
    towers: list[Tower]
    licence: str
    provenance: dict[str, Any]


def tensor_shapes(towers: Sequence[Tower], n_mels: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that a voice of these towers has."""
    shapes: dict[str, tuple[int, ...]] = {}
    for t, tower in enumerate(towers):
        d, f, n = tower["width"], tower["hidden"], len(tower["channels"])
        at = f"tower/{t}"
        shapes |= {f"{at}/stem/weight": (d, 2 * n_mels), f"{at}/stem/bias": (d,)}
        for i in range(tower["layers"]):
            shapes[f"{at}/layer/{i}/age_bias"] = (tower["heads"], tower["window"])
            sizes = {"qkv": (3 * d, d), "out": (d, d), "gate": (2 * d, d), "conv": (d, tower["taps"]), "mix": (d, d),
                     "up": (f, d), "down": (d, f)}  # fmt: skip
            for part, (rows, columns) in sizes.items():
                shapes[f"{at}/layer/{i}/{part}/weight"] = (rows, columns)
                shapes[f"{at}/layer/{i}/{part}/bias"] = (rows,)
        shapes |= {f"{at}/head/weight": (n, d), f"{at}/head/bias": (n,)}
    return shapes


def _require(ok: bool, what: str, contract: str, got: object) -> None:
    if not ok:
        raise ValueError(f"voice file: {what} must be {contract}; got {got!r:.200}.")


def _integer(what: str, value: object, low: int, high: int) -> None:
    ok = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    _require(ok, what, f"an integer in {low}..{high}", value)


def _number(what: str, value: object, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    _require(number and low <= cast(float, value) <= high, what, f"a number in [{low:g}, {high:g}]", value)


def _keys(what: str, value: object, names: Sequence[str]) -> None:
    _require(isinstance(value, dict), what, "an object", value)
    found = sorted(cast(dict[str, Any], value))
    _require(found == sorted(names), f"{what}'s keys", ", ".join(sorted(names)), found)


def check_manifest(manifest: Mapping[str, Any], most_steps: int = MOST_LOOK_AHEAD_STEPS) -> None:
    """Raises ValueError, naming the key, unless the manifest is one that the core reads.

    most_steps: of look-ahead; more than the default makes a network to learn from, which the core refuses.
    """
    m = manifest
    optional = Manner.__annotations__
    named = {"features": FEATURES, **m}
    required = [key for key in Manifest.__annotations__ if key not in optional]
    _keys("manifest", {key: value for key, value in named.items() if key not in optional}, required)
    head = m.get("head", [1.0, 1.0, 1.0])
    _require(isinstance(head, list) and len(head) == 3, "manifest.head", "a list of 3", head)
    for i, share in enumerate(head):
        _number(f"manifest.head[{i}]", share, 0, MOST_MANNER)
    features = named["features"]
    right = isinstance(features, str) and features.startswith(FEATURES)
    _require(right, "manifest.features", f"a text that begins with {FEATURES}", features)
    fixed = {"format": FORMAT, "rate_hz": RATE_HZ, "hop": HOP, "window": WINDOW, "fft": FFT}
    for key, value in fixed.items():
        _require(type(m[key]) is int and m[key] == value, f"manifest.{key}", str(value), m[key])
    for key in ("name", "licence"):
        _require(isinstance(m[key], str) and bool(m[key]), f"manifest.{key}", "a text", m[key])
    _require(isinstance(m["provenance"], dict), "manifest.provenance", "an object", m["provenance"])
    _integer("manifest.n_mels", m["n_mels"], 1, 128)
    _integer("manifest.look_ahead_steps", m["look_ahead_steps"], 0, most_steps)
    _number("manifest.f_max_hz", m["f_max_hz"], 1, RATE_HZ / 2)
    _number("manifest.f_min_hz", m["f_min_hz"], 0, m["f_max_hz"] - 1)
    leveller, feature = m["leveller"], m["feature"]
    _keys("manifest.leveller", leveller, tuple(Leveller.__annotations__))
    _keys("manifest.feature", feature, tuple(Feature.__annotations__))
    for key in ("start_db", "floor_db"):
        _number(f"manifest.leveller.{key}", leveller[key], -100, 100)
    _number("manifest.leveller.attack_s", leveller["attack_s"], 1e-3, 100)
    _number("manifest.leveller.release_db_per_s", leveller["release_db_per_s"], 0, 1000)
    _number("manifest.feature.offset_db", feature["offset_db"], -100, 100)
    _number("manifest.feature.scale_db", feature["scale_db"], 1e-3, 1000)
    _number("manifest.feature.clip_high", feature["clip_high"], -1000, 1000)
    _number("manifest.feature.clip_low", feature["clip_low"], -1000, feature["clip_high"])
    _check_towers(m["towers"])


def _check_towers(towers: object) -> None:
    some = isinstance(towers, list) and 1 <= len(towers) <= MAX_TOWERS
    _require(some, "manifest.towers", f"a list of 1..{MAX_TOWERS}", towers)
    said: list[str] = []
    for i, tower in enumerate(cast(list[dict[str, Any]], towers)):
        where = f"manifest.towers[{i}]"
        _keys(where, tower, tuple(Tower.__annotations__))
        for key, (low, high) in LIMITS.items():
            _integer(f"{where}.{key}", tower[key], low, high)
        _require(tower["width"] % tower["heads"] == 0, f"{where}.width", "a multiple of heads", tower["width"])
        channels, sigmoid = tower["channels"], tower["sigmoid"]
        named = isinstance(channels, list) and bool(channels) and all(c in CHANNELS for c in channels)
        unique = named and len(set(channels)) == len(channels)
        _require(unique, f"{where}.channels", f"names among {CHANNELS}, each once", channels)
        squashed = isinstance(sigmoid, list) and sigmoid == [c for c in channels if c in PROBABILITIES]
        _require(squashed, f"{where}.sigmoid", f"those of its channels that are among {PROBABILITIES}", sigmoid)
        said += channels
    _require(set(said) == set(CHANNELS), "the towers' channels", f"all of {CHANNELS}", said)


def check_tensors(manifest: Manifest, tensors: Mapping[str, Array]) -> None:
    """Raises ValueError, naming the tensor, unless the tensors are exactly those of the manifest."""
    shapes = tensor_shapes(manifest["towers"], manifest["n_mels"])
    missing, unknown = sorted(shapes.keys() - tensors.keys()), sorted(tensors.keys() - shapes.keys())
    _require(not missing and not unknown, "tensors", "those of the manifest's towers", {"missing": missing,
             "unknown": unknown})  # fmt: skip
    for name, shape in shapes.items():
        value = tensors[name]
        _require(value.dtype in (np.float16, np.float32), f"{name}'s dtype", "float16 or float32", str(value.dtype))
        _require(value.shape == shape, f"{name}'s shape", str(shape), value.shape)
        _require(bool(np.isfinite(value).all()), name, "finite", "NaN or infinity")
    count = sum(math.prod(shape) for shape in shapes.values())
    _require(count <= MAX_PARAMETERS, "the number of parameters", f"at most {MAX_PARAMETERS}", count)


def write_voice(
    path: str | os.PathLike[str], manifest: Manifest, tensors: Mapping[str, Array],
    most_steps: int = MOST_LOOK_AHEAD_STEPS,
) -> None:  # fmt: skip
    """Write a voice file, whole or not at all.

    tensors: float16 or float32, named and shaped as `tensor_shapes` says. most_steps: as in check_manifest.
    Raises ValueError where the core would refuse the file, but for its look-ahead, or if it would be larger than
    MAX_BYTES.
    """
    check_manifest(manifest, most_steps)
    check_tensors(manifest, tensors)
    contiguous = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    data = serialize(contiguous, metadata={KEY: json.dumps(manifest, ensure_ascii=False, sort_keys=True)})
    _require(len(data) < MAX_BYTES, "the file's size", f"below {MAX_BYTES} bytes", len(data))
    target = Path(path)
    part = target.with_name(target.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def read_voice(
    path: str | os.PathLike[str], most_steps: int = MOST_LOOK_AHEAD_STEPS
) -> tuple[Manifest, dict[str, Array]]:
    """Manifest and tensors as float32. Raises ValueError if the file is not a voice. most_steps: see check_manifest."""
    with safe_open(os.fspath(path), framework="numpy") as file:
        text = (file.metadata() or {}).get(KEY)
        _require(text is not None, f"__metadata__[{KEY!r}]", "the manifest", None)
        manifest = cast(Manifest, {"features": FEATURES, **json.loads(cast(str, text))})
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    check_manifest(manifest, most_steps)
    check_tensors(manifest, tensors)
    return manifest, {name: value.astype(np.float32) for name, value in tensors.items()}


def tower(
    channels: Sequence[str] = CHANNELS,
    *,
    width: int = 32,
    heads: int = 2,
    layers: int = 2,
    window: int = 12,
    taps: int = 5,
    hidden: int = 48,
) -> Tower:
    """A tower's entry of the manifest; the defaults are those of a tiny one for tests."""
    return {"width": width, "heads": heads, "layers": layers, "window": window, "taps": taps, "hidden": hidden,
            "channels": list(channels), "sigmoid": [c for c in channels if c in PROBABILITIES]}  # fmt: skip


def make_manifest(
    towers: Sequence[Tower],
    *,
    name: str,
    features: str = FEATURES,
    leveller: Leveller,
    feature: Feature,
    n_mels: int = 40,
    f_min_hz: float = 60.0,
    f_max_hz: float = 7600.0,
    look_ahead_steps: int = 3,
    licence: str = "Apache-2.0",
    provenance: Mapping[str, Any] | None = None,
) -> Manifest:
    return {"format": FORMAT, "name": name, "features": features, "rate_hz": RATE_HZ, "hop": HOP, "window": WINDOW,
            "fft": FFT, "n_mels": n_mels, "f_min_hz": f_min_hz, "f_max_hz": f_max_hz, "leveller": leveller,
            "feature": feature, "look_ahead_steps": look_ahead_steps, "towers": list(towers), "licence": licence,
            "provenance": dict(provenance or {})}  # fmt: skip


def random_voice(
    seed: int = 0,
    *,
    n_mels: int = 40,
    towers: Sequence[Tower] | None = None,
    dtype: type[np.floating[Any]] = np.float16,
) -> tuple[Manifest, dict[str, Array]]:
    """A voice of random weights that moves: for tests of the core. Without `towers`, one tiny tower says everything."""
    rng = np.random.default_rng(seed)
    chosen = [tower()] if towers is None else list(towers)
    manifest = make_manifest(
        chosen, name=f"random {seed}", n_mels=n_mels, provenance={"seed": seed},
        leveller={"start_db": -20.0, "floor_db": -55.0, "attack_s": 0.03, "release_db_per_s": 3.0},
        feature={"offset_db": -20.0, "scale_db": 15.0, "clip_low": -4.0, "clip_high": 3.0},
    )  # fmt: skip
    tensors: dict[str, Array] = {}
    for name, shape in tensor_shapes(chosen, n_mels).items():
        spread = 0.3 if len(shape) == 1 or name.endswith("age_bias") else 1 / math.sqrt(shape[1])
        tensors[name] = rng.normal(0, spread, shape).astype(dtype)
    return manifest, tensors
