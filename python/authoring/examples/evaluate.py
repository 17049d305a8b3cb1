# SPDX-License-Identifier: Apache-2.0
"""How near an example avatar comes to the head that it learned from: python -m talksplat.authoring.examples.evaluate

Measured on speakers, languages and sentences that neither the voice nor the networks were trained on. Needs eSpeak NG.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import talksplat

from ..spec import Array
from . import recipes, speech, weights
from .head import Head, World, faces_of_units
from .make import example
from .parts import marks_of
from .teacher import BLINK, random_units

EVERY = 10  # frames
MOVES_M = 1e-4
WORLDS: Mapping[str, World] = {
    "embedtalk": recipes.EMBED_TALK_WORLD,
    "gaussian-talker": recipes.GAUSSIAN_TALKER_WORLD,
    "talking-gaussian": recipes.TALKING_GAUSSIAN_WORLD,
}


class Error(NamedTuple):
    """Root mean squares over frames and Gaussians, millimetres: how far it is from where the rig has it, and of that
    from the canonical place; and the first in pixels of the canvas."""

    error_mm: float
    motion_mm: float
    error_px: float


def control(method: str, window: Array, units: Array) -> dict[str, Array]:
    """One frame's control: window [8,n], units [6]."""
    if method == "gaussian-talker":
        return {"audio": window.ravel(), "eye": units[BLINK:] / 2}
    return {"audio": window.ravel(), "au": units}


def source_rows(method: str, head: Head) -> Array:
    """[N]: which of the head's Gaussians each row of the avatar's source is."""
    if method != "talking-gaussian":
        return np.arange(len(head))
    behind = weights.load(weights.path_of(method), len(head)).marks["behind"]
    return np.concatenate([np.flatnonzero(~behind), np.flatnonzero(behind)])


def errors(
    method: str, avatar: talksplat.Avatar, head: Head, window: Array, face: Array, units: Array,
    regions: Mapping[str, Array],
) -> dict[str, Error]:  # fmt: skip
    """Of T frames: window [T,8,n], face [T,52] the lips' weights, units [T,6].  regions: name → [N] bool."""
    world, rows = WORLDS[method], source_rows(method, head)
    moved, off = np.zeros(len(head)), np.zeros(len(head))
    for heard, wanted, unit in zip(window, face + faces_of_units(units), units, strict=True):
        said = avatar.gaussians(control(method, heard, unit)).mean.astype(np.float64)
        mean = np.empty_like(said)
        mean[rows] = said / world.scale + world.centre
        target = head.cloud(wanted).mean
        off += ((mean - target) ** 2).sum(1)
        moved += ((target - head.canonical.mean) ** 2).sum(1)
    camera = head.avatar.manifest["camera"]
    px = camera["fx"] / camera["cam_from_world"][11]  # of a metre, about where the head is
    out = {}
    for name, marked in regions.items():
        error, motion = (float(np.sqrt(x[marked].mean() / len(window))) for x in (off, moved))
        out[name] = Error(error * 1e3, motion * 1e3, error * px)
    return out


def regions_of(head: Head) -> dict[str, Array]:
    """Marks of the Gaussians that belong together, [N] bool by name; every one is in one of them."""
    marks = marks_of(head)
    speech_moves, units_move = (
        np.any([np.abs(head.cloud(face).mean - head.canonical.mean).max(1) > MOVES_M for face in faces], axis=0)
        for faces in ((speech.WIDE_OPEN, speech.WIDE_OPEN * 0), faces_of_units(np.diag([5.0, 5, 5, 5, 5, 2])))
    )
    out: dict[str, Array] = {}
    rest = np.ones(len(head), bool)
    groups = {
        "lips": marks["lips"],
        "inside the mouth": marks["inside"],
        "eyeballs": marks["eyes"],
        "lids, brows": units_move,
        "cheeks, jaw": speech_moves,
        "all that is still": rest.copy(),
    }
    for name, marked in groups.items():
        out[name] = marked & rest
        rest = rest & ~marked
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=recipes.NAMES, help="all by default")
    methods = parser.parse_args(arguments).methods
    head, takes = Head(), speech.tested()
    window, face = takes.window[::EVERY], takes.face[::EVERY]
    regions = regions_of(head)
    with tempfile.TemporaryDirectory() as folder:
        for method in methods:
            avatar = talksplat.load(example(method, Path(folder) / "example.tsplat"))
            units = random_units(len(face), np.random.default_rng(2))
            if method == "gaussian-talker":
                units[:, :BLINK] = 0
            for name, error in errors(method, avatar, head, window, face, units, regions).items():
                print(f"{method}, {name}: {error.error_mm:.3f} mm of {error.motion_mm:.3f} mm, {error.error_px:.3f} px")


if __name__ == "__main__":
    main()
