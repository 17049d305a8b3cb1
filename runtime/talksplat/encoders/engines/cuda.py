# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on an NVIDIA GPU (the package onnxruntime-gpu): Turing and later, in fp16 and in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..._text import shortened
from .base import Engine, EngineMissing, Graph, GraphError, GraphSpec
from .nvidia import TOGETHER, package_folders, preload, require_gpu
from .onnx_runtime import quiet_options, require_described

NAME = "cuda"
PROVIDER = "CUDAExecutionProvider"
# Work is captured once and launched as one graph, which nodes that stay on the CPU would not allow; sums of float32 are
# of float32, which TF32's are not.
OPTIONS = {"device_id": "0", "use_tf32": "0", "do_copy_in_default_stream": "1"}
CAPTURED = {"enable_cuda_graph": "1"}
LIBRARIES = ("libcudart.so.*", "libnvrtc.so.*", "libcublasLt.so.*", "libcublas.so.*", "libcufft.so.*",
             "libcurand.so.*", "libcudnn*.so.*")  # fmt: skip


def open_engine(threads: int) -> Engine:
    """Raises ImportError where this machine or the package that is installed has no use of a GPU."""
    require_gpu()
    import onnxruntime

    if PROVIDER not in onnxruntime.get_available_providers():
        raise ImportError(
            f"the ONNX Runtime {onnxruntime.__version__} that is installed is that of the CPU: pip uninstall "
            "onnxruntime, then pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    for inside in (("cu13", "lib"), *((name, "lib") for name in ("cublas", "cudnn", "cufft", "curand"))):
        preload(package_folders("nvidia", *inside), *LIBRARIES)

    def load(path: Path, spec: GraphSpec, precision: str) -> Graph:
        return _load(path, spec)

    return Engine(NAME, onnxruntime.__version__, {"fp16": "fp16", "fp32": "fp32"}, threads, load, together=TOGETHER)


def _load(path: Path, spec: GraphSpec) -> Graph:
    try:
        return _open(path, spec, {**OPTIONS, **CAPTURED})
    except GraphError:
        raise
    except Exception:  # a graph that cannot be captured is run node by node
        try:
            return _open(path, spec, OPTIONS)
        except GraphError:
            raise
        except Exception as error:  # its exceptions have no class in common
            raise EngineMissing(f"cannot be loaded by ONNX Runtime on the GPU: {shortened(str(error))}") from None


def _open(path: Path, spec: GraphSpec, options: dict[str, str]) -> Graph:
    import onnxruntime

    # Left to itself it would say on the standard output that it goes to the CPU, and go there.
    session = onnxruntime.InferenceSession(
        str(path), quiet_options(1, spec), providers=[(PROVIDER, options)], enable_fallback=0
    )
    if PROVIDER not in session.get_providers():
        raise EngineMissing(
            "is not run on the GPU: ONNX Runtime finds no CUDA 13 or cuDNN 9 "
            "(pip install 'onnxruntime-gpu[cuda,cudnn]')"
        )
    require_described(session, spec)
    graph = _OnGpu(session, spec)
    if "enable_cuda_graph" in options:
        graph.run()  # which captures it, or fails
    return graph


class _OnGpu(Graph):
    """Inputs and outputs have memory of the GPU that stays, as a captured graph needs."""

    def __init__(self, session: Any, spec: GraphSpec) -> None:
        import onnxruntime

        super().__init__(spec)
        self._session = session
        self._binding = session.io_binding()
        value = onnxruntime.OrtValue
        self._taken = {name: value.ortvalue_from_numpy(array, "cuda", 0) for name, array in self.inputs.items()}
        self._made = {
            name: value.ortvalue_from_shape_and_type(list(array.shape), np.float32, "cuda", 0)
            for name, array in self.outputs.items()
        }
        for name, there in self._taken.items():
            self._binding.bind_ortvalue_input(name, there)
        for name, there in self._made.items():
            self._binding.bind_ortvalue_output(name, there)

    def run(self) -> None:
        for name, there in self._taken.items():
            there.update_inplace(self.inputs[name])
        self._session.run_with_iobinding(self._binding)
        for name, there in self._made.items():
            self.outputs[name][...] = there.numpy()
