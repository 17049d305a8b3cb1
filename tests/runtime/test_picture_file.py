# SPDX-License-Identifier: Apache-2.0
"""--background: nothing, a colour, or a picture that fills the frame, the avatar's own too."""

import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import talksplat
from runtime.command import Output, fails
from talksplat.cli import main
from talksplat.picture_file import read_background


def test_words_and_colours() -> None:
    for word in ("avatar", "fill"):
        assert read_background("b", word, 4, 4) == word
    assert read_background("b", "none", 4, 4) is None
    np.testing.assert_allclose(read_background("b", "#00b1FF", 4, 4), [0, 177 / 255, 1], atol=1e-7)


@pytest.mark.parametrize("size", [(40, 20), (20, 20), (20, 40), (7, 31), (400, 100)])
def test_a_picture_fills_the_frame(tmp_path: Path, size: tuple[int, int]) -> None:
    """The four quarters of a picture keep their corners, whatever is cut away."""
    quarters = np.zeros((60, 80, 3), np.uint8)
    quarters[:30, 40:, 0] = quarters[30:, :40, 1] = quarters[30:, 40:, 2] = 250
    Image.fromarray(quarters).save(tmp_path / "quarters.png")
    filled = read_background("b", str(tmp_path / "quarters.png"), *size)
    assert filled.shape == (size[1], size[0], 3)
    for corner, colour in ((filled[0, 0], 0), (filled[0, -1], 1), (filled[-1, 0], 2), (filled[-1, -1], 3)):
        want = np.eye(4)[colour][1:] * 250
        assert np.abs(corner - want).max() < 12


def test_of_the_same_size_it_is_itself(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "noise.png")
    np.testing.assert_array_equal(read_background("b", str(tmp_path / "noise.png"), 32, 24), picture)


@pytest.mark.parametrize("size", [(1, 20000), (20000, 1), (1, 1)])
def test_a_line_of_a_picture(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (10, 200, 90)).save(tmp_path / "line.png")
    filled = read_background("b", str(tmp_path / "line.png"), 640, 360)
    assert filled.shape == (360, 640, 3)
    assert np.abs(filled - np.float32([10, 200, 90])).max() <= 2


@pytest.mark.parametrize("text", ["#12", "#gggggg", "#1234567", "#"])
def test_what_is_no_colour(text: str) -> None:
    with pytest.raises(ValueError, match="b: a colour must be #RRGGBB"):
        read_background("b", text, 4, 4)


def test_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setnchannels(1), sound.setsampwidth(2), sound.setframerate(16000)
        sound.writeframes(bytes(3200))
    for name in ("text.png", "empty.jpg", "sound.wav", "missing.png", "."):
        with pytest.raises(ValueError, match="is no picture that can be read"):
            read_background("b", str(tmp_path / name), 4, 4)


def test_render_over_it(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "behind.png")
    frame = tmp_path / "%d.png"
    for given, behind in (("#ff8000", np.float32([1, 128 / 255, 0])), (str(tmp_path / "behind.png"), picture)):
        assert main(["render", str(tiny_path), "-o", str(frame), "--background", given, "--seconds", "0.03"]) == 0
        want = talksplat.load(tiny_path).render_frame({}, background=behind).image
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "0.png")), want)
    capsys.readouterr()
    command = ["render", tiny_path, "-o", frame, "--background"]
    fails(capsys, [*command, "nowhere.png"], 1, "--background: nowhere.png is no picture")
    fails(capsys, [*command, tmp_path / "0.png"], 2, "is the file that --background is")


def test_the_plate_fills_a_wide_frame(tmp_path: Path, capsys: Output) -> None:
    """It is cut above and below then; where the frame is no wider than it, the plate fills the frame anyway."""
    demo = talksplat.load("demo")
    plate = demo.tensors()["plate/background"]
    tall, wide = plate.shape[:2]
    size = (2 * wide, tall)
    beside, filled = (demo.render_frame(size=size, background=word).image for word in ("avatar", "fill"))
    cut = np.repeat(np.repeat(plate[tall // 4 : -(tall // 4)], 2, 0), 2, 1).astype(int)
    edge = np.s_[:, : wide // 4]  # nothing is before it there
    assert np.abs(filled.astype(int) - cut)[edge].max() <= 3
    assert np.abs(beside.astype(int) - filled)[edge].max() > 6
    for size in ((wide, tall), (wide, 2 * tall)):
        same = [demo.render_frame(size=size, background=word).image for word in ("avatar", "fill")]
        np.testing.assert_array_equal(*same)
    command = ["render", "demo", "-o", str(tmp_path / "%d.png"), "--seconds", "0.03", "--background", "fill"]
    assert main([*command, "--size", f"{2 * wide}x{tall}"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "0.png")), filled)
    capsys.readouterr()


def test_without_a_plate_its_colour_fills_the_frame(tiny_path: Path) -> None:
    tiny = talksplat.load(tiny_path)
    assert "plate/background" not in tiny.tensors()
    same = [tiny.render_frame(size=(200, 48), background=word).image for word in ("avatar", "fill")]
    np.testing.assert_array_equal(*same)


def test_without_a_background_it_is_transparent_where_it_can_be(tmp_path: Path) -> None:
    run = ["render", "demo", "--background", "none", "--seconds", "0.04", "--size", "32x32", "-q"]
    for name in ("%02d.png", "black.mp4"):
        assert main([*run, "-o", str(tmp_path / name)]) == 0
    pictures = sorted(tmp_path.glob("*.png"))
    assert pictures and all(Image.open(picture).getpixel((0, 0))[3] == 0 for picture in pictures)  # type: ignore[index]


def test_avatar_and_sound_the_wrong_way_round(tmp_path: Path, capsys: Output) -> None:
    for avatar in ("demo", "head.tsplat", "HEAD.TSPLAT"):
        told = f"AVATAR comes first, then AUDIO: talksplat render {avatar} speech.wav"
        fails(capsys, ["render", "speech.wav", avatar, "-o", tmp_path / "out.mp4"], 2, told)
