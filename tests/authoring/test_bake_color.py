# SPDX-License-Identifier: Apache-2.0
"""convert --bake-color: what the camera sees instead of spherical harmonics, with its error in the notes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from authoring.test_precision import parts
from ops.deform_programs import embedtalk, gaussian_talker
from reference.sh import sh_color_ref
from talksplat.authoring.sh import bake_color, sh_color
from talksplat.authoring.spec import write


def avatar(tmp_path: Path, degree: int = 2) -> tuple[Any, dict[str, np.ndarray]]:
    return parts(embedtalk(200).write(tmp_path / "a.tsplat", degree))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_colours_are_the_reference_s(degree: int) -> None:
    rng = np.random.default_rng(degree)
    sh, mean, eye = rng.normal(size=(50, (degree + 1) ** 2, 3)), rng.normal(size=(50, 3)), rng.normal(size=3)
    towards = (mean - eye) / np.linalg.norm(mean - eye, axis=1, keepdims=True)
    np.testing.assert_allclose(sh_color(sh, mean, eye), sh_color_ref(degree, sh, towards), rtol=0, atol=1e-12)


def test_the_front_looks_the_same(tmp_path: Path) -> None:
    manifest, tensors = avatar(tmp_path)
    before = talksplat.load(tmp_path / "a.tsplat").render_frame(background=(0, 0, 0)).image
    bake_color(manifest, tensors)
    assert manifest["color"] == "rgb" and "gaussians/sh" not in tensors
    after = talksplat.load(write(tmp_path / "b.tsplat", manifest, tensors)).render_frame(background=(0, 0, 0)).image
    # The network moves Gaussians a little, so that they are seen from a little elsewhere.
    assert before.max() > 30 and np.abs(after.astype(int) - before).max() <= 3
    found = re.search(r"off by ([\d.]+) at most, ([\d.]+) rms", manifest["provenance"]["notes"])
    assert found and 0 < float(found[2]) < float(found[1])
    assert before.any()


@pytest.mark.parametrize("case", ["rgb", "rig", "network"])
def test_what_has_no_such_colours_is_refused(case: str, tmp_path: Path) -> None:
    manifest, tensors = avatar(tmp_path)
    if case == "rgb":
        manifest["color"] = "rgb"
    elif case == "rig":
        manifest["rig"]["kind"] = "mesh"
    else:
        manifest, tensors = parts(gaussian_talker(20).write(tmp_path / "b.tsplat", 3))
    words = {"rgb": "nothing to do", "rig": "without a rig", "network": "changes the spherical harmonics"}[case]
    with pytest.raises(ValueError, match=words):
        bake_color(manifest, tensors)
