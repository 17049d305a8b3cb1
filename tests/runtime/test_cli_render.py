# SPDX-License-Identifier: Apache-2.0
"""The command line: talksplat render, from arguments to pictures."""

import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import talksplat
from runtime.command import Output, fails, probe
from talksplat.cli import main


def test_render_a_clip_to_mp4(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    target = tmp_path / "out.mp4"
    assert main(["render", str(tiny_path), "--motion", "clip:talk", "-o", str(target)]) == 0
    assert probe(target) == (10, 30, 64, 48)
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{target}: 10 frames, 64x48, 30 fps, in " in err
    assert "no use for" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_render_says_what_it_leaves_out(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    table = tmp_path / "take.csv"
    table.write_text("jawOpen,browInnerUp,mouthLeft\n0.5,0.1,0\n")
    assert main(["render", str(tiny_path), "-m", str(table), "-o", str(tmp_path / "out.mp4")]) == 0
    assert "note: this avatar has no use for browInnerUp\n" in capsys.readouterr().err


def test_render_options(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    table = tmp_path / "take.csv"
    table.write_text("time,jawOpen\n" + "\n".join(f"{i / 25:.3f},0.5" for i in range(50)))
    target = tmp_path / "out.mp4"
    options = ["--size", "128x96", "--fps", "50", "--seconds", "1", "--threads", "2", "--precision", "fast", "--quiet"]
    assert main(["render", str(tiny_path), "-m", str(table), "-o", str(target), *options]) == 0
    assert probe(target) == (50, 50, 128, 96)
    assert capsys.readouterr() == ("", "")


def test_render_shows_what_the_avatar_shows(tiny: talksplat.Avatar, tiny_path: Path, tmp_path: Path) -> None:
    assert main(["render", str(tiny_path), "-m", "clip:talk", "-o", str(tmp_path / "out.mp4"), "-q"]) == 0
    with av.open(str(tmp_path / "out.mp4")) as container:
        shown = [frame.to_ndarray(format="rgb24").astype(float) for frame in container.decode(video=0)]
    for image, frame in zip(shown, tiny.render_motion("clip:talk"), strict=True):
        assert np.abs(image - frame.image).mean() < 8  # half of the colour is gone in 4:2:0, and the codec is lossy


def test_render_without_motion_is_still(tiny: talksplat.Avatar, tiny_path: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "frames" / "%05d.png"
    assert main(["render", str(tiny_path), "-o", str(pictures), "--fps", "10", "--seconds", "0.2", "-q"]) == 0
    assert sorted(path.name for path in pictures.parent.iterdir()) == ["00000.png", "00001.png"]
    want = tiny.render_frame({}).image
    for picture in pictures.parent.iterdir():
        np.testing.assert_array_equal(np.asarray(Image.open(picture)), want)
    assert main(["render", str(tiny_path), "-o", str(tmp_path / "out.mp4"), "-q"]) == 0
    assert probe(tmp_path / "out.mp4") == (30, 30, 64, 48)
    assert main(["render", str(tiny_path), "-o", str(tmp_path / "no.mp4"), "--fps", "0"]) == 2


def test_render_png_sequence(tiny: talksplat.Avatar, tiny_path: Path, tmp_path: Path) -> None:
    assert main(["render", str(tiny_path), "-m", "clip:turn", "-o", str(tmp_path / "frames" / "%05d.png"), "-q"]) == 0
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["00000.png", "00001.png", "00002.png"]
    want = [frame.image for frame in tiny.render_motion("clip:turn")]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "frames" / names[2])), want[2])


def test_render_rgba_is_seen_through(tiny_path: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "%d.png")
    assert main(["render", str(tiny_path), "-m", "clip:turn", "-o", target, "--format", "rgba8", "-q"]) == 0
    image = np.asarray(Image.open(tmp_path / "0.png"))
    assert image.shape == (48, 64, 4)
    assert image[0, 0, 3] == 0
    assert image[..., 3].max() > 150


def test_render_errors(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    avatar, out = tiny_path, tmp_path / "out.mp4"
    good = ["-m", "clip:talk", "-o", out]
    fails(capsys, ["render", tmp_path / "no.tsplat", *good], 1, "no.tsplat")
    fails(capsys, ["render", avatar, "-m", "clip:walk", "-o", out], 1, "tiny has no clip 'walk'.")
    fails(capsys, ["render", avatar, "-m", tmp_path / "no.csv", "-o", out], 1, "no.csv: no such file.")
    fails(capsys, ["render", avatar, "-m", "clip:talk", "-o", tmp_path / "no" / "out.mp4"], 1, "there is no folder")
    fails(capsys, ["render", avatar, *good, "--fps", "0"], 1, "error: --fps must be in (0, 1000]; got 0.0.")
    fails(
        capsys, ["render", avatar, *good, "--size", "63x48"], 1, "needs an even width and height; got 63x48. Use 64x48."
    )
    fails(capsys, ["render", avatar, *good, "--precision", "half"], 1, "error: --precision must be")
    fails(capsys, ["render", avatar, *good, "--size", "big"], 2, "'big' is not WIDTHxHEIGHT, as in 512x512.")
    fails(capsys, ["render", avatar, *good, "--size", "0x48"], 2, "'0x48': width and height are 1 to 16384 pixels")
    fails(
        capsys,
        ["render", avatar, "-m", "clip:talk", "-o", "out.gif"],
        2,
        "out.gif must end in .mp4, .mov, .mkv, .webm",
    )
    fails(capsys, ["render", avatar, *good, "--format", "rgba8"], 2, "out.mp4 is nv12, not rgba8.")
    fails(capsys, ["render", avatar, *good, "--threads", "-1"], 2, "--threads")
    fails(capsys, ["render", avatar], 2, "Missing option '--output'")
    fails(capsys, ["render", avatar, *good, "--colour"], 2, "No such option: --colour")
    fails(capsys, ["fly"], 2, "No such command 'fly'")
    assert not list(tmp_path.iterdir())


def test_progress_bar_only_on_a_terminal(
    tiny_path: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["render", str(tiny_path), "-m", "clip:talk", "-o", str(tmp_path / "out.mp4")]
    assert main(command) == 0
    assert "rendering" not in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert main(command) == 0
    assert "rendering" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["sample", "--motion-fps", 30], "--motion-fps is for --motion"),
        (["--seed", 1], "--seed, --mouth, --head, --blink and --voice are for AUDIO"),
        (["-m", "take.csv", "--head", 0], "--seed, --mouth, --head, --blink and --voice are for AUDIO"),
    ],
)
def test_options_that_would_do_nothing(tiny_path: Path, capsys: Output, options: list[object], message: str) -> None:
    fails(capsys, ["render", tiny_path, "-o", "out.mp4", *options], 2, message)


def test_motion_fps_in_place_of_times_is_remarked(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    for header, remarked in (("time_s,jawOpen", True), ("mouthClose,jawOpen", False)):
        table = tmp_path / "take.csv"
        table.write_text(f"{header}\n" + "\n".join(f"{i / 25},0.5" for i in range(5)))
        options = ["--motion-fps", "50", "-o", str(tmp_path / "%d.png")]
        assert main(["render", str(tiny_path), "-m", str(table), *options]) == 0
        note = f"note: --motion-fps is used in place of the times in {table}\n"
        assert (note in capsys.readouterr().err) == remarked
