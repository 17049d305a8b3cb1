# SPDX-License-Identifier: Apache-2.0
"""Writers of pictures: what is written can be read back, and nothing half-written stays."""

import errno
import io
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from talksplat import _files, video
from talksplat._video_writer import VideoWriter
from talksplat.video import _Behind, formats_of, open_video
from talksplat.video_coding import CONTAINERS

WIDTH, HEIGHT = 64, 48


def nv12(luma: int) -> Any:
    image = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    image[:HEIGHT] = luma
    image[HEIGHT:, 0::2] = 90
    image[HEIGHT:, 1::2] = 170
    return image


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("suffix", sorted(CONTAINERS))
@pytest.mark.parametrize("fps", [25.0, 29.97, 60.0])
def test_container(tmp_path: Path, suffix: str, fps: float) -> None:
    target = tmp_path / f"out{suffix}"
    with open_video(str(target), fps, (WIDTH, HEIGHT)) as writer:
        for i in range(12):
            writer.write(nv12(20 + 15 * i))
    assert files(tmp_path) == [target.name]
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        usual = "h264" if video.h264_encoder() else "mpeg4"
        assert stream.codec_context.name == ("vp9" if suffix == ".webm" else usual)
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (WIDTH, HEIGHT)
        assert float(stream.average_rate) == pytest.approx(fps, rel=1e-3)
        assert stream.codec_context.colorspace == stream.codec_context.color_range == 1  # BT.709, limited
        decoded = list(container.decode(stream))
    assert len(decoded) == 12
    np.testing.assert_allclose([frame.time for frame in decoded], np.arange(12) / fps, atol=2e-3)
    for i, frame in enumerate(decoded):
        planes = frame.to_ndarray()
        assert abs(int(planes[HEIGHT // 2, WIDTH // 2]) - (20 + 15 * i)) <= 3
        u, v = planes[HEIGHT:].reshape(2, -1).mean(1)
        assert (abs(u - 90) <= 3, abs(v - 170) <= 3) == (True, True)


def test_mpeg4_where_there_is_no_h264(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    with open_video(str(tmp_path / "out.mp4"), 25, (WIDTH, HEIGHT)) as writer:
        for _ in range(3):
            writer.write(nv12(100))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
        frames = list(container.decode(video=0))
    assert len(frames) == 3
    assert abs(int(frames[0].to_ndarray()[20, 20]) - 100) <= 3


@pytest.mark.parametrize(("suffix", "decoder"), [(".webm", "libvpx-vp9"), (".mov", "prores")])
def test_transparent_video(tmp_path: Path, suffix: str, decoder: str) -> None:
    """Straight alpha, and sound beside it."""
    image = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    image[:, : WIDTH // 2] = (200, 80, 40, 255)
    image[:, WIDTH // 2 :] = (200, 80, 40, 60)
    target = str(tmp_path / f"out{suffix}")
    with open_video(target, 25, (WIDTH, HEIGHT), "rgba8", (16000, 1)) as writer:
        for _ in range(5):
            writer.write(image, np.full(640, 0.25, np.float32))
    reader = av.CodecContext.create(decoder, "r")
    with av.open(target) as container:
        stream = container.streams.video[0]
        if stream.codec_context.extradata:
            reader.extradata = stream.codec_context.extradata
        seen = [frame for packet in container.demux(stream) for frame in reader.decode(packet)]
    with av.open(target) as container:
        heard = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert len(seen) == 5
    assert heard == pytest.approx(0.2, abs=0.07)  # whole blocks of AAC
    assert "yuva" in seen[0].format.name
    picture = seen[2].reformat(format="rgba", src_colorspace="ITU709", src_color_range="MPEG").to_ndarray()
    for column, alpha in ((WIDTH // 4, 255), (3 * WIDTH // 4, 60)):
        np.testing.assert_allclose(picture[HEIGHT // 2, column], (200, 80, 40, alpha), atol=6)


def test_an_encoder_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libvpx-vp9"})
    with pytest.raises(ValueError, match=r"out\.webm needs the encoder libvpx-vp9, .* or write NAME\.mp4"):
        open_video(str(tmp_path / "out.webm"), 25, (WIDTH, HEIGHT))
    assert files(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_nothing_half_written_stays(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "old.mp4").write_bytes(b"kept")
    (tmp_path / "00000.png").write_bytes(b"kept")
    for target in ("new.mp4", "old.mp4", "made/here/%05d.png", "%05d.png"):
        with pytest.raises(error), open_video(str(tmp_path / target), 25, (WIDTH, HEIGHT)) as writer:
            writer.write(nv12(0) if writer.format == "nv12" else np.zeros((HEIGHT, WIDTH, 3), np.uint8))
            raise error
    assert files(tmp_path) == ["00000.png", "old.mp4"]
    assert (tmp_path / "old.mp4").read_bytes() == (tmp_path / "00000.png").read_bytes() == b"kept"


@pytest.mark.parametrize("suffix", sorted(CONTAINERS))
@pytest.mark.parametrize("stem", ["12:30", "Interview: part 1", "file:x", "pipe:1", "%d", "x" * 250])
def test_names_mean_nothing_but_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, stem: str) -> None:
    """FFmpeg takes what comes before a colon for a protocol."""
    monkeypatch.chdir(tmp_path)
    with open_video(stem + suffix, 25, (WIDTH, HEIGHT)) as writer:
        for _ in range(3):
            writer.write(nv12(100))
    assert files(tmp_path) == [stem + suffix]
    with av.open((tmp_path / (stem + suffix)).open("rb")) as container:
        assert len(list(container.decode(video=0))) == 3


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "link.mp4").symlink_to("old")
    with open_video(str(tmp_path / "link.mp4"), 25, (WIDTH, HEIGHT)) as writer:
        writer.write(nv12(100))
    assert (tmp_path / "link.mp4").is_symlink()
    assert (tmp_path / "old").read_bytes()[4:8] == b"ftyp"
    assert files(tmp_path) == ["link.mp4", "old"]


@pytest.mark.parametrize("suffix", sorted(CONTAINERS))
@pytest.mark.parametrize("failing", ["write", "seek", "close"])
@pytest.mark.parametrize("after", [0, 3000])
def test_a_disk_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, failing: str, after: int
) -> None:
    """Whatever FFmpeg makes of it: the first error is raised, with the file's name, and nothing stays."""

    class Disk(io.BytesIO):
        def fail(self, what: str) -> None:
            if what == failing and self.tell() >= after:
                raise OSError(errno.ENOSPC, "No space left on device")

        def write(self, data: Any) -> int:
            self.fail("write")
            return super().write(data)

        def seek(self, offset: int, whence: int = 0) -> int:
            self.fail("seek")
            return super().seek(offset, whence)

        def close(self) -> None:
            self.fail("close")
            super().close()

    def failing_file(self: _files.WholeFile, path: Path, start: Any = _files.WholeFile.__init__) -> None:
        start(self, path)
        self.file.close()
        self.file = Disk()

    monkeypatch.setattr(_files.WholeFile, "__init__", failing_file)
    with (
        pytest.raises(OSError, match=rf"^.*/out{suffix}: cannot be written \(No space left on device\)\.$"),
        open_video(str(tmp_path / f"out{suffix}"), 25, (WIDTH, HEIGHT)) as writer,
    ):
        for i in range(60):
            writer.write(np.random.default_rng(i).integers(0, 256, (HEIGHT * 3 // 2, WIDTH), np.uint8))
    assert files(tmp_path) == []


@pytest.mark.parametrize(("fps", "message"), [(0.0001, "0.0001"), (0.000998, "0.000998"), (float("nan"), "nan")])
def test_rates_that_a_container_cannot_state(tmp_path: Path, fps: float, message: str) -> None:
    """They were written as 24."""
    with pytest.raises(ValueError, match=rf"^output: fps must be at least 1/1001 for \.mp4; got {message}\."):
        open_video(str(tmp_path / "out.mp4"), fps, (WIDTH, HEIGHT))
    with open_video(str(tmp_path / "%d.png"), fps, (WIDTH, HEIGHT)) as writer:
        writer.write(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert files(tmp_path) == ["0.png"]


@pytest.mark.parametrize("suffix", sorted(CONTAINERS))
@pytest.mark.parametrize("fps", [0.001, 0.04, 1000.0])
def test_slow_and_fast_rates(tmp_path: Path, suffix: str, fps: float) -> None:
    target = tmp_path / f"out{suffix}"
    with open_video(str(target), fps, (WIDTH, HEIGHT)) as writer:
        for _ in range(4):
            writer.write(nv12(100))
    with av.open(str(target)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(4) / fps, atol=2e-3, rtol=1e-5)


def test_what_would_be_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    (tmp_path / "c.mp4").touch()
    target = str(tmp_path / "a.mp4")
    found = [name for name in files(tmp_path) if video.holds(target, str(tmp_path / name))]
    assert found == ["a.mp4", "b.mp4"]
    assert not video.holds(str(tmp_path / "new.mp4"), target)
    assert not video.holds(target, str(tmp_path / "new.mp4"))
    assert not video.holds("-", target)


def test_two_writers_of_one_file(tmp_path: Path) -> None:
    target = str(tmp_path / "out.mp4")
    with open_video(target, 25, (WIDTH, HEIGHT)) as one, open_video(target, 25, (WIDTH, HEIGHT)) as other:
        for i in range(3):
            one.write(nv12(i))
            other.write(nv12(i))
    assert files(tmp_path) == ["out.mp4"]
    with av.open(target) as container:
        assert len(list(container.decode(video=0))) == 3


def test_a_failing_finish_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), open_video(str(tmp_path / "out.mp4"), 25, (WIDTH, HEIGHT)) as writer:
        writer.write(nv12(0))
        (tmp_path / "out.mp4").mkdir()
    assert files(tmp_path) == ["out.mp4"]
    assert (tmp_path / "out.mp4").is_dir()


def test_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdout:
        buffer = io.BytesIO()

    monkeypatch.setattr(sys, "stdout", Stdout)
    image = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
    with open_video("-", 25, (WIDTH, HEIGHT)) as writer:
        assert writer.format == "rgb8"
        writer.write(image)
        writer.write(image[::-1])
    assert Stdout.buffer.getvalue() == image.tobytes() + image[::-1].tobytes()


WRONG: list[tuple[str, tuple[int, int], str | None, str]] = [
    ("out.gif", (64, 48), None, "output: out.gif must end in .mp4, .mov, .mkv, .webm or be NAME%05d.png, or - for raw"),
    ("out.png", (64, 48), None, "output: out.png needs one frame number in its name, as in frames/%05d.png."),
    ("%d/%d-%d.png", (64, 48), None, "needs one frame number in its name"),
    ("out.mp4", (63, 48), None, "output: out.mp4 needs an even width and height; got 63x48. Use 64x48."),
    ("out.mp4", (64, 48), "rgba8", "output: out.mp4 takes nv12 pictures; got 'rgba8'."),
    ("%d.png", (64, 48), "nv12", "output: %d.png takes rgb8 or rgba8 pictures; got 'nv12'."),
]


@pytest.mark.parametrize(("target", "size", "form", "message"), WRONG)
def test_wrong_targets(target: str, size: tuple[int, int], form: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        open_video(target, 25, size, form)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"output: there is no folder .*missing\. Make it first\."):
        open_video(str(tmp_path / "missing" / "out.mp4"), 25, (WIDTH, HEIGHT))


def test_a_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(IsADirectoryError, match=r"output: .*out\.mp4 is a folder\. Name a file in it\."):
        open_video(str(tmp_path / "out.mp4"), 25, (WIDTH, HEIGHT))


def test_default_formats() -> None:
    assert [formats_of(target)[0] for target in ("a.mp4", "%d.png", "-")] == ["nv12", "rgb8", "rgb8"]


class _Slow(VideoWriter):
    """Keeps what it is given, late; fails on picture `bad`."""

    def __init__(self, bad: int | None = None) -> None:
        super().__init__("rgb8")
        self.bad, self.seen, self.ended = bad, list[int](), ""

    def write(self, image: np.ndarray, sound: np.ndarray | None = None) -> None:
        time.sleep(0.002)
        if len(self.seen) == self.bad:
            raise OSError("no space")
        self.seen.append(int(image[0, 0, 0]))

    def finish(self) -> None:
        self.ended = "finished"

    def abandon(self) -> None:
        self.ended = "abandoned"


def test_encoding_behind_keeps_order_and_pictures() -> None:
    slow, image = _Slow(), np.zeros((2, 2, 3), np.uint8)
    with _Behind(slow) as writer:
        for i in range(40):
            image[:] = i  # the array is used again while it waits
            writer.write(image)
    assert slow.seen == list(range(40)) and slow.ended == "finished"


@pytest.mark.parametrize("count", [4, 40])
def test_encoding_behind_fails_in_front(count: int) -> None:
    """Whether more pictures come or the video ends: the error is raised, nothing more is written, nothing hangs."""
    slow = _Slow(bad=3)
    with pytest.raises(OSError, match="no space"), _Behind(slow) as writer:
        for _ in range(count):
            writer.write(np.zeros((2, 2, 3), np.uint8))
    assert len(slow.seen) == 3 and slow.ended == "abandoned"


def test_what_waits_is_dropped_when_the_work_is_broken_off() -> None:
    slow = _Slow()
    with pytest.raises(KeyboardInterrupt), _Behind(slow) as writer:
        for _ in range(5):
            writer.write(np.zeros((2, 2, 3), np.uint8))
        raise KeyboardInterrupt
    assert len(slow.seen) < 5 and slow.ended == "abandoned"
