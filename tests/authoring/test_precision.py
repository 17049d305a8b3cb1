# SPDX-License-Identifier: Apache-2.0
"""The precision of a deform network is chosen by measurement: bfloat16 within the gates, float32 beyond them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

import talksplat
from ops.deform_programs import embedtalk, everything, gaussian_talker, talking_gaussian
from talksplat import _core
from talksplat.authoring import precision

HAS_BF16 = any(isa in _core.isa_names() for isa in precision.ISAS)
needs_bf16 = pytest.mark.skipif(not HAS_BF16, reason="this CPU multiplies no bfloat16")


def parts(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["talksplat"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


@needs_bf16
@pytest.mark.parametrize("maker", [embedtalk, lambda n: talking_gaussian(n, n), gaussian_talker])
def test_networks_like_trained_ones_take_bfloat16(maker: Any, tmp_path: Path) -> None:
    path = maker(300).write(tmp_path / "a.tsplat", 3 if maker is gaussian_talker else -1)
    manifest, tensors = parts(path)
    manifest["deform"]["precision"] = "fp32"
    precision.choose_precision(manifest, tensors)
    error = manifest["deform"]["error"]
    assert error["controls"] == precision.CONTROLS
    assert error["motion_px"] > 1 and 0 < error["mean_px"] < precision.MEAN_PX
    assert manifest["deform"]["precision"] == "bf16"


@needs_bf16
def test_a_network_that_rounding_hurts_keeps_float32(tmp_path: Path) -> None:
    """Its hidden layer is a large number minus itself: what is left is small, and bfloat16 has no digits for it."""
    path = embedtalk(300).write(tmp_path / "a.tsplat")
    manifest, tensors = parts(path)
    manifest["deform"]["precision"] = "bf16"
    tensors["deform/head/static/base"] = tensors["deform/head/static/base"] + np.float32(3000)
    weight = tensors["deform/head/1/weight"]
    weight -= weight.mean(axis=1, keepdims=True)
    precision.choose_precision(manifest, tensors)
    assert manifest["deform"]["precision"] == "fp32"
    assert manifest["deform"]["error"]["mean_px"] > precision.MEAN_PX


def test_without_bfloat16_nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, tensors = parts(embedtalk(50).write(tmp_path / "a.tsplat"))
    monkeypatch.setattr(precision, "ISAS", ())
    precision.choose_precision(manifest, tensors)
    assert manifest["deform"]["precision"] == "fp32" and manifest["deform"]["error"] is None


def test_avatars_without_a_network_are_left_alone(tmp_path: Path) -> None:
    manifest: Any = {"deform": {"stages": []}}
    precision.choose_precision(manifest, {})
    assert manifest == {"deform": {"stages": []}}


@needs_bf16
def test_default_is_what_was_chosen(tmp_path: Path) -> None:
    control = {"audio": np.full(8 * 12 * 2, 0.5, np.float32)}
    drawn = {}
    for chosen in ("fp32", "bf16"):
        path = embedtalk(300).write(tmp_path / f"{chosen}.tsplat", precision=chosen)
        isa = next(isa for isa in precision.ISAS if isa in _core.isa_names())
        engine = talksplat.Engine(isa=isa)
        for asked in ("default", "reference", "fast"):
            drawn[chosen, asked] = talksplat.load(path, engine=engine, precision=asked).gaussians(control).mean
    exact, fast = drawn["fp32", "reference"], drawn["fp32", "fast"]
    assert np.abs(exact - fast).max() > 0
    for chosen, asked in drawn:
        want = fast if asked == "fast" or (asked == "default" and chosen == "bf16") else exact
        np.testing.assert_array_equal(drawn[chosen, asked], want)


def test_odd_programs_are_measured_too(tmp_path: Path) -> None:
    manifest, tensors = parts(everything(40).write(tmp_path / "a.tsplat"))
    precision.choose_precision(manifest, tensors)
    assert manifest["deform"]["precision"] in ("fp32", "bf16")
