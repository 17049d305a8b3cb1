# SPDX-License-Identifier: Apache-2.0
"""Trains the built-in voice on speech whose phonemes are known.

python -m talksplat.authoring.voice.train --out voice.safetensors --seed 1
python -m talksplat.authoring.voice.train --out voice.safetensors --takes kokoro.npz hibari.npz festival.npz
python -m talksplat.authoring.voice.train --out seed1.safetensors --teacher
python -m talksplat.authoring.voice.train --out voice.safetensors --teachers before.safetensors seed1.safetensors
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from . import actor, batches, facegood
from .corpus import Corpus, build
from .distil import distil, read_teachers, wider
from .export import FEATURES, Array, make_manifest, write_voice
from .fold import tensors_of
from .optimise import enliven, fine_tune, train_tower
from .plan import DISTIL, LIVELIER, SHARE, SHIPPED, TEACHER, TUNE_COPIES, TUNE_RATE_SHARE, TUNE_STEPS
from .speech import Speech, load_takes, source_of


def report(line: str) -> None:
    print(line, flush=True)


def corpus_of(seed: int, hours: float, kept: Path | None, takes: Sequence[Speech] = ()) -> Corpus:
    """The corpus in the file `kept` if there is one; else a new one, put there."""
    if kept is not None and kept.exists():
        return Corpus.load(kept)
    report(f"corpus: {hours:g} hours of speech")
    data = build(seed, hours, takes=takes)
    if kept is not None:
        data.save(kept)
    return data


def digest(tensors: Mapping[str, Array]) -> str:
    """Eight hexadecimal digits that differ between trainings."""
    return hashlib.sha256(b"".join(value.tobytes() for value in tensors.values())).hexdigest()[:8]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the weights file to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help=f"training steps ({SHIPPED.steps}; with --teachers {DISTIL.steps})")
    parser.add_argument("--hours", type=float, default=6.0, help="hours of speech")
    parser.add_argument("--corpus", type=Path, help="a .npz to keep the corpus in, and to take it from if it is there")
    parser.add_argument(
        "--takes", type=Path, nargs="+", default=[],
        help="what authoring.voice.takes made: most of the speech; a file named twice is heard twice as often",
    )  # fmt: skip
    parser.add_argument(
        "--teacher", action="store_true",
        help=f"train a teacher, which hears {20 * TEACHER.look_ahead_steps} ms of what follows and cannot be played",
    )  # fmt: skip
    parser.add_argument(
        "--teachers", type=Path, nargs="+", default=[],
        help="voices of this recipe: the tower learns what they say on average, from where the first of them is",
    )  # fmt: skip
    parser.add_argument(
        "--wider", action="store_true",
        help="with --teachers: the tower's feed-forward layers are twice as wide as those of the first of them",
    )  # fmt: skip
    parser.add_argument(
        "--features", help=f"what avatars call the features of this voice, {FEATURES}-NAME; a digest of it if not given"
    )
    parser.add_argument("--facegood", type=Path, help="folder of the FACEGOOD take: fine-tune on its first 34 s")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads; one makes a seed's result repeatable")
    a = parser.parse_args(arguments)
    if a.teachers and a.teacher:
        parser.error("--teacher learns from the table: leave it or --teachers out")
    if a.teachers and a.facegood is not None:
        parser.error("--facegood fine-tunes a tower that learns from the table: leave it or --teachers out")
    if a.teacher and a.facegood is not None:
        parser.error("--facegood fine-tunes a voice that is played: leave it or --teacher out")
    if a.wider and not a.teachers:
        parser.error("--wider is of the tower that learns from --teachers: name them")
    if a.features is not None and not a.features.startswith(f"{FEATURES}-"):
        parser.error(f"--features must begin with {FEATURES}-, not be {a.features!r}")
    if a.steps is not None and a.steps < 1:
        parser.error(f"--steps must be at least 1, not {a.steps}")
    torch.set_num_threads(a.threads)
    plan = TEACHER if a.teacher else SHIPPED
    teachers = read_teachers(a.teachers)  # before the corpus, which takes minutes
    voices = [wider(teachers[0], np.random.default_rng([a.seed, 3])), *teachers[1:]] if a.wider else teachers
    steps = a.steps if a.steps is not None else DISTIL.steps if teachers else SHIPPED.steps
    data_of = ["eSpeak NG speech", *map(source_of, dict.fromkeys(a.takes))]
    takes = [take for path in a.takes for take in load_takes(path)]
    data = corpus_of(a.seed, a.hours, a.corpus, takes)
    torch.manual_seed(1000 * a.seed)
    if teachers:
        net = distil(voices, data, replace(DISTIL, steps=steps), np.random.default_rng([a.seed, 2]), report)
    else:
        net = train_tower(replace(plan, steps=steps), data, np.random.default_rng([a.seed, 1]), report)
        if a.facegood is not None:
            rng = np.random.default_rng([a.seed, 9])
            take = actor.take_corpus(facegood.load(a.facegood), data, rng, TUNE_COPIES)
            fine_tune(net, data, take, actor.MAPPED, rng, TUNE_STEPS, TUNE_RATE_SHARE * SHIPPED.rate, report)
            data_of.append("FACEGOOD take (MIT)")
        enliven(net, LIVELIER, SHARE, data)
    taught_by = [{"file": path.name, "look_ahead_steps": m["look_ahead_steps"], **m["provenance"]}
                 for path, (m, _) in zip(a.teachers, teachers, strict=True)]  # fmt: skip
    tensors = tensors_of([net])
    features = a.features or f"{FEATURES}-{digest(tensors)}"
    manifest = make_manifest(
        [net.shape], name=features.replace("-", " "), features=features, leveller=batches.LEVELLER,
        feature=batches.FEATURE, look_ahead_steps=plan.look_ahead_steps,
        provenance={"training": "talksplat.authoring.voice.train", "seed": a.seed, "hours": a.hours, "steps": steps,
                    "data": "; ".join(data_of), "teachers": taught_by},
    )  # fmt: skip
    write_voice(a.out, manifest, tensors, plan.look_ahead_steps)
    report(f"wrote {a.out}")


if __name__ == "__main__":
    main()
