# SPDX-License-Identifier: Apache-2.0
"""Fits the example networks and writes their files: python -m talksplat.authoring.examples.train

Needs torch and eSpeak NG, and ten to twenty minutes for each method on one core. A seed fixes every draw.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..methods.audio.module import AudioAttNet, AudioNet
from ..spec import Array
from . import knowledge, recipes, speech, weights
from .fit import Targets, train, train_ear
from .head import Head, faces_of_units
from .parts import marks_of
from .students import EmbedTalkStudent, FaceStudent, GaussianTalkerStudent, MouthStudent, Student
from .teacher import BLINK, Lesson, lesson, random_units

LESSON_FRAMES = 8000
# Of each round; a round begins at the full rate. Attention to a few tokens learns slower than the other networks.
STEPS = {"embedtalk": (4000,), "gaussian-talker": (5000, 3000), "face": (4000,), "mouth": (2000,)}
# How often Gaussians are asked. Teeth and eyeballs stand still close behind what moves, and everybody looks at them.
STILL = 0.06
SHARES = {"lips": 2.0, "lids": 2.0, "fading": 1.5, "eyes": 1.5}
FADED_LOGIT = -5.0  # what closed lips add to the opacity of teeth and tongue
CLOSED, OPEN = 0.015, 0.065  # the gap between the lips at which that ends and begins


class School:
    """What all students share: the head, the speech, and an ear that already hears lips."""

    def __init__(self, seed: int) -> None:
        self.seed, self.head = seed, Head()
        self.marks = marks_of(self.head)
        self.takes = speech.training(seed)
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(self.takes.face))[:LESSON_FRAMES]
        self.chosen = np.sort(chosen)
        self.units = random_units(len(self.chosen), rng)
        self.ear = AudioNet(recipes.AUDIO), AudioAttNet(recipes.AUDIO)
        train_ear(self.ear, self.takes.window, self.takes.face, _log)

    @property
    def faces(self) -> Array:
        return self.takes.face[self.chosen]

    def lesson(self, units: Array) -> Lesson:
        return lesson(self.head, self.faces, units)

    def teach(
        self, student: Student, units: Array, told: Lesson, scale: float, rounds: tuple[int, ...], share: Array
    ) -> None:
        """rounds: steps of each.  share [N]: how often each Gaussian is asked."""
        for i in range(len(student.audio)):
            student.audio[i].load_state_dict(self.ear[i].state_dict())
        gap = speech.lip_gap(self.faces)
        closed = 1 - np.clip((gap - CLOSED) / (OPEN - CLOSED), 0, 1)
        faded = FADED_LOGIT * closed, self.marks["fading"].astype(np.float64)
        targets = Targets(self.takes.window[self.chosen], units, told, faded)
        for i, steps in enumerate(rounds):
            train(student, targets, share, scale, steps, self.seed + i, _log)

    def share(self, told: Lesson, still: float = STILL) -> Array:
        """[N]: how often each Gaussian is asked, against one of the skin that moves; still: one that never does."""
        out = np.full(len(self.head), still)
        out[told.rows] = 1.0
        for name, share in SHARES.items():
            out[self.marks[name]] = share
        return out


def embedtalk(school: School) -> weights.Weights:
    faces = school.faces + faces_of_units(school.units)
    project = knowledge.projection(school.head, faces).astype(np.float16)
    known = knowledge.embeddings(school.head, project, school.marks)
    student = EmbedTalkStudent(known)
    told = school.lesson(school.units)
    school.teach(student, school.units, told, recipes.EMBED_TALK_WORLD.scale, STEPS["embedtalk"], school.share(told))
    marks = {name: school.marks[name] for name in knowledge.MARKS}
    return weights.Weights(school.takes.features, {"head": _state(student)}, marks, project)


def gaussian_talker(school: School) -> weights.Weights:
    blinks = np.zeros_like(school.units)
    blinks[:, BLINK] = school.units[:, BLINK]
    student = GaussianTalkerStudent(school.head)
    told = school.lesson(blinks)
    scale, rounds = recipes.GAUSSIAN_TALKER_WORLD.scale, STEPS["gaussian-talker"]
    # What is beyond the box of the planes shares its edge's features with what moves there, and needs more attention.
    school.teach(student, blinks, told, scale, rounds, school.share(told, still=0.2))
    return weights.Weights(school.takes.features, {"head": _state(student)}, {})


def talking_gaussian(school: School) -> weights.Weights:
    told, scale = school.lesson(school.units), recipes.TALKING_GAUSSIAN_WORLD.scale
    face, mouth, behind = FaceStudent(school.head), MouthStudent(school.head), school.marks["behind"]
    school.teach(face, school.units, told, scale, STEPS["face"], school.share(told) * ~behind)
    school.teach(mouth, school.units, told, scale, STEPS["mouth"], school.share(told) * behind)
    return weights.Weights(school.takes.features, {"face": _state(face), "mouth": _state(mouth)}, {"behind": behind})


METHODS = {"embedtalk": embedtalk, "gaussian-talker": gaussian_talker, "talking-gaussian": talking_gaussian}


def _state(student: Student) -> dict[str, Array]:
    return {name: value.numpy() for name, value in student.network.state_dict().items()}


def _log(text: str) -> None:
    print(text, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=recipes.NAMES, help="all by default")
    parser.add_argument("--out", type=Path, default=weights.FOLDER, help="folder of the files")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.manual_seed(options.seed)
    school = School(options.seed)
    for method in options.methods:
        torch.manual_seed(options.seed)
        trained = {"seed": options.seed, "sentences": speech.TRAINING_SENTENCES, "steps": STEPS}
        weights.save(weights.path_of(method, options.out), METHODS[method](school), trained)


if __name__ == "__main__":
    main()
