# SPDX-License-Identifier: Apache-2.0
"""Frames, and their sound, to a video file."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from ._arrays import as_number
from .frame import Frame, image_on_host
from .live_frame import LiveFrame


def write_video(frames: Iterable[Frame], path: str | os.PathLike[str], fps: float | None = None) -> int:
    """Write what render(), render_motion(), a session or a list of frames gives, while it is drawn.

    Returns how many pictures were written: one of each frame, and before a live frame that has the sound of others
    which were left out (on_late="skip"), the one before it for each of those.

    path: NAME.mp4, .mov or .mkv (H.264) or .webm (VP9), with the frames' sound, of rgb8 or nv12 pictures, which encode
    faster, both of even width and height; NAME.webm or NAME.mov (ProRes 4444) of rgba8, transparent; or
    FOLDER/NAME%05d.png, of rgb8 or rgba8. It appears when it is whole, in the place of what was there.
    fps: frames per second; None for the frames' own.
    Raises ValueError for frames and names that do not fit, OSError where the file cannot be written, and whatever
    drawing the frames raises.
    """
    from .video import formats_of, open_video

    target = os.fsdecode(os.fspath(path))
    if target == "-":
        raise ValueError("write_video: path must be a file; got -, which means stdout on the command line.")
    accepted = formats_of(target)
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise ValueError("write_video: frames is empty, and a video needs one at least.")
    _require_frame(first, first, 0)
    rate = first.fps if fps is None else as_number("write_video: fps", fps)
    if rate is None:
        raise ValueError("write_video: fps must be given for frames of render_frame(), which have none of their own.")
    encode = first.format == "rgb8" and "nv12" in accepted
    form = "nv12" if encode else first.format
    if form not in accepted:
        known = " or ".join(("rgb8", *accepted) if "nv12" in accepted else accepted)
        raise ValueError(
            f"write_video: {target} takes {known} pictures; got {form}. Draw them with format={accepted[0]!r}."
        )
    sound = None
    if first.audio is not None and first.sample_rate is not None:
        sound = first.sample_rate, 1 if first.audio.ndim == 1 else first.audio.shape[1]
    written, before = 0, image_on_host("write_video", first)
    with open_video(target, rate, first.size, form, sound) as writer:
        for number, frame in enumerate(itertools.chain([first], rest)):
            _require_frame(frame, first, number)
            image = image_on_host("write_video", frame)
            image = _nv12(image) if encode else image
            left_out = frame.left_out if isinstance(frame, LiveFrame) and number > 0 else 0
            for _ in range(left_out):
                writer.write(before, None)
            writer.write(image, frame.audio)
            written += 1 + left_out
            before = image
    return written


def _require_frame(frame: Any, first: Frame, i: int) -> None:
    if not isinstance(frame, Frame):
        raise ValueError(f"write_video: frames must be talksplat.Frame; number {i} is {type(frame).__name__}.")
    shape = None if first.audio is None else first.audio.shape[1:]
    mine = None if frame.audio is None else frame.audio.shape[1:]
    if (frame.format, frame.size, frame.sample_rate, mine) != (first.format, first.size, first.sample_rate, shape):
        raise ValueError(
            f"write_video: frames must have one format, size and sound; number 0 is {first!r} with sound at "
            f"{first.sample_rate} Hz, number {i} {frame!r} at {frame.sample_rate} Hz."
        )


def _nv12(image: NDArray[Any]) -> NDArray[Any]:
    """BT.709 in limited range, as the core makes it."""
    import av

    picture = av.VideoFrame.from_ndarray(image, format="rgb24")
    return picture.reformat(format="nv12", dst_colorspace="ITU709", dst_color_range="MPEG").to_ndarray()
