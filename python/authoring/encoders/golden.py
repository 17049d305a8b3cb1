# SPDX-License-Identifier: Apache-2.0
"""The package's own sound through a model: a folder's self-test, and what a transformer is given."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from talksplat._arrays import FloatArray
from talksplat._assets import SAMPLE
from talksplat.audio import load_audio
from talksplat.encoders.folder import RATE_HZ

from .parts import Parts

MOST_WINDOWS = 50


class Golden(NamedTuple):
    """tensors: of golden.safetensors.  rest_row: [front_width], what the front makes of silence at the start."""

    tensors: dict[str, FloatArray]
    rest_row: FloatArray


def speech() -> FloatArray:
    """The package's spoken sentence, [n] float32 at RATE_HZ."""
    samples, rate = load_audio(SAMPLE)
    at = np.arange(len(samples) * RATE_HZ // rate) * (rate / RATE_HZ)
    return np.asarray(np.interp(at, np.arange(len(samples)), samples), np.float32)


def speech_windows(parts: Parts) -> torch.Tensor:
    """[n,window,front_width]: what the transformer is given while the package's sentence is spoken."""
    sound = np.concatenate([np.zeros(parts.lead, np.float32), speech()])
    sound = np.resize(sound, max(len(sound), parts.hop * (-(-parts.window // parts.rows)) + parts.samples))
    states, rows = [torch.from_numpy(state) for state in parts.states.values()], []
    with torch.no_grad():
        for begin in range(0, len(sound) - parts.samples, parts.hop):
            made, *states = parts.front(torch.from_numpy(sound[begin : begin + parts.samples])[None], *states)
            rows.append(made[0])
    windows = torch.cat(rows).unfold(0, parts.window, parts.chunk).transpose(1, 2)
    return windows[:: -(-len(windows) // MOST_WINDOWS)]


def make_golden(parts: Parts, windows: torch.Tensor) -> Golden:
    """Runs both modules: the front's first call on speech, the transformer on its windows.

    The one in the middle, in which much is said, is the self-test's.
    """
    first = [torch.from_numpy(state) for state in parts.states.values()]
    samples = np.concatenate([np.zeros(parts.lead, np.float32), np.resize(speech(), parts.samples)])[: parts.samples]
    with torch.no_grad():
        quiet, *_ = parts.front(torch.zeros(1, parts.samples), *first)
        rows, *states = parts.front(torch.from_numpy(samples)[None], *first)
        features = torch.cat([parts.transformer(window[None]) for window in windows])
    middle = len(windows) // 2
    over_time = features.flatten(0, 1).var(0, correction=0).mean().sqrt().clamp(min=1e-12)
    tensors = {
        "samples": torch.from_numpy(samples), "rows": rows[0], "window": windows[middle], "features": features[middle],
        "deviation": over_time[None],
        **{f"state/{name}": state for name, state in zip(parts.states, states, strict=True)},
    }  # fmt: skip
    arrays = {name: np.ascontiguousarray(tensor.numpy(), np.float32) for name, tensor in tensors.items()}
    return Golden(arrays, np.ascontiguousarray(quiet[0, -1].numpy(), np.float32))
