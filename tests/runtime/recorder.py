# SPDX-License-Identifier: Apache-2.0
"""Live speakers of an encoder without an avatar: what would come to the core's session is kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from runtime.encoder_folders import WIDTH
from talksplat.control import Window
from talksplat.encoders import feed
from talksplat.encoders.encoder import Encoder


class Recorder:
    """A core session that keeps the rows that come, and counts what else does."""

    smallest_ms = 0.0

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.utterances: list[np.ndarray] = []
        self.closed = False

    def push_audio(self, samples: Any, rate_hz: int) -> None: ...
    def push_features(self, rows: np.ndarray) -> None:
        self.rows.append(rows.copy())

    def flush(self) -> None:
        self.utterances.append(np.concatenate(self.rows) if self.rows else np.zeros((0, 2 * WIDTH), np.float32))
        self.rows = []

    def interrupt(self, fade_ms: int) -> int:
        self.rows = []
        return 0

    def stats(self) -> dict[str, Any]:
        return {"queued_ms": 0.0}

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def set(self, **told: Any) -> None: ...
    def acquire(self, timeout_s: float | None) -> None: ...


def recorded(encoder: Encoder, window: Window, flush_after_s: float | None = None) -> tuple[feed.EncodedCore, Recorder]:
    """One more speaker of the encoder, at 25 fps; its abort() ends it."""
    speakers, core = feed.speakers_of(encoder), Recorder()
    taps = encoder.frame_taps("test", "avatar", window, 25.0)
    session = feed.EncodedCore(core, encoder, taps, 25.0, speakers, 0.1, flush_after_s, 60.0)  # type: ignore[arg-type]
    speakers.add(session, 1000.0)
    return session, core
