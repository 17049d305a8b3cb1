# SPDX-License-Identifier: Apache-2.0
"""Recorded people to train on: the prompts of the telephone exchange Asterisk, as Debian packages them.

A man's Italian (Carlo Flora) and a woman's Russian (Maxim Topal's ivrvoice.ru), CC BY 3.0, with their texts. eSpeak NG
says each word's phonemes, and pocketsphinx finds them in the recording: its model is of English, so each phoneme is
sought as the English one that is nearest, which tells where it begins, not how well it is said.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .espeak import Espeak
from .evaluate import read_sound
from .export import RATE_HZ, Array
from .recordings import IPA, aligned, decoder
from .speech import Phoneme, Speech
from .visemes import letters

SOUNDS, TEXTS = Path("/usr/share/asterisk/sounds"), Path("/usr/share/doc")
LONGEST_S = 0.45  # of a phoneme: a longer one was not found where it is
LEAST_WORDS = 3

# The English phone that sounds most like it, of letters that English lacks.
NEAREST = {letter: name for name, letter in IPA.items() if len(letter) == 1} | {
    "a": "AA", "e": "EH", "o": "AO", "ø": "ER", "y": "UW", "ɨ": "IH", "ə": "AH", "ɐ": "AH", "ɵ": "AO", "ʉ": "UW",
    "r": "R", "ɾ": "D", "ɲ": "N", "ʎ": "L", "ɭ": "L", "ɫ": "L", "x": "HH", "ʂ": "SH", "ʐ": "ZH", "ɕ": "SH", "ʑ": "ZH",
    "c": "T", "ɟ": "D", "ɣ": "G", "ʋ": "V", "β": "V", "ç": "HH", "h": "HH", "ɦ": "HH", "ɱ": "M", "g": "G", "q": "K",
    "ɜ": "ER", "ɚ": "ER", "ɒ": "AA", "ᵻ": "IH", "ɯ": "UW", "ɤ": "AO", "œ": "ER",
}  # fmt: skip


@dataclass(frozen=True)
class Talker:
    folder: str  # below SOUNDS
    package: str  # the one with its texts
    voice: str  # of eSpeak NG


TALKERS = (Talker("it_IT_m_Carlo", "asterisk-core-sounds-it", "it"),
           Talker("ru_RU_f_IvrvoiceRU", "asterisk-core-sounds-ru", "ru"))  # fmt: skip


def all_of(talkers: Sequence[Talker] = TALKERS) -> Iterator[Speech]:
    """Every prompt that is words alone and was found in its recording. Raises FileNotFoundError, naming the package."""
    for talker in talkers:
        texts = TEXTS / talker.package / f"{talker.package.removeprefix('asterisk-')}.txt.gz"
        for path in (texts, SOUNDS / talker.folder):
            if not path.exists():
                raise FileNotFoundError(f"no {path}: apt install {talker.package} {talker.package}-g722")
        for line in gzip.decompress(texts.read_bytes()).decode("utf-8-sig").splitlines():
            name, _, text = line.partition(": ")
            path = SOUNDS / talker.folder / f"{name}.g722"
            words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text)
            if path.exists() and len(words) >= LEAST_WORDS and not re.search(r"[\d<>\[\]()*#]", text):
                said = align(read_sound(path), [phonemes_of(word.lower(), talker.voice) for word in words])
                if said is not None:
                    yield said


@cache
def phonemes_of(word: str, voice: str) -> tuple[str, ...]:
    """The letters of visemes.TABLE that eSpeak NG says for a word."""
    return tuple(letter for p in Espeak.shared().speak(word, voice).phonemes for letter in letters(p.name))


def align(samples: Array, words: Sequence[Sequence[str]]) -> Speech | None:
    """Speech whose phonemes are those of the words; None if they are not found in the sound."""
    words = [word for word in words if word]
    listener = decoder()
    for i, word in enumerate(words):
        listener.add_word(f"word{i}", " ".join(NEAREST[letter] for letter in word), True)
    try:
        found = aligned(listener, samples, " ".join(f"word{i}" for i in range(len(words))))
    except RuntimeError:
        return None
    names = iter([letter for word in words for letter in word])
    spans = [("" if phone == "SIL" else next(names), start_s, end_s) for phone, start_s, end_s in found]
    if next(names, None) is not None or any(name and end_s - start_s > LONGEST_S for name, start_s, end_s in spans):
        return None
    phonemes = [Phoneme(max(0.0, start_s), name) for name, start_s, _ in spans]
    return Speech(samples, RATE_HZ, (*phonemes, Phoneme(spans[-1][2], "")), stops_at_burst=False)
