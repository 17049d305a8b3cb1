# SPDX-License-Identifier: Apache-2.0
"""Engines that run graphs, each imported when it is used. One more is a module with open_engine(), and a line here."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from types import MappingProxyType

from .base import Engine, Graph, GraphError, GraphSpec

# What has to be installed for each, by name, in the order in which "auto" tries them.
ENGINES: Mapping[str, str] = MappingProxyType({"onnxruntime": "onnxruntime", "openvino": "openvino"})


def installed(name: str) -> bool:
    return importlib.util.find_spec(ENGINES[name]) is not None


def open_engine(name: str, threads: int) -> Engine:
    """Raises ImportError where it is not installed, or does not fit this machine."""
    if name == "openvino":
        from . import openvino

        return openvino.open_engine(threads)
    from . import onnx_runtime

    return onnx_runtime.open_engine(threads)


__all__ = ["ENGINES", "Engine", "Graph", "GraphError", "GraphSpec", "installed", "open_engine"]
