# SPDX-License-Identifier: Apache-2.0
"""finish: backgrounds, straight alpha, rounding to 8 bits, NV12."""

from pathlib import Path

import numpy as np
import pytest

import talksplat
from backends import Backend
from ops.pose_avatars import gaussians, manifest
from ops.raster import draw, draw_all, draw_core
from reference.finish import nv12_ref, rgba8_ref
from reference.rasterize import rasterize_ref
from reference.scenes import Scene, View, flat_scene, front_view, random_scene
from talksplat import _core
from talksplat.authoring import spec
from tolerances import require_close

EMPTY = Scene(*(np.zeros((0, k), np.float32) for k in (3, 4, 3)), np.zeros(0, np.float32), np.zeros((0, 3), np.float32))
FORMATS = _core.Format


def engine(backend: Backend) -> talksplat.Engine:
    return backend.engine()


def picture(view: View, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(view.width)
    return rng.uniform(low, high, (view.height, view.width, 3)).astype(np.float32)


# ---- background ----


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 33), (50, 7)])
def test_background_alone(width: int, height: int, backend: Backend) -> None:
    view = front_view(width, height)
    image = picture(view, -1, 2)
    np.testing.assert_array_equal(draw(EMPTY, view, backend=backend, background=image), image)
    color = np.float32([-0.5, 0.25, 7.0])
    np.testing.assert_array_equal(
        draw(EMPTY, view, backend=backend, background=color), np.broadcast_to(color, (height, width, 3))
    )
    assert not draw(EMPTY, view, backend=backend).any()


def test_over_a_background(backend: Backend) -> None:
    view = front_view(50, 38)
    scene = random_scene(np.random.default_rng(1), 60, view)
    bare, alpha, _ = draw_all(scene, view, backend=backend)
    for background in (np.float32([0.1, 0.9, 0.4]), picture(view)):
        image = draw(scene, view, backend=backend, background=background)
        require_close("rasterize", "float32", image, bare + (1.0 - alpha.astype(np.float64))[..., None] * background)


def test_alpha_and_depth_ignore_the_background(backend: Backend) -> None:
    view = front_view(50, 38)
    scene = random_scene(np.random.default_rng(2), 60, view)
    bare, over = (
        draw_all(scene, view, backend=backend),
        draw_all(scene, view, backend=backend, background=picture(view)),
    )
    np.testing.assert_array_equal(bare[1], over[1])
    np.testing.assert_array_equal(bare[2], over[2])


@pytest.mark.parametrize(("width", "height"), [(64, 64), (37, 21), (3, 50)])
def test_plate_of_an_avatar(width: int, height: int, backend: Backend, tmp_path: Path) -> None:
    """Stored as bytes; the frame is what the same picture as floats gives."""
    rng, n = np.random.default_rng(6), 20
    plate = rng.integers(0, 256, (height, width, 3), np.uint8)
    tensors = gaussians(rng, n) | {"plate/background": plate}
    tensors["gaussians/mean"] = (rng.normal(size=(n, 3)) * 0.5 + [0, 0, 3]).astype(np.float32)
    described = manifest("static", n, inputs=[])
    described["canvas"] = {"width": width, "height": height}
    path = spec.write(tmp_path / "plate.tsplat", described, tensors)
    avatar = _core.Avatar(engine(backend)._core, str(path))
    frame = _core.Frame(avatar, width, height, FORMATS.RGB_F32, _core.Precision.REFERENCE)

    def render(own: bool, background: np.ndarray | None) -> np.ndarray:
        image = np.empty((height, width, 3), np.float32)
        frame.render(None, None, own, background, image)
        return image

    over = render(True, None)
    require_close("rasterize", "float32", over, render(False, plate / np.float32(255)))
    bare = render(False, None)
    assert np.abs(bare - over).max() > 0.5
    assert bare.max() > 0.1


# ---- 8 bits ----


def test_rounding_to_bytes(backend: Backend) -> None:
    """Clamp, times 255, nearest, halves to even: exactly, for values on, beside and between the steps."""
    steps = np.arange(-3, 520, dtype=np.float32) / np.float32(510)
    values = np.concatenate([np.nextafter(steps, np.float32(-9)), steps, np.nextafter(steps, np.float32(9))])
    values = np.concatenate([values, np.float32([-1e30, 1e30, -0.0, 1e-42])])
    values = np.resize(values, 23 * 23 * 3).reshape(23, 23, 3)
    want = np.rint(np.clip(values, 0, 1) * np.float32(255)).astype(np.uint8)
    image = draw(EMPTY, front_view(23, 23), backend=backend, background=values, dtype="uint8")
    np.testing.assert_array_equal(image[..., :3], want)
    assert (image[..., 3] == 255).all()
    rgb = draw_core(engine(backend), EMPTY, front_view(23, 23), FORMATS.RGB8, values)
    np.testing.assert_array_equal(rgb, want)


