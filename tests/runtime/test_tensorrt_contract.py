# SPDX-License-Identifier: Apache-2.0
"""What the TensorRT engine asks of others: of the driver, which the tests' driver is, and of TensorRT's bindings, whose
real wheel is held against a table of all that is used."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import inspect
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from conftest import in_ci
from runtime.stand_ins.fake_tensorrt import FakeCuda, fake_tensorrt

ROOT = Path(__file__).resolve().parents[2]

# By class: names of methods' arguments, or None for attributes and members of enums.
USED: dict[str, dict[str, tuple[str, ...] | None]] = {
    "Builder": {
        "__init__": ("logger",), "create_network": ("flags",), "create_builder_config": (),
        "build_serialized_network": ("network", "config"),
    },
    "NetworkDefinitionCreationFlag": {"STRONGLY_TYPED": None},
    "OnnxParser": {"__init__": ("network", "logger"), "parse": ("model",), "num_errors": None, "get_error": ("index",)},
    "ParserError": {"desc": (), "node": ()},
    "INetworkDefinition": {
        "num_inputs": None, "num_outputs": None, "get_input": ("index",), "get_output": ("index",),
    },
    "ITensor": {"name": None, "shape": None, "dtype": None},
    "IBuilderConfig": {
        "set_memory_pool_limit": ("pool", "pool_size"), "clear_flag": ("flag",), "max_aux_streams": None,
        "builder_optimization_level": None,
    },
    "MemoryPoolType": {"WORKSPACE": None},
    "BuilderFlag": {"TF32": None},
    "Runtime": {"__init__": ("logger",), "deserialize_cuda_engine": ("serialized_engine",)},
    "ICudaEngine": {
        "num_io_tensors": None, "get_tensor_name": ("index",), "get_tensor_mode": ("name",),
        "get_tensor_shape": ("name",), "get_tensor_dtype": ("name",), "get_tensor_location": ("name",),
        "create_execution_context": (),
    },
    "IExecutionContext": {"set_tensor_address": ("name", "memory"), "execute_async_v3": ("stream_handle",)},
    "TensorIOMode": {"INPUT": None},
    "TensorLocation": {"DEVICE": None},
    "DataType": {"FLOAT": None},
    "ILogger": {"__init__": (), "log": ("severity", "msg"), "Severity": None},
    "ILogger.Severity": {"INTERNAL_ERROR": None, "ERROR": None},
}  # fmt: skip
# Attributes in tensorrt.py that are not TensorRT's: of Python, and of talksplat.
OTHERS = {
    "ExitStack", "Lock", "PackageNotFoundError", "__name__", "add", "allocate", "append", "arrays", "atexit",
    "cache", "capability", "capture", "captured", "clear", "close", "copy_in", "copy_out", "current", "delete",
    "driver",
    "engine", "enter_context", "execution", "finalize", "forget", "free", "gpu", "graph", "handle", "hexdigest",
    "import_module", "inputs", "is_made", "isdigit", "items", "join", "key", "launch", "load", "logger",
    "machine", "memory", "read",
    "memory_bytes", "messages", "metadata", "multiprocessors", "nbytes", "outputs", "page_locked", "partition",
    "pop", "read_bytes", "require_private", "run", "runtime", "said", "sha256", "stream", "strip", "suppress",
    "synchronise", "system", "value", "version", "why_not",
}  # fmt: skip


def test_all_that_is_used_is_in_the_table() -> None:
    source = (ROOT / "runtime/talksplat/encoders/engines/tensorrt.py").read_text()
    found = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    found = {name for name in found if not name.startswith("_") or name == "__init__"}
    names = {name for members in USED.values() for name in members} | {name.partition(".")[0] for name in USED}
    returned = {"INetworkDefinition", "ITensor", "IBuilderConfig", "ICudaEngine", "IExecutionContext", "ParserError"}
    overridden = {"log"}
    assert found - OTHERS - names == set()
    assert names - returned - overridden - found == set()


def test_the_stand_in_has_what_is_used() -> None:
    trt, _ = fake_tensorrt(FakeCuda())
    for name, members in USED.items():
        one = trt
        for part in name.split("."):
            one = getattr(one, part)
        for member, arguments in members.items():
            if arguments is not None:
                parameters = list(inspect.signature(getattr(one, member)).parameters)
                assert tuple(parameters[1 : 1 + len(arguments)]) == arguments, f"{name}.{member}"


CONTRACT = """
    import json, re, sys
    import tensorrt_bindings as trt

    def arguments(text):
        '''Of each overload, as pybind11 writes them: names, and whether they may be left out.'''
        for line in re.findall(r"^(?:\\d+\\. )?\\w+\\((self: .*)\\) -> ", text or "", re.MULTILINE):
            found, depth, start = [], 0, 0
            for i, letter in enumerate(line + ","):
                depth += (letter in "[(<") - (letter in "])>")
                if letter == "," and depth == 0:
                    found.append(line[start:i].strip())
                    start = i + 1
            yield [(one.partition(":")[0], "=" in one) for one in found[1:]]

    wrong = []
    for name, members in json.loads(sys.argv[1]).items():
        one = trt
        for part in name.split("."):
            one = getattr(one, part, None)
        for member, wanted in members.items():
            found = getattr(one, member, None)
            if found is None:
                wrong.append(f"there is no {name}.{member}")
            elif wanted is not None and not any(
                [argument for argument, _ in of[:len(wanted)]] == wanted
                and all(optional for _, optional in of[len(wanted):])
                for of in arguments(found.__doc__)
            ):
                wrong.append(f"{name}.{member} does not take {wanted}: {found.__doc__[:200]}")
    config, tensor = trt.IBuilderConfig, trt.ITensor
    for of, name in ((config, "max_aux_streams"), (config, "builder_optimization_level"), (tensor, "shape")):
        if of.__dict__[name].fset is None:
            wrong.append(f"{name} cannot be set")
    trt.Dims((1, 2))  # of a tuple, as shapes are set

    class Logger(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)

        def log(self, severity, msg):
            pass

    Logger()
    assert trt.DataType.FLOAT.name == "FLOAT" and list(trt.Dims([1, 2])) == [1, 2]
    assert isinstance(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED), int)
    try:
        trt.Builder(Logger())
    except TypeError as error:
        assert "factory function returned nullptr" in str(error)
    print(json.dumps(wrong))
