# SPDX-License-Identifier: Apache-2.0
"""What an engine is to encoders: something that runs a graph of fixed shapes in memory that stays where it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..._arrays import FloatArray, shape_text

Shapes = Mapping[str, tuple[int, ...]]


class GraphError(Exception):
    """A graph that an engine cannot load, or that is another than was said; the message says why."""


class EngineMissing(GraphError):
    """The engine cannot be used here, whatever the graph; the message says what it lacks."""


class GraphSpec(NamedTuple):
    """What a graph must take and give: shapes by name, all float32."""

    inputs: Shapes
    outputs: Shapes


class Graph(ABC):
    """A loaded graph: fill `inputs`, run(), read `outputs`. For one thread at a time.

    The arrays are made once and keep their addresses, which engines that capture their work need.
    """

    def __init__(self, spec: GraphSpec) -> None:
        self.inputs: Mapping[str, FloatArray] = _arrays(spec.inputs)
        self.outputs: Mapping[str, FloatArray] = _arrays(spec.outputs)

    @abstractmethod
    def run(self) -> None:
        """Raises RuntimeError, or what the engine raises, where it fails."""


class Engine(NamedTuple):
    """What loads graphs.

    name: as users ask for it.  version: of the library.  precisions: that it has on this machine for a transformer, and
    for each the graph that it takes, as the folder names it; fp32 is one.  threads: of a run.
    load: in a precision; raises GraphError.  is_made: where that makes something which takes minutes, whether it was
    made before, and forget: deletes that, for it computes something else; None: it makes nothing.
    together: how many speakers' windows it should run at once; 1 where that is no faster than one after the other.
    """

    name: str
    version: str
    precisions: Mapping[str, str]
    threads: int
    load: Callable[[Path, GraphSpec, str], Graph]
    is_made: Callable[[Path, GraphSpec, str], bool] | None = None
    forget: Callable[[Path, GraphSpec, str], None] | None = None
    together: int = 1


def require_spec(spec: GraphSpec, inputs: Mapping[str, object], outputs: Mapping[str, object]) -> None:
    """That a graph has just these, by name and shape: `inputs` and `outputs` are what the engine says of it."""
    for kind, wanted, found in (("input", spec.inputs, inputs), ("output", spec.outputs, outputs)):
        for name, shape in wanted.items():
            if name not in found:
                raise GraphError(f"has no {kind} {name}")
            if found[name] != list(shape):
                raise GraphError(f"must have the {kind} {name} as {shape_text(shape)} float32; got {found[name]}")
        for name in found:
            if name not in wanted:
                raise GraphError(f"has the {kind} {name[:80]!r}, which is not of the format")


def _arrays(shapes: Shapes) -> dict[str, FloatArray]:
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
