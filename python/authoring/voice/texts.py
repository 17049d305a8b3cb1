# SPDX-License-Identifier: Apache-2.0
"""Who says what: voices, variants and manners of speaking, drawn at random but reproducibly.

Languages and variants of the held-out lists are never trained on; closures are measured on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .sentences import ENGLISH, HELD_OUT, SENTENCES, TWISTERS

ENGLISH_VOICES = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-us-nyc")
OTHER_VOICES: dict[str, tuple[str, ...]] = {
    "de": ("de",), "fr": ("fr", "fr-be"), "es": ("es", "es-419"), "it": ("it",), "pt": ("pt", "pt-br"), "nl": ("nl",),
    "pl": ("pl",), "ru": ("ru",), "tr": ("tr",), "fi": ("fi",), "sv": ("sv",), "cs": ("cs",), "id": ("id",),
    "hi": ("hi",), "sw": ("sw",), "cmn-latn-pinyin": ("cmn-latn-pinyin",), "el": ("el",),
}  # fmt: skip
# Of the lines of spoken(): words of the few sentences there are bring few pairs of phonemes.
PSEUDO_SHARE = {"en": 0.2, "it": 0.4, "cs": 0.4, "fi": 0.4}
PSEUDO_VOICES = ("en-us", "de", "es", "it", "fi", "id", "sw", "pl")  # spelled as they sound, or nearly
# "" is there twice, the second time for "rob", at some of whose words eSpeak NG 1.51 ends the process: so a seed's
# other draws are what they were.
VARIANTS = (
    "", "Alex", "Alicia", "Andy", "Annie", "Denis", "Diogo", "Gene", "Jacky", "Lee", "Marco", "Mario", "Michael",
    "Mike", "Reed", "RicishayMax", "adam", "anika", "antonio", "aunty", "belinda", "benjamin", "caleb", "david", "ed",
    "edward", "f1", "f2", "f3", "f5", "grandma", "grandpa", "ian", "iven", "john", "kaukovalta", "klatt2", "klatt4",
    "linda", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro",
    "quincy", "", "robert", "sandro", "shelby", "steph", "steph3", "travis", "victor", "zac",
)  # fmt: skip
HELD_OUT_VOICES: dict[str, tuple[str, ...]] = {
    "en": ("en-029", "en-us"), "ro": ("ro",), "hu": ("hu",), "hr": ("hr",), "da": ("da",), "ca": ("ca",),
}  # fmt: skip
HELD_OUT_VARIANTS = ("f4", "m8", "Andrea", "Hugo", "steph2", "boris", "marcelo", "Gene2")
HELD_OUT_RATES = (130, 160, 190)

LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
ONSETS = (
    "p", "b", "m", "f", "v", "w", "p", "b", "m", "pl", "br", "t", "d", "k",
    "g", "s", "sh", "th", "n", "l", "r", "h", "ch", "j", "y", "sp", "st",
)  # fmt: skip
VOWELS = ("a", "e", "i", "o", "u", "a", "i", "o", "oo", "ee", "ai", "ow")
CODAS = ("", "", "", "m", "p", "b", "n", "s", "t", "f", "l", "sh", "mp", "v")


@dataclass(frozen=True)
class Utterance:
    text: str
    voice: str  # as Espeak.speak takes it
    rate: int
    pitch: int
    pitch_range: int


def voice_name(language: str, variant: str) -> str:
    return f"{language}+{variant}" if variant else language


def pseudo_words(rng: np.random.Generator, count: int) -> str:
    """Words that no language has, with a comma here and there."""

    def syllable() -> str:
        return (
            str(rng.choice(ONSETS)) + str(rng.choice(VOWELS)) + (str(rng.choice(CODAS)) if rng.random() < 0.5 else "")
        )

    words = ["".join(syllable() for _ in range(rng.integers(1, 4))) for _ in range(count)]
    return " ".join(word + ("," if rng.random() < 0.15 else "") for word in words)


def english(rng: np.random.Generator) -> str:
    """What a synthesiser of English says to train on: a sentence, or words of all of them in any order."""
    if rng.random() < 0.5:
        return str(rng.choice(ENGLISH if rng.random() < 0.6 else TWISTERS))
    return _shuffled(rng, (*ENGLISH, *TWISTERS))


def spoken(rng: np.random.Generator, language: str) -> str:
    """What a synthesiser of one language says to train on; where it reads Latin letters, pseudo-words too."""
    if rng.random() < PSEUDO_SHARE.get(language, 0.0):
        return pseudo_words(rng, int(rng.integers(3, 8))) + "."
    if language == "en":
        return english(rng)
    known = SENTENCES[language]
    return str(rng.choice(known)) if rng.random() < 0.5 else _shuffled(rng, known)


def _shuffled(rng: np.random.Generator, sentences: Sequence[str]) -> str:
    words = [word.strip(",.!?।").lower() for sentence in sentences for word in sentence.split()]
    return " ".join(str(word) for word in rng.choice(words, int(rng.integers(5, 12)))) + "."


def draw(rng: np.random.Generator) -> Utterance:
    """One utterance of a few seconds to train on."""
    kind = rng.random()
    language = str(rng.choice(ENGLISH_VOICES))
    if kind < 0.12:
        text, language = pseudo_words(rng, int(rng.integers(3, 8))), str(rng.choice(PSEUDO_VOICES))
    elif kind < 0.19:
        text = ", ".join(rng.choice(LETTERS, int(rng.integers(3, 8))))
    elif kind < 0.25:
        text = " ".join(str(n) for n in rng.integers(0, 10 ** rng.integers(1, 5), int(rng.integers(2, 6))))
    elif kind < 0.37:
        text = str(rng.choice(TWISTERS))
    elif kind < 0.62:
        text = str(rng.choice(ENGLISH))
    else:
        tongue = str(rng.choice(sorted(SENTENCES)))
        text, language = str(rng.choice(SENTENCES[tongue])), str(rng.choice(OTHER_VOICES[tongue]))
    return Utterance(
        text, voice_name(language, str(rng.choice(VARIANTS))), int(rng.integers(105, 256)), int(rng.integers(15, 86)),
        int(rng.integers(10, 96)),
    )  # fmt: skip


def held_out() -> list[Utterance]:
    """What closures are measured on: every held-out sentence, each by two held-out variants, at three speeds."""
    out: list[Utterance] = []
    for language, sentences in HELD_OUT.items():
        for voice in HELD_OUT_VOICES[language]:
            for sentence in sentences:
                for _ in range(2):
                    i = len(out)
                    variant = HELD_OUT_VARIANTS[i % len(HELD_OUT_VARIANTS)]
                    rate = HELD_OUT_RATES[i % len(HELD_OUT_RATES)]
                    out.append(Utterance(sentence, voice_name(voice, variant), rate, 40 + 5 * (i % 5), 50))
    return out
