# SPDX-License-Identifier: Apache-2.0
"""talksplat: speech to video of trained 3D-Gaussian-splatting heads, on a plain CPU.

    avatar = talksplat.load("demo")
    for frame in avatar.render("speech.wav"):
        frame.image, frame.audio         # [height, width, 3] uint8, [n] float32

Importing this loads numpy and the core, nothing heavier.
"""

from . import _start  # noqa: F401 (first: the imports below take a while)

# isort: split
from ._core import __version__
from .audio import load_audio
from .avatar import Avatar, load
from .camera import Camera
from .clips import Clip
from .control import Input
from .encoders.encoder import Encoder, load_encoder
from .engine import Engine
from .errors import (
    AudioInvalid,
    AvatarInvalid,
    AvatarNotFound,
    DeviceError,
    EncoderInvalid,
    EncoderNotFound,
    EncoderRefused,
    LatencyRefused,
    MotionInvalid,
    QueueFull,
    SessionClosed,
    TalksplatError,
    VoiceInvalid,
)
from .frame import Frame, Gaussians
from .frame_video import write_video
from .live_frame import LentFrame, LiveFrame, LiveTimes
from .motion_files import load_motion
from .motions import Motion
from .on_device import DeviceArray
from .rasterize import rasterize
from .session import Session
from .session_stats import SessionStats
from .speech import SpeechMotion, motion

__all__ = [
    "AudioInvalid",
    "Avatar",
    "AvatarInvalid",
    "AvatarNotFound",
    "Camera",
    "Clip",
    "DeviceArray",
    "DeviceError",
    "Encoder",
    "EncoderInvalid",
    "EncoderNotFound",
    "EncoderRefused",
    "Engine",
    "Frame",
    "Gaussians",
    "Input",
    "LatencyRefused",
    "LentFrame",
    "LiveFrame",
    "LiveTimes",
    "Motion",
    "MotionInvalid",
    "QueueFull",
    "Session",
    "SessionClosed",
    "SessionStats",
    "SpeechMotion",
    "TalksplatError",
    "VoiceInvalid",
    "__version__",
    "load",
    "load_audio",
    "load_encoder",
    "load_motion",
    "motion",
    "rasterize",
    "write_video",
]
