# SPDX-License-Identifier: Apache-2.0
"""Festival and Flite: synthesisers that join or model what people recorded, and say how long each phoneme lasts.

Fifteen people in six languages, all of them in Debian's main section: voices of diphones and units (recorded speech,
joined), and of statistics (CMU Arctic's speakers). Both programs print the end of every segment they speak.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .recordings import IPA
from .speech import Phoneme, Speech

PAUSES = frozenset(("pau", "#", "##", "h#", "brth", "ssil"))
DEFAULT = "UniSyn: using default diphone"  # which is silent: a voice that lacks a diphone says so and goes on

# What each phone set calls an IPA letter; a name that is missing is the letter itself.
ENGLISH = {name.lower(): letter for name, letter in IPA.items()} | {
    "ax": "ə", "axr": "ɚ", "el": "l", "em": "m", "en": "n", "dx": "ɾ", "hv": "h", "nx": "n",
}  # fmt: skip
RUSSIAN = {  # unstressed: ae after soft consonants, ay after hard ones
    "ii": "i", "yy": "ɨ", "y": "ɨ", "uu": "u", "ee": "e", "oo": "o", "aa": "a", "ae": "ɪ", "ay": "ə", "ur": "ʊ",
    "c": "ts", "ch": "tɕ", "sh": "ʂ", "sch": "ɕ", "zh": "ʐ", "h": "x", "hh": "x", "g": "ɡ", "gg": "ɡ",
} | {2 * letter: letter for letter in "pbtdkfvszmnlr"}  # fmt: skip
ITALIAN = {
    "E": "ɛ", "O": "ɔ", "i1": "i", "e1": "e", "E1": "ɛ", "a1": "a", "o1": "o", "O1": "ɔ", "u1": "u", "S": "ʃ",
    "Z": "ʒ", "tS": "tʃ", "dZ": "dʒ", "J": "ɲ", "ng": "ŋ", "L": "ʎ", "g": "ɡ",
    "nf": "ʋ",  # the nasal of "anfora", at which the lip is at the teeth
}  # fmt: skip
CZECH = {
    "a:": "a", "e:": "e", "i:": "i", "o:": "o", "u:": "u", "c": "ts", "c~": "tʃ", "ch": "x", "d~": "ɟ", "dz~": "dʒ",
    "h": "ɦ", "_": "ʔ", "n*": "ŋ", "n~": "ɲ", "r~": "r", "r~*": "r", "s~": "ʃ", "t~": "c", "z~": "ʒ", "g": "ɡ",
}  # fmt: skip
FINNISH = {"@": "æ", "7": "ø", "&": "ə", "N": "ŋ", "S": "ʃ", "T": "θ", "D": "ð", "Z": "ʒ", "L": "ʎ", "v": "ʋ", "g": "ɡ"}
FINNISH |= {f"{name}:": letter for name, letter in FINNISH.items()}
FINNISH |= {f"{letter}:": letter for letter in "aeiouyptkbdfszhmnlrjw"}
HINDI = {
    "a": "ə", "aa": "a", "ih": "ɪ", "iy": "i", "uh": "ʊ", "uw": "u", "eh": "e", "ee": "ɛ", "ay": "ɛ", "oh": "o",
    "oo": "ɔ", "aw": "ɔ", "ch": "tʃ", "T": "ʈ", "D": "ɖ", "N": "ɳ", "th": "t", "dh": "d", "y": "j", "v": "ʋ",
    "L": "ɭ", "R": "ɽ", "sh": "ʃ", "j": "dʒ", "ksh": "kʃ", "sri": "ʃɾ", "kh": "k", "gh": "ɡ", "g": "ɡ", "td": "ʈ",
    "tth": "ʈ", "ddh": "ɖ", "bh": "b", "zh": "ʒ", "@": "ə",
}  # fmt: skip


@dataclass(frozen=True)
class Voice:
    name: str  # Festival's command, or what Flite calls it
    language: str  # of texts
    letters: Mapping[str, str]
    package: str  # Debian's
    encoding: str = "utf-8"  # in which it reads text

    @property
    def by_flite(self) -> bool:
        return self.package == "flite"


VOICES = (
    Voice("voice_kal_diphone", "en", ENGLISH, "festvox-kallpc16k"),
    Voice("voice_ked_diphone", "en", ENGLISH, "festvox-kdlpc16k"),
    Voice("voice_cmu_us_slt_arctic_hts", "en", ENGLISH, "festvox-us-slt-hts"),
    Voice("slt", "en", ENGLISH, "flite"),
    Voice("rms", "en", ENGLISH, "flite"),
    Voice("awb", "en", ENGLISH, "flite"),
    Voice("voice_msu_ru_nsh_clunits", "ru", RUSSIAN, "festvox-ru"),
    Voice("voice_lp_diphone", "it", ITALIAN, "festvox-italp16k", "iso-8859-1"),
    Voice("voice_pc_diphone", "it", ITALIAN, "festvox-itapc16k", "iso-8859-1"),
    Voice("voice_czech_dita", "cs", CZECH, "festvox-czech-dita", "iso-8859-2"),
    Voice("voice_czech_krb", "cs", CZECH, "festvox-czech-krb", "iso-8859-2"),
    Voice("voice_czech_machac", "cs", CZECH, "festvox-czech-machac", "iso-8859-2"),
    Voice("voice_czech_ph", "cs", CZECH, "festvox-czech-ph", "iso-8859-2"),
    Voice("voice_suo_fi_lj_diphone", "fi", FINNISH, "festvox-suopuhe-lj", "iso-8859-1"),
    Voice("voice_hy_fi_mv_diphone", "fi", FINNISH, "festvox-suopuhe-mv", "iso-8859-1"),
    Voice("voice_hindi_NSK_diphone", "hi", HINDI, "festvox-hi-nsk"),
)


@dataclass(frozen=True)
class Line:
    voice: Voice
    text: str
    stretch: float = 1.0  # of the lengths that are the voice's own; slt by Festival and the Russian keep theirs


def phonemes_of(ends: Sequence[tuple[float, str]], letters: Mapping[str, str]) -> tuple[Phoneme, ...]:
    """Segments' [end in seconds, name] as phonemes by their starts."""
    starts = (0.0, *(end_s for end_s, _ in ends))
    names = ["" if name in PAUSES else letters.get(name, name) for _, name in ends]
    return tuple(Phoneme(start_s, name) for start_s, name in zip(starts, names, strict=False))


