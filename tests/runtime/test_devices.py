# SPDX-License-Identifier: Apache-2.0
"""Which device draws, where it is asked for, and what is said where a GPU cannot be used."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import talksplat
from runtime.test_cli import fails
from talksplat.cli import main

Output = pytest.CaptureFixture[str]
NO_DRIVER = "cuda: TALKSPLAT_LIBCUDA is"  # as conftest.py sets it


def test_auto_says_why_it_is_the_cpu(tiny_path: Path) -> None:
    engine = talksplat.Engine()
    assert (engine.device, engine.device_name) == ("cpu", "")
    assert engine.note.startswith(NO_DRIVER)
    info = talksplat.load(tiny_path, engine=engine).info
    assert (info["device"], info["device_name"], info["note"]) == ("cpu", "", engine.note)
    asked = talksplat.load(tiny_path, device="cpu", threads=1)
    assert (asked.info["device"], asked.info["note"]) == ("cpu", "")


def test_a_machine_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALKSPLAT_LIBCUDA")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(talksplat.DeviceError, match=r'device "cuda:7": .* use device="cpu"\. This machine has cpu\.'):
        talksplat.Engine("cuda:7")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_what_an_avatar_is_is_told_in_a_forked_child(tiny_path: Path) -> None:
    avatar = talksplat.load(tiny_path, threads=1)
    child = os.fork()
    if child == 0:
        info = avatar.info
        os._exit(0 if info["n_vertices"] == 4 and "device" not in info else 1)
    assert avatar.info["n_vertices"] == 4
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_command_line(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    render = ["render", tiny_path, "-o", tmp_path / "%03d.png", "--size", "32x24"]
    for device, part in (("cuda", f'error: device "cuda": {NO_DRIVER}'), ("gpu", 'error: --device must be "auto"')):
        fails(capsys, [*render, "--device", device], 1, part)
    # Without a GPU nobody is told that there is none.
    assert main([str(word) for word in render]) == 0
    assert "note:" not in capsys.readouterr().err
    assert main(["bench", str(tiny_path), "--json", "--frames", "3", "--size", "32x24", "--device", "cpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["machine"]["device"], found["machine"]["device_name"]) == ("cpu", "")


def test_doctor_tells_what_there_is(capsys: Output) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["devices"] == ["cpu"]
    assert found["gpu"]["gpus"] == []
    assert found["gpu"]["driver_version"] == 0
    assert found["gpu"]["why_no_gpu"].startswith(NO_DRIVER)
    assert main(["doctor"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"GPU not used: {NO_DRIVER}" in shown
    kernels = found["gpu"]["kernels"]
    assert f"GPU kernels {kernels[:20] or 'none in this build'}" in shown
    assert "NVIDIA driver none" in shown
