# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: the shared test data, and each backend that this machine has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends import BACKENDS, Backend, missing

ROOT = Path(__file__).resolve().parents[1]

# Pictures are compared with the CPU's. Tests that want a GPU name its driver; what the core looks for is not there,
# unless somebody names it for the backend "cuda" (tests/gpu_check.py).
os.environ["TALKSPLAT_LIBCUDA"] = os.environ.get("TALKSPLAT_TEST_LIBCUDA", os.devnull)


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What compiles comes first, where tests run in parallel: one file of it takes minutes."""
    items.sort(key=lambda item: item.path.name != "test_packaging.py")


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


@pytest.fixture(params=BACKENDS, ids=str)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend; those that this machine or this build lacks are skipped."""
    reason = missing(request.param)
    if reason:
        pytest.skip(reason)
    chosen: Backend = request.param
    return chosen


@pytest.fixture(scope="session")
def demo_avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small animated head that `make demo` renders; it carries a clip named `demo`."""
    path = tmp_path_factory.mktemp("demo") / "head.tsplat"
    subprocess.run([sys.executable, ROOT / "tests" / "make_head.py", path], check=True, capture_output=True)
    return path
