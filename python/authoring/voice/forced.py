# SPDX-License-Identifier: Apache-2.0
"""Forced alignment in any language: where the phonemes of a recording are whose words are known.

eSpeak NG says the words, pocketsphinx finds their phonemes. Its model is of English, so each phoneme is sought as the
English phone that is nearest, which tells where it begins, not how well it is said.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache

from .espeak import Espeak
from .export import RATE_HZ, Array
from .recordings import IPA, aligned, decoder
from .speech import Phoneme, Speech
from .visemes import letters

LONGEST_S = 0.45  # of a phoneme: a longer one was not found where it is

# The English phone that sounds most like it, of letters of visemes.TABLE that English lacks.
_LIKE = {
    "AA": "aäɒ", "AH": "əɐ", "AO": "oɵɤ", "B": "ɓʙ", "D": "ɾɖɗɟ", "EH": "eεɘ", "ER": "ɜɚɞøœɶ", "F": "ɸ", "G": "ɣɢɠg",
    "HH": "xɦçħχʕʔʜʢ", "IH": "ɨᵻ", "K": "qc", "L": "ɭɫʎɬɮ", "M": "ɱ", "N": "ɲɳɴȵ", "R": "rɻɽʀʁ", "SH": "ʂɕ", "T": "ʈ",
    "UW": "yʏʉɯ", "V": "ʋβⱱ", "W": "ʍɥ", "Y": "ʝ", "ZH": "ʐʑ",
}  # fmt: skip
NEAREST = {letter: name for name, letter in IPA.items() if len(letter) == 1}
NEAREST |= {letter: name for name, like in _LIKE.items() for letter in like}


@cache
def phonemes_of(word: str, voice: str) -> tuple[str, ...]:
    """The letters of visemes.TABLE that eSpeak NG says for a word."""
    return tuple(letter for p in Espeak.shared().speak(word, voice).phonemes for letter in letters(p.name))


def align(samples: Array, words: Sequence[Sequence[str]]) -> Speech | None:
    """Speech whose phonemes are those of the words; None if they are not found in the sound, [n] float32 16 kHz."""
    words = [word for word in words if word]
    if not words:
        return None
    listener = decoder(lm=None, dict=os.devnull)  # a model of English words would take longer to load than to listen
    for i, word in enumerate(words):
        listener.add_word(f"word{i}", " ".join(NEAREST[letter] for letter in word), i == len(words) - 1)
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
