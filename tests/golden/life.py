# SPDX-License-Identifier: Apache-2.0
"""Faces that live: what the oracle of drive says of two utterances while a user sets this and that.

They reach the core's own test (tests/cpp/test_drive_oracle.cc) through life.safetensors: Python sees a session's
pictures, not its faces. Per case N: N/params [6] fps, seed, mouth, head, blink and the number of frames from one face
to the next; N/channel [n,13] uint8, of 255; N/presence [m,16] the step before which it is set, look, gaze, head_pose,
head, blink, listening, emotion; N/weight, N/head_pose and N/breath of the faces.
"""

from dataclasses import dataclass

import numpy as np

from reference.drive import CHANNELS, Faces, drive_ref
from reference.moves import Random
from reference.presence import Presence

N_STEPS = 800
EVERY = 3  # frames
Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    channel: np.ndarray  # [n,13] uint8
    presences: dict[int, Presence]
    fps: float
    seed: int
    mouth: float = 1.0
    head: float = 1.0
    blink: float = 1.0

    def faces(self) -> Faces:
        options = {"seed": self.seed, "mouth": self.mouth, "head": self.head, "blink": self.blink}
        said = self.channel.astype(np.float32) / np.float32(255)
        return drive_ref(said, self.fps, presences=self.presences, **options)

    def values(self) -> Values:
        faces = self.faces()
        rows = [
            (j, p.look, *p.gaze, *p.head_pose, p.head, p.blink, p.listening, *p.emotion)
            for j, p in self.presences.items()
        ]
        values = {
            "params": np.array([self.fps, self.seed, self.mouth, self.head, self.blink, EVERY]),
            "channel": self.channel,
            "presence": np.array(rows),
            "weight": faces.weight[::EVERY],
            "head_pose": faces.head_pose[::EVERY],
            "breath": faces.breath[::EVERY],
        }
        return {name: a if a.dtype == np.uint8 else a.astype(np.float32) for name, a in values.items()}


def speech(seed: int) -> np.ndarray:
    """Phrases and pauses of one to three seconds; lips that seal now and then, also as some phrases begin."""
    random = Random(seed, 100)
    rows = np.zeros((N_STEPS, len(CHANNELS)))
    begun, end, speaks, syllable = 0, 0, True, 0.0
    for j in range(N_STEPS):
        if j == end:
            speaks, begun, end = not speaks, j, j + int(random.between(50, 150))
        if j % 7 == 0:
            syllable = random.uniform()
        rows[j] = [0.2 + 0.6 * syllable * (0.5 + random.uniform() / 2) for _ in CHANNELS]
        seals = (speaks and j - begun < 4 and begun % 2 == 0) or (j // 7) % 5 == 2
        rows[j, CHANNELS.index("mouthPress")] *= 0.2
        rows[j, CHANNELS.index("closure")] = 0.9 if seals else 0.05
        rows[j, CHANNELS.index("voice")] = 0.9 if speaks else 0.05
    return np.round(255 * np.clip(rows, 0, 1)).astype(np.uint8)


def one_after_the_other() -> dict[int, Presence]:
    """Every mood for itself, then attention, gaze and head, blinks off and on, and the defaults again."""
    moods = [Presence(emotion=tuple(float(i == mood) for i in range(6))) for mood in range(6)]
    then = [
        Presence(listening=1.0),
        Presence(look=True, gaze=(-1.0, 0.75)),
        Presence(look=True, gaze=(0.5, -0.5), head_pose=(0.125, -0.5, 0.25)),
        Presence(head=0.0, blink=0.0),
        Presence(head=2.0, blink=2.0, listening=0.25),
        Presence(),
    ]
    return {30 + 60 * i: presence for i, presence in enumerate([*moods, *then])}


def anything(seed: int) -> dict[int, Presence]:
    """Something new after 1 to 40 steps, in eighths, which float32 has."""
    random = Random(seed, 101)

    def eighths(low: int, high: int) -> float:
        return int(random.between(low, high + 1)) / 8

    def presence() -> Presence:
        return Presence(
            look=random.uniform() < 0.5,
            gaze=(eighths(-8, 8), eighths(-8, 8)),
            head_pose=(eighths(-8, 8), eighths(-8, 8), eighths(-8, 8)),
            head=eighths(0, 16),
            blink=eighths(0, 16),
            listening=eighths(0, 8),
            emotion=tuple(max(eighths(-8, 8), 0.0) for _ in range(6)),
        )

    steps, out = 0, {}
    while steps < N_STEPS:
        out[steps] = presence()
        steps += 1 + int(random.between(0, 40) * random.uniform())
    return out


def cases() -> list[Case]:
    return [
        Case(speech(0), one_after_the_other(), fps=25.0, seed=3),
        Case(speech(1), anything(1), fps=30.0, seed=8, mouth=1.5, head=0.75, blink=1.25),
    ]


def life_values() -> Values:
    return {f"{i}/{name}": value for i, case in enumerate(cases()) for name, value in case.values().items()}
