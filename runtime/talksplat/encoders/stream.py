# SPDX-License-Identifier: Apache-2.0
"""One speaker's sound through an encoder, as it comes: sound, front, window of rows, transformer, features.

Every call of a graph has its place in the sound, so that features are the same bit for bit however the sound is pushed.
Before the sound, windows hold the row that the front makes of silence; behind it, flush() puts zeros, until the last
features that are asked for have come.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from .. import _core
from .._arrays import FloatArray
from .engines import Graph
from .folder import RATE_HZ, SAMPLES_PER_ROW, EncoderFolder
from .resample import FrameRows, Linear, exact_rate
from .trial import Loaded


class Rest:
    """What streams begin with: the front's state by name, and the row of silence, [row width]."""

    def __init__(self, folder: EncoderFolder) -> None:
        self.state, self.row = folder.state()


class FeatureStream:
    """Sound at 16 kHz, one channel, to features [width], in steps of the transformer's chunk.

    Streams of one encoder share its graphs: `busy` keeps them apart, and a step holds it.
    """

    def __init__(self, folder: EncoderFolder, loaded: Loaded, rest: Rest, busy: threading.Lock) -> None:
        self._folder = folder
        self.loaded = loaded
        self._front, self._transformer = loaded.front, loaded.transformer
        self._rest = rest
        self._busy = busy
        front = folder.front
        self._sound: FloatArray = np.zeros(front.samples, np.float32)
        self._window: FloatArray = np.zeros((folder.window, front.width), np.float32)
        self._state = {name: value.copy() for name, value in rest.state.items()}
        self._between = None if folder.fps is None else _between(folder, folder.fps)
        self._waiting: deque[FloatArray] = deque()
        self._rows: deque[FloatArray] = deque()
        self.reset()

    def reset(self) -> None:
        """Another sound begins."""
        self._waiting.clear()
        self._rows.clear()
        # Call 0 of the front asks for `lead` samples before the sound, and step 0 of the transformer for `left` rows.
        self._sound[:] = 0
        self._n_sound = self._folder.front.lead
        self._window[:] = self._rest.row
        self._n_window = self._folder.left
        for name, value in self._rest.state.items():
            self._state[name][...] = value
        if self._between is not None:
            self._between.reset()
        self.features = 0  # made so far

    def offer(self, samples: FloatArray) -> None:
        """Samples [n] that wait for step(); they must not change afterwards."""
        if len(samples):
            self._waiting.append(samples)

    def step(self) -> FloatArray | None:
        """Runs what waits until it makes features, [chunk,width] in their own memory; None: more sound is needed."""
        return self.transform() if self.prepare() else None

    def prepare(self) -> bool:
        """Runs what waits until the window is full; False: more sound is needed."""
        while self._n_window < len(self._window):
            if self._rows:
                self._window[self._n_window] = self._rows.popleft()
                self._n_window += 1
            elif self._fill():
                rows = self._run_front()
                self._rows.extend(rows if self._between is None else self._between.push(rows)[:, 0])
            else:
                return False
        return True

    def steps(self, samples: FloatArray) -> Iterator[FloatArray]:
        """offer() and every step() that it makes possible."""
        self.offer(samples)
        while (features := self.step()) is not None:
            yield features

    def _fill(self) -> bool:
        """Whether the front's next samples are all there."""
        while self._waiting and self._n_sound < len(self._sound):
            first = self._waiting.popleft()
            part = first[: len(self._sound) - self._n_sound]
            self._sound[self._n_sound : self._n_sound + len(part)] = part
            self._n_sound += len(part)
            if len(part) < len(first):
                self._waiting.appendleft(first[len(part) :])
        return self._n_sound == len(self._sound)

    def _run_front(self) -> FloatArray:
        graph = self._front
        with self._busy:
            graph.inputs["samples"][0] = self._sound
            for name, value in self._state.items():
                graph.inputs[f"state_{name}"][...] = value
            graph.run()
            for name, value in self._state.items():
                value[...] = graph.outputs[f"new_state_{name}"]
            rows: FloatArray = graph.outputs["rows"][0].copy()
        hop = self._folder.front.hop
        kept = self._n_sound - hop
        self._sound[:kept] = self._sound[hop:].copy()
        self._n_sound = kept
        return rows

    def transform(self) -> FloatArray:
        """The features of a full window, which makes room for the next rows."""
        with self._busy:
            self._transformer.inputs["window"][0] = self._window
            self._transformer.run()
            features: FloatArray = self._transformer.outputs["features"][0].copy()
        self._go_on()
        return features

    @staticmethod
    def transform_at_once(streams: Sequence[FeatureStream], graph: Graph) -> list[FloatArray]:
        """transform() of each; what the graph takes beyond them is as it was. Where it fails, windows stay."""
        with streams[0]._busy:
            for place, stream in enumerate(streams):
                graph.inputs["window"][place] = stream._window
            graph.run()
            features = [graph.outputs["features"][place].copy() for place in range(len(streams))]
        for stream in streams:
            stream._go_on()
        return features

    def _go_on(self) -> None:
        chunk = self._folder.chunk
        self._window[:-chunk] = self._window[chunk:].copy()
        self._n_window -= chunk
        self.features += chunk


