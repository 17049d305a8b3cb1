# SPDX-License-Identifier: Apache-2.0
"""Speakers whose windows are full at the same moment, run at once where the engine has a graph for several."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from .._arrays import FloatArray
from .._text import shortened
from .stream import FeatureStream
from .trial import PAUSE, Loaded


class Full(NamedTuple):
    """A stream whose window is full. made(features) or failed(error) is called once."""

    stream: FeatureStream
    made: Callable[[FloatArray], None]
    failed: Callable[[Exception], None]


class Together:
    """Of the streams of one encoder, on the thread that runs them."""

    def __init__(self) -> None:
        self._waiting: list[Full] = []

    def add(self, full: Full) -> None:
        """It is run by run(); at once where speakers take turns."""
        self._waiting.append(full)
        if full.stream.loaded.batch is None:
            self.run()

    def run(self) -> None:
        """All that wait, in their order."""
        waiting, self._waiting = self._waiting, []
        while waiting:
            batch = waiting[0].stream.loaded.batch
            n = self._at_once(waiting[0].stream.loaded, len(waiting))
            begun = time.monotonic()
            try:
                made = self._run([full.stream for full in waiting[:n]])
            except Exception as error:  # engines have no class of errors in common
                waiting.pop(0).failed(error)
                continue
            if made is None:
                continue  # one by one, from now on
            took_s = time.monotonic() - begun
            for full, features in zip(waiting, made, strict=False):
                full.made(features)
            del waiting[: len(made)]
            if batch is not None and n < batch.size:
                time.sleep(PAUSE * took_s)

    @staticmethod
    def _at_once(loaded: Loaded, waiting: int) -> int:
        """As many as the batch takes, where that is sooner done than one after the other."""
        batch, info = loaded.batch, loaded.info
        if batch is None or min(waiting, batch.size) * (info.hop_ms - info.front_ms) <= info.batch_ms:
            return 1
        return min(waiting, batch.size)

    @staticmethod
    def _run(streams: list[FeatureStream]) -> list[FloatArray] | None:
        """None: the batch failed, and is used no more."""
        loaded = streams[0].loaded
        batch = loaded.batch
        if len(streams) == 1 or batch is None:
            return [streams[0].transform()]
        try:
            return FeatureStream.transform_at_once(streams, batch.graph)
        except Exception as error:  # the GPU, perhaps: then whoever runs alone finds that out, and what to do
            why = shortened(str(error)) or type(error).__name__
            if loaded.keeps is None:
                loaded.drop_batch(batch, why)
            else:
                loaded.keeps.batch_failed(batch, why)
            return None
