# SPDX-License-Identifier: Apache-2.0
"""Engines that run graphs, each imported when it is used. One more is a module with open_engine(), and a line here."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ..._text import shortened
from .base import Engine, EngineMissing, Graph, GraphError, GraphSpec


class Wanted(NamedTuple):
    """Of an engine: the module here that opens it, the package that must be importable, what pip installs for it, and
    whether it runs on a GPU."""

    module: str
    package: str
    install: str
    on_gpu: bool = False


# By name, in the order in which "auto" tries them.
ENGINES: Mapping[str, Wanted] = MappingProxyType(
    {
        "onnxruntime": Wanted("onnx_runtime", "onnxruntime", "onnxruntime"),
        "openvino": Wanted("openvino", "openvino", "openvino"),
        "cuda": Wanted("cuda", "onnxruntime", "'onnxruntime-gpu[cuda,cudnn]'", True),
        "tensorrt-rtx": Wanted(
            "tensorrt_rtx", "onnxruntime_ep_nv_tensorrt_rtx", "onnxruntime-ep-nv-tensorrt-rtx-cu13", True
        ),
        "tensorrt": Wanted("tensorrt", "tensorrt", "tensorrt-cu13", True),
    }
)


def installed(name: str) -> bool:
    return importlib.util.find_spec(ENGINES[name].package) is not None


def open_engine(name: str, threads: int) -> Engine:
    """Raises ImportError, whose message says why and what to do, where it is not installed or cannot be used here."""
    wanted = ENGINES[name]
    if not installed(name):
        raise ImportError(f"{name} is not installed (pip install {wanted.install})")
    try:
        opened: Engine = importlib.import_module(f".{wanted.module}", __name__).open_engine(threads)
        return opened
    except (ImportError, OSError, RuntimeError) as error:  # a wheel of another machine, libraries that are missing
        raise ImportError(f"{name} cannot be used here: {shortened(str(error))}") from None


def describe(threads: int = 1) -> dict[str, str]:
    """By engine: its version and precisions, or why it cannot be used here."""
    told = {}
    for name in ENGINES:
        try:
            engine = open_engine(name, threads)
            told[name] = f"{engine.version} ({', '.join(engine.precisions)})"
        except ImportError as error:
            told[name] = str(error).removeprefix(f"{name} ")
    return told


__all__ = [
    "ENGINES", "Engine", "EngineMissing", "Graph", "GraphError", "GraphSpec", "Wanted", "describe", "installed",
    "open_engine",
]  # fmt: skip
