# SPDX-License-Identifier: Apache-2.0
"""The kernels of kernels/triton under Triton's interpreter, as the tests' driver launches them."""

from __future__ import annotations

import ctypes
import importlib
import os
from typing import Any

# void (const char* kernel, const void* jobs, unsigned grid_x, unsigned grid_y), tests/simt/fake_cuda.h
Interpreter = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)

_kept: list[Any] = []  # what the driver calls must not end before it


def interpret(driver: str) -> None:
    """Lets the tests' driver, a path, run the kernels themselves in the place of their stand-ins."""
    os.environ["TRITON_INTERPRET"] = "1"
    import aot

    kernels = {
        spec.kernel: (getattr(importlib.import_module(aot.MODULES[spec.kernel]), spec.kernel), spec.constants)
        for spec in aot.SPECIALISATIONS
    }

    @Interpreter
    def run(kernel: bytes, jobs: int, grid_x: int, grid_y: int) -> None:
        function, constants = kernels[kernel.decode()]
        function[(grid_x, grid_y)](jobs, *constants)

    _kept.append(run)
    ctypes.CDLL(driver).fake_cuda_interpret(run)
