# SPDX-License-Identifier: Apache-2.0
"""What a folder's first states and self-test are made of: the front run over the package's own sound."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from talksplat._arrays import FloatArray
from talksplat._assets import SAMPLE
from talksplat.audio import load_audio
from talksplat.encoders.folder import RATE_HZ

from .parts import Parts


class Golden(NamedTuple):
    """tensors: of golden.safetensors.  rest_row: [front_width], what the front makes of silence at the start."""

    tensors: dict[str, FloatArray]
    rest_row: FloatArray


def speech() -> FloatArray:
    """The package's spoken sentence, [n] float32 at RATE_HZ."""
    samples, rate = load_audio(SAMPLE)
    at = np.arange(len(samples) * RATE_HZ // rate) * (rate / RATE_HZ)
    return np.asarray(np.interp(at, np.arange(len(samples)), samples), np.float32)


def make_golden(parts: Parts) -> Golden:
    """Runs both modules: the front from its first state over speech until a window is full, the transformer on that."""
    first = [torch.from_numpy(state) for state in parts.states.values()]
    with torch.no_grad():
        quiet, *_ = parts.front(torch.zeros(1, parts.samples), *first)
        n_calls = -(-parts.window // parts.rows) + 1
        needed = parts.hop * (n_calls - 1) + parts.samples
        sound = np.concatenate([np.zeros(parts.lead, np.float32), np.resize(speech(), needed)])
        states, rows = first, []
        for call in range(n_calls):
            samples = torch.from_numpy(sound[parts.hop * call : parts.hop * call + parts.samples])[None]
            made, *states = parts.front(samples, *states)
            rows.append(made[0])
            if call == 0:
                tensors = {"samples": samples[0], "rows": made[0]}
                tensors |= {f"state/{name}": state for name, state in zip(parts.states, states, strict=True)}
        window = torch.cat(rows)[-parts.window :]
        features = parts.transformer(window[None])[0]
    tensors |= {"window": window, "features": features}
    arrays = {name: np.ascontiguousarray(tensor.numpy(), np.float32) for name, tensor in tensors.items()}
    return Golden(arrays, np.ascontiguousarray(quiet[0, -1].numpy(), np.float32))
