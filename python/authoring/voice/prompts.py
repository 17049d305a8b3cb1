# SPDX-License-Identifier: Apache-2.0
"""Recorded people to train on: the prompts of the telephone exchange Asterisk, as Debian packages them.

A man's Italian (Carlo Flora) and a woman's Russian (Maxim Topal's ivrvoice.ru), CC BY 3.0, with their texts. A third
person's, in English, are never trained on: settings are chosen on them.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import forced, recordings
from .closures import Spoken, spoken
from .evaluate import read_sound
from .speech import Speech

SOUNDS, TEXTS = Path("/usr/share/asterisk/sounds"), Path("/usr/share/doc")
LEAST_WORDS = 3  # of a prompt to judge by
# A word, with the Russian prepositions that are one consonant and are said with it: alone they would be letters' names.
WORD = re.compile(r"(?:\b[вкс] )?[^\W\d_]+(?:'[^\W\d_]+)?")
SIGNS = re.compile(r"[\d<>\[\]()*#]")


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
            said = forced.align(read_sound(path), [forced.phonemes_of(word, talker.voice) for word in words])
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
    out = []
    for path, words in read(SOUNDS / "en_US_f_Allison", "asterisk-core-sounds-en"):
        if len(words) < LEAST_WORDS:
            continue
        samples = read_sound(path)
        try:
            phones = recordings.align(samples, " ".join(words))
        except RuntimeError:  # a word that the dictionary lacks, or that was not said so
            continue
        out.append(spoken(path.stem, "an announcer", samples, recordings.segments_of(phones)))
    return out
