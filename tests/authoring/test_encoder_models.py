# SPDX-License-Identifier: Apache-2.0
"""Which model is meant, and models that are not what they say: strangers make them, and nothing of them is run."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from authoring.encoder_models import TINY, save_model
from talksplat.authoring.encoders import export as exporting
from talksplat.authoring.encoders import export_encoder, exported
from talksplat.authoring.encoders.models import find_model
from talksplat.authoring.encoders.wish import REVISION as GRAPHS_OF
from talksplat.cli import main
from talksplat.encoders.folder import GRAPHS, EncoderFolder
from talksplat.errors import EncoderInvalid, EncoderNotFound

BASE = {"model_type": "wav2vec2", "num_hidden_layers": 2}
REVISION = "0123456789" * 4


@pytest.fixture(autouse=True)
def no_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TALKSPLAT_CACHE", str(tmp_path / "cache"))


def bare(folder: Path, config: object = BASE, weights: bytes = b"w", preprocessor: object = None) -> Path:
    """A model's folder whose weights are nobody's."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor or {"do_normalize": True}))
    return folder


# ---- which model ----


def test_a_folder_is_named_after_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bare(tmp_path / "my-model")
    assert find_model(str(folder)).name == "my-model"
    monkeypatch.chdir(folder)
    assert find_model(".").name == "my-model"


def test_a_name_is_looked_up_in_the_hubs_cache(tmp_path: Path) -> None:
    hub = tmp_path / "hub" / "models--facebook--hubert-base-ls960"
    snapshot = bare(hub / "snapshots" / REVISION)
    with pytest.raises(EncoderNotFound):
        find_model("facebook/hubert-base-ls960")
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text(REVISION)
    found = find_model("facebook/hubert-base-ls960")
    assert (found.path, found.name) == (snapshot, "facebook/hubert-base-ls960")
    (hub / "refs" / "main").write_text("../../../somewhere")
    with pytest.raises(EncoderNotFound):
        find_model("facebook/hubert-base-ls960")


def test_what_is_not_here_comes_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(EncoderNotFound) as caught:
        find_model("facebook/wav2vec2-base-960h")
    assert str(caught.value) == (
        "facebook/wav2vec2-base-960h: there is no folder of that name, and the model is not in "
        f"{tmp_path / 'hub'}. talksplat fetches nothing itself. Where there is a network: hf download "
        "facebook/wav2vec2-base-960h config.json model.safetensors preprocessor_config.json --local-dir "
        "wav2vec2-base-960h. Then: talksplat encoder export ./wav2vec2-base-960h"
    )


@pytest.mark.parametrize("name", ["", "../x", "a/b/c", "-rf", "a\x1b[2J", "x" * 300, "a b"])
def test_what_is_no_name_is_not_looked_up(name: str) -> None:
    with pytest.raises(EncoderNotFound, match="there is no such folder, nor is it a name as") as caught:
        find_model(name)
    assert str(caught.value).isprintable()


def test_a_folder_without_a_configuration_says_what_a_model_has(tmp_path: Path) -> None:
    with pytest.raises(EncoderNotFound, match=r"config.json: cannot be read \(No such file.*has config.json, mod"):
        find_model(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "must be a JSON object; got"),
        (b"\xff", "is not JSON"),
        (b" " * (1 << 20) + b"{}", "has more than 1048576 bytes"),
    ],
    ids=["empty", "deep", "list", "no UTF-8", "long"],
)
def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path, text: bytes, said: str) -> None:
    (bare(tmp_path / "m") / "config.json").write_bytes(text)
    with pytest.raises(EncoderInvalid, match=f"config.json: {said}"):
        find_model(str(tmp_path / "m"))


