# SPDX-License-Identifier: Apache-2.0
"""The TensorRT engine over stand-ins for TensorRT and the driver: features, faults, and what is left behind."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.encoder_folders import ROW, Tiny, write_folder
from runtime.stand_ins.fake_tensorrt import FakeCuda, fake_tensorrt
from talksplat.encoders import building, trial
from talksplat.encoders.engines import driver, tensorrt
from talksplat.encoders.engines.base import EngineMissing, GraphError, GraphSpec
from talksplat.encoders.engines.nvidia import TOGETHER
from talksplat.encoders.folder import FRONT, GRAPHS, read_folder
from talksplat.encoders.select import front_spec, load_graphs, prepare, transformer_spec

TINY = Tiny()


class Bench:
    """An engine over stand-ins, with a tiny encoder, and a cache of its own."""

    def __init__(self, tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = read_folder(write_folder(tmp_path / "encoder", TINY))
        self.spec = transformer_spec(self.folder)
        self.path = self.folder.path / GRAPHS["fp32"]
        self._patch, self._places = patch, tmp_path
        self.plug()
        self.empty_cache()

    def plug(self, **options: Any) -> None:
        """A new driver, and a new TensorRT."""
        self.cuda = FakeCuda()
        self.trt, self.state = fake_tensorrt(self.cuda, **options)
        self._patch.setitem(sys.modules, "tensorrt", self.trt)
        self._patch.setattr(driver, "driver_functions", self.cuda.functions)

    def empty_cache(self) -> None:
        self.cache = self._places / f"cache{len(list(self._places.iterdir()))}"
        self.cache.mkdir()
        self._patch.setenv("TALKSPLAT_CACHE", str(self.cache))

    def plans(self) -> list[Path]:
        return list((self.cache / "engines").glob("*.plan"))

    def load(self, path: Path | None = None, spec: GraphSpec | None = None) -> Any:
        return tensorrt.open_engine(2).load(path or self.path, spec or self.spec, "fp32")

    def works(self, graph: Any) -> None:
        """Several runs, each of its own input, also after other threads' use of the context."""
        for seed in range(3):
            window = np.random.default_rng(seed).normal(size=(TINY.window, ROW)).astype(np.float32)
            graph.inputs["window"][0] = window
            graph.run()
            np.testing.assert_allclose(
                graph.outputs["features"][0], np.tanh(TINY.over_time @ window @ TINY.over_channels), atol=1e-5
            )

    def nothing_left(self) -> None:
        gc.collect()
        assert (self.cuda.left(), self.state.left(), self.cuda.faults) == ({}, {}, [])


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


# ---- what works ----


def test_golden_features(bench: Bench) -> None:
    engine = tensorrt.open_engine(2)
    assert (engine.name, engine.version, engine.threads) == ("tensorrt", "11.4.0.106", 2)
    assert dict(engine.precisions) == {"fp16": "fp16", "fp32": "fp32"}
    golden = bench.folder.golden()
    transformer = engine.load(bench.path, bench.spec, "fp32")
    before = [array.ctypes.data for array in (*transformer.inputs.values(), *transformer.outputs.values())]
    transformer.inputs["window"][0] = golden["window"]
    transformer.run()
    np.testing.assert_allclose(transformer.outputs["features"][0], golden["features"], atol=1e-5)
    front = engine.load(bench.folder.path / FRONT, front_spec(bench.folder), "fp32")
    front.inputs["samples"][0] = golden["samples"]
    for name, value in bench.folder.state()[0].items():
        front.inputs[f"state_{name}"][:] = value
    front.run()
    np.testing.assert_allclose(front.outputs["rows"][0], golden["rows"], atol=1e-4)
    for name in bench.folder.front.state:
        np.testing.assert_allclose(front.outputs[f"new_state_{name}"], golden[f"state/{name}"], rtol=1e-4)
    bench.works(transformer)
    assert before == [array.ctypes.data for array in (*transformer.inputs.values(), *transformer.outputs.values())]
    assert transformer.captured and front.captured and not transformer.why_not
    del engine, transformer, front
    bench.nothing_left()


def test_a_run_is_copies_and_one_launch(bench: Bench) -> None:
    graph = bench.load()
    bench.cuda.calls.clear()
    bench.state.calls.clear()
    graph.run()
    assert bench.cuda.calls == [
        "cuCtxPushCurrent_v2", "cuMemcpyHtoDAsync_v2", "cuGraphLaunch", "cuMemcpyDtoHAsync_v2", "cuEventRecord",
        "cuEventSynchronize", "cuCtxPopCurrent_v2",
    ]  # fmt: skip
    assert not bench.state.calls


