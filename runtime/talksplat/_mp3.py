# SPDX-License-Identifier: Apache-2.0
"""MP3's own tag, a frame of silence that says what the encoder added; where files were joined it stands in the middle.

Layout: the LAME project's "Mp3 Info Tag revision 1". FFmpeg heeds the first tag of a file only.
"""

from __future__ import annotations

_TAGS = (b"Info", b"Xing")
_ENCODERS = (b"LAME", b"Lavf", b"Lavc", b"GOGO")
_FIELDS = 4 + 4 + 4 + 4 + 100 + 4  # tag, flags, frames, bytes, table of contents, quality
_DELAY = _FIELDS + 21  # 12 bits of delay, 12 of padding
DECODER_DELAY = 529  # samples by which every MP3 decoder is late


def added_samples(packet: bytes) -> int | None:
    """Samples of silence before the sound that follows this packet; None if the packet is no tag."""
    for tag in _TAGS:
        at = packet.find(tag)
        if at >= 0 and packet[at + _FIELDS : at + _FIELDS + 4] in _ENCODERS:
            return (int.from_bytes(packet[at + _DELAY : at + _DELAY + 3], "big") >> 12) + DECODER_DELAY
    return None
