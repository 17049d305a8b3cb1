# SPDX-License-Identifier: Apache-2.0
"""Encoders on a GPU by ONNX Runtime's CUDA provider and by TensorRT-RTX's plug-in, over stand-ins for both; what the
real packages have of all that is used; and the CPU, which goes on where a GPU fails."""

from __future__ import annotations

import gc
import importlib.util
import os
import queue
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnxruntime

import talksplat
from conftest import in_ci
from encoders import by_count
from runtime.encoder_folders import write_folder
from runtime.stand_ins.onnxruntime_gpu import RTX, Gpu, plug, stand_in, system
from talksplat.cli import encoding
from talksplat.encoders import building, engines, failure, select, trial
from talksplat.encoders.engines import cuda, nvidia, tensorrt_rtx
from talksplat.encoders.folder import read_folder

PACKAGE = tensorrt_rtx.PACKAGE
SOUND = np.random.default_rng(0).normal(size=9000).astype(np.float32) * np.float32(0.1)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TALKSPLAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    return plug(monkeypatch)


@pytest.mark.parametrize("name", ["cuda", "tensorrt-rtx"])
def test_features_are_those_of_the_cpu(name: str, folder: Path, gpu: Gpu) -> None:
    wanted = talksplat.load_encoder(folder, engine="onnxruntime").encode(SOUND, 16000)
    assert gpu.runs == 0
    encoder = talksplat.load_encoder(folder, engine=name)
    assert (encoder.engine.name, encoder.engine.precision, encoder.engine.note) == (name, "fp32", "")
    before = gpu.runs
    np.testing.assert_array_equal(encoder.encode(SOUND, 16000), wanted)
    assert gpu.runs > before


def test_work_is_captured_where_it_can_be(folder: Path, gpu: Gpu) -> None:
    talksplat.load_encoder(folder, engine="cuda")
    assert all(options == {**cuda.OPTIONS, **cuda.CAPTURED} for options in gpu.options)
    gpu.captures = False
    gpu.options.clear()
    encoder = talksplat.load_encoder(folder, engine="cuda")
    assert gpu.options[1::2] == [cuda.OPTIONS] * 2
    assert encoder.engine.name == "cuda"


@pytest.mark.parametrize("name", ["cuda", "tensorrt-rtx"])
@pytest.mark.parametrize("at", range(1, 9))
def test_the_cpu_goes_on_where_the_gpu_fails(name: str, at: int, folder: Path, gpu: Gpu) -> None:
    """In whichever run of either graph: not a feature is lost or another."""
    wanted = talksplat.load_encoder(folder, engine="onnxruntime").encode(SOUND, 16000)
    encoder = talksplat.load_encoder(folder, engine=name)
    gpu.fails_from = gpu.runs + at
    stream = encoder.stream()
    made = [stream.push(SOUND[i : i + 500]) for i in range(0, len(SOUND), 500)]
    np.testing.assert_array_equal(np.concatenate([*made, stream.flush()]), wanted)
    assert encoder.engine.name == "onnxruntime"
    assert encoder.engine.note == f"{name} failed while it ran: CUDA failure 719: unspecified launch failure"
    assert encoder.share == pytest.approx(encoder.engine.hop_ms / 40)
    # Another stream, and no other try on the GPU.
    runs = gpu.runs
    np.testing.assert_array_equal(encoder.encode(SOUND, 16000), wanted)
    assert gpu.runs == runs == gpu.fails_from


