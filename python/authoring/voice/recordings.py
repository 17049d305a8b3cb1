# SPDX-License-Identifier: Apache-2.0
"""Real recordings and what is said in them when: phones by forced alignment (pocketsphinx), lips by a face tracker.

For judging a voice only: nothing here is trained on. prompts.py has the recordings that are.
"""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .closures import Spoken, runs, spoken
from .export import RATE_HZ, Array
from .visemes import Segment, split

# ARPABET, which pocketsphinx speaks, in IPA.
IPA = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AY": "aɪ", "B": "b", "CH": "tʃ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɝ", "EY": "eɪ", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "dʒ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ",
    "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
FRAME_S = 0.01  # pocketsphinx's
MARGIN_S = 0.3  # of silence laid on both sides, without which its aligner may not reach the last word
# Words of the transcripts that its dictionary lacks.
ADDED_WORDS = {"woodcutters": "W UH D K AH T ER Z"}
VIDEO_CLOSED = (
    0.015  # inner lips' gap in eye distances: tracked p and b of GRID's talker s1 lie below it, f and s above
)
VIDEO_FPS = 25.0

Phones = Sequence[tuple[str, float, float]]  # ARPABET or SIL, first and last second

# Settings are chosen on these and on prompts.announced() alone; the other recordings are the test.
DEVELOPMENT = frozenset((
    "id2_vcd_swwp2s", "bbaf2n", "lbax4n", "LJ001-0002", "LJ001-0004", "LJ001-0006",
    "bbie8n", "bgaa8p", "bgbo1a", "bgwu8p", "brbazp", "brwg6n", "bwwa9s",
))  # fmt: skip
VIDEO_LEFT_OUT = frozenset({"bbaf2n"})  # of the jaws of s1: the same clip is among the seven
LIBRIVOX = {  # public domain; their text is Jane Austen's
    "en_librivox_sense_0870": "and mister john dashwood had then leisure to consider how much there might be prudently "
    "in his power to do for them",
    "en_librivox_sense_0880": "he was not an ill disposed young man",
}


def segments_of(phones: Phones) -> list[Segment]:
    """Phones as segments; what is not a phone is a pause."""
    return [s for name, start_s, end_s in phones for s in split(IPA.get(name, ""), start_s, end_s)]


def decoder(**settings: object) -> Any:
    """A pocketsphinx decoder of its English model. Raises ModuleNotFoundError without pocketsphinx."""
    return importlib.import_module("pocketsphinx").Decoder(samprate=RATE_HZ, loglevel="FATAL", **settings)


def to_16_bit(samples: Array) -> bytes:
    return np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def align(samples: Array, text: str) -> list[tuple[str, float, float]]:
    """Phones of `text` in the sound, [n] float32 16 kHz. Raises RuntimeError where the text does not fit it."""
    listener = decoder()
    for word, phones in ADDED_WORDS.items():
        listener.add_word(word, phones, True)
    words = [w.strip(".,;:!?\"'()").lower() for w in text.replace("-", " ").split()]
    return aligned(listener, samples, " ".join(w for w in words if w))


def aligned(listener: Any, samples: Array, words: str) -> list[tuple[str, float, float]]:
    """Phones of words of the decoder's dictionary, in the sound. Raises RuntimeError where they do not fit it."""
    listener.set_align_text(words)
    for pass_ in range(2):  # words, then the phones in them
        if pass_:
            listener.set_alignment()
        listener.start_utt()
        listener.process_raw(to_16_bit(np.pad(samples, round(MARGIN_S * RATE_HZ))), full_utt=True)
        listener.end_utt()
    return [
        (phone.name, phone.start * FRAME_S - MARGIN_S, (phone.start + phone.duration) * FRAME_S - MARGIN_S)
        for word in listener.get_alignment() for phone in word
    ]  # fmt: skip


def video_gap(path: Path) -> Array:
    """[frames]: inner lips' gap in eye distances from the tracker's CSV; where no face was found, the gap before."""
    with path.open(newline="") as file:
        gap = [float(row["innerLipGap_per_eye_distance"]) for row in csv.DictReader(file)]
    out = np.array(gap)
    for i in np.flatnonzero(~np.isfinite(out)):
        out[i] = out[i - 1] if i else np.inf
    return out


def seen(name: str, samples: Array, phones: Phones, gap: Array) -> Spoken:
    """A clip whose lips were tracked: holds are the p, b and m at which the video shows them closed."""
    said = spoken(name, "video", samples, segments_of(phones))
    closed = tuple((a / VIDEO_FPS, b / VIDEO_FPS) for a, b in runs(gap < VIDEO_CLOSED))
    half = 0.5 / VIDEO_FPS + 0.04
    holds = tuple(h for h in said.holds if any(h[0] - half <= last and h[1] + half >= first for first, last in closed))
    return Spoken(name, "video", samples, holds, closed, said.pauses)


def on_video(video: Path, tracked: Path, read_sound: Any) -> list[Spoken]:
    """GRID talker s1: the clips of tracked/phones.json."""
    found: dict[str, Phones] = json.loads((tracked / "phones.json").read_text())
    return [
        seen(name, read_sound(video / f"{name}.mpg"), phones, video_gap(tracked / f"{name}.arkit52.csv"))
        for name, phones in sorted(found.items())
    ]


def recorded(audio: Path, read_sound: Any) -> list[Spoken]:
    """LJ Speech and LibriVox readers whose words are known."""
    with (audio / "ljspeech/metadata_flac.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE))
    texts = {audio / "ljspeech" / Path(row["audio_file"]).name: row["transcription"] for row in rows}
    texts |= {audio / f"{name}.wav": text for name, text in LIBRIVOX.items()}
    out = []
    for path, text in texts.items():
        samples = read_sound(path)
        group = "LibriVox" if path.stem in LIBRIVOX else "LJ Speech"
        out.append(spoken(path.stem, group, samples, segments_of(align(samples, text))))
    return out
