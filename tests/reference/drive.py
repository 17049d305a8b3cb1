# SPDX-License-Identifier: Apache-2.0
"""drive in float64: the face at one time after the other, straight from what csrc/ops/drive.h and drive_life.h promise.

Whole-utterance: every step is known, and the events of a face's life are listed before any frame is drawn.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from talksplat.arkit import ARKIT_NAMES

STEP_S = 0.02
CHANNELS = (
    "jawOpen", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp", "mouthRollLower", "mouthRollUpper",
    "mouthPress", "mouthStretch", "mouthSmile", "tongueOut", "closure", "voice",
)  # fmt: skip
SHAPES = {  # channels that are weights as they are, and whether sealed lips end them
    "mouthFunnel": True, "mouthPucker": False, "mouthLowerDown": True, "mouthUpperUp": True, "mouthStretch": False,
    "mouthSmile": False, "tongueOut": True,
}  # fmt: skip
SQUEEZED = {"mouthPress": 0.30, "mouthRollLower": 0.22, "mouthRollUpper": 0.22}  # and how much where lips are sealed


@dataclass
class Faces:
    """weight [T,52] in ARKIT_NAMES order, head_pose [T,3], voice [T]."""

    weight: np.ndarray
    head_pose: np.ndarray
    voice: np.ndarray


def frame_count(n_steps: int, fps: float) -> int:
    """Frames k whose step floor(50 k / fps) + 1 is there."""
    k = 0
    while math.floor(k * 50 / fps) + 1 < n_steps:
        k += 1
    return k


def drive_ref(
    channel: np.ndarray, fps: float, seed: int = 0, mouth: float = 1, head: float = 1, blink: float = 1
) -> Faces:
    """channel [n,13] in CHANNELS order, step j at j / 50 s."""
    steps = np.asarray(channel, np.float64)
    steps = np.clip(np.where(np.isfinite(steps), steps, 0.0), 0.0, 1.0)
    gate = voice_gate(steps[:, CHANNELS.index("voice")])
    life = Life(gate, steps[:, CHANNELS.index("jawOpen")], seed, blink)
    faces = []
    for k in range(frame_count(len(steps), fps)):
        weight = mouth_at(steps, gate, k * 50 / fps, 25 / fps, mouth)
        pose = head * life.head_at(k / fps, k * 50 / fps)
        weight |= life.brows_at(k / fps) | life.eyes_at(k / fps, pose)
        row = np.array([np.clip(weight.get(name, 0.0), 0, 1) for name in ARKIT_NAMES])
        faces.append((row, pose, between(steps[:, CHANNELS.index("voice")], k * 50 / fps)))
    if not faces:
        return Faces(np.zeros((0, 52)), np.zeros((0, 3)), np.zeros(0))
    rows, poses, voice = zip(*faces, strict=True)
    return Faces(np.array(rows), np.array(poses), np.array(voice))


def ease(x: float) -> float:
    return 3 * x**2 - 2 * x**3


def between(curve: np.ndarray, position: float) -> float:
    """A curve of steps, linear between them, 0 before the first."""
    return float(np.interp(position, np.arange(-1, len(curve)), np.concatenate([[0.0], curve])))


# ---- lips ----


@dataclass
class Gate:
    """At every step: how far it is open, whether someone speaks, whether a phrase ends there."""

    open: np.ndarray
    speaking: np.ndarray
    phrase_ends: np.ndarray

    def at(self, position: float) -> float:
        """Opening is seen a step ahead: while someone speaks, the frame has what the next step will have."""
        j = math.floor(position)
        ahead = min(1.0, self.open[j + 1] + 0.5 * (position - j)) if self.speaking[j + 1] else 0.0
        return ease(max(between(self.open, position), ahead))


def voice_gate(voice: np.ndarray) -> Gate:
    gate = Gate(np.zeros(len(voice)), np.zeros(len(voice), bool), np.zeros(len(voice), bool))
    speaking, last_voice, spoken, opened = False, -100, 0, 0.0
    for j, v in enumerate(voice):
        speaking = gate.speaking[j] = v > 0.2 if speaking else v > 0.4
        if speaking:
            last_voice, spoken = j, spoken + 1
            opened = min(1.0, opened + 0.5)
        elif j - last_voice > min(4, spoken) or (spoken < 8 and v < 0.08):
            gate.phrase_ends[j] = j - last_voice == 5 and spoken >= 8
            opened = max(0.0, opened - 0.25)
            spoken = spoken if opened > 0 else 0
        gate.open[j] = opened
    return gate


def mouth_at(steps: np.ndarray, gate: Gate, position: float, half_frame: float, mouth: float) -> dict[str, float]:
    j = math.floor(position)
    u = position - j
    before = steps[j - 1] if j > 0 else np.zeros(len(CHANNELS))
    said = dict(
        zip(CHANNELS, (1 - u) / 4 * before + (1 - u) / 2 * steps[j] + (1 + 3 * u) / 4 * steps[j + 1], strict=True)
    )
    seal = seal_at(steps[:, CHANNELS.index("closure")], position, half_frame)
    opened = gate.at(position)
    jaw = min(1.0, mouth * opened * said["jawOpen"])
    weight = {"jawOpen": jaw, "mouthClose": seal * jaw}
    for name, ends in SHAPES.items():
        put(weight, name, mouth * opened * said[name] * (1 - seal if ends else 1))
    for name, squeeze in SQUEEZED.items():
        put(weight, name, max(mouth * opened * said[name], squeeze * seal * opened * min(mouth, 1)))
    return weight


def put(weight: dict[str, float], name: str, value: float) -> None:
    """Into the weight of that name, or into those of both sides."""
    for full in (name,) if name in ARKIT_NAMES else (f"{name}Left", f"{name}Right"):
        weight[full] = value


def seal_at(closure: np.ndarray, position: float, half_frame: float) -> float:
    """How sealed lips are: of the strongest closure within half a frame, looking one step ahead at most."""
    first, last = position - half_frame, min(position + half_frame, math.floor(position) + 1)
    inside = [closure[j] for j in range(len(closure)) if first <= j <= last]
    strongest = max([between(closure, first), between(closure, last), *inside])
    return ease(min(max((strongest - 0.4) / (0.7 - 0.4), 0.0), 1.0))


# ---- life ----


class Random:
    """SplitMix64 (Steele, Lea and Flood 2014)."""

    def __init__(self, seed: int, stream: int) -> None:
        self.state = self.scramble(seed + stream * 0xD1B54A32D192ED03)

    @staticmethod
    def scramble(z: int) -> int:
        z %= 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    def uniform(self) -> float:
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        return (self.scramble(self.state) >> 11) / 2**53

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.uniform()

    def about_zero(self) -> float:
        return self.uniform() + self.uniform() - 1


@dataclass
class Bump:
    """0, up to amount, and back to 0."""

    start: float
    rise: float
    hold: float
    fall: float
    amount: float

    def at(self, time: float) -> float:
        end = self.start + self.rise + self.hold + self.fall
        up = ease(min(max((time - self.start) / self.rise, 0.0), 1.0))
        down = ease(min(max((end - time) / self.fall, 0.0), 1.0))
        return self.amount * min(up, down)


@dataclass
class Path:
    """A place that moves now and then, and rests between."""

    moves: list[tuple[float, float, np.ndarray]] = field(default_factory=list)  # start, duration, to

    def end(self, axes: int) -> np.ndarray:
        return self.moves[-1][2] if self.moves else np.zeros(axes)

    def at(self, time: float, axes: int) -> np.ndarray:
        place = np.zeros(axes)
        for start, duration, to in self.moves:
            x = min(max((time - start) / duration, 0.0), 1.0)
            place = place + (to - place) * (10 * x**3 - 15 * x**4 + 6 * x**5)
        return place


class Life:
    """Every blink, glance, turn, nod and brow of the utterance."""

    def __init__(self, gate: Gate, jaw: np.ndarray, seed: int, blink: float) -> None:
        self.blink = blink
        self.talk = low_pass(low_pass(gate.open, 0.25), 0.25)
        self.blinks = self.list_blinks(Random(seed, 1), gate.phrase_ends) if blink > 0 else []
        self.gaze = self.list_glances(Random(seed, 2), len(jaw))
        random = Random(seed, 3)
        first_turn = random.between(0.3, 1.0)
        self.sway_hz = [[self.draw_hz(random, 0.12, 0.22), self.draw_hz(random, 0.27, 0.45)] for _ in range(3)]
        self.posture = self.list_turns(random, first_turn)
        self.nods, self.raises = self.list_accents(Random(seed, 4), gate.open * jaw)

    def list_blinks(self, random: Random, phrase_ends: np.ndarray) -> list[Bump]:
        blinks: list[Bump] = []
        planned, second = random.between(0.8, 2.5), False
        for j, phrase_ends_here in enumerate(phrase_ends):
            if phrase_ends_here:
                wanted, at = random.uniform() < 0.6, j * STEP_S + random.between(0, 0.25)
                if wanted and at < planned and at > (blinks[-1].start if blinks else 0.0) + 0.8:
                    planned = at
            if planned < j * STEP_S + STEP_S:
                blinks.append(Bump(planned, 0.07, 0.04, 0.15, 1.0))
                normal = math.sqrt(3) * (sum(random.uniform() for _ in range(4)) - 2)
                wait = min(max(3.4 * math.exp(0.35 * normal), 2.0), 6.5) / self.blink
                second = random.uniform() < 0.12 and not second
                planned += 0.34 if second else max(wait, 0.34)
        return blinks

    def list_glances(self, random: Random, n_steps: int) -> Path:
        path, away = Path(), False
        start = random.between(0.5, 1.6)
        while start < n_steps * STEP_S:
            away = random.uniform() < 0.15 and not away
            side, up = random.about_zero(), random.about_zero()
            far, height, wait = random.between(0.12, 0.30), random.between(-0.15, 0.05), random.uniform()
            to = np.array([math.copysign(far, side), height] if away else [0.04 * side, 0.03 * up])
            duration = 0.03 + 0.1 * float(np.linalg.norm(to - path.end(2)))
            path.moves.append((start, duration, to))
            start += duration + (0.4 + 0.6 * wait if away else 0.5 + 1.1 * wait)
        return path

    def list_turns(self, random: Random, start: float) -> Path:
        path = Path()
        while start < len(self.talk) * STEP_S:
            talk = self.talk[int(start / STEP_S)]
            reach = np.array([0.018, 0.050, 0.018]) * (0.45 + 0.55 * talk)
            to = reach * np.array([random.between(-1, 1) for _ in range(3)])
            duration, wait = random.between(0.6, 1.1), random.uniform()
            path.moves.append((start, duration, to))
            start += duration + (1 - talk) * (1.2 + 2.3 * wait) + talk * (0.4 + 1.4 * wait)
        return path

    @staticmethod
    def draw_hz(random: Random, low: float, high: float) -> float:
        hz = random.between(low, high)
        return -hz if random.uniform() < 0.5 else hz

    @staticmethod
    def list_accents(random: Random, force: np.ndarray) -> tuple[list[Bump], list[Bump]]:
        nods, raises = [], []
        stressed = low_pass(force, 0.06) - low_pass(force, 1.0) > 0.08
        earliest = 0.0
        for j in range(len(force)):
            now = j * STEP_S
            if stressed[j] and not (j > 0 and stressed[j - 1]) and now >= earliest:
                nods_here, nod = random.uniform() < 0.7, random.between(0.008, 0.022)
                raises_here, height = random.uniform() < 0.35, random.between(0.12, 0.30)
                nods += [Bump(now, 0.13, 0.02, 0.32, nod)] * nods_here
                raises += [Bump(now, 0.18, 0.12, 0.45, height)] * raises_here
                earliest = now + random.between(0.9, 2.0)
        return nods, raises

    def head_at(self, time: float, position: float) -> np.ndarray:
        talk = between(self.talk, position)
        pose = self.posture.at(time, 3)
        for axis, size in enumerate((0.004, 0.008, 0.003)):
            slow, fast = (math.sin(2 * math.pi * hz * time) for hz in self.sway_hz[axis])
            pose[axis] += size * (0.6 + 0.4 * talk) * (0.65 * slow + 0.35 * fast)
        pose[0] += sum(nod.at(time) for nod in self.nods)
        return pose

    def brows_at(self, time: float) -> dict[str, float]:
        up = sum(bump.at(time) for bump in self.raises)
        return {"browInnerUp": up, "browOuterUpLeft": 0.6 * up, "browOuterUpRight": 0.6 * up}

    def eyes_at(self, time: float, pose: np.ndarray) -> dict[str, float]:
        side, up = min(self.blink, 1) * (self.gaze.at(time, 2) + 1.4 * np.array([-pose[1], pose[0]]))
        shut = sum(blink.at(time) for blink in self.blinks)
        lid = shut + (1 - shut) * 0.3 * max(-up, 0.0)
        weight: dict[str, float] = {}
        put(weight, "eyeBlink", lid)
        put(weight, "eyeSquint", 0.12 * shut)
        put(weight, "eyeLookUp", max(up, 0.0))
        put(weight, "eyeLookDown", max(-up, 0.0))
        weight["eyeLookOutLeft"] = weight["eyeLookInRight"] = max(side, 0.0)
        weight["eyeLookInLeft"] = weight["eyeLookOutRight"] = max(-side, 0.0)
        return weight


def low_pass(curve: np.ndarray, seconds: float) -> np.ndarray:
    out, mean = np.empty(len(curve)), 0.0
    for j, value in enumerate(curve):
        mean += STEP_S / (seconds + STEP_S) * (value - mean)
        out[j] = mean
    return out
