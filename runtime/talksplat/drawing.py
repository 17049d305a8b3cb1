# SPDX-License-Identifier: Apache-2.0
"""How an avatar's frames are drawn: arguments that are checked once, and the core's frames, which are used again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._arrays import FloatArray, as_count
from ._images import background_array, image_array, image_format
from .camera import Camera
from .frame import Frame
from .on_device import array_interface, as_stream, image_target

Canvas = tuple[int, int, _core.Format, _core.Precision]
MAX_IDLE = 4  # frames of an avatar that wait for the next call, the last used


class FramePool:
    """An avatar's frames, lent to whoever draws: each belongs to one thread while it is lent."""

    def __init__(self, avatar: _core.Avatar, engine: _core.Engine) -> None:
        self._avatar = avatar
        self.engine = engine
        self._idle: dict[int, tuple[Canvas, _core.Frame]] = {}  # by id, the one that has waited longest first

    @contextmanager
    def borrow(
        self, width: int, height: int, format: _core.Format, precision: _core.Precision
    ) -> Iterator[_core.Frame]:
        canvas = (width, height, format, precision)
        fitting = [key for key, (of, _) in list(self._idle.items()) if of == canvas]
        # pop() is one step: no two threads get the same frame.
        lent = next(filter(None, (self._idle.pop(key, None) for key in fitting)), None)
        frame = lent[1] if lent else _core.Frame(self._avatar, width, height, format, precision)
        yield frame  # not given back where drawing failed
        self._idle[id(frame)] = canvas, frame
        for key in list(self._idle)[:-MAX_IDLE]:
            self._idle.pop(key, None)


class Drawing:
    """How frames are drawn: checked once, used for every frame."""

    def __init__(
        self,
        frames: FramePool,
        canvas: tuple[int, int],
        who: str,
        size: Any,
        format: Any,
        background: Any,
        camera: Camera | None,
        precision: _core.Precision,
        plate: NDArray[np.uint8] | None,
        stream: Any = None,
    ) -> None:
        """plate: [H,W,3], the avatar's own; None where it has none.  stream: whose work on the GPU pictures are ordered
        with, which then stay in the memory of that GPU; None: they are in the CPU's."""
        self.who = who
        self.stream = None if stream is None else as_stream(who, stream, frames.engine.device)
        self.frames = frames
        self.precision = precision
        self.form = image_format(who, format)
        self.width, self.height = canvas if size is None else checked_size(who, size)
        if camera is not None and not isinstance(camera, Camera):
            raise ValueError(f"{who}: camera must be a talksplat.Camera or None; got {type(camera).__name__}.")
        self.camera = None if camera is None else camera.core()
        if isinstance(background, str) and background not in ("avatar", "fill"):
            raise ValueError(
                f'{who}: background must be "avatar", "fill", None, [3] or [{self.height},{self.width},3]; '
                f"got {background!r}."
            )
        if isinstance(background, str) and background == "fill":
            background = self._filled(plate)
        self.own_background = isinstance(background, str)
        behind = None if self.own_background else background
        self.background = background_array(who, behind, self.width, self.height)

    def _filled(self, plate: NDArray[np.uint8] | None) -> Any:
        """A background: the plate made as wide as the picture, or "avatar", where its own is so wide already."""
        if plate is None or self.width * plate.shape[0] <= self.height * plate.shape[1]:
            return "avatar"
        from .picture_file import filling

        return filling(plate, self.width, self.height)

    def frame(
        self,
        control: FloatArray,
        index: int,
        fps: float | None,
        out: Any,
        sound: FloatArray | None = None,
        sample_rate: int | None = None,
        camera: _core.Camera | None = None,
    ) -> Frame:
        """fps: None of a frame that is alone.  camera: of this frame alone; None for that of all."""
        if self.stream is not None:
            to = image_target(self.who, self.frames.engine, self.form, self.width, self.height, out)
            with self.frames.borrow(self.width, self.height, self.form.core, self.precision) as frame:
                receipt = frame.render_on_device(
                    control, camera or self.camera, self.own_background, self.background, to.address, to.stride_bytes,
                    self.stream.handle, to.made, self.stream.owner,
                )  # fmt: skip
            return Frame(to.image, index / fps if fps else 0.0, index, receipt, sound, sample_rate, fps)
        if array_interface(self.who, out) is not None:
            raise ValueError(
                f"{self.who}: out is in a GPU's memory: say by stream=, such as torch.cuda.current_stream(), whose "
                "work the picture is ordered with."
            )
        image = image_array(self.who, self.form, self.width, self.height, out)
        with self.frames.borrow(self.width, self.height, self.form.core, self.precision) as frame:
            receipt = frame.render(control, camera or self.camera, self.own_background, self.background, image)
        return Frame(image, index / fps if fps else 0.0, index, receipt, sound, sample_rate, fps)


def checked_size(who: str, size: Any) -> tuple[int, int]:
    try:
        width, height = size
    except (TypeError, ValueError):
        raise ValueError(f"{who}: size must be (width, height) in pixels; got {size!r}.") from None
    return as_count(f"{who}: width", width, 1), as_count(f"{who}: height", height, 1)
