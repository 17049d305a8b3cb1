# SPDX-License-Identifier: Apache-2.0
"""The built-in head: that the shipped file is what the script makes, and that its parts move as their names say."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import talksplat
from reference import tsplat
from talksplat.arkit import ARKIT_NAMES
from talksplat.authoring.demo import breath, eyes, face, head, shapes
from talksplat.authoring.demo.build import build

SHIPPED = Path(talksplat.__file__).parent / "assets" / "demo.tsplat"
MAX_BYTES = 4_000_000
SIDES = ("Left", "Right")


@pytest.fixture(scope="module")
def avatar() -> talksplat.Avatar:
    return talksplat.load(SHIPPED, threads=2)


@pytest.fixture(scope="module")
def contact(avatar: talksplat.Avatar) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of the upper and of the lower lip where they meet, by column from corner to corner."""
    ring = shapes.at_rest(face.mouth_ring())
    row = ring.nodes()[2] * 1e-3
    middle = len(row) // 2
    lower, upper = row[1:middle], row[middle + 1 : -1][::-1]
    rest = avatar.vertices()

    def find(points: np.ndarray, half: int) -> np.ndarray:
        """Both lips' vertices lie at the point: the lower lip's come first in the file."""
        return np.array([np.argsort(np.linalg.norm(rest - p, axis=1), kind="stable")[:2][half] for p in points])

    pair = find(lower, 0), find(upper, 1)
    np.testing.assert_allclose(rest[pair[0]], rest[pair[1]], atol=2e-4)
    drop = avatar.vertices({"arkit": {"jawOpen": 1.0}}) - rest
    swap = drop[pair[0], 1] > drop[pair[1], 1]
    return np.where(swap, pair[0], pair[1]), np.where(swap, pair[1], pair[0])


def both(name: str, value: float = 1.0) -> dict[str, float]:
    return {name + side: value for side in SIDES}


def moved(avatar: talksplat.Avatar, **weights: float) -> np.ndarray:
    """Displacement of every vertex in millimetres."""
    return (avatar.vertices({"arkit": weights}) - avatar.vertices()) * 1e3


def picture(avatar: talksplat.Avatar, control: dict, box: tuple[float, float, float, float]) -> np.ndarray:
    """A part of the frame, as floats 0..255; box in millimetres of the face plane: x from, to; y from, to."""
    image = avatar.render_frame(control).image.astype(float)
    camera = avatar.manifest["camera"]
    cam = np.array(camera["cam_from_world"]).reshape(4, 4)
    corners = np.array([[box[0], box[2], 85.0, 1e3], [box[1], box[3], 85.0, 1e3]]) * 1e-3
    x, y, z, _ = (corners @ cam.T).T
    column, row = camera["fx"] * x / z + camera["cx"], camera["fy"] * y / z + camera["cy"]
    return image[int(row.min()) : int(row.max()) + 1, int(column.min()) : int(column.max()) + 1]


def test_shipped_file_is_what_the_script_builds(tmp_path: Path) -> None:
    """Counts may differ in the last splats where another machine rounds otherwise; what they describe may not."""
    ours, theirs = tsplat.read(build(tmp_path / "demo.tsplat")), tsplat.read(SHIPPED)
    assert ours.manifest["inputs"] == theirs.manifest["inputs"]
    assert ours.tensors.keys() == theirs.tensors.keys()
    for name, tensor in ours.tensors.items():
        shipped = theirs.tensors[name]
        assert abs(len(tensor) - len(shipped)) <= 0.005 * len(shipped), name
        if name.startswith(("rig/joint", "plate")):
            np.testing.assert_allclose(tensor.astype(float), shipped.astype(float), atol=1, err_msg=name)
        elif name in ("rig/vertex", "rig/blendshape/delta", "gaussians/scale", "gaussians/color"):
            levels = np.linspace(0, 1, 21)
            wanted, got = (np.quantile(x, levels, axis=0) for x in (shipped, tensor))
            np.testing.assert_allclose(got, wanted, atol=0.02 * np.abs(wanted).max(), err_msg=name)


