# SPDX-License-Identifier: Apache-2.0
"""The arguments of Avatar.create_session(), checked, as the core takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import _core
from ._arrays import as_count, as_number
from .audio_blocks import MAX_RATE, MIN_RATE
from .session_sound import as_channels
from .speech import MAX_AMOUNT, MAX_FPS, MIN_FPS

WHO = "create_session"
ON_LATE = {"hold": _core.OnLate.HOLD, "skip": _core.OnLate.SKIP}
IDLE = {"alive": _core.Idle.ALIVE, "auto": _core.Idle.ALIVE, "still": _core.Idle.STILL, "none": _core.Idle.NONE}
CLOCK = {"real": _core.Clock.REAL, "caller": _core.Clock.CALLER}


def core_options(
    *,
    fps: Any,
    latency_ms: Any,
    chunk_ms: Any,
    on_late: Any,
    idle: Any,
    clock: Any,
    slots: Any,
    queue_s: Any,
    flush_after_s: Any,
    sample_rate: Any,
    channels: Any,
    seed: Any,
    mouth: Any,
    head: Any,
    blink: Any,
) -> dict[str, Any]:
    """By the names of _core.Session's parameters. Raises ValueError, which names the argument."""
    rate = as_number(f"{WHO}: fps", fps)
    if not MIN_FPS <= rate <= MAX_FPS:
        raise ValueError(f"{WHO}: fps must be {MIN_FPS:g} to {MAX_FPS:g}; got {fps!r}.")
    return {
        "fps": rate,
        "latency_ms": _within("latency_ms", latency_ms, 0, _core.MAX_LATENCY_MS),
        "chunk_ms": _within("chunk_ms", chunk_ms, 0, _core.MAX_CHUNK_MS),
        "on_late": _word("on_late", on_late, ON_LATE),
        "idle": _word("idle", idle, IDLE),
        "clock": _word("clock", clock, CLOCK),
        "slots": _whole("slots", slots, _core.MIN_SLOTS, _core.MAX_SLOTS),
        "queue_ms": _milliseconds("queue_s", queue_s, _core.MIN_QUEUE_MS),
        "flush_after_ms": 0 if flush_after_s is None else _milliseconds("flush_after_s", flush_after_s, 1),
        "rate_hz": _whole("sample_rate", sample_rate, MIN_RATE, MAX_RATE),
        "channels": as_channels(WHO, channels),
        "seed": as_count(f"{WHO}: seed", seed, 0),
        "mouth": _within("mouth", mouth, 0, MAX_AMOUNT),
        "head": _within("head", head, 0, MAX_AMOUNT),
        "blink": _within("blink", blink, 0, MAX_AMOUNT),
    }


def _word(name: str, value: Any, words: Mapping[str, Any]) -> Any:
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{WHO}: {name} must be one of {', '.join(words)}; got {value!r}.")
    return words[value]


def _within(name: str, value: Any, least: float, most: float) -> float:
    number = as_number(f"{WHO}: {name}", value)
    if not least <= number <= most:
        raise ValueError(f"{WHO}: {name} must be {least:g} to {most:g}; got {value!r}.")
    return number


def _whole(name: str, value: Any, least: int, most: int) -> int:
    number = as_count(f"{WHO}: {name}", value, least)
    if number > most:
        raise ValueError(f"{WHO}: {name} must be {least} to {most}; got {value!r}.")
    return number


def _milliseconds(name: str, seconds: Any, least: int) -> int:
    return round(_within(name, seconds, least / 1e3, _core.MAX_QUEUE_MS / 1e3) * 1e3)