def test_where_the_cpu_cannot_go_on_the_error_is_told(folder: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = talksplat.load_encoder(folder, engine="cuda")
    gpu.fails_from = 0
    monkeypatch.setattr(engines, "installed", lambda name: False)
    message = "cuda failed while it ran: CUDA failure 719: .*; and nothing else can go on: .*no engine can run"
    with pytest.raises(talksplat.EncoderRefused, match=message):
        encoder.encode(SOUND, 16000)


@pytest.mark.parametrize("name", ["cuda", "tensorrt-rtx"])
def test_memory_goes_with_its_last_user(name: str, folder: Path, gpu: Gpu) -> None:
    """At once: what waits for the garbage collector keeps the GPU's memory for minutes."""
    gc.collect()
    gc.disable()
    try:
        encoder = talksplat.load_encoder(folder, engine=name)
        graphs = [weakref.ref(place.graph) for place in (encoder._loaded.front, encoder._loaded.transformer)]
        stream = encoder.stream()
        encoder.release()
        del encoder
        assert all(graph() is not None for graph in graphs)
        # A stream goes on, also when the GPU fails.
        gpu.fails_from = gpu.runs + 1
        assert len(stream.push(SOUND)) > 0 and gpu.runs == gpu.fails_from
        del stream
        assert all(graph() is None for graph in graphs)
    finally:
        gc.enable()


def test_a_precision_that_is_asked_for_stays(tmp_path: Path, gpu: Gpu) -> None:
    folder = write_folder(tmp_path / "int8", int8_error=0.01)
    encoder = talksplat.load_encoder(folder, engine="cuda", precision="fp32")
    gpu.fails_from = 0
    encoder.encode(SOUND, 16000)
    assert (encoder.engine.name, encoder.engine.precision) == ("onnxruntime", "fp32")


def test_the_cache_stays_closed(folder: Path, gpu: Gpu, cache: Path) -> None:
    before = os.umask(0)
    try:
        talksplat.load_encoder(folder)
    finally:
        os.umask(before)
    assert (cache / "engines").stat().st_mode & 0o777 == 0o700
    for text in ('{"engine": "cuda", "precision": "fp32", "encoder": "x", "hop_ms": 1' + "0" * 400 + "}", "[" * 60000):
        for path in (cache / "engines").glob("*.choice.json"):
            path.write_text(text)
        talksplat.load_encoder(folder)


def test_auto_takes_the_fastest(folder: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"_OnGpu": 1.0, "BoundOnCpu": 2.0}

    def timed(graph: engines.Graph, *whose: Any) -> float:
        graph.run()
        return told[type(graph).__name__]

    monkeypatch.setattr(trial, "_timed", timed)
    assert talksplat.load_encoder(folder).engine.name == "cuda"
    told["_OnGpu"] = 3.0  # it is remembered
    assert talksplat.load_encoder(folder).engine.name == "cuda"
    gpu.has_libraries = False  # until it cannot be used
    assert talksplat.load_encoder(folder).engine.name == "onnxruntime"
    gpu.has_libraries, gpu.full = True, True
    assert talksplat.load_encoder(folder).engine.name == "onnxruntime"
    gpu.full = False  # what passes is not remembered
    assert talksplat.load_encoder(folder).engine.name == "cuda"


# ---- what has to be made first ----


class Builds(list[tuple[str, str, building.Then]]):
    """What was begun: engine, precision, and what is called when it ended."""

    def __init__(self) -> None:
        self.made = {False: False, True: False}  # whether it is there: for one speaker, and for several
        self.several: list[bool] = []  # of each that was begun

    def begin(self, path: Path, engine: str, precision: str, then: building.Then, several: bool = False) -> None:
        self.append((engine, precision, then))
        self.several.append(several)

    def end(self, i: int, why_not: str = "", passes: bool = False) -> None:
        self.made[self.several[i]] = not why_not
        self[i][2](why_not, passes)


@pytest.fixture
def builds(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> Builds:
    """The engine cuda has something to make."""
    begun = Builds()
    plain = cuda.open_engine

    def open_engine(threads: int) -> engines.Engine:
        return plain(threads)._replace(
            is_made=lambda path, spec, precision: begun.made[next(iter(spec.inputs.values()))[0] > 1],
            forget=lambda path, spec, precision: begun.made.update({next(iter(spec.inputs.values()))[0] > 1: False}),
        )

    monkeypatch.setattr(cuda, "open_engine", open_engine)
    monkeypatch.setattr(building, "build", begun.begin)
    monkeypatch.setattr(engines, "installed", lambda name: name in ("onnxruntime", "cuda"))
    return begun


@pytest.mark.parametrize("engine", ["cuda", "auto"])
def test_the_cpu_serves_while_it_is_made(
    engine: str, folder: Path, gpu: Gpu, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = talksplat.load_encoder(folder, engine="onnxruntime").encode(SOUND, 16000)
    monkeypatch.setattr(
        trial, "_timed", lambda graph, *whose: graph.run() or float(type(graph).__name__ == "BoundOnCpu")
    )
    encoder = talksplat.load_encoder(folder, engine=engine)
    assert encoder.engine.name == "onnxruntime"
    assert encoder.engine.note == "cuda is being made ready for this machine"
    stream = encoder.stream()
    made = [stream.push(SOUND[:4000])]
    assert gpu.runs == 0
    ((name, precision, _),) = builds
    assert (name, precision) == ("cuda", "fp32")
    builds.end(0)
    assert (encoder.engine.name, encoder.engine.note) == ("cuda", "")
    runs = gpu.runs
    made.append(stream.push(SOUND[4000:6000]))
    assert gpu.runs > runs
    gpu.fails_from = 0
    made += [stream.push(SOUND[6000:]), stream.flush()]
    np.testing.assert_array_equal(np.concatenate(made), wanted)
    assert encoder.engine.name == "onnxruntime" and "cuda failed while it ran" in encoder.engine.note


def a_day_ago(cache: Path) -> None:
    """All that could not be made."""
    for path in (cache / "engines").glob(f"*{failure.SUFFIX}"):
        os.utime(path, (time.time() - failure.KEPT_S - 1,) * 2)


def test_nobody_tries_again_all_day_long(folder: Path, builds: Builds, cache: Path) -> None:
    talksplat.load_encoder(folder)
    builds.end(0, "the builder was killed")
    encoder = talksplat.load_encoder(folder)
    assert len(builds) == 1 and encoder.engine.name == "onnxruntime"
    assert encoder.engine.note == "cuda is not used: the builder was killed (it will be tried again a day after that)"
    asked = talksplat.load_encoder(folder, engine="cuda")  # by name, at once
    assert len(builds) == 2 and asked.engine.note == "cuda is being made ready for this machine"
    builds.end(1, "out of memory", passes=True)  # which it may have the next time
    assert not list((cache / "engines").glob(f"*{failure.SUFFIX}"))
    encoder = talksplat.load_encoder(folder)
    assert len(builds) == 3
    builds.end(2)
    assert not list((cache / "engines").glob(f"*{failure.SUFFIX}"))


def test_what_was_made_takes_several_speakers(
    tmp_path: Path, gpu: Gpu, builds: Builds, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        trial, "_timed", lambda graph, *whose: graph.run() or (2.0 if type(graph).__name__ == "BoundOnCpu" else 1.0)
    )
    encoder = talksplat.load_encoder(write_folder(tmp_path / "several", fp16=True), engine="cuda")
    stream = encoder.feature_stream()
    assert (encoder.engine.name, encoder.engine.batch, stream.loaded.batch) == ("onnxruntime", 1, None)
    builds.end(0)
    assert (encoder.engine.name, encoder.engine.precision, encoder.engine.batch) == ("cuda", "fp16", 1)
    assert encoder.engine.turns == "what it needs for several speakers is being made"
    assert builds.several == [False, True]
    builds.end(1, "the builder crashed")
    assert (encoder.engine.batch, encoder.engine.turns) == (1, "the builder crashed")
    # Asked for by name it is made again at the next start, else a day later; a start that finds it does not.
    fresh = talksplat.load_encoder(encoder.folder.path)
    assert fresh.engine.turns == "the builder crashed (it will be tried again a day after that)" and len(builds) == 2
    again = talksplat.load_encoder(encoder.folder.path, engine="cuda")
    assert again.engine.batch == 1 and builds.several == [False, True, True]
    builds.end(2)
    assert (again.engine.batch, again.engine.turns) == (8, "")
    encoder = talksplat.load_encoder(encoder.folder.path, engine="cuda")
    assert (encoder.engine.batch, len(builds)) == (8, 3)
    stream = encoder.feature_stream()
    gpu.fails_from = gpu.runs
    stream.offer(SOUND)
    assert stream.step() is not None
    assert (encoder.engine.name, encoder.engine.batch, stream.loaded.batch) == ("onnxruntime", 1, None)


def test_what_could_not_be_made_is_not_used(folder: Path, gpu: Gpu, builds: Builds) -> None:
    encoder = talksplat.load_encoder(folder, engine="cuda")
    builds.end(0, "the builder crashed")
    assert (encoder.engine.name, encoder.engine.note) == ("onnxruntime", "cuda is not used: the builder crashed")
    assert encoding.in_words(encoding.told(encoder)).endswith("CPU's time; cuda is not used: the builder crashed")
    gpu.scale = 1.01
    encoder = talksplat.load_encoder(folder, engine="cuda")
    builds.end(1)
    assert not builds.made[False]
    assert encoder.engine.name == "onnxruntime" and "front.onnx makes other rows with cuda" in encoder.engine.note
    gone = talksplat.load_encoder(folder, engine="cuda")
    gone.release()
    del gone
    gc.collect()
    builds.end(2)  # nobody is there


def test_auto_does_not_take_what_is_slower(
    folder: Path, gpu: Gpu, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_timed", lambda graph, *whose: graph.run() or float(type(graph).__name__ == "_OnGpu"))
    encoder = talksplat.load_encoder(folder)
    builds.end(0)
    assert (encoder.engine.name, encoder.engine.note) == ("onnxruntime", "cuda is not used: it takes 2.0 ms a step")
    # Who asks for it gets it.
    assert talksplat.load_encoder(folder, engine="cuda").engine.name == "cuda" and len(builds) == 1


def test_what_was_made_and_is_wrong_is_made_again(folder: Path, gpu: Gpu, builds: Builds) -> None:
    builds.made[False], gpu.scale = True, 1.01
    encoder = talksplat.load_encoder(folder, engine="cuda")
    assert encoder.engine.name == "onnxruntime" and len(builds) == 1 and not builds.made[False]
    gpu.scale = 1.0
    builds.end(0)
    assert encoder.engine.name == "cuda"
    builds.made[False], gpu.scale = True, 1.01
    with pytest.raises(talksplat.EncoderInvalid, match=r"front.onnx makes other rows with cuda than its model"):
        select.prepare(read_folder(folder), "cuda", "fp32")
    assert not builds.made[False]


def test_a_cache_that_keeps_nothing(
    folder: Path, gpu: Gpu, builds: Builds, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made anew at every start for who asks for it, and for nobody else."""
    cache.write_text("no folder")
    monkeypatch.setattr(trial, "_timed", lambda graph, *whose: graph.run() or 1.0)
    assert talksplat.load_encoder(folder).engine.note == "cuda is not used: its cache cannot be written to"
    begun: list[Callable[[], None]] = []
    monkeypatch.setattr(building, "begin", lambda engine, work: begun.append(work))
    encoder = talksplat.load_encoder(folder, engine="cuda")
    assert "being made ready, as at every start" in encoder.engine.note and encoder.engine.name == "onnxruntime"
    begun[0]()
    assert (encoder.engine.name, encoder.engine.note) == ("cuda", "") and not builds


@pytest.mark.parametrize("why_not", ["", "the builder crashed"])
def test_one_fails_while_another_is_made(
    why_not: str, folder: Path, gpu: Gpu, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was made takes the place of the CPU that goes on; a build that fails does not hide why it does."""
    takes_ms = {"tensorrt-rtx": 1.0, "cuda": 2.0, "onnxruntime": 3.0}
    monkeypatch.setattr(trial, "_timed", lambda graph, file, engine: graph.run() or takes_ms[engine.name])
    monkeypatch.setattr(engines, "installed", lambda name: name in takes_ms)
    builds.made[False] = True
    plain = tensorrt_rtx.open_engine
    monkeypatch.setattr(tensorrt_rtx, "open_engine", lambda n: plain(n)._replace(is_made=lambda *graph: False))
    encoder = talksplat.load_encoder(folder)
    assert (encoder.engine.name, encoder.engine.note) == (
        "cuda", "tensorrt-rtx is being made ready for this machine"
    )  # fmt: skip
    gpu.fails_from = 0
    encoder.encode(SOUND, 16000)
    failed = "cuda failed while it ran: CUDA failure 719: unspecified launch failure"
    assert (encoder.engine.name, encoder.engine.note) == ("onnxruntime", failed)
    gpu.fails_from = None
    builds.end(0, why_not)
    assert (encoder.engine.name, encoder.engine.note) == (
        ("onnxruntime", f"{failed}; tensorrt-rtx is not used: {why_not}") if why_not else ("tensorrt-rtx", "")
    )


def test_whatever_goes_wrong_while_it_is_made_is_told(
    folder: Path, gpu: Gpu, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = talksplat.load_encoder(folder, engine="cuda")
    (folder / "golden.safetensors").unlink()
    builds.end(0)
    assert "cuda is not used: " in encoder.engine.note and "golden.safetensors: is missing" in encoder.engine.note
    monkeypatch.undo()
    monkeypatch.setattr(sys, "executable", None)  # as where Python is embedded
    ended: queue.Queue[str] = queue.Queue()
    building.build(folder, "onnxruntime", "fp32", ended.put)
    assert "no process could be begun" in ended.get(timeout=60)


def test_without_another_engine_it_is_waited_for(
    folder: Path, gpu: Gpu, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "installed", lambda name: name == "cuda")
    assert talksplat.load_encoder(folder, engine="cuda").engine.name == "cuda" and not builds


def test_a_process_makes_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What lies in the folder where a program happens to be is not run.
    (tmp_path / "safetensors.py").write_text("raise SystemExit('not this')\n")
    monkeypatch.chdir(tmp_path)
    ended: queue.Queue[tuple[str, bool]] = queue.Queue()

    def why_not(path: Path, engine: str = "onnxruntime") -> tuple[str, bool]:
        building.build(path, engine, "fp32", lambda reason, passes: ended.put((reason, passes)))
        return ended.get(timeout=60)

    assert why_not(folder) == ("", False)
    reason, passes = why_not(folder, "cuda")  # a GPU may come
    assert "it needs an NVIDIA GPU" in reason and passes
    (folder / "front.onnx").write_bytes(b"no graph")
    reason, passes = why_not(folder)
    assert "front.onnx: has 8 bytes instead of" in reason and not passes
    reason, passes = why_not(tmp_path / "none")
    assert "is no encoder folder" in reason and not passes


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_program_that_ends_leaves_no_process_behind(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom talksplat.encoders import building\n"
        "sys.executable = sys.argv[1]\nbuilding.build(Path('x'), 'tensorrt', 'fp16', print)\n"
        "while not Path(sys.argv[2]).exists():\n    time.sleep(0.01)\n"
    )
    builder = tmp_path / "builder"
    builder.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/new\nmv {tmp_path}/new {tmp_path}/pid\nexec sleep 60\n")
    builder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", program, builder, tmp_path / "pid"], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_one_that_makes_other_features_is_not_taken(folder: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu.scale = 1.01
    monkeypatch.setattr(engines, "installed", lambda name: name in ("onnxruntime", "cuda"))
    assert talksplat.load_encoder(folder).engine.name == "onnxruntime"
    with pytest.raises(talksplat.EncoderInvalid, match=r"front.onnx makes other rows with cuda than its model"):
        talksplat.load_encoder(folder, engine="cuda")


@pytest.mark.parametrize("name", ["cuda", "tensorrt-rtx", "tensorrt"])
def test_without_a_gpu_nothing_of_nvidia_is_touched(
    name: str, folder: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "installed", lambda name: True)
    monkeypatch.setattr(nvidia, "_core", system(why="cuda: there is no NVIDIA driver."))
    for package in ("onnxruntime", PACKAGE, "tensorrt"):
        monkeypatch.setitem(sys.modules, package, None)  # to import it would fail with another message
    with pytest.raises(talksplat.EncoderRefused, match=f"{name} cannot be used here: .*(no NVIDIA|cuInit|driver)"):
        talksplat.load_encoder(folder, engine=name)


def test_what_is_missing_is_said(folder: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: str, message: str) -> None:
        with pytest.raises(talksplat.EncoderRefused, match=message):
            talksplat.load_encoder(folder, engine=name)

    gpu.has_libraries = False
    refused("cuda", r"front.onnx is not run on the GPU: ONNX Runtime finds no CUDA 13 or cuDNN 9 \(pip install")
    refused("tensorrt-rtx", "front.onnx cannot be loaded by TensorRT-RTX: This session contains graph nodes")
    gpu.has_libraries, gpu.full = True, True
    refused("cuda", "front.onnx cannot be loaded by ONNX Runtime on the GPU: CUDA failure 2: out of memory")
    gpu.devices = 0
    refused("tensorrt-rtx", "finds no GPU that it can use; it needs an RTX 30 or newer")
    of_cpu = stand_in(gpu, providers=())
    monkeypatch.setitem(sys.modules, "onnxruntime", of_cpu)
    refused("cuda", "the ONNX Runtime 1.31.0 that is installed is that of the CPU: pip uninstall onnxruntime, then")
    del of_cpu.register_execution_provider_library
    refused("tensorrt-rtx", "ONNX Runtime 1.31.0 takes no plug-ins: pip install --upgrade 'onnxruntime>=1.24'")
    monkeypatch.setattr(engines, "installed", lambda name: False)
    refused("tensorrt-rtx", r"not installed \(pip install onnxruntime-ep-nv-tensorrt-rtx-cu13\)")


def test_a_plugin_is_registered_once(folder: Path, gpu: Gpu) -> None:
    for _ in range(2):
        talksplat.load_encoder(folder, engine="tensorrt-rtx")
    assert gpu.libraries == [RTX]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_cache_that_others_write_to_is_not_used(folder: Path, gpu: Gpu, cache: Path) -> None:
    talksplat.load_encoder(folder, engine="tensorrt-rtx")
    own = cache / "engines" / "tensorrt-rtx"
    assert gpu.options[0] == {tensorrt_rtx.CACHE_OPTION: str(own)} and own.stat().st_mode & 0o777 == 0o700
    own.chmod(0o777)
    gpu.options.clear()
    talksplat.load_encoder(folder, engine="tensorrt-rtx")
    assert gpu.options[0] == {}


def test_engines_are_described(gpu: Gpu) -> None:
    told = engines.describe()
    assert list(told) == list(engines.ENGINES)
    assert told["cuda"] == "1.31.0 (fp16, fp32)" and told["tensorrt-rtx"] == "0.5.0 (fp16, fp32)"
    assert told["openvino"] == "is not installed (pip install openvino)"


# ---- what the real packages have ----


def test_onnx_runtime_has_what_is_used(gpu: Gpu) -> None:
    """Of the names that the stand-in has, and so the engines may use, the real package has all."""
    module = stand_in(gpu)
    for name in [name for name in vars(module) if not name.startswith("__")]:
        assert hasattr(onnxruntime, name), name
    binding = onnxruntime.IOBinding
    for of, names in {
        onnxruntime.OrtValue: ("ortvalue_from_numpy", "ortvalue_from_shape_and_type", "update_inplace", "numpy"),
        onnxruntime.SessionOptions: ("add_session_config_entry", "add_provider_for_devices"),
        onnxruntime.InferenceSession: (
            "get_providers",
            "get_inputs",
            "get_outputs",
            "io_binding",
            "run_with_iobinding",
        ),
        binding: ("bind_ortvalue_input", "bind_ortvalue_output", "bind_input", "bind_output"),
    }.items():
        for name in names:
            assert callable(getattr(of, name)), (of, name)
    assert "device_type" in onnxruntime.OrtValue.ortvalue_from_shape_and_type.__doc__


STUB = """
#define F(name) int name(void) { return 100; }
F(cuCtxCreate_v4) F(cuCtxDestroy_v2) F(cuCtxGetCurrent) F(cuCtxPopCurrent_v2) F(cuCtxPushCurrent_v2) F(cuCtxSetCurrent)
F(cuDestroyExternalMemory) F(cuDestroyExternalSemaphore) F(cuExternalMemoryGetMappedBuffer) F(cuGetErrorString)
F(cuImportExternalMemory) F(cuImportExternalSemaphore) F(cuInit) F(cuSignalExternalSemaphoresAsync) F(cuStreamGetCtx)
F(cuWaitExternalSemaphoresAsync) F(nvmlInit_v2) F(nvmlShutdown) F(nvmlSystemGetDriverVersion)
const char* nvmlErrorString(int code) { return "no driver"; }
"""


def test_the_real_plugin_loads_without_a_gpu(tmp_path: Path) -> None:
    """Its libraries, TensorRT-RTX among them, over a driver that has no device: the plug-in is registered, and finds
    nothing to run on."""
    if importlib.util.find_spec(PACKAGE) is None:
        reason = "onnxruntime-ep-nv-tensorrt-rtx-cu13 is not installed: make networks"
        (pytest.fail if in_ci() else pytest.skip)(reason)
    place = next(iter(nvidia.package_folders(PACKAGE)))
    told = (place / "tensorrt_rtx_provider_options.h").read_text()
    assert f'"{tensorrt_rtx.CACHE_OPTION}"' in told
    (tmp_path / "stub.c").write_text(STUB)
    for name in ("libcuda.so.1", "libnvidia-ml.so.1"):
        subprocess.run(
            ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", tmp_path / name, tmp_path / "stub.c"], check=True
        )
    program = (
        "from talksplat.encoders.engines import nvidia, tensorrt_rtx\n"
        "nvidia._core = type('', (), {'system_info': lambda: {'gpus': [{'name': 'a card'}]}})\n"
        "try:\n    tensorrt_rtx.open_engine(1)\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True,
        env=os.environ | {"LD_LIBRARY_PATH": str(tmp_path)},
    )  # fmt: skip
    assert "it finds no GPU that it can use" in done.stdout, done.stdout + done.stderr


def test_counted_times_are_those_of_the_page() -> None:
    """`python bench/encoders/by_count.py --write` brings them up to date."""
    assert by_count.with_table(by_count.PAGE.read_text()) == by_count.PAGE.read_text()
    gpu = by_count.Gpu("played", flops=1e13, flops_fp32=1e13, bytes_per_s=1e11)
    assert by_count.transformer_s(gpu, 64, 8, 8) == pytest.approx(8 * by_count.transformer_s(gpu, 64, 8, 1))
    # Of one row the weights are what it waits for, and of nothing the launches.
    assert by_count.transformer_s(gpu, 1, 1, 1) == pytest.approx(by_count.WEIGHTS * 2 / 0.75e11)
    assert by_count.transformer_s(by_count.Gpu("fast", 1e18, 1e18, 1e18), 64, 8, 8) == 150 * 2e-6
