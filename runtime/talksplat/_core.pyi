# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from typing import Any, type_check_only

import numpy as np
from numpy.typing import NDArray

__version__: str
ABI_VERSION: int

MAX_SIDE: int
MAX_THREADS: int
MAX_SH_COEFFICIENTS: int
MIN_RATE_HZ: int
MAX_RATE_HZ: int
MAX_CHANNELS: int
MAX_SAMPLE: float
MIN_FPS: float
MAX_FPS: float
MAX_AMOUNT: float
MIN_SLOTS: int
MAX_SLOTS: int
MIN_QUEUE_MS: int
MAX_QUEUE_MS: int
MAX_LATENCY_MS: float
MAX_CHUNK_MS: float
MAX_FADE_MS: int
MAX_UTTERANCES: int
LIVE_SPEECH: int
LIVE_IDLE: int
LIVE_STARVED: int
LIVE_LATE: int
LIVE_HELD: int
LIVE_SEGMENT_END: int
LIVE_FADING: int

def now_ns() -> int: ...
def isa_names() -> list[str]: ...
def frame_count(n_samples: int, rate_hz: int, fps: float) -> int: ...
def first_sample(frame: int, rate_hz: int, fps: float) -> int: ...

@type_check_only
class _Enumeration:  # pybind11 gives every enumeration these
    __members__: dict[str, Any]
    def __init__(self, value: int) -> None: ...
    def __int__(self) -> int: ...
    def __index__(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...

class Format(_Enumeration):
    RGB_F32: Format
    RGBA8: Format
    RGB8: Format
    NV12: Format

class Precision(_Enumeration):
    REFERENCE: Precision
    FAST: Precision
    DEFAULT: Precision

class OnLate(_Enumeration):
    HOLD: OnLate
    SKIP: OnLate

class Idle(_Enumeration):
    ALIVE: Idle
    STILL: Idle
    NONE: Idle

class Clock(_Enumeration):
    REAL: Clock
    CALLER: Clock

class Camera:
    def __init__(
        self, cam_from_world: NDArray[np.float32], fx: float, fy: float, cx: float, cy: float, near: float
    ) -> None: ...

class Receipt:
    @property
    def pose_us(self) -> float: ...
    @property
    def deform_us(self) -> float: ...
    @property
    def project_us(self) -> float: ...
    @property
    def bin_us(self) -> float: ...
    @property
    def blend_us(self) -> float: ...
    @property
    def total_us(self) -> float: ...
    @property
    def n_gaussians(self) -> int: ...
    @property
    def n_visible(self) -> int: ...
    @property
    def n_instances(self) -> int: ...
    @property
    def n_dropped(self) -> int: ...

def system_info() -> dict[str, Any]: ...

class Engine:
    def __init__(self, threads: int = 0, device: str | None = None, isa: str | None = None) -> None: ...
    @property
    def device(self) -> str: ...
    @property
    def device_name(self) -> str: ...
    @property
    def note(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def isa(self) -> str: ...
    @property
    def scratch_bytes(self) -> int: ...
    def measure_peak(self) -> tuple[float, float]: ...
    def step(self, time_ns: int) -> int: ...

def rasterize(
    engine: Engine,
    mean: NDArray[np.float32],
    quat: NDArray[np.float32],
    scale: NDArray[np.float32],
    opacity: NDArray[np.float32],
    color: NDArray[np.float32],
    sh_degree: int,
    camera: Camera,
    background: NDArray[np.float32] | None,
    dilation: float,
    precision: Precision,
    format: Format,
    width: int,
    height: int,
    image: NDArray[Any],
    alpha: NDArray[np.float32] | None,
    depth: NDArray[np.float32] | None,
) -> Receipt: ...

class Avatar:
    def __init__(self, engine: Engine, path: str | bytes) -> None: ...
    @property
    def manifest(self) -> str: ...
    @property
    def info(self) -> dict[str, Any]: ...
    def inputs(self) -> list[tuple[str, int, NDArray[np.float32]]]: ...
    def tensors(self) -> dict[str, NDArray[Any]]: ...
    def retarget(
        self, weight: NDArray[np.float32] | None, given: Sequence[bool], head_pose: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]: ...

class DeviceMemory:
    def __init__(self, engine: Engine, bytes: int) -> None: ...

class DeviceArray:
    """An array in a GPU's memory, C-contiguous, uint8 or float32; libraries there take it without a copy.

    shape, ndim, dtype (numpy's), nbytes.  device: "cuda:0".  numpy(): a copy in the CPU's memory, once it is written.
    __cuda_array_interface__, __dlpack__: as their protocols say.
    """

    def __init__(self, memory: DeviceMemory, offset: int, shape: Sequence[int], floats: bool) -> None: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def device(self) -> str: ...
    def numpy(self) -> NDArray[Any]: ...
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...
    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

class Frame:
    def __init__(self, avatar: Avatar, width: int, height: int, format: Format, precision: Precision) -> None: ...
    def render(
        self,
        control: NDArray[np.float32] | None,
        camera: Camera | None,
        own_background: bool,
        background: NDArray[np.float32] | None,
        image: NDArray[Any],
    ) -> Receipt: ...
    def render_on_device(
        self,
        control: NDArray[np.float32] | None,
        camera: Camera | None,
        own_background: bool,
        background: NDArray[np.float32] | None,
        address: int,
        stride_bytes: int,
        stream: int,
        made: DeviceArray | None,
        owner: object,
    ) -> Receipt: ...
    def gaussians_on_device(
        self,
        control: NDArray[np.float32] | None,
        mean: DeviceArray,
        quat: DeviceArray,
        scale: DeviceArray,
        opacity: DeviceArray,
        color: DeviceArray,
        stream: int,
        owner: object,
    ) -> None: ...
    def gaussians(
        self,
        control: NDArray[np.float32] | None,
        mean: NDArray[np.float32],
        quat: NDArray[np.float32],
        scale: NDArray[np.float32],
        opacity: NDArray[np.float32],
        color: NDArray[np.float32],
    ) -> None: ...
    def vertices(self, control: NDArray[np.float32] | None, out: NDArray[np.float32]) -> None: ...

class Voice:
    def __init__(self, path: str | bytes) -> None: ...
    @property
    def manifest(self) -> str: ...
    @property
    def look_ahead_s(self) -> float: ...
    @property
    def channel_names(self) -> tuple[str, ...]: ...
    @property
    def weight_names(self) -> tuple[str, ...]: ...
    @property
    def n_features(self) -> int: ...
    @property
    def n_parameters(self) -> int: ...
    @property
    def file_bytes(self) -> int: ...

class Speech:
    def __init__(
        self,
        engine: Engine,
        voice: Voice,
        rate_hz: int,
        channels: int,
        fps: float,
        seed: int = 0,
        mouth: float = 1.0,
        head: float = 1.0,
        blink: float = 1.0,
    ) -> None: ...
    def push(self, samples: NDArray[np.float32] | NDArray[np.int16]) -> None: ...
    def finish(self) -> None: ...
    def reset(self) -> None: ...
    @property
    def ready(self) -> int: ...
    def read(self, max_frames: int = -1) -> dict[str, NDArray[np.float32]]: ...
    def read_control(self, avatar: Avatar, max_frames: int = -1) -> NDArray[np.float32]: ...

class Listener:
    def __init__(self, rate_hz: int, channels: int) -> None: ...
    def push(self, samples: NDArray[np.float32] | NDArray[np.int16]) -> None: ...
    def finish(self) -> None: ...
    def reset(self) -> None: ...
    def read(self) -> NDArray[np.float32]: ...

class Session:
    def __init__(
        self,
        avatar: Avatar,
        voice: Voice | None,
        *,
        fps: float,
        width: int,
        height: int,
        format: Format,
        precision: Precision,
        latency_ms: float,
        chunk_ms: float,
        on_late: OnLate,
        idle: Idle,
        clock: Clock,
        slots: int,
        queue_ms: int,
        flush_after_ms: int,
        rate_hz: int,
        channels: int,
        seed: int,
        mouth: float,
        head: float,
        blink: float,
        background: NDArray[np.float32] | None,
        own_background: bool,
        feature_look_ahead_ms: float = 0.0,
    ) -> None: ...
    @property
    def smallest_ms(self) -> float: ...
    def push_audio(self, samples: NDArray[np.float32] | NDArray[np.int16], rate_hz: int) -> None: ...
    def push_features(self, rows: NDArray[np.float32]) -> None: ...
    def push_controls(self, rows: NDArray[np.float32]) -> None: ...
    def flush(self) -> None: ...
    def interrupt(self, fade_ms: int) -> int: ...
    def set(
        self,
        look: bool,
        gaze: Sequence[float],
        head_pose: Sequence[float],
        head: float,
        blink: float,
        listening: float,
        emotion: Sequence[float],
    ) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def acquire(self, timeout_s: float | None) -> LiveFrame | None: ...
    def stats(self) -> dict[str, Any]: ...

class LiveFrame:
    @property
    def flags(self) -> int: ...
    @property
    def index(self) -> int: ...
    @property
    def pts_samples(self) -> int: ...
    @property
    def rate_hz(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def segment(self) -> int: ...
    @property
    def segment_sample(self) -> int: ...
    @property
    def times(self) -> tuple[int, int, int, int, int, int]: ...
    @property
    def receipt(self) -> Receipt: ...
    @property
    def image(self) -> NDArray[Any]: ...
    @property
    def audio(self) -> NDArray[np.float32]: ...
    def release(self) -> None: ...
