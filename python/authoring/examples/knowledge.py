# SPDX-License-Identifier: Apache-2.0
"""EmbedTalk's embeddings of the built-in head: how each Gaussian moves, and whether it is part of mouth, teeth or lips.

They follow from the head and a small projection, so that no file has to hold a row for every Gaussian.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..spec import Array
from .head import Head
from .recipes import EMBED_TALK, SHAPES_KNOWN

MARKS = ("inside", "fading", "lips")
LARGEST = 1.5  # of an embedding's numbers that say how a Gaussian moves


def projection(head: Head, faces: Array) -> Array:
    """[3·52, SHAPES_KNOWN] float32: from shape deltas to what tells most of how Gaussians move in faces [T,52]."""
    spread = np.repeat(faces.std(0).astype(np.float64), 3)
    deltas = head.shape_deltas * spread
    power, direction = np.linalg.eigh(deltas.T @ deltas)
    chosen = direction[:, np.argsort(power)[::-1][:SHAPES_KNOWN]] * spread[:, None]
    largest = np.abs(head.shape_deltas @ chosen).max(0)
    out: Array = (chosen * (LARGEST / np.maximum(largest, 1e-9))).astype(np.float32)
    return out


def embeddings(head: Head, project: Array, marks: Mapping[str, Array]) -> Array:
    """[N,embedding] float32 from the projection and the marks, each [N] bool; the last numbers are 0."""
    known = head.shape_deltas @ np.asarray(project, np.float64)
    flags = np.stack([marks[name] for name in MARKS], axis=1)
    rest = np.zeros((len(known), EMBED_TALK.embedding - known.shape[1] - len(MARKS)))
    out: Array = np.concatenate([known, flags, rest], axis=1).astype(np.float32)
    return out
