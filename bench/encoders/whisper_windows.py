# SPDX-License-Identifier: Apache-2.0
"""How far a live Whisper is from the model it was made of: python bench/encoders/whisper_windows.py [NAME_OR_FOLDER]

The original hears a recording whole, in its half minute padded with silence; the live encoder hears it in chunks, with
the window of each preset. The table has the difference of their features as a share of what there is to tell apart:
the root of its mean square over the features' standard deviation in time. 1 is as bad as a constant. The columns:

    live        the encoder as it runs
    loudness    with the loudest value of the whole recording known from the begin
    rows        with the original's own rows, so that only the window differs
    places      with these, and each at the place of the position table that it has in the original

The columns after the first say where the difference comes from; none of them could be had live.
Needs the packages of the extras encoders-export and whisper-base, and the recordings of `shared`.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recordings import recordings

from shared_data import shared_dir
from talksplat.authoring.encoders.models import find_model
from talksplat.authoring.encoders.whisper import DECADES, Front, Transformer
from talksplat.authoring.encoders.whisper_files import NAME, find_ctranslate2
from talksplat.authoring.encoders.whisper_parts import load_encoder
from talksplat.encoders.folder import PRESETS, RATE_HZ, SAMPLES_PER_ROW

EVERY_ROWS = 32  # a multiple of every preset's chunk


def original(encoder: torch.nn.Module, sound: np.ndarray) -> tuple[np.ndarray, torch.Tensor, float]:
    """Features [rows,width] and rows [1,rows,width] of the recording heard whole, and its loudest value in decades."""
    extractor = WhisperFeatureExtractor(feature_size=encoder.config.num_mel_bins)
    mel = torch.from_numpy(extractor(sound, sampling_rate=RATE_HZ, return_tensors="np").input_features)
    out = encoder(mel, output_hidden_states=True)
    rows = out.hidden_states[0] - encoder.embed_positions.weight
    n = len(sound) // SAMPLES_PER_ROW
    return out.last_hidden_state[0, :n].numpy(), rows[:, :n], float(mel.max()) * 4 - 4


def live_rows(front: Front, sound: np.ndarray, loudest: torch.Tensor) -> torch.Tensor:
    """What the front makes of the recording, chunk by chunk: [1,rows,width], whole chunks only."""
    hop = SAMPLES_PER_ROW * front.chunk
    n_calls = len(sound) // hop
    padded = np.pad(sound, (front.lead, front.samples))
    rows = []
    for call in range(n_calls):
        piece, loudest = front(torch.from_numpy(padded[None, hop * call : hop * call + front.samples]), loudest)
        rows.append(piece)
    return torch.cat(rows, 1)


def error(
    transformer: Transformer, rows: torch.Tensor, rest: torch.Tensor, true: np.ndarray, table: torch.Tensor | None
) -> float:
    """Of a chunk every EVERY_ROWS, with rows of silence before the first and after the last.

    table: of positions, where each row is to have its own.
    """
    left, chunk = transformer.kept.start, transformer.kept.stop - transformer.kept.start
    window = len(transformer.positions)
    starts = range(0, rows.shape[1] // chunk * chunk, EVERY_ROWS)
    padded = torch.cat([rest.expand(1, left, -1), rows, rest.expand(1, window - left - chunk, -1)], 1)[0]
    found = []
    for start in starts:
        piece = padded[None, start : start + window]
        if table is not None:
            piece = piece - transformer.positions + table[torch.arange(start - left, start - left + window).clamp(0)]
        found.append(transformer(piece)[0].numpy())
    wanted = np.concatenate([true[start : start + chunk] for start in starts])
    return float(np.sqrt(np.square(np.concatenate(found) - wanted).mean() / true.var(0).mean()))


def measure(encoder: torch.nn.Module, sounds: dict[str, np.ndarray]) -> Iterator[tuple[str, list[float]]]:
    n_layers = len(encoder.layers)
    truths = [(sound, *original(encoder, sound)) for sound in sounds.values()]
    for name, preset in PRESETS.items():
        front, transformer = Front(encoder, preset.chunk), Transformer(encoder, n_layers, preset)
        first = torch.from_numpy(front.first_loudest())
        rest = front(torch.zeros(1, front.samples), first)[0][:, :1]
        errors = []
        for sound, true, true_rows, loudest in truths:
            known = torch.full_like(first, loudest)
            n = true_rows.shape[1] // preset.chunk * preset.chunk
            cases = (
                (live_rows(front, sound, first), None),
                (live_rows(front, sound, known), None),
                (true_rows[:, :n], None),
                (true_rows[:, :n], encoder.embed_positions.weight),
            )
            errors.append([error(transformer, rows, rest, true, table) for rows, table in cases])
        yield name, np.median(errors, 0).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=NAME)
    arguments = parser.parse_args()
    shared = shared_dir()
    if shared is None:
        raise SystemExit("there are no recordings: set TALKSPLAT_SHARED to the folder that has them")
    encoder = load_encoder(find_ctranslate2(arguments.model) or find_model(arguments.model))
    sounds = recordings(shared)
    with torch.inference_mode():
        print(f"medians of {len(sounds)} recordings; cut off {DECADES:g} decades below the loudest value")
        print("| preset | chunk, left, right | live | loudness | rows | places |\n|---|---|---|---|---|---|")
        for name, errors in measure(encoder, sounds):
            print(f"| {name} | {', '.join(map(str, PRESETS[name]))} | {' | '.join(f'{e:.2f}' for e in errors)} |")


if __name__ == "__main__":
    main()
