# SPDX-License-Identifier: Apache-2.0
"""What the package gives back goes through pickle, and so through pools of processes, unchanged."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat

RECEIPT = ("pose_us", "deform_us", "project_us", "bin_us", "blend_us", "total_us")
COUNTS = ("n_gaussians", "n_visible", "n_instances", "n_dropped")


def same(a: Any, b: Any) -> bool:
    """Equal in every field, arrays by dtype and value."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, talksplat._core.Receipt):
        return all(getattr(a, name) == getattr(b, name) for name in RECEIPT + COUNTS)
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


def values(tiny: talksplat.Avatar) -> dict[str, Any]:
    sound = np.sin(np.arange(8000) / 20).astype(np.float32)
    return {
        "Frame": tiny.render_frame({}, size=(32, 24)),
        "Frame with sound": next(iter(talksplat.load("demo").render(sound, size=(16, 16), sample_rate=16000))),
        "Gaussians": tiny.gaussians(),
        "Input": next(iter(tiny.inputs.values())),
        "Clip": next(iter(tiny.clips.values())),
        "Camera": talksplat.Camera(np.eye(4, dtype=np.float32), 10, 11, 12, 13, 0.5),
        "Motion": talksplat.load_motion(f"clip:{next(iter(tiny.clips))}", tiny),
        "SpeechMotion": talksplat.motion(sound, sample_rate=16000),
        "Receipt": tiny.render_frame({}).receipt,
    }


def test_everything_pickles(tiny: talksplat.Avatar) -> None:
    for name, value in values(tiny).items():
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            assert same(pickle.loads(pickle.dumps(value, protocol)), value), (name, protocol)
        assert same(copy.deepcopy(value), value), name
        assert same(copy.copy(value), value), name


def test_a_receipt_keeps_its_numbers(tiny: talksplat.Avatar) -> None:
    receipt = tiny.render_frame({}).receipt
    again = pickle.loads(pickle.dumps(receipt))
    assert again.n_gaussians == tiny.n_gaussians
    assert again.total_us == receipt.total_us > 0
    assert repr(again) == repr(receipt)
    with pytest.raises((TypeError, RuntimeError)):
        talksplat._core.Receipt.__new__(talksplat._core.Receipt).__setstate__((1, 2))


def test_what_has_threads_says_so(tiny: talksplat.Avatar) -> None:
    for value, message in (
        (tiny, "Avatar: .* Load it in the other process"),
        (tiny.engine, "Engine: .* Make an engine in"),
    ):
        for copied in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match=message):
                copied(value)


def _frame(path: Path) -> talksplat.Frame:
    return talksplat.load(path, threads=1).render_frame({}, size=(32, 24))


def test_frames_come_from_other_processes(tiny: talksplat.Avatar, tiny_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        frame = pool.submit(_frame, tiny_path).result(timeout=60)
    np.testing.assert_array_equal(frame.image, tiny.render_frame({}, size=(32, 24)).image)
    assert frame.receipt.n_gaussians == tiny.n_gaussians
