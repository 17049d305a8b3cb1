# SPDX-License-Identifier: Apache-2.0
"""Engines: a device with its threads and scratch memory."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Any, NoReturn
from weakref import WeakValueDictionary

from . import _core
from ._arrays import as_count, as_number
from ._told import Told
from .errors import DeviceError

PRECISIONS: dict[str, _core.Precision] = {
    "default": _core.Precision.DEFAULT,
    "reference": _core.Precision.REFERENCE,
    "fast": _core.Precision.FAST,
}

MAX_TIME_S = 4e9  # of a caller's clock: 2^62 ns
SETTINGS = ("TALKSPLAT_ISA", "TALKSPLAT_DEFORM", "TALKSPLAT_ENCODE")  # that an engine is made by
KEPT = 2  # engines are kept for the next call, the last used; each has its threads and its scratch memory


class Engine:
    """A device that draws: its threads and scratch memory, shared by all avatars that are loaded on it.

        engine = talksplat.Engine(threads=2)
        anna, ben = (talksplat.load(path, engine=engine) for path in ("anna.tsplat", "ben.tsplat"))

    device: "auto", "cpu", "cuda" (the first NVIDIA GPU) or "cuda:N". "auto" is a GPU if there is one that this build
    has kernels for, else the CPU; a GPU that fails or has too little memory is given up for the CPU, in that very call,
    and `note` says why. A device that is asked for by name never becomes another: its failures are raised.
    threads: CPU threads, 0 for one per CPU; pictures do not depend on it.
    isa: instruction set of the CPU's kernels; None for TALKSPLAT_ISA if that is set, else the widest that the CPU has.
    On the CPU frames of one engine are drawn one at a time, each by all its threads; on a GPU several together.
    Raises DeviceError for a device that this build or machine lacks, and ValueError for arguments.
    """

    def __init__(self, device: str = "auto", threads: int = 0, isa: str | None = None) -> None:
        # The core would end a string at a NUL, and reads UTF-8, which has no lone surrogates.
        if not isinstance(device, str) or not device.isprintable():
            raise ValueError(f'Engine: device must be "auto", "cpu", "cuda" or "cuda:N"; got {device!r}.')
        if isa is not None and (not isinstance(isa, str) or not isa.isprintable()):
            raise ValueError(f"Engine: isa must be the name of an instruction set or None; got {isa!r}.")
        self._core = _core.Engine(as_count("Engine: threads", threads, 0), device, isa)

    def __reduce__(self) -> NoReturn:
        raise TypeError("Engine: its threads cannot be pickled or copied. Make an engine in the other process.")

    def __repr__(self) -> str:
        return f"Engine({self.device!r}, threads={self.threads}, isa={self.isa!r})"

    @property
    def device(self) -> str:
        """Where frames are drawn: "cpu", "cuda:0", ..."""
        return self._core.device

    @property
    def device_name(self) -> str:
        """The GPU's, as its maker calls it; "" for the CPU."""
        return self._core.device_name

    @property
    def note(self) -> str:
        """With device="auto", why the CPU draws: what is wrong with GPUs, or with the one that drew before. Else ""."""
        return self._core.note

    def _drawn_by(self) -> dict[str, str]:
        """device, device_name and note; nothing in a child of fork(), where it draws nothing."""
        try:
            return {"device": self.device, "device_name": self.device_name, "note": self.note}
        except DeviceError:
            return {}

    @property
    def threads(self) -> int:
        """CPU threads: they draw, or serve the voice and what else a GPU leaves to the CPU."""
        return self._core.threads

    @property
    def isa(self) -> str:
        """Instruction set of the CPU's kernels: scalar, avx2, avx512 or neon."""
        return self._core.isa

    @property
    def scratch_bytes(self) -> int:
        """High-water mark of the scratch memory."""
        return self._core.scratch_bytes

    def step(self, time_s: float) -> int:
        """Draws what is due by time_s in the sessions on this engine that have clock="caller", on this thread.

        time_s: seconds of their clock, which begins at 0 and never goes back. Frames are made, those that are due first
        before others, as far as their sessions have free pictures. Returns how many were made.
        Raises ValueError for the time.
        """
        seconds = as_number("Engine.step: time_s", time_s)
        if not 0 <= seconds <= MAX_TIME_S:
            raise ValueError(f"Engine.step: time_s must be 0 to {MAX_TIME_S:g} seconds; got {time_s!r}.")
        with Told("Engine.step"):
            return self._core.step(round(seconds * 1e9))

    def measure_peak(self) -> tuple[float, float]:
        """What its threads can multiply and add at most, in 1e9 operations per second: in float32 and in bfloat16.

        From registers alone, measured in a twentieth of a second; 0 for bfloat16 where it is not used.
        """
        return self._core.measure_peak()


# Every shared engine that is still in use by somebody or kept, so that there is one for a device and number of threads.
_alive: WeakValueDictionary[tuple[str, int, tuple[str | None, ...]], Engine] = WeakValueDictionary()
_kept: deque[Engine] = deque()
_lock = threading.Lock()


def precision_of(who: str, name: Any, default: _core.Precision = _core.Precision.DEFAULT) -> _core.Precision:
    """None: the default."""
    if name is None:
        return default
    if not isinstance(name, str) or name not in PRECISIONS:
        raise ValueError(f'{who}: precision must be "default" (also None), "reference" or "fast"; got {name!r}.')
    return PRECISIONS[name]


def shared_engine(who: str, threads: Any, device: str = "auto") -> Engine:
    """The process's engine for these. A forked child and another value of SETTINGS get their own."""
    key = (device, as_count(f"{who}: threads", threads, 0), tuple(os.environ.get(name) for name in SETTINGS))
    with _lock:
        engine = _alive.get(key)
        if engine is None:
            engine = _alive[key] = Engine(device, key[1])
        # Dropped after the lock is: an engine that nobody uses waits for its threads to end.
        _dropped = _keep(engine)
    return engine


def _keep(engine: Engine) -> Engine | None:
    if engine in _kept:
        _kept.remove(engine)
    _kept.append(engine)
    return _kept.popleft() if len(_kept) > KEPT else None


# A child of os.fork() has none of its parent's threads: no engine of it, and a lock that nobody holds.
def _begin_anew() -> None:
    global _alive, _kept, _lock
    _alive, _kept, _lock = WeakValueDictionary(), deque(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
