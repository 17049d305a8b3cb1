# SPDX-License-Identifier: Apache-2.0
"""A small file may not ask for gigabytes of scratch memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import talksplat
from runtime.tiny import tiny_avatar
from talksplat.authoring import spec
from talksplat.cli import main

COUNT, SIDE = 2500, 8192


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gaussians that each fill a canvas of 8192x8192, in some 200 kB: 1.3 MB of spans each, before any pair."""
    manifest, _ = tiny_avatar()
    manifest |= {
        "method": "static", "rig": {"kind": "none", "pose_shapes": None},
        "binding": {"kind": "static", "scale_rule": "length", "rotate": False},
        "inputs": [], "clips": [], "canvas": {"width": SIDE, "height": SIDE}, "source_count": COUNT,
        "color": "rgb",
        "camera": {
            "cam_from_world": np.eye(4).ravel().tolist(),
            "fx": SIDE, "fy": SIDE, "cx": SIDE / 2, "cy": SIDE / 2, "near": 0.2,
        },
    }  # fmt: skip
    depth = 5 + 1e-3 * np.arange(COUNT)
    tensors = {
        "gaussians/mean": np.stack([0 * depth, 0 * depth, depth], 1).astype(np.float32),
        "gaussians/quat": np.tile(np.float32([1, 0, 0, 0]), (COUNT, 1)),
        "gaussians/scale": np.full((COUNT, 3), 1e3, np.float32),
        "gaussians/opacity": np.full(COUNT, 0.02, np.float32),
        "gaussians/color": np.full((COUNT, 3), 0.5, np.float32),
        "gaussians/source_index": np.arange(COUNT, dtype=np.uint32),
    }
    path = spec.write(tmp_path_factory.mktemp("wide") / "wide.tsplat", manifest, tensors)
    assert path.stat().st_size < 250_000
    return path


def test_a_frame_that_needs_too_much_is_refused(wide: Path) -> None:
    avatar = talksplat.load(wide, threads=1)
    with pytest.raises(MemoryError, match=r"8192x8192 picture.*more than 2048 MB.*Render a smaller image"):
        avatar.render_frame({}, format="nv12")
    assert avatar.scratch_bytes < 16 << 20  # told before any of it was taken
    image = avatar.render_frame({}, size=(64, 64), background=None, format="rgb_f32").image
    np.testing.assert_allclose(image, 0.5, atol=0.01)  # what 2500 of 0.5 make


def test_the_command_line_says_the_way_out(wide: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(wide), "--seconds", "0.04", "--threads", "1", "-o", str(tmp_path / "o.mp4")]) == 1
    error = capsys.readouterr().err
    assert "Render a smaller image" in error
    assert "bug" not in error
