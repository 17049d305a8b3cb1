"""ARKit motion on avatars that are not made for all of it. docs/retargeting.md has the tables in words.

- A rig that lacks some ARKit shapes: a missing one goes to the nearest combination of those it has.
- A FLAME avatar: jaw, eyes and neck turn as the weights say, which geometry settles; lips become expression
  coefficients (flame_lips.py). FLAME's public models have no blink, and brows and cheeks are not mapped.
What finds no place is named in the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ._arrays import FloatArray
from .arkit import ARKIT_NAMES
from .driven import Driven, Rigged
from .flame_lips import LIP_NAMES, N_VERTICES, solve_lips

_SIDES = ("Left", "Right")


def _both(name: str, share: float) -> dict[str, float]:
    return {f"{name}{side}": share for side in _SIDES}


# Missing shape → what stands in for it per unit, the best first; used where the rig has all of a combination.
# SIDE is Left or Right. Sizes were judged on lips: how far they open, part, round and widen.
STAND_INS: dict[str, tuple[dict[str, float], ...]] = {
    "jawOpen": (_both("mouthLowerDown", 0.6),),
    "mouthClose": ({"jawOpen": -1.0},),
    "mouthFunnel": ({"mouthPucker": 0.6, "jawOpen": 0.2}, {"mouthPucker": 0.6}, {"jawOpen": 0.2}),
    "mouthPucker": ({"mouthFunnel": 0.7},),
    "mouthRollLower": (_both("mouthPress", 0.5), {"mouthShrugLower": 0.4}),
    "mouthRollUpper": (_both("mouthPress", 0.5),),
    "mouthPressSIDE": ({"mouthRollLower": 0.25, "mouthRollUpper": 0.25}, {"mouthRollLower": 0.3}),
    "mouthLowerDownSIDE": ({"mouthShrugLower": -0.2, "jawOpen": 0.04}, {"jawOpen": 0.08}),
    "mouthUpperUpSIDE": ({"noseSneerSIDE": 0.5}, {"mouthShrugUpper": 0.5}),
    "mouthShrugLower": (_both("mouthPress", 0.4),),
    "mouthShrugUpper": (_both("mouthUpperUp", 0.3),),
    "mouthStretchSIDE": (
        {"mouthSmileSIDE": 0.4, "mouthFrownSIDE": 0.5}, {"mouthDimpleSIDE": 0.6}, {"mouthSmileSIDE": 0.4},
    ),
    "mouthSmileSIDE": ({"mouthDimpleSIDE": 0.8}, {"mouthStretchSIDE": 0.5}),
    "mouthDimpleSIDE": ({"mouthSmileSIDE": 0.4}, {"mouthStretchSIDE": 0.4}),
    "mouthFrownSIDE": ({"mouthStretchSIDE": 0.4},),
    "mouthSIDE": ({"jawSIDE": 0.7},),
    "jawSIDE": ({"mouthSIDE": 0.4},),
    "noseSneerSIDE": ({"mouthUpperUpSIDE": 0.4},),
    "cheekSquintSIDE": ({"eyeSquintSIDE": 0.5},),
    "eyeSquintSIDE": ({"cheekSquintSIDE": 0.5}, {"eyeBlinkSIDE": 0.25}),
    "eyeLookDownSIDE": ({"eyeBlinkSIDE": 0.3},),  # the lid's part of it
    "browInnerUp": (_both("browOuterUp", 0.5),),
    "browOuterUpSIDE": ({"browInnerUp": 0.5},),
}  # fmt: skip

# FLAME's joints turn about x (+: down, so the jaw opens), y (+: to the face's left) and z.
JAW_OPEN_RAD = 0.44  # the lower teeth of the ICT-FaceKit face turn so far at jawOpen 1
JAW_SIDE_RAD = 0.09  # and its lower lip is carried so far aside at jawLeft 1
EYE_RAD = 0.5  # eyes seldom turn further
_FLAME_PLACES = ("expr", "jaw_pose", "eyes_pose", "neck_pose", "rotation")
_EYES = {  # weight → (column of eyes_pose, direction); eyes_pose is the left eye, then the right one
    "eyeLookDownLeft": (0, 1), "eyeLookUpLeft": (0, -1), "eyeLookOutLeft": (1, 1), "eyeLookInLeft": (1, -1),
    "eyeLookDownRight": (3, 1), "eyeLookUpRight": (3, -1), "eyeLookInRight": (4, 1), "eyeLookOutRight": (4, -1),
}  # fmt: skip

_lips_of: WeakKeyDictionary[Rigged, NDArray[np.float64]] = WeakKeyDictionary()


class Moved(NamedTuple):
    """What retargeting made of ARKit weights."""

    weights: dict[str, FloatArray]  # weight name → [T]: of names that the avatar's own rig has
    inputs: dict[str, FloatArray]  # other inputs → [T,size]
    ignored: tuple[str, ...]  # names, not all zero, for which there was no place


def speaks_arkit(avatar: Driven) -> bool:
    """Whether one of its inputs has ARKit's names."""
    return any(name in ARKIT_NAMES for into in avatar.inputs.values() for name in into.names)