@pytest.mark.parametrize(("version", "typed", "flags"), [("10.0.1", 1, 2), ("11.4.0.106", 0, 1), ("12.0.0", None, 0)])
def test_how_it_is_built(bench: Bench, version: str, typed: int | None, flags: int) -> None:
    bench.plug(version=version, typed=typed)
    bench.works(bench.load())
    assert bench.state.builds == [{"TF32": False, "WORKSPACE": 1 << 30, "flags": flags, "aux": 0, "level": 3}]


def test_a_plan_is_built_once(bench: Bench) -> None:
    for _ in range(3):
        bench.works(bench.load())
    assert len(bench.state.builds) == len(bench.plans()) == 1
    bench.plug()  # a new process
    bench.works(bench.load())
    assert not bench.state.builds
    bench.plug(version="11.4.0.107")
    bench.works(bench.load())
    assert len(bench.state.builds) == 1 and len(bench.plans()) == 2
    bench.plug()
    bench.cuda.version = 13010
    bench.works(bench.load())
    assert len(bench.state.builds) == 1 and len(bench.plans()) == 3


def test_arrays_outlive_their_graph(bench: Bench) -> None:
    graph = bench.load()
    bench.works(graph)
    features = graph.outputs["features"][0, 1:]
    before = features.copy()
    del graph
    gc.collect()
    assert bench.cuda.left() == {"contexts": 1, "host": 1} and not bench.state.left()
    np.testing.assert_array_equal(features, before)
    del features
    bench.nothing_left()


