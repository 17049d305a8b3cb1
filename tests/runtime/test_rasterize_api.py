# SPDX-License-Identifier: Apache-2.0
"""rasterize(): shapes, dtypes, outputs and messages. Whether pixels are right is tested with the ops."""

import os
import re
import threading
from typing import Any

import numpy as np
import pytest

import talksplat
from talksplat import _core

N, WIDTH, HEIGHT = 5, 40, 24
K = np.array([[50, 0, WIDTH / 2], [0, 50, HEIGHT / 2], [0, 0, 1]])


def scene() -> dict[str, Any]:
    rng = np.random.default_rng(7)
    return {
        "means": np.column_stack([rng.uniform(-0.5, 0.5, (N, 2)), rng.uniform(2, 3, N)]).astype(np.float32),
        "quats": rng.normal(size=(N, 4)).astype(np.float32),
        "scales": np.full((N, 3), 0.1, np.float32),
        "opacities": np.full(N, 0.8, np.float32),
        "colors": rng.uniform(0.2, 1, (N, 3)).astype(np.float32),
        "viewmat": np.eye(4),
        "K": K,
        "width": WIDTH,
        "height": HEIGHT,
        "threads": 1,
    }


def draw(**changes: Any) -> Any:
    return talksplat.rasterize(**{**scene(), **changes})


def test_float_image() -> None:
    image = draw()
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.float32
    assert image.max() > 0.2


def test_uint8_image_is_straight_rgba() -> None:
    image = draw(dtype="uint8", opacities=np.full(N, 0.5))
    floats, alpha = draw(opacities=np.full(N, 0.5), return_alpha=True)
    assert image.shape == (HEIGHT, WIDTH, 4)
    assert image.dtype == np.uint8
    assert np.abs(image[..., 3] - alpha * 255).max() <= 1
    seen = alpha > 0.3
    straight = floats[seen] / alpha[seen][:, None]
    assert np.abs(image[seen][:, :3] - np.clip(straight, 0, 1) * 255).max() <= 2
    assert (draw(dtype=np.uint8, background=[0, 0, 0])[..., 3] == 255).all()


def test_extra_outputs_come_in_order() -> None:
    image, alpha, depth = draw(return_alpha=True, return_depth=True)
    only_depth = draw(return_depth=True)
    assert alpha.shape == depth.shape == (HEIGHT, WIDTH)
    assert alpha.max() <= 1
    assert len(only_depth) == 2
    np.testing.assert_array_equal(only_depth[1], depth)
    np.testing.assert_array_equal(only_depth[0], image)
    seen = alpha > 0.05
    assert ((depth[seen] / alpha[seen] > 1.5) & (depth[seen] / alpha[seen] < 3.5)).all()


def test_out_is_drawn_into() -> None:
    out = np.full((HEIGHT, WIDTH, 4), 77, np.uint8)
    assert draw(dtype="uint8", out=out) is out
    np.testing.assert_array_equal(out, draw(dtype="uint8"))


def test_out_may_be_part_of_a_larger_picture() -> None:
    canvas = np.full((HEIGHT + 4, WIDTH + 6, 4), 77, np.uint8)
    draw(dtype="uint8", out=canvas[2:-2, 3:-3])
    np.testing.assert_array_equal(canvas[2:-2, 3:-3], draw(dtype="uint8"))
    canvas[2:-2, 3:-3] = 77
    assert (canvas == 77).all()


def test_backgrounds() -> None:
    colour = [0.25, 0.5, 0.75]
    picture = np.broadcast_to(np.array(colour, np.float32), (HEIGHT, WIDTH, 3))
    one = draw(background=colour)
    np.testing.assert_allclose(one, draw(background=picture), atol=1e-6)
    image, alpha = draw(return_alpha=True)
    np.testing.assert_allclose(one, image + (1 - alpha)[..., None] * np.array(colour), atol=1e-5)


def test_other_dtypes_and_layouts_are_converted() -> None:
    want = draw()
    parts = scene()
    for name in ("means", "quats", "scales", "opacities", "colors"):
        parts[name] = np.asfortranarray(parts[name].astype(np.float64))
    np.testing.assert_array_equal(talksplat.rasterize(**parts), want)
    parts = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in scene().items()}
    np.testing.assert_array_equal(talksplat.rasterize(**parts), want)
    unaligned = np.frombuffer(b"\0" + scene()["means"].tobytes(), np.uint8)[1:].view(np.float32).reshape(N, 3)
    assert not unaligned.flags.aligned
    np.testing.assert_array_equal(draw(means=unaligned), want)


