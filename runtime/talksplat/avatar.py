# SPDX-License-Identifier: Apache-2.0
"""Avatars: load one, pose it, draw it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._arrays import FloatArray, as_count, as_floats, as_number, shape_text
from ._assets import DEMO, builtin_path
from ._images import image_array
from ._told import Told
from .arkit import ARKIT_NAMES
from .audio import open_audio
from .audio_blocks import Audio
from .camera import Camera
from .clips import Clip, clip_tensor, clips_of
from .control import Input, control_vector, joined
from .drawing import Drawing, FramePool, checked_size
from .driven import FaceControls
from .encoders.encoder import Encoder, as_encoder
from .encoders.feed import EncodedCore, encoded_core
from .encoders.track import EncodedTrack, held_back
from .engine import Engine, precision_of
from .errors import MotionInvalid
from .frame import Frame, Gaussians
from .framing import turned_lens
from .layering import Layer
from .motion_files import load_motion
from .motions import Motion, fit_motion
from .on_device import as_stream, device_arrays
from .session import Session
from .session_options import core_options
from .silence import Silence
from .speech import Heard, Hearing, open_voice, speech_fps
from .tracks import Tracks


def load(
    path: str | bytes | os.PathLike[str],
    device: str | None = None,
    threads: int | None = None,
    precision: str | None = None,
    *,
    engine: Engine | None = None,
) -> Avatar:
    """Open an avatar file (.tsplat). "demo" is built in; "./demo" and Path("demo") are files.

    device, threads: of an engine of its own, as in talksplat.Engine: "auto", which is a GPU where there is one, and one
    thread per CPU if not given.
    engine: one that is there already, instead of those; several avatars may share it.
    precision: "default" (also None): on the CPU the image that the avatar was trained with, its deform network as
    precise as was chosen at import, and on a GPU as "fast"; "reference": that image on either, the network in float32,
    too; "fast": within 1.5/255, and the network in bfloat16 where the CPU is faster with it, in half floats on a GPU.
    Every call that draws may say otherwise.
    Raises AvatarNotFound, AvatarInvalid (the file), DeviceError, ValueError (an argument).
    """
    drawn = precision_of("load", precision)
    if engine is None:
        workers = 0 if threads is None else as_count("load: threads", threads, 0)
        engine = Engine("auto" if device is None else device, workers)
    elif not isinstance(engine, Engine):
        raise ValueError(f"load: engine must be a talksplat.Engine or None; got {type(engine).__name__}.")
    elif device is not None or threads is not None:
        raise ValueError("load: device and threads are the engine's where one is given. Leave them out.")
    return Avatar(_core.Avatar(engine._core, _bytes_of(builtin_path(DEMO, path) or path)), engine, drawn)


def _bytes_of(path: str | bytes | os.PathLike[str]) -> bytes:
    """As the file system has it, which need not be UTF-8."""
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:
        raise ValueError(f"load: path must be a name that this file system can hold; got {path!r}.") from None


class Avatar:
    """A trained head, from load(). Frames may be rendered from several threads; they take turns on its engine.

    engine: the Engine that draws it.  name: from the file.  manifest: the whole description.  size: (width, height) of
    the canvas.  fps: of training.  n_gaussians: drawn.  inputs: what drives it, by name.  clips: recorded motion in the
    file, by name.
    """

    def __init__(self, core: _core.Avatar, engine: Engine, precision: _core.Precision) -> None:
        """Made by load()."""
        self._core = core
        self._frames = FramePool(core, engine._core)
        self._precision = precision
        self.engine = engine
        self._info = core.info  # constant, as the file is
        self.manifest: dict[str, Any] = json.loads(core.manifest)
        self.name: str = self.manifest["name"]
        self.size: tuple[int, int] = (self._info["width"], self._info["height"])
        self.fps: float = float(self.manifest["fps"])
        self.n_gaussians: int = self._info["n_gaussians"]
        entries = zip(self.manifest["inputs"], core.inputs(), strict=True)
        self.inputs: Mapping[str, Input] = MappingProxyType(
            {name: Input.from_manifest(entry, default, offset) for entry, (name, offset, default) in entries}
        )
        self.clips: Mapping[str, Clip] = clips_of(self.manifest)

    def __reduce__(self) -> NoReturn:
        raise TypeError("Avatar: an avatar on its engine cannot be pickled or copied. Load it in the other process.")

    def __repr__(self) -> str:
        width, height = self.size
        return f"Avatar({self.name!r}, {self.n_gaussians} Gaussians, {width}x{height})"

    @property
    def info(self) -> dict[str, Any]:
        """Counts and sizes: n_source, n_vertices, n_triangles, n_joints, n_blendshapes, sh_degree, file_bytes, ...; and
        what draws it now, as its engine tells: device, device_name, note."""
        return {**self._info, **self.engine._drawn_by()}

    @property
    def threads(self) -> int:
        """CPU threads of its engine."""
        return self.engine.threads

    @property
    def isa(self) -> str:
        """Instruction set that draws it: scalar, avx2, avx512, neon, ..., or of a GPU sm_75, ..."""
        return self.engine.isa

    @property
    def speaks(self) -> bool:
        """Whether the built-in voice can move its mouth: it has inputs for a face, or for the voice's features."""
        speaks: bool = self._info["speaks"]
        return speaks

    @property
    def takes_faces(self) -> bool:
        """Whether motions of a face are for it: it speaks, or has brows or lids that they move."""
        return self.speaks or bool(self._info["has_face"])

    @property
    def scratch_bytes(self) -> int:
        """High-water mark of the engine's scratch memory."""
        return self.engine.scratch_bytes

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every tensor of the file by name: read-only views of the mapped file."""
        return self._core.tensors()

    def clip_rows(self, clip: str, name: str) -> FloatArray:
        """[T,size]: what the file's clip `clip` gives to the input `name`; a copy."""
        return np.array(self._core.tensors()[clip_tensor(self.manifest, clip, name)], np.float32)

    def face_controls(self, weights: Mapping[str, FloatArray], head_pose: FloatArray | None = None) -> FaceControls:
        """What a face makes of its inputs: ARKit weights, [T] by name, and a head pose, [T,3] axis-angle in radians.

        See docs/retargeting.md for what becomes of weights that its rig has no shape for.
        Raises ValueError for names that are not ARKit's, other shapes, and numbers that are not finite.
        """
        if not isinstance(weights, Mapping):
            raise ValueError(f"face_controls: weights must map ARKit's names to arrays; got {type(weights).__name__}.")
        unknown = next((name for name in weights if name not in ARKIT_NAMES), None)
        if unknown is not None:
            raise ValueError(f"face_controls: weights must have ARKit's names; got {unknown!r}.")
        columns = {name: as_floats(f"face_controls: {name}", column) for name, column in weights.items()}
        for name, column in columns.items():
            if column.ndim != 1:
                raise ValueError(
                    f"face_controls: {name} must be [T], one number per frame; got {shape_text(column.shape)}."
                )
        lengths = {column.size for column in columns.values()}
        if len(lengths) > 1:
            raise ValueError(f"face_controls: weights must have equally many frames; got {sorted(lengths)}.")
        rows = None
        if columns:
            rows = np.zeros((lengths.pop(), len(ARKIT_NAMES)), np.float32)
            for name, column in columns.items():
                rows[:, ARKIT_NAMES.index(name)] = column
        turn = None if head_pose is None else as_floats("face_controls: head_pose", head_pose)
        control, places, moved = self._core.retarget(rows, [name in weights for name in ARKIT_NAMES], turn)
        pairs = zip(self.inputs.values(), moved, strict=True)
        inputs = {into.name: control[:, into.columns] for into, moves in pairs if moves}
        has_place = (name for name, place in zip((*ARKIT_NAMES, "head_pose"), places, strict=True) if place)
        return FaceControls(inputs, frozenset(has_place))

    def gaussians(self, control: Mapping[str, Any] | None = None, *, stream: Any = None) -> Gaussians:
        """The activated Gaussians after pose and deform, in the source file's order.

        control maps input names to [size] arrays, or for inputs with names (arkit) to a mapping of those names to
        numbers. Inputs that are not given take their defaults; {} and None are the neutral frame.
        stream: as in render_frame(): they stay on the GPU, in arrays that libraries there take without a copy. Then
        they are in the avatar's order, n_gaussians rows, without those that were pruned; row i is row
        tensors()["gaussians/source_index"][i] of the source.
        Raises ValueError for unknown names, wrong shapes and numbers that are not finite.
        """
        degree = self._info["sh_degree"]
        vector = control_vector(self.inputs, {} if control is None else control)
        if stream is not None:
            ordered = as_stream("gaussians", stream, self.engine.device)
            n = self.n_gaussians
            color_shape = (n, 3) if degree < 0 else (n, (degree + 1) ** 2, 3)
            shapes = [(n, 3), (n, 4), (n, 3), (n,), color_shape]
            m, q, s, o, c = device_arrays(self.engine._core, shapes, floats=True)
            with self._posing() as frame:
                frame.gaussians_on_device(vector, m, q, s, o, c, ordered.handle, ordered.owner)
            return Gaussians(m, q, s, o, c if degree < 0 else None, None if degree < 0 else c)
        n = self._info["n_source"]
        mean, quat, scale = (np.empty((n, k), np.float32) for k in (3, 4, 3))
        opacity = np.empty(n, np.float32)
        color = np.empty((n, 3) if degree < 0 else (n, (degree + 1) ** 2, 3), np.float32)
        with self._posing() as frame:
            frame.gaussians(vector, mean, quat, scale, opacity, color)
        return Gaussians(
            mean, quat, scale, opacity, color=color if degree < 0 else None, sh=None if degree < 0 else color
        )

    def vertices(self, control: Mapping[str, Any] | None = None) -> FloatArray:
        """The posed mesh, [V,3]; control as in gaussians(). V is 0 for an avatar without a mesh."""
        out = np.empty((self._info["n_vertices"], 3), np.float32)
        vector = control_vector(self.inputs, {} if control is None else control)
        with self._posing() as frame:
            frame.vertices(vector, out)
        return out

    def _posing(self) -> AbstractContextManager[_core.Frame]:
        """A frame for what is read and not drawn: its canvas does not matter."""
        return self._frames.borrow(*self.size, _core.Format.RGB8, self._precision)

    def _drawing(
        self,
        who: str,
        size: Any,
        format: Any,
        background: Any,
        camera: Camera | None,
        precision: Any,
        stream: Any = None,
    ) -> Drawing:
        drawn = precision_of(who, precision, self._precision)
        plate = self.tensors().get("plate/background")
        return Drawing(self._frames, self.size, who, size, format, background, camera, drawn, plate, stream)

    def view(self, up: Any = None, front: Any = None, size: tuple[int, int] | None = None) -> Camera:
        """A camera that shows a still scene upright and from its front, for pictures of (width, height) `size`.

        up, front: where its top is, and where it is seen from: "x", "-x", "y", ... or three numbers. None: what is up
        for its own camera, and the front that usually goes with it. size: None for the canvas.
        Raises ValueError for other directions, and for an avatar that moves: its own camera knows how it stands.
        """
        if self.manifest["method"] != "static":
            raise ValueError(f"view: {self.name} is no still scene: up and front are for scenes that do not move.")
        width, height = self.size if size is None else checked_size("view", size)
        own = self.manifest["camera"]["cam_from_world"]
        lens = turned_lens(self.gaussians({}).mean, up, front, own, width, height)
        return Camera(lens.cam_from_world.astype(np.float32), lens.focal_px, lens.focal_px, lens.cx, lens.cy, lens.near)

    def render_frame(
        self,
        control: Mapping[str, Any] | None = None,
        size: tuple[int, int] | None = None,
        format: str = "rgb8",
        background: Any = "avatar",
        camera: Camera | None = None,
        out: Any = None,
        precision: str | None = None,
        *,
        stream: Any = None,
    ) -> Frame:
        """Draw one frame; control as in gaussians().

        size: (width, height); the avatar's camera scales with the height and stays centred. None: the canvas.
        format: "rgb8" [H,W,3], "rgba8" [H,W,4], "nv12" [H*3/2,W] (BT.709, limited range) or "rgb_f32" [H,W,3].
        background: "avatar" (its own colour, or its plate, which keeps its place behind the head: beside it, where the
        picture is wider, it goes on softly), "fill" (its plate scaled until it fills the picture, for plates without a
        body), None (transparent in rgba8, black in the others), one colour [3], or a picture [H,W,3]; RGB in 0..1.
        camera: None for the avatar's own.  out: array to draw into, of the format's shape and dtype.
        precision: as in load(); None for the one that the avatar was loaded with.
        stream: for pictures that stay on the GPU that draws them: a torch.cuda.Stream, a cuda.core or CuPy stream, or a
        CUstream's address. The picture is drawn when what the stream was given so far is done, what it is given later
        comes after the picture, and the call waits at most for the draw before the last one. `image` is `out`, an array
        in that GPU's memory, whose own stream is not looked at, or a new one, which libraries take without a copy
        (torch.from_dlpack, __cuda_array_interface__) and .numpy() copies here; the receipt counts nothing. An `out`
        saves the allocation, and the wait for the GPU when a picture is dropped.
        Raises ValueError for arguments, a stream on a CPU among them, and DeviceError for a GPU that failed.
        """
        draw = self._drawing("render_frame", size, format, background, camera, precision, stream)
        return draw.frame(control_vector(self.inputs, {} if control is None else control), 0, None, out)

    def render(
        self,
        audio: Any = None,
        fps: float | None = None,
        size: tuple[int, int] | None = None,
        format: str = "rgb8",
        background: Any = "avatar",
        camera: Camera | None = None,
        out: Any = None,
        *,
        sample_rate: int | None = None,
        seed: int = 0,
        mouth: float = 1.0,
        head: float = 1.0,
        blink: float = 1.0,
        voice: str | os.PathLike[str] | None = None,
        motion: Motion | str | os.PathLike[str] | None = None,
        features: Any = None,
        au: Any = None,
        cameras: Any = None,
        precision: str | None = None,
        encoder: Encoder | str | os.PathLike[str] | None = None,
        stream: Any = None,
    ) -> Iterator[Frame]:
        """Draw the avatar as it speaks a sound, frame by frame while the sound is read.

        audio, sample_rate, seed, mouth, head, blink, voice: as in talksplat.motion(). No audio where features, au or
        cameras are given: the face then rests, blinks and looks about, as in silence.
        fps: 20..60; None for the avatar's own where that is in this range, else 25. Avatars that hear windows of frames
        have one rate, their own, and so have features, au and cameras.
        motion: moves what speech does not, over and over (a clip of the avatar's joints, say): a Motion, a motion
        file, or "clip:NAME". What both would move, speech moves; an input "breath" is the motion's.
        features: for an avatar whose encoder is not built in (manifest["encoder"]), what that made of the sound:
        [F,length,channels] of any float type, or a .npy file; Input.window says how much.
        encoder: makes those features of the sound as it is read: an Encoder, or what load_encoder() takes. Where
        features are given, it does nothing.
        au: action units, for an avatar that is told them: OpenFace's .csv, or arrays [F] by name, 0..5. Without them
        the face that speaks has brows and lids of its own.
        cameras: where each frame is seen from: a transforms.json, or a list of Camera. The head is still then.
        Frame k of each is the avatar's frame k, and the shortest of them and of the sound says how many there are.
        size, format, background, camera, out, precision, stream: as in render_frame(); an `out` is drawn into again for
        every frame.
        Every frame has the samples of its time in `audio`; together they are the whole sound, or that of the frames.
        Raises AudioInvalid for the sound, MotionInvalid for an avatar that no face motion drives, for a motion that
        moves nothing else than speech does, and for features, au and cameras that do not fit, VoiceInvalid,
        EncoderNotFound, EncoderInvalid and EncoderRefused for the encoder, and ValueError for arguments: before the
        first frame, but for damage further into the sound.
        """
        encoded = None
        if encoder is not None and features is None:
            encoded = self.encoded("render", as_encoder("render", encoder))
        tracks = Tracks("render", self.name, self.inputs, self.manifest, features, au, cameras, encoded)
        fps = self._rate_of("render", fps, tracks)
        if camera is not None and cameras is not None:
            raise ValueError("render: camera and cameras both say where it is seen from: give one of them.")
        draw = self._drawing("render", size, format, background, camera, precision, stream)
        if audio is None:
            if encoded is not None:
                raise ValueError("render: encoder hears a sound: pass one as audio.")
            if tracks.frames is None:
                raise ValueError(
                    "render: audio must be a sound, or features, au or cameras be given; got none of them."
                )
            sound: Audio = Silence(tracks.frames, fps)
        else:
            sound = open_audio("render", audio, sample_rate)
        hearing = Hearing("render", self.engine, sound, fps, seed, mouth, head, blink, voice)
        self._require_hearing("render", tracks, audio is not None)
        layer = None if motion is None else Layer(_loaded("render", motion, self), self)
        if layer is not None and not layer.moves:
            raise MotionInvalid(
                f"render: audio and motion both move {', '.join(layer.overruled) or 'nothing'}, and the motion moves "
                "nothing else: give one of them."
            )
        direct = self.speaks and tracks.features is None
        heard = hearing.controls(self._core) if direct else hearing.face_controls(self._core)
        if encoded is not None:
            encoded.listen(sound.rate, sound.channels)
            heard = held_back(heard, encoded)
        return self._speaking(hearing, heard, draw, out, layer, tracks, audio is not None)

    def encoded(self, who: str, encoder: Encoder) -> EncodedTrack:
        """What the encoder makes of a sound, as this avatar hears it. Raises EncoderInvalid where it does not fit."""
        windows = {into.name: into.window for into in self.inputs.values() if into.window is not None}
        return EncodedTrack(who, self.name, windows, encoder, self.fps)

    def _rate_of(self, who: str, fps: float | None, tracks: Tracks) -> float:
        if tracks.frames is None and tracks.encoded is None:
            return speech_fps(self.fps) if fps is None else fps
        if fps is not None and as_number(f"{who}: fps", fps) != self.fps:
            given = ", ".join([*tracks.lengths, *(["encoder"] if tracks.encoded else [])])
            raise ValueError(
                f"{who}: fps must be {self.fps:g}, the avatar's, whose frames {given} has; got {fps!r}. Leave it out."
            )
        return self.fps

    def _require_hearing(self, who: str, tracks: Tracks, sound: bool) -> None:
        """Whether what is given moves it at all."""
        windows = [into for into in self.inputs.values() if into.window is not None]
        if windows and not self.speaks and sound and tracks.features is None:
            into = windows[0]
            encoder = self.manifest["encoder"] or "an encoder that its file does not name"
            shape = f"[F,{into.window.length},{into.window.channels}]" if into.window else ""
            raise MotionInvalid(
                f"{who}: {self.name} hears a sound by features of {encoder}, and that encoder is not built in. Load "
                "it, exported to a folder: --encoder FOLDER, or encoder= in Python; or make them with it and pass "
                f"them, {shape}: --features FILE.npy, or features= in Python."
            )
        if not windows and not self.speaks and tracks.frames is None:
            takes = ", ".join(self.inputs) or "nothing"
            raise MotionInvalid(f"{who}: {self.name} has no face that speech could move; it takes {takes}.")

    def _speaking(
        self,
        hearing: Hearing,
        heard: Iterator[Heard[FloatArray]],
        draw: Drawing,
        out: Any,
        layer: Layer | None,
        tracks: Tracks,
        audible: bool,
    ) -> Iterator[Frame]:
        rate, fps, channels = hearing.audio.rate, hearing.fps, hearing.audio.channels
        held = np.zeros((0, channels), np.float32)  # sound from sample `start` on
        start = index = 0
        for block in heard:
            held = np.concatenate([held, block.sound])
            frames = block.frames if tracks.frames is None else block.frames[: tracks.frames - index]
            controls = frames if layer is None else layer.under(frames, index, fps)
            controls = tracks.over(controls, index)
            for t, control in enumerate(controls):
                # Whole samples before the next frame's time; the last frame has all the rest.
                final = block.last and t == len(block.frames) - 1
                end = start + len(held) if final else _core.first_sample(index + 1, rate, fps)
                part, held = held[: end - start], held[end - start :]
                sound = None if not audible else part[:, 0] if channels == 1 else part
                camera = tracks.camera(index, draw.width, draw.height)
                yield draw.frame(control, index, fps, out, sound, rate if audible else None, camera)
                start += len(part)
                index += 1
            if index == tracks.frames:
                return

    def render_motion(
        self,
        motion: Motion | str | os.PathLike[str],
        fps: float | None = None,
        size: tuple[int, int] | None = None,
        format: str = "rgb8",
        background: Any = "avatar",
        camera: Camera | None = None,
        out: Any = None,
        precision: str | None = None,
        *,
        stream: Any = None,
    ) -> Iterator[Frame]:
        """Draw every frame of a motion: a Motion, a motion file, or "clip:NAME" of the avatar's own.

        fps: frames per second of the pictures, between whose times the motion is interpolated; None for the
        motion's own rate. size, format, background, camera, out, precision, stream: as in render_frame(); an `out` is
        drawn into again for every frame.
        Raises MotionInvalid for the motion and ValueError for arguments, before the first frame.
        """
        motion = _loaded("render_motion", motion, self, " Sound is for render().")
        if fps is not None:
            motion = motion.resample(fps)
        controls = fit_motion(motion, self).controls
        draw = self._drawing("render_motion", size, format, background, camera, precision, stream)
        return self._moving(controls, motion, draw, out)

    def _moving(self, controls: dict[str, FloatArray], motion: Motion, draw: Drawing, out: Any) -> Iterator[Frame]:
        for t in range(motion.frames):
            control = joined(self.inputs, {name: rows[t] for name, rows in controls.items()})
            yield draw.frame(control, t, motion.fps, out)

    def create_session(
        self,
        fps: float | None = None,
        size: tuple[int, int] | None = None,
        format: str = "rgba8",
        latency_ms: float = 200,
        chunk_ms: float = 20,
        on_late: str = "hold",
        idle: str = "alive",
        background: Any = "avatar",
        *,
        seed: int = 0,
        mouth: float = 1.0,
        head: float = 1.0,
        blink: float = 1.0,
        voice: str | os.PathLike[str] | None = None,
        clock: str = "real",
        slots: int = 4,
        queue_s: float = 60.0,
        flush_after_s: float | None = 1.0,
        sample_rate: int = 16000,
        channels: int = 1,
        precision: str | None = None,
        encoder: Encoder | str | os.PathLike[str] | None = None,
    ) -> Session:
        """A live speaker: sound goes in as it comes, frames come out on time.

        fps: 20..60; None for the avatar's own where that is in this range, else 25.
        size, format, background, precision: as in render_frame().
        latency_ms: from a sound to its frame, at most; refused where it cannot be kept with all sessions that are open.
        chunk_ms: how much sound a push brings, whose first sample has waited for so long.
        on_late: of a frame that cannot be drawn in time: "hold" shows the picture of the one before it, "skip" leaves
        it out, and the next one has its sound too.
        idle: between utterances the face blinks and moves ("alive", also "auto"), rests ("still"), or there are no
        frames ("none").
        seed, mouth, head, blink, voice: as in talksplat.motion().
        clock: "real": frames are made as time passes; "caller": by Engine.step(), whose time it is.
        slots: pictures, 2..64; while all of them wait or are lent, the clock stands still.
        queue_s: seconds of sound that may wait; a push that does not fit is refused.
        flush_after_s: an utterance whose sound does not come for so long ends as if by flush(); None: never.
        sample_rate, channels: of pushes that do not say, and of the silence before the first.
        encoder: makes the features that move the avatar of the sound that is pushed, on a thread of its own that its
        sessions share: an Encoder, or what load_encoder() takes. latency_ms has what it hears after a frame, too, and
        its work. With clock="caller" it works inside the pushes, and utterances end by flush() alone.
        Raises LatencyRefused, which names the smallest latency that would do, VoiceInvalid, DeviceError,
        EncoderNotFound, EncoderInvalid, EncoderRefused for one that is slower than the sound, and ValueError for
        arguments.
        """
        who = "create_session"
        draw = self._drawing(who, size, format, background, None, precision)
        image_array(who, draw.form, draw.width, draw.height)  # refuses a size that the format cannot have
        windows = any(into.window is not None for into in self.inputs.values())
        if fps is None:
            fps = self.fps if windows else speech_fps(self.fps)
        options = core_options(
            fps=fps, latency_ms=latency_ms, chunk_ms=chunk_ms, on_late=on_late, idle=idle, clock=clock, slots=slots,
            queue_s=queue_s, flush_after_s=flush_after_s, sample_rate=sample_rate, channels=channels, seed=seed,
            mouth=mouth, head=head, blink=blink,
        )  # fmt: skip

        hears = open_voice(who, voice)

        def make(**more: Any) -> _core.Session:
            with Told(who):
                return _core.Session(
                    self._core,
                    hears,
                    width=draw.width,
                    height=draw.height,
                    format=draw.form.core,
                    precision=draw.precision,
                    background=draw.background,
                    own_background=draw.own_background,
                    **{**options, **more},
                )

        core: _core.Session | EncodedCore
        if encoder is None:
            core = make()
        else:
            window = next((into.window for into in self.inputs.values() if into.window is not None), None)
            core = encoded_core(who, self.name, window, as_encoder(who, encoder), options, make)
        return Session(core, self, self.speaks or windows, (draw.width, draw.height), format, options)


def _loaded(who: str, motion: Any, avatar: Avatar, hint: str = "") -> Motion:
    if isinstance(motion, Motion):
        return motion
    if not isinstance(motion, (str, os.PathLike)):
        raise ValueError(f'{who}: motion must be a Motion, a path or "clip:NAME"; got {type(motion).__name__}.{hint}')
    return load_motion(motion, avatar)
