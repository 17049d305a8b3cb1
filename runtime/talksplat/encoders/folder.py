# SPDX-License-Identifier: Apache-2.0
"""The folder of an exported encoder, format 1: its names and limits, and a reader that trusts none of it.

    FOLDER/encoder.json          what it is: sizes of windows, inputs of the graphs, sizes and hashes of the files
           front.onnx            16 kHz sound to rows, 50 a second; its state passes from call to call
           transformer.onnx      a window of rows to features; smaller ones beside it, by the name of their numbers
           state.safetensors     the front's first state, and the row that it makes of silence
           golden.safetensors    sound, rows and features as the model itself makes them: the self-test

talksplat.authoring writes such folders and imports the names from here.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from .._arrays import FloatArray, shape_text
from .._json import parse_json
from .._text import listed, shortened, shown
from ..errors import EncoderInvalid, EncoderNotFound

FORMAT = 1
OPSET = 20
RATE_HZ = 16000  # of the sound that a front takes
FEATURE_HZ = 50
SAMPLES_PER_ROW = RATE_HZ // FEATURE_HZ

MANIFEST = "encoder.json"
FRONT = "front.onnx"
STATE = "state.safetensors"
GOLDEN = "golden.safetensors"
# int8: what comes to its products is measured each time; int8-static: its range is known, from speech.
GRAPHS: Mapping[str, str] = MappingProxyType(
    {
        "fp32": "transformer.onnx", "int8": "transformer.int8.onnx", "int8-static": "transformer.int8-static.onnx",
        "fp16": "transformer.fp16.onnx",
    }
)  # fmt: skip
# The first length of such a graph of the transformer that takes windows of any number of speakers.
SPEAKERS = "speakers"
FAMILIES = ("wav2vec2", "hubert", "whisper")
# What the transformer's rows are: the front's, or (FaceFormer's order) those resampled to the video's rate.
FRONT_TRANSFORMER, FRONT_RESAMPLE_TRANSFORMER = ORDERS = ("front-transformer", "front-resample-transformer")


class Preset(NamedTuple):
    """A transformer's window, in rows: `chunk` new ones a step, with `left` before and `right` after them."""

    chunk: int
    left: int
    right: int


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "low": Preset(2, 48, 4),
        "balanced": Preset(4, 64, 8),
        "cpu": Preset(8, 48, 8),
        "quality": Preset(8, 96, 24),
    }
)