@pytest.mark.parametrize(
    "call", ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "execute_async_v3"]
)
def test_without_recording(bench: Bench, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.cuda.refuses = {call}
    if call == "execute_async_v3":  # refuses to be recorded
        execute = bench.trt.IExecutionContext.execute_async_v3

        def refuse(self: Any, stream_handle: int) -> bool:
            return bench.cuda.stream(stream_handle).recorded is None and execute(self, stream_handle)

        monkeypatch.setattr(bench.trt.IExecutionContext, "execute_async_v3", refuse)
    graph = bench.load()
    assert not graph.captured and call in graph.why_not
    bench.works(graph)
    assert "cuGraphLaunch" not in bench.cuda.calls
    del graph
    bench.nothing_left()


def test_an_encoder_chooses_it(bench: Bench) -> None:
    bench.load()
    bench.load(bench.folder.path / FRONT, front_spec(bench.folder))
    loaded = load_graphs(bench.folder, "tensorrt", "fp32", 1)
    assert (loaded.info.name, loaded.info.version, loaded.info.precision) == ("tensorrt", "11.4.0.106", "fp32")
    assert loaded.info.error < 1e-5


def test_a_plan_for_several_speakers(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made after the others, and never while somebody waits."""
    monkeypatch.setattr(trial, "_timed", lambda graph, *of: graph.run() or 1.0)
    begun: list[Callable[[str], None]] = []
    monkeypatch.setattr(building, "build", lambda path, engine, precision, then, several: begun.append(then))
    folder = read_folder(write_folder(tmp_path / "several", TINY, fp16=True))
    prepare(folder, "tensorrt", "fp16")
    assert len(bench.plans()) == len(bench.state.builds) == 2
    prepare(folder, "tensorrt", "fp16", several=True)
    assert len(bench.plans()) == len(bench.state.builds) == 3
    loaded = load_graphs(folder, "tensorrt", "auto", 1)
    assert (loaded.info.precision, loaded.info.batch, loaded.info.note) == ("fp16", TOGETHER, "")
    assert loaded.batch is not None
    windows = np.random.default_rng(7).normal(size=(TOGETHER, TINY.window, ROW)).astype(np.float32)
    loaded.batch.graph.inputs["window"][...] = windows
    loaded.batch.graph.run()
    np.testing.assert_allclose(
        loaded.batch.graph.outputs["features"], np.tanh(TINY.over_time @ windows @ TINY.over_channels), atol=1e-5
    )
    path, spec = folder.path / GRAPHS["fp16"], transformer_spec(folder, TOGETHER)
    tensorrt.open_engine(1).forget(path, spec, "fp16")  # type: ignore[misc]
    without = load_graphs(folder, "tensorrt", "auto", 1)
    assert (without.info.name, without.info.batch, without.info.note) == ("tensorrt", 1, "")
    assert without.info.turns == "what it needs for several speakers is being made"
    assert len(bench.plans()) == 2 and len(bench.state.builds) == 3
    prepare(folder, "tensorrt", "fp16", several=True)
    (then,) = begun
    then("")
    assert (without.info.batch, without.info.turns) == (TOGETHER, "") and without.batch is not None
    del loaded, without, then
    begun.clear()
    bench.nothing_left()


def test_on_another_thread(bench: Bench) -> None:
    graph = bench.load()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(bench.works, graph).result()
        assert pool.submit(bench.cuda.current).result() == []
    del graph
    bench.nothing_left()


def test_python_ends_with_a_graph(bench: Bench) -> None:
    program = """
        import json, os, pathlib, sys
        from runtime.stand_ins.fake_tensorrt import FakeCuda, fake_tensorrt
        from talksplat.encoders.engines import driver, tensorrt
        from talksplat.encoders.engines.base import GraphSpec

        cuda = FakeCuda()
        sys.modules["tensorrt"] = fake_tensorrt(cuda)[0]
        driver.driver_functions = cuda.functions
        path, spec = sys.argv[1], [{name: tuple(shape) for name, shape in of.items()} for of in json.loads(sys.argv[2])]
        graph = tensorrt.open_engine(1).load(pathlib.Path(path), GraphSpec(*spec), "fp32")
        graph.run()
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, "-c", textwrap.dedent(program), str(bench.path), json.dumps(bench.spec)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_two_graphs_do_not_meet(bench: Bench) -> None:
    engine = tensorrt.open_engine(1)
    first, second = (engine.load(bench.path, bench.spec, "fp32") for _ in range(2))
    first.inputs["window"][:] = 1
    first.run()
    before = first.outputs["features"].copy()
    bench.works(second)
    np.testing.assert_array_equal(first.outputs["features"], before)
    del first
    bench.works(second)


# ---- the cache ----


def test_a_damaged_plan_is_rebuilt(bench: Bench) -> None:
    bench.load()
    (plan,) = bench.plans()
    whole = plan.read_bytes()
    for damaged in (whole[:-1], whole[:40], b"", whole[:-1] + bytes([whole[-1] ^ 1])):
        plan.write_bytes(damaged)
        bench.plug()
        bench.works(bench.load())
        assert len(bench.state.builds) == 1
        assert plan.read_bytes() == whole
    bench.nothing_left()


def test_whether_a_plan_is_made(bench: Bench) -> None:
    is_made = tensorrt.open_engine(1).is_made
    assert is_made is not None and not is_made(bench.path, bench.spec, "fp32")
    bench.load()
    assert is_made(bench.path, bench.spec, "fp32")
    assert not is_made(bench.folder.path / FRONT, front_spec(bench.folder), "fp32")
    assert not is_made(bench.folder.path / "missing.onnx", bench.spec, "fp32")
    (plan,) = bench.plans()
    plan.write_bytes(plan.read_bytes()[:-1])
    assert not is_made(bench.path, bench.spec, "fp32")


def test_a_plan_that_the_runtime_refuses_is_rebuilt_once(bench: Bench) -> None:
    bench.load()
    bench.plug()
    refused = []
    deserialize = bench.trt.Runtime.deserialize_cuda_engine

    def first_not(self: Any, serialized_engine: bytes) -> Any:
        refused.append(1)
        return None if len(refused) == 1 else deserialize(self, serialized_engine)

    bench.trt.Runtime.deserialize_cuda_engine = first_not
    bench.works(bench.load())
    # Read once more under the lock it would be found, were it not deleted.
    assert (len(refused), len(bench.state.builds), len(bench.plans())) == (2, 1, 1)
    bench.trt.Runtime.deserialize_cuda_engine = lambda self, serialized_engine: None
    with pytest.raises(GraphError, match=r"cannot be loaded by TensorRT 11\.4\.0\.106: a plan that was just built"):
        bench.load()
    assert len(bench.state.builds) == 2 and not bench.plans()
    bench.nothing_left()


def test_a_plan_of_other_tensors_is_rebuilt(bench: Bench) -> None:
    bench.load()
    shape, asked = bench.trt.ICudaEngine.get_tensor_shape, []

    def other_at_first(self: Any, name: str) -> Any:
        asked.append(1)
        return (1, 2) if len(asked) == 1 else shape(self, name)

    bench.trt.ICudaEngine.get_tensor_shape = other_at_first
    bench.works(bench.load())
    assert len(bench.state.builds) == 2
    bench.nothing_left()


@pytest.mark.skipif(os.name != "posix", reason="who may write to a folder is asked on POSIX alone")
def test_a_cache_that_all_may_write(bench: Bench) -> None:
    engine = tensorrt.open_engine(1)
    (bench.cache / "engines").mkdir()
    (bench.cache / "engines").chmod(0o777)
    with pytest.raises(EngineMissing, match="can be written to by others"):
        engine.load(bench.path, bench.spec, "fp32")
    with pytest.raises(OSError, match="can be written to by others"):
        tensorrt.open_engine(1)
    assert not bench.state.calls
    del engine
    bench.nothing_left()


# ---- what does not ----


def test_no_driver_no_gpu_no_tensorrt(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.cuda.devices = 0
    with pytest.raises(OSError, match="finds no GPU"):
        tensorrt.open_engine(1)
    bench.plug()
    bench.cuda.refuses = {"cuInit"}
    with pytest.raises(OSError, match=r"does not start: cuInit failed: CUDA_ERROR_UNKNOWN, 999"):
        tensorrt.open_engine(1)
    bench.cuda.error = 803
    with pytest.raises(OSError, match=r"was updated.*cuInit failed: error 803\. Restart"):
        tensorrt.open_engine(1)
    bench.plug()
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ImportError, match=r"pip install --extra-index-url https://pypi\.nvidia\.com tensorrt-cu13$"):
        tensorrt.open_engine(1)
    bench.cuda.version = 12080
    with pytest.raises(ImportError, match=r"tensorrt-cu12$"):
        tensorrt.open_engine(1)
    bench.plug(version="8.6.1")
    with pytest.raises(ImportError, match=r"must be 10 or newer; got 8\.6\.1"):
        tensorrt.open_engine(1)
    bench.plug()
    bench.cuda.version = 12080
    monkeypatch.setattr(tensorrt, "_flavour", lambda: {"tensorrt-cu13-libs": "11.4.0.106"})
    with pytest.raises(ImportError, match=r"for CUDA 13, and the NVIDIA driver has CUDA 12\.8"):
        tensorrt.open_engine(1)
    bench.nothing_left()


def test_the_driver_is_asked_before_tensorrt_is_imported(tmp_path: Path) -> None:
    (tmp_path / "tensorrt.py").write_text("import os; os._exit(7)")
    program = """
        from talksplat.encoders.engines import tensorrt
        try:
            tensorrt.open_engine(1)
        except OSError as error:
            assert "TALKSPLAT_LIBCUDA" in str(error), error
    """
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "TALKSPLAT_LIBCUDA": os.devnull}
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=environment, check=True)


