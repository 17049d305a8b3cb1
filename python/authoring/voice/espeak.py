# SPDX-License-Identifier: Apache-2.0
"""eSpeak NG through its C library: sound, and which phoneme begins when.

The library holds one global state, so a process has one `Espeak`. It comes from the `espeakng-loader` wheel, which
carries its data, or from the system.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import os
from typing import Any

import numpy as np

from .export import Array
from .speech import Phoneme, Speech

OUTPUT_SYNCHRONOUS = 2
PHONEME_EVENTS, PHONEMES_IPA = 1, 2  # options of espeak_Initialize
CHARS_UTF8 = 1
EVENT_END, EVENT_PHONEME = 0, 7
RATE, PITCH, RANGE = 1, 3, 4  # parameters


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        # A union; as a phoneme's name it holds up to 8 bytes of UTF-8, not always ended by a zero.
        ("name", ctypes.c_ubyte * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def find_library() -> tuple[str, str | None] | None:
    """Paths of the library and of its data (None: where it was built to look), or None where there is no eSpeak NG."""
    try:
        loader: Any = importlib.import_module("espeakng_loader")
    except ModuleNotFoundError:
        found = ctypes.util.find_library("espeak-ng")
        return None if found is None else (found, None)
    return loader.get_library_path(), loader.get_data_path()


class Espeak:
    """One synthesiser. Raises RuntimeError where there is no eSpeak NG, ValueError for a voice it does not have."""

    _the_one: Espeak | None = None

    @classmethod
    def shared(cls) -> Espeak:
        """This process's synthesiser."""
        if cls._the_one is None:
            cls._the_one = cls()
        return cls._the_one

    def __init__(self) -> None:
        if Espeak._the_one is not None:
            raise RuntimeError("eSpeak NG has one global state: use Espeak.shared().")
        paths = find_library()
        if paths is None:
            raise RuntimeError("eSpeak NG is not installed: pip install espeakng-loader, or apt install libespeak-ng1.")
        library, data = paths
        self._lib = ctypes.CDLL(library)
        self._lib.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        self._lib.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
        self._lib.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        self._lib.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        self._seed = getattr(self._lib, "espeak_ng_SetRandSeed", None)
        if self._seed is not None:
            self._seed.argtypes = [ctypes.c_long]
        place = None if data is None else os.fsencode(data)
        self.rate_hz: int = self._lib.espeak_Initialize(OUTPUT_SYNCHRONOUS, 0, place, PHONEME_EVENTS | PHONEMES_IPA)
        if self.rate_hz <= 0:
            raise RuntimeError(f"eSpeak NG found no data in {data or 'its own folder'} (code {self.rate_hz}).")
        Espeak._the_one = self
        self._chunks: list[Array] = []
        self._phonemes: list[Phoneme] = []
        self._callback = _CALLBACK(self._receive)  # kept: the library holds only its address
        self._lib.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != EVENT_END:
            if events[i].type == EVENT_PHONEME:
                name = bytes(events[i].name).partition(b"\0")[0].decode("utf-8", "ignore")
                self._phonemes.append(Phoneme(events[i].audio_position / 1000, name))
            i += 1
        return 0

    def speak(self, text: str, voice: str, *, rate: int = 175, pitch: int = 50, pitch_range: int = 50) -> Speech:
        """Say text.

        voice: a language, or language+variant ("en-us+f3"); rate: words a minute; pitch, pitch_range: 0..100.
        Raises ValueError if there is no such voice, RuntimeError if the library fails.
        """
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"eSpeak NG has no voice {voice!r}.")
        for parameter, value in ((RATE, rate), (PITCH, pitch), (RANGE, pitch_range)):
            self._lib.espeak_SetParameter(parameter, value, 0)
        self._chunks, self._phonemes = [], []
        if self._seed is not None:
            self._seed(1)  # its voices' jitter and breath are random: the same words are then the same sound
        data = text.encode() + b"\0"
        code = self._lib.espeak_Synth(data, len(data), 0, 0, 0, CHARS_UTF8, None, None)
        code = code or self._lib.espeak_Synchronize()
        if code != 0:
            raise RuntimeError(f"eSpeak NG could not say {text!r} as {voice!r} (code {code}).")
        parts = self._chunks or [np.zeros(0, np.int16)]
        sound = np.concatenate(parts).astype(np.float32) / 32768
        return Speech(sound, self.rate_hz, tuple(sorted(self._phonemes, key=lambda p: p.start_s)))
