# SPDX-License-Identifier: Apache-2.0
"""A contact sheet of what an avatar's mouth does at what is said: python bench/voice_sheet.py OUT.png [AVATAR]

Six languages by eSpeak NG, a row each, and a reader's recording where `shared` is there; columns are phonemes, each in
its middle, the longest of its kind. Needs espeakng-loader and matplotlib (pip install talksplat[bench]), and
pocketsphinx for the reader.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

import talksplat
from shared_data import shared_dir
from talksplat.authoring.voice import recordings, timing
from talksplat.authoring.voice.augment import resample
from talksplat.authoring.voice.espeak import Espeak
from talksplat.authoring.voice.evaluate import read_sound
from talksplat.authoring.voice.export import RATE_HZ, Array
from talksplat.authoring.voice.sentences import ENGLISH, SENTENCES
from talksplat.authoring.voice.visemes import Segment

VOICES = {"en": "en-us+f3", "de": "de", "es": "es", "it": "it", "ru": "ru", "fi": "fi"}
KINDS = {"p": "p", "b": "b", "m": "m", "f v": "fvʋ", "w": "w", "oo": "uʊ", "o": "oɔ", "ee": "iɪ", "a": "aɑæ", "s": "sz",
         "sh": "ʃʂ", "l": "l", "k g": "kɡ", "pause": ""}  # fmt: skip
FPS, SIZE, CROP = 25.0, 384, (0.33, 0.44, 0.67, 0.72)  # crop: left, top, right, bottom shares
Said = tuple[str, Array, Sequence[Segment]]  # whose, [n] float32 at 16 kHz, what is said when


def spoken(language: str) -> Said:
    text = " ".join((ENGLISH if language == "en" else SENTENCES[language])[:4])
    speech = Espeak.shared().speak(text, VOICES[language], rate=150)
    return language, resample(speech.samples, speech.rate_hz, RATE_HZ), timing.segments(speech)


def read(shared: Path) -> Said:
    name = "en_librivox_sense_0870"
    samples = read_sound(shared / f"data/audio/{name}.wav")
    return "a reader", samples, recordings.segments_of(recordings.align(samples, recordings.LIBRIVOX[name]))


def row(avatar: talksplat.Avatar, said: Said) -> list[Array | None]:
    """A picture for each kind, None where it is not said."""
    _, samples, spans = said
    frames = [frame.image[..., :3].copy() for frame in
              avatar.render(samples, FPS, sample_rate=RATE_HZ, size=(SIZE, SIZE), head=0, blink=0)]  # fmt: skip
    left, top, right, bottom = (round(share * SIZE) for share in CROP)
    out: list[Array | None] = []
    for letters in KINDS.values():
        found = [s for s in spans if (s.letter in letters if s.letter else not letters)]
        longest = max(found, key=lambda s: s.end_s - s.start_s, default=None)
        at = None if longest is None else min(round((longest.start_s + longest.end_s) / 2 * FPS), len(frames) - 1)
        out.append(None if at is None else frames[at][top:bottom, left:right])
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("avatar", nargs="?", default="demo")
    options = parser.parse_args()
    avatar, shared = talksplat.load(options.avatar), shared_dir()
    said = [spoken(language) for language in VOICES] + ([] if shared is None else [read(shared)])
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(said), len(KINDS), figsize=(0.9 * len(KINDS), 0.8 * len(said)), dpi=110)
    for line, (speaker, samples, spans) in zip(axes, said, strict=True):
        for axis, picture in zip(line, row(avatar, (speaker, samples, spans)), strict=True):
            axis.set_xticks([])
            axis.set_yticks([])
            if picture is not None:
                axis.imshow(picture)
        line[0].set_ylabel(speaker, fontsize=8)
    for axis, kind in zip(axes[0], KINDS, strict=True):
        axis.set_title(kind, fontsize=8)
    figure.subplots_adjust(0.03, 0.01, 0.995, 0.95, 0.03, 0.03)
    figure.canvas.draw()
    Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB").quantize(128).save(options.out)


if __name__ == "__main__":
    main()
