"""Fixtures of the runtime's tests."""

from pathlib import Path

import pytest

import talksplat
from runtime.tiny import tiny_avatar
from talksplat.authoring import spec


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spec.write(tmp_path_factory.mktemp("tiny") / "tiny.tsplat", *tiny_avatar())


@pytest.fixture(scope="session")
def tiny(tiny_path: Path) -> talksplat.Avatar:
    return talksplat.load(tiny_path, threads=1)
