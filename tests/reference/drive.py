# SPDX-License-Identifier: Apache-2.0
"""drive in float64: the face at one time after the other, straight from what csrc/ops/drive*.h promise.

Whole-utterance: every step is known, and the events of a face's life are listed before any frame is drawn.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reference.moves import STEP_S, Bump, Path, Random, between, ease, low_pass
from reference.presence import Attitude, Breath, Presence, put
from talksplat.arkit import ARKIT_NAMES

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
    """weight [T,52] in ARKIT_NAMES order, head_pose [T,3], voice [T], breath [T]."""

    weight: np.ndarray
    head_pose: np.ndarray
    voice: np.ndarray
    breath: np.ndarray


def frame_count(n_steps: int, fps: float) -> int:
    """Frames k whose step floor(50 k / fps) + 1 is there."""
    k = 0
    while math.floor(k * 50 / fps) + 1 < n_steps:
        k += 1
    return k


def drive_ref(
    channel: np.ndarray,
    fps: float,
    seed: int = 0,
    mouth: float = 1,
    head: float = 1,
    blink: float = 1,
    presences: Mapping[int, Presence] | None = None,
    manner: Sequence[float] = (1.0, 1.0, 1.0),
) -> Faces:
    """channel [n,13] in CHANNELS order, step j at j / 50 s; presences: what is set before which step; manner: the
    voice's shares of the usual pitch, yaw and roll.
    """
    steps = np.asarray(channel, np.float64)
    steps = np.clip(np.where(np.isfinite(steps), steps, 0.0), 0.0, 1.0)
    gate = voice_gate(steps[:, CHANNELS.index("voice")])
    attitude = Attitude(gate.open, seed, presences or {})
    life = Life(gate, steps[:, CHANNELS.index("jawOpen")], seed, head, blink, attitude, np.array(manner))
    breath = Breath(seed)
    faces = []
    for k in range(frame_count(len(steps), fps)):
        time, position = k / fps, k * 50 / fps
        weight = mouth_at(steps, gate, position, 25 / fps, mouth)
        pose = life.head_at(time, position)
        weight |= life.brows_at(time) | life.eyes_at(time, position, pose)
        attitude.express(position, weight)
        row = np.array([np.clip(weight.get(name, 0.0), 0, 1) for name in ARKIT_NAMES])
        full = min(head * between(attitude.head, position, 1.0), 1.0) * breath.at(time)
        faces.append((row, pose, between(steps[:, CHANNELS.index("voice")], position), full))
    if not faces:
        return Faces(np.zeros((0, 52)), np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    return Faces(*(np.array(column) for column in zip(*faces, strict=True)))


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


def seal_at(closure: np.ndarray, position: float, half_frame: float) -> float:
    """How sealed lips are: of the strongest closure within half a frame, looking one step ahead at most."""
    first, last = position - half_frame, min(position + half_frame, math.floor(position) + 1)
    inside = [closure[j] for j in range(len(closure)) if first <= j <= last]
    strongest = max([between(closure, first), between(closure, last), *inside])
    return ease(min(max((strongest - 0.4) / (0.7 - 0.4), 0.0), 1.0))


# ---- life ----


class Life:
    """Every blink, glance, turn, nod and brow of the utterance."""

    def __init__(
        self, gate: Gate, jaw: np.ndarray, seed: int, head: float, blink: float, attitude: Attitude, manner: np.ndarray
    ) -> None:
        self.head, self.blink, self.attitude, self.manner = head, blink, attitude, manner
        self.talk = low_pass(low_pass(gate.open, 0.15), 0.15)
        self.blinks = self.list_blinks(Random(seed, 1), gate.phrase_ends)
        random = Random(seed, 3)
        first_turn = random.between(0.3, 1.0)
        rates = ((0.12, 0.22), (0.27, 0.45), (0.55, 0.85), (1.0, 1.5))
        self.sway_hz = [[self.draw_hz(random, *hz) for hz in rates] for _ in range(3)]
        self.posture = self.list_turns(random, first_turn)
        self.gaze = self.list_glances(Random(seed, 2), len(jaw))
        self.nods, self.raises = self.list_accents(Random(seed, 4), gate.open * jaw)

    def list_blinks(self, random: Random, phrase_ends: np.ndarray) -> list[Bump]:
        blinks: list[Bump] = []
        planned, second, pace = random.between(0.8, 2.5), False, self.blink
        for j, phrase_ends_here in enumerate(phrase_ends):
            now, last = j * STEP_S, blinks[-1].start if blinks else 0.0
            before, pace = pace, self.blink * self.attitude.presences[j].blink
            if pace <= 0:
                continue
            if pace != before:
                wait = (planned - now) * before / pace if before > 0 else random.between(0.8, 2.5)
                planned = max(now + wait, last + 0.34)
            if phrase_ends_here:
                wanted, at = random.uniform() < 0.6, now + random.between(0, 0.25)
                if wanted and at < planned and at > last + 0.8:
                    planned = at
            if planned < now + STEP_S:
                blinks.append(Bump(planned, 0.07, 0.04, 0.15, 1.0))
                normal = math.sqrt(3) * (sum(random.uniform() for _ in range(4)) - 2)
                wait = min(max(3.4 * math.exp(0.35 * normal), 2.0), 6.5) / pace
                second = random.uniform() < 0.12 and not second
                planned += 0.34 if second else max(wait, 0.34)
        return blinks

    def list_glances(self, random: Random, n_steps: int) -> Path:
        """To the side and up, and whether the eyes go there because they were told."""
        path, away = Path(), False
        start, landed = random.between(0.5, 1.6), -1.0
        far_turns = self.far_turns()
        for j in range(n_steps):
            now, asked = j * STEP_S, self.attitude.presences[j]
            if self.attitude.turns[j] or any(now <= turn < now + STEP_S for turn in far_turns):
                start = now
            if start >= now + STEP_S or now - STEP_S < landed:
                continue
            start = max(start, now)
            away = random.uniform() < 0.15 * (1 - self.attitude.attention[j]) and not away
            side, up = random.about_zero(), random.about_zero()
            far, height, wait = random.between(0.12, 0.30), random.between(-0.15, 0.05), random.uniform()
            to = np.array([math.copysign(far, side), height] if away else [0.04 * side, 0.03 * up])
            if asked.look:
                to = np.array(asked.gaze) + min(self.blink * self.attitude.blink[j], 1) * to
            duration = min(0.03 + 0.1 * float(np.linalg.norm(to - path.end(3)[:2])), 0.08)
            path.moves.append((start, duration, np.append(to, float(asked.look))))
            landed = start + duration
            start += duration + (0.4 + 0.6 * wait if away else 0.5 + 1.1 * wait)
        return path

    def far_turns(self) -> list[float]:
        """When the head begins to go so far that the eyes look anew."""
        places = [np.zeros(3)] + [to for _, _, to in self.posture.moves]
        ways = [np.linalg.norm((b - a)[:2]) for a, b in itertools.pairwise(places)]
        return [start for (start, _, _), way in zip(self.posture.moves, ways, strict=True) if way > 0.02]

    def list_turns(self, random: Random, start: float) -> Path:
        path = Path()
        while start < len(self.talk) * STEP_S:
            talk = self.talk[int(start / STEP_S)]
            reach = (1 - talk) * np.array([0.013, 0.025, 0.008]) + talk * np.array([0.035, 0.012, 0.020])
            to = reach * np.array([random.about_zero() for _ in range(3)])
            pace, wait = random.uniform(), random.uniform()
            duration = (1 - talk) * (0.6 + 0.5 * pace) + talk * (0.4 + 0.45 * pace)
            path.moves.append((start, duration, to))
            start += duration + (1 - talk) * (1.2 + 2.3 * wait) + talk * (0.05 + 0.55 * wait)
        return path

    @staticmethod
    def draw_hz(random: Random, low: float, high: float) -> float:
        hz = random.between(low, high)
        return -hz if random.uniform() < 0.5 else hz

    @staticmethod
    def list_accents(random: Random, force: np.ndarray) -> tuple[list[tuple[Bump, np.ndarray]], list[Bump]]:
        """Nods, of which each has an axis of its own, and raised brows."""
        nods: list[tuple[Bump, np.ndarray]] = []
        raises: list[Bump] = []
        stressed = low_pass(force, 0.05) - low_pass(force, 0.6) > 0.05
        earliest, lowered = 0.0, 0.0
        for j in range(len(force)):
            now = j * STEP_S
            if stressed[j] and not (j > 0 and stressed[j - 1]) and now >= earliest:
                nods_here, size = random.uniform() < 0.85, random.uniform()
                nod = (0.015 + 0.025 * size) * (-1 if random.uniform() < 0.3 else 1)
                axis = np.array([1.0, 0.2 * random.between(-1, 1), 0.3 * random.between(-1, 1)])
                raises_here, height = random.uniform() < 0.22, random.between(0.10, 0.26)
                rise, hold, fall = (0.65 + 0.45 * size) * np.array([0.19, 0.03, 0.37])
                nods += [(Bump(now, rise, hold, fall, nod), axis)] * nods_here
                if raises_here and now >= lowered:
                    raises.append(Bump(now, 0.20, 0.12, 0.45, height))
                    lowered = now + 0.79
                earliest = now + random.between(0.4, 0.85)
        return nods, raises

    def head_at(self, time: float, position: float) -> np.ndarray:
        talk = between(self.talk, position)
        pose = self.posture.at(time, 3)
        for axis, (sway, stir) in enumerate([(0.004, 0.009), (0.006, 0.004), (0.003, 0.0045)]):
            wave = [math.sin(2 * math.pi * hz * time) for hz in self.sway_hz[axis]]
            pose[axis] += sway * (0.6 + 0.4 * talk) * (0.65 * wave[0] + 0.35 * wave[1])
            pose[axis] += stir * talk * (0.6 * wave[2] + 0.4 * wave[3])
        for nod, axis_of_nod in self.nods:
            pose += nod.at(time) * axis_of_nod
        pose = self.manner * pose + self.attitude.attend(time, position)
        return self.head * between(self.attitude.head, position, 1.0) * pose + self.attitude.turn(position)

    def brows_at(self, time: float) -> dict[str, float]:
        up = sum(bump.at(time) for bump in self.raises)
        return {"browInnerUp": up, "browOuterUpLeft": 0.6 * up, "browOuterUpRight": 0.6 * up}

    def eyes_at(self, time: float, position: float, pose: np.ndarray) -> dict[str, float]:
        *gaze, told = self.gaze.at(time, 3)
        amount = min(self.blink * between(self.attitude.blink, position, 1.0), 1)
        side, up = (amount + (1 - amount) * told) * (gaze + 1.4 * np.array([-pose[1], pose[0]]))
        shut = sum(blink.at(time) for blink in self.blinks)
        lid = shut + (1 - shut) * 0.3 * min(max(-up, 0.0), 1.0)
        weight: dict[str, float] = {}
        put(weight, "eyeBlink", lid)
        put(weight, "eyeSquint", 0.12 * shut)
        put(weight, "eyeLookUp", max(up, 0.0))
        put(weight, "eyeLookDown", max(-up, 0.0))
        weight["eyeLookOutLeft"] = weight["eyeLookInRight"] = max(side, 0.0)
        weight["eyeLookInLeft"] = weight["eyeLookOutRight"] = max(-side, 0.0)
        return weight
