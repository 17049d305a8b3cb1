"""PyAV as every release of it has it that talksplat takes: 14.1 to 19 and on."""

from __future__ import annotations

from typing import Any

import av

# A media file must not make the decoder open other files or addresses, as playlists do. Nothing is named "none".
# Nor need pictures be decoded to find sound: FFmpeg would look into one of any size to learn its pixel format.
_OPTIONS = {"protocol_whitelist": "none", "max_pixels": "1"}
# Texts of strangers' files are in any encoding. From PyAV 19 on they are replaced without being asked for.
_TEXTS = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
# What PyAV raises for a damaged file. Whatever else it raises is a fault of the program that calls it.
FAILURES = (av.FFmpegError, OSError, UnicodeDecodeError)
# AV_DISPOSITION_DEFAULT; AV_DISPOSITION_ATTACHED_PIC and AV_DISPOSITION_STILL_IMAGE (FFmpeg, avformat.h). The class
# that PyAV has for them is a plain flag in some releases, a number in others.
_DEFAULT, _STILL = 1 << 0, 1 << 10 | 1 << 20


def open_sound(source: Any) -> Any:
    """An input container over a binary file; its sound can be decoded, its pictures need not be."""
    return av.open(source, options=_OPTIONS, **_TEXTS)


def is_default(stream: Any) -> bool:
    """Whether the file says that players should take this stream."""
    return bool(stream.disposition.value & _DEFAULT)


def is_still(stream: Any) -> bool:
    """Whether a video stream is a cover or another still picture."""
    return bool(stream.disposition.value & _STILL)
