# SPDX-License-Identifier: Apache-2.0
"""TensorRT-RTX, through ONNX Runtime's plug-in (the package onnxruntime-ep-nv-tensorrt-rtx-cu13, which carries it): RTX
30 and later, in fp16 and in float32. Kernels are made on the machine when a graph is loaded, and kept."""

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from typing import Any

from ..._text import shortened
from ..folder import cache_folder
from .base import Engine, EngineMissing, Graph, GraphSpec
from .engine_cache import CacheRefused, PlanCache, make_private
from .nvidia import TOGETHER, package_folders, preload, require_gpu
from .onnx_runtime import BoundOnCpu, quiet_options, require_described

NAME = "tensorrt-rtx"
PACKAGE = "onnxruntime_ep_nv_tensorrt_rtx"
CACHE_OPTION = "nv_runtime_cache_path"

_registering = threading.Lock()
_registered: set[str] = set()


def open_engine(threads: int) -> Engine:
    """Raises ImportError where the plug-in or a GPU that it can use is missing."""
    require_gpu()
    devices = _devices()
    version = str(importlib.import_module(PACKAGE).__version__)

    def load(path: Path, spec: GraphSpec, precision: str) -> Graph:
        return _load(path, spec, devices)

    return Engine(NAME, version, {"fp16": "fp16", "fp32": "fp32"}, threads, load, together=TOGETHER)


def _devices() -> list[Any]:
    # The package has CUDA's runtime beside it, under a name that the linker does not look for.
    preload(package_folders(PACKAGE), "libcudart.so.*")
    import onnxruntime

    plugin = importlib.import_module(PACKAGE)
    if not hasattr(onnxruntime, "register_execution_provider_library"):
        raise ImportError(
            f"ONNX Runtime {onnxruntime.__version__} takes no plug-ins: pip install --upgrade 'onnxruntime>=1.24'"
        )
    name = plugin.get_ep_name()
    with _registering:
        if name not in _registered:
            try:
                onnxruntime.register_execution_provider_library(name, plugin.get_library_path())
            except Exception as error:  # its exceptions have no class in common
                raise ImportError(f"its plug-in cannot be loaded: {shortened(str(error))}") from None
            _registered.add(name)
        found = [device for device in onnxruntime.get_ep_devices() if device.ep_name == name]
    if not found:
        raise ImportError("it finds no GPU that it can use; it needs an RTX 30 or newer, and a driver with CUDA 13")
    return found[:1]


def _load(path: Path, spec: GraphSpec, devices: list[Any]) -> Graph:
    import onnxruntime

    options = quiet_options(1, spec)
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")  # all of it, or nothing
    try:
        options.add_provider_for_devices(devices, _provider_options())
        session = onnxruntime.InferenceSession(str(path), options, enable_fallback=0)
    except Exception as error:  # its exceptions have no class in common
        raise EngineMissing(f"cannot be loaded by TensorRT-RTX: {shortened(str(error))}") from None
    require_described(session, spec)
    return BoundOnCpu(session, spec)


def _provider_options() -> dict[str, str]:
    """The plug-in reads code from this folder: one that others may write to is not given to it."""
    folder = cache_folder() / "engines" / NAME
    try:
        make_private(folder.parent)
        make_private(folder)
        PlanCache(folder.parent).require_private()
        PlanCache(folder).require_private()
    except (OSError, CacheRefused):
        return {}
    return {CACHE_OPTION: str(folder)}