def test_not_a_number_is_black(backend: Backend) -> None:
    """A pixel that is not a number is 0 in every byte format, and alone: its neighbours keep their colour."""
    view, row, column = front_view(34, 18), 5, 19
    values = picture(view)
    values[row, column] = np.nan
    holed = values.copy()
    holed[row, column] = 0
    for format in (FORMATS.RGBA8, FORMATS.RGB8, FORMATS.NV12):
        got, want = (draw_core(engine(backend), EMPTY, view, format, image) for image in (values, holed))
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("over", ["nothing", "color", "picture"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (37, 21)])
def test_rgba8(width: int, height: int, over: str, backend: Backend) -> None:
    """Straight alpha over nothing: colour is not darkened where coverage is thin."""
    view = front_view(width, height)
    scene = random_scene(np.random.default_rng(3), 50, view, opacity=(0.02, 0.7))
    background = {"nothing": None, "color": np.float32([0.2, 0.5, 0.8]), "picture": picture(view)}[over]
    ref = rasterize_ref(scene, view)
    flat = background.reshape(-1, 3) if background is not None else None
    want = rgba8_ref(ref.color, ref.transmittance, flat).reshape(height, width, 4)
    image = draw(scene, view, backend=backend, background=background, dtype="uint8")
    require_close("finish", "uint8", image, want, where=~ref.ambiguous.reshape(height, width))


def test_straight_alpha_keeps_the_colour_of_a_faint_splat(backend: Backend) -> None:
    view = front_view(24, 24)
    scene = flat_scene(view, 12, 12, 2.0, 4.0, 0.3, [0.25, 0.6, 1.0])
    image = draw(scene, view, backend=backend, dtype="uint8")
    seen = image[..., 3] > 0
    assert 20 < np.count_nonzero(seen) < 576
    assert (image[seen][:, :3] == [64, 153, 255]).all()
    assert (image[~seen] == 0).all()


def test_rgb8_over_nothing_is_on_black(backend: Backend) -> None:
    view = front_view(37, 21)
    scene = random_scene(np.random.default_rng(4), 50, view)
    rgb = draw_core(engine(backend), scene, view, FORMATS.RGB8)
    np.testing.assert_array_equal(rgb, draw(scene, view, backend=backend, background=[0, 0, 0], dtype="uint8")[..., :3])


# ---- NV12 ----


@pytest.mark.parametrize(("width", "height"), [(2, 2), (16, 16), (34, 18), (50, 66)])
def test_nv12(width: int, height: int, backend: Backend) -> None:
    view = front_view(width, height)
    scene = random_scene(np.random.default_rng(5), 80, view)
    background = picture(view)
    ref = rasterize_ref(scene, view)
    rgb = ref.over(background.reshape(-1, 3)).reshape(height, width, 3)
    luma, chroma = nv12_ref(rgb)
    got = draw_core(engine(backend), scene, view, FORMATS.NV12, background)
    sure = ~ref.ambiguous.reshape(height, width)
    require_close("finish", "nv12", got[:height], luma, name="luma", where=sure)
    sure = sure.reshape(height // 2, 2, width // 2, 2).all((1, 3))
    require_close("finish", "nv12", got[height:].reshape(chroma.shape), chroma, name="chroma", where=sure)


@pytest.mark.parametrize(
    ("rgb", "code"),
    [
        ([0, 0, 0], (16, 128, 128)),
        ([1, 1, 1], (235, 128, 128)),
        ([1, 0, 0], (63, 102, 240)),
        ([0, 1, 0], (173, 42, 26)),
        ([0, 0, 1], (32, 240, 118)),
        ([-5, 9, 0.5], (181, 98, 21)),
    ],
)
def test_nv12_of_known_colours(rgb: list[float], code: tuple[int, int, int], backend: Backend) -> None:
    """BT.709's own limited-range codes; beyond 0..1 is clamped before, as for the other formats."""
    image = draw_core(engine(backend), EMPTY, front_view(6, 4), FORMATS.NV12, np.float32(rgb))
    assert (image[:4] == code[0]).all()
    assert (image[4:, 0::2] == code[1]).all()
    assert (image[4:, 1::2] == code[2]).all()
