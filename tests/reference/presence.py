# SPDX-License-Identifier: Apache-2.0
"""What a user sets of a living face, in float64, as csrc/ops/drive_presence.h and drive_breath.h promise: at every step
what is in force, and the curves that are eased from it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from reference.moves import STEP_S, Bump, Random, between, eased
from talksplat.arkit import ARKIT_NAMES

EMOTIONS = ("happy", "sad", "angry", "surprised", "afraid", "disgusted")
ALWAYS, FAINTER, IN_SILENCE = range(3)
MOODS = {
    "happy": {
        "cheekSquint": (0.80, ALWAYS), "eyeSquint": (0.35, ALWAYS), "mouthSmile": (0.90, FAINTER),
        "mouthDimple": (0.20, FAINTER),
    },
    "sad": {
        "browInnerUp": (1.00, ALWAYS), "browDown": (0.20, ALWAYS), "eyeSquint": (0.30, ALWAYS),
        "mouthFrown": (0.90, FAINTER), "mouthShrugLower": (0.40, IN_SILENCE),
    },
    "angry": {
        "browDown": (1.00, ALWAYS), "eyeWide": (0.15, ALWAYS), "eyeSquint": (0.60, ALWAYS), "noseSneer": (0.45, ALWAYS),
        "mouthFrown": (0.55, FAINTER), "mouthPress": (0.55, IN_SILENCE), "mouthRollLower": (0.20, IN_SILENCE),
        "mouthRollUpper": (0.15, IN_SILENCE),
    },
    "surprised": {
        "browInnerUp": (0.90, ALWAYS), "browOuterUp": (1.00, ALWAYS), "eyeWide": (0.85, ALWAYS),
        "jawOpen": (0.28, IN_SILENCE), "mouthFunnel": (0.15, IN_SILENCE),
    },
    "afraid": {
        "browInnerUp": (1.00, ALWAYS), "browOuterUp": (0.20, ALWAYS), "browDown": (0.30, ALWAYS),
        "eyeWide": (1.00, ALWAYS), "mouthStretch": (0.75, FAINTER), "mouthFrown": (0.30, FAINTER),
        "mouthLowerDown": (0.20, IN_SILENCE),
    },
    "disgusted": {
        "noseSneer": (1.00, ALWAYS), "browDown": (0.70, ALWAYS), "eyeSquint": (0.60, ALWAYS),
        "cheekSquint": (0.50, ALWAYS), "mouthFrown": (0.55, FAINTER), "mouthUpperUp": (0.50, IN_SILENCE),
    },
}  # fmt: skip
LISTENING = {"browInnerUp": (0.14, ALWAYS), "browOuterUp": (0.10, ALWAYS), "mouthSmile": (0.08, FAINTER)}


@dataclass(frozen=True)
class Presence:
    """emotion: in EMOTIONS order."""

    look: bool = False
    gaze: tuple[float, float] = (0.0, 0.0)
    head_pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    head: float = 1.0
    blink: float = 1.0
    listening: float = 0.0
    emotion: tuple[float, ...] = (0.0,) * 6


class Attitude:
    """presences: at every step. turns: steps at which the eyes go elsewhere. All else: curves of steps."""

    def __init__(self, opened: np.ndarray, seed: int, presences: Mapping[int, Presence]) -> None:
        self.opened = opened
        self.presences: list[Presence] = []
        for j in range(len(opened)):
            self.presences.append(presences.get(j, self.presences[-1] if j else Presence()))
        look = [(p.look, *(p.gaze if p.look else (0.0, 0.0))) for p in self.presences]
        self.turns = [here != before for before, here in zip([(False, 0.0, 0.0), *look], look, strict=False)]
        self.pose = [eased(self.curve(lambda p, i=i: p.head_pose[i]), 0.08) for i in range(3)]
        self.head = eased(self.curve(lambda p: p.head), 0.048, 1.0)
        self.blink = eased(self.curve(lambda p: p.blink), 0.048, 1.0)
        self.listening = eased(self.curve(lambda p: p.listening), 0.064)
        self.speech = eased(opened, 0.05)
        self.attention = np.where(self.curve(lambda p: p.look), 1.0, 0.75 * self.listening)
        self.moods = {
            name: eased(self.curve(lambda p, i=i: p.emotion[i] / max(sum(p.emotion), 1.0)), 0.064)
            for i, name in enumerate(EMOTIONS)
        }
        random = Random(seed, 6)
        self.tilt = -1 if random.uniform() < 0.5 else 1
        self.nods = self.list_nods(random)

    def curve(self, read: Callable[[Presence], float]) -> np.ndarray:
        return np.array([float(read(presence)) for presence in self.presences])

    def list_nods(self, random: Random) -> list[Bump]:
        nods = []
        start = random.between(2.5, 6.0)
        while start < len(self.opened) * STEP_S:
            twice, size = random.uniform() < 0.4, random.uniform()
            if twice:
                amount = 0.022 + 0.018 * size
                nods += [Bump(start, 0.20, 0.02, 0.28, amount), Bump(start + 0.5, 0.20, 0.02, 0.28, 0.6 * amount)]
            else:
                nods.append(Bump(start, 0.28, 0.04, 0.46, 0.030 + 0.025 * size))
            start += random.between(2.5, 6.0)
        return nods

    def attend(self, time: float, position: float) -> np.ndarray:
        nod = sum(nod.at(time) for nod in self.nods) * (1 - between(self.speech, position))
        return between(self.listening, position) * np.array([0.025 + nod, 0.0, 0.035 * self.tilt])

    def turn(self, position: float) -> np.ndarray:
        return np.array([between(curve, position) for curve in self.pose])

    def express(self, position: float, weight: dict[str, float]) -> None:
        """Adds to the weights of a face that is done but for this."""
        speech = between(self.speech, position)
        silence = 1 - max(speech, between(self.opened, position))
        part = {ALWAYS: 1.0, FAINTER: 1 - 0.6 * speech, IN_SILENCE: silence * (1 - seals(weight))}
        felt = {name: between(curve, position) for name, curve in self.moods.items()}
        amounts = [(MOODS[name], mood * (1.6 - 0.6 * mood)) for name, mood in felt.items()]
        added = dict.fromkeys(ARKIT_NAMES, 0.0)
        for shapes, amount in [*amounts, (LISTENING, between(self.listening, position))]:
            for name, (size, when) in shapes.items():
                for full in sides(name):
                    added[full] += amount * size * part[when]
        for side in ("Left", "Right"):
            added[f"eyeWide{side}"] *= 1 - weight[f"eyeBlink{side}"]
        for name, more in added.items():
            weight[name] = weight.get(name, 0.0) + more


def seals(weight: dict[str, float]) -> float:
    closed = weight["mouthClose"] / max(weight["jawOpen"], 0.05)
    return min(max(closed, weight["mouthPressLeft"] / 0.25), 1.0)


def sides(name: str) -> tuple[str, ...]:
    """The weight of that name, or those of both sides."""
    return (name,) if name in ARKIT_NAMES else (f"{name}Left", f"{name}Right")


def put(weight: dict[str, float], name: str, value: float) -> None:
    for full in sides(name):
        weight[full] = value


class Breath:
    """How full the lungs are, 0..1."""

    def __init__(self, seed: int) -> None:
        random = Random(seed, 5)
        ranges = ((0.23, 0.27), (0.021, 0.034), (0.051, 0.073), (0.037, 0.059))
        self.waves = [(random.between(*hz), random.uniform()) for hz in ranges]

    def at(self, time: float) -> float:
        breathing, slow, fast, depth = (2 * math.pi * (hz * time + start) for hz, start in self.waves)
        phase = breathing + 0.8 * math.sin(slow) + 0.4 * math.sin(fast)
        return (1 - 0.25 * (1 + math.sin(depth)) / 2) * (1 - math.cos(phase - 0.32 * math.cos(phase))) / 2
