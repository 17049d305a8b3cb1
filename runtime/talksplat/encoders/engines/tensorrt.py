# SPDX-License-Identifier: Apache-2.0
"""TensorRT on an NVIDIA GPU, versions 10 and 11, where its user has installed it.

It makes a plan of a graph, for this GPU alone, which takes minutes and is kept (engine_cache). A run is two copies and
the launch of a recorded CUDA graph. Numbers are as the ONNX file says: fp16 is a file of its own.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import platform
import threading
import weakref
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..._arrays import FloatArray
from ..._text import shortened
from .base import Engine, EngineMissing, Graph, GraphError, GraphSpec, Shapes, require_spec
from .driver import Context, CudaError, Driver, Stream, open_driver
from .engine_cache import CacheRefused, PlanCache, PlanParts
from .nvidia import TOGETHER

NAME = "tensorrt"
LEAST_MAJOR = 10  # the first with networks whose numbers are as the file says
OPTIMIZATION_LEVEL = 3
WORKSPACE_BYTES = 1 << 30  # fits beside the rest on a GPU of 6 GB
# Streams of its own would make the time of a run depend on what else the GPU does.
MAX_AUX_STREAMS = 0
PRECISIONS = {"fp16": "fp16", "fp32": "fp32"}
OPEN = -1  # of a length that the graph leaves to whoever runs it
# What pip calls the libraries, by the CUDA that they are for.
CUDA_13 = 13000
PACKAGES = ("tensorrt-cu13", "tensorrt-cu12")
INDEX = "https://pypi.nvidia.com"
MAX_MESSAGES = 4


def open_engine(threads: int) -> Engine:
    """threads: of the CPU; it needs none of its own.

    Raises OSError where there is no driver, no GPU, or a cache that others can write to, and ImportError where TensorRT
    is not installed or does not fit the driver.
    """
    driver = open_driver()  # before TensorRT, which does not survive that there is none
    trt = _imported(driver)
    try:
        PlanCache().require_private()
        loader = _Loader(trt, Context(driver))
    except (CacheRefused, CudaError) as error:
        raise OSError(str(error)) from None
    return Engine(NAME, trt.__version__, PRECISIONS, threads, loader.load, loader.is_made, loader.forget, TOGETHER)


def _imported(driver: Driver) -> Any:
    package = PACKAGES[0] if driver.version >= CUDA_13 else PACKAGES[1]
    install = f"pip install --extra-index-url {INDEX} {package}"
    try:
        trt: Any = importlib.import_module("tensorrt")
        version = str(trt.__version__)
    except Exception as error:  # what a package without its libraries raises
        raise ImportError(f"TensorRT cannot be imported: {shortened(str(error))}. Install it: {install}") from None
    major = version.partition(".")[0]
    if not major.isdigit() or int(major) < LEAST_MAJOR:
        raise ImportError(f"TensorRT must be {LEAST_MAJOR} or newer; got {shortened(version)}. Update it: {install}")
    if driver.version < CUDA_13 and f"{PACKAGES[0]}-libs" in _flavour():
        # Its runtime would say so in its log, and then end the process.
        raise ImportError(
            f"TensorRT is installed for CUDA 13, and the NVIDIA driver has CUDA {driver.version // 1000}."
            f"{driver.version % 1000 // 10}. Update the driver, or install the other one: {install}"
        )
    return trt


def _flavour() -> dict[str, str]:
    """Versions of the packages that its libraries came in; none where the system's own packages have them."""
    found = {}
    for package in PACKAGES:
        for name in (f"{package}-libs", f"{package}-bindings"):
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                found[name] = importlib.metadata.version(name)
    return found


