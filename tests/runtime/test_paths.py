# SPDX-License-Identifier: Apache-2.0
"""Avatars by names that are no UTF-8: the file system's bytes go to the core as they are."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import talksplat
from talksplat.cli import main

NAME = b"caf\xe9 \xff.tsplat"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="this file system's names are Unicode")


@linux
def test_an_avatar_with_a_name_of_bytes(tiny: talksplat.Avatar, tiny_path: Path, tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/" + NAME
    shutil.copy(tiny_path, raw)
    text = os.fsdecode(raw)
    want = tiny.render_frame({}).image
    for path in (raw, text, Path(text)):
        np.testing.assert_array_equal(talksplat.load(path, threads=1).render_frame({}).image, want)


@linux
@pytest.mark.parametrize("path", [b"\xff.tsplat", "\udcff.tsplat", Path("\udcff.tsplat")], ids=["bytes", "str", "Path"])
def test_a_missing_one_is_named_with_its_bytes_escaped(path: str | bytes | Path) -> None:
    with pytest.raises(talksplat.AvatarNotFound, match=r"\\xFF\.tsplat.*no such file"):
        talksplat.load(path)


def test_text_that_no_file_system_can_hold() -> None:
    with pytest.raises(ValueError, match=r"load: path must be a name that this file system can hold; got '\\ud800'"):
        talksplat.load("\ud800")


def test_a_nul_is_refused() -> None:
    for path in ("a\0b", b"a\0b"):
        with pytest.raises(ValueError, match="load: path must have no NUL character"):
            talksplat.load(path)


@linux
def test_the_command_line_shows_such_names_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", os.fsdecode(NAME)]) == 1
    error = capsys.readouterr().err
    assert "no such file" in error
    assert "xFF" in error
    assert "bug" not in error
