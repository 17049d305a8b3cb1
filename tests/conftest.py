# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: the shared test data, and each backend that this machine has."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import talksplat
from backends import BACKENDS, Backend, missing
from interpreted import interpret

ROOT = Path(__file__).resolve().parents[1]

# `kernels` is searched for modules. Where Triton is not installed, torch would take the folder kernels/triton for it.
_spec = importlib.util.find_spec("triton")
if _spec is not None and _spec.origin is None:
    sys.modules["triton"] = None  # type: ignore[assignment]  # not to be found

# Pictures are compared with the CPU's. Tests that want a GPU name its driver; what the core looks for is not there,
# unless somebody names it for the backend "cuda" (tests/gpu_check.py).
os.environ["TALKSPLAT_LIBCUDA"] = os.environ.get("TALKSPLAT_TEST_LIBCUDA", os.devnull)
if os.environ.get("TALKSPLAT_TEST_INTERPRETED"):  # tests/test_triton.py
    interpret(os.environ["TALKSPLAT_LIBCUDA"])


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first, where tests run in parallel: one that begins last is waited for."""
    items.sort(key=lambda item: item.path.name not in ("test_packaging.py", "test_triton.py"))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of golden vectors and recorded avatars: TALKSPLAT_SHARED, else `shared` beside the repository.

    Not part of the repository: a test that needs it is skipped without it, and fails in CI.
    """
    path = Path(os.environ.get("TALKSPLAT_SHARED") or ROOT.parent / "shared")
    if not path.is_dir():
        reason = f"no shared test data: {path} is not a folder; set TALKSPLAT_SHARED to the one that has it"
        if in_ci():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return path


def present(backend: Backend) -> Backend:
    """Skips where this machine or this build lacks it."""
    if reason := missing(backend):
        pytest.skip(reason)
    return backend


@pytest.fixture(params=BACKENDS, ids=str)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend that is here."""
    return present(request.param)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """No other process is in here at the same time, of those that name this file."""
    import fcntl  # not on Windows

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def fake_driver() -> Path:
    """The tests' driver (tests/simt/fake_cuda.h), compiled without sanitizers, in a build folder that is kept."""
    if sys.platform != "linux":
        pytest.skip("the tests' driver is for Linux")
    if not talksplat._core.system_info()["kernels"]:
        pytest.skip("this build has no GPU kernels, for want of nvcc: make kernels installs it")
    cmake, ninja = (
        shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name) for name in ("cmake", "ninja")
    )
    if cmake is None or ninja is None:
        pytest.skip("cmake or ninja is not installed: pip install cmake ninja")
    build = ROOT / "build" / "fake"
    options = ["-DTALKSPLAT_TESTS=ON", "-DTALKSPLAT_CUDA=OFF", "-DTALKSPLAT_ISAS=scalar", "-DCMAKE_BUILD_TYPE=Release"]
    with alone(ROOT / "build" / "fake.lock"):
        for command in (
            [cmake, "-S", ROOT, "-B", build, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}", *options],
            [cmake, "--build", build, "--target", "fake_cuda"],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    (found,) = build.rglob("libfake_cuda.so")
    return found


@pytest.fixture(scope="session")
def demo_avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small animated head that `make demo` renders; it carries a clip named `demo`."""
    path = tmp_path_factory.mktemp("demo") / "head.tsplat"
    subprocess.run([sys.executable, ROOT / "tests" / "make_head.py", path], check=True, capture_output=True)
    return path
