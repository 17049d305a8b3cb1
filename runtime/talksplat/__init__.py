"""talksplat: trained 3D-Gaussian-splatting heads, rendered on a plain CPU.

    avatar = talksplat.load("anna.tsplat")
    for frame in avatar.render_motion("take.csv"):
        frame.image                      # [height, width, 3] uint8

Importing this loads numpy and the core, nothing heavier.
"""

from ._core import __version__
from .avatar import Avatar, load
from .camera import Camera
from .control import Input
from .errors import (
    AudioInvalid,
    AvatarInvalid,
    AvatarNotFound,
    DeviceError,
    LatencyRefused,
    MotionInvalid,
    TalksplatError,
)
from .frame import Clip, Frame, Gaussians
from .motion import Motion, load_motion
from .rasterize import rasterize

__all__ = [
    "AudioInvalid",
    "Avatar",
    "AvatarInvalid",
    "AvatarNotFound",
    "Camera",
    "Clip",
    "DeviceError",
    "Frame",
    "Gaussians",
    "Input",
    "LatencyRefused",
    "Motion",
    "MotionInvalid",
    "TalksplatError",
    "__version__",
    "load",
    "load_motion",
    "rasterize",
]
