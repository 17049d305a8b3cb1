# SPDX-License-Identifier: Apache-2.0
"""Encoder folders that are damaged, hostile or of another format, and the choice of what runs the others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from safetensors.numpy import load_file, save_file

import talksplat
from runtime.encoder_folders import Tiny, manifest_of, seal, write_folder
from talksplat.encoders import engines, trial
from talksplat.encoders.folder import GOLDEN, GRAPHS, MANIFEST, STATE, cached_path, read_folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TALKSPLAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny")


def test_what_a_folder_says(folder: Path) -> None:
    found = read_folder(folder)
    assert (found.name, found.family, found.width, found.window, found.row_hz) == ("tests/tiny", "hubert", 6, 7, 50)
    assert (found.front.hop, found.front.samples, dict(found.front.state)) == (640, 720, {"count": (1,), "total": (5,)})
    assert (found.hop_s, found.fronts_per_step) == (0.04, 1)


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "format": ({"format": 2}, "format must be 1"),
    "opset": ({"opset": 17}, "opset must be 20; got 17"),
    "rate": ({"rate_hz": 8000}, "rate_hz must be 16000"),
    "name": ({"name": "\x1b[31m"}, "name must be a printable text"),
    "family": ({"family": "mfcc"}, "family must be one of wav2vec2, hubert, whisper"),
    "width": ({"width": 1 << 40}, "width must be a whole number"),
    "width as bool": ({"width": True}, "width must be a whole number"),
    "window": ({"left": 4000, "right": 4000}, "left [+] chunk [+] right must be at most 4096"),
    "order": ({"order": "backwards"}, "order must be one of"),
    "rate of rows": ({"fps": 25}, "fps must be absent"),
    "no rate of rows": ({"order": "front-resample-transformer"}, "fps must be the rate of the transformer's rows"),
    "graphs": ({"graphs": {"fp32": "../../etc/passwd"}}, "graphs must be some of"),
    "batches of no graph": ({"batches": ["fp16"]}, r"batches must be some of \['fp32'\]; got \['fp16'\]"),
    "batches that are no list": ({"batches": {"fp32": 8}}, "batches must be some of"),
    "batches that are no names": ({"batches": [["fp32"]]}, "batches must be some of"),
    "no graph": ({"graphs": {}}, "graphs must be graphs with one of fp32"),
    "no such graph": ({"graphs": dict(GRAPHS)}, "files must be sizes and hashes, also of transformer.int8.onnx"),
    "other file": ({"files": {"../x": {"bytes": 1, "sha256": "0" * 64}}}, "files must be files of this format"),
    "hash": ({"files": {"front.onnx": {"bytes": 1, "sha256": "zz"}}}, "sha256 must be 64 hexadecimal digits"),
    "front": ({"front": []}, "front must be an object"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_manifest_that_is_wrong(tmp_path: Path, change: str) -> None:
    changes, message = CHANGES[change]
    folder = write_folder(tmp_path / "tiny", **changes)
    with pytest.raises(talksplat.EncoderInvalid, match=message) as error:
        read_folder(folder)
    assert "talksplat encoder export" in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hop", 639), ("chunk", 0), ("samples", 3), ("lead", -1), ("centre", 1e3), ("width", None),
        ("state", [{"name": "../x", "shape": [1]}]), ("state", [{"name": "x", "shape": [1 << 30, 1 << 30]}]),
        ("state", [{"name": "x", "shape": [1]}] * 2),
    ],
)  # fmt: skip
def test_a_front_that_is_wrong(folder: Path, key: str, value: Any) -> None:
    manifest = manifest_of(folder)
    manifest["front"][key] = value
    seal(folder, manifest)
    with pytest.raises(talksplat.EncoderInvalid, match=rf"front\.{key}"):
        read_folder(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', "\x00", "[" * 100_000])
def test_a_manifest_that_is_none(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(talksplat.EncoderInvalid):
        read_folder(folder)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(talksplat.EncoderNotFound, match="talksplat encoder export facebook/wav2vec2-base-960h"):
        talksplat.load_encoder("facebook/wav2vec2-base-960h")
    with pytest.raises(talksplat.EncoderNotFound, match=f"it has no {MANIFEST}"):
        talksplat.load_encoder(tmp_path)
    for source in (3, "", "a\0b"):
        with pytest.raises(ValueError, match="load_encoder: encoder must be a folder"):
            talksplat.load_encoder(source)  # type: ignore[arg-type]


def test_the_cache_is_searched_by_name(tmp_path: Path) -> None:
    write_folder(cached_path("tests/tiny", "cpu", 1))
    assert talksplat.load_encoder("tests/tiny").name == "tests/tiny"
    write_folder(cached_path("tests/tiny", "low", 1))
    with pytest.raises(talksplat.EncoderNotFound, match="exported in several ways: tests--tiny-cpu-layer1"):
        talksplat.load_encoder("tests/tiny")
    assert talksplat.load_encoder("tests--tiny-low-layer1").name == "tests/tiny"


@pytest.mark.parametrize("file", ["front.onnx", "transformer.onnx", STATE, GOLDEN])
@pytest.mark.parametrize("damage", ["gone", "shorter", "one bit"])
def test_files_that_are_not_what_was_written(folder: Path, file: str, damage: str) -> None:
    path = folder / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if damage == "shorter" else data)
    told = {"gone": "is missing", "shorter": "bytes instead of", "one bit": "its SHA-256 differs"}[damage]
    with pytest.raises(talksplat.EncoderInvalid, match=rf"{file}: .*{told}"):
        talksplat.load_encoder(folder)


@pytest.mark.parametrize("file", ["front.onnx", "transformer.onnx"])
def test_graphs_that_no_engine_loads(folder: Path, file: str) -> None:
    # The hashes are right: whoever wrote it wrote this.
    manifest = manifest_of(folder)
    (folder / file).write_bytes((folder / file).read_bytes()[:-40])
    seal(folder, manifest)
    with pytest.raises(talksplat.EncoderInvalid, match=f"{file} .*ONNX Runtime"):
        talksplat.load_encoder(folder, engine="onnxruntime")


def test_a_graph_of_an_opset_that_is_not_known(folder: Path) -> None:
    manifest = manifest_of(folder)
    model = onnx.load(str(folder / "transformer.onnx"))
    model.opset_import[0].version = 99
    onnx.save(model, str(folder / "transformer.onnx"))
    seal(folder, manifest)
    with pytest.raises(talksplat.EncoderInvalid, match=r"transformer.onnx cannot be loaded by ONNX Runtime"):
        talksplat.load_encoder(folder, engine="onnxruntime")


def test_a_graph_of_other_shapes(folder: Path) -> None:
    manifest = manifest_of(folder)
    write_folder(folder, Tiny(left=4))
    seal(folder, manifest)
    with pytest.raises(talksplat.EncoderInvalid, match="window"):
        talksplat.load_encoder(folder)


def test_a_graph_that_computes_something_else(folder: Path) -> None:
    manifest = manifest_of(folder)
    golden = load_file(folder / GOLDEN)
    save_file({**golden, "features": golden["features"] + np.float32(0.5)}, folder / GOLDEN)
    seal(folder, manifest)
    with pytest.raises(talksplat.EncoderInvalid, match=r"transformer.onnx makes other features with onnxruntime"):
        talksplat.load_encoder(folder, engine="onnxruntime")
    save_file({**golden, "state/total": golden["state/total"] + np.float32(0.5)}, folder / GOLDEN)
    seal(folder, manifest)
    with pytest.raises(talksplat.EncoderInvalid, match=r"front.onnx makes other state/total"):
        talksplat.load_encoder(folder, engine="onnxruntime")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite(folder: Path, bad: float) -> None:
    manifest = manifest_of(folder)
    state = load_file(folder / STATE)
    state["rest_row"][0] = bad
    save_file(state, folder / STATE)
    seal(folder, manifest)
    with pytest.raises(talksplat.EncoderInvalid, match="must have finite numbers in rest_row"):
        talksplat.load_encoder(folder)


def test_tensors_of_other_shapes(folder: Path) -> None:
    manifest = manifest_of(folder)
    save_file({"rest_row": np.zeros(4, np.float32)}, folder / STATE)
    seal(folder, manifest)
    with pytest.raises(talksplat.EncoderInvalid, match="has no tensor state/count"):
        talksplat.load_encoder(folder)


# ---- what runs it ----


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Milliseconds of a run by the graph's file; runs are counted in "runs"."""
    told: dict[str, float] = {GRAPHS["fp32"]: 2.0, GRAPHS["int8"]: 1.0, "front.onnx": 0.5, "runs": 0}

    def run(graph: engines.Graph, file: str, engine: engines.Engine) -> float:
        graph.run()
        told["runs"] += 1
        return told[file]

    monkeypatch.setattr(trial, "_timed", run)
    return told


