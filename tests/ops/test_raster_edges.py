# SPDX-License-Identifier: Apache-2.0
"""rasterize at its edges: nothing to draw, broken Gaussians, odd canvases and memory, threads, repetition."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backends import Backend, present_backends
from ops.raster import draw, draw_all, draw_core, require_matches
from reference.finish import rgba8_ref
from reference.rasterize import rasterize_ref
from reference.scenes import Scene, flat_scene, front_view, random_scene, to_world, turned_view
from talksplat import _core
from tolerances import require_close

ARRAYS = ["means", "quats", "scales", "opacities", "colors"]
VIEW = front_view(70, 45)


def ordinary(n: int = 40, sh_degree: int | None = None) -> Scene:
    return random_scene(np.random.default_rng(n), n, VIEW, behind=0, sh_degree=sh_degree)


# ---- nothing to draw ----


@pytest.mark.parametrize("threads", [1, 8])
def test_no_gaussians(threads: int, backend: Backend) -> None:
    """Unlike the reference rasteriser, which leaves the image black, the background shows."""
    image, alpha, depth = draw_all(
        ordinary().take([]), VIEW, backend=backend, background=[0.1, 0.2, 0.3], threads=threads
    )
    assert (image == np.float32([0.1, 0.2, 0.3])).all()
    assert not alpha.any()
    assert not depth.any()
    assert not draw(ordinary().take([]), VIEW, backend=backend, threads=threads, dtype="uint8").any()


def test_one_gaussian(backend: Backend) -> None:
    scene = flat_scene(VIEW, 50.2, 31.7, 2.0, 3.0, 0.7, [0.2, 0.9, 0.5])
    for threads in (1, 8):
        assert require_matches(scene, VIEW, backend, threads=threads).max() > 0.5


def test_all_behind_the_camera(backend: Backend) -> None:
    scene = ordinary()
    behind = replace(scene, means=scene.means * np.float32([1, 1, -1]))
    assert not any(output.any() for output in draw_all(behind, VIEW, backend=backend))


def test_all_beside_the_canvas(backend: Backend) -> None:
    scene = ordinary()
    assert not draw(replace(scene, means=scene.means + np.float32([50, 0, 0])), VIEW, backend=backend).any()


# ---- broken Gaussians: only they disappear ----


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("sh_degree", [None, 3])
def test_not_finite(array: str, value: float, sh_degree: int | None, backend: Backend) -> None:
    """One number of a Gaussian, whichever it is, in every lane of a vector and in the rest after the last vector."""
    scene = ordinary(40, sh_degree)
    shape = getattr(scene, array).shape[1:]
    for row, element in zip(range(0, 40, 3), np.resize(np.arange(int(np.prod(shape))), 40), strict=False):
        broken = scene.with_values(array, (row, *np.unravel_index(element, shape)), value)
        gone = scene.with_values("opacities", row, 0)
        for got, want in zip(
            draw_all(broken, VIEW, backend=backend), draw_all(gone, VIEW, backend=backend), strict=True
        ):
            np.testing.assert_array_equal(got, want, err_msg=f"{array}[{row}], element {element}")


@pytest.mark.parametrize("array", ARRAYS)
def test_denormal(array: str, backend: Backend) -> None:
    """Tiny numbers are numbers: a mean is then at the origin, a scale is a point. A quaternion has no direction left
    and hides its Gaussian."""
    scene = ordinary(40).with_values(array, slice(None, None, 4), 1e-42)
    if array == "means":
        scene = replace(scene, means=to_world(VIEW, scene.means + np.float64([0, 0, 1])))
    require_matches(scene, VIEW, backend)


def test_every_gaussian_broken(backend: Backend) -> None:
    scene = ordinary()
    for array in ARRAYS:
        assert not draw(scene.with_values(array, slice(None), np.nan), VIEW, backend=backend).any()


def test_numbers_near_the_end_of_the_range(backend: Backend) -> None:
    """Finite, but squares and products overflow: such Gaussians may vanish; the others must not notice."""
    scene = ordinary(40)
    for array in ("means", "scales"):
        for value in (3e38, -3e38, 1e25):
            for column in range(3):
                broken = scene.with_values(array, (7, column), value)
                image = draw(broken, VIEW, backend=backend)
                assert np.isfinite(image).all()
                if array == "means" and column != 2:
                    np.testing.assert_array_equal(
                        image, draw(scene.with_values("opacities", 7, 0), VIEW, backend=backend)
                    )


@pytest.mark.parametrize("value", [0, 1e-30, 1e30])
def test_quaternions_without_a_direction(value: float, backend: Backend) -> None:
    """Zero, or of a squared length that float32 cannot hold."""
    scene = ordinary(20).with_values("quats", [3, 17], value)
    np.testing.assert_array_equal(
        draw(scene, VIEW, backend=backend), draw(scene.with_values("opacities", [3, 17], 0), VIEW, backend=backend)
    )


def test_zero_scales(backend: Backend) -> None:
    """Points, lines and plates seen from the side are as wide as the dilation makes them."""
    scene = ordinary(40).with_values("scales", slice(0, 13), 0)
    scene = scene.with_values("scales", (slice(13, 26), 0), 0).with_values("scales", (slice(26, 40), slice(1, 3)), 0)
    assert require_matches(scene, VIEW, backend).max() > 0


def test_huge_scales(backend: Backend) -> None:
    """Each covers everything, whether centred in the canvas or far outside."""
    scene = ordinary(12)
    scene = replace(scene, scales=np.full((12, 3), 300, np.float32), opacities=np.full(12, 0.1, np.float32))
    image = require_matches(scene, VIEW, backend)
    assert image.min() > 0.1
    assert np.ptp(image, axis=(0, 1)).max() < 1e-3


@pytest.mark.parametrize("opacity", [0.0, 1.0])
def test_opacity(opacity: float, backend: Backend) -> None:
    scene = ordinary(60).with_values("opacities", slice(None), opacity)
    assert (require_matches(scene, VIEW, backend).max() > 0) == (opacity > 0)


# ---- canvases ----


def test_4096_by_4096(backend: Backend) -> None:
    """uint8 against the oracle at 3,000 pixels, half of them under splats; the rest of the canvas is background."""
    rng, view = np.random.default_rng(0), front_view(4096, 4096, focal=4000)
    scene = random_scene(rng, 300, view, size_px=(2, 120), behind=0)
    background = np.float32([0.2, 0.4, 0.6])
    image, alpha, _ = draw_all(scene, view, backend=backend, threads=2, background=background, dtype="uint8")
    covered = np.argwhere(alpha > 0)[:, ::-1]
    pixels = np.concatenate([rng.integers(0, 4096, (1500, 2)), covered[rng.integers(0, len(covered), 1500)]])
    want = rasterize_ref(scene, view, pixels=pixels)
    assert 0.2 < (want.alpha > 0).mean() < 1
    sure = ~want.ambiguous
    x, y = pixels.T
    require_close("rasterize large", "float32", alpha[y, x], want.alpha, where=sure)
    levels = rgba8_ref(want.color, want.transmittance, background)
    assert np.abs(image[y, x] - levels)[sure].max() < 0.55
    assert (image[alpha == 0] == [51, 102, 153, 255]).all()


@pytest.mark.parametrize("size", [(1, 4096), (4096, 1), (16384, 3)])
def test_long_canvases(size: tuple[int, int], backend: Backend) -> None:
    rng, view = np.random.default_rng(1), front_view(*size, focal=max(size))
    scene = random_scene(rng, 200, view, size_px=(3, 40), behind=0)
    _, alpha, _ = draw_all(scene, view, backend=backend)
    pixels = np.stack([rng.integers(0, size[0], 2000), rng.integers(0, size[1], 2000)], axis=1)
    want = rasterize_ref(scene, view, pixels=pixels)
    assert want.alpha.max() > 0.1
    got = alpha[pixels[:, 1], pixels[:, 0]]
    require_close("rasterize large", "float32", got, want.alpha, where=~want.ambiguous)


# ---- memory of the caller ----


def test_strided_and_misaligned_input() -> None:
    scene = ordinary(50)
    want = draw(scene, VIEW)
    wide = {a: np.stack([getattr(scene, a)] * 2, axis=-1)[..., 0] for a in ARRAYS}
    assert not wide["means"].flags.c_contiguous
    np.testing.assert_array_equal(draw(Scene(**wide), VIEW), want)
    odd = {}
    for name in ARRAYS:
        array = getattr(scene, name)
        odd[name] = np.frombuffer(b"\0" + array.tobytes(), np.uint8)[1:].view(np.float32).reshape(array.shape)
        assert not odd[name].flags.aligned
    np.testing.assert_array_equal(draw(Scene(**odd), VIEW), want)


def test_input_at_every_offset_of_a_vector(backend: Backend) -> None:
    """Aligned to 4 bytes only, and never read past the end: the last row lies at the end of its buffer."""
    scene = ordinary(33)
    want = draw(scene, VIEW, backend=backend)
    for offset in range(1, 17):
        moved = {}
        for name in ARRAYS:
            array = getattr(scene, name)
            buffer = np.full(offset + array.size, np.nan, np.float32)
            buffer[offset:] = array.ravel()
            moved[name] = buffer[offset:].reshape(array.shape)
        np.testing.assert_array_equal(draw(Scene(**moved), VIEW, backend=backend), want)


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 4), ("float32", 3)])
def test_out_with_rows_apart(dtype: str, channels: int, backend: Backend) -> None:
    """Rows of any length from any address; what lies between them is not touched. The same array again and again."""
    scene, item = ordinary(), np.dtype(dtype).itemsize
    want = draw(scene, VIEW, backend=backend, dtype=dtype)
    row = VIEW.width * channels * item
    stride = row + (3 if dtype == "uint8" else 12)
    start = 1 if dtype == "uint8" else 4
    memory = np.full(start + stride * VIEW.height, 0xAB, np.uint8)
    rows = np.lib.stride_tricks.as_strided(memory[start:], (VIEW.height, stride), (stride, 1))
    out = np.ndarray((VIEW.height, VIEW.width, channels), dtype, memory, start, (stride, channels * item, item))
    for _ in range(3):
        assert draw(scene, VIEW, backend=backend, dtype=dtype, out=out) is out
        np.testing.assert_array_equal(out, want)
        assert (rows[:, row:] == 0xAB).all()
        assert (memory[:start] == 0xAB).all()


@pytest.mark.parametrize(("start", "padding"), [(1, 0), (4, 2)])
def test_floats_must_be_aligned(start: int, padding: int) -> None:
    stride = 12 * VIEW.width + padding
    memory = np.zeros(start + stride * VIEW.height, np.uint8)
    out = np.ndarray((VIEW.height, VIEW.width, 3), np.float32, memory, start, (stride, 12, 4))
    with pytest.raises(ValueError, match="image must be aligned to its float32 numbers"):
        draw(ordinary(), VIEW, out=out)


# ---- the same result, always ----


@pytest.mark.parametrize("n", [0, 1, 17, 2000])
def test_threads_do_not_change_a_bit(n: int, backend: Backend) -> None:
    rng = np.random.default_rng(n)
    view = turned_view(rng, 200, 130)
    scene = random_scene(rng, n, view, size_px=(0.3, 12), sh_degree=1)
    for options in ({}, {"dtype": "uint8", "background": [0.5, 0.1, 0.9]}, {"precision": "fast"}):
        want = draw_all(scene, view, backend=backend, threads=1, **options)
        for threads in (2, 8):
            for _ in range(3):
                got = draw_all(scene, view, backend=backend, threads=threads, **options)
                for a, b in zip(got, want, strict=True):
                    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("threads", [1, 3])
def test_scratch_memory_leaves_no_trace(threads: int, backend: Backend) -> None:
    """Frames of all sizes in turn, each as an engine of its own draws it."""
    rng = np.random.default_rng(11)
    frames = []
    for width, height, n in ((64, 48, 100), (300, 200, 900), (16, 16, 5), (64, 48, 1500), (1, 1, 1), (300, 200, 0)):
        view = turned_view(rng, width, height)
        frames.append((random_scene(rng, n, view), view))
    shared = backend.engine(threads)
    for _ in range(2):
        for scene, view in frames:
            fresh = backend.engine(1)
            got = draw_core(shared, scene, view, _core.Format.RGB_F32)
            np.testing.assert_array_equal(got, draw_core(fresh, scene, view, _core.Format.RGB_F32))
            np.testing.assert_array_equal(got, draw_core(shared, scene, view, _core.Format.RGB_F32))


def test_instruction_sets_agree() -> None:
    """To rounding: each is held to the oracle elsewhere; here, that they draw one picture."""
    view = turned_view(np.random.default_rng(2), 90, 70)
    scene = random_scene(np.random.default_rng(3), 300, view)
    sure = ~rasterize_ref(scene, view).ambiguous.reshape(70, 90)
    images = [draw(scene, view, backend=backend) for backend in present_backends()]
    for image in images[1:]:
        require_close("rasterize", "float32", image, images[0], where=sure)


# ---- no growth ----


def resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc, which is not here"
)
def test_no_growth(backend: Backend) -> None:
    rng, view = np.random.default_rng(1), front_view(160, 120)
    scene = random_scene(rng, 600, view)
    engine = backend.engine(2)
    draw_core(engine, scene, view, _core.Format.RGBA8)
    scratch = engine.scratch_bytes
    assert 0 < scratch < 64 << 20
    for _ in range(20):
        draw_core(engine, scene, view, _core.Format.RGBA8)
    before = resident_pages()
    for _ in range(200):
        draw_core(engine, scene, view, _core.Format.RGBA8)
        assert engine.scratch_bytes == scratch
    assert resident_pages() - before < 256  # pages of 4 KiB: a frame's image alone is 19


def test_moving_scenes_settle(backend: Backend) -> None:
    """Visible counts vary from frame to frame; scratch memory reaches its high-water mark and stays."""
    rng, view = np.random.default_rng(1), front_view(160, 120)
    engine = backend.engine(2)
    scene = random_scene(rng, 600, view)
    shifts = [np.float32([x, 0, 0]) for x in np.linspace(-1, 1, 25)]
    marks = []
    for _ in range(3):
        for shift in shifts:
            draw_core(engine, replace(scene, means=scene.means + shift), view, _core.Format.RGBA8)
        marks.append(engine.scratch_bytes)
    assert marks[1] == marks[2]


# ---- a splat across the canvas' border ----


def test_borders(backend: Backend) -> None:
    """Centres on, just in and just out of each border of a canvas that is no multiple of a tile."""
    view = front_view(37, 21)
    x = np.array([-0.6, -0.01, 0, 0.5, 36.5, 36.99, 37, 37.6])
    y = np.array([-0.6, -0.01, 0, 0.5, 20.5, 20.99, 21, 21.6])
    xs, ys = np.meshgrid(x, y)
    n = xs.size
    scene = flat_scene(view, xs.ravel(), ys.ravel(), 2 + np.arange(n) / n, 0.8, 0.4, [0.3, 0.7, 0.9])
    require_matches(scene, view, backend)
