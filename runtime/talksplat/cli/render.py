# SPDX-License-Identifier: Apache-2.0
"""talksplat render"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from .encoding import EncoderEngine, EncoderPath, open_encoder, require_encoder
from .encoding import in_words as encoder_in_words
from .encoding import told as encoder_told
from .live_options import LatencyMs, TracePath, require_trace
from .options import (
    AudioPath,
    AvatarPath,
    Blink,
    Device,
    Front,
    Head,
    MotionFps,
    Mouth,
    Precision,
    Seed,
    Size,
    Threads,
    Up,
    VoiceFile,
    is_avatar,
    note,
    note_device,
    parse_size,
    require_motion_fps,
    require_speech_fps,
)
from .outputs import refuse_inputs
from .render_live import LiveShow, in_words, require_live
from .stopping import go_on
from .streams import require_stdout

if TYPE_CHECKING:
    from ..audio_blocks import Audio
    from ..avatar import Avatar
    from ..frame import Frame
    from ..motions import Motion


MAX_SECONDS = 10_000_000  # four months


class _Show(NamedTuple):
    """What will be drawn."""

    fps: float
    length: int | None  # frames, None where the sound does not say how long it is
    frames: Iterator[Frame]


def render(
    avatar: AvatarPath,
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="OUT.mp4 (or .mov, .mkv, .webm), FOLDER/%05d.png, or - for raw pictures."),
    ],
    audio: AudioPath = None,
    motion: Annotated[
        str | None,
        typer.Option(
            "--motion", "-m", help="A motion file, or clip:NAME in the avatar; with AUDIO, of what speech leaves alone."
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features", help="FILE.npy: what the avatar's own encoder (inspect names it) made of the sound."
        ),
    ] = None,
    encoder: EncoderPath = None,
    engine: EncoderEngine = None,
    au: Annotated[
        str | None, typer.Option("--au", help="Action units: OpenFace's table, a row for each frame of the avatar's.")
    ] = None,
    camera_track: Annotated[
        str | None,
        typer.Option("--camera-track", help="A transforms.json: where each frame of the avatar's is seen from."),
    ] = None,
    size: Size = None,
    fps: Annotated[
        float | None,
        typer.Option("--fps", help="Frames per second, 20 to 60 for speech; the avatar's or the motion's if absent."),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format", help="Pictures: rgb8, nv12 as videos have them, or rgba8: transparent, in .png, .webm and .mov."
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            "--background",
            metavar="#RRGGBB|FILE|fill|none",
            help="Behind the head, in place of the avatar's own: a colour, a picture that fills the frame, its own "
            "picture scaled to fill the frame, or nothing.",
        ),
    ] = None,
    seed: Seed = 0,
    mouth: Mouth = 1.0,
    head: Head = 1.0,
    blink: Blink = 1.0,
    voice: VoiceFile = None,
    device: Device = "auto",
    threads: Threads = 0,
    precision: Precision = "default",
    seconds: Annotated[float | None, typer.Option("--seconds", min=0.0, help="Stop after so many seconds.")] = None,
    motion_fps: MotionFps = None,
    up: Up = None,
    front: Front = None,
    realtime: Annotated[
        bool,
        typer.Option("--realtime", help="Push AUDIO at the pace at which it is spoken, and write what leaves in time."),
    ] = False,
    latency_ms: LatencyMs = None,
    trace: TracePath = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was written, and how fast, as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no remarks.")] = False,
) -> None:
    """Render an avatar that speaks a sound, moves as a motion file says, or, with neither, is still for a second."""
    from ..avatar import load
    from ..picture_file import read_background
    from ..speech import frame_count
    from ..video import PIPE, formats_of, has_sound, open_video, require_target

    # A wrong command line is found before the work.
    if audio is not None and is_avatar(audio) and not is_avatar(avatar):
        raise typer.BadParameter(f"AVATAR comes first, then AUDIO: talksplat render {audio} {avatar}")
    if motion is None and motion_fps is not None:
        raise typer.BadParameter("--motion-fps is for --motion")
    require_motion_fps(motion_fps)
    layers = {"--motion": motion, "--features": features, "--au": au, "--camera-track": camera_track, "--up": up,
              "--front": front}  # fmt: skip
    require_encoder(encoder, engine)
    if encoder is not None and audio is None:
        raise typer.BadParameter("--encoder needs AUDIO: it is what an encoder hears")
    if encoder is not None and features is not None:
        raise typer.BadParameter("--features is what an encoder made already: leave --encoder out")
    require_live(audio, layers, {"--latency-ms": latency_ms, "--trace": trace}, realtime)
    tracks = {"features": features, "au": au, "cameras": camera_track}
    performs = audio is not None or any(track is not None for track in tracks.values())
    if not performs and (seed, mouth, head, blink, voice) != (0, 1, 1, 1, None):
        raise typer.BadParameter(
            "--seed, --mouth, --head, --blink and --voice are for AUDIO, --features, --au or --camera-track"
        )
    try:
        accepted = formats_of(output)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if format is not None and format not in accepted:
        raise typer.BadParameter(f"--format for {output} is {' or '.join(accepted)}, not {format}")
    if output == PIPE and sys.stdout.isatty():
        raise typer.BadParameter("-o - writes raw pictures: redirect them to a file or a program")
    if output == PIPE and json:
        raise typer.BadParameter("--json and -o - would both write to stdout: give one of them")
    pixels = None if size is None else parse_size(size)
    if seconds is not None and not seconds <= MAX_SECONDS:
        raise typer.BadParameter(f"--seconds must be 0 to {MAX_SECONDS:,}; got {seconds:g}")
    if performs:
        require_speech_fps(fps)
    if camera_track is not None and (up is not None or front is not None):
        raise typer.BadParameter("--camera-track, and --up and --front, both say where it is seen from: give one")
    named = {"--features": features, "--au": au, "--camera-track": camera_track, "--background": background}
    inputs = {"AVATAR": avatar, "AUDIO": audio, "--motion": motion, "--voice": voice, **named}
    refuse_inputs(output, inputs)
    require_trace(trace, inputs)
    if output == PIPE:
        require_stdout()
    require_target(output)
    remark = (lambda text: None) if quiet else note
    actor = load(avatar, device, threads, precision)
    width, height = pixels or actor.size
    # rgba8 is asked for to see through: the avatar's own background would fill it.
    if format is None and background == "none" and "rgba8" in accepted:
        format = "rgba8"  # else it would be black
    behind = ("none" if format == "rgba8" else "avatar") if background is None else background
    look: dict[str, Any] = {
        "size": pixels,
        "format": format or accepted[0],
        "background": read_background("--background", behind, width, height),
    }
    if up is not None or front is not None:
        look["camera"] = actor.view(up, front, pixels)
    heard = _open(audio)
    hearer = open_encoder(encoder, engine)
    live: LiveShow | None = None
    moves = None if motion is None else _load_motion(actor, motion, motion_fps, remark)
    if performs:
        if moves is not None and actor.takes_faces:
            _require_layer(actor, moves, remark)
        acts = {"seed": seed, "mouth": mouth, "head": head, "blink": blink, "voice": voice, "encoder": hearer}
        if realtime and heard is not None:
            live = _live(actor, heard, fps, {**look, **acts}, latency_ms, trace)
            show = _Show(live.fps, frame_count(heard, live.fps), live.frames())
        else:
            show = _speech(actor, heard, fps, {**look, **acts, "motion": moves}, tracks, remark)
    elif moves is not None:
        show = _motion(actor, moves, fps, look, remark)
    else:
        rate = actor.fps if fps is None else fps
        if not 0 < rate <= 1000:
            raise typer.BadParameter(f"--fps must be above 0 and at most 1000; got {rate:g}")
        show = _Show(rate, None, itertools.repeat(actor.render_frame({}, **look)))
        seconds = 1.0 if seconds is None else seconds
    limit = None if seconds is None else max(1, round(seconds * show.fps))
    known = [length for length in (show.length, limit) if length is not None]
    sound = None if heard is None else (heard.rate, heard.channels)
    if sound and not has_sound(output):
        remark(f"note: {output} holds no sound; .mp4, .mov, .mkv and .webm do")
    begin = time.perf_counter()
    written = 0
    with (
        live or nullcontext(),
        open_video(output, show.fps, (width, height), format, sound) as writer,
        _progress(min(known, default=None), show=not quiet and sys.stderr.isatty()) as advance,
    ):
        for frame in itertools.islice(show.frames, limit):
            writer.write(frame.image, frame.audio)
            go_on()
            written += 1
            advance()
        lived = None if live is None else live.stats()
    took = time.perf_counter() - begin
    for found in () if heard is None else heard.notes:
        remark(f"note: {found}")
    note_device(actor.engine, remark)
    if writer.left_over is not None:
        remark(f"note: {writer.left_over} and what follows it are of an earlier render")
    if live is not None:
        live.save_trace()
    if json:
        import json as text

        print(text.dumps({
            "output": output, "frames": written, "size": [width, height], "fps": show.fps,
            "seconds": written / show.fps, "sound": sound and {"rate": sound[0], "channels": sound[1]},
            "took_s": took, "times_real_time": written / show.fps / took, **({"live": lived} if lived else {}),
            **({"encoder": encoder_told(hearer)} if hearer else {}),
        }))  # fmt: skip
    elif output != PIPE:
        times = written / show.fps / took
        remark(
            f"{output}: {written} frames, {width}x{height}, {show.fps:g} fps, in {took:.1f} s, "
            f"{times:.1f} times real time"
        )
    if hearer is not None:
        remark(f"encoder: {encoder_in_words(encoder_told(hearer))}")
    if lived is not None:
        remark(f"live: {in_words(lived)}")


def _open(audio: str | None) -> Audio | None:
    if audio is None:
        return None
    from ..audio import open_audio

    return open_audio("render", audio)


def _live(
    actor: Avatar, heard: Audio, fps: float | None, options: dict[str, Any], latency_ms: float | None, trace: str | None
) -> LiveShow:
    from ..speech import speech_fps

    # Features are of the avatar's own frames.
    own = actor.fps if options["encoder"] is not None else speech_fps(actor.fps)
    return LiveShow(actor, heard, own if fps is None else fps, options, latency_ms, trace)


def _speech(
    actor: Avatar, heard: Audio | None, fps: float | None, options: dict[str, Any], tracks: dict[str, Any],
    remark: Any,
) -> _Show:  # fmt: skip
    from ..speech import frame_count, speech_fps
    from ..tracks import Tracks

    given = Tracks("render", actor.name, actor.inputs, actor.manifest, **tracks)
    free = given.frames is None and options["encoder"] is None
    rate = (speech_fps(actor.fps) if free else actor.fps) if fps is None else fps
    lengths: dict[str, int | None] = dict(given.lengths)
    if heard is not None:
        lengths["AUDIO"] = frame_count(heard, rate)
    known = {name: length for name, length in lengths.items() if length is not None}
    shortest = min(known.values(), default=None)
    if len(set(known.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in known.items())
        remark(f"note: frames that there are: {said}; the first {shortest} are drawn")
    opened: dict[str, Any] = {"features": given.features, "au": given.units, "cameras": given.cameras}
    return _Show(rate, shortest, actor.render(heard, fps, **options, **opened))


def _load_motion(actor: Avatar, motion: str, motion_fps: float | None, remark: Any) -> Motion:
    from ..motion_files import load_motion, states_times

    moves = load_motion(motion, actor, fps=motion_fps)
    if motion_fps is not None and states_times(motion):
        remark(f"note: --motion-fps is used in place of the times in {motion}")
    for found in moves.notes:
        remark(f"note: {found}")
    return moves


def _require_layer(actor: Avatar, moves: Motion, remark: Any) -> None:
    """A motion beside speech must move something of its own."""
    from ..layering import Layer

    layer = Layer(moves, actor)
    both = ", ".join(layer.overruled)
    if not layer.moves:
        raise typer.BadParameter(f"AUDIO and --motion both move {both or 'nothing'}: give one of them")
    if both:
        remark(f"note: speech moves {both}, and --motion does not")


def _motion(actor: Avatar, moves: Motion, fps: float | None, look: dict[str, Any], remark: Any) -> _Show:
    from ..motions import fit_motion

    if fps is not None:
        moves = moves.resample(fps)
    ignored = fit_motion(moves, actor).ignored
    if ignored:
        remark(f"note: this avatar has no use for {', '.join(ignored)}")
    return _Show(moves.fps, moves.frames, actor.render_motion(moves, **look))


@contextmanager
def _progress(count: int | None, show: bool) -> Iterator[Any]:
    if not show:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("rendering", total=count)
        yield lambda: progress.advance(task)
