# SPDX-License-Identifier: Apache-2.0
"""What every kind of output does with pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ._arrays import FloatArray
from ._signals import held_signals

Image = NDArray[np.uint8]


class VideoWriter(ABC):
    """write() pictures, then leave the `with` block.

    left_over: after that, a file of an earlier and longer sequence of the same name, or None.
    """

    left_over: Path | None = None

    def __init__(self, format: str) -> None:
        self.format = format

    @abstractmethod
    def write(self, image: Image, sound: FloatArray | None = None) -> None:
        """Add a picture of the writer's format and size, and the sound from then on. Arrays may be reused afterwards.

        sound: [n] or [n,channels] float32, full scale at 1; any n.
        """

    def end(self) -> None:  # noqa: B027 (most writers hold nothing back)
        """Write what is still held back. It comes before finish(), and may take as long as many pictures."""

    @abstractmethod
    def finish(self) -> None:
        """Make the result whole and visible."""

    @abstractmethod
    def abandon(self) -> None:
        """Remove what was written; after a finish() that worked, nothing."""

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.end()
                self.finish()
        except BaseException:
            kind = BaseException
            raise
        finally:
            if kind is not None:
                # A second Ctrl-C would otherwise end the cleaning up of the first.
                with held_signals():
                    self.abandon()
