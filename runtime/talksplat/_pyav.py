# SPDX-License-Identifier: Apache-2.0
"""PyAV as every release of it has it that talksplat takes: 14.1 to 19 and on."""

from __future__ import annotations

from typing import Any

import av

_RELEASE = int(av.__version__.split(".")[0])
# A media file must not make the decoder open other files or addresses, as playlists do. Nothing is named "none".
_OPTIONS: dict[str, Any] = {"container_options": {"protocol_whitelist": "none"}}
if _RELEASE < 19:  # texts of strangers' files are in any encoding; later releases replace what they cannot read
    _OPTIONS["metadata_errors"] = "replace"
if _RELEASE >= 18:
    # Pictures beside the sound are looked into as well, to learn their pixel format: no larger ones than 8K video has.
    # Earlier releases read past their options for streams where a file shows its streams late, as MPEG does.
    _OPTIONS["options"] = {"max_pixels": str(1 << 25)}
# What PyAV raises for a damaged file. Whatever else it raises is a fault of the program that calls it.
FAILURES = (av.FFmpegError, OSError, UnicodeDecodeError)
# AV_DISPOSITION_DEFAULT; AV_DISPOSITION_ATTACHED_PIC and AV_DISPOSITION_STILL_IMAGE (FFmpeg, avformat.h). The class
# that PyAV has for them is a plain flag in some releases, a number in others.
_DEFAULT, _STILL = 1 << 0, 1 << 10 | 1 << 20


def open_sound(source: Any) -> Any:
    """An input container over a binary file; its sound can be decoded, and pictures of ordinary size."""
    return av.open(source, **_OPTIONS)


def is_default(stream: Any) -> bool:
    """Whether the file says that players should take this stream."""
    return bool(stream.disposition.value & _DEFAULT)


def is_still(stream: Any) -> bool:
    """Whether a video stream is a cover or another still picture."""
    return bool(stream.disposition.value & _STILL)