def test_size_and_names(avatar: talksplat.Avatar) -> None:
    assert os.path.getsize(SHIPPED) <= MAX_BYTES
    assert 25_000 <= avatar.n_gaussians <= 40_000
    assert avatar.name == "demo"
    assert avatar.manifest["rig"]["kind"] == "arkit"
    arkit = avatar.manifest["inputs"][0]
    assert tuple(arkit["names"]) == ARKIT_NAMES
    assert sorted(arkit["shapes"]) == list(range(52))
    assert {"head_pose", "neck_pose", "jaw_pose", "eyes_pose"} <= avatar.inputs.keys()
    assert avatar.inputs["breath"].names == ("breath",) and avatar.inputs["breath"].default == (0.0,)
    assert np.isfinite(avatar.vertices()).all()
    assert np.linalg.norm(avatar.vertices(), axis=1).max() < 0.4


@pytest.mark.parametrize("name", ARKIT_NAMES)
def test_every_weight_moves_something_and_nothing_far(avatar: talksplat.Avatar, name: str) -> None:
    distance = np.linalg.norm(moved(avatar, **{name: 1.0}), axis=1)
    assert 1.5 < distance.max() < 45.0
    assert (distance > 0.05).sum() >= 20


@pytest.mark.parametrize("name", sorted({name[:-4] for name in ARKIT_NAMES if name.endswith("Left")}))
def test_left_mirrors_right(avatar: talksplat.Avatar, name: str) -> None:
    rest = avatar.vertices() * 1e3
    left, right = (moved(avatar, **{name + side: 1.0}) for side in SIDES)
    compared = 0
    for these, those, p in ((left, right, rest), (right, left, rest)):
        picked = np.flatnonzero(np.linalg.norm(these, axis=1) > 0.2)
        for k in picked[:: max(1, len(picked) // 30)]:
            twin = np.linalg.norm(p - p[k] * (-1, 1, 1), axis=1)
            if twin.min() > 0.3:  # the hairline is not the same on both sides
                continue
            compared += 1
            near = np.flatnonzero(twin < twin.min() + 0.02)  # lips' vertices lie in pairs
            off = np.linalg.norm(those[near] - these[k] * (-1, 1, 1), axis=1).min()
            assert off < 0.05 + 0.6 * twin.min()
    assert compared >= 10


def test_jaw_opens_and_mouth_close_seals(avatar: talksplat.Avatar, contact: tuple[np.ndarray, np.ndarray]) -> None:
    upper, lower = contact

    def gap(weights: dict[str, float]) -> np.ndarray:
        v = avatar.vertices({"arkit": weights})
        return (v[upper, 1] - v[lower, 1]) * 1e3

    middle = len(upper) // 2
    assert gap({"jawOpen": 0.5})[middle] > 9
    assert (gap({"jawOpen": 1.0}) > 0).all()
    for weight in (0.1, 0.4, 1.0):
        assert np.abs(gap({"jawOpen": weight, "mouthClose": weight})).max() < 0.4
    for quiet in ("mouthPucker", "mouthFrown", "mouthDimple", "mouthPress", "mouthSmile", "mouthLeft"):
        weights = {quiet: 1.0} if quiet in ARKIT_NAMES else both(quiet)
        assert np.abs(gap(weights)).max() < 1.0, quiet
    for parting in ("mouthLowerDown", "mouthUpperUp"):
        assert gap(both(parting))[middle] > 4


def test_open_mouth_is_dark_and_shows_teeth(avatar: talksplat.Avatar) -> None:
    box = (-24.0, 24.0, head.MOUTH_Y - 32, head.MOUTH_Y + 10)
    weights = {"jawOpen": 0.6, **both("mouthUpperUp", 0.3)}
    shut, open_ = picture(avatar, {}, box), picture(avatar, {"arkit": weights}, box)
    dark = [(image.max(-1) < 70).sum() for image in (shut, open_)]
    assert dark[0] <= 4
    assert dark[1] > 200
    pale = [((image.min(-1) > 170) & (np.ptp(image, axis=-1) < 40)).sum() for image in (shut, open_)]
    assert pale[0] == 0
    assert pale[1] > 40


def test_open_mouth_is_dark_to_its_back(avatar: talksplat.Avatar) -> None:
    """The neck is behind the back of the mouth, however far the jaw pulls its floor."""
    behind = picture(avatar, {"arkit": {"jawOpen": 1.0}}, (-12.0, 12.0, head.MOUTH_Y - 11, head.MOUTH_Y - 7))
    assert behind.max() < 75


def test_lips_do_not_turn_inside_out() -> None:
    """At any column the lips' rows keep their order, up to the corners, however far the jaw opens."""
    ring = face.mouth_ring()
    rest, jaw = shapes.at_rest(ring).nodes(), shapes.shapes(ring)["jawOpen"]
    middle = rest.shape[1] // 2
    for weight in (0.0, 0.5, 1.0):
        y = (rest + weight * jaw)[2:8, :, 1]  # from where the lips meet to the end of their red
        assert (np.diff(y[:, 1:middle], axis=0) < 0).all()
        assert (np.diff(y[:, middle + 1 : -1], axis=0) > 0).all()


def test_lips_are_round() -> None:
    """No ridge in the lower lip's profile: its row of Gaussians would shine alone, as dots."""
    red = face.mouth_ring().normals()[4:14, 6:54]
    turn = np.degrees(np.arccos((red[1:] * red[:-1]).sum(-1).clip(-1, 1)))
    assert turn.max() < 32


def test_lids_and_lashes() -> None:
    """The lid covers the iris' upper edge; with the eyes shut, lashes point down: from the front they are hairs."""
    top = eyes.upper_margin(np.zeros(1))
    assert eyes.PUPIL < top < eyes.IRIS - 0.5
    hairs = eyes.lashes(np.random.default_rng(0))
    along = hairs.axes[:, :, 0] / np.linalg.norm(hairs.axes[:, :, 0], axis=1, keepdims=True)
    angle = eyes.lid_angle(np.zeros(1), eyes.closed_margin(np.zeros(1)), head.LID_RADIUS)
    shut = shapes.turn_x(along, eyes.lid_angle(np.zeros(1), eyes.upper_margin(np.zeros(1)), head.LID_RADIUS) - angle)
    assert (np.hypot(shut[:, 0], shut[:, 1]) > 0.5).all()
    assert (shut[:, 1] < 0).all()


def iris(image: np.ndarray) -> np.ndarray:
    """[h,w] bool: where the picture is as green as the iris."""
    red, green, blue = np.moveaxis(image, -1, 0)
    return (green > red + 4) & (green > blue + 14)


@pytest.mark.parametrize("jaw", [0.1, 0.2, 0.3])
def test_teeth_stay_behind_a_lip_that_rolls_inwards(avatar: talksplat.Avatar, jaw: float) -> None:
    below = (-20, 20, -100, head.MOUTH_Y - 7)
    skin = picture(avatar, {"arkit": {"mouthRollLower": 1.0, "jawOpen": jaw}}, below)
    assert (skin[..., 0] - skin[..., 2]).min() > 45  # as red as skin and lips are


@pytest.mark.parametrize("blink", [0.6, 0.7, 0.75, 0.8])
def test_the_lash_line_is_smooth_while_the_eye_closes(avatar: talksplat.Avatar, blink: float) -> None:
    """Its upper edge rises outwards, without a bump where the lid is nearest to the viewer."""
    x, y = head.EYE[:2]
    dark = picture(avatar, {"arkit": {"eyeBlinkLeft": blink}}, (x - 14, x + 14, y - 10, y + 12)).mean(-1) < 90
    assert dark.any(axis=0).all()
    assert (np.diff(dark.argmax(axis=0)) <= 0).all()


def test_blink_covers_the_iris(avatar: talksplat.Avatar) -> None:
    for side, name in ((1, "Left"), (-1, "Right")):
        x = side * head.EYE[0]
        box = (x - 22, x + 22, head.EYE[1] - 18, head.EYE[1] + 18)
        count = [iris(picture(avatar, {"arkit": {f"eyeBlink{name}": w}}, box)).sum() for w in (0.0, 0.5, 1.0)]
        assert count[0] > 90
        assert 0 < count[1] < count[0]
        assert count[2] == 0


def test_gaze_turns_the_iris(avatar: talksplat.Avatar) -> None:
    box = (head.EYE[0] - 22, head.EYE[0] + 22, head.EYE[1] - 18, head.EYE[1] + 18)

    def column(control: dict) -> float:
        return float(np.nonzero(iris(picture(avatar, control, box)))[1].mean())

    ahead = column({})
    assert column({"arkit": {"eyeLookOutLeft": 0.7}}) > ahead + 2.5
    assert column({"arkit": {"eyeLookInLeft": 0.7}}) < ahead - 1.5
    assert column({"eyes_pose": [0, 0.3, 0, 0, 0.3, 0]}) > ahead + 2.5


@pytest.mark.parametrize("yaw,pitch", [(0.0, 0.0), (0.5, 0.0), (-0.5, 0.0), (0.0, 0.3), (0.0, -0.3), (0.35, -0.2)])
def test_no_background_shows_through(avatar: talksplat.Avatar, yaw: float, pitch: float) -> None:
    turn = np.array([pitch, yaw, 0.0])
    control = {"head_pose": 0.7 * turn, "neck_pose": 0.3 * turn, "arkit": {"jawOpen": 0.5}}
    alpha = avatar.render_frame(control, format="rgba8", background=None).image[..., 3]
    assert (alpha > 250).mean() > 0.3

    def inside(least: int) -> int:
        """Pixels fainter than that which the head surrounds."""
        regions, _ = ndimage.label(alpha < least)
        border = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
        return int(np.isin(regions, border, invert=True).sum())

    assert inside(200) == 0
    assert inside(235) <= 16  # strands of hair that meet in front of the background


def test_joints(avatar: talksplat.Avatar) -> None:
    rest = avatar.vertices()
    weight = np.zeros((len(rest), 6))
    tensors = avatar.tensors()
    np.add.at(weight, (np.arange(len(rest))[:, None], tensors["rig/skin/joint"]), tensors["rig/skin/weight"])
    turned = avatar.vertices({"head_pose": [0.1, 0.3, 0.0], "neck_pose": [0.05, 0.2, 0.0]})
    body = weight[:, 0] == 1
    assert body.sum() > 100
    np.testing.assert_allclose(turned[body], rest[body], atol=1e-7)
    assert np.linalg.norm(turned - rest, axis=1)[weight[:, 2] == 1].min() > 1e-4
    by_joint = avatar.vertices({"jaw_pose": [shapes.JAW_ANGLE, 0.0, 0.0]})
    by_shape = avatar.vertices({"arkit": {"jawOpen": 1.0}})
    chin = (rest[:, 1] < -0.095) & (rest[:, 2] > 0.06)
    assert chin.any()
    np.testing.assert_allclose(by_joint[chin], by_shape[chin], atol=2e-3)
    looked = np.abs(avatar.vertices({"eyes_pose": [0.2, 0.1, 0.0, 0.2, 0.1, 0.0]}) - rest).max(1) > 1e-6
    assert (np.linalg.norm(np.abs(rest[looked]) - head.EYE * 1e-3, axis=1) < 0.022).all()


def test_breath_lifts_the_shoulders_and_leaves_the_head(avatar: talksplat.Avatar) -> None:
    rest = avatar.vertices() * 1e3
    full = (avatar.vertices({"breath": [1.0]}) * 1e3) - rest
    half = (avatar.vertices({"breath": {"breath": 0.5}}) * 1e3) - rest
    np.testing.assert_allclose(half, full / 2, atol=1e-4)
    # The head and the upper half of the neck are still; the body rises, the shoulders most.
    assert not full[rest[:, 1] > breath.STILL_Y].any()
    x, y, z = rest.T
    shoulder, front = (np.abs(x) > 100) & (y < -200), (np.abs(x) < 30) & (y < -200) & (z > 10)
    assert 3 < full[shoulder, 1].min() <= full[:, 1].max() < 6
    assert (full[shoulder, 0] * np.sign(x[shoulder]) > 1).all()
    assert (full[front, 2] > 1).all() and (full[front, 1] > 1).all()
    assert (full[:, 1] >= 0).all() and np.linalg.norm(full, axis=1).max() < 6
    # Surfaces that touch move together: neck, collar and shirt.
    moved = np.flatnonzero(full.any(1))
    apart = np.linalg.norm(rest[moved][:, None] - rest[moved], axis=2)
    differ = np.linalg.norm(full[moved][:, None] - full[moved], axis=2)
    assert (differ <= 0.1 + 0.1 * apart).all()
    twin = np.linalg.norm(rest[moved][:, None] * (-1, 1, 1) - rest[moved], axis=2)
    here, there = np.nonzero(twin < 0.1)
    assert len(np.unique(here)) > 0.8 * len(moved)
    np.testing.assert_allclose(full[moved][here] * (-1, 1, 1), full[moved][there], atol=0.02)


def test_breath_is_seen_below_the_chin_alone(avatar: talksplat.Avatar) -> None:
    out, in_ = (avatar.render_frame({"breath": [value]}).image.astype(int) for value in (0.0, 1.0))
    differ = np.abs(in_ - out).max(-1)
    below = np.flatnonzero(differ.any(1))[0] / len(differ)
    assert 0.66 < below < 0.85  # the chin ends at 0.67
    assert (differ > 40).sum() > 400
    np.testing.assert_array_equal(out, avatar.render_frame({}).image)
