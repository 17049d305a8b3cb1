# SPDX-License-Identifier: Apache-2.0
"""write_video: frames become files that play as they were drawn; and how frames show themselves."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import talksplat
from talksplat.frame_video import _nv12


def frames(tiny: talksplat.Avatar, **how: Any) -> Iterator[talksplat.Frame]:
    sound = np.sin(np.arange(12000) / 20).astype(np.float32)
    return tiny.render(np.stack([sound, sound], 1), sample_rate=24000, fps=20, **how)


@pytest.mark.parametrize("format", ["rgb8", "nv12"])
@pytest.mark.parametrize("reuse", [False, True])
def test_pictures_and_sound_in_step(tiny: talksplat.Avatar, tmp_path: Path, format: str, reuse: bool) -> None:
    drawn = [frame.image.astype(float) for frame in frames(tiny)]
    out = np.empty((72, 64) if format == "nv12" else (48, 64, 3), np.uint8) if reuse else None
    path = tmp_path / "out.mp4"
    assert talksplat.write_video(frames(tiny, format=format, out=out), path) == 10
    with av.open(str(path)) as container:
        assert float(container.streams.video[0].average_rate or 0) == 20
        assert (container.streams.audio[0].rate, container.streams.audio[0].channels) == (24000, 2)
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(shown) == 10
    for image, want in zip(shown, drawn, strict=True):
        assert np.abs(image - want).mean() < 8  # half of the colour is gone in 4:2:0, and the codec is lossy


def test_rgb8_is_encoded_as_the_core_would(tiny: talksplat.Avatar) -> None:
    away = _nv12(tiny.render_frame().image).astype(int) - tiny.render_frame(format="nv12").image
    assert np.abs(away[:48]).max() <= 1
    assert np.abs(away[48:]).mean() <= 2  # another filter where colours are halved


def test_png_keeps_what_is_transparent(tiny: talksplat.Avatar, tmp_path: Path) -> None:
    still = tiny.render_frame(format="rgba8", background=None)
    assert talksplat.write_video([still, still], tmp_path / "%d.png", fps=25) == 2
    for name in "01":
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"{name}.png")), still.image)


def test_recorded_motion_has_a_rate_and_no_sound(tiny: talksplat.Avatar, tmp_path: Path) -> None:
    talksplat.write_video(tiny.render_motion("clip:talk"), tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert float(container.streams.video[0].average_rate or 0) == 30
        assert not container.streams.audio


def test_what_it_refuses(tiny: talksplat.Avatar, tmp_path: Path) -> None:
    still, path = tiny.render_frame(), tmp_path / "out.mp4"
    with pytest.raises(ValueError, match="frames is empty"):
        talksplat.write_video([], path)
    with pytest.raises(ValueError, match=r"fps must be given for frames of render_frame\(\)"):
        talksplat.write_video([still], path)
    with pytest.raises(ValueError, match="number 1 is ndarray"):
        talksplat.write_video([still, still.image], path, fps=25)  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"takes rgb8 or nv12 pictures; got rgba8. Draw them with format='nv12'"):
        talksplat.write_video([tiny.render_frame(format="rgba8")], path, fps=25)
    with pytest.raises(ValueError, match=r"number 1 <Frame 0 at 0.000 s, 32x48 rgb8>"):
        talksplat.write_video([still, tiny.render_frame(size=(32, 48))], path, fps=25)
    with pytest.raises(ValueError, match="path must be a file"):
        talksplat.write_video([still], "-", fps=25)
    with pytest.raises(ValueError, match=r"must end in \.mp4"):
        talksplat.write_video([still], tmp_path / "out.gif", fps=25)
    assert not list(tmp_path.iterdir())


def test_nothing_half_written_stays(tiny: talksplat.Avatar, tmp_path: Path) -> None:
    def breaks() -> Iterator[talksplat.Frame]:
        yield tiny.render_frame()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        talksplat.write_video(breaks(), tmp_path / "out.mp4", fps=25)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", ["rgb8", "rgba8", "rgb_f32", "nv12"])
def test_a_notebook_shows_a_frame(tiny: talksplat.Avatar, format: str) -> None:
    frame = tiny.render_frame(format=format)
    assert (frame.format, frame.size) == (format, (64, 48))
    assert repr(frame) == f"<Frame 0 at 0.000 s, 64x48 {format}>"
    png = frame._repr_png_()
    if format == "nv12":
        assert png is None
        return
    assert png is not None
    shown = np.asarray(Image.open(io.BytesIO(png)))
    np.testing.assert_array_equal(shown, tiny.render_frame(format="rgba8" if format == "rgba8" else "rgb8").image)
