# SPDX-License-Identifier: Apache-2.0
"""Sequences of PNG files: pictures that can be read back, all of them or none."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from talksplat import png_sequence
from talksplat.png_sequence import FrameNames, png_bytes
from talksplat.video import formats_of, holds, open_video, require_target

WIDTH, HEIGHT = 8, 6


def picture(value: int) -> Any:
    return np.full((HEIGHT, WIDTH, 3), value, np.uint8)


def sequence(pattern: Path, count: int, value: int = 7) -> None:
    with open_video(str(pattern), 25, (WIDTH, HEIGHT)) as writer:
        for _ in range(count):
            writer.write(picture(value))


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


NEW = png_bytes(picture(7))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (64, 48)])
def test_png(channels: int, size: tuple[int, int]) -> None:
    width, height = size
    image = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(image)))), image)


def test_pictures_are_named_by_their_numbers(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (3, HEIGHT, WIDTH, 4), np.uint8)
    with open_video(str(tmp_path / "new" / "%03d.png"), 25, (WIDTH, HEIGHT), "rgba8") as writer:
        for image in images:
            writer.write(image)
    assert os.listdir(tmp_path) == ["new"]
    assert sorted(os.listdir(tmp_path / "new")) == ["000.png", "001.png", "002.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "002.png")), images[2])


@pytest.mark.parametrize(
    ("name", "made"), [("100%_%03d.png", "100%_000.png"), ("50%%d.png", "50%0.png"), ("a:%d.png", "a:0.png")]
)
def test_other_signs_of_a_name_are_themselves(tmp_path: Path, name: str, made: str) -> None:
    sequence(tmp_path / name, 1)
    assert contents(tmp_path) == {made: NEW}


def test_what_others_put_into_a_made_folder_stays(tmp_path: Path) -> None:
    pattern = tmp_path / "made" / "here" / "%d.png"
    with pytest.raises(KeyboardInterrupt), open_video(str(pattern), 25, (WIDTH, HEIGHT)) as writer:
        writer.write(picture(0))
        (tmp_path / "made" / "notes.txt").write_text("kept")
        raise KeyboardInterrupt
    assert contents(tmp_path / "made") == {"notes.txt": b"kept"}


def test_a_shorter_sequence_leaves_what_follows(tmp_path: Path) -> None:
    for count in (4, 2):
        with open_video(str(tmp_path / "%d.png"), 25, (WIDTH, HEIGHT)) as writer:
            for _ in range(count):
                writer.write(picture(count))
    assert writer.left_over == tmp_path / "2.png"
    two, four = png_bytes(picture(2)), png_bytes(picture(4))
    assert contents(tmp_path) == {"0.png": two, "1.png": two, "2.png": four, "3.png": four}


@pytest.mark.parametrize("obstacle", ["folder", "pipe"])
def test_what_is_in_the_way_is_found_before_the_work(tmp_path: Path, obstacle: str) -> None:
    old = tmp_path / "00000.png"
    old.write_bytes(b"old")
    place = tmp_path / "00003.png"
    place.mkdir() if obstacle == "folder" else os.mkfifo(place)
    (tmp_path / "3.png").mkdir()  # in the way of another pattern
    for start in (require_target, lambda target: open_video(target, 25, (WIDTH, HEIGHT))):
        with pytest.raises(OSError, match=rf"/00003\.png is a {obstacle}, where a picture belongs\. Move it"):
            start(str(tmp_path / "%05d.png"))
    assert sorted(os.listdir(tmp_path)) == ["00000.png", "00003.png", "3.png"]
    assert old.read_bytes() == b"old"


def test_what_comes_into_the_way_later_undoes_all(tmp_path: Path) -> None:
    for i in (0, 2):
        (tmp_path / f"{i}.png").write_bytes(b"old")
    writer = open_video(str(tmp_path / "%d.png"), 25, (WIDTH, HEIGHT))
    with pytest.raises(IsADirectoryError, match=r"3\.png is a folder"), writer:
        for i in range(5):
            writer.write(picture(i))
        (tmp_path / "3.png").mkdir()
    assert sorted(os.listdir(tmp_path)) == ["0.png", "2.png", "3.png"]
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "2.png").read_bytes() == b"old"


@pytest.mark.parametrize("failing", range(6))
def test_a_rename_that_fails_undoes_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    """Of three pictures the last two replace older ones: two renames each, one for the first, and all five back."""
    old = {"1.png": b"older", "2.png": b"old"}
    for name, data in old.items():
        (tmp_path / name).write_bytes(data)
    replace, count = os.replace, 0

    def replace_but_one(source: Path, target: Path) -> None:
        nonlocal count
        count += 1
        if count == failing + 1:
            raise PermissionError(1, "Operation not permitted")
        replace(source, target)

    monkeypatch.setattr(png_sequence.os, "replace", replace_but_one)
    if failing == 5:  # there is no sixth
        sequence(tmp_path / "%d.png", 3)
        assert contents(tmp_path) == dict.fromkeys(("0.png", "1.png", "2.png"), NEW)
        return
    with pytest.raises(PermissionError, match=r"\d\.png: cannot be written \(Operation not permitted\)\."):
        sequence(tmp_path / "%d.png", 3)
    assert contents(tmp_path) == old


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_links_are_written_through(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    (there / "old.png").write_bytes(b"old")
    (here / "0.png").symlink_to("../there/old.png")
    (here / "1.png").symlink_to("../there/new.png")
    (tmp_path / "folder").symlink_to("here")
    sequence(tmp_path / "folder" / "%d.png", 2)
    assert (here / "0.png").is_symlink() and (here / "1.png").is_symlink()
    assert contents(there) == {"old.png": NEW, "new.png": NEW}
    assert sorted(os.listdir(here)) == ["0.png", "1.png"]


def test_names_that_the_file_system_does_not_take(tmp_path: Path) -> None:
    sequence(tmp_path / ("x" * 246 + "%05d.png"), 2)
    assert sorted(len(name) for name in os.listdir(tmp_path)) == [255, 255]
    with pytest.raises(OSError, match=r"x00000\.png: cannot be written \(File name too long\)\."):
        require_target(str(tmp_path / ("x" * 247 + "%05d.png")))
    long = tmp_path / "long"
    with pytest.raises(OSError, match=r"x10\.png: cannot be written \(File name too long\)\."):
        sequence(long / ("x" * 250 + "%d.png"), 12)
    assert not long.exists()


@pytest.mark.parametrize("width", ["0300", "256", "099999999999", "9" * 5000])
def test_numbers_of_absurd_width(width: str) -> None:
    with pytest.raises(ValueError, match=r"the frame number may have at most 255 digits\. Five do: %05d\."):
        formats_of(f"%{width}d.png")
    assert FrameNames("%0255d.png").path(7) == Path("0" * 254 + "7.png")


def test_which_files_a_sequence_would_write_over(tmp_path: Path) -> None:
    pattern = str(tmp_path / "a%03d.png")
    for name in ("a000.png", "a1000.png", "a00.png", "a0000.png", "b000.png", "a-01.png", "a٠٠٠.png"):
        (tmp_path / name).touch()
    written = {name for name in os.listdir(tmp_path) if holds(pattern, str(tmp_path / name))}
    assert written == {"a000.png", "a1000.png"}
    assert not holds(pattern, str(tmp_path / "a001.png"))  # is not there
    assert not holds(str(tmp_path / "no" / "a%03d.png"), str(tmp_path / "a000.png"))
