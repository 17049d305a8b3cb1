# SPDX-License-Identifier: Apache-2.0
"""Stands in for TensorRT and for NVIDIA's driver below it, so that an engine runs where there is no GPU.

FakeCuda        the driver's functions as ctypes calls them. Work waits in its stream until somebody waits for it,
                memory of the GPU is at addresses where nothing is, and whoever frees what is still needed is found out.
fake_tensorrt   a module like tensorrt: a plan is the ONNX file behind a mark, and ONNX Runtime computes.

Both count their calls; the one with the number `fail_at` fails.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import inspect
import threading
import types
from collections import Counter
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import numpy as np
import onnx
import onnxruntime

DEVICE_BASE = 0x7E00_0000_0000
MARK = b"plan of a stand-in\0"
INVALID_VALUE, INVALID_CONTEXT, INVALID_HANDLE, UNSUPPORTED, UNKNOWN = 1, 201, 400, 900, 999
# They need no context. Those that give back do it even if they are told to fail.
FREE = {"cuInit", "cuDriverGetVersion", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute"}
FREE |= {"cuDeviceTotalMem_v2", "cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2", "cuCtxPushCurrent_v2"}
GIVE_BACK = {
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxPopCurrent_v2",
    "cuMemFree_v2",
    "cuMemFreeHost",
    "cuStreamDestroy_v2",
}
GIVE_BACK |= {"cuGraphDestroy", "cuGraphExecDestroy", "cuEventDestroy_v2", "cuStreamEndCapture"}
Work = Callable[[], None]


class _Stream:
    def __init__(self) -> None:
        self.waiting: list[Work] = []
        self.recorded: list[Work] | None = None


class FakeCuda:
    """faults: what somebody did that a driver does not forgive."""

    def __init__(self) -> None:
        self.fail_at, self.error = 0, UNKNOWN
        self.refuses: set[str] = set()  # names of functions that always fail
        self.devices, self.version, self.memory_bytes = 1, 13000, 6 << 30
        self.calls: list[str] = []
        self.faults: list[str] = []
        self.references = 0
        self.things: dict[int, Any] = {}  # streams, events, graphs and their executable ones
        self.device_memory: dict[int, bytearray] = {}
        self.host_memory: dict[int, Any] = {}
        self._next = 0x1000
        self._thread = threading.local()

    def functions(self) -> Mapping[str, Callable[..., int]]:
        names = [name for name in dir(type(self)) if name.startswith("cu")]
        return {name: functools.partial(self._call, name) for name in names}

    def left(self) -> dict[str, int]:
        """What was not given back."""
        found = {
            "contexts": self.references, "things": len(self.things), "device": len(self.device_memory),
            "host": len(self.host_memory), "current": len(self.current()),
        }  # fmt: skip
        return {name: count for name, count in found.items() if count}

    def current(self) -> list[int]:
        stack: list[int] = self._thread.__dict__.setdefault("stack", [])
        return stack

    def stream(self, handle: int) -> _Stream:
        found = self.things[handle]
        assert isinstance(found, _Stream)
        return found

    def give(self, handle: int, work: Work) -> None:
        stream = self.stream(handle)
        (stream.waiting if stream.recorded is None else stream.recorded).append(work)

    def at(self, address: int, n_bytes: int) -> memoryview:
        """Memory of the GPU, for work. Raises KeyError where there is none."""
        for base, memory in self.device_memory.items():
            if base <= address and address + n_bytes <= base + len(memory):
                return memoryview(memory)[address - base : address - base + n_bytes]
        raise KeyError(f"no memory of the GPU at {address:#x}")

    def _call(self, name: str, *arguments: Any) -> int:
        function: Callable[..., int | None] = getattr(self, name)
        if name.startswith("cuGetError"):
            return function(*arguments) or 0
        self.calls.append(name)
        fails = len(self.calls) == self.fail_at or name in self.refuses
        if name not in FREE and not self.current():
            self.faults.append(f"{name} without a context")
            return INVALID_CONTEXT
        if fails and name not in GIVE_BACK:
            return self.error
        if fails and name == "cuStreamEndCapture":
            self.stream(arguments[0]).recorded = None
            return self.error
        return (function(*arguments) or 0) if not fails else (function(*arguments), self.error)[1]

    def _handle(self, out: Any, thing: Any) -> None:
        self._next += 16
        out[0] = self._next
        self.things[self._next] = thing

    def _recording(self) -> bool:
        return any(isinstance(s, _Stream) and s.recorded is not None for s in self.things.values())

    def _unused(self, what: str) -> None:
        if any(isinstance(s, _Stream) and s.waiting for s in self.things.values()):
            self.faults.append(f"{what} while work waits")

    # ---- the functions ----

    def cuInit(self, flags: int) -> int:
        return 0 if self.devices else 100

    def cuDriverGetVersion(self, out: Any) -> None:
        out[0] = self.version

    def cuGetErrorName(self, code: int, out: Any) -> int:
        out[0] = b"CUDA_ERROR_UNKNOWN"
        return 0 if code == UNKNOWN else INVALID_VALUE

    def cuGetErrorString(self, code: int, out: Any) -> None:
        out[0] = b"of the stand-in"

    def cuDeviceGetCount(self, out: Any) -> None:
        out[0] = self.devices

    def cuDeviceGet(self, out: Any, ordinal: int) -> None:
        out[0] = ordinal

    def cuDeviceGetName(self, name: Any, n_bytes: int, device: int) -> None:
        name.value = b"Stand-in GPU"

    def cuDeviceGetAttribute(self, out: Any, attribute: int, device: int) -> None:
        out[0] = {16: 30, 75: 7, 76: 5}[attribute]

    def cuDeviceTotalMem_v2(self, out: Any, device: int) -> None:
        out[0] = self.memory_bytes

    def cuDevicePrimaryCtxRetain(self, out: Any, device: int) -> None:
        self.references += 1
        out[0] = 0x77

    def cuDevicePrimaryCtxRelease_v2(self, device: int) -> None:
        self.references -= 1

    def cuCtxPushCurrent_v2(self, context: int) -> None:
        self.current().append(context)

    def cuCtxPopCurrent_v2(self, out: Any) -> None:
        out[0] = self.current().pop()

    def cuMemAlloc_v2(self, out: Any, n_bytes: int) -> int:
        if self._recording():
            return UNSUPPORTED
        self._next += 16
        out[0] = DEVICE_BASE + (self._next << 20)
        self.device_memory[out[0]] = bytearray(b"\xbd" * n_bytes)
        return 0

    def cuMemFree_v2(self, address: int) -> None:
        self._unused("cuMemFree_v2")
        del self.device_memory[address]

    def cuMemHostAlloc(self, out: Any, n_bytes: int, flags: int) -> int:
        if self._recording():
            return UNSUPPORTED
        buffer = ctypes.create_string_buffer(b"\xbd" * n_bytes, n_bytes)
        out[0] = ctypes.addressof(buffer)
        self.host_memory[out[0]] = buffer
        return 0

    def cuMemFreeHost(self, address: int) -> None:
        self._unused("cuMemFreeHost")
        del self.host_memory[address]

    def cuMemcpyHtoDAsync_v2(self, to: int, source: int, n_bytes: int, stream: int) -> int:
        if source not in self.host_memory:
            return INVALID_VALUE
        self.give(stream, lambda: self.at(to, n_bytes).__setitem__(slice(None), ctypes.string_at(source, n_bytes)))
        return 0

    def cuMemcpyDtoHAsync_v2(self, to: int, source: int, n_bytes: int, stream: int) -> int:
        if to not in self.host_memory:
            return INVALID_VALUE
        self.give(stream, lambda: ctypes.memmove(to, bytes(self.at(source, n_bytes)), n_bytes))
        return 0

    def cuStreamCreate(self, out: Any, flags: int) -> None:
        self._handle(out, _Stream())

    def cuStreamDestroy_v2(self, stream: int) -> None:
        self._unused("cuStreamDestroy_v2")
        del self.things[stream]

    def cuStreamBeginCapture_v2(self, stream: int, mode: int) -> None:
        assert self.stream(stream).recorded is None
        self.stream(stream).recorded = []

    def cuStreamEndCapture(self, stream: int, out: Any) -> None:
        recorded = self.stream(stream).recorded
        assert recorded is not None
        self._handle(out, tuple(recorded))
        self.stream(stream).recorded = None

    def cuGraphInstantiateWithFlags(self, out: Any, graph: int, flags: int) -> None:
        self._handle(out, list(self.things[graph]))

    def cuGraphDestroy(self, graph: int) -> None:
        assert isinstance(self.things.pop(graph), tuple)

    def cuGraphExecDestroy(self, graph: int) -> None:
        self._unused("cuGraphExecDestroy")
        assert isinstance(self.things.pop(graph), list)

    def cuGraphLaunch(self, graph: int, stream: int) -> None:
        for work in self.things[graph]:
            self.give(stream, work)

    def cuEventCreate(self, out: Any, flags: int) -> None:
        self._handle(out, {})

    def cuEventDestroy_v2(self, event: int) -> None:
        del self.things[event]

    def cuEventRecord(self, event: int, stream: int) -> int:
        if self.stream(stream).recorded is not None:
            return UNSUPPORTED
        self.things[event]["after"] = (stream, len(self.stream(stream).waiting))
        return 0

    def cuEventSynchronize(self, event: int) -> None:
        stream, count = self.things[event]["after"]
        waiting = self.stream(stream).waiting
        for work in waiting[:count]:
            work()
        del waiting[:count]


# ---- TensorRT ----


class State:
    """What a stand-in module was asked. builds: the options of each.  live: objects by class."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.fail_at, self.raises = 0, False  # else None or False comes back
        self.refuses: set[str] = set()
        self.calls: list[str] = []
        self.builds: list[dict[str, Any]] = []
        self.live: Counter[str] = Counter()
        self.loses: set[bytes] = set()  # plans that cannot be deserialised
        self.starts = True  # else its runtime logs an error

    def left(self) -> dict[str, int]:
        return {name: count for name, count in self.live.items() if count}


