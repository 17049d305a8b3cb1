# SPDX-License-Identifier: Apache-2.0
"""Encoders: what an exported folder is once an engine has it, shared by any number of streams."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any, NoReturn

import numpy as np

from .._arrays import FloatArray, as_count
from ..audio import open_audio
from ..audio_blocks import MAX_CHANNELS, require_rate
from ..control import Window
from ..errors import EncoderInvalid, EncoderRefused
from .folder import FEATURE_HZ, RATE_HZ, EncoderFolder, find_folder, read_folder
from .resample import Each, Groups, Linear, Taps, exact_rate, groups_fit
from .select import AUTO, EngineInfo, Loaded, load_graphs
from .stream import EncoderStream, FeatureStream, Rest, look_ahead_samples

MAX_THREADS = 64
MAX_SHARE = 0.85  # of the time, for all live speakers of an encoder: pauses between steps are not theirs to choose
FILTER_S = 0.002  # by which sound of other rates than 16 kHz is heard later, at most


def load_encoder(
    source: str | os.PathLike[str], engine: str = AUTO, threads: int = 1, *, precision: str = AUTO
) -> Encoder:
    """An exported encoder (talksplat encoder export), run by an engine that is installed.

    source: its folder, or the name of the model where the cache has one export of it.
    engine: "onnxruntime" and "openvino" on the CPU, "cuda", "tensorrt-rtx" and "tensorrt" on an NVIDIA GPU, or "auto":
    the fastest on this machine of those that are installed and make the features that the model made. One on a GPU
    that fails leaves its place to the CPU's; encoder.engine.note says so.  threads: of a step on the CPU; more than one
    pays only on CPUs that have nothing else to do.
    precision: of the transformer: "fp32", "fp16", "int8" or "bf16" where folder, engine and machine have it, or "auto":
    the fastest on this machine whose features are within a tenth of their deviation over time.
    Raises EncoderNotFound, EncoderInvalid, EncoderRefused where no engine can run it, and ValueError for arguments.
    """
    n_threads = as_count("load_encoder: threads", threads, 1)
    if n_threads > MAX_THREADS:
        raise ValueError(f"load_encoder: threads must be 1 to {MAX_THREADS}; got {threads!r}.")
    folder = read_folder(find_folder("load_encoder", source))
    return Encoder(folder, load_graphs(folder, engine, precision, n_threads))


class Encoder:
    """An encoder of speech on its engine, from load_encoder(). Streams and sessions may share it: they take turns, or
    are run several at once on a GPU.

    name: of the model.  width: of a feature.  feature_hz, centre_s: feature i is about centre_s + i / feature_hz.
    look_ahead_s: how much sound after that it hears.  hop_s: of sound, between two steps.
    engine: what runs it now.  share: of the time of a CPU or of a GPU that one speaker takes, measured when it was
    loaded.
    """

    def __init__(self, folder: EncoderFolder, loaded: Loaded) -> None:
        """Made by load_encoder()."""
        self.folder = folder
        self.name = folder.name
        self.width = folder.width
        self.feature_hz = folder.row_hz
        self.centre_s = folder.front.centre / RATE_HZ if folder.fps is None else 0.0
        self.hop_s = folder.hop_s
        self.look_ahead_s = look_ahead_samples(folder) / RATE_HZ
        self._loaded: Loaded | None = loaded
        self._info = loaded.info
        self._rest = Rest(folder)
        self._busy = threading.Lock()

    @property
    def engine(self) -> EngineInfo:
        if self._loaded is not None:
            self._info = self._loaded.info
        return self._info

    @property
    def share(self) -> float:
        return self.engine.hop_ms / (1e3 * self.hop_s)

    def __reduce__(self) -> NoReturn:
        raise TypeError("Encoder: an encoder on its engine cannot be pickled or copied. Load it in the other process.")

    def __repr__(self) -> str:
        return f"Encoder({self.name!r}, {self.folder.preset}, {self.engine.name} {self.engine.precision})"

    def release(self) -> None:
        """Gives its memory back once no stream uses it any more; it makes no others."""
        self._loaded = None

    def __enter__(self) -> Encoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def stream(self, sample_rate: int = RATE_HZ, channels: int = 1) -> EncoderStream:
        """A stream of its own for one speaker; sample_rate: Hz, 8000..192000; channels: 1..8, whose mean is heard."""
        rate = as_count("stream: sample_rate", sample_rate, 1)
        require_rate("stream: sample_rate", rate)
        width = as_count("stream: channels", channels, 1)
        if width > MAX_CHANNELS:
            raise ValueError(f"stream: channels must be 1 to {MAX_CHANNELS}; got {channels!r}.")
        return EncoderStream(self.folder, self.feature_stream(), rate, width)

    def feature_stream(self) -> FeatureStream:
        """As stream(), for sound that is 16 kHz and one channel already; step by step."""
        if self._loaded is None:
            raise EncoderRefused(f"{self.name}: this encoder was released. Load it again.")
        return FeatureStream(self.folder, self._loaded, self._rest, self._busy)

    def encode(self, audio: Any, sample_rate: int | None = None) -> FloatArray:
        """The features of a whole sound, [n,width], as a stream makes them. Raises AudioInvalid and ValueError."""
        sound = open_audio("encode", audio, sample_rate)
        stream = self.stream(sound.rate, sound.channels)
        made = [stream.push(block) for block in sound.blocks()]
        return np.concatenate([*made, stream.flush()])

    # ---- for avatars ----

    def frame_taps(self, who: str, avatar: str, window: Window | None, fps: float) -> Taps:
        """Which of its features a frame of the avatar takes. Raises EncoderInvalid where they do not fit."""
        if window is None:
            raise EncoderInvalid(
                f"{who}: {avatar} takes no features of sound: none of its inputs has a window of them."
            )
        if window.channels != self.width:
            raise EncoderInvalid(
                f"{who}: {avatar} takes features of {window.channels} channels, and {self.name} (layer "
                f"{self.folder.hidden_layer}) has {self.width}. Load the encoder that it was trained with."
            )
        if self.folder.fps is not None:
            if window.length != 1 or exact_rate(self.folder.fps) != exact_rate(fps):
                raise EncoderInvalid(
                    f"{who}: {self.name} was exported for one feature a frame at {self.folder.fps:g} fps; {avatar} "
                    f"takes {window.length} at {fps:g}. Export it again with --fps {fps:g}, or without."
                )
            return Each()
        if window.length == 1:
            return Linear(exact_rate(fps), self.folder.front.centre)
        if not groups_fit(window.length, fps):
            raise EncoderInvalid(
                f"{who}: {avatar} takes {window.length} features a frame at {fps:g} fps, and {self.name} makes "
                f"{FEATURE_HZ} a second, {FEATURE_HZ / fps:g} a frame."
            )
        return Groups(window.length, self.folder.front.centre)

    def look_ahead_of_frames_s(self, taps: Taps) -> float:
        """How much later than a frame's own time its row is made at most, without the time that a step takes.

        The one place where it is added up: what the window and the front hear after a feature's centre, how much later
        than its frame the last feature's centre is, and the filter of other rates than 16 kHz.
        """
        return self.look_ahead_s + taps.late_samples / RATE_HZ + FILTER_S


def as_encoder(who: str, encoder: Any) -> Encoder:
    """An Encoder as it is, or loaded from what load_encoder() takes."""
    if isinstance(encoder, Encoder):
        return encoder
    if not isinstance(encoder, (str, os.PathLike)):
        raise ValueError(
            f"{who}: encoder must be a talksplat.Encoder, a folder or a name; got {type(encoder).__name__}."
        )
    return load_encoder(encoder)