"""
LIBRARIES = {
    "nvinfer": ("createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL",
                "getBuilderPluginRegistry", "getPluginRegistry"),
    "nvinfer_plugin": ("initLibNvInferPlugins",),
    "nvonnxparser": ("createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL", "getNvOnnxParserVersion"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bindings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the real bindings can be imported, over libraries that have functions of no use."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or importlib.util.find_spec("tensorrt_bindings") is None or compiler is None:
        reason = "the bindings are not installed (pip install --no-deps tensorrt-cu13-bindings), or no C compiler is"
        if in_ci() and sys.platform == "linux":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("libraries")
    major = importlib.metadata.version("tensorrt-cu13-bindings").partition(".")[0]
    for name, functions in LIBRARIES.items():
        source = folder / f"{name}.c"
        source.write_text("".join(f"void* {function}(void) {{ return 0; }}\n" for function in functions))
        command = [compiler, "-shared", "-fPIC", str(source), "-o", str(folder / f"lib{name}.so.{major}")]
        subprocess.run([*command, f"-Wl,-soname,lib{name}.so.{major}"], check=True)
    return {**os.environ, "LD_LIBRARY_PATH": str(folder)}


def unlike_the_bindings(bindings: dict[str, str], used: dict[str, dict[str, tuple[str, ...] | None]]) -> list[str]:
    command = [sys.executable, "-c", textwrap.dedent(CONTRACT), json.dumps(used)]
    done = subprocess.run(command, env=bindings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wrong: list[str] = json.loads(done.stdout)
    return wrong


def test_the_real_bindings_have_what_is_used(bindings: dict[str, str]) -> None:
    assert unlike_the_bindings(bindings, USED) == []


def test_what_the_real_bindings_lack_is_found(bindings: dict[str, str]) -> None:
    wrong = unlike_the_bindings(
        bindings,
        {
            "Runtime": {"deserialize_cuda_engine": ("engine",), "load": ()}, "BuilderFlag": {"FP16": None},
            "IExecutionContext": {"set_tensor_address": ("name",)}, "Nothing": {"x": None},
        },
    )  # fmt: skip
    assert [line.split(": ")[0] for line in wrong] == [
        "Runtime.deserialize_cuda_engine does not take ['engine']",
        "there is no Runtime.load",
        "there is no BuilderFlag.FP16",
        "IExecutionContext.set_tensor_address does not take ['name']",
        "there is no Nothing.x",
    ]


def test_the_real_bindings_without_libraries_are_refused(
    bindings: dict[str, str], fake_driver: Path, tmp_path: Path
) -> None:
    """What the engine calls before a builder is made; these libraries make none."""
    program = """
        import pathlib, sys
        import tensorrt_bindings
        from talksplat.encoders.engines import tensorrt
        from talksplat.encoders.engines.base import GraphError, GraphSpec

        sys.modules["tensorrt"] = tensorrt_bindings
        engine = tensorrt.open_engine(1)
        assert engine.version == tensorrt_bindings.__version__
        try:
            engine.load(pathlib.Path(sys.argv[1]), GraphSpec({"a": (1,)}, {"b": (1,)}), "fp32")
        except GraphError as error:
            assert "factory function returned nullptr" in str(error), error
        else:
            raise AssertionError
    """
    (tmp_path / "a.onnx").write_bytes(b"no model")
    environment = {**bindings, "TALKSPLAT_LIBCUDA": str(fake_driver), "TALKSPLAT_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "a.onnx")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---- the driver's part, over the tests' driver ----

ON_THE_DRIVER = """
    import ctypes, os
    import numpy as np
    from talksplat.encoders.engines.driver import Context, CudaError, Stream, open_driver

    functions = ctypes.CDLL(os.environ["TALKSPLAT_LIBCUDA"])
    driver = open_driver()
    assert functions.fake_cuda_call(1) and driver.version == 13000
    functions.fake_cuda_call.restype = ctypes.c_char_p
    assert functions.fake_cuda_call(1) == b"cuInit"
    context = Context(driver)
    assert context.gpu[:3] == ("Fake GPU", "7.5", 2) and context.gpu.memory_bytes > 1 << 20
    with context.current():
        stream = Stream(context)
        there, back = context.page_locked((3, 4)), context.page_locked((3, 4))
        assert there.shape == (3, 4) and there.dtype == np.float32 and not there.any()
        first, second = context.allocate(there.nbytes), context.allocate(there.nbytes)
        there[...] = np.arange(12).reshape(3, 4)
        stream.copy_in(first, there)
        stream.copy_out(back, first)
        assert not back.any()  # nobody has waited yet
        stream.synchronise()
        np.testing.assert_array_equal(back, there)

        def enqueue():
            stream.copy_in(second, there)
            stream.copy_out(back, second)

        graph = stream.capture(enqueue)
        for value in (7, 8):
            there[...] = value
            stream.launch(graph)
            stream.synchronise()
            np.testing.assert_array_equal(back, there)

        def fail():
            enqueue()
            raise KeyError("while recording")

        try:
            stream.capture(fail)
        except KeyError:
            pass
        else:
            raise AssertionError
        there[...] = 9
        enqueue()  # the stream records no more
        stream.synchronise()
        assert (back == 9).all()
        try:
            context.allocate(1 << 60)
        except CudaError as error:
            assert error.code == 2 and str(error).startswith("cuMemAlloc_v2 failed: CUDA_ERROR_OUT_OF_MEMORY, 2 (")
        else:
            raise AssertionError
        stream.forget(graph)
        stream.close()
        context.free(first)
        context.free(second)
        kept = back[1:]
    del there, back, enqueue, fail, stream, context
    assert functions.fake_cuda_left() == 1  # the context, for the sake of `kept`
    assert (kept == 9).all()
    del kept
    assert functions.fake_cuda_left() == 0
"""


def on_the_driver(fake_driver: Path, program: str, **settings: object) -> None:
    environment = {**os.environ, "TALKSPLAT_LIBCUDA": str(fake_driver)}
    environment.update({f"FAKE_CUDA_{name}": str(value) for name, value in settings.items()})
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=environment, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()


def test_the_driver(fake_driver: Path) -> None:
    on_the_driver(fake_driver, ON_THE_DRIVER)


def test_drivers_that_do_not_start(fake_driver: Path) -> None:
    program = """
        from talksplat.encoders.engines.driver import open_driver
        try:
            open_driver()
        except OSError as error:
            assert {message!r} in str(error), error
        else:
            raise AssertionError
    """
    on_the_driver(fake_driver, program.format(message="finds no GPU"), DEVICES=0)
    on_the_driver(fake_driver, program.format(message="was updated"), FAIL_AT=1, ERROR=803)
    on_the_driver(fake_driver, program.format(message="cuInit failed: CUDA_ERROR_UNKNOWN, 999 (a fault"), FAIL_AT=1)
    on_the_driver(fake_driver, program.format(message="does not say its version"), FAIL_AT=3)
