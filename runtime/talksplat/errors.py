# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, by name. Wrong arguments are ValueError; the core raises these classes too."""


class TalksplatError(Exception):
    """Base of every error of talksplat that is not a wrong argument."""


class AvatarNotFound(TalksplatError, FileNotFoundError):
    """There is no readable avatar file at that path."""


class AvatarInvalid(TalksplatError):
    """The avatar file is damaged, hostile or of a newer format; the message says which part."""


class VoiceInvalid(TalksplatError, ValueError):
    """The voice file is missing, damaged, hostile or of a newer format; the message says which part."""


class EncoderNotFound(TalksplatError, FileNotFoundError):
    """There is no encoder folder at that path, or of that name; the message has the command that makes one."""


class EncoderInvalid(TalksplatError):
    """The encoder folder is damaged, hostile or of another format, or does not fit; the message says which part."""


class EncoderRefused(TalksplatError):
    """No engine runs this encoder here: none is installed, it fails its self-test, or is slower than the sound."""


class AudioInvalid(TalksplatError, ValueError):
    """The audio cannot be decoded, or its rate, length or numbers are absurd."""


class MotionInvalid(TalksplatError, ValueError):
    """The motion file is damaged or does not fit the avatar; the message says where (row, column, frame)."""


class DeviceError(TalksplatError):
    """The device that was asked for is missing, lost, or cannot do this."""


class LatencyRefused(TalksplatError):
    """This avatar on this device cannot keep the latency that was asked for.

    smallest_ms: the latency that would have been accepted; infinite where there is no time for one session more.
    """

    smallest_ms: float = float("nan")


class QueueFull(TalksplatError):
    """A push does not fit into what a session keeps waiting; nothing of it was taken."""


class SessionClosed(TalksplatError):
    """A session that was closed takes nothing more; one whose last frame was taken has no other."""