class _Loader:
    """TensorRT on a GPU, as far as its graphs have it in common."""

    def __init__(self, trt: Any, context: Context) -> None:
        self._trt, self._context = trt, context
        self._log = _log_of(trt)

    def load(self, path: Path, spec: GraphSpec, precision: str) -> Graph:
        """Raises GraphError; EngineMissing where it is not the graph's fault."""
        parts = _Parts()
        kind = GraphError
        with _one_by_one, contextlib.ExitStack() as entered:
            try:
                entered.enter_context(self._context.current())
                self._open(path, spec, parts)
                return _Bound(self._context, self._log, spec, parts)
            except Exception as error:  # TypeError of factories, RuntimeError, and others of its bindings
                reason = str(error) or type(error).__name__
                if isinstance(error, EngineMissing | CacheRefused | CudaError):
                    kind = EngineMissing
            except BaseException:
                parts.close()
                raise
            # Here, and not in the handler: the error's frames refer to what has to go in this order.
            parts.close()
        raise kind(f"cannot be loaded by TensorRT {self._trt.__version__}: {shortened(reason)}")

    def is_made(self, path: Path, spec: GraphSpec, precision: str) -> bool:
        """Whether there is a plan that load() would try before it builds one."""
        try:
            return PlanCache().read(self._key(path.read_bytes(), spec)) is not None
        except OSError:
            return False

    def _open(self, path: Path, spec: GraphSpec, parts: _Parts) -> None:
        onnx = path.read_bytes()
        opened = PlanCache().load(
            self._key(onnx, spec),
            lambda: self._build(onnx, spec),
            lambda plan: self._deserialize(plan, spec, parts),
        )
        if opened is None:
            raise GraphError(f"a plan that was just built is refused{self._log.said()}")

    def forget(self, path: Path, spec: GraphSpec, precision: str) -> None:
        """Deletes that plan."""
        with contextlib.suppress(OSError):
            PlanCache().delete(self._key(path.read_bytes(), spec))

    def _key(self, onnx: bytes, spec: GraphSpec) -> bytes:
        gpu = self._context.gpu
        return PlanParts(
            onnx_sha256=hashlib.sha256(onnx).hexdigest(),
            inputs=tuple((name, shape, "float32") for name, shape in spec.inputs.items()),
            outputs=tuple((name, shape, "float32") for name, shape in spec.outputs.items()),
            library=f"{NAME} {self._trt.__version__}",
            flavour=_flavour(),
            driver_version=self._context.driver.version,
            system=f"{platform.system()} {platform.machine()}",
            gpu=gpu.name,
            capability=gpu.capability,
            multiprocessors=gpu.multiprocessors,
            memory_bytes=gpu.memory_bytes,
            options={
                "level": OPTIMIZATION_LEVEL, "workspace_bytes": WORKSPACE_BYTES, "aux_streams": MAX_AUX_STREAMS,
                "strongly_typed": True, "tf32": False, "hardware_compatibility": "none",
            },
        ).key()  # fmt: skip

    def _build(self, onnx: bytes, spec: GraphSpec) -> bytes:
        """The plan. Raises GraphError, and what the bindings raise."""
        trt, log = self._trt, self._log
        log.clear()
        builder = trt.Builder(log.logger)
        flags = trt.NetworkDefinitionCreationFlag
        # Version 10 would choose the numbers itself without it; version 11 has nothing else.
        typed = 1 << int(flags.STRONGLY_TYPED) if hasattr(flags, "STRONGLY_TYPED") else 0
        network = _made("create_network", builder.create_network(typed), log)
        parser = trt.OnnxParser(network, log.logger)
        # Without the path: data outside the file would not be part of the plan's key, and the format has none.
        if not parser.parse(onnx):
            raise GraphError(f"is not understood{_errors(parser) or log.said()}")
        inputs = [network.get_input(i) for i in range(network.num_inputs)]
        outputs = [network.get_output(i) for i in range(network.num_outputs)]
        for tensor in inputs:  # before the outputs say theirs: the number of speakers may be open
            if tensor.name in spec.inputs and list(tensor.shape) == [OPEN, *spec.inputs[tensor.name][1:]]:
                tensor.shape = spec.inputs[tensor.name]
        require_spec(
            spec,
            {tensor.name: self._shape(tensor.shape, tensor.dtype) for tensor in inputs},
            {tensor.name: self._shape(tensor.shape, tensor.dtype) for tensor in outputs},
        )
        config = _made("create_builder_config", builder.create_builder_config(), log)
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
        config.clear_flag(trt.BuilderFlag.TF32)
        config.max_aux_streams = MAX_AUX_STREAMS
        config.builder_optimization_level = OPTIMIZATION_LEVEL
        return bytes(_made("build_serialized_network", builder.build_serialized_network(network, config), log))

    def _deserialize(self, plan: bytes, spec: GraphSpec, parts: _Parts) -> bool | None:
        """Puts runtime and engine into the parts; None where the plan is of no use."""
        log = self._log
        log.clear()
        parts.runtime = self._trt.Runtime(log.logger)
        if log.messages:  # it logs that CUDA does not start, comes into being all the same, and then ends the process
            raise EngineMissing(f"its runtime does not start{log.said()}")
        parts.engine = parts.runtime.deserialize_cuda_engine(plan)
        if parts.engine is None:
            return None
        try:
            require_spec(spec, *self._described(parts.engine))
            return True
        except GraphError as error:
            log.add(str(error))
        parts.close()
        return None

    def _described(self, engine: Any) -> tuple[dict[str, object], dict[str, object]]:
        trt = self._trt
        inputs: dict[str, object] = {}
        outputs: dict[str, object] = {}
        for name in map(engine.get_tensor_name, range(engine.num_io_tensors)):
            shape = self._shape(engine.get_tensor_shape(name), engine.get_tensor_dtype(name))
            if engine.get_tensor_location(name) != trt.TensorLocation.DEVICE:
                shape = "in the CPU's memory"
            of = inputs if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else outputs
            of[name] = shape
        return inputs, outputs

    def _shape(self, shape: Any, dtype: Any) -> object:
        """Of float32; of other types the type, which is no shape. OPEN stands for lengths that are."""
        return list(shape) if dtype == self._trt.DataType.FLOAT else dtype.name


