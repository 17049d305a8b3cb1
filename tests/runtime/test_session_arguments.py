# SPDX-License-Identifier: Apache-2.0
"""What sessions refuse, and what they say."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from runtime.heard import program, write
from runtime.stage import Stage
from runtime.tiny import tiny_avatar
from talksplat.authoring import spec

RATE = 16000

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"fps": 19}, "fps must be 20 to 60; got 19."),
    ({"fps": "fast"}, "fps must be a number, finite; got 'fast'."),
    ({"size": 64}, "size must be (width, height) in pixels; got 64."),
    ({"size": (0, 64)}, "width must be a whole number, at least 1; got 0."),
    ({"size": (63, 64), "format": "nv12"}, "nv12 needs an even width and height; got 63x64."),
    ({"format": "bgr"}, "format must be one of rgb8, rgba8, nv12, rgb_f32; got 'bgr'."),
    ({"latency_ms": -1}, "latency_ms must be 0 to 60000; got -1."),
    ({"latency_ms": None}, "latency_ms must be a number, finite; got None."),
    ({"latency_ms": float("nan")}, "latency_ms must be finite; got nan."),
    ({"chunk_ms": 1e6}, "chunk_ms must be 0 to 10000; got 1000000.0."),
    ({"on_late": "drop"}, "on_late must be one of hold, skip; got 'drop'."),
    ({"idle": None}, "idle must be one of alive, auto, still, none; got None."),
    ({"clock": 1}, "clock must be one of real, caller; got 1."),
    ({"background": "white"}, 'background must be "avatar", "fill", None, [3] or [64,64,3]; got \'white\'.'),
    ({"background": (1, 2)}, "background must be [3] (one colour in 0..1); got [2]."),
    ({"slots": 1}, "slots must be a whole number, at least 2; got 1."),
    ({"slots": 65}, "slots must be 2 to 64; got 65."),
    ({"queue_s": 0}, "queue_s must be 0.1 to 14400; got 0."),
    ({"queue_s": 1e5}, "queue_s must be 0.1 to 14400; got 100000.0."),
    ({"flush_after_s": 0}, "flush_after_s must be 0.001 to 14400; got 0."),
    ({"sample_rate": 7999}, "sample_rate must be a whole number, at least 8000; got 7999."),
    ({"sample_rate": 192001}, "sample_rate must be 8000 to 192000; got 192001."),
    ({"channels": 9}, "channels must be 1 to 8; got 9."),
    ({"seed": -1}, "seed must be a whole number, at least 0; got -1."),
    ({"mouth": 3}, "mouth must be 0 to 2; got 3."),
    ({"head": -1}, "head must be 0 to 2; got -1."),
    ({"blink": "often"}, "blink must be a number, finite; got 'often'."),
    ({"precision": "half"}, 'precision must be "default" (also None), "reference" or "fast"; got \'half\'.'),
]


@pytest.fixture(scope="module")
def demo() -> talksplat.Avatar:
    return talksplat.load("demo", threads=1)


@pytest.fixture
def session(demo: talksplat.Avatar) -> talksplat.Session:
    return demo.create_session(size=(32, 32), clock="caller", queue_s=5)


@pytest.mark.parametrize(("options", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_arguments(demo: talksplat.Avatar, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"create_session: {message}")):
        demo.create_session(**{"size": (64, 64), "clock": "caller", **options})


def test_a_latency_that_cannot_be_kept(demo: talksplat.Avatar) -> None:
    with pytest.raises(talksplat.LatencyRefused, match=r"create_session: latency_ms .* got 50\.") as refused:
        demo.create_session(latency_ms=50, clock="caller")
    smallest_ms = refused.value.smallest_ms
    assert 120 < smallest_ms < 200
    assert f"at least {smallest_ms:.1f} here" in str(refused.value)
    session = demo.create_session(latency_ms=smallest_ms + 1e-3, clock="caller")
    assert session.latency_ms == pytest.approx(smallest_ms, abs=0.01)
    assert session.smallest_latency_ms == pytest.approx(smallest_ms)
    assert pickle.loads(pickle.dumps(refused.value)).smallest_ms == smallest_ms


def test_defaults(demo: talksplat.Avatar, tiny: talksplat.Avatar) -> None:
    session = demo.create_session(clock="caller")
    assert (session.fps, session.size, session.format, session.latency_ms) == (25, (512, 512), "rgba8", 200)
    assert repr(session) == "<Session of 'demo', 512x512 rgba8 at 25 fps>"
    assert tiny.create_session(clock="caller").fps == 30


SOUNDS: list[tuple[tuple[Any, ...], str]] = [
    (("speech.wav",), "push_audio: audio must be bytes of 16-bit samples, or an array of int16 or floats; got <U10."),
    (
        (np.zeros(4, np.uint8),),
        "push_audio: audio must be bytes of 16-bit samples, or an array of int16 or floats; got",
    ),
    ((np.zeros(4, np.int32),), "got int32. Scale other kinds to float32, full scale at 1."),
    ((np.zeros(4, complex),), "got complex128"),
    ((None,), "got object"),
    (([[0.0], [0.0, 1.0]],), "push_audio: audio must be bytes, or an array of samples in CPU memory"),
    ((np.zeros((1, 2, 3)),), "push_audio: audio must be [n] or [n,channels] with 1 to 8 channels; got [1,2,3]."),
    ((np.zeros((2, 100)),), "got [2,100]. Are channels first? Pass its .T."),
    ((np.zeros((100, 2)), RATE, 1), "push_audio: audio must be [n,1] (from channels=1); got [100,2]."),
    ((np.zeros(5), RATE, 2), "push_audio: audio must have a sample of every channel: with 2 channels, 2 each; got 5"),
    ((b"abc",), "push_audio: audio: bytes are 16-bit samples, 2 bytes each; got 3 bytes. Keep the rest for the next"),
    ((b"abcdef", RATE, 2), "bytes are 16-bit samples of 2 channels, 4 bytes each; got 6 bytes."),
    ((np.zeros(4), 7000), "push_audio: sample_rate: its rate must be 8000 to 192000 Hz; got 7000 Hz."),
    ((np.zeros(4), "16k"), "push_audio: sample_rate must be a whole number, at least 1; got '16k'."),
    ((np.zeros(4), RATE, 0), "push_audio: channels must be a whole number, at least 1; got 0."),
    ((np.zeros(4), RATE, 9), "push_audio: channels must be 1 to 8; got 9."),
]


@pytest.mark.parametrize(("push", "message"), SOUNDS, ids=lambda value: str(value)[:40])
def test_wrong_sound(session: talksplat.Session, push: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        session.push_audio(*push)
    assert session.stats().queued_s == 0


def test_no_sound_is_no_utterance(session: talksplat.Session) -> None:
    for nothing in (b"", [], np.zeros(0, np.float32), np.zeros((0, 1), np.int16)):
        session.push_audio(nothing)
    assert session.interrupt() is None


TOLD: list[tuple[dict[str, Any], str]] = [
    ({"gaze": (2, 0)}, 'set: gaze must be (left, up) of the face, each -1 to 1, or "auto"; got (2, 0).'),
    ({"gaze": (0, 0, 0)}, "set: gaze must be (left, up)"),
    ({"gaze": (float("nan"), 0)}, "set: gaze must be (left, up)"),
    ({"gaze": "left"}, "got 'left'."),
    ({"blink": 3}, 'set: blink must be 0 to 2, or "auto"; got 3.'),
    ({"blink": "often"}, "set: blink must be 0 to 2, or \"auto\"; got 'often'."),
    (
        {"head": "up"},
        "set: head must be an amount, 0 to 2, three angles in radians, each -1 to 1, or \"auto\"; got 'up'.",
    ),
    ({"head": (0, 2, 0)}, "set: head must be an amount"),
    ({"head": -1}, 'set: head must be 0 to 2, or "auto"; got -1.'),
    ({"emotion": "hapy"}, "set: emotion has no 'hapy'. Did you mean \"happy\"? There are happy, sad, angry,"),
    ({"emotion": {"sad": 2}}, "set: emotion sad must be 0 to 1; got 2."),
    ({"emotion": 0.5}, "set: emotion must be a name, amounts by name, or None; got float."),
    ({"listening": 2}, "set: listening must be 0 to 1; got 2."),
    ({"listening": None}, "set: listening must be a number, finite; got None."),
]


@pytest.mark.parametrize(("told", "message"), TOLD, ids=lambda value: str(value)[:40])
def test_wrong_presence(session: talksplat.Session, told: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        session.set(**told)


ROWS: list[tuple[Any, str]] = [
    ({}, "push_controls: controls must have an input, and equally many frames of every one; got {}."),
    ({"arkt": np.zeros((1, 52))}, 'push_controls: tiny has no input "arkt". Did you mean "arkit"? Its inputs: arkit,'),
    ({"arkit": np.zeros(52)}, "push_controls: arkit must be [T,52]; got [52]."),
    ({"arkit": np.full((2, 52), np.nan)}, "push_controls: arkit must be finite; got nan at [0, 0]."),
    ({"arkit": {"jaw": np.zeros(2)}}, 'push_controls: arkit has no "jaw".'),
    ({"arkit": {"jawOpen": 1.0}}, "push_controls: arkit: jawOpen must be [T], one number a frame; got []."),
    (
        {"arkit": {"jawOpen": [0, 1], "jawLeft": [0]}},
        "push_controls: arkit must have equally many frames of every name;",
    ),
    ({"head_pose": {"x": [1]}}, 'push_controls: head_pose has no "x".'),
    (
        {"arkit": np.zeros((2, 52)), "head_pose": np.zeros((3, 3))},
        "equally many frames of every one; got {'arkit': 2, 'head_pose': 3}.",
    ),
    (np.zeros((2, 52)), "push_controls: controls must be [T,58], all inputs side by side, a Motion, or a mapping of"),
    (np.full((1, 58), np.inf), "push_controls: controls must be finite; got inf at [0, 0]."),
]


@pytest.mark.parametrize(("controls", "message"), ROWS, ids=lambda value: str(value)[:40])
def test_wrong_controls(tiny: talksplat.Avatar, controls: Any, message: str) -> None:
    session = tiny.create_session(clock="caller")
    with pytest.raises(ValueError, match=re.escape(message)):
        session.push_controls(controls)


def test_what_an_avatar_cannot_be_told(tmp_path: Path) -> None:
    heard = Stage(write(tmp_path / "heard.tsplat", "hubert", program(4, 3, 2, 1, ()))).session
    for features, message in (
        (np.zeros((2, 3, 2)), "push_features: features must be [T,2,3], or [T,6] of the same order; got [2,3,2]."),
        (np.full((2, 2, 3), np.nan), "push_features: features must be finite; got nan at [0, 0]."),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            heard.push_features(features)
    with pytest.raises(talksplat.MotionInvalid, match="push_features: demo takes no features: none of its inputs"):
        Stage().session.push_features(np.zeros((2, 6)))


def test_an_avatar_that_cannot_speak(tmp_path: Path) -> None:
    manifest, tensors = tiny_avatar()
    manifest["inputs"] = [into for into in manifest["inputs"] if into["name"] != "arkit"]
    manifest["clips"] = []
    tensors = {k: v for k, v in tensors.items() if not k.startswith(("clip/", "rig/blendshape"))}
    stage = Stage(spec.write(tmp_path / "still.tsplat", manifest, tensors))
    message = "push_audio: tiny has no face that speech could move. Move it by push_controls(), whose frames"
    with pytest.raises(talksplat.MotionInvalid, match=re.escape(message)):
        stage.session.push_audio(np.zeros(RATE, np.int16))
    turned = np.linspace(0, 0.3, 5)[:, None] * np.array([0.0, 1.0, 0.0])
    stage.session.push_controls({"head_pose": turned})
    stage.session.push_audio(np.full(3200, 0.5), RATE)
    frames = [frame for frame in stage.to_the_end() if frame.kind == "speech"]
    assert frames[0].audio is not None and (frames[0].audio == 0.5).all()
    for frame, pose in zip(frames, turned, strict=True):
        want = stage.avatar.render_frame({"head_pose": pose}, size=(64, 64)).image
        np.testing.assert_array_equal(frame.image, want)
    assert {"lips", "blink", "gaze"} <= set(stage.session.stats().no_input_for)


CALLS: list[tuple[Callable[[talksplat.Session], Any], str]] = [
    (lambda session: session.acquire(-1), "acquire: timeout must be seconds, at least 0, or None; got -1."),
    (lambda session: session.acquire("1"), "acquire: timeout must be a number, finite; got '1'."),
    (
        lambda session: session.acquire(),
        'acquire: there is no frame, and with clock="caller" none comes while this waits.',
    ),
    (lambda session: session.interrupt(-1), "interrupt: fade_ms must be a whole number, at least 0; got -1."),
    (lambda session: session.interrupt(2001), "fade_ms"),
]


@pytest.mark.parametrize(("call", "message"), CALLS, ids=[message[:40] for _, message in CALLS])
def test_wrong_calls(session: talksplat.Session, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call(session)


def test_steps() -> None:
    stage = Stage()
    engine = stage.avatar.engine
    for time_s, message in (
        (-1, "Engine.step: time_s must be 0 to 4e+09 seconds; got -1."),
        (float("nan"), "Engine.step: time_s must be finite; got nan."),
        ("1", "Engine.step: time_s must be a number, finite; got '1'."),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            engine.step(time_s)
    engine.step(1.0)
    with pytest.raises(ValueError, match="time"):
        engine.step(0.5)


def test_an_engine_without_sessions_makes_no_frames() -> None:
    assert talksplat.Engine(threads=1).step(1.0) == 0


def test_sessions_are_not_pickled(session: talksplat.Session) -> None:
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"Session: .* Create one in the other process\."):
            copied(session)
