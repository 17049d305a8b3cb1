# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the runtime's tests."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import talksplat
from runtime.command import interruptible
from runtime.tiny import tiny_avatar
from talksplat.authoring import spec


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spec.write(tmp_path_factory.mktemp("tiny") / "tiny.tsplat", *tiny_avatar())


@pytest.fixture(scope="session")
def tiny(tiny_path: Path) -> talksplat.Avatar:
    return talksplat.load(tiny_path, threads=1)


@pytest.fixture(autouse=True)
def usual_signals() -> Any:
    """Whatever the tests were started to ignore, and whatever a test before changed."""
    usual = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL, "SIGHUP": signal.SIG_DFL}
    numbers = {getattr(signal, name): how for name, how in usual.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, how) for number, how in numbers.items()}
    yield
    for number, how in before.items():
        signal.signal(number, how)


@pytest.fixture
def program(tiny_path: Path, tmp_path: Path) -> Any:
    """Starts `talksplat ARGUMENTS` in its own process, in an empty folder."""

    def start(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "talksplat", *map(str, arguments)]
        usual: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path}
        return subprocess.Popen(command, **{**usual, "preexec_fn": interruptible, **options})

    return start