# ---- arguments ----


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"preset": "fast"}, r"preset must be one of low, balanced, cpu, quality; got 'fast'\."),
        ({"layer": 3}, r"layer must be 0 to 2, the layers of m; got 3\."),
        ({"layer": -1}, r"layer must be 0 to 2"),
        ({"fps": 0.5}, r"fps must be 10 to 120; got 0\.5\."),
        ({"fps": float("nan")}, r"fps must be 10 to 120; got nan\."),
    ],
    ids=["preset", "layer", "layer below", "fps", "fps nan"],
)
def test_arguments_are_checked_before_anything_is_loaded(tmp_path: Path, options: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        export_encoder(bare(tmp_path / "m"), **options)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model_type": "bert"}, r"model_type must be one of wav2vec2, hubert.*; got 'bert'"),
        ({"model_type": ["x"]}, r"model_type must be one of"),
        ({"num_hidden_layers": 10**9}, r"num_hidden_layers must be a whole number, 1 to 1000; got 1000000000"),
        ({"num_hidden_layers": True}, r"num_hidden_layers must be a whole number"),
    ],
    ids=["other", "list", "many layers", "bool"],
)
def test_configurations_of_other_models_are_refused(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(EncoderInvalid, match=f"config.json: {said}"):
        export_encoder(bare(tmp_path / "m", {**BASE, **changed}))


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return print, ("unpickled",)


def test_a_pickle_is_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bare(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(EncoderNotFound, match=r"pytorch_model.bin, a pickle, .* is not read\. .*save_pretrained\("):
        export_encoder(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(EncoderNotFound, match=r"there are no weights\. Copy the model's model\.safetensors to it"):
        export_encoder(folder)
    assert capsys.readouterr().out == ""


# ---- what is there already ----


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Instead of exporting, writes a folder of placeholders; the list has where it did so."""
    places: list[Path] = []

    def write(family: Any, model: Any, wish: Any, place: Path, fp16: bool, tell: Any) -> dict[str, float]:
        places.append(place)
        make_placeholders(place, model.name, wish, fp16)
        return {"fp32": 0.0}

    monkeypatch.setattr(exporting, "_build_and_write", write)
    return places


def make_placeholders(place: Path, name: str, wish: Any, fp16: bool) -> None:
    import hashlib

    graphs = {name: file for name, file in GRAPHS.items() if name != "fp16" or fp16}
    batches = ["fp16"] if fp16 else []
    files = ["front.onnx", "state.safetensors", "golden.safetensors", *graphs.values()]
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for file in files:
        (place / file).write_text(file)
    rows = wish.rows
    manifest = {
        "format": 1, "name": name, "family": "wav2vec2", "rate_hz": 16000, "feature_hz": 50, "width": 8,
        "hidden_layer": wish.layer, "preset": wish.preset, "left": rows.left, "chunk": rows.chunk, "right": rows.right,
        "order": wish.order, "fps": wish.fps, "opset": 20, "graphs": graphs, "batches": batches, "versions": {},
        "source": wish.source, "revision": GRAPHS_OF,
        "front": {"chunk": 8, "hop": 2560, "samples": 2640, "lead": 0, "centre": 200, "width": 8, "state": []},
        "files": {f: {"bytes": len(f), "sha256": hashlib.sha256(f.encode()).hexdigest()} for f in files},
    }  # fmt: skip
    (place / "encoder.json").write_text(json.dumps(manifest))


def test_a_whole_folder_is_kept_and_any_other_made_again(tmp_path: Path, written: list[Path]) -> None:
    model = bare(tmp_path / "m")
    folder = tmp_path / "cache" / "encoders" / "m-cpu-layer2"
    first = export_encoder(model)
    assert first.made and first.folder.path == folder
    assert not export_encoder(model).made
    assert len(written) == 1
    (folder / "front.onnx").write_text("front.onny")  # as long as it was
    assert export_encoder(model).made
    (folder / "transformer.onnx").unlink()
    assert export_encoder(model).made
    (folder / "encoder.json").write_text('{"format": 1')
    assert export_encoder(model).made
    assert export_encoder(model, fp16=True).made  # it has no such graph yet
    assert not export_encoder(model).made  # one graph too many is as good
    manifest = json.loads((folder / "encoder.json").read_text())
    (folder / "encoder.json").write_text(json.dumps({**manifest, "batches": []}))
    assert not export_encoder(model).made
    assert export_encoder(model, fp16=True).made  # which before took one speaker alone
    (folder / "encoder.json").write_text(json.dumps({**manifest, "revision": 1}))
    assert export_encoder(model).made  # as it is done now
    (model / "model.safetensors").write_bytes(b"trained longer")
    assert export_encoder(model, fp16=True).made
    (model / "preprocessor_config.json").write_text('{"do_normalize": false}')
    assert export_encoder(model, fp16=True).made
    assert not export_encoder(model, fp16=True).made
    assert written == [folder] * 9


def test_every_wish_has_its_place_in_the_cache(tmp_path: Path, written: list[Path]) -> None:
    model = bare(tmp_path / "m")
    for options in ({}, {"preset": "low"}, {"layer": 0}, {"fps": 29.97}):
        assert export_encoder(model, **options).made  # type: ignore[arg-type]
    assert [folder.path.name for folder in exported()] == [
        "m-cpu-layer0", "m-cpu-layer2", "m-cpu-layer2-29.97fps", "m-low-layer2",
    ]  # fmt: skip
    elsewhere = tmp_path / "elsewhere"
    assert export_encoder(model, elsewhere).made
    assert export_encoder(model, elsewhere, preset="low").made
    assert not export_encoder(model, elsewhere, preset="low").made


def test_the_second_of_two_finds_it_done(tmp_path: Path, written: list[Path]) -> None:
    import threading

    model, made = bare(tmp_path / "m"), []
    threads = [threading.Thread(target=lambda: made.append(export_encoder(model).made)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False, False, False, True]
    assert len(written) == 1


# ---- the command line ----


def test_export_and_list(tmp_path: Path, written: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    model = bare(tmp_path / "m")
    assert main(["encoder", "list"]) == 0
    assert "no encoders in" in capsys.readouterr().err
    assert main(["encoder", "export", str(model), "--json", "-q"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["name"], found["hidden_layer"], found["made"], err) == ("m", 2, True, "")
    assert main(["encoder", "export", str(model)]) == 0
    assert "m-cpu-layer2: was there already: fp32" in capsys.readouterr().err
    assert main(["encoder", "list"]) == 0
    assert capsys.readouterr().out == "m-cpu-layer2: m, layer 2, fp32, int8, int8-static\n"
    assert main(["encoder", "list", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == ["m"]


def test_messages_name_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(bare(tmp_path / "m"))
    for options, said in (
        (["--preset", "x"], "--preset must be one of"),
        (["--layer", "9"], "--layer must be 0 to 2"),
        (["--fps", "1"], "--fps must be 10"),
        (["-o", str(tmp_path / "m")], "--output must be new, empty or an encoder's"),
    ):
        assert main(["encoder", "export", model, *options]) == 1
        assert f"error: {said}" in capsys.readouterr().err


def test_without_torch_the_package_that_is_missing_is_named(tmp_path: Path) -> None:
    """And neither help, list, doctor nor a model that is not here needs it."""
    model = bare(tmp_path / "m")
    code = (
        "import sys; sys.modules['torch'] = None; from talksplat.cli import main\n"
        "for words in (['encoder', 'export', '--help'], ['encoder', 'list'], ['encoder', 'export', 'no/thing'],\n"
        "              ['encoder', 'export', sys.argv[1]]): print('rc', main(words), flush=True)\n"
        "assert not {'transformers', 'onnx', 'onnxruntime'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("rc")] == ["rc 0", "rc 0", "rc 1", "rc 1"]
    assert "exporting an encoder needs torch, which is not installed: pip install 'talksplat[encoders-export]'" in (
        done.stderr
    )


# ---- hostile weights ----


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="encoders are exported with torch")
    for name in ("transformers", "onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=f"encoders are exported with {name}")
    return save_model(tmp_path_factory.mktemp("tiny") / "tiny")


def edited(tiny: Path, folder: Path, config: dict[str, Any] | None = None, preprocessor: object = None) -> Path:
    shutil.copytree(tiny, folder)
    if config:
        whole = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**whole, **config}))
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def refused(model: Path, tmp_path: Path) -> str:
    with pytest.raises(EncoderInvalid) as caught:
        export_encoder(model, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m"], "nothing is left behind"
    return str(caught.value)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"hidden_size": 10**9}, "hidden_size must be a whole number, 1 to 8192; got 1000000000"),
        ({"hidden_size": 33}, "describes no model"),
        ({"num_attention_heads": 0}, "describes no model"),
        ({"intermediate_size": 10**8}, "bytes, too few for the"),
        ({"num_hidden_layers": 1000}, "bytes, too few for the"),
        ({"intermediate_size": 80}, "does not hold what config.json says"),
        ({"num_hidden_layers": 3}, "lacks 16 of the model's tensors: encoder.layers.2."),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm must be group or layer; got 'batch'"),
        ({"conv_stride": [5, 2, 2, 2, 2, 2, 1]}, "these see 400, 160 apart"),
        ({"conv_kernel": [10] * 7}, "the convolutions must see 400 samples, 320 apart"),
        ({"conv_dim": [16] * 6}, "conv_dim, conv_kernel and conv_stride must be equally long"),
        ({"conv_dim": "512"}, "conv_dim must be a list of at most 16 counts; got '512'"),
        ({"conv_kernel": [True] * 7}, "conv_kernel must be a list"),
        ({"add_adapter": True}, "add_adapter is set"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_configurations_that_do_not_fit(tiny: Path, tmp_path: Path, config: dict[str, Any], said: str) -> None:
    assert said in refused(edited(tiny, tmp_path / "m", config), tmp_path)


@pytest.mark.parametrize(
    ("preprocessor", "said"),
    [
        ({"do_normalize": "yes"}, "do_normalize must be true or false; got 'yes'"),
        ({"do_normalize": True, "sampling_rate": 8000}, "sampling_rate must be 16000; got 8000"),
        ([], "must be a JSON object"),
    ],
    ids=["text", "rate", "list"],
)
def test_preprocessors_that_do_not_fit(tiny: Path, tmp_path: Path, preprocessor: object, said: str) -> None:
    assert f"preprocessor_config.json: {said}" in refused(edited(tiny, tmp_path / "m", None, preprocessor), tmp_path)


def test_a_missing_preprocessor_is_named(tiny: Path, tmp_path: Path) -> None:
    (edited(tiny, tmp_path / "m") / "preprocessor_config.json").unlink()
    assert "preprocessor_config.json: is missing" in refused(tmp_path / "m", tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "garbage", "missing", "shape", "nan"])
def test_weights_that_are_not_all_there(tiny: Path, tmp_path: Path, damage: str) -> None:
    model = edited(tiny, tmp_path / "m")
    path, name = model / "model.safetensors", "feature_projection.projection.weight"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1000])
    elif damage == "garbage":
        path.write_bytes(b"\xff" * path.stat().st_size)
    else:
        tensors: dict[str, np.ndarray] = load_file(path)
        changed = {"missing": None, "shape": tensors[name][:, :3].copy(), "nan": tensors[name] * np.float32("nan")}
        tensors[name] = changed[damage]  # type: ignore[assignment]
        save_file({key: value for key, value in tensors.items() if value is not None}, path, {"format": "pt"})
    said = {
        "missing": f"lacks 1 of the model's tensors: {name}",
        "nan": f"has numbers in {name} that are not finite",
    }.get(damage, "does not hold what config.json says")
    assert f"model.safetensors: {said}" in refused(model, tmp_path)


def test_unknown_folders_of_the_cache_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / "cache" / "encoders" / "half").mkdir(parents=True)
    found: list[EncoderFolder] = exported()
    assert found == []


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_published_checkpoints_load_whole(tiny: Path, tmp_path: Path, dtype: str) -> None:
    """They have a head, weight norm's older names, may be halved, and lack what training alone needs."""
    import torch
    import transformers

    from talksplat.authoring.encoders.load import load_weights

    model = edited(tiny, tmp_path / "m")
    path = model / "model.safetensors"
    older = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    tensors: dict[str, np.ndarray] = {"lm_head.weight": np.zeros((32, 32), np.float32)}
    for name, tensor in load_file(path).items():
        for new, old in older.items():
            name = name.replace(new, old)
        if name != "masked_spec_embed":
            tensors[f"wav2vec2.{name}"] = tensor.astype(dtype)
    assert any(name.endswith("conv.weight_g") for name in tensors)
    save_file(tensors, path, {"format": "pt"})
    loaded = load_weights(find_model(str(model)), transformers.Wav2Vec2Model, transformers.Wav2Vec2Config(**TINY))
    wanted = transformers.Wav2Vec2Model.from_pretrained(tiny)
    for name, weight in wanted.state_dict().items():
        if name != "masked_spec_embed":
            assert loaded.state_dict()[name].dtype == torch.float32
            assert torch.equal(loaded.state_dict()[name], weight.to(getattr(torch, dtype)).float()), name
