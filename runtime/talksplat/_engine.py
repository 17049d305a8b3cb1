"""Engines: the core's threads and scratch memory."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Any
from weakref import WeakValueDictionary

from . import _core
from ._arrays import as_count

PRECISIONS: dict[str | None, _core.Precision] = {
    None: _core.Precision.REFERENCE,
    "reference": _core.Precision.REFERENCE,
    "fast": _core.Precision.FAST,
}

KEPT = 2  # engines are kept for the next call, the last used; each has its threads and its scratch memory

# Every shared engine that is still in use by somebody or kept, so that there is one for a number of threads.
_alive: WeakValueDictionary[tuple[int, str | None, int], _core.Engine] = WeakValueDictionary()
_kept: deque[_core.Engine] = deque()
_lock = threading.Lock()


def precision_of(who: str, name: Any) -> _core.Precision:
    if not isinstance(name, str | None) or name not in PRECISIONS:
        raise ValueError(f'{who}: precision must be "reference", "fast" or None (reference); got {name!r}.')
    return PRECISIONS[name]


def shared_engine(who: str, threads: Any) -> _core.Engine:
    """The process's engine for this number of threads. A forked child and a new TALKSPLAT_ISA get their own."""
    key = (as_count(f"{who}: threads", threads, 0), os.environ.get("TALKSPLAT_ISA"), os.getpid())
    with _lock:
        engine = _alive.get(key)
        if engine is None:
            engine = _alive[key] = _core.Engine(key[0])
        # Dropped after the lock is: an engine that nobody uses waits for its threads to end.
        _dropped = _keep(engine)
    return engine


def _keep(engine: _core.Engine) -> _core.Engine | None:
    if engine in _kept:
        _kept.remove(engine)
    _kept.append(engine)
    return _kept.popleft() if len(_kept) > KEPT else None


# A child of os.fork() must not inherit the lock while another thread holds it.
def _new_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)
