# SPDX-License-Identifier: Apache-2.0
"""Pictures, and their sound, to a video file; pictures to a PNG sequence or a pipe.

Nothing half-written stays: a file appears when it is whole.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ._arrays import FloatArray
from ._files import WholeFile, cannot_write, require_place
from ._signals import held_signals
from ._video_writer import Image, VideoWriter
from .png_sequence import FrameNames, PngSequence
from .video_coding import CONTAINERS, PICTURES, coding_of

if TYPE_CHECKING:
    from .sound import SoundTrack

PIPE = "-"
# Rates of containers are fractions, as 30000/1001 is: the slowest that these can state.
MAX_DENOMINATOR = 1001


def formats_of(target: str) -> tuple[str, ...]:
    """Image formats that a target takes, its default first. Raises ValueError for a target of no known kind."""
    if target == PIPE:
        return ("rgb8", "rgba8", "nv12")
    suffix = Path(target).suffix.lower()
    if suffix in PICTURES:
        return PICTURES[suffix]
    if suffix == ".png":
        FrameNames(target)
        return ("rgb8", "rgba8")
    known = ", ".join(CONTAINERS)
    raise ValueError(f"output: {target} must end in {known} or be NAME%05d.png, or - for raw pictures on stdout.")


def has_sound(target: str) -> bool:
    """Whether a target keeps sound."""
    return Path(target).suffix.lower() in CONTAINERS


def require_target(target: str) -> None:
    """What keeps a target from being written, as far as that can be told before there are pictures.

    Raises ValueError for a target of no known kind, and an OSError that names what is in the way.
    """
    formats_of(target)
    if target == PIPE:
        return
    if target.lower().endswith(".png"):
        FrameNames(target).require_free()
    else:
        require_place(Path(target))


def holds(target: str, path: str) -> bool:
    """Whether writing to `target` would replace the file at `path`."""
    if target == PIPE or not os.path.isfile(path):
        return False
    if not target.lower().endswith(".png"):
        return os.path.exists(target) and os.path.samefile(target, path)
    names = FrameNames(target)
    return names.folder.is_dir() and os.path.samefile(names.folder, Path(path).parent) and names.holds(Path(path))


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
        if sys.stdout is None:
            raise OSError("output: stdout is closed. Redirect it to a file or a program.")
        return _Pipe(form, sys.stdout.buffer)
    if target.lower().endswith(".png"):
        return PngSequence(form, FrameNames(target))
    if not fps >= 1 / MAX_DENOMINATOR:
        raise ValueError(
            f"output: fps must be at least 1/{MAX_DENOMINATOR} for {Path(target).suffix}; got {fps:g}. "
            "PNG sequences take any rate."
        )
    return _Behind(_Container(form, Path(target), fps, size, sound))


def h264_encoder() -> str | None:
    """The H.264 encoder that PyAV brings, or None."""
    import av

    return "libx264" if "libx264" in av.codecs_available else None


def aac_encoder() -> str | None:
    """The AAC encoder that PyAV brings, or None."""
    import av

    return "aac" if "aac" in av.codecs_available else None


class _Sink:
    """The file that PyAV writes to.

    Its first error is kept here and goes no further: FFmpeg writes on after errors and reports others in the end, and
    PyAV before 17 may crash on them.
    """

    name = "video"  # PyAV asks for one, and opens nothing by it

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if self.error is None:
            try:
                return self._file.seek(offset, whence)
            except OSError as error:
                self.error = error
        return offset

    def tell(self) -> int:
        return self.seek(0, os.SEEK_CUR)

    def ignore(self) -> None:
        """What comes from now on is not wanted."""
        self.error = self.error or OSError("abandoned")


class _Container(VideoWriter):
    def __init__(
        self, format: str, path: Path, fps: float, size: tuple[int, int], sound: tuple[int, int] | None
    ) -> None:
        super().__init__(format)
        import av

        coding = coding_of(path, format, av.codecs_available)
        self._frame_of = av.VideoFrame.from_ndarray
        self._encoder_error = av.FFmpegError
        self._path = path
        self._whole = WholeFile(path)
        self._sink = _Sink(self._whole.file)
        self._sound: SoundTrack | None = None
        try:
            self._container: Any = av.open(self._sink, "w", format=CONTAINERS[path.suffix.lower()])
            rate = Fraction(fps).limit_denominator(MAX_DENOMINATOR)
            stream: Any = self._container.add_stream(coding.encoder, rate=rate)
            stream.width, stream.height = size
            self._layout = stream.pix_fmt = coding.layout
            # What the core's nv12 is: BT.709, limited range.
            context = stream.codec_context
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = 1, 1, 1, 1
            stream.options = dict(coding.options)
            if coding.bits_per_pixel is not None:
                stream.bit_rate = int(size[0] * size[1] * fps * coding.bits_per_pixel)
            self._stream = stream
            if sound is not None:
                from .sound import SoundTrack

                self._sound = SoundTrack(self._container, *sound)
            try:
                context.open()
            except self._encoder_error:
                raise ValueError(
                    f"output: {coding.encoder} cannot encode {size[0]}x{size[1]} pictures. Choose a smaller size."
                ) from None
        except BaseException:
            self.abandon()
            raise

    def write(self, image: Image, sound: FloatArray | None = None) -> None:
        if self.format == "rgba8":
            frame = self._frame_of(image, format="rgba")
            frame = frame.reformat(format=self._layout, dst_colorspace="ITU709", dst_color_range="MPEG")
        else:
            frame = self._frame_of(image, format="nv12")
            frame.colorspace = frame.color_range = 1
            if frame.format.name != self._layout:
                frame = frame.reformat(format=self._layout)
        with self._as_os_error():
            self._container.mux(self._stream.encode(frame))
            if self._sound is not None and sound is not None:
                self._sound.write(sound)

    def end(self) -> None:
        with self._as_os_error():
            self._container.mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.finish()
            self._container.close()

    def finish(self) -> None:
        self._whole.keep()

    @contextlib.contextmanager
    def _as_os_error(self) -> Iterator[None]:
        failure = None
        try:
            yield
        except self._encoder_error as error:
            failure = OSError(f"{self._path}: cannot be written ({error.strerror}).")
        if self._sink.error is not None:
            failure = cannot_write(self._path, self._sink.error)
        if failure is not None:
            raise failure

    def abandon(self) -> None:
        self._sink.ignore()
        # Closing encodes what waits, and the error that led here is the one to show.
        with contextlib.suppress(Exception):
            self._container.close()
        self._whole.drop()


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

    def __enter__(self) -> VideoWriter:
        try:
            self._thread.start()
        except BaseException:  # a signal, while it waits for the thread to begin
            with held_signals():
                self.abandon()
            raise
        return self

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            self._unless_failed(self._writer.write, *item)
            self._room.put(None)
        # Here, not where signals are handled: PyAV drops what is raised while it writes.
        self._unless_failed(self._writer.end)

    def _unless_failed(self, step: Callable[..., None], *arguments: Any) -> None:
        if self._error is None:
            try:
                step(*arguments)
            except BaseException as error:
                self._error = error

    def write(self, image: Image, sound: FloatArray | None = None) -> None:
        self._room.get()
        if self._error is not None:
            raise self._error
        self._queue.put((image.copy(), None if sound is None else sound.copy()))

    def _join(self) -> None:
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def end(self) -> None:
        self._join()
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        self._writer.finish()

    def abandon(self) -> None:
        self._error = self._error or RuntimeError("abandoned")
        self._join()
        self._writer.abandon()


class _Pipe(VideoWriter):
    def __init__(self, format: str, stream: BinaryIO) -> None:
        super().__init__(format)
        self._stream = stream

    def write(self, image: Image, sound: FloatArray | None = None) -> None:
        with self._named():
            self._stream.write(np.ascontiguousarray(image).data)

    def finish(self) -> None:
        with self._named():
            self._stream.flush()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # no fault: a reader has enough
            raise
        except OSError as error:
            raise cannot_write(Path("stdout"), error) from None

    def abandon(self) -> None:
        """What the reader has, it has."""
