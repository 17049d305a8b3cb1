# SPDX-License-Identifier: Apache-2.0
"""The largest manifests are read in time that grows with their size."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

import talksplat
from runtime.tiny import tiny_avatar
from talksplat.authoring import spec

NAMES = 65536  # the largest size of an input


def test_an_input_of_the_most_names(tmp_path: Path) -> None:
    manifest, tensors = tiny_avatar()
    names = [f"name {i:05d} {'x' * 140}" for i in range(NAMES)]
    unmoved = {"shapes": [-1] * NAMES, "default": [0.5] * NAMES}
    manifest["inputs"].append({"name": "many", "size": NAMES, "target": "blendshape", "names": names} | unmoved)
    path = spec.write(tmp_path / "many.tsplat", manifest, tensors)
    assert path.stat().st_size > 10_000_000
    start = time.perf_counter()
    avatar = talksplat.load(path, threads=1)
    many = avatar.inputs["many"]
    moved = avatar.render_frame({"many": {names[0]: 1.0, names[-1]: 2.0}}).image
    # A comparison of each with each would be 2^32 of them; this takes a fifth of a second.
    assert time.perf_counter() - start < 5
    assert (many.names[0], many.names[-1], len(set(many.names))) == (names[0], names[-1], NAMES)
    assert len(many.absent) == NAMES
    np.testing.assert_array_equal(many.default, np.full(NAMES, 0.5, np.float32))
    np.testing.assert_array_equal(moved, avatar.render_frame({}).image)
