# SPDX-License-Identifier: Apache-2.0
"""The small head of `make demo`: that it has what it promises, and that its parts move as their names say."""

from pathlib import Path

import numpy as np
import pytest

from make_head import EYE, MOUTH_HALF, MOUTH_Y, make_head
from reference import tsplat
from reference.pose import blend_shapes, pose_ref
from talksplat.arkit import ARKIT_NAMES

SHAPES = {"jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight", "mouthPucker", "browInnerUp"}


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> tsplat.Tsplat:
    return tsplat.read(make_head(tmp_path_factory.mktemp("head") / "head.tsplat"))


def vertices(head: tsplat.Tsplat, **weights: float) -> np.ndarray:
    """The mesh with these weights, unturned."""
    arkit = head.manifest["inputs"][0]
    weight = np.zeros(len(SHAPES))
    for name, value in weights.items():
        weight[arkit["shapes"][arkit["names"].index(name)]] = value
    return blend_shapes(head, weight)


def test_size_and_shapes(head: tsplat.Tsplat) -> None:
    assert 8_000 < len(head.tensors["gaussians/mean"]) < 16_000
    arkit = head.manifest["inputs"][0]
    assert {name for name, shape in zip(arkit["names"], arkit["shapes"], strict=True) if shape >= 0} == SHAPES
    (clip,) = head.manifest["clips"]
    assert (clip["name"], clip["frames"] / clip["fps"]) == ("demo", 4.0)
    for name in SHAPES:
        assert np.ptp(head.tensors["clip/demo/arkit"][:, ARKIT_NAMES.index(name)]) > 0.1


def test_same_head_every_time(tmp_path: Path) -> None:
    assert make_head(tmp_path / "a").read_bytes() == make_head(tmp_path / "b").read_bytes()


def near(vertex: np.ndarray, x: float, y: float, width: float, height: float) -> np.ndarray:
    return (np.abs(vertex[:, 0] - x) < width) & (np.abs(vertex[:, 1] - y) < height) & (vertex[:, 2] > 0.05)


def test_mouth_opens_and_lids_close(head: tsplat.Tsplat) -> None:
    rest = vertices(head)
    dropped = vertices(head, jawOpen=1)[:, 1] - rest[:, 1]
    mouth = near(rest, 0, MOUTH_Y, MOUTH_HALF / 2, 0.004)
    assert dropped[mouth].min() < -0.02  # lower lip
    assert dropped[mouth].max() > 0  # upper lip
    assert np.abs(dropped[near(rest, EYE[0], EYE[1], 0.02, 0.02)]).max() < 1e-4
    for side, name in ((1, "eyeBlinkLeft"), (-1, "eyeBlinkRight")):
        moved = np.abs(vertices(head, **{name: 1.0}) - rest).max(1) > 1e-6
        assert moved.any()
        assert (np.sign(rest[moved, 0]) == side).all()
    smile = vertices(head, mouthSmileLeft=1) - rest
    corner = near(rest, MOUTH_HALF, MOUTH_Y, 0.006, 0.006)
    assert smile[corner, 0].mean() > 0.003
    assert smile[corner, 1].mean() > 0.005


def test_turned_and_talking(head: tsplat.Tsplat) -> None:
    """Frame 30 of the demo: no Gaussian explodes, and the body stays where it is."""
    control = {name: head.tensors[f"clip/demo/{name}"][30] for name in ("arkit", "head_pose", "neck_pose")}
    g = pose_ref(head, control)
    assert np.abs(g.mean).max() < 0.4
    assert g.scale.max() < 0.02
    body = head.tensors["rig/skin/weight"][:, 0] == 1
    np.testing.assert_allclose(g.vertex[body], vertices(head)[body], atol=1e-7)
    assert np.abs(g.vertex - vertices(head))[~body].max() > 0.02
