# SPDX-License-Identifier: Apache-2.0
"""The guard in front of packed and whole files of strangers: limits hold before memory is taken."""

import gzip
import io
import os
import threading
import zipfile
import zlib
from pathlib import Path

import pytest

from talksplat._bounds import Bounds
from talksplat._text import printable
from talksplat.errors import MotionInvalid

SMALL = Bounds(MotionInvalid, file_bytes=1000, unpacked_bytes=5000, ratio=10, free_bytes=100, members=3)


def zip_of(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_a_file_within_the_limit_is_read_whole(tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(b"x" * size)
    assert SMALL.read(tmp_path / "f") == b"x" * size


def test_a_larger_file_is_refused_by_its_size(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 1001)
    with pytest.raises(MotionInvalid, match=r"f: is 1001 bytes; at most 1000 are read\."):
        SMALL.read(tmp_path / "f")


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no /dev/zero here")
def test_a_device_is_bounded_though_it_states_no_size() -> None:
    with pytest.raises(MotionInvalid, match="a pipe or a device that gives more than 1000 bytes"):
        SMALL.read("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("size", [700, 1001])
def test_a_pipe_is_read_up_to_the_limit(tmp_path: Path, size: int) -> None:
    os.mkfifo(tmp_path / "p")
    writer = threading.Thread(target=lambda: (tmp_path / "p").write_bytes(b"x" * size))
    writer.start()
    if size <= 1000:
        assert SMALL.read(tmp_path / "p") == b"x" * size
    else:
        with pytest.raises(MotionInvalid, match="a pipe or a device"):
            SMALL.read(tmp_path / "p")
    writer.join()


def test_gzip_members_follow_each_other_and_padding_ends_them() -> None:
    assert SMALL.gunzip("f", gzip.compress(b"one ") + gzip.compress(b"two") + b"\0" * 9) == b"one two"
    assert SMALL.gunzip("f", gzip.compress(b"")) == b""


def test_gzip_out_of_proportion_is_refused() -> None:
    data = gzip.compress(b"\0" * 4000)
    assert len(data) * 10 + 100 < 4000
    with pytest.raises(MotionInvalid, match="out of proportion"):
        SMALL.gunzip("f", data)


@pytest.mark.parametrize("at", [3, 12, -9])
def test_gzip_that_is_cut_off_or_damaged_is_named(at: int) -> None:
    with pytest.raises(MotionInvalid, match=r"f: is not a whole gzip file: its gzip stream is (cut off|damaged)"):
        SMALL.gunzip("f", gzip.compress(os.urandom(50))[:at])
    with pytest.raises(MotionInvalid, match="damaged"):
        SMALL.gunzip("f", b"\x1f\x8b" + zlib.compress(b"no"))


def test_zip_members_are_read_without_folders_and_shadows() -> None:
    data = zip_of(("a/", b""), ("a/x", b"1"), ("a/._x", b"2"))
    with SMALL.zip("z", data) as opened:
        assert list(opened.members) == ["a/x"]
        assert opened.read("a/x") == b"1"


def test_zip_limits() -> None:
    with (
        pytest.raises(MotionInvalid, match=r"z: x unpacks from \d+ to 4000 bytes; at most \d+ are read"),
        SMALL.zip("z", zip_of(("x", b"\0" * 4000))) as opened,
    ):
        opened.read("x")
    with pytest.raises(MotionInvalid, match="4 members"), SMALL.zip("z", zip_of(*((f"{i}", b"") for i in range(4)))):
        pass
    # One budget for all members.
    noise = os.urandom(3000)
    with pytest.raises(MotionInvalid, match="y unpacks"), SMALL.zip("z", zip_of(("x", noise), ("y", noise))) as opened:
        assert opened.read("x") == noise
        opened.read("y")


def test_a_directory_of_millions_is_refused_before_it_is_read() -> None:
    data = bytearray(zip_of(("x", b"1")))
    end = data.rfind(b"PK\5\6")
    data[end + 8 : end + 12] = b"\xff" * 4
    with pytest.raises(MotionInvalid, match="65535 members or more"), SMALL.zip("z", bytes(data)):
        pass


def test_two_members_of_one_name_are_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        data = zip_of(("x", b"1"), ("x", b"2"))
    with pytest.raises(MotionInvalid, match="two members of the same name"), SMALL.zip("z", data):
        pass


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\5\6", os.urandom(400)])
def test_what_is_no_zip_is_named(data: bytes) -> None:
    with pytest.raises(MotionInvalid, match="z: is not a readable zip"), SMALL.zip("z", data):
        pass


def test_a_zip_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), SMALL.zip("z", tmp_path / "none"):
        pass


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain", "plain"),
        ("Größe 頭 می\u200cخواهم", "Größe 頭 می\u200cخواهم"),
        ("\x1b]0;owned\x07\x9b2J", "\\x1b]0;owned\\x07\\x9b2J"),
        ("a\nb\tc\r", "a\\x0ab\\x09c\\x0d"),
        ("\u202egpj.exe\u2028", "\\u202egpj.exe\\u2028"),
        (os.fsdecode(b"\xff.wav"), "\\xff.wav"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_printable(text: str, safe: str) -> None:
    assert printable(text) == safe


def test_printable_keeps_what_it_is_told_to() -> None:
    assert printable("a\nb\x1b", keep="\n") == "a\nb\\x1b"
