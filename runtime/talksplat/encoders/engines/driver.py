# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's driver by ctypes, for engines whose libraries leave memory and streams to their caller.

The driver is asked first of all: a library that is built on it may end the process where there is none.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any, NamedTuple

import numpy as np

from ..._arrays import FloatArray
from ..._text import shortened

# Values are those of cuda.h.
_MULTIPROCESSORS, _MAJOR, _MINOR = 16, 75, 76
_NO_DEVICE, _DRIVER_MISMATCH = 100, 803
_NON_BLOCKING = 1  # stream: does not wait for the default one, which others use
_CAPTURE_THREAD_LOCAL = 1  # what other threads do meanwhile spoils nothing
_BLOCKING_SYNC, _DISABLE_TIMING = 1, 2  # event
_NAME_BYTES = 256

_FUNCTIONS: Mapping[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDeviceTotalMem_v2": (POINTER(c_size_t), c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuDevicePrimaryCtxRelease_v2": (c_int,),
    "cuCtxPushCurrent_v2": (c_void_p,),
    "cuCtxPopCurrent_v2": (POINTER(c_void_p),),
    "cuMemAlloc_v2": (POINTER(c_uint64), c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemHostAlloc": (POINTER(c_void_p), c_size_t, c_uint),
    "cuMemFreeHost": (c_void_p,),
    "cuMemcpyHtoDAsync_v2": (c_uint64, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, c_uint64, c_size_t, c_void_p),
    "cuStreamCreate": (POINTER(c_void_p), c_uint),
    "cuStreamDestroy_v2": (c_void_p,),
    "cuStreamBeginCapture_v2": (c_void_p, c_int),
    "cuStreamEndCapture": (c_void_p, POINTER(c_void_p)),
    "cuGraphInstantiateWithFlags": (POINTER(c_void_p), c_void_p, c_uint64),
    "cuGraphDestroy": (c_void_p,),
    "cuGraphExecDestroy": (c_void_p,),
    "cuGraphLaunch": (c_void_p, c_void_p),
    "cuEventCreate": (POINTER(c_void_p), c_uint),
    "cuEventDestroy_v2": (c_void_p,),
    "cuEventRecord": (c_void_p, c_void_p),
    "cuEventSynchronize": (c_void_p,),
}


class CudaError(RuntimeError):
    """A call that the driver refused: the message has the call and the code."""

    def __init__(self, call: str, code: int, text: str) -> None:
        super().__init__(f"{call} failed: {text}")
        self.call, self.code = call, code


class Gpu(NamedTuple):
    """What a plan depends on. capability: as "7.5".  memory_bytes: all of it."""

    name: str
    capability: str
    multiprocessors: int
    memory_bytes: int


def driver_functions() -> Mapping[str, Callable[..., int]]:
    """Those of libcuda.so.1 (nvcuda.dll on Windows), or of what TALKSPLAT_LIBCUDA names. Raises OSError."""
    chosen = os.environ.get("TALKSPLAT_LIBCUDA")
    try:
        if sys.platform == "win32":
            library: Any = ctypes.WinDLL(chosen or "nvcuda.dll")
        else:
            library = ctypes.CDLL(chosen or "libcuda.so.1")
    except OSError as error:
        if chosen:
            raise OSError(
                f"TALKSPLAT_LIBCUDA is {shortened(chosen)}, which cannot be loaded: {shortened(str(error))}. Unset it "
                "to use the machine's own driver"
            ) from None
        raise OSError(f"this machine has no NVIDIA driver ({shortened(str(error))})") from None
    found = {}
    for name, parameters in _FUNCTIONS.items():
        function = getattr(library, name, None)
        if function is None:
            raise OSError(f"the NVIDIA driver has no {name}. Install a newer one")
        function.argtypes, function.restype = parameters, c_int
        found[name] = function
    return found


def open_driver() -> Driver:
    """The driver, started, with a GPU. Raises OSError, whose message says what is missing."""
    driver = Driver(driver_functions())
    try:
        driver.call("cuInit", 0)
        count = driver.value("cuDeviceGetCount", c_int)
    except CudaError as error:
        if error.code == _DRIVER_MISMATCH:
            raise OSError(
                f"the NVIDIA driver was updated and its old kernel module still runs: {error}. Restart the machine"
            ) from None
        if error.code != _NO_DEVICE:
            raise OSError(f"the NVIDIA driver does not start: {error}. See whether nvidia-smi works") from None
        count = 0
    if count < 1:
        raise OSError(
            "the NVIDIA driver finds no GPU. Look at what nvidia-smi says and at CUDA_VISIBLE_DEVICES"
        ) from None
    try:
        driver.version = driver.value("cuDriverGetVersion", c_int)
    except CudaError as error:
        raise OSError(f"the NVIDIA driver does not say its version: {error}") from None
    return driver


class Driver:
    """The driver's functions, each call checked. version: the newest CUDA that it serves; 13000 is 13.0."""

    def __init__(self, functions: Mapping[str, Callable[..., int]]) -> None:
        self._functions = functions
        self.version = 0

    def call(self, name: str, *arguments: Any) -> None:
        """Raises CudaError where the result is not CUDA_SUCCESS."""
        code = self._functions[name](*arguments)
        if code != 0:
            raise CudaError(name, code, self._text(code))

    def give_back(self, name: str, *arguments: Any) -> None:
        """A call that frees: nobody can do anything about its failure, and the next call tells of a lost GPU."""
        self._functions[name](*arguments)

    def value(self, name: str, kind: Any, *arguments: Any) -> Any:
        """What a call writes to its first argument, of that ctypes type."""
        made = kind()
        self.call(name, ctypes.pointer(made), *arguments)
        return made.value

    def _text(self, code: int) -> str:
        name, text = c_char_p(), c_char_p()
        known = self._functions["cuGetErrorName"](code, ctypes.pointer(name)) == 0 and name.value
        if not known:
            return f"error {code}"
        said = self._functions["cuGetErrorString"](code, ctypes.pointer(text)) == 0 and text.value
        return f"{known.decode()}, {code}" + (f" ({said.decode()})" if said else "")


class Context:
    """The primary context of a GPU, retained until nobody refers to this object: TensorRT works in the same one."""

    def __init__(self, driver: Driver, ordinal: int = 0) -> None:
        """ordinal: of those that CUDA_VISIBLE_DEVICES shows. Raises CudaError."""
        self.driver = driver
        device = driver.value("cuDeviceGet", c_int, ordinal)
        self.gpu = _gpu(driver, device)
        self._handle = driver.value("cuDevicePrimaryCtxRetain", c_void_p, device)
        release = weakref.finalize(self, driver.give_back, "cuDevicePrimaryCtxRelease_v2", device)
        release.atexit = False  # threads may still be in it then; the process gives everything back

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Calls of this thread are about this GPU. Raises CudaError."""
        self.driver.call("cuCtxPushCurrent_v2", self._handle)
        try:
            yield
        finally:
            self.driver.give_back("cuCtxPopCurrent_v2", ctypes.pointer(c_void_p()))

    # ---- all below: for a thread in which it is current ----

    def allocate(self, n_bytes: int) -> int:
        """The address of memory of the GPU. Raises CudaError."""
        return int(self.driver.value("cuMemAlloc_v2", c_uint64, n_bytes))

    def free(self, address: int) -> None:
        self.driver.give_back("cuMemFree_v2", address)

    def page_locked(self, shape: tuple[int, ...]) -> FloatArray:
        """Zeros in memory that copies reach by themselves; it is free once no array looks at it. Raises CudaError."""
        array: FloatArray = np.asarray(_PageLocked(self, shape))
        array[...] = 0
        return array


class _PageLocked:
    """float32 of a shape, C-contiguous; arrays made of it refer to it."""

    def __init__(self, context: Context, shape: tuple[int, ...]) -> None:
        n_bytes = max(1, math.prod(shape)) * np.dtype(np.float32).itemsize
        address = context.driver.value("cuMemHostAlloc", c_void_p, n_bytes, 0)
        self.__array_interface__ = {
            "shape": shape, "typestr": np.dtype(np.float32).str, "data": (address, False), "version": 3,
        }  # fmt: skip
        free = weakref.finalize(self, _free_page_locked, context, address)
        free.atexit = False


def _free_page_locked(context: Context, address: int) -> None:
    with contextlib.suppress(CudaError), context.current():
        context.driver.give_back("cuMemFreeHost", address)


class Stream:
    """Work of a GPU, one piece after the other, beside that of other streams. Its context must be current."""

    def __init__(self, context: Context) -> None:
        """Raises CudaError."""
        self._driver = context.driver
        self.handle: int = self._driver.value("cuStreamCreate", c_void_p, _NON_BLOCKING)
        try:
            # Waiting for the event sleeps; waiting for the stream would spin, on a CPU that has pictures to draw.
            self._done: int = self._driver.value("cuEventCreate", c_void_p, _BLOCKING_SYNC | _DISABLE_TIMING)
        except CudaError:
            self._driver.give_back("cuStreamDestroy_v2", self.handle)
            raise

    def close(self) -> None:
        self._driver.give_back("cuEventDestroy_v2", self._done)
        self._driver.give_back("cuStreamDestroy_v2", self.handle)

    def copy_in(self, address: int, array: FloatArray) -> None:
        """From page-locked memory, once its turn has come: the array must stay as it is until synchronise()."""
        self._driver.call("cuMemcpyHtoDAsync_v2", address, array.ctypes.data, array.nbytes, self.handle)

    def copy_out(self, array: FloatArray, address: int) -> None:
        """To page-locked memory, which has it after synchronise()."""
        self._driver.call("cuMemcpyDtoHAsync_v2", array.ctypes.data, address, array.nbytes, self.handle)

    def synchronise(self) -> None:
        """Waits until all work is done. Raises CudaError, also for what that work did."""
        self._driver.call("cuEventRecord", self._done, self.handle)
        self._driver.call("cuEventSynchronize", self._done)

    def capture(self, enqueue: Callable[[], None]) -> int:
        """Records what enqueue() puts into this stream instead of doing it: a graph for launch(), and for forget().

        Raises CudaError, or what enqueue() raises; the stream is as before then.
        """
        self._driver.call("cuStreamBeginCapture_v2", self.handle, _CAPTURE_THREAD_LOCAL)
        try:
            enqueue()
        except BaseException:
            graph = c_void_p()
            self._driver.give_back("cuStreamEndCapture", self.handle, ctypes.pointer(graph))
            if graph.value:
                self._driver.give_back("cuGraphDestroy", graph.value)
            raise
        graph = c_void_p()
        self._driver.call("cuStreamEndCapture", self.handle, ctypes.pointer(graph))
        try:
            return int(self._driver.value("cuGraphInstantiateWithFlags", c_void_p, graph.value, 0))
        finally:
            self._driver.give_back("cuGraphDestroy", graph.value)

    def launch(self, graph: int) -> None:
        self._driver.call("cuGraphLaunch", graph, self.handle)

    def forget(self, graph: int) -> None:
        self._driver.give_back("cuGraphExecDestroy", graph)


def _gpu(driver: Driver, device: int) -> Gpu:
    name = ctypes.create_string_buffer(_NAME_BYTES)
    driver.call("cuDeviceGetName", name, _NAME_BYTES, device)
    multiprocessors, major, minor = (
        driver.value("cuDeviceGetAttribute", c_int, attribute, device)
        for attribute in (_MULTIPROCESSORS, _MAJOR, _MINOR)
    )
    memory_bytes = driver.value("cuDeviceTotalMem_v2", c_size_t, device)
    return Gpu(name.value.decode(errors="replace"), f"{major}.{minor}", multiprocessors, memory_bytes)
