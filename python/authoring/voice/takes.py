# SPDX-License-Identifier: Apache-2.0
"""Speech of neural synthesisers, made once and kept: to train on or, by held-out voices, to test on.

python -m talksplat.authoring.voice.takes kokoro.npz --by kokoro --count 500 --seed 1
python -m talksplat.authoring.voice.takes hibari.npz --by hibari --count 500 --seed 1
python -m talksplat.authoring.voice.takes held_out.npz --by held-out

Kokoro needs two thirds of a second of one core for a second of speech, Hibari a tenth.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from . import texts
from .neural import KOKORO_HELD_OUT, KOKORO_VOICES, Hibari, Kokoro
from .sentences import HELD_OUT, HELD_OUT_NEURAL
from .speech import Speech, save_takes

SPEED = (0.8, 1.3)
PITCH = (0.5, 1.2)
MIXED_SHARE = 0.6  # of the takes: said by a random mixture of the voices
KEPT_EVERY = 20  # takes, so that a long run can be stopped


def by_hibari(count: int, seed: int) -> Iterator[Speech]:
    """`count` English utterances by Hibari's voice at other pitches, down to a man's."""
    rng, hibari = np.random.default_rng([seed, 8]), Hibari()
    for i in range(count):
        pitch, speed = np.exp(rng.uniform(*np.log(PITCH))), rng.uniform(*SPEED)
        yield hibari.speak(hibari.tokens(texts.english(rng)), speed=float(speed), pitch=float(pitch), seed=i)


def by_kokoro(count: int, seed: int) -> Iterator[Speech]:
    """`count` English utterances by the voices to train on and their mixtures."""
    rng, hibari, kokoro = np.random.default_rng([seed, 7]), Hibari(), Kokoro()
    for _ in range(count):
        if rng.random() < MIXED_SHARE:
            voices = dict(zip(KOKORO_VOICES, rng.dirichlet(np.full(len(KOKORO_VOICES), 0.7)), strict=True))
        else:
            voices = {str(rng.choice(KOKORO_VOICES)): 1.0}
        yield kokoro.speak(hibari.tokens(texts.english(rng)), voices, speed=float(rng.uniform(*SPEED)))


def held_out() -> Iterator[Speech]:
    """The held-out English sentences, each by both held-out voices."""
    hibari, kokoro = Hibari(), Kokoro()
    for i, sentence in enumerate((*HELD_OUT["en"], *HELD_OUT_NEURAL)):
        for j, voice in enumerate(KOKORO_HELD_OUT):
            yield kokoro.speak(hibari.tokens(sentence), {voice: 1.0}, speed=(0.9, 1.0, 1.1)[(i + j) % 3])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the .npz to write")
    parser.add_argument("--by", choices=("kokoro", "hibari", "held-out"), default="kokoro", help="held-out: the test's")
    parser.add_argument("--count", type=int, default=500, help="utterances to train on, of some four seconds")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args(arguments)
    takes: list[Speech] = []
    for take in held_out() if a.by == "held-out" else {"kokoro": by_kokoro, "hibari": by_hibari}[a.by](a.count, a.seed):
        takes.append(take)
        if len(takes) % KEPT_EVERY == 0:
            save_takes(a.out, takes)
    save_takes(a.out, takes)


if __name__ == "__main__":
    main()
