"""numpy files: .npy tables of weights, .npz FLAME parameters. Never unpickled, sizes checked before memory is taken."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .._arrays import nearest
from ..arkit import ARKIT_NAMES
from ..errors import MotionInvalid
from ..motions import Motion
from .build import Rows, build

if TYPE_CHECKING:
    from ..avatar import Avatar

FLAME_INPUTS = ("expr", "rotation", "neck_pose", "jaw_pose", "eyes_pose", "translation")
FLAME_FIXED = frozenset({"shape", "static_offset", "dynamic_offset"})  # identity: baked into the avatar
MAX_BYTES = 1 << 30


def read_npy(path: Path, avatar: Avatar | None, fps: float | None, names: Sequence[str] | None) -> Motion:
    who = str(path)
    if path.stat().st_size > MAX_BYTES:
        raise MotionInvalid(f"{who}: is {path.stat().st_size} bytes; at most {MAX_BYTES} are read.")
    rows = _table(who, path.read_bytes())
    columns = list(names) if names is not None else _names_beside(path)
    if columns is None:
        columns = list(ARKIT_NAMES)
    if rows.shape[1] != len(columns):
        way_out = f"{path.stem}.names.txt"
        raise MotionInvalid(
            f"{who}: must be [T,{len(columns)}], one column per name; got {list(rows.shape)}. "
            f"Columns other than ARKit's 52 in Apple's order are named in {way_out}, one a line."
        )
    return build(who, _place, _time_place, weights=rows, names=columns, fps=fps, avatar=avatar)


def read_npz(path: Path, avatar: Avatar | None, fps: float | None) -> Motion:
    who = str(path)
    tracks: dict[str, Rows] = {}
    known = set(FLAME_INPUTS) | (set(avatar.inputs) if avatar is not None else set())
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if name in FLAME_FIXED:
                    continue
                if name not in known:
                    raise MotionInvalid(
                        f"{who}: {name} is not a motion input.{nearest(name, known)} Known: {', '.join(sorted(known))}."
                    )
                if info.file_size > MAX_BYTES:
                    raise MotionInvalid(f"{who}: {name} is {info.file_size} bytes; at most {MAX_BYTES} are read.")
                tracks[name] = _table(f"{who}: {name}", archive.read(info))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise MotionInvalid(f"{who}: cannot be unpacked as .npz: {error}.") from None
    lengths = {name: len(rows) for name, rows in tracks.items()}
    if len(set(lengths.values())) > 1:
        raise MotionInvalid(f"{who}: its arrays must have equally many frames; got {lengths}.")
    for name in set(FLAME_INPUTS) - {"expr"} & tracks.keys():
        wide = 6 if name == "eyes_pose" else 3
        if tracks[name].shape[1] != wide:
            raise MotionInvalid(f"{who}: {name} must be [T,{wide}]; got {list(tracks[name].shape)}.")
    return build(who, _place, _time_place, inputs=tracks, fps=fps, avatar=avatar)


def _place(row: int, name: str) -> str:
    return f"frame {row}, {name}"


def _time_place(row: int) -> str:
    return f"frame {row}"


def _names_beside(path: Path) -> list[str] | None:
    sidecar = path.with_name(f"{path.stem}.names.txt")
    if not sidecar.is_file():
        return None
    try:
        return [line.strip() for line in sidecar.read_text("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise MotionInvalid(f"{sidecar}: is not a text: {error}.") from None


def _table(who: str, data: bytes) -> Rows:
    """[T,size] from the bytes of a .npy file."""
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
    if dtype.kind not in "fiu" or len(shape) != 2 or min(shape) < 0:
        raise MotionInvalid(f"{who}: must be [T,size] numbers; got {dtype} {list(shape)}.")
    start = stream.tell()
    follow = len(data) - start
    if math.prod(shape) * dtype.itemsize != follow:
        raise MotionInvalid(f"{who}: is cut off or padded: it says {list(shape)} {dtype}, and {follow} bytes follow.")
    flat = np.frombuffer(data, dtype, offset=start)
    rows = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    return rows.astype(np.float64)
