# SPDX-License-Identifier: Apache-2.0
"""Pictures and Gaussians that stay on a GPU, and how other libraries take them, over the tests' driver.

The memory of its GPUs is out of reach, and work is done as late as it may be: who takes a picture early gets another.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import talksplat
from conftest import ROOT
from runtime.dlpack_taken import Taken
from runtime.sounds import chirps
from talksplat._arrays import as_floats

pytestmark = pytest.mark.slow
SIZE = (40, 24)
OPEN = {"arkit": {"jawOpen": 1.0}}


class Driver:
    """The driver API, for a program that works on the GPU itself."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set = monkeypatch.setenv
        self.library = ctypes.CDLL(str(path))

    def setting(self, **settings: int) -> None:
        for name, value in settings.items():
            self.set(f"FAKE_CUDA_{name}", str(value))
        self.library.fake_cuda_reset()

    def __call__(self, name: str, *arguments: Any) -> None:
        assert getattr(self.library, name)(*arguments) == 0, name

    def make_stream(self) -> int:
        made = ctypes.c_void_p()
        self("cuStreamCreate", ctypes.byref(made), 1)
        return made.value or 0

    def allocate(self, n_bytes: int) -> int:
        made = ctypes.c_uint64()
        self("cuMemAlloc_v2", ctypes.byref(made), ctypes.c_size_t(n_bytes))
        return made.value

    def read(self, address: int, like: np.ndarray, stream: int) -> np.ndarray:
        """What is there when the stream comes to it."""
        got = np.empty_like(like)
        to = ctypes.c_void_p(got.ctypes.data)
        size = ctypes.c_size_t(got.nbytes)
        self("cuMemcpyDtoHAsync_v2", to, ctypes.c_uint64(address), size, ctypes.c_void_p(stream))
        return got

    def ran(self) -> int:
        ran: int = self.library.fake_cuda_ran()
        return ran


