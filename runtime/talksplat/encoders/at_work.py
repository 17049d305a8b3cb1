# SPDX-License-Identifier: Apache-2.0
"""An encoder that hears while a session is made, so that drawing is measured as it will be: beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from .stream import FeatureStream

if TYPE_CHECKING:
    from .encoder import Encoder
    from .worker import Worker


class _Silence:
    """A speaker who never stops, and says nothing. Silence costs as much as speech."""

    def __init__(self, encoder: Encoder) -> None:
        self._features = encoder.feature_stream()
        self._hop = np.zeros(encoder.folder.front.hop, np.float32)

    def turn(self) -> bool:
        while not self._features.prepare():
            self._features.offer(self._hop)
        batch = self._features.loaded.batch
        if batch is None:
            self._features.transform()
        else:  # which takes as long for one as for all
            FeatureStream.transform_at_once([self._features], batch.graph)
        return True

    def wakes_at(self) -> float | None:
        return None


@contextmanager
def at_work(worker: Worker, encoder: Encoder) -> Iterator[None]:
    speaker = _Silence(encoder)
    worker.add(speaker)
    try:
        yield
    finally:
        worker.remove(speaker)
