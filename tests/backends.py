# SPDX-License-Identifier: Apache-2.0
"""The backends that a test body runs on: the CPU's instruction sets, and the devices that come to stand beside them."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

import talksplat
from talksplat import _core

ISAS = ("scalar", "avx2", "avx512", "neon")


@dataclass(frozen=True)
class Backend:
    """name: for messages.  device, isa: as in talksplat.Engine.  precision: what it is tested in where a test does not
    say; None for the device's own, which is that of the oracle on a CPU.  setting: of the environment, "NAME=VALUE",
    while the engine is made."""

    name: str
    device: str
    isa: str | None
    precision: str | None = None
    setting: str | None = None

    def __str__(self) -> str:
        return self.name

    def engine(self, threads: int = 1) -> talksplat.Engine:
        if self.setting is None:
            return talksplat.Engine(self.device, threads, isa=self.isa)
        name, _, value = self.setting.partition("=")
        before = os.environ.get(name)
        os.environ[name] = value
        try:
            return talksplat.Engine(self.device, threads, isa=self.isa)
        finally:
            os.environ.pop(name)
            if before is not None:
                os.environ[name] = before


CUDA = Backend("cuda", "cuda", None, "reference")
BACKENDS = (*(Backend(isa, "cpu", isa) for isa in ISAS), CUDA)
# Those that share others' kernels but for deform's matrix products.
DEFORM_BACKENDS = (
    *BACKENDS,
    *(Backend(isa, "cpu", isa) for isa in ("avx512_bf16", "avx512_amx")),
    Backend("cuda fast", "cuda", None, "fast", "TALKSPLAT_DEFORM=cuda"),
    Backend("triton", "cuda", None, "fast", "TALKSPLAT_DEFORM=triton"),
)
# The voice has another kernel beside the hand-written one.
ENCODE_BACKENDS = (*BACKENDS, Backend("triton", "cuda", None, "reference", "TALKSPLAT_ENCODE=triton"))


def missing(backend: Backend) -> str:
    """Why this machine and build cannot run it; "" if they can."""
    if backend.device == "cuda":
        reason = str(_core.system_info()["why_no_gpu"])
        if reason or backend.setting is None:
            return reason
        try:
            backend.engine()
        except talksplat.DeviceError as error:
            return str(error)
        return ""
    present = _core.isa_names()
    return "" if backend.isa in present else f"{backend} is not available here (available: {', '.join(present)})"


def present_backends() -> list[Backend]:
    return [backend for backend in BACKENDS if not missing(backend)]


@functools.lru_cache(maxsize=8)
def engine_of(backend: Backend | None, threads: int = 1) -> talksplat.Engine:
    """None: the one that users get. Kept: tests draw thousands of pictures on a few of them."""
    return talksplat.Engine(threads=threads) if backend is None else backend.engine(threads)


def load(path: object, backend: Backend | None = None, threads: int = 1) -> talksplat.Avatar:
    precision = None if backend is None else backend.precision
    return talksplat.load(str(path), precision=precision, engine=engine_of(backend, threads))