@pytest.fixture
def driver(fake_driver: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """Two GPUs, and the primary context of the first is current, as in a program of the CUDA runtime."""
    monkeypatch.setenv("TALKSPLAT_LIBCUDA", str(fake_driver))
    made = Driver(fake_driver, monkeypatch)
    made.setting(DEVICES=2)
    context = ctypes.c_void_p()
    made("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
    made("cuCtxPushCurrent_v2", context)
    yield made
    gc.collect()
    made("cuCtxPopCurrent_v2", ctypes.byref(context))
    made("cuDevicePrimaryCtxRelease_v2", 0)
    monkeypatch.undo()
    made.library.fake_cuda_reset()


@pytest.fixture
def avatar(driver: Driver, tiny_path: Path) -> talksplat.Avatar:
    return talksplat.load(tiny_path, device="cuda", threads=1)


# ---- pictures ----


@pytest.mark.parametrize("form", ["rgb8", "rgba8", "nv12", "rgb_f32"])
def test_a_picture_stays_on_the_gpu(driver: Driver, avatar: talksplat.Avatar, form: str) -> None:
    want = avatar.render_frame(OPEN, SIZE, form).image
    stream = driver.make_stream()
    ran = driver.ran()
    frame = avatar.render_frame(OPEN, SIZE, form, stream=stream)
    assert driver.ran() == ran  # nobody has waited
    image = frame.image
    assert isinstance(image, talksplat.DeviceArray)
    assert (image.shape, image.ndim, image.dtype, image.nbytes) == (want.shape, want.ndim, want.dtype, want.nbytes)
    assert (image.device, frame.format, frame.size) == ("cuda:0", form, SIZE)
    assert repr(image) == f"DeviceArray([{','.join(map(str, want.shape))}], {want.dtype}, cuda:0)"
    np.testing.assert_array_equal(image.numpy(), want)
    assert frame.receipt.n_visible == 0


def test_the_array_interface(driver: Driver, avatar: talksplat.Avatar) -> None:
    stream = driver.make_stream()
    want = avatar.render_frame(OPEN, SIZE).image
    image = avatar.render_frame(OPEN, SIZE, stream=stream).image
    told = image.__cuda_array_interface__
    assert {**told, "data": None} == {
        "shape": (24, 40, 3), "typestr": "|u1", "data": None, "strides": None, "version": 3, "stream": stream,
    }  # fmt: skip
    address, read_only = told["data"]
    assert not read_only
    np.testing.assert_array_equal(driver.read(address, want, told["stream"]), want)
    default = avatar.render_frame(OPEN, SIZE, "rgb_f32", stream=0).image.__cuda_array_interface__
    assert (default["stream"], default["typestr"]) == (1, "<f4")  # 0 is not allowed there


@pytest.mark.parametrize("versioned", [False, True])
def test_dlpack(driver: Driver, avatar: talksplat.Avatar, versioned: bool) -> None:
    stream, other = driver.make_stream(), driver.make_stream()
    want = avatar.render_frame(OPEN, SIZE).image
    image = avatar.render_frame(OPEN, SIZE, stream=stream).image
    assert image.__dlpack_device__() == (2, 0)
    options = {"max_version": (1, 1)} if versioned else {}
    taken = Taken(image.__dlpack__(stream=other, **options), versioned)
    tensor = taken.tensor
    assert (tensor.device_type, tensor.device_id, tensor.code, tensor.bits, tensor.lanes) == (2, 0, 1, 8, 1)
    assert tensor.shape[: tensor.ndim] == [24, 40, 3] and tensor.strides[: tensor.ndim] == [120, 3, 1]
    assert not versioned or (taken.managed.major, taken.managed.flags) == (1, 0)
    del image  # the tensor lives on
    gc.collect()
    np.testing.assert_array_equal(driver.read(tensor.data, want, other), want)
    taken.free()
    taken = Taken(avatar.render_frame(OPEN, SIZE, "rgb_f32", stream=stream).image.__dlpack__(), False)  # default stream
    assert (taken.tensor.code, taken.tensor.bits) == (2, 32)
    taken.free()
    avatar.render_frame(OPEN, SIZE, stream=stream).image.__dlpack__()  # that nobody takes


def test_what_dlpack_refuses(driver: Driver, avatar: talksplat.Avatar) -> None:
    image = avatar.render_frame(OPEN, SIZE, stream=0).image
    for stream in (0, -2):
        with pytest.raises(ValueError, match=r"stream must be None, -1, 1, 2 or a stream's address"):
            image.__dlpack__(stream=stream)
    with pytest.raises(ValueError, match="stream must be a CUDA stream of cuda:0"):
        image.__dlpack__(stream=0x7770)
    for wish in ({"copy": True}, {"dl_device": (2, 1)}, {"dl_device": (1, 0), "copy": False}):
        with pytest.raises(BufferError, match="taken there without a copy, or copied to the CPU"):
            image.__dlpack__(**wish)
    image.__dlpack__(stream=-1)
    np.testing.assert_array_equal(as_floats("image", image), image.numpy())  # features may be of a GPU, too


class Drawn:
    """A tensor of another library."""

    def __init__(self, address: int, shape: tuple[int, ...], typestr: str, **more: Any) -> None:
        self.dtype, self.ndim, self.shape = np.dtype(typestr), len(shape), shape
        read_only = more.pop("read_only", False)
        self.__cuda_array_interface__ = {
            "shape": shape, "typestr": typestr, "data": (address, read_only), "version": 3, **more,
        }  # fmt: skip


@pytest.mark.parametrize("pad", [0, 8])
def test_into_a_tensor(driver: Driver, avatar: talksplat.Avatar, pad: int) -> None:
    want = avatar.render_frame(OPEN, SIZE, "rgba8").image
    stream = driver.make_stream()
    row = 160 + pad
    address = driver.allocate(24 * row)
    out = Drawn(address, (24, 40, 4), "|u1", **({"strides": (row, 4, 1)} if pad else {}))
    frame = avatar.render_frame(OPEN, SIZE, "rgba8", out=out, stream=SimpleNamespace(cuda_stream=stream))
    assert frame.image is out and (frame.format, frame.size) == ("rgba8", SIZE)
    rows = driver.read(address, np.empty((24, row), np.uint8), stream)
    np.testing.assert_array_equal(rows[:, :160].reshape(24, 40, 4), want)
    mine = avatar.render_frame({}, SIZE, stream=stream).image
    assert avatar.render_frame(OPEN, SIZE, out=mine, stream=stream).image is mine
    np.testing.assert_array_equal(mine.numpy(), avatar.render_frame(OPEN, SIZE).image)
    driver("cuMemFree_v2", ctypes.c_uint64(address))


def test_speech_and_motion(driver: Driver) -> None:
    driver.setting(KERNELS=0)  # pictures do not matter here
    avatar = talksplat.load("demo", device="cuda", threads=1)
    sound = chirps(0.2, 16000)[:, 0]
    frames = list(avatar.render(sound, sample_rate=16000, size=(32, 32), stream=0))
    assert len(frames) == 5 and all(isinstance(frame.image, talksplat.DeviceArray) for frame in frames)
    assert sum(len(frame.audio) for frame in frames if frame.audio is not None) == len(sound)
    out = frames[0].image
    motion = talksplat.Motion(25.0, np.zeros((3, 1), np.float32), ("jawOpen",))
    moved = list(avatar.render_motion(motion, size=(32, 32), out=out, stream=0))
    assert len(moved) == 3 and all(frame.image is out for frame in moved)


@pytest.mark.parametrize(
    "stream",
    [
        SimpleNamespace(__cuda_stream__=lambda: (0, 0)),  # cuda.core
        SimpleNamespace(__cuda_stream__=(0, 0)),
        SimpleNamespace(cuda_stream=0),  # torch
        SimpleNamespace(ptr=0, wait_event=None),  # CuPy
        np.int64(1),
        2,
    ],
)
def test_streams_of_other_libraries(driver: Driver, avatar: talksplat.Avatar, stream: Any) -> None:
    want = avatar.render_frame(OPEN, SIZE).image
    np.testing.assert_array_equal(avatar.render_frame(OPEN, SIZE, stream=stream).image.numpy(), want)


@pytest.mark.parametrize(
    "stream", ["cuda:0", -1, 2**64, 1.5, True, SimpleNamespace(__cuda_stream__=lambda: (0,)), SimpleNamespace(ptr=0)]
)
def test_what_is_no_stream(tiny: talksplat.Avatar, stream: Any) -> None:
    with pytest.raises(ValueError, match=r"render_frame: stream must be a torch.cuda.Stream, a cuda.core or CuPy"):
        tiny.render_frame({}, stream=stream)


def test_what_is_refused(driver: Driver, avatar: talksplat.Avatar) -> None:
    address = driver.allocate(4096)

    def refuse(words: str, out: Any = None, stream: Any = 0, form: str = "rgba8") -> None:
        with pytest.raises(ValueError, match=words):
            avatar.render_frame(OPEN, SIZE, form, out=out, stream=stream)
        assert avatar.engine.device == "cuda:0"

    refuse("stream must be a CUDA stream of cuda:0", stream=0x7770)
    refuse("out must be in the GPU's memory where a stream is given", np.zeros((24, 40, 4), np.uint8))
    refuse(r"out must be \[24,40,4\] uint8 on the GPU; got \[24,40,3\] uint8", Drawn(address, (24, 40, 3), "|u1"))
    refuse(r"got \[24,40,4\] float32", Drawn(address, (24, 40, 4), "<f4"))
    refuse("out is read-only", Drawn(address, (24, 40, 4), "|u1", read_only=True))
    refuse("rows ascending; got strides", Drawn(address, (24, 40, 4), "|u1", strides=(320, 8, 1)))
    refuse("rows ascending; got strides", Drawn(address, (24, 40, 4), "|u1", strides=(-160, 4, 1)))
    refuse("rows ascending; got strides", Drawn(address, (24, 40, 4), "|u1", strides=(2**62, 4, 1)))
    refuse("aligned to 4 bytes", Drawn(address + 2, (24, 40, 4), "|u1"))
    refuse("image: data must be 3840 bytes in the memory of cuda:0", Drawn(address + 512, (24, 40, 4), "|u1"))
    refuse("out is in a GPU's memory: say by stream=", Drawn(address, (24, 40, 4), "|u1"), stream=None)
    driver("cuMemFree_v2", ctypes.c_uint64(address))


def test_a_stream_of_another_gpu(driver: Driver, avatar: talksplat.Avatar) -> None:
    with pytest.raises(ValueError, match="stream must be of cuda:0, which draws; got one of cuda:1"):
        avatar.render_frame({}, stream=SimpleNamespace(cuda_stream=0, device_index=1))


def test_a_stream_lives_as_long_as_what_names_it(driver: Driver, avatar: talksplat.Avatar) -> None:
    class Stream:
        cuda_stream = 0

    stream = Stream()
    alive = weakref.ref(stream)
    frames = avatar.render_motion(talksplat.Motion(25.0, np.zeros((2, 1), np.float32), ("jawOpen",)), stream=stream)
    del stream
    image = next(frames).image
    frames.close()
    assert alive() is not None
    del frames, image
    gc.collect()
    assert alive() is None


def test_what_is_drawn_twice_is_the_last(driver: Driver, avatar: talksplat.Avatar) -> None:
    """By two frames in two streams, which nothing else orders."""
    one, other = driver.make_stream(), driver.make_stream()
    for first, second in (("fast", "reference"), ("reference", "fast")):
        image = avatar.render_frame({}, SIZE, precision=first, stream=one).image
        avatar.render_frame(OPEN, SIZE, precision=second, out=image, stream=other)
        want = avatar.render_frame(OPEN, SIZE, precision=second).image
        for stream in (other, one):  # each is done by then; the first picture must not come late
            got = driver.read(image.__cuda_array_interface__["data"][0], want, stream)
            np.testing.assert_array_equal(got, want)


def test_the_cpu_has_no_such_memory(tiny: talksplat.Avatar) -> None:
    with pytest.raises(ValueError, match=r"on_device: the CPU draws here, .* Leave it out, or make an engine on a GPU"):
        tiny.render_frame({}, stream=0)
    with pytest.raises(ValueError, match="the CPU draws here"):
        tiny.gaussians({}, stream=0)


def test_a_lost_gpu(driver: Driver, tiny_path: Path) -> None:
    """What was to stay there cannot; what may come to the CPU does."""
    avatar = talksplat.load(tiny_path, threads=1)
    image = avatar.render_frame(OPEN, SIZE, stream=0).image
    driver.setting(LOST_AT=1)
    with pytest.raises(talksplat.DeviceError, match=r"cuda:0 .Fake GPU. was lost"):
        image.numpy()
    with pytest.raises(talksplat.DeviceError, match="was lost"):
        avatar.render_frame(OPEN, SIZE, stream=0)
    assert avatar.render_frame(OPEN, SIZE).image.shape == (24, 40, 3)
    with pytest.raises(talksplat.DeviceError, match=r"nothing can stay on that. Leave it out, or make a new engine"):
        avatar.render_frame(OPEN, SIZE, stream=0)
    driver.setting(LOST_AT=0)


def test_a_video_of_pictures_on_the_gpu(driver: Driver, avatar: talksplat.Avatar, tmp_path: Path) -> None:
    frame = avatar.render_frame(OPEN, SIZE, stream=0)
    assert talksplat.write_video([frame], tmp_path / "%03d.png", fps=25) == 1
    shown = frame._repr_png_()
    assert shown is not None and shown == avatar.render_frame(OPEN, SIZE)._repr_png_()
    other = Drawn(frame.image.__cuda_array_interface__["data"][0], (24, 40, 3), "|u1")
    frame = avatar.render_frame(OPEN, SIZE, out=other, stream=0)
    with pytest.raises(ValueError, match=r"must be in the CPU's memory; it is a Drawn. Copy it"):
        talksplat.write_video([frame], tmp_path / "more%03d.png", fps=25)


# ---- Gaussians ----


def test_gaussians_stay_on_the_gpu(driver: Driver, avatar: talksplat.Avatar) -> None:
    whole = avatar.gaussians(OPEN)
    stream = driver.make_stream()
    ran = driver.ran()
    found = avatar.gaussians(OPEN, stream=stream)
    assert driver.ran() == ran
    rows = avatar.tensors()["gaussians/source_index"]
    for name in ("mean", "quat", "scale", "opacity", "color", "sh"):
        want, got = getattr(whole, name), getattr(found, name)
        assert (want is None) == (got is None)
        if got is not None:
            assert got.shape[0] == avatar.n_gaussians
            np.testing.assert_array_equal(got.numpy(), want[rows])
            address = got.__cuda_array_interface__["data"][0]
            np.testing.assert_array_equal(driver.read(address, want[rows], stream), want[rows])
    mean = found.mean
    del found
    np.testing.assert_array_equal(mean.numpy(), whole.mean[rows])  # an array keeps the memory that it is in


# ---- the example ----


def test_the_example(fake_driver: Path, tmp_path: Path) -> None:
    """examples/torch_frames.py as far as it goes without a GPU: a stand-in for torch takes what torch would take."""
    environment = os.environ | {
        "TALKSPLAT_LIBCUDA": str(fake_driver), "FAKE_CUDA_KERNELS": "0",
        "PYTHONPATH": f"{ROOT / 'tests' / 'runtime' / 'stand_ins'}{os.pathsep}{ROOT / 'tests'}",
    }  # fmt: skip
    command = [sys.executable, ROOT / "examples" / "torch_frames.py", "--size", "32x32", "--seconds", "0.2"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    told, *lines = map(json.loads, done.stdout.splitlines()[-1:])
    assert not lines and told == {"frames": 5, "shape": [3, 32, 32], "device": "cuda:0", "copies": 0}