def test_dlpack_is_accepted() -> None:
    class Tensor:
        def __init__(self, array: Any) -> None:
            self.array = array

        def __dlpack__(self, **options: Any) -> Any:
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return self.array.__dlpack_device__()

    np.testing.assert_array_equal(draw(means=Tensor(scene()["means"])), draw())


def test_spherical_harmonics() -> None:
    colors = scene()["colors"]
    for degree in range(4):
        sh = np.zeros((N, 16, 3), np.float32)
        sh[:, 0] = (colors - 0.5) / 0.28209479177387814
        np.testing.assert_allclose(draw(colors=sh, sh_degree=degree), draw(), atol=1e-5)


def test_no_gaussians() -> None:
    image, alpha = draw(
        means=np.zeros((0, 3)), quats=np.zeros((0, 4)), scales=np.zeros((0, 3)), opacities=[], colors=np.zeros((0, 3)),
        background=[0.1, 0.2, 0.3], return_alpha=True,
    )  # fmt: skip
    np.testing.assert_allclose(image, np.broadcast_to(np.float32([0.1, 0.2, 0.3]), image.shape), atol=1e-6)
    assert not alpha.any()


def test_threads_do_not_change_the_picture() -> None:
    np.testing.assert_array_equal(draw(threads=1), draw(threads=2))
    np.testing.assert_array_equal(draw(threads=1), draw(threads=0))
    np.testing.assert_array_equal(draw(threads=1), draw(threads=None))


def test_precision() -> None:
    np.testing.assert_array_equal(draw(precision=None), draw(precision="reference"))
    assert np.abs(draw(precision="fast") - draw()).max() <= 1.5 / 255


def test_from_many_threads() -> None:
    want = draw()
    found: list[Any] = []

    def work() -> None:
        for _ in range(20):
            found.append(np.array_equal(draw(), want))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [True] * 80


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_draws_too() -> None:
    want = draw(threads=2)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(draw(threads=2), want) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


SKEWED = K + np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]])
WRONG = [
    ({"means": np.zeros((N, 2))}, "rasterize: means must be [N,3]; got [5,2]."),
    ({"means": np.zeros(3)}, "rasterize: means must be [N,3]; got [3]."),
    ({"means": [["a", "b", "c"]]}, "rasterize: means must hold real numbers; got dtype <U1."),
    ({"means": [[1, 2], [3]]}, "rasterize: means must be an array of numbers in CPU memory"),
    ({"means": np.zeros((N, 3), complex)}, "rasterize: means must hold real numbers; got dtype complex128."),
    ({"quats": np.zeros((N, 3))}, "rasterize: quats must be [5,4] (N=5 from means); got [5,3]. wxyz quaternions"),
    ({"scales": np.zeros((4, 3))}, "rasterize: scales must be [5,3] (N=5 from means); got [4,3]."),
    ({"opacities": np.zeros((N, 1))}, "rasterize: opacities must be [5] (N=5 from means); got [5,1]. Drop"),
    ({"colors": np.zeros((N, 16, 3))}, "got [5,16,3]. For SH coefficients pass sh_degree."),
    ({"colors": np.zeros((N, 3)), "sh_degree": 0}, "K=1..16 (from sh_degree=0); got [5,3]. For RGB [N,3]"),
    ({"colors": np.zeros((N, 8, 3)), "sh_degree": 2}, "K=9..16 (from sh_degree=2); got [5,8,3]."),
    ({"colors": np.zeros((N, 25, 3)), "sh_degree": 4}, "rasterize: sh_degree must be 0, 1, 2, 3 or None; got 4."),
    ({"sh_degree": -1}, "rasterize: sh_degree must be a whole number, at least 0; got -1."),
    ({"sh_degree": 1.5}, "rasterize: sh_degree must be a whole number, at least 0; got 1.5."),
    ({"width": 0}, "rasterize: width must be a whole number, at least 1; got 0."),
    ({"height": 24.0}, "rasterize: height must be a whole number, at least 1; got 24.0."),
    ({"width": True}, "rasterize: width must be a whole number, at least 1; got True."),
    ({"viewmat": np.eye(3)}, "rasterize: viewmat must be [4,4] (world to camera, row-major); got [3,3]."),
    ({"viewmat": np.full((4, 4), np.nan)}, "rasterize: viewmat must be finite; got nan at [0, 0]."),
    ({"viewmat": np.eye(4) + np.eye(4, k=-3)}, "the row 0 0 0 1; got [1.0, 0.0, 0.0, 1.0]. Is it transposed"),
    ({"K": SKEWED}, "A camera with skew is not supported: undistort the picture first."),
    ({"K": np.eye(4)}, "rasterize: K must be [3,3]; got [4,4]."),
    ({"K": np.diag([0, 1, 1])}, "rasterize: K must have positive focal lengths in pixels; got fx=0.0, fy=1.0."),
    ({"background": [1, 2]}, "rasterize: background must be [3] (one colour in 0..1); got [2]."),
    ({"background": np.zeros((2, 2, 3))}, "rasterize: background must be [24,40,3]"),
    ({"background": [0, np.inf, 0]}, "rasterize: background must be finite; got inf at [1]."),
    ({"near": -1}, "rasterize: near must be finite and positive; got -1."),
    ({"dilation": "much"}, "rasterize: dilation must be a number, finite and positive; got 'much'."),
    ({"threads": -1}, "rasterize: threads must be a whole number, at least 0; got -1."),
    ({"precision": "double"}, 'precision must be "default" (also None), "reference" or "fast"; got \'double\'.'),
    ({"dtype": "float64"}, "rasterize: dtype must be \"float32\" or \"uint8\"; got 'float64'."),
    ({"dtype": "pixels"}, "rasterize: dtype must be \"float32\" or \"uint8\"; got 'pixels'."),
    ({"out": np.zeros((HEIGHT, WIDTH, 4), np.uint8)}, "out must be a [24,40,3] float32 array; got [24,40,4] uint8."),
    ({"out": [1]}, "rasterize: out must be a [24,40,3] float32 array; got list."),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=lambda value: value[:60] if isinstance(value, str) else "")
