# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime with a GPU that is the CPU: a module in the place of `onnxruntime`, for the engines that use its CUDA
provider or a plug-in. What it does for them is what the real package says of these functions; what it does not have
they cannot use."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from talksplat.encoders import engines
from talksplat.encoders.engines import cuda, nvidia, tensorrt_rtx

CARD = {"name": "NVIDIA GeForce RTX 2060", "capability": 75, "bytes": 6 << 30}
RTX = "NvTensorRTRTXExecutionProvider"


class Gpu:
    """What happened, and what goes wrong."""

    def __init__(self) -> None:
        self.runs = 0
        self.fails_from: int | None = None  # the run from which on every one fails
        self.captures = True
        self.full = False  # no session fits into its memory
        self.has_libraries = True
        self.libraries: list[str] = []  # plug-ins that were registered
        self.devices = 1  # that they find
        self.options: list[dict[str, str]] = []  # of each provider that was opened
        self.scale = 1.0  # of what it computes


class Value:
    """An OrtValue in the GPU's memory: out of reach of who keeps the array that it was made of."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array.copy()

    @classmethod
    def ortvalue_from_numpy(cls, array: np.ndarray, device: str, number: int) -> Value:
        assert (device, number) == ("cuda", 0)
        return cls(array)

    @classmethod
    def ortvalue_from_shape_and_type(cls, shape: list[int], dtype: type, device: str, number: int) -> Value:
        assert (device, number) == ("cuda", 0)
        return cls(np.full(shape, np.nan, dtype))

    def update_inplace(self, array: np.ndarray) -> None:
        assert array.shape == self._array.shape and array.dtype == self._array.dtype
        self._array[...] = array

    def numpy(self) -> np.ndarray:
        return self._array.copy()


class Options:
    def __init__(self) -> None:
        self.real = onnxruntime.SessionOptions()
        self.provider: tuple[str, dict[str, str]] | None = None
        self.entries: dict[str, str] = {}
        self.intra_op_num_threads = self.inter_op_num_threads = self.log_severity_level = 0

    def add_session_config_entry(self, name: str, value: str) -> None:
        self.entries[name] = value
        if name != "session.disable_cpu_ep_fallback":
            self.real.add_session_config_entry(name, value)

    def add_free_dimension_override_by_name(self, name: str, value: int) -> None:
        self.real.add_free_dimension_override_by_name(name, value)

    def add_provider_for_devices(self, devices: list[Any], options: dict[str, str]) -> None:
        assert devices
        self.provider = (devices[0].ep_name, options)


class Binding:
    def __init__(self, real: Any) -> None:
        self.real = real
        self.inputs: dict[str, Value] = {}
        self.outputs: dict[str, Value] = {}

    def bind_ortvalue_input(self, name: str, value: Value) -> None:
        self.inputs[name] = value

    def bind_ortvalue_output(self, name: str, value: Value) -> None:
        self.outputs[name] = value

    def bind_input(self, *arguments: Any) -> None:
        self.real.bind_input(*arguments)

    def bind_output(self, *arguments: Any) -> None:
        self.real.bind_output(*arguments)


def stand_in(gpu: Gpu, providers: tuple[str, ...] = ("CUDAExecutionProvider",)) -> ModuleType:
    """The module."""

    class Session:
        def __init__(
            self, path: str, options: Options, providers: list[Any] | None = None, enable_fallback: int = 1
        ) -> None:
            if providers is not None and providers[0] == "CPUExecutionProvider":
                self._provider = None
            else:
                self._provider, told = options.provider or providers[0]  # type: ignore[index]
                gpu.options.append(told)
                assert not enable_fallback  # the real one would print, and go to the CPU
                if gpu.full:
                    raise RuntimeError("CUDA failure 2: out of memory")
                if providers is None and not gpu.has_libraries:
                    assert options.entries["session.disable_cpu_ep_fallback"] == "1"
                    raise RuntimeError("This session contains graph nodes that are assigned to the default CPU EP")
                if told.get("enable_cuda_graph") == "1" and not gpu.captures:
                    raise RuntimeError("This session cannot use the graph capture feature as requested")
            self._real = onnxruntime.InferenceSession(path, options.real, providers=["CPUExecutionProvider"])

        def get_providers(self) -> list[str]:
            on_gpu = [self._provider] if self._provider and gpu.has_libraries else []
            return [*on_gpu, "CPUExecutionProvider"]

        def get_inputs(self) -> list[Any]:
            return list(self._real.get_inputs())

        def get_outputs(self) -> list[Any]:
            return list(self._real.get_outputs())

        def io_binding(self) -> Binding:
            return Binding(self._real.io_binding())

        def run_with_iobinding(self, binding: Binding) -> None:
            if self._provider:
                gpu.runs += 1
                if gpu.fails_from is not None and gpu.runs >= gpu.fails_from:
                    raise RuntimeError("CUDA failure 719: unspecified launch failure")
            if not binding.inputs:
                self._real.run_with_iobinding(binding.real)
                return
            made = self._real.run(None, {name: value.numpy() for name, value in binding.inputs.items()})
            for output, array in zip(self._real.get_outputs(), made, strict=True):
                binding.outputs[output.name].update_inplace((array * gpu.scale).astype(np.float32))

    def register(name: str, path: str) -> None:
        assert path.endswith("plugin.so") and name not in gpu.libraries
        gpu.libraries.append(name)

    def devices() -> list[Any]:
        return [SimpleNamespace(ep_name=name) for name in gpu.libraries for _ in range(gpu.devices)]

    module = ModuleType("onnxruntime")
    for name, value in {
        "__version__": "1.31.0", "InferenceSession": Session, "SessionOptions": Options, "OrtValue": Value,
        "get_available_providers": lambda: [*providers, "CPUExecutionProvider"], "get_ep_devices": devices,
        "register_execution_provider_library": register,
    }.items():  # fmt: skip
        setattr(module, name, value)
    return module


def plugin() -> ModuleType:
    """In the place of onnxruntime_ep_nv_tensorrt_rtx."""
    module = ModuleType("onnxruntime_ep_nv_tensorrt_rtx")
    for name, value in {
        "__version__": "0.5.0", "get_ep_name": lambda: RTX, "get_library_path": lambda: "/nowhere/plugin.so",
    }.items():  # fmt: skip
        setattr(module, name, value)
    return module


def system(*gpus: dict[str, Any], why: str = "") -> Any:
    """In the place of the core, as far as it is asked for GPUs."""
    return SimpleNamespace(system_info=lambda: {"gpus": list(gpus), "why_no_gpu": why, "driver_version": 13000})


def plug(patch: pytest.MonkeyPatch) -> Gpu:
    """A GPU, for the engines that use ONNX Runtime on one."""
    gpu = Gpu()
    patch.setattr(nvidia, "_core", system(CARD))
    patch.setitem(sys.modules, "onnxruntime", stand_in(gpu))
    patch.setitem(sys.modules, tensorrt_rtx.PACKAGE, plugin())
    patch.setattr(tensorrt_rtx, "_registered", set())
    for module in (cuda, tensorrt_rtx):
        patch.setattr(module, "package_folders", lambda *names: [])
    patch.setattr(engines, "installed", lambda name: name in ("onnxruntime", "cuda", "tensorrt-rtx"))
    return gpu
