"""Pictures, and their sound, to a video file; pictures to a PNG sequence or a pipe.

Nothing half-written stays: a file appears when it is whole.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shutil
import struct
import sys
import tempfile
import threading
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ._arrays import FloatArray
from ._files import partial_of, require_place

if TYPE_CHECKING:
    from .sound import SoundTrack

Image = NDArray[np.uint8]

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
PIPE = "-"
_PATTERN = re.compile(r"%0?\d*d")
# Visually lossless at these sizes, and fast: the encoder shares the CPU with the renderer.
H264_OPTIONS = {"crf": "16", "preset": "veryfast"}
MPEG4_BITS_PER_PIXEL = 0.5


def formats_of(target: str) -> tuple[str, ...]:
    """Image formats that a target takes, its default first. Raises ValueError for a target of no known kind."""
    if target == PIPE:
        return ("rgb8", "rgba8", "nv12")
    suffix = Path(target).suffix.lower()
    if suffix in CONTAINERS:
        return ("nv12",)
    if suffix == ".png":
        if len(_PATTERN.findall(Path(target).name)) != 1:
            raise ValueError(f"output: {target} needs one frame number in its name, as in frames/%05d.png.")
        return ("rgb8", "rgba8")
    known = ", ".join(CONTAINERS)
    raise ValueError(f"output: {target} must end in {known} or be NAME%05d.png, or - for raw pictures on stdout.")


def has_sound(target: str) -> bool:
    """Whether a target keeps sound."""
    return Path(target).suffix.lower() in CONTAINERS


def open_video(
    target: str,
    fps: float,
    size: tuple[int, int],
    format: str | None = None,
    sound: tuple[int, int] | None = None,
) -> VideoWriter:
    """A writer for `target`; use it as a context manager, which keeps the result only if no exception passes.

    format: of the pictures to be written, one of formats_of(target); None for its default.
    sound: (rate in Hz, channels) of what will be written with the pictures; None for a silent video. Targets
    without sound leave it out.
    Picture k is shown at k / fps, sample n is heard at n / rate.
    Raises ValueError for arguments and OSError where the target cannot be written.
    """
    accepted = formats_of(target)
    form = accepted[0] if format is None else format
    if form not in accepted:
        raise ValueError(f"output: {target} takes {' or '.join(accepted)} pictures; got {form!r}.")
    width, height = size
    if form == "nv12" and (width % 2 or height % 2):
        even = f"{width + width % 2}x{height + height % 2}"
        raise ValueError(f"output: {target} needs an even width and height; got {width}x{height}. Use {even}.")
    if target == PIPE:
        return _Pipe(form, sys.stdout.buffer)
    folder = Path(target).parent
    if target.lower().endswith(".png"):
        return _PngSequence(form, target, folder)
    require_place(Path(target))
    return _Behind(_Container(form, Path(target), fps, size, sound))


class VideoWriter(ABC):
    """write() pictures, then leave the `with` block.

    left_over: after that, a file of an earlier and longer sequence of the same name, or None.
    """

    left_over: Path | None = None

    def __init__(self, format: str) -> None:
        self.format = format

    @abstractmethod
    def write(self, image: Image, sound: FloatArray | None = None) -> None:
        """Add a picture of the writer's format and size, and the sound from then on. Arrays may be reused afterwards.

        sound: [n] or [n,channels] float32, full scale at 1; any n.
        """

    @abstractmethod
    def finish(self) -> None:
        """Make the result whole and visible."""

    @abstractmethod
    def abandon(self) -> None:
        """Remove what was written."""

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abandon()
            return
        try:
            self.finish()
        except BaseException:
            self.abandon()
            raise


def h264_encoder() -> str | None:
    """The H.264 encoder that PyAV brings, or None."""
    import av

    return "libx264" if "libx264" in av.codecs_available else None


def aac_encoder() -> str | None:
    """The AAC encoder that PyAV brings, or None."""
    import av

    return "aac" if "aac" in av.codecs_available else None


class _Container(VideoWriter):
    def __init__(
        self, format: str, path: Path, fps: float, size: tuple[int, int], sound: tuple[int, int] | None
    ) -> None:
        super().__init__(format)
        import av

        self._frame_of = av.VideoFrame.from_ndarray
        self._encoder_error = av.FFmpegError
        self._path = path
        self._partial = partial_of(path)
        self._sound: SoundTrack | None = None
        self._container: Any = av.open(str(self._partial), "w", format=CONTAINERS[path.suffix.lower()])
        try:
            encoder = h264_encoder()
            rate = Fraction(fps).limit_denominator(1001)
            stream: Any = self._container.add_stream(encoder or "mpeg4", rate=rate)
            stream.width, stream.height = size
            # x264 lays pictures out as NV12 itself; FFmpeg's MPEG-4 wants its planes apart.
            self._layout = stream.pix_fmt = "nv12" if encoder else "yuv420p"
            # What the core's nv12 is: BT.709, limited range.
            context = stream.codec_context
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = 1, 1, 1, 1
            if encoder:
                stream.options = H264_OPTIONS
            else:
                stream.bit_rate = int(size[0] * size[1] * fps * MPEG4_BITS_PER_PIXEL)
            self._stream = stream
            if sound is not None:
                from .sound import SoundTrack

                self._sound = SoundTrack(self._container, *sound)
            try:
                context.open()
            except self._encoder_error:
                raise ValueError(
                    f"output: {encoder or 'mpeg4'} cannot encode {size[0]}x{size[1]} pictures. Choose a smaller size."
                ) from None
        except BaseException:
            self.abandon()
            raise

    def write(self, image: Image, sound: FloatArray | None = None) -> None:
        frame = self._frame_of(image, format="nv12")
        frame.colorspace = frame.color_range = 1
        if frame.format.name != self._layout:
            frame = frame.reformat(format=self._layout)
        with self._as_os_error():
            self._container.mux(self._stream.encode(frame))
            if self._sound is not None and sound is not None:
                self._sound.write(sound)

    def finish(self) -> None:
        with self._as_os_error():
            self._container.mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.finish()
            self._container.close()
        os.replace(self._partial, self._path)

    @contextlib.contextmanager
    def _as_os_error(self) -> Iterator[None]:
        try:
            yield
        except self._encoder_error as error:
            raise OSError(f"{self._path}: cannot be written ({error.strerror}).") from None

    def abandon(self) -> None:
        # Closing flushes, which fails again on a full disk; the error that led here is the one to show.
        with contextlib.suppress(Exception):
            self._container.close()
        self._partial.unlink(missing_ok=True)


class _Behind(VideoWriter):
    """Another writer, in a thread of its own: pictures are drawn while earlier ones are encoded.

    Its two queues are SimpleQueues, which a signal cannot leave locked; Queue and Semaphore are locked in Python.
    """

    WAITING = 8  # pictures

    def __init__(self, writer: VideoWriter) -> None:
        super().__init__(writer.format)
        self._writer = writer
        self._error: BaseException | None = None  # once set, what waits is dropped
        self._queue: queue.SimpleQueue[tuple[Image, FloatArray | None] | None] = queue.SimpleQueue()
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()  # a thing for every picture that may still wait
        for _ in range(self.WAITING):
            self._room.put(None)
        self._thread = threading.Thread(target=self._work, name="talksplat video", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._writer.write(*item)
                except BaseException as error:
                    self._error = error
            self._room.put(None)

    def write(self, image: Image, sound: FloatArray | None = None) -> None:
        self._room.get()
        if self._error is not None:
            raise self._error
        self._queue.put((image.copy(), None if sound is None else sound.copy()))

    def _join(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def finish(self) -> None:
        self._join()
        if self._error is not None:
            raise self._error
        self._writer.finish()

    def abandon(self) -> None:
        self._error = self._error or RuntimeError("abandoned")
        self._join()
        self._writer.abandon()


class _PngSequence(VideoWriter):
    def __init__(self, format: str, pattern: str, folder: Path) -> None:
        super().__init__(format)
        self._name = Path(pattern).name
        self._folder = folder
        self._made = [f for f in (folder, *folder.parents) if not f.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        self._partial = Path(tempfile.mkdtemp(prefix=".talksplat-", dir=folder))
        self._count = 0

    def write(self, image: Image, sound: FloatArray | None = None) -> None:
        (self._partial / str(self._count)).write_bytes(png_bytes(image))
        self._count += 1

    def finish(self) -> None:
        for i in range(self._count):
            os.replace(self._partial / str(i), self._file(i))
        self._partial.rmdir()
        following = self._file(self._count)
        self.left_over = following if following.exists() else None

    def _file(self, i: int) -> Path:
        # Other percent signs of the name are themselves.
        return self._folder / _PATTERN.sub(lambda number: number[0] % i, self._name)

    def abandon(self) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)
        # Folders that were made for it go too, unless someone has put something there.
        with contextlib.suppress(OSError):
            for folder in self._made:
                folder.rmdir()


class _Pipe(VideoWriter):
    def __init__(self, format: str, stream: BinaryIO) -> None:
        super().__init__(format)
        self._stream = stream

    def write(self, image: Image, sound: FloatArray | None = None) -> None:
        self._stream.write(np.ascontiguousarray(image).data)

    def finish(self) -> None:
        self._stream.flush()

    def abandon(self) -> None:
        """What the reader has, it has."""


def png_bytes(image: Image) -> bytes:
    """A PNG file of an [H,W,3] or [H,W,4] uint8 picture (PNG specification, third edition; filter Up, deflate 1)."""
    height, width, channels = image.shape
    rows = image.reshape(height, width * channels)
    filtered = np.empty((height, 1 + width * channels), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.data, 1)), (b"IEND", b""))
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in chunks:
        parts += [struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(kind + data))]
    return b"".join(parts)