def test_a_runtime_that_logs_an_error_is_not_asked(bench: Bench) -> None:
    bench.state.starts = False
    with pytest.raises(EngineMissing, match=r"runtime does not start: CUDA initialization failure with error: 35"):
        bench.load()
    bench.nothing_left()


def test_what_is_no_graph_of_the_spec(bench: Bench, tmp_path: Path) -> None:
    shapes = dict(bench.spec.inputs), dict(bench.spec.outputs)
    for spec, message in [
        (GraphSpec({**shapes[0], "more": (1,)}, shapes[1]), "has no input more"),
        (GraphSpec(shapes[0], {"features": (1, 2, 9)}), r"features as \[1,2,9\] float32; got \[1, 2, 6\]"),
        (GraphSpec(shapes[0], {}), "has the output 'features', which is not of the format"),
    ]:
        with pytest.raises(GraphError, match=message):
            bench.load(spec=spec)
    import onnx

    model = onnx.load(str(bench.path))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "rows"
    onnx.save(model, str(tmp_path / "open.onnx"))
    with pytest.raises(GraphError, match=r"window as \[1,7,5\] float32; got \[1, -1, 5\]"):
        bench.load(tmp_path / "open.onnx")
    assert not bench.state.builds  # which takes minutes
    (tmp_path / "none.onnx").write_bytes(b"no model")
    with pytest.raises(GraphError, match=r"is not understood: no model of the stand-in's \(node -1\)"):
        bench.load(tmp_path / "none.onnx")
    with pytest.raises(GraphError, match="No such file"):
        bench.load(tmp_path / "missing.onnx")
    bench.nothing_left()


def test_no_memory_is_not_the_graphs_fault(bench: Bench) -> None:
    bench.cuda.refuses, bench.cuda.error = {"cuMemAlloc_v2"}, 2
    with pytest.raises(EngineMissing, match="cuMemAlloc_v2 failed: error 2"):
        bench.load()
    bench.nothing_left()


