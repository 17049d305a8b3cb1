# SPDX-License-Identifier: Apache-2.0
"""A GPU from Python, over the tests' driver (tests/simt/fake_cuda.h), which runs the kernels on this CPU."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from talksplat.cli import main

pytestmark = pytest.mark.slow
Output = pytest.CaptureFixture[str]
SIZE = (40, 24)
OPEN = {"arkit": {"jawOpen": 1.0}}


@pytest.fixture
def driver(fake_driver: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Two GPUs until the test ends. driver(LOST_AT=1) sets FAKE_CUDA_LOST_AT, and its calls are counted anew."""
    monkeypatch.setenv("TALKSPLAT_LIBCUDA", str(fake_driver))
    functions = ctypes.CDLL(str(fake_driver))

    def setting(**settings: int) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(f"FAKE_CUDA_{name}", str(value))
        functions.fake_cuda_reset()

    setting(DEVICES=2)
    yield setting
    monkeypatch.undo()
    functions.fake_cuda_reset()


def picture(avatar: talksplat.Avatar, **options: Any) -> np.ndarray:
    return avatar.render_frame(OPEN, SIZE, format="rgb_f32", **options).image


def test_auto_is_the_first_gpu(driver: Callable[..., None], tiny_path: Path) -> None:
    cpu = picture(talksplat.load(tiny_path, device="cpu", threads=1))
    avatar = talksplat.load(tiny_path, threads=1)
    info = avatar.info
    assert (info["device"], info["device_name"], info["note"]) == ("cuda:0", "Fake GPU", "")
    assert (avatar.isa, avatar.threads) == ("sm_75", 1)
    assert repr(avatar.engine) == "Engine('cuda:0', threads=1, isa='sm_75')"
    fast, reference = picture(avatar), picture(avatar, precision="reference")
    assert np.abs(fast - cpu).max() <= 1.5 / 255
    assert np.abs(reference - cpu).max() <= 2e-5
    np.testing.assert_array_equal(picture(avatar, precision="fast"), fast)  # what default means here
    np.testing.assert_array_equal(avatar.vertices(OPEN), talksplat.load(tiny_path, device="cpu").vertices(OPEN))


def test_a_gpu_by_its_name(driver: Callable[..., None], tiny_path: Path) -> None:
    assert talksplat.Engine("cuda", 1).device == "cuda:0"
    assert talksplat.load(tiny_path, device="cuda:1", threads=1).engine.device == "cuda:1"
    words = r'device "cuda:2": there is no such GPU\. This machine has cpu, cuda:0 \(Fake GPU\), cuda:1 \(Fake GPU\)\.'
    with pytest.raises(talksplat.DeviceError, match=words):
        talksplat.Engine("cuda:2")


def test_a_lost_gpu_is_given_up(driver: Callable[..., None], tiny_path: Path) -> None:
    """That very frame is the CPU's, and so are all that follow, on all avatars of the engine."""
    engine = talksplat.Engine(threads=1)
    avatar, other = (talksplat.load(tiny_path, engine=engine) for _ in range(2))
    want = picture(talksplat.load(tiny_path, device="cpu", threads=1))
    before = picture(avatar)
    assert engine.device == "cuda:0"
    driver(LOST_AT=1)
    np.testing.assert_array_equal(picture(avatar), want)
    assert np.abs(before - want).max() <= 1.5 / 255
    info = avatar.info
    assert (info["device"], info["device_name"]) == ("cpu", "")
    assert info["note"].startswith("cuda:0 (Fake GPU) was lost: CUDA_ERROR_LAUNCH_FAILED")
    driver(LOST_AT=0)
    np.testing.assert_array_equal(picture(other), want)
    assert engine.device == "cpu" and avatar.isa != "sm_75"


def test_a_lost_gpu_that_was_asked_for_is_an_error(driver: Callable[..., None], tiny_path: Path) -> None:
    avatar = talksplat.load(tiny_path, device="cuda", threads=1)
    picture(avatar)
    driver(LOST_AT=1)
    for _ in range(2):
        with pytest.raises(talksplat.DeviceError, match=r"cuda:0 \(Fake GPU\) was lost: .* Make a new engine"):
            picture(avatar)
    assert avatar.engine.device == "cuda:0"


def test_a_gpu_with_too_little_memory(driver: Callable[..., None], tiny_path: Path) -> None:
    driver(MEMORY=4 << 20)
    small = talksplat.load(tiny_path, device="cuda", threads=1)
    with pytest.raises(talksplat.DeviceError, match=r"out of memory: .* Make the picture or the batch smaller"):
        small.render_frame({}, (2048, 2048))
    auto = talksplat.load(tiny_path, threads=1)
    assert auto.render_frame({}, (2048, 2048)).image.shape == (2048, 2048, 3)
    assert auto.engine.device == "cpu" and "out of memory" in auto.engine.note


def test_a_session_goes_on_without_its_gpu(driver: Callable[..., None]) -> None:
    avatar = talksplat.load("demo", threads=1)
    driver(KERNELS=0)  # pictures do not matter here, and the fake takes its time for them
    with avatar.create_session(size=(32, 32), latency_ms=1000, clock="caller") as session:
        avatar.engine.step(0.1)
        assert avatar.engine.device == "cuda:0"
        driver(KERNELS=0, LOST_AT=1)
        avatar.engine.step(0.2)
        assert avatar.engine.device == "cpu"
        with session.acquire() as frame:
            assert frame.image.shape[:2] == (32, 32)


def test_the_command_line(driver: Callable[..., None], tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    render = ["render", str(tiny_path), "-o", str(tmp_path / "%03d.png"), "--size", "32x24", "--seconds", "0.2"]
    assert main(render) == 0
    assert "note:" not in capsys.readouterr().err
    bench = ["bench", str(tiny_path), "--frames", "3", "--size", "32x24", "--device", "cuda:1"]
    assert main([*bench, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["machine"]["device"], found["machine"]["isa"]) == ("cuda:1", "sm_75")
    assert main(bench) == 0
    assert "Fake GPU (cuda:1), sm_75; " in capsys.readouterr().out
    driver(LOST_AT=60)
    assert main(render) == 0
    assert "note: the CPU draws: cuda:0 (Fake GPU) was lost" in capsys.readouterr().err


def test_doctor_draws_on_every_gpu(driver: Callable[..., None], capsys: Output) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["devices"] == ["cpu", "cuda:0", "cuda:1"]
    assert [found["checks"][f"draws on cuda:{i}"] for i in (0, 1)] == ["passed", "passed"]
    assert found["gpu"]["driver_version"] == 13000 and found["gpu"]["why_no_gpu"] == ""
    assert main(["doctor"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "GPU cuda:0 is Fake GPU, " in shown and "compute capability 7.5" in shown
    assert "networks on cuda:1 cuda, not measured" in shown and "voice on cuda:1 cuda, not measured" in shown
    assert "NVIDIA driver CUDA 13.0; the kernels need 13.0 or newer" in shown
    driver(VERSION=11040)
    assert main(["doctor"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "GPU not used: cuda: the NVIDIA driver is too old: it has CUDA 11.4" in shown
    assert "NVIDIA driver CUDA 11.4; the kernels need 13.0 or newer" in shown


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_leaves_the_gpu_alone(driver: Callable[..., None], tiny_path: Path) -> None:
    avatar = talksplat.load(tiny_path, threads=1)
    picture(avatar)
    child = os.fork()
    if child == 0:
        try:
            picture(avatar)
        except talksplat.DeviceError as error:
            os._exit(0 if "made before fork()" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert avatar.engine.device == "cuda:0"