def _counted(failing: Any = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A method whose call may fail: it raises, or returns `failing`."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(self: Any, *arguments: Any, **named: Any) -> Any:
            inspect.signature(method).bind(self, *arguments, **named)
            state = self._state
            name = f"{type(self).__name__}.{method.__name__}"
            state.calls.append(name)
            if not state.cuda.current():
                state.cuda.faults.append(f"{name} without a context")
            if len(state.calls) == state.fail_at or name in state.refuses:
                if state.raises or method.__name__ == "__init__" or failing is ...:
                    # What pybind11 says of a factory without a result.
                    error = TypeError if method.__name__ == "__init__" else RuntimeError
                    raise error(f"{name} of the stand-in")
                return failing
            return method(self, *arguments, **named)

        return call

    return decorate


def fake_tensorrt(cuda: FakeCuda, version: str = "11.4.0.106", typed: int | None = 0) -> tuple[Any, State]:
    """A module, and what it was asked. typed: the number of the flag STRONGLY_TYPED; None: there is none."""
    state = State(cuda)
    trt: Any = types.ModuleType("tensorrt")
    trt.__version__, trt.__spec__ = version, importlib.machinery.ModuleSpec("tensorrt", None)

    class _Made:
        _state = state

        def _begin(self, parent: Any = None) -> None:
            self._lives, self._children = True, [0]
            self._siblings = [0] if parent is None else parent._children
            self._siblings[0] += 1
            state.live[type(self).__name__] += 1

        def __del__(self) -> None:
            if not getattr(self, "_lives", False):
                return
            name = type(self).__name__
            state.live[name] -= 1
            self._siblings[0] -= 1
            if not cuda.current():
                cuda.faults.append(f"{name} goes without a context")
            if self._children[0]:
                cuda.faults.append(f"{name} goes before what was made of it")

    class TensorIOMode(Enum):
        NONE, INPUT, OUTPUT = range(3)

    class TensorLocation(Enum):
        DEVICE, HOST = range(2)

    class DataType(Enum):
        FLOAT, HALF, INT8, INT32, BOOL, INT64 = range(6)

    class MemoryPoolType(Enum):
        WORKSPACE = 0

    class BuilderFlag(Enum):
        TF32 = 7

    class NetworkDefinitionCreationFlag:
        if typed is not None:
            STRONGLY_TYPED = typed

    class ILogger:
        class Severity(Enum):
            INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

        def __init__(self) -> None:
            self.ready = True

        def log(self, severity: Any, msg: str) -> None:
            raise AssertionError("a logger has its own")

    types_of = {onnx.TensorProto.FLOAT: DataType.FLOAT, onnx.TensorProto.FLOAT16: DataType.HALF}

    class ITensor:
        def __init__(self, value: Any, lengths: dict[str, int]) -> None:
            kind = value.type.tensor_type
            self.name = value.name
            self._dims, self._lengths = kind.shape.dim, lengths
            self.dtype = types_of.get(kind.elem_type, DataType.INT64)

        @property
        def shape(self) -> tuple[int, ...]:
            return tuple(
                dim.dim_value if dim.HasField("dim_value") else self._lengths.get(dim.dim_param, -1)
                for dim in self._dims
            )

        @shape.setter
        def shape(self, shape: tuple[int, ...]) -> None:
            """Of an input; what is made of it follows."""
            for dim, length in zip(self._dims, shape, strict=True):
                if dim.HasField("dim_param"):
                    self._lengths[dim.dim_param] = length

    class INetworkDefinition(_Made):
        def __init__(self) -> None:
            self._begin()
            self.onnx, self._inputs, self._outputs = b"", [], []
            self.lengths: dict[str, int] = {}  # of what is open, by name

        @property
        def num_inputs(self) -> int:
            return len(self._inputs)

        @property
        def num_outputs(self) -> int:
            return len(self._outputs)

        @_counted()
        def get_input(self, index: int) -> Any:
            return self._inputs[index]

        @_counted()
        def get_output(self, index: int) -> Any:
            return self._outputs[index]

        def take(self, data: bytes) -> None:
            graph = onnx.load_from_string(data).graph
            self.onnx = data
            self._inputs, self._outputs = (
                [ITensor(v, self.lengths) for v in values] for values in (graph.input, graph.output)
            )

        def fixed(self) -> bytes | None:
            """Its ONNX with the lengths that it was given; None where one is open, which would need a profile."""
            model = onnx.load_from_string(self.onnx)
            for value in (*model.graph.input, *model.graph.output):
                for dim in value.type.tensor_type.shape.dim:
                    if dim.HasField("dim_param"):
                        if dim.dim_param not in self.lengths:
                            return None
                        dim.dim_value = self.lengths[dim.dim_param]
            data: bytes = model.SerializeToString()
            return data

    class ParserError:
        def desc(self) -> str:
            return "no model of the stand-in's"

        def node(self) -> int:
            return -1

    class OnnxParser(_Made):
        @_counted()
        def __init__(self, network: Any, logger: Any) -> None:
            assert logger.ready
            self._begin()
            self._network, self.num_errors = network, 0

        @_counted(False)
        def parse(self, model: bytes, path: str | None = None) -> bool:
            try:
                self._network.take(model)
            except Exception:
                self.num_errors = 1
            return not self.num_errors

        @_counted(...)
        def get_error(self, index: int) -> ParserError:
            return ParserError()

    class IBuilderConfig(_Made):
        def __init__(self) -> None:
            self._begin()
            self.options: dict[str, Any] = {"TF32": True}
            self.max_aux_streams, self.builder_optimization_level = 7, 3

        @_counted(...)
        def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
            self.options[pool.name] = pool_size

        @_counted(...)
        def clear_flag(self, flag: Any) -> None:
            self.options[flag.name] = False

    class Builder(_Made):
        @_counted()
        def __init__(self, logger: Any) -> None:
            assert logger.ready
            self._begin()
            self._logger, self._flags = logger, 0

        @_counted()
        def create_network(self, flags: int = 0) -> Any:
            self._flags = flags
            return INetworkDefinition()

        @_counted()
        def create_builder_config(self) -> Any:
            return IBuilderConfig()

        @_counted()
        def build_serialized_network(self, network: Any, config: Any) -> Any:
            state.builds.append(
                {
                    **config.options, "flags": self._flags, "aux": config.max_aux_streams,
                    "level": config.builder_optimization_level,
                }
            )  # fmt: skip
            self._logger.log(ILogger.Severity.WARNING, "a warning of no account")
            fixed = network.fixed()
            return None if fixed is None else memoryview(MARK + fixed)

    class IExecutionContext(_Made):
        def __init__(self, engine: Any) -> None:
            self._begin(engine)
            self._session, self._addresses, self._ran = engine._session, {}, False

        @_counted(False)
        def set_tensor_address(self, name: str, memory: int) -> bool:
            self._addresses[name] = memory
            return True

        @_counted(False)
        def execute_async_v3(self, stream_handle: int) -> bool:
            inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
            if set(self._addresses) != {one.name for one in (*inputs, *outputs)}:
                return False
            if not self._ran and cuda.stream(stream_handle).recorded is not None:
                return False  # it allocates when it runs for the first time
            self._ran = True
            session, addresses = self._session, dict(self._addresses)

            def view(one: Any) -> np.ndarray:
                n_bytes = 4 * int(np.prod(one.shape))
                return np.frombuffer(cuda.at(addresses[one.name], n_bytes), np.float32).reshape(one.shape)

            def work() -> None:
                made = session.run([one.name for one in outputs], {one.name: view(one).copy() for one in inputs})
                for one, value in zip(outputs, made, strict=True):
                    view(one)[...] = value

            cuda.give(stream_handle, work)
            return True

    class ICudaEngine(_Made):
        def __init__(self, runtime: Any, data: bytes) -> None:
            self._begin(runtime)
            self._session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
            inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
            modes = {TensorIOMode.INPUT: inputs, TensorIOMode.OUTPUT: outputs}
            self._tensors = {one.name: (one, mode) for mode, ones in modes.items() for one in ones}

        @property
        def num_io_tensors(self) -> int:
            return len(self._tensors)

        @_counted(...)
        def get_tensor_name(self, index: int) -> str:
            return list(self._tensors)[index]

        @_counted(TensorIOMode.NONE)
        def get_tensor_mode(self, name: str) -> TensorIOMode:
            return self._tensors[name][1]

        @_counted((-1,))
        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return tuple(self._tensors[name][0].shape)

        @_counted(DataType.HALF)
        def get_tensor_dtype(self, name: str) -> DataType:
            return DataType.FLOAT if self._tensors[name][0].type == "tensor(float)" else DataType.HALF

        @_counted(TensorLocation.HOST)
        def get_tensor_location(self, name: str) -> TensorLocation:
            return TensorLocation.DEVICE

        @_counted()
        def create_execution_context(self) -> Any:
            return IExecutionContext(self)

    class Runtime(_Made):
        @_counted()
        def __init__(self, logger: Any) -> None:
            assert logger.ready
            self._begin()
            if not state.starts:
                logger.log(ILogger.Severity.ERROR, "CUDA initialization failure with error: 35")

        @_counted()
        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
            assert state.starts, "the process ends here"
            data = bytes(serialized_engine)
            return None if not data.startswith(MARK) or data in state.loses else ICudaEngine(self, data[len(MARK) :])

    for one in list(locals().values()):
        if inspect.isclass(one) and one is not _Made:
            setattr(trt, one.__name__, one)
    return trt, state
