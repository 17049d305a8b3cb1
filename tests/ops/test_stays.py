# SPDX-License-Identifier: Apache-2.0
"""Pictures and Gaussians that stay on a GPU are those that come to the CPU: `make gpu-check` runs it on a GPU itself,
tests/runtime/test_on_device.py what a test's driver can show beyond that."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import backends
import talksplat
from runtime.tiny import tiny_avatar
from talksplat.authoring import spec

OPEN = {"arkit": {"jawOpen": 1.0}}


@pytest.fixture(params=[backends.CUDA], ids=str)
def avatar(request: pytest.FixtureRequest, tmp_path: Path) -> talksplat.Avatar:
    reason = backends.missing(request.param)
    if reason:
        pytest.skip(reason)
    return talksplat.load(spec.write(tmp_path / "tiny.tsplat", *tiny_avatar()), device="cuda")


@pytest.mark.parametrize("form", ["rgb8", "rgba8", "nv12", "rgb_f32"])
def test_pictures(avatar: talksplat.Avatar, form: str) -> None:
    for stream in (0, 1, 2):  # the default streams
        image = avatar.render_frame(OPEN, (50, 34), form, stream=stream).image
        np.testing.assert_array_equal(image.numpy(), avatar.render_frame(OPEN, (50, 34), form).image)


def test_gaussians(avatar: talksplat.Avatar) -> None:
    rows = avatar.tensors()["gaussians/source_index"]
    found, whole = avatar.gaussians(OPEN, stream=0), avatar.gaussians(OPEN)
    for name in ("mean", "quat", "scale", "opacity"):
        np.testing.assert_array_equal(getattr(found, name).numpy(), getattr(whole, name)[rows])


def test_what_is_no_memory_of_the_gpu(avatar: talksplat.Avatar) -> None:
    """It is refused, and the GPU goes on."""

    host = np.zeros((34, 50, 3), np.uint8)
    told = {"shape": host.shape, "typestr": "|u1", "data": (host.ctypes.data, False), "version": 3}
    out = SimpleNamespace(__cuda_array_interface__=told)
    with pytest.raises(ValueError, match="image: data must be 5100 bytes in the memory of cuda:0"):
        avatar.render_frame(OPEN, (50, 34), out=out, stream=0)
    assert avatar.render_frame(OPEN, (50, 34)).image.any()


def test_torch_takes_them(avatar: talksplat.Avatar) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no GPU")
    want = avatar.render_frame(OPEN, (50, 34)).image
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        image = avatar.render_frame(OPEN, (50, 34), stream=stream).image
        taken = torch.from_dlpack(image)
        assert taken.data_ptr() == image.__cuda_array_interface__["data"][0]
        np.testing.assert_array_equal((taken + 0).cpu().numpy(), want)
        own = torch.zeros((34, 50, 3), dtype=torch.uint8, device="cuda")
        assert avatar.render_frame(OPEN, (50, 34), out=own, stream=stream).image is own
        np.testing.assert_array_equal(own.cpu().numpy(), want)
        np.testing.assert_array_equal(torch.as_tensor(image, device="cuda").cpu().numpy(), want)