class EncoderStream:
    """Sound of any rate and any number of channels to features, from Encoder.stream().

        stream = encoder.stream(sample_rate=48000, channels=2)
        features = stream.push(samples)     # [n,width]: of earlier sound, by the encoder's look-ahead
        rest = stream.flush()               # what the end of the sound holds back; another one may begin

    Feature i is about the sound at encoder.centre_s + i / encoder.feature_hz. For one thread at a time.
    """

    def __init__(self, folder: EncoderFolder, features: FeatureStream, sample_rate: int, channels: int) -> None:
        """Made by Encoder.stream()."""
        self._folder = folder
        self._features = features
        self._width = folder.width
        self._listener = _core.Listener(sample_rate, channels)
        self.sample_rate = sample_rate
        self.channels = channels
        self.samples = 0  # taken so far, of each channel

    def push(self, samples: Any) -> FloatArray:
        """samples: [n] or [n,channels], int16 or float32 with full scale at 1. Returns [n,width], often of n = 0.

        Raises AudioInvalid for numbers that are not finite or absurd, and ValueError for the array; then nothing of it
        was taken.
        """
        self._listener.push(samples)
        self.samples += len(samples)
        return self._made(self._listener.read())

    def gap(self, samples: int) -> FloatArray:
        """So much silence, where sound is missing; as push()."""
        made = [np.zeros((0, self._width), np.float32)]
        while samples > 0:
            part = min(samples, self.sample_rate)
            made.append(self.push(np.zeros((part, self.channels), np.float32)))
            samples -= part
        return np.concatenate(made)

    def flush(self, features: int | None = None) -> FloatArray:
        """The sound is over: the rest of its features, [n,width], and the stream is as new.

        features: how many the whole sound has; None: as many as make every moment of it lie before the last one's.
        """
        self._listener.finish()
        made = [self._made(self._listener.read())]
        wanted = feature_count(self._folder, self.samples, self.sample_rate) if features is None else features
        # A step may have made more already: they are of the zeros that follow.
        silence = np.zeros(self._folder.front.hop, np.float32)
        while self._features.features < wanted:
            made.append(self._made(silence))
        surplus = self._features.features - wanted
        self.reset()
        whole = np.concatenate(made)
        return whole[: max(0, len(whole) - surplus)]

    def reset(self) -> None:
        """Another sound begins; what waits is dropped."""
        self._listener.reset()
        self._features.reset()
        self.samples = 0

    def _made(self, heard: FloatArray) -> FloatArray:
        made = list(self._features.steps(heard))
        return np.concatenate(made) if made else np.zeros((0, self._width), np.float32)


def feature_count(folder: EncoderFolder, samples: int, rate_hz: int) -> int:
    """How many features a sound has: the first whose centre is not before its end is the last. 0 for no sound."""
    if samples == 0:
        return 0
    rate = exact_rate(folder.row_hz)
    begins = Fraction(folder.front.centre, RATE_HZ) if folder.fps is None else Fraction(0)
    left = (Fraction(samples, rate_hz) - begins) * rate
    return max(0, -(-left.numerator // left.denominator)) + 1


def samples_for(folder: EncoderFolder, features: int) -> int:
    """How many samples at 16 kHz must have been pushed before the first `features` features are made."""
    if features == 0:
        return 0
    front = folder.front
    row = folder.chunk * ((features - 1) // folder.chunk + 1) + folder.right  # rows that the last step takes, in all
    if folder.fps is not None:
        row = _between(folder, folder.fps).needed(row)
    call = (row - 1) // front.chunk
    return front.hop * call - front.lead + front.samples


def look_ahead_samples(folder: EncoderFolder) -> int:
    """How much sound after a feature's centre must have come at most, at 16 kHz, before the feature is made.

    At 50 Hz: 320 (chunk + right) - 320 for the window, and the samples that the front's last row reaches beyond its
    centre, with those of a front that makes several rows a call.
    """
    front = folder.front
    reach = front.samples - front.lead - front.centre  # of call 0 beyond the centre of its row 0
    # A row that is the first of its call waits longest; so does a feature that is the first of its step.
    steps = range(0, 4 * folder.chunk * front.chunk, folder.chunk)
    if folder.fps is None:
        return max(samples_for(folder, i + 1) - front.centre - SAMPLES_PER_ROW * i for i in steps)
    frames = Fraction(folder.chunk + folder.right - 1) / exact_rate(folder.fps)
    return int(frames * RATE_HZ) + 1 + SAMPLES_PER_ROW + reach


def _between(folder: EncoderFolder, fps: float) -> FrameRows:
    """The front's rows at the video's rate, in FaceFormer's order."""
    return FrameRows(Linear(exact_rate(fps), folder.front.centre), folder.front.width)