def speak(lines: Sequence[Line]) -> list[Speech | None]:
    """All lines, those of Festival in one process; None for one that its voice cannot say.

    Raises FileNotFoundError where a program is not installed, RuntimeError where a voice says nothing at all or Flite
    refuses.
    """
    for program, needed in (("flite", any(line.voice.by_flite for line in lines)),
                            ("festival", not all(line.voice.by_flite for line in lines))):  # fmt: skip
        if needed and shutil.which(program) is None:
            raise FileNotFoundError(f"no {program} is installed: apt install {program}")
    with tempfile.TemporaryDirectory() as folder:
        at = [Path(folder) / str(i) for i in range(len(lines))]
        unsaid, told = _said_by_festival(lines, at, Path(folder) / "all.scm")
        said = [_said_by_flite(line, path) if line.voice.by_flite else None if i in unsaid else _kept(line, path)
                for i, (line, path) in enumerate(zip(lines, at, strict=True))]  # fmt: skip
    for voice in {line.voice.name: line.voice for line in lines}.values():
        own = [i for i, line in enumerate(lines) if line.voice.name == voice.name]
        if not any(said[i] or i in unsaid for i in own):
            raise RuntimeError(f"{voice.name} says none of its lines: apt install {voice.package} (it told {told!r})")
    return said


def _said_by_festival(lines: Sequence[Line], at: Sequence[Path], script: Path) -> tuple[set[int], str]:
    """Speaks its lines into PATH.wav and PATH.lab; numbers of those that had silence where a diphone was missing, and
    the last that it told."""
    forms = [
        _form(i, line, path) for i, (line, path) in enumerate(zip(lines, at, strict=True)) if not line.voice.by_flite
    ]
    if not forms:
        return set(), ""
    script.write_bytes(b"".join(forms))
    told = subprocess.run(["festival", "-b", str(script)], check=False, capture_output=True).stderr
    rows = told.decode("utf-8", "replace").splitlines()
    unsaid, now = set(), -1
    for row in rows:
        if row.startswith("line "):
            now = int(row.split()[1])
        elif DEFAULT in row:
            unsaid.add(now)
    return unsaid, rows[-1]


def _form(number: int, line: Line, path: Path) -> bytes:
    """A form of Festival's language that speaks a line, whatever went wrong in those before it.

    A voice that wants lengths of its own sets them when it is chosen.
    """
    text = line.text.replace("\\", " ").replace('"', " ").encode(line.voice.encoding, "ignore")
    return b"""(format stderr "line %d\n")
(unwind-protect (begin (Parameter.set 'Duration_Stretch 1.0) (%s)
  (Parameter.set 'Duration_Stretch (* %.3f (Parameter.get 'Duration_Stretch)))
  (let ((said (utt.synth (eval (list 'Utterance 'Text "%s")))))
    (utt.save.wave said "%s.wav" 'riff) (utt.save.segs said "%s.lab"))) nil)\n""" % (
        number, line.voice.name.encode(), line.stretch, text, str(path).encode(), str(path).encode()
    )  # fmt: skip


def _kept(line: Line, path: Path) -> Speech | None:
    labels, sound = path.with_suffix(".lab"), path.with_suffix(".wav")
    if not labels.exists() or not sound.exists():
        return None
    rows = [row.split() for row in labels.read_text(encoding="utf-8", errors="replace").splitlines()]
    return _speech(sound, [(float(row[0]), row[2]) for row in rows if len(row) == 3], line.voice)


def _said_by_flite(line: Line, path: Path) -> Speech | None:
    sound = path.with_suffix(".wav")
    command = ["flite", "-voice", line.voice.name, "--setf", f"duration_stretch={line.stretch:.3f}", "-psdur",
               "-t", line.text, "-o", str(sound)]  # fmt: skip
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError(f"Flite refuses voice {line.voice.name}, code {ran.returncode}: {ran.stderr[-200:]!r}")
    rows = [pair.rpartition(":") for pair in ran.stdout.split()]
    return _speech(sound, [(float(end), name) for name, _, end in rows if name], line.voice)


def _speech(sound: Path, ends: Sequence[tuple[float, str]], voice: Voice) -> Speech | None:
    """None if there is no phoneme in it."""
    phonemes = phonemes_of(ends, voice.letters)
    if not any(phoneme.name for phoneme in phonemes):
        return None
    with wave.open(str(sound)) as file:
        rate_hz = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    return Speech(samples, rate_hz, phonemes, stops_at_burst=False)