MAX_WIDTH = 8192
MAX_WINDOW = 4096
MAX_SAMPLES = 60 * RATE_HZ
MAX_STATE_FLOATS = 1 << 22
MAX_LAYER = 1000
MAX_MANIFEST_BYTES = 1 << 20
MIN_FPS, MAX_FPS = 10.0, 120.0
MAX_LETTERS = 200
_STATE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Front:
    """The graph that makes rows of sound. Call j takes `samples` of it from hop · j - lead on, and makes `chunk` rows.

    centre: the sample that row 0 is about; row i is about centre + 320 i.  state: shapes by name, in order.
    """

    chunk: int
    hop: int
    samples: int
    lead: int
    centre: int
    width: int
    state: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class EncoderFolder:
    """What encoder.json says, checked. The other files are looked at when they are asked for.

    left, chunk, right: rows of the transformer's window.  fps: of those rows in FaceFormer's order, else None.
    graphs: files of the transformer by precision.  batches: those that take windows of several speakers at once.
    """

    path: Path
    name: str
    family: str
    width: int
    hidden_layer: int
    preset: str
    left: int
    chunk: int
    right: int
    order: str
    fps: float | None
    front: Front
    graphs: Mapping[str, str]
    batches: frozenset[str]
    files: Mapping[str, tuple[int, str]]
    versions: Mapping[str, str]

    @property
    def window(self) -> int:
        """Rows that the transformer takes."""
        return self.left + self.chunk + self.right

    @property
    def row_hz(self) -> float:
        """Of the transformer's rows, and so of the features."""
        return float(FEATURE_HZ) if self.fps is None else self.fps

    @property
    def hop_s(self) -> float:
        """Seconds of sound between two steps of the transformer."""
        return self.chunk / self.row_hz

    @property
    def fronts_per_step(self) -> float:
        """Calls of the front for a step of the transformer."""
        return self.hop_s * RATE_HZ / self.front.hop

    def intact(self, name: str) -> Path:
        """The path of a file that is as it was written. Raises EncoderInvalid for another size or hash."""
        path = self.path / name
        n_bytes, sha256 = self.files[name]
        try:
            size = path.stat().st_size
            if size != n_bytes:
                raise self.wrong(name, f"has {size} bytes instead of {n_bytes}")
            digest = _hash(path)
        except FileNotFoundError:
            raise self.wrong(name, "is missing") from None
        except OSError as error:
            raise self.wrong(name, f"cannot be read ({error.strerror or error})") from None
        if not hmac.compare_digest(digest, sha256):
            raise self.wrong(name, "is not what was written: its SHA-256 differs from the one in encoder.json")
        return path

    def tensors(self, name: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, FloatArray]:
        """The float32 tensors of STATE or GOLDEN. Raises EncoderInvalid where they are not those of `shapes`."""
        import numpy as np
        from safetensors import SafetensorError
        from safetensors.numpy import load

        path = self.intact(name)
        try:
            found = load(path.read_bytes())
        except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
            raise self.wrong(name, f"is no safetensors file: {shortened(str(error))}") from None
        for key, shape in shapes.items():
            tensor = found.get(key)
            if tensor is None:
                raise self.wrong(name, f"has no tensor {key}")
            if tensor.dtype != np.float32 or tensor.shape != shape:
                raise self.wrong(
                    name, f"must have {key} as {shape_text(shape)} float32; got {shape_text(tensor.shape)} "
                    f"{tensor.dtype}"
                )  # fmt: skip
            if not np.isfinite(tensor).all():
                raise self.wrong(name, f"must have finite numbers in {key}")
        return {key: np.ascontiguousarray(found[key]) for key in shapes}

    def state(self) -> tuple[dict[str, FloatArray], FloatArray]:
        """The front's state before the first call, by name, and the row of silence, [row width]."""
        shapes = {f"state/{name}": shape for name, shape in self.front.state.items()}
        found = self.tensors(STATE, {**shapes, "rest_row": (self.front.width,)})
        return {name: found[f"state/{name}"] for name in self.front.state}, found["rest_row"]

    def golden(self) -> dict[str, FloatArray]:
        """samples [front.samples], rows [front.chunk,front.width], state/NAME after them, window, features, and
        deviation [1]: of features over time, in much speech."""
        front = self.front
        return self.tensors(
            GOLDEN,
            {
                "samples": (front.samples,),
                "rows": (front.chunk, front.width),
                **{f"state/{name}": shape for name, shape in front.state.items()},
                "window": (self.window, front.width),
                "features": (self.chunk, self.width),
                "deviation": (1,),
            },
        )

    def wrong(self, part: str, what: str) -> EncoderInvalid:
        """An error about a part of the folder, with the way out."""
        return EncoderInvalid(f"{self.path / part}: {what}. {again(self.name, self.path)}")


def export_command(name: str = "NAME_OR_FOLDER", folder: Path | str | None = None) -> str:
    """What is typed to make an encoder's folder."""
    return shlex.join(["talksplat", "encoder", "export", name, *([] if folder is None else ["-o", str(folder)])])


def again(name: str, folder: Path | str) -> str:
    return f"Export it again: {export_command(name, folder)}"