class _Parts:
    """What TensorRT has for a graph, and what there is around it; it goes in the order of close()."""

    def __init__(self) -> None:
        self.runtime: Any = None
        self.engine: Any = None
        self.execution: Any = None
        self.stream: Stream | None = None
        self.graph: int | None = None
        self.arrays: list[FloatArray] = []
        self.memory: list[tuple[Context, int]] = []

    def close(self) -> None:
        """The GPU's context must be current. What works is waited for first."""
        if self.stream is not None:
            with contextlib.suppress(CudaError):
                self.stream.synchronise()
            if self.graph is not None:
                self.stream.forget(self.graph)
                self.graph = None
        self.execution = None
        self.engine = None
        self.runtime = None
        if self.stream is not None:
            self.stream.close()
            self.stream = None
        while self.memory:
            context, address = self.memory.pop()
            context.free(address)
        self.arrays.clear()


def _close(context: Context, parts: _Parts) -> None:
    with contextlib.ExitStack() as entered:
        with contextlib.suppress(CudaError):  # of a GPU that is lost nothing can be freed, but on the CPU
            entered.enter_context(context.current())
        parts.close()


class _Bound(Graph):
    """A graph in memory of its own, on the GPU and page-locked on the CPU.

    captured: whether a run launches what was recorded; else why_not says why each run is enqueued anew.
    """

    def __init__(self, context: Context, log: _Log, spec: GraphSpec, parts: _Parts) -> None:
        """Takes the parts over once it is made. The context must be current."""
        self._context, self._log, self._parts = context, log, parts
        self.captured, self.why_not = False, ""
        parts.execution = _made("create_execution_context", parts.engine.create_execution_context(), log)
        self._stream = parts.stream = Stream(context)
        self.inputs, self._in = self._memory(spec.inputs)
        self.outputs, self._out = self._memory(spec.outputs)
        self._enqueue()  # the first time it may allocate, which cannot be recorded
        self._stream.synchronise()
        try:
            parts.graph = self._stream.capture(self._enqueue)
            self.captured = True
        except RuntimeError as error:
            self.why_not = str(error)
        # What was recorded does as well as what was not, and a stream whose recording failed works again.
        self._put_in_and_take_out()
        close = weakref.finalize(self, _close, context, parts)
        close.atexit = False  # a worker may still run it; the process gives everything back

    def run(self) -> None:
        """Raises RuntimeError where a call of the driver or of TensorRT fails."""
        with self._context.current():
            self._put_in_and_take_out()

    def _put_in_and_take_out(self) -> None:
        stream = self._stream
        for name, address in self._in.items():
            stream.copy_in(address, self.inputs[name])
        if self._parts.graph is not None:
            stream.launch(self._parts.graph)
        else:
            self._enqueue()
        for name, address in self._out.items():
            stream.copy_out(self.outputs[name], address)
        stream.synchronise()

    def _enqueue(self) -> None:
        if not self._parts.execution.execute_async_v3(self._stream.handle):
            raise RuntimeError(f"execute_async_v3 failed{self._log.said()}")

    def _memory(self, shapes: Shapes) -> tuple[dict[str, Any], dict[str, int]]:
        """Arrays on the CPU, and addresses on the GPU that TensorRT knows."""
        arrays, addresses = {}, {}
        for name, shape in shapes.items():
            arrays[name] = self._context.page_locked(shape)
            self._parts.arrays.append(arrays[name])
            addresses[name] = self._context.allocate(arrays[name].nbytes)
            self._parts.memory.append((self._context, addresses[name]))
            if not self._parts.execution.set_tensor_address(name, addresses[name]):
                raise GraphError(f"set_tensor_address failed for {name}{self._log.said()}")
        return arrays, addresses


class _Log:
    """Errors that TensorRT logs, of which the last are kept for messages. There is one for good: its libraries keep the
    first logger that they are given."""

    def __init__(self, trt: Any) -> None:
        severity = trt.ILogger.Severity
        self.messages: deque[str] = deque(maxlen=MAX_MESSAGES)
        messages, told = self.messages, (severity.INTERNAL_ERROR, severity.ERROR)

        class Logger(trt.ILogger):  # type: ignore[misc]  # its type is known when it is imported
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                if severity in told:
                    messages.append(msg)

        self.logger = Logger()

    def clear(self) -> None:
        self.messages.clear()

    def add(self, message: str) -> None:
        self.messages.append(message)

    def said(self) -> str:
        """What was logged, as the end of a message."""
        return f": {'; '.join(map(str.strip, self.messages))}" if self.messages else ""


_log_of = functools.cache(_Log)
# Two builds at once would disturb each other's timing, and mix what is logged.
_one_by_one = threading.Lock()


def _made(call: str, made: Any, log: _Log) -> Any:
    if made is None:
        raise GraphError(f"{call} failed{log.said()}")
    return made


def _errors(parser: Any) -> str:
    """What the parser found, the first few, as the end of a message."""
    found: Iterable[Any] = (parser.get_error(i) for i in range(min(parser.num_errors, MAX_MESSAGES)))
    said = "; ".join(f"{error.desc()} (node {error.node()})" for error in found)
    return f": {said}" if said else ""