def test_wrong_arguments(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        draw(**changes)


def test_out_must_be_writable_with_adjacent_pixels() -> None:
    out = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        draw(dtype="uint8", out=out)
    with pytest.raises(ValueError, match="the pixels of a row must be adjacent"):
        draw(dtype="uint8", out=np.zeros((HEIGHT, 2 * WIDTH, 4), np.uint8)[:, ::2])
    with pytest.raises(ValueError, match="channels of a pixel must be adjacent"):
        draw(dtype="uint8", out=np.zeros((HEIGHT, WIDTH, 8), np.uint8)[..., ::2])
    with pytest.raises(ValueError, match="rows ascending"):
        draw(dtype="uint8", out=np.zeros((HEIGHT, WIDTH, 4), np.uint8)[::-1])


def test_the_core_checks_what_it_is_given() -> None:
    """_core is private, but a wrong call must not read past an array."""
    parts = [np.zeros((N, 3), np.float32), np.zeros((N, 4), np.float32), np.zeros((N, 3), np.float32)]
    camera = _core.Camera(np.eye(4, dtype=np.float32), 1, 1, 1, 1, 0.2)
    out = np.zeros((2, 2, 3), np.float32)

    def call(opacity: Any, image: Any) -> None:
        _core.rasterize(
            _core.Engine(1), *parts, opacity, parts[0], -1, camera, None, 0.3, _core.Precision.REFERENCE,
            _core.Format.RGB_F32, 2, 2, image, None, None,
        )  # fmt: skip

    call(np.ones(N, np.float32), out)
    with pytest.raises(ValueError, match=re.escape("opacity must be [5]; got [4].")):
        call(np.ones(N - 1, np.float32), out)
    with pytest.raises(ValueError, match=re.escape("image must be [2,2,3]; got [1,2,3].")):
        call(np.ones(N, np.float32), out[:1])
    with pytest.raises(TypeError):
        call(np.ones(N), out)


def test_an_instruction_set_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKSPLAT_ISA", "mmx")
    with pytest.raises((ValueError, talksplat.DeviceError), match="mmx"):
        draw()


def test_background_of_bytes_is_scaled() -> None:
    floats = draw(background=[20 / 255, 40 / 255, 1.0])
    bytes_ = draw(background=np.array([20, 40, 255], np.uint8))
    np.testing.assert_allclose(bytes_, floats, atol=1e-6)


def test_whole_numbers_that_look_like_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"background is in 0\.\.1; got the whole number 40"):
        draw(background=(20, 40, 30))
    with pytest.raises(ValueError, match="Divide them by 255"):
        draw(colors=np.full((len(scene()["means"]), 3), 200, np.uint8))
