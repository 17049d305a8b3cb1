# SPDX-License-Identifier: Apache-2.0
"""Recorded people to train on: the prompts of the telephone exchange Asterisk, as Debian packages them.

A man's Italian (Carlo Flora) and a woman's Russian (Maxim Topal's ivrvoice.ru), CC BY 3.0, with their texts. eSpeak NG
says each word's phonemes, and pocketsphinx finds them in the recording: its model is of English, so each phoneme is
sought as the English one that is nearest, which tells where it begins, not how well it is said. A third person's, in
English, are never trained on: settings are chosen on them.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from . import recordings
from .closures import Spoken, spoken
from .espeak import Espeak
from .evaluate import read_sound
from .export import RATE_HZ, Array
from .recordings import IPA, aligned, decoder
from .speech import Phoneme, Speech
from .visemes import letters

SOUNDS, TEXTS = Path("/usr/share/asterisk/sounds"), Path("/usr/share/doc")
LONGEST_S = 0.45  # of a phoneme: a longer one was not found where it is
LEAST_WORDS = 3
# A word, with the Russian prepositions that are one consonant and are said with it: alone they would be letters' names.
WORD = re.compile(r"(?:\b[вкс] )?[^\W\d_]+(?:'[^\W\d_]+)?")
SIGNS = re.compile(r"[\d<>\[\]()*#]")

# The English phone that sounds most like it, of letters of visemes.TABLE that English lacks.
_LIKE = {
    "AA": "aäɒ", "AH": "əɐ", "AO": "oɵɤ", "B": "ɓʙ", "D": "ɾɖɗɟ", "EH": "eεɘ", "ER": "ɜɚɞøœɶ", "F": "ɸ", "G": "ɣɢɠg",
    "HH": "xɦçħχʕʔʜʢ", "IH": "ɨᵻ", "K": "qc", "L": "ɭɫʎɬɮ", "M": "ɱ", "N": "ɲɳɴȵ", "R": "rɻɽʀʁ", "SH": "ʂɕ", "T": "ʈ",
    "UW": "yʏʉɯ", "V": "ʋβⱱ", "W": "ʍɥ", "Y": "ʝ", "ZH": "ʐʑ",
}  # fmt: skip
NEAREST = {letter: name for name, letter in IPA.items() if len(letter) == 1}
NEAREST |= {letter: name for name, like in _LIKE.items() for letter in like}


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
        for path, words in read(SOUNDS / talker.folder, talker.package):
            if len(words) >= LEAST_WORDS:
                said = align(read_sound(path), [phonemes_of(word, talker.voice) for word in words])
                if said is not None:
                    yield said


def read(folder: Path, package: str) -> Iterator[tuple[Path, list[str]]]:
    """Recordings of a folder and their words, small letters; without those that have numbers or signs in their text."""
    texts = TEXTS / package / f"{package.removeprefix('asterisk-')}.txt.gz"
    if not texts.exists() or not any(folder.glob("*.g722")):
        raise FileNotFoundError(f"no prompts at {texts} and {folder}: apt install {package} {package}-g722")
    for line in gzip.decompress(texts.read_bytes()).decode("utf-8-sig").splitlines():
        name, _, text = line.partition(": ")
        path = folder / f"{name}.g722"
        if path.exists() and not SIGNS.search(text):
            yield path, WORD.findall(text.lower().replace("\u2019", "'"))


def announced() -> list[Spoken]:
    """A woman's English prompts (Allison Smith, CC BY-SA 3.0), to choose settings on: never trained on."""
    found = read(SOUNDS / "en_US_f_Allison", "asterisk-core-sounds-en")
    out = []
    for path, words in found:
        if len(words) < LEAST_WORDS:
            continue
        samples = read_sound(path)
        try:
            phones = recordings.align(samples, " ".join(words))
        except RuntimeError:  # a word that the dictionary lacks, or that was not said so
            continue
        out.append(spoken(path.stem, "an announcer", samples, recordings.segments_of(phones)))
    return out


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
    spans = [(next(names) if phone in IPA else "", start_s, end_s) for phone, start_s, end_s in found]
    if next(names, None) is not None or any(name and end_s - start_s > LONGEST_S for name, start_s, end_s in spans):
        return None
    phonemes = [Phoneme(max(0.0, start_s), name) for name, start_s, _ in spans]
    return Speech(samples, RATE_HZ, (*phonemes, Phoneme(spans[-1][2], "")), stops_at_burst=False)