def test_int8_where_it_is_faster_and_near(tmp_path: Path, timed: dict[str, float]) -> None:
    folder = write_folder(tmp_path / "tiny", int8_error=0.01)
    encoder = talksplat.load_encoder(folder, engine="onnxruntime")
    assert (encoder.engine.precision, encoder.engine.threads, encoder.engine.hop_ms) == ("int8", 1, 1.5)
    assert 0 < encoder.engine.error <= 0.1
    assert encoder.share == pytest.approx(1.5 / 40)


def test_fp32_where_int8_is_slower(tmp_path: Path, timed: dict[str, float]) -> None:
    timed[GRAPHS["int8"]] = 3.0
    encoder = talksplat.load_encoder(write_folder(tmp_path / "tiny", int8_error=0.01), engine="onnxruntime")
    assert encoder.engine.precision == "fp32"


def test_fp32_where_int8_is_too_far_off(tmp_path: Path, timed: dict[str, float]) -> None:
    folder = write_folder(tmp_path / "tiny", int8_error=0.5)
    assert talksplat.load_encoder(folder, engine="onnxruntime").engine.precision == "fp32"
    with pytest.raises(talksplat.EncoderInvalid, match=r"transformer.int8.onnx makes other features"):
        talksplat.load_encoder(folder, engine="onnxruntime", precision="int8")