def is_flame(avatar: Rigged) -> bool:
    """Whether it is moved by FLAME's parameters."""
    return avatar.manifest["rig"]["kind"] == "flame" and "jaw_pose" in avatar.inputs


def stand_ins(available: frozenset[str]) -> dict[str, Mapping[str, float]]:
    """ARKit name that is not available → the combination of available names that stands in for it; none: left out.

    Names without a side (eyeBlink for eyeBlinkLeft) count as available for both.
    """
    found: dict[str, Mapping[str, float]] = {}
    for name in ARKIT_NAMES:
        if name in available:
            continue
        side = next((s for s in _SIDES if name.endswith(s) and name.removesuffix(s) not in ("jaw", "mouth")), "")
        whole = name.removesuffix(side)
        if side and whole in available:
            found[name] = {whole: 0.5}
            continue
        options = _options(name)
        for option in options:
            if option.keys() <= available:
                found[name] = option
                break
    return found


def _options(name: str) -> tuple[dict[str, float], ...]:
    for pattern, options in STAND_INS.items():
        for side in _SIDES:
            if pattern.replace("SIDE", side) == name:
                return tuple({into.replace("SIDE", side): share for into, share in o.items()} for o in options)
    return ()


def to_rig(weights: Mapping[str, FloatArray], available: frozenset[str]) -> Moved:
    """ARKit weights on a rig that has the shapes `available`.

    A stand-in adds to what the rig's own shape is told, and takes it neither below 0 nor above 1 unless it was there.
    """
    out = {name: rows for name, rows in weights.items() if name in available}
    added: dict[str, NDArray[np.float64]] = {}
    ignored = []
    replaced = stand_ins(available)
    for name, rows in weights.items():
        if name in available:
            continue
        if name not in replaced:
            if rows.any():
                ignored.append(name)
            continue
        for into, share in replaced[name].items():
            added[into] = added.get(into, 0.0) + share * rows.astype(np.float64)
    for into, change in added.items():
        own = out.get(into, np.zeros(len(change), np.float32)).astype(np.float64)
        out[into] = np.clip(own + change, np.minimum(own, 0), np.maximum(own, 1)).astype(np.float32)
    return Moved(out, {}, tuple(ignored))


def to_flame(weights: Mapping[str, FloatArray], head_pose: FloatArray | None, avatar: Rigged) -> Moved:
    """ARKit weights and a head pose [T,3] as FLAME's parameters, for an avatar that takes those."""
    sizes = {name: avatar.inputs[name].size for name in _FLAME_PLACES if name in avatar.inputs}
    used: set[str] = set()

    def weight(name: str) -> FloatArray | float:
        used.add(name)
        return weights.get(name, 0.0)

    frames = len(next(iter(weights.values()))) if weights else len(head_pose) if head_pose is not None else 0
    inputs: dict[str, FloatArray] = {}

    def zeros(name: str) -> NDArray[np.float64]:
        return np.tile(avatar.inputs[name].default.astype(np.float64), (frames, 1))

    if weights and "jaw_pose" in sizes:
        # Lips that mouthClose keeps shut have no place to be but the closed jaw's.
        jaw = zeros("jaw_pose")
        jaw[:, 0] += JAW_OPEN_RAD * np.maximum(0, weight("jawOpen") - weight("mouthClose"))
        jaw[:, 1] += JAW_SIDE_RAD * (weight("jawLeft") - weight("jawRight"))
        inputs["jaw_pose"] = jaw.astype(np.float32)
    if weights and sizes.get("eyes_pose") == 6:
        eyes = zeros("eyes_pose")
        for name, (column, sign) in _EYES.items():
            eyes[:, column] += sign * EYE_RAD * weight(name)
        inputs["eyes_pose"] = eyes.astype(np.float32)
    if weights and sizes.get("expr") and avatar.info["n_vertices"] >= N_VERTICES:
        if avatar not in _lips_of:
            _lips_of[avatar] = solve_lips(avatar)
        lips = np.zeros((frames, len(LIP_NAMES)))
        for i, name in enumerate(LIP_NAMES):
            lips[:, i] = weight(name)
        inputs["expr"] = (zeros("expr") + lips @ _lips_of[avatar]).astype(np.float32)
    turned = next((name for name in ("neck_pose", "rotation") if sizes.get(name) == 3), None)
    ignored = [name for name, rows in weights.items() if name not in used and rows.any()]
    if head_pose is not None and turned is not None:
        inputs[turned] = (zeros(turned) + head_pose).astype(np.float32)
    elif head_pose is not None and head_pose.any():
        ignored.append("head_pose")
    return Moved({}, inputs, tuple(ignored))