def attempt(bench: Bench, name: Callable[[], str]) -> str:
    """What comes of it: the class of the error, which names the call, or "works"."""
    graph = None
    try:
        graph = bench.load()
        graph.run()
        bench.works(graph)
        outcome = "works" if graph.captured else "works without recording"
    except (ImportError, OSError, GraphError, RuntimeError) as error:
        assert name() in str(error), f"{name()}: {error}"
        outcome = "GraphError" if isinstance(error, GraphError) else type(error).__name__
    del graph
    gc.collect()
    failed = bench.cuda.calls[bench.cuda.fail_at - 1] if bench.cuda.fail_at else ""
    if failed == "cuCtxPushCurrent_v2" and outcome == "works":
        # Without the context the GPU's memory cannot be freed; that it is tried harms nothing.
        assert "contexts" not in bench.cuda.left() and not bench.state.left()
    else:
        bench.nothing_left()
    return outcome


@pytest.mark.parametrize("cached", [False, True])
def test_every_call_of_the_driver_fails_in_turn(bench: Bench, cached: bool) -> None:
    assert attempt(bench, str) == "works"
    count, outcomes = len(bench.cuda.calls), {}
    for number in range(1, count + 1):
        bench.plug()
        if not cached:
            bench.empty_cache()
        bench.cuda.fail_at = number
        outcome = attempt(bench, lambda: bench.cuda.calls[bench.cuda.fail_at - 1])
        outcomes.setdefault(bench.cuda.calls[number - 1], set()).add(outcome)
    assert outcomes["cuInit"] == {"OSError"}
    assert outcomes["cuDevicePrimaryCtxRetain"] == {"OSError"}
    assert outcomes["cuMemAlloc_v2"] == outcomes["cuMemHostAlloc"] == outcomes["cuStreamCreate"] == {"GraphError"}
    assert outcomes["cuCtxPushCurrent_v2"] >= {"GraphError", "CudaError"}
    assert outcomes["cuGraphLaunch"] == {"GraphError", "CudaError"}
    assert outcomes["cuEventSynchronize"] == {"GraphError", "CudaError", "works"}  # the last when it is closed
    for call in ("cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"):
        assert outcomes[call] == {"works without recording"}
    for call in (
        "cuMemFree_v2",
        "cuMemFreeHost",
        "cuStreamDestroy_v2",
        "cuGraphDestroy",
        "cuDevicePrimaryCtxRelease_v2",
    ):
        assert outcomes[call] == {"works"}


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("cached", [False, True])
def test_every_call_of_tensorrt_fails_in_turn(bench: Bench, cached: bool, raises: bool) -> None:
    assert attempt(bench, str) == "works"
    if cached:
        bench.plug()
        assert attempt(bench, str) == "works"
    count, outcomes = len(bench.state.calls), {}
    for number in range(1, count + 1):
        bench.plug()
        if not cached:
            bench.empty_cache()
        bench.state.fail_at, bench.state.raises = number, raises

        def said() -> str:
            name = bench.state.calls[bench.state.fail_at - 1]
            if raises or name.endswith("__init__"):
                return name
            # What comes back tells something in its own words.
            return {"OnnxParser.parse": "understood", "Runtime.deserialize_cuda_engine": "refused"}.get(
                name, name.partition(".")[2] if name.partition(".")[2] in SAID else "cannot be loaded"
            )

        outcome = attempt(bench, said)
        outcomes.setdefault(bench.state.calls[number - 1], set()).add(outcome)
    assert outcomes["IExecutionContext.execute_async_v3"] == {"GraphError", "works without recording"}
    outcomes.pop("IExecutionContext.execute_async_v3")
    for call, found in outcomes.items():
        if call in OF_THE_PLAN and not raises:
            # A plan of no use is built anew. One of the tensors is an output whatever it says that is no input.
            assert "works" in found if cached else "GraphError" in found, call
        else:
            assert found == {"GraphError"}, call


OF_THE_PLAN = {
    "Runtime.deserialize_cuda_engine", "ICudaEngine.get_tensor_mode", "ICudaEngine.get_tensor_shape",
    "ICudaEngine.get_tensor_dtype", "ICudaEngine.get_tensor_location",
}  # fmt: skip
SAID = {"create_network", "create_builder_config", "build_serialized_network", "create_execution_context",
        "set_tensor_address"}  # fmt: skip