def test_the_choice_is_remembered(tmp_path: Path, cache: Path, timed: dict[str, float]) -> None:
    folder = write_folder(tmp_path / "tiny", int8_error=0.01)
    talksplat.load_encoder(folder, engine="onnxruntime")
    assert timed["runs"] == 3  # the front, and both graphs
    timed[GRAPHS["int8"]] = 9.0
    assert talksplat.load_encoder(folder, engine="onnxruntime").engine.precision == "int8"
    assert timed["runs"] == 5
    # Of other threads it says nothing, and what it cannot be it is not.
    assert talksplat.load_encoder(folder, engine="onnxruntime", threads=2).engine.precision == "fp32"
    for path in (cache / "engines").iterdir():
        path.write_text(json.dumps({"precision": ["int8"]}))
    assert talksplat.load_encoder(folder, engine="onnxruntime").engine.precision == "fp32"


def test_a_precision_that_is_asked_for(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "tiny", int8_error=0.01)
    for precision in ("fp32", "int8"):
        encoder = talksplat.load_encoder(folder, engine="onnxruntime", precision=precision)
        assert encoder.engine.precision == precision
    with pytest.raises(ValueError, match="precision must be auto or one of fp32, bf16, fp16, int8; got 'int4'"):
        talksplat.load_encoder(folder, precision="int4")
    with pytest.raises(talksplat.EncoderRefused, match=r"onnxruntime \S+ has int8, fp32 here, and no fp16"):
        talksplat.load_encoder(folder, engine="onnxruntime", precision="fp16")
    with pytest.raises(talksplat.EncoderInvalid, match="the folder has no graph that onnxruntime could run in int8"):
        talksplat.load_encoder(write_folder(tmp_path / "plain"), engine="onnxruntime", precision="int8")


def test_engines_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ValueError,
        match="engine must be auto or one of onnxruntime, openvino, cuda, tensorrt-rtx, tensorrt; got 'torch'",
    ):
        talksplat.load_encoder(folder, engine="torch")
    for threads in (0, 65, 1.5):
        with pytest.raises(ValueError, match="load_encoder: threads must be"):
            talksplat.load_encoder(folder, threads=threads)  # type: ignore[arg-type]
    monkeypatch.setattr(engines, "installed", lambda name: False)
    with pytest.raises(talksplat.EncoderRefused, match=r"onnxruntime is not installed \(pip install onnxruntime\)"):
        talksplat.load_encoder(folder)


@pytest.mark.skipif(not engines.installed("openvino"), reason="openvino is not installed")
def test_openvino_makes_the_same_features(folder: Path) -> None:
    sound = np.random.default_rng(0).normal(size=9000).astype(np.float32) * np.float32(0.1)
    wanted = talksplat.load_encoder(folder, engine="onnxruntime").encode(sound, 16000)
    chosen = talksplat.load_encoder(folder, engine="openvino")
    assert chosen.engine.precision in ("fp32", "bf16")
    np.testing.assert_allclose(chosen.encode(sound, 16000), wanted, atol=0.1)
    exact = talksplat.load_encoder(folder, engine="openvino", precision="fp32")
    np.testing.assert_allclose(exact.encode(sound, 16000), wanted, atol=1e-5)


@pytest.mark.skipif(not engines.installed("openvino") or sys.platform != "linux", reason="OpenVINO on Linux")
def test_openvino_leaves_signals_alone(folder: Path) -> None:
    """Also when it is gone, and the memory where it would have had handlers run."""
    program = """
import gc, os, signal, sys, threading
import talksplat
from talksplat.encoders.engines.signal_stack import signal_stack
before = signal_stack()
encoder = talksplat.load_encoder(sys.argv[1], engine="openvino")
assert signal_stack() == before, (before, signal_stack())
kept = [encoder]
del encoder
thread = threading.Thread(target=kept.clear)
thread.start()
thread.join()
gc.collect()
signal.signal(signal.SIGTERM, lambda number, frame: print("heard"))
os.kill(os.getpid(), signal.SIGTERM)
print("alive")
"""
    for options in ([], ["-X", "faulthandler"]):  # which has a stack of its own
        done = subprocess.run([sys.executable, *options, "-c", program, folder], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "heard\nalive\n"), done.stderr


@pytest.mark.skipif(not engines.installed("openvino"), reason="openvino is not installed")
def test_openvino_takes_the_graph_of_known_ranges(tmp_path: Path, timed: dict[str, float]) -> None:
    folder = write_folder(tmp_path / "tiny", int8_error=0.01)
    timed[GRAPHS["int8-static"]] = 0.1
    assert talksplat.load_encoder(folder, engine="openvino").engine.precision == "int8"
    assert talksplat.load_encoder(folder, engine="openvino", precision="int8").engine.error > 0


def test_a_released_encoder_makes_no_stream(folder: Path) -> None:
    with talksplat.load_encoder(folder) as encoder:
        encoder.stream()
    with pytest.raises(talksplat.EncoderRefused, match="was released"):
        encoder.stream()
