# SPDX-License-Identifier: Apache-2.0
"""An encoder of speech in two parts that run live: what every family is brought to before it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from talksplat._arrays import FloatArray
from talksplat.encoders.folder import SAMPLES_PER_ROW

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Parts:
    """Two modules in evaluation mode, float32, and what the runtime has to know to run them.

    front(samples [1,samples], *states) -> (rows [1,front_chunk,front_width], *new_states): call j takes samples from
    hop * j - lead on, and states pass from call to call; states, in order, are those before the first call.
    transformer(window [1,left+chunk+right,front_width]) -> features [1,chunk,width] of the rows left .. left+chunk-1.
    centre: the sample that row 0 is about; row i is about centre + 320 i.
    fps: where the order is front-resample-transformer, the rate of the rows that left, chunk and right count.
    front_chunk: rows of one call of the front, `chunk` if None.
    source: a hash of the weights, by which an export of the same model is known again.
    """

    name: str
    family: str
    preset: str
    front: torch.nn.Module
    transformer: torch.nn.Module
    states: dict[str, FloatArray]
    chunk: int
    left: int
    right: int
    front_width: int
    width: int
    hidden_layer: int
    samples: int
    lead: int
    centre: int
    order: str
    fps: float | None = None
    front_chunk: int | None = None
    source: str = ""

    @property
    def rows(self) -> int:
        """Of one call of the front."""
        return self.chunk if self.front_chunk is None else self.front_chunk

    @property
    def hop(self) -> int:
        """Samples from one call of the front to the next."""
        return SAMPLES_PER_ROW * self.rows

    @property
    def window(self) -> int:
        """Rows that the transformer takes."""
        return self.left + self.chunk + self.right
