# SPDX-License-Identifier: Apache-2.0
"""numpy files: .npy tables of weights, .npz FLAME parameters. Never unpickled, sizes checked before memory is taken."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .._arrays import FloatArray, nearest
from .._bounds import Bounds
from ..arkit import ARKIT_NAMES
from ..driven import Driven
from ..errors import MotionInvalid
from ..motions import MAX_FRAMES, MAX_NUMBERS, Motion, unknown_inputs
from .build import Rows, build

FLAME_INPUTS = ("expr", "rotation", "neck_pose", "jaw_pose", "eyes_pose", "translation")
FLAME_FIXED = frozenset({"shape", "static_offset", "dynamic_offset"})  # identity: baked into the avatar
# Offsets, which are not read, make a long file of FLAME's large.
TABLES = Bounds(MotionInvalid, file_bytes=1 << 28, unpacked_bytes=1 << 28)
NAMES = Bounds(MotionInvalid, file_bytes=1 << 20, unpacked_bytes=0)


def read_npy(path: Path, avatar: Driven | None, fps: float | None, names: Sequence[str] | None) -> Motion:
    who = str(path)
    rows = _table(who, TABLES.read(path), MAX_NUMBERS)
    columns = list(names) if names is not None else _names_beside(path)
    if columns is None:
        columns = list(ARKIT_NAMES)
    if rows.shape[1] != len(columns):
        way_out = f"{path.stem}.names.txt"
        raise MotionInvalid(
            f"{who}: must be [T,{len(columns)}], one column per name; got {list(rows.shape)}. "
            f"Columns other than ARKit's 52 in Apple's order are named in {way_out}, one a line."
        )
    return build(who, _place, weights=rows, names=columns, fps=fps, avatar=avatar)


def read_npz(path: Path, avatar: Driven | None, fps: float | None) -> Motion:
    who = str(path)
    tracks: dict[str, Rows] = {}
    left = MAX_NUMBERS
    with TABLES.zip(f"{who}: cannot be unpacked as .npz", path) as archive:
        for name, member in _tracks(who, list(archive.members), avatar).items():
            rows = _table(f"{who}: {name}", archive.read(member), left)
            tracks[name] = rows
            left -= rows.size
    lengths = {name: len(rows) for name, rows in tracks.items()}
    if len(set(lengths.values())) > 1:
        raise MotionInvalid(f"{who}: its arrays must have equally many frames; got {lengths}.")
    for name in set(FLAME_INPUTS) - {"expr"} & tracks.keys():
        wide = 6 if name == "eyes_pose" else 3
        if tracks[name].shape[1] != wide:
            raise MotionInvalid(f"{who}: {name} must be [T,{wide}]; got {list(tracks[name].shape)}.")
    return build(who, _place, inputs=tracks, fps=fps, avatar=avatar)


def _tracks(who: str, members: Sequence[str], avatar: Driven | None) -> dict[str, str]:
    """Input → its member of the file. What nobody could use is refused before any of it is read."""
    known = set(FLAME_INPUTS) | (set(avatar.inputs) if avatar is not None else set())
    tracks: dict[str, str] = {}
    for member in members:
        name = member.removesuffix(".npy")
        if name in FLAME_FIXED:
            continue
        if name not in known:
            raise MotionInvalid(
                f"{who}: {name} is not a motion input.{nearest(name, known)} Known: {', '.join(sorted(known))}."
            )
        if name in tracks:
            raise MotionInvalid(f"{who}: {name} is there twice.")
        tracks[name] = member
    if avatar is not None:
        lacking = [name for name in tracks if name not in avatar.inputs]
        if lacking:
            raise unknown_inputs(avatar, lacking, avatar.inputs)
    return tracks


def _place(row: int, name: str) -> str:
    return f"frame {row}, {name}"


def _names_beside(path: Path) -> list[str] | None:
    sidecar = path.with_name(f"{path.stem}.names.txt")
    if not sidecar.is_file():
        return None
    try:
        text = NAMES.read(sidecar).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MotionInvalid(f"{sidecar}: is not a text: {error}.") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _table(who: str, data: bytes, most: int) -> FloatArray:
    """[T,size] from the bytes of a .npy file, of at most so many numbers."""
    stream = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files of Python 2 have another spelling of integers
            version = np.lib.format.read_magic(stream)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            else:
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    except Exception as error:  # numpy parses headers as Python text: damage surfaces as almost any error
        raise MotionInvalid(f"{who}: is not a .npy array: {error}.") from None
    if dtype.kind not in "fiu" or len(shape) != 2 or shape[0] < 0 or shape[1] < 1:
        raise MotionInvalid(f"{who}: must be [T,size] numbers; got {dtype} {list(shape)}.")
    start = stream.tell()
    follow = len(data) - start
    if math.prod(shape) * dtype.itemsize != follow:
        raise MotionInvalid(f"{who}: is cut off or padded: it says {list(shape)} {dtype}, and {follow} bytes follow.")
    if shape[0] > MAX_FRAMES or math.prod(shape) > most:
        raise MotionInvalid(
            f"{who}: is {list(shape)}; at most {MAX_FRAMES} frames and {most} numbers are read. Split it."
        )
    flat = np.frombuffer(data, dtype, offset=start)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
        rows = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
        return np.array(rows, np.float32, order="C")
