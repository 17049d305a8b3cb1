# SPDX-License-Identifier: Apache-2.0
"""How far a live Wav2Vec 2.0 or HuBERT is from its model: python bench/encoders/wav2vec2_windows.py FOLDER

FOLDER: a model as `talksplat encoder export` takes it. The original hears a recording whole; the live encoder hears it
in chunks, with the window of each preset. The table has the difference of their features as a share of what there is to
tell apart: the root of its mean square over the features' standard deviation in time. 1 is as bad as a constant.

    live        the encoder as it runs
    statistics  with the original's own rows, so that only the window differs
    all before  with these, and all rows before the chunk's in the window

Needs the packages of the extra encoders-export, and the recordings of `shared`.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, Wav2Vec2FeatureExtractor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recordings import recordings

from shared_data import shared_dir
from talksplat.authoring.encoders.families import family_of
from talksplat.authoring.encoders.models import find_model
from talksplat.authoring.encoders.parts import Parts
from talksplat.authoring.encoders.wav2vec2 import Transformer
from talksplat.authoring.encoders.wish import Wish
from talksplat.encoders.folder import PRESETS, RATE_HZ

EVERY_ROWS = 64  # a chunk of so many is tried; a multiple of every preset's


def original(model: Any, extractor: Any, sound: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
    """Features and the front's rows, [rows,width], of the recording heard whole."""
    values = torch.from_numpy(extractor(sound, sampling_rate=RATE_HZ, return_tensors="np").input_values)
    rows = model.feature_extractor(values).transpose(1, 2)
    return model(values).last_hidden_state[0].numpy(), rows[0]


def live_rows(parts: Parts, sound: np.ndarray, states: list[torch.Tensor]) -> torch.Tensor:
    """What the front makes of the recording, call by call: [rows,width]."""
    rows = []
    for begin in range(0, len(sound) - parts.samples + 1, parts.hop):
        made, *states = parts.front(torch.from_numpy(sound[begin : begin + parts.samples])[None], *states)
        rows.append(made[0])
    return torch.cat(rows)


def error(model: Any, layer: int, parts: Parts, rows: torch.Tensor, rest: torch.Tensor, true: np.ndarray, whole: bool
          ) -> float:  # fmt: skip
    """whole: the window begins where the recording does."""
    found, wanted = [], []
    padded = torch.cat([rest.expand(parts.left, -1), rows])
    for start in range(0, len(rows) - parts.chunk - parts.right + 1, EVERY_ROWS):
        left = start if whole else parts.left
        window = padded[start + parts.left - left : start + parts.left + parts.chunk + parts.right]
        found.append(Transformer(model, left, parts.chunk, layer)(window[None])[0].numpy())
        wanted.append(true[start : start + parts.chunk])
    return float(np.sqrt(np.square(np.concatenate(found) - np.concatenate(wanted)).mean() / true.var(0).mean()))


def measure(folder: str, sounds: dict[str, np.ndarray]) -> Iterator[tuple[str, list[float]]]:
    model, found = AutoModel.from_pretrained(folder).eval(), find_model(folder)
    extractor, family = Wav2Vec2FeatureExtractor.from_pretrained(folder), family_of(found)
    layer = family.n_layers(found)
    truths = [(sound, *original(model, extractor, sound)) for sound in sounds.values()]
    for name, preset in PRESETS.items():
        parts = family.build(found, Wish(name, preset, layer, None, ""))
        states = [torch.from_numpy(state) for state in parts.states.values()]
        rest = parts.front(torch.zeros(1, parts.samples), *states)[0][0, -1:]
        errors = []
        for sound, true, true_rows in truths:
            cases = ((live_rows(parts, sound, states), False), (true_rows, False), (true_rows, True))
            errors.append([error(model, layer, parts, rows, rest, true, whole) for rows, whole in cases])
        yield name, np.median(errors, 0).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--recordings", type=int, default=13, help="how many of them")
    arguments = parser.parse_args()
    shared = shared_dir()
    if shared is None:
        raise SystemExit("there are no recordings: set TALKSPLAT_SHARED to the folder that has them")
    sounds = dict(list(recordings(shared).items())[: arguments.recordings])
    with torch.inference_mode():
        print(f"medians of {len(sounds)} recordings")
        print("| preset | chunk, left, right | live | statistics | all before |\n|---|---|---|---|---|")
        for name, errors in measure(str(arguments.model), sounds):
            print(f"| {name} | {', '.join(map(str, PRESETS[name]))} | {' | '.join(f'{e:.2f}' for e in errors)} |",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