def cache_folder() -> Path:
    """Where exported encoders are kept: $TALKSPLAT_CACHE, $XDG_CACHE_HOME/talksplat or ~/.cache/talksplat."""
    own = os.environ.get("TALKSPLAT_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "talksplat"


def cached_path(name: str, preset: str, layer: int) -> Path:
    """Where the export of a model is kept unless another folder is named."""
    return cache_folder() / "encoders" / f"{name.replace('/', '--')}-{preset}-layer{layer}"


def find_folder(who: str, source: str | os.PathLike[str]) -> Path:
    """The folder that is meant: a path, or the name of a model with one export in the cache, or of one export.

    Raises EncoderNotFound, which has the command that makes one, and ValueError for what is no name.
    """
    try:
        text = os.fsdecode(source)
        direct = Path(text)
        if not text or "\0" in text:
            raise TypeError
    except TypeError:
        raise ValueError(f"{who}: encoder must be a folder or the name of a model; got {shown(source)}.") from None
    if direct.is_dir():
        return direct
    kept = cache_folder() / "encoders"
    known = text.replace("/", "--")
    try:
        names = sorted(entry.name for entry in kept.iterdir() if entry.is_dir())
    except OSError:
        names = []
    matches = [
        name for name in names if name == known or re.fullmatch(re.escape(known) + r"-\w+-layer\d+(-[\d.]+fps)?", name)
    ]
    if len(matches) == 1:
        return kept / matches[0]
    if matches:
        raise EncoderNotFound(
            f"{who}: {text} was exported in several ways: {listed(matches, len(matches))}. Name one of them."
        )
    raise EncoderNotFound(
        f"{who}: there is no encoder folder {text}, nor an export of that name in {kept}. Make one: "
        f"{export_command(text)}"
    )


def read_folder(path: Path) -> EncoderFolder:
    """What the folder's encoder.json says, checked. Raises EncoderNotFound where there is none, and EncoderInvalid."""
    place = path / MANIFEST
    try:
        with open(place, "rb") as file:
            text = file.read(MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        raise EncoderNotFound(
            f"{path}: is no encoder folder: it has no {MANIFEST}. Make one: {export_command(folder=path)}"
        ) from None
    except OSError as error:
        raise EncoderNotFound(f"{place}: cannot be read ({error.strerror or error}).") from None
    if len(text) > MAX_MANIFEST_BYTES:
        raise EncoderInvalid(f"{place}: has more than {MAX_MANIFEST_BYTES} bytes. {again('NAME_OR_FOLDER', path)}")
    return _Manifest(place, parse_json(str(place), text, EncoderInvalid, "encoder")).folder()


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class _Manifest:
    """encoder.json on its way to an EncoderFolder; each method reads one field or raises EncoderInvalid."""

    def __init__(self, place: Path, root: Any) -> None:
        self._place = place
        self._root: dict[str, Any] = {}
        self._root = self._object("the manifest", root)

    def folder(self) -> EncoderFolder:
        root = self._root
        if self._get(root, "format") != FORMAT:
            raise self._wrong("format", f"{FORMAT}, which this talksplat reads", root["format"])
        for name, value in (("rate_hz", RATE_HZ), ("feature_hz", FEATURE_HZ), ("opset", OPSET)):
            if self._count(root, name, 1, 1 << 30) != value:
                raise self._wrong(name, str(value), root[name])
        name = self._text(root, "name")
        order = self._word(root, "order", ORDERS)
        left = self._count(root, "left", 0, MAX_WINDOW)
        chunk = self._count(root, "chunk", 1, MAX_WINDOW)
        right = self._count(root, "right", 0, MAX_WINDOW)
        if left + chunk + right > MAX_WINDOW:
            raise self._wrong("left + chunk + right", f"at most {MAX_WINDOW}", left + chunk + right)
        graphs, files = self._graphs(), self._files()
        for file in (FRONT, STATE, GOLDEN, *graphs.values()):
            if file not in files:
                raise self._wrong("files", f"sizes and hashes, also of {file}", list(files))
        return EncoderFolder(
            path=self._place.parent,
            name=name,
            family=self._word(root, "family", FAMILIES),
            width=self._count(root, "width", 1, MAX_WIDTH),
            hidden_layer=self._count(root, "hidden_layer", 0, MAX_LAYER),
            preset=self._text(root, "preset"),
            left=left,
            chunk=chunk,
            right=right,
            order=order,
            fps=self._fps(order),
            front=self._front(),
            graphs=MappingProxyType(graphs),
            batches=self._batches(graphs),
            files=MappingProxyType(files),
            versions=MappingProxyType({key: shown(value) for key, value in self._versions().items()}),
        )

    def _front(self) -> Front:
        given = self._object("front", self._get(self._root, "front"))
        chunk = self._count(given, "chunk", 1, MAX_WINDOW, "front.")
        hop = self._count(given, "hop", 1, MAX_SAMPLES, "front.")
        if hop != SAMPLES_PER_ROW * chunk:
            raise self._wrong("front.hop", f"{SAMPLES_PER_ROW} samples per row, {SAMPLES_PER_ROW * chunk}", hop)
        samples = self._count(given, "samples", 1, MAX_SAMPLES, "front.")
        if samples < hop:
            raise self._wrong("front.samples", f"at least the hop, {hop}", samples)
        return Front(
            chunk=chunk,
            hop=hop,
            samples=samples,
            lead=self._count(given, "lead", 0, samples - 1, "front."),
            centre=self._count(given, "centre", 0, samples - 1, "front."),
            width=self._count(given, "width", 1, MAX_WIDTH, "front."),
            state=MappingProxyType(self._state(given)),
        )

    def _state(self, front: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        given = self._get(front, "state", "front.")
        if not isinstance(given, list) or len(given) > 64:
            raise self._wrong("front.state", "a list of at most 64 states", given)
        states: dict[str, tuple[int, ...]] = {}
        for i, entry in enumerate(given):
            where = f"front.state[{i}]"
            entry = self._object(where, entry)
            name, shape = entry.get("name"), entry.get("shape")
            if not isinstance(name, str) or not _STATE_NAME.fullmatch(name) or name in states:
                raise self._wrong(f"{where}.name", "a name of its own, of a-z, 0-9 and _", name)
            if not isinstance(shape, list) or not 1 <= len(shape) <= 4 or not all(_is_count(n, 1) for n in shape):
                raise self._wrong(f"{where}.shape", "one to four lengths", shape)
            n_floats = 1
            for length in shape:
                n_floats *= length
            if n_floats > MAX_STATE_FLOATS:
                raise self._wrong(f"{where}.shape", f"at most {MAX_STATE_FLOATS} numbers", shape)
            states[name] = tuple(shape)
        return states

    def _fps(self, order: str) -> float | None:
        fps = self._root.get("fps")
        if order == FRONT_TRANSFORMER:
            if fps is not None:
                raise self._wrong("fps", f"absent or null: with the order {FRONT_TRANSFORMER} rows come at 50 Hz", fps)
            return None
        if isinstance(fps, bool) or not isinstance(fps, int | float) or not MIN_FPS <= fps <= MAX_FPS:
            raise self._wrong("fps", f"the rate of the transformer's rows, {MIN_FPS:g} to {MAX_FPS:g}", fps)
        return float(fps)

    def _graphs(self) -> dict[str, str]:
        given = self._object("graphs", self._get(self._root, "graphs"))
        for precision, file in given.items():
            if GRAPHS.get(precision) != file:
                raise self._wrong("graphs", f"some of {dict(GRAPHS)}", {precision: file})
        if "fp32" not in given:
            raise self._wrong("graphs", "graphs with one of fp32", given)
        return given

    def _batches(self, graphs: dict[str, str]) -> frozenset[str]:
        given = self._root.get("batches", [])  # which exports of before have not
        if not isinstance(given, list) or not all(isinstance(name, str) and name in graphs for name in given):
            raise self._wrong("batches", f"some of {list(graphs)}", given)
        return frozenset(given)

    def _files(self) -> dict[str, tuple[int, str]]:
        given = self._object("files", self._get(self._root, "files"))
        files: dict[str, tuple[int, str]] = {}
        for name, entry in given.items():
            if name not in (FRONT, STATE, GOLDEN, *GRAPHS.values()):
                raise self._wrong("files", "files of this format", name)
            entry = self._object(f"files[{name!r}]", entry)
            n_bytes, sha256 = entry.get("bytes"), entry.get("sha256")
            if not isinstance(n_bytes, int) or not _is_count(n_bytes, 1):
                raise self._wrong(f"files[{name!r}].bytes", "a size, at least 1", n_bytes)
            if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
                raise self._wrong(f"files[{name!r}].sha256", "64 hexadecimal digits", sha256)
            files[name] = (n_bytes, sha256)
        return files

    def _versions(self) -> dict[str, Any]:
        return self._object("versions", self._root.get("versions", {}))

    def _object(self, where: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._wrong(where, "an object", value)
        return value

    def _get(self, of: dict[str, Any], name: str, where: str = "") -> Any:
        if name not in of:
            raise EncoderInvalid(f"{self._place}: {where}{name} is missing. {self._again()}")
        return of[name]

    def _count(self, of: dict[str, Any], name: str, least: int, most: int, where: str = "") -> int:
        value = self._get(of, name, where)
        if not _is_count(value, least) or value > most:
            raise self._wrong(where + name, f"a whole number, {least} to {most}", value)
        return int(value)

    def _text(self, of: dict[str, Any], name: str) -> str:
        value = self._get(of, name)
        if not isinstance(value, str) or not value.isprintable() or not 1 <= len(value) <= MAX_LETTERS:
            raise self._wrong(name, f"a printable text of 1 to {MAX_LETTERS} letters", value)
        return value

    def _word(self, of: dict[str, Any], name: str, words: tuple[str, ...]) -> str:
        value = self._get(of, name)
        if value not in words:
            raise self._wrong(name, f"one of {', '.join(words)}", value)
        return str(value)

    def _wrong(self, what: str, contract: str, value: Any) -> EncoderInvalid:
        return EncoderInvalid(f"{self._place}: {what} must be {contract}; got {shown(value)}. {self._again()}")

    def _again(self) -> str:
        name = self._root.get("name")
        known = isinstance(name, str) and name.isprintable() and 1 <= len(name) <= MAX_LETTERS
        return again(str(name) if known else "NAME_OR_FOLDER", self._place.parent)


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 1 << 53
