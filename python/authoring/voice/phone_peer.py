# SPDX-License-Identifier: Apache-2.0
"""A peer to measure against: pocketsphinx hears a whole file's phones, and the voice's own table of visemes shows them.

It knows the file's end before it says anything, so it is not a voice; it tells what hearing phones that well is worth.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from .closures import Faces
from .export import RATE_HZ, SHAPES, Array
from .recordings import FRAME_S, decoder, segments_of, to_16_bit
from .speech import Speech
from .timing import loudness
from .visemes import targets


def faces_of_phones() -> Faces:
    """Raises ModuleNotFoundError without pocketsphinx."""
    package: Any = importlib.import_module("pocketsphinx")
    # The weights that the package's own example of phone decoding takes.
    listener = decoder(allphone=package.get_model_path("en-us/en-us-phone.lm.bin"), lm=None, dict=None, lw=2.0,
                       beam=1e-20, pbeam=1e-20)  # fmt: skip

    def faces(samples: Array, fps: float) -> dict[str, Array]:
        listener.start_utt()
        listener.process_raw(to_16_bit(samples), full_utt=True)
        listener.end_utt()
        phones = [(s.word, s.start_frame * FRAME_S, (s.end_frame + 1) * FRAME_S) for s in listener.seg()]
        spans = segments_of(phones)
        t_s = np.arange(int(len(samples) / RATE_HZ * fps)) / fps
        shape, closed, _ = targets(t_s, spans, loudness(Speech(samples, RATE_HZ, ()), spans))
        face = dict(zip(SHAPES, shape.T, strict=True))
        return {**face, "mouthClose": closed * face["jawOpen"], "mouthLowerDown": face["mouthLowerDown"] * (1 - closed),
                "mouthUpperUp": face["mouthUpperUp"] * (1 - closed)}  # fmt: skip

    return faces
