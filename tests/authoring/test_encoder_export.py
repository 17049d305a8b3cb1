# SPDX-License-Identifier: Apache-2.0
"""Exported Wav2Vec 2.0 and HuBERT against transformers' own models, over windows with the window's own statistics."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from authoring.encoder_models import load_model, save_model, sound
from talksplat.encoders.folder import PRESETS, read_folder

torch = pytest.importorskip("torch", reason="encoders are exported with torch")
pytest.importorskip("transformers", reason="encoders are exported with transformers")
onnx = pytest.importorskip("onnx", reason="encoders are exported with onnx")
pytest.importorskip("onnxscript", reason="encoders are exported with onnxscript")
pytest.importorskip("onnxruntime", reason="exported encoders are run with onnxruntime")

from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2Model  # noqa: E402

from talksplat.authoring.encoders.export import Export, export_encoder  # noqa: E402
from talksplat.authoring.encoders.families import FAMILIES  # noqa: E402
from talksplat.authoring.encoders.graphs import export_graph, halved, require_opset, run_graph  # noqa: E402
from talksplat.authoring.encoders.models import find_model  # noqa: E402
from talksplat.authoring.encoders.parts import Parts  # noqa: E402
from talksplat.authoring.encoders.positions import Spectrum, quick_positions  # noqa: E402
from talksplat.authoring.encoders.wav2vec2 import MEMORY_S, Statistics, Transformer, folded  # noqa: E402
from talksplat.authoring.encoders.wish import Wish  # noqa: E402
from talksplat.errors import EncoderInvalid  # noqa: E402

torch.set_num_threads(1)  # other tests run beside these

HOP, SAMPLES, WINDOW = 2560, 2640, 64  # of the preset cpu: 8 rows a call, 48 + 8 + 8 in a window
# Of the largest difference to the root mean square, which numbers of such size are four times of: 1e-5 of the largest.
LARGEST = 4e-5
EXPORTS = {"wav2vec2-group": ("wav2vec2", "group", True), "hubert-layer": ("hubert", "layer", True)}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
         "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}  # fmt: skip
KINDS = {**EXPORTS, "hubert-group": ("hubert", "group", False), "wav2vec2-layer": ("wav2vec2", "layer", False)}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: save_model(folder / name, *kind) for name, kind in KINDS.items()}


@pytest.fixture(scope="module")
def exports(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Export]:
    folder = tmp_path_factory.mktemp("exports")
    return {
        "wav2vec2-group": export_encoder(models["wav2vec2-group"], folder / "wav2vec2-group", fp16=True),
        "hubert-layer": export_encoder(models["hubert-layer"], folder / "hubert-layer", fps=30, layer=1),
    }


def parts_of(model: Path) -> Parts:
    found = find_model(str(model))
    return FAMILIES[found.config["model_type"]].build(found, Wish("cpu", PRESETS["cpu"], 2, None, ""))


def relative(found: Any, wanted: Any) -> float:
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / np.sqrt((wanted**2).mean()))


def sums(values: np.ndarray) -> list[np.ndarray]:
    """Count, sum and sum of squares of [channels,n]."""
    values = values.astype(np.float64)
    return [np.array([values.shape[1]], np.float64), values.sum(1), (values**2).sum(1)]


def forced_states(model: Any, samples: np.ndarray, call: int, by_time: bool, do_normalize: bool) -> list[np.ndarray]:
    """States that become, with what the call counts, those of all the samples: those of all but that."""
    states = []
    if do_normalize:
        whole, own = sums(samples[None]), sums(samples[None, HOP * call : HOP * (call + 1)])
        states += [a - b for a, b in zip(whole, own, strict=True)]
    if by_time:
        with torch.no_grad():
            first = model.feature_extractor.conv_layers[0].conv(torch.from_numpy(samples)[None, None])[0].numpy()
        n_own = HOP // 5
        whole, own = sums(first), sums(first[:, n_own * call : n_own * (call + 1)])
        states += [a - b for a, b in zip(whole, own, strict=True)]
    return [state.astype(np.float32) for state in states]


def prepared(samples: np.ndarray, do_normalize: bool) -> Any:
    """As Wav2Vec2FeatureExtractor does it."""
    if do_normalize:
        doubles = samples.astype(np.float64)
        samples = ((doubles - doubles.mean()) / np.sqrt(doubles.var() + 1e-7)).astype(np.float32)
    return torch.from_numpy(samples)[None]


def front_rows(run: Any, model: Any, samples: np.ndarray, norm: str, do_normalize: bool) -> np.ndarray:
    """Rows of a front that hears the samples call by call: run(samples, states) -> rows."""
    rows = []
    for call in range(WINDOW // 8):
        states = forced_states(model, samples, call, norm == "group", do_normalize)
        rows.append(run(samples[None, HOP * call : HOP * call + SAMPLES], states))
    return np.concatenate(rows)


@pytest.mark.parametrize("kind", list(KINDS))
def test_cut_in_two_every_layer_is_transformers_own(models: dict[str, Path], kind: str) -> None:
    _, norm, do_normalize = KINDS[kind]
    model, parts = load_model(models[kind]), parts_of(models[kind])
    samples = sound(HOP * WINDOW // 8 + SAMPLES - HOP)

    def run(part: np.ndarray, states: list[np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            return parts.front(torch.from_numpy(part), *map(torch.from_numpy, states))[0][0].numpy()

    rows = torch.from_numpy(front_rows(run, model, samples, norm, do_normalize))[None]
    with torch.no_grad():
        whole = model(prepared(samples, do_normalize), output_hidden_states=True)
        found = [Transformer(model, 48, 8, layer)(rows) for layer in (0, 1)] + [parts.transformer(rows)]
    for layer, wanted in enumerate((*whole.hidden_states[:2], whole.last_hidden_state)):
        assert relative(found[layer][0], wanted[0, 48:56]) <= LARGEST, layer


def test_exported_graphs_are_transformers_own(models: dict[str, Path], exports: dict[str, Export]) -> None:
    found = exports["wav2vec2-group"].folder
    model = load_model(models["wav2vec2-group"])
    samples = sound(HOP * WINDOW // 8 + SAMPLES - HOP, seed=3)

    def run(part: np.ndarray, states: list[np.ndarray]) -> np.ndarray:
        named = {f"state_{name}": state for name, state in zip(found.front.state, states, strict=True)}
        return run_graph(found.intact("front.onnx"), {"samples": part, **named})[0][0]

    rows = front_rows(run, model, samples, "group", True)
    with torch.no_grad():
        wanted = model(prepared(samples, True)).last_hidden_state[0, 48:56].numpy()
        heard = model.feature_extractor(prepared(samples, True))[0].T.numpy()
    assert relative(rows, heard) <= LARGEST
    size = np.sqrt((wanted**2).mean())
    errors = {}
    for precision, file in found.graphs.items():
        (features,) = run_graph(found.intact(file), {"window": rows[None]})
        errors[precision] = float(np.sqrt(((features[0] - wanted) ** 2).mean()) / size)
    assert errors["fp32"] <= 1e-5
    assert 1e-5 < errors["fp16"] <= 3e-3
    assert 1e-3 < errors["int8"] <= 5e-2 and 1e-3 < errors["int8-static"] <= 5e-2


def test_faceformers_order_resamples_before_the_transformer(
    models: dict[str, Path], exports: dict[str, Export]
) -> None:
    found = exports["hubert-layer"].folder
    assert (found.order, found.fps, found.hidden_layer) == ("front-resample-transformer", 30.0, 1)
    # As long as 48 + 8 + 8 rows at 50 Hz.
    assert (found.left, found.chunk, found.right, found.front.chunk) == (29, 5, 5, 8)
    model = load_model(models["hubert-layer"])
    rows = np.random.default_rng(2).standard_normal((39, 16)).astype(np.float32)
    (features,) = run_graph(found.intact("transformer.onnx"), {"window": rows[None]})
    with torch.no_grad():
        projected = model.feature_projection(torch.from_numpy(rows)[None])
        hidden = projected + model.encoder.pos_conv_embed(projected)
        wanted = model.encoder.layers[0](hidden)[0, 29:34]
    assert relative(features[0], wanted) <= LARGEST


@pytest.mark.parametrize("name", list(EXPORTS))
def test_the_runtime_reads_what_was_written(exports: dict[str, Export], name: str) -> None:
    done = exports[name]
    found = read_folder(done.folder.path)
    assert done.made
    assert set(done.errors) == set(found.graphs)
    assert {path.name for path in found.path.iterdir()} == {"encoder.json", *found.files}
    assert found.batches == set(found.graphs) & {"fp16"}
    state, rest_row = found.state()
    golden = found.golden()
    named = {f"state_{key}": value for key, value in state.items()}
    rows, *states = run_graph(found.intact("front.onnx"), {"samples": golden["samples"][None], **named})
    assert relative(rows[0], golden["rows"]) <= LARGEST
    for key, value in zip(found.front.state, states, strict=True):
        np.testing.assert_allclose(value, golden[f"state/{key}"], rtol=1e-5)
    (features,) = run_graph(found.intact("transformer.onnx"), {"window": golden["window"][None]})
    assert relative(features[0], golden["features"]) <= LARGEST
    silence = np.zeros((1, found.front.samples), np.float32)
    assert relative(run_graph(found.intact("front.onnx"), {"samples": silence, **named})[0][0, -1], rest_row) <= 1e-4


@pytest.mark.parametrize(("taps", "groups", "rows"), [(128, 16, 64), (16, 4, 14), (15, 4, 14), (8, 2, 3), (3, 1, 1)])
def test_positions_by_their_spectrum(taps: int, groups: int, rows: int) -> None:
    """Of windows shorter than the taps, and longer; of any number of speakers."""
    torch.manual_seed(5)
    config = Wav2Vec2Config(
        hidden_size=64, num_hidden_layers=1, num_attention_heads=4, intermediate_size=96,
        num_conv_pos_embeddings=taps, num_conv_pos_embedding_groups=groups,
    )  # fmt: skip
    model = Wav2Vec2Model(config).eval()
    folded(model)
    plain = model.encoder.pos_conv_embed
    torch.nn.init.normal_(plain.conv.weight, std=0.3)
    for n in (1, 3):
        hidden = torch.randn(n, rows, 64)
        with torch.no_grad():
            assert relative(Spectrum(plain, rows)(hidden), plain(hidden)) <= LARGEST


def test_which_positions_have_a_spectrum(models: dict[str, Path]) -> None:
    parts = parts_of(models["hubert-group"])
    assert isinstance(parts.transformer.positions, Spectrum)
    halved_positions = halved(parts.transformer).inner.positions
    assert not isinstance(halved_positions, Spectrum) and isinstance(parts.transformer.positions, Spectrum)
    normed = HubertModel(HubertConfig(**SIZES, conv_pos_batch_norm=True)).encoder.pos_conv_embed
    assert quick_positions(normed, 64) is normed


def test_adapters_of_many_languages() -> None:
    torch.manual_seed(4)
    config = Wav2Vec2Config(**SIZES, do_stable_layer_norm=True, feat_extract_norm="layer", adapter_attn_dim=4)
    model = Wav2Vec2Model(config).eval()
    rows = torch.randn(1, 14, 512)
    with torch.no_grad():
        for layer in model.encoder.layers:
            torch.nn.init.normal_(layer.adapter_layer.linear_2.weight)
        wanted = model.encoder(model.feature_projection(rows)[0]).last_hidden_state[:, 6:10]
        assert relative(Transformer(model, 6, 4, 2)(rows), wanted) <= LARGEST


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_of_several_speakers(models: dict[str, Path], kind: str, tmp_path: Path) -> None:
    """Each has the features that it has alone, whatever the others say."""
    parts = parts_of(models[kind])
    window = torch.randn(1, parts.window, parts.front_width, generator=torch.Generator().manual_seed(3))
    export_graph(parts.transformer, {"window": window}, ["features"], tmp_path / "any.onnx", any_speakers=True)
    windows = torch.cat([window, torch.full_like(window, 1e3), window.flip(1), torch.full_like(window, torch.nan)])
    for n in (1, 2, 3, 4):
        (together,) = run_graph(tmp_path / "any.onnx", {"window": windows[:n].numpy()})
        assert together.shape == (n, parts.chunk, parts.width)
        for features, own in zip(together, windows[:n], strict=True):
            (alone,) = run_graph(tmp_path / "any.onnx", {"window": own[None].numpy()})
            np.testing.assert_allclose(features, alone[0], atol=1e-5)
    with torch.no_grad():
        assert relative(together[2], parts.transformer(windows[2:3])[0].numpy()) <= LARGEST


def test_graphs_have_one_opset_and_only_matrix_products_are_int8(exports: dict[str, Export]) -> None:
    found = exports["wav2vec2-group"].folder
    operators = {}
    for file in ("front.onnx", *found.graphs.values()):
        graph = onnx.load(found.intact(file))
        assert {entry.version for entry in graph.opset_import if entry.domain == ""} == {20}
        assert all(entry.domain in ("", "com.microsoft") for entry in graph.opset_import)
        operators[file] = Counter(node.op_type for node in graph.graph.node)
    int8, fp32 = operators["transformer.int8.onnx"], operators["transformer.onnx"]
    assert int8["MatMulInteger"] == 2 * 6 + 1  # queries, keys, values, output, two of the feed-forward; the projection
    assert int8["MatMul"] == fp32["MatMul"] - 13 and int8["Conv"] == int8["ConvInteger"] == fp32["Conv"] == 0
    assert operators["transformer.fp16.onnx"]["Conv"] == 1  # over positions
    # Weights, and what comes to them: queries, keys and values are given the same, but in the last layer, where queries
    # are those of the chunk alone.
    static = operators["transformer.int8-static.onnx"]
    assert (static["DequantizeLinear"], static["QuantizeLinear"]) == (13 + 10, 10) and static["MatMul"] == fp32[
        "MatMul"
    ]
    # Eager attention without guards, and weight norm folded.
    assert not {"IsNaN", "Where", "ReduceL2"} & set(fp32)


def test_each_sample_is_counted_once(models: dict[str, Path]) -> None:
    parts = parts_of(models["wav2vec2-group"])
    samples = sound(HOP * 5 + SAMPLES - HOP, seed=4)
    states = [torch.from_numpy(state) for state in parts.states.values()]
    with torch.no_grad():
        for call in range(5):
            _, *states = parts.front(torch.from_numpy(samples[None, HOP * call : HOP * call + SAMPLES]), *states)
        first = parts.front.first.conv(torch.from_numpy(samples)[None, None])[0, :, :HOP].numpy()
    counted = sums(samples[None, : HOP * 5]) + sums(first)
    for prior, state, own in zip(parts.states.values(), states, counted, strict=True):
        np.testing.assert_allclose(state.numpy(), prior + own, rtol=2e-5, atol=1e-3)
    assert parts.states["sound_count"] == [16000.0] and parts.states["channel_count"] == [3200.0]  # a second


def test_statistics_fade_after_a_minute() -> None:
    """A new speaker's level is heard through an hour of the old one's, and sums stay where float32 can add to them."""
    states = [16000.0 * 3600 * torch.tensor([old]) for old in (1.0, 2.0, 5.0)]  # an hour of mean 2 and variance 1
    for _ in range(int(3 * MEMORY_S)):
        found = Statistics.updated(states, torch.full((1, 16000), 3.0) * torch.tensor([1.0, -1.0]).repeat(8000), 1)
        states = list(found.states)
    assert states[0] == 16000 * MEMORY_S
    assert 0.0 < found.mean < 2 * 1.05 * np.exp(-3)
    assert 8.5 < found.variance < 9.0


def test_silence_and_full_scale_are_finite(models: dict[str, Path]) -> None:
    for kind in KINDS:
        parts = parts_of(models[kind])
        for level in (0.0, 1e-30, 1.0, 1e4):
            states = [torch.zeros_like(torch.from_numpy(state)) for state in parts.states.values()]
            with torch.no_grad():
                rows, *states = parts.front(torch.full((1, SAMPLES), level), *states)
            assert rows.isfinite().all(), (kind, level)


def test_another_opset_is_refused(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "ab"]
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:])
    for version in (17, 23):
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", version)])
        onnx.save(model, tmp_path / "front.onnx")
        with pytest.raises(EncoderInvalid, match=rf"front.onnx: .* in opset {version}; the format has 20\. Install"):
            require_opset(tmp_path / "front.onnx")


def test_weights_beyond_one_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from talksplat.authoring.encoders import graphs

    monkeypatch.setattr(graphs, "MAX_GRAPH_BYTES", 39)
    with pytest.raises(EncoderInvalid, match=r"the weights have 40 bytes, and one ONNX file holds 39\. Export a lower"):
        graphs.export_graph(torch.nn.Linear(9, 1), {"window": torch.zeros(1, 9)}, ["features"], tmp_path / "x.onnx")


def test_the_manifest_says_what_it_came_from(exports: dict[str, Export]) -> None:
    manifest = json.loads((exports["wav2vec2-group"].folder.path / "encoder.json").read_text())
    assert len(manifest["source"]) == 64
    assert set(manifest["versions"]) == {"torch", "transformers", "onnx", "onnxruntime", "talksplat"}
