# SPDX-License-Identifier: Apache-2.0
"""Windows of frames: what a machine with neighbours can be measured by."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Window(NamedTuple):
    """Milliseconds per frame."""

    p50: float
    p99: float


def run_window(frame: Callable[[], Any], frames: int, warm_up: int = 10) -> Window:
    for _ in range(warm_up):
        frame()
    times = np.empty(frames)
    for i in range(frames):
        begin = time.perf_counter()
        frame()
        times[i] = time.perf_counter() - begin
    return Window(*(float(v) for v in np.percentile(times * 1e3, [50, 99])))


def summary(windows: list[Window]) -> dict[str, Any]:
    """The median window's p50 and p99, and of the window with the least jitter p99 / p50."""
    return {
        "p50_ms": float(np.median([w.p50 for w in windows])),
        "p99_ms": float(np.median([w.p99 for w in windows])),
        "best_p50_ms": min(w.p50 for w in windows),
        "best_p99_over_p50": min(w.p99 / w.p50 for w in windows),
        "windows_ms": [[round(w.p50, 4), round(w.p99, 4)] for w in windows],
    }


def ratio(baseline: list[Window], candidate: list[Window]) -> float:
    """Median over neighbouring windows of baseline / candidate: above 1, the candidate is faster."""
    return float(np.median([b.p50 / c.p50 for b, c in zip(baseline, candidate, strict=True)]))
