# SPDX-License-Identifier: Apache-2.0
"""The command line: bench --live, render --realtime, and their traces."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import talksplat
from runtime.command import Output, fails, probe
from runtime.sounds import chirps, lag_s
from runtime.test_trace import require_nested
from talksplat.cli import main

PATIENT = ["--latency-ms", "500"]  # of which no machine that runs tests is too slow


def write_wav(path: Path, samples: np.ndarray, rate: int) -> Path:
    import wave

    with wave.open(str(path), "wb") as file:
        file.setparams((samples.shape[1], 2, rate, 0, "NONE", ""))
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return path


def test_bench_live(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    trace = tmp_path / "live.json"
    arguments = ["bench", tiny_path, "--live", "--seconds", "2", "--sessions", "2", *PATIENT, "--fps", "25",
                 "--size", "32x24", "--threads", "1", "--trace", trace, "--json"]  # fmt: skip
    assert main([str(argument) for argument in arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found: dict[str, Any] = json.loads(out)
    assert (found["avatar"], found["audio"], found["sessions"], found["fps"]) == ("tiny", "sample", 2, 25)
    assert (found["size"], found["chunk_ms"], found["latency_ms"]) == ([32, 24], 20, 500)
    assert 0 < found["look_ahead_ms"] < found["smallest_latency_ms"] < 500
    assert 0 <= found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"] <= found["max_ms"]
    assert found["worst"]["session"] in (1, 2)
    assert found["worst"]["p99_ms"] <= found["max_ms"]
    assert found["frames"] == pytest.approx(2 * 2 * 25, rel=0.25)
    assert found["speech"] + found["idle"] == found["frames"]
    assert found["speech"] > 20
    for count in ("late", "late_by_host", "held", "skipped", "starved", "stalls"):
        assert 0 <= found[count] <= found["frames"]
    assert found["late_by_host"] <= found["late"]
    assert 0 < found["cpu_share"] < 1
    assert found["resident_bytes"]["growth"] == found["resident_bytes"]["after"] - found["resident_bytes"]["warm"]
    assert found["session_bytes"] > 0
    assert found["machine"]["threads"] == 1

    events = json.loads(trace.read_text())["traceEvents"]
    require_nested(events)
    tracks = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert tracks == {"session 1", "session 2"}
    drawn = [event for event in events if event["name"] == "frame"]
    assert len(drawn) == pytest.approx(found["frames"], abs=6)
    numbers = [event["args"]["frame"] for event in drawn if event["tid"] == 1]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert {event["name"] for event in events} >= {"drive", "project", "bin", "blend", "deadline"}


def test_bench_live_in_words(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    sound = write_wav(tmp_path / "a.wav", chirps(0.7, 16000), 16000)
    arguments = ["bench", tiny_path, "--live", "--seconds", "1", *PATIENT, "--audio", sound, "--size", "32x24"]
    assert main([str(argument) for argument in arguments]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for part in (
        "1 session, 1 s of 32x24 at 30 fps", "looks ahead", "last needed sample to frame in hand, p50", "p99", "late",
        "starved of sound", "CPUs used", "memory",
    ):  # fmt: skip
        assert part in shown, part
    assert "frames per second" not in shown  # never such a number alone


def test_a_latency_that_cannot_be_kept(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    tiny = talksplat.load(tiny_path)
    with pytest.raises(talksplat.LatencyRefused) as refused:
        tiny.create_session(latency_ms=30)
    assert 30 < refused.value.smallest_ms < 500
    out = tmp_path / "out.mp4"
    for command in (["bench", tiny_path, "--live"], ["render", tiny_path, "sample", "-o", out, "--realtime"]):
        fails(capsys, [*command, "--latency-ms", "30"], 1, "error: --latency-ms must be at least ")
    assert list(tmp_path.iterdir()) == []


def test_what_is_only_live_and_what_is_not(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "out.mp4"
    fails(capsys, ["bench", tiny_path, "--live", "--frames", "9"], 2, "--frames is not for --live")
    fails(capsys, ["bench", tiny_path, "--live", "-m", "clip:talk"], 2, "--motion is not for --live")
    fails(capsys, ["bench", tiny_path, "--seconds", "9"], 2, "--seconds is for --live")
    fails(capsys, ["bench", tiny_path, "--trace", "a.json"], 2, "--trace is for --live")
    fails(capsys, ["bench", tiny_path, "--live", "--fps", "61"], 2, "--fps must be 20 to 60 for speech; got 61.")
    fails(capsys, ["bench", tiny_path, "--live", "--trace", "a.txt"], 2, "--trace must end in .json; got a.txt")
    fails(capsys, ["bench", tiny_path, "--live", "--trace", tmp_path / "no" / "a.json"], 1, "there is no folder")
    fails(capsys, ["bench", tiny_path, "--live", "--audio", "no.wav"], 1, "error: no.wav: no such file.")
    live = ["render", tiny_path, "sample", "-o", out, "--realtime"]
    fails(capsys, [*live, "-m", "clip:turn"], 2, "--realtime and --motion do not go together: a live avatar speaks")
    for option in ("--features", "--au", "--camera-track", "--up", "--front"):
        fails(capsys, [*live, option, "x"], 2, f"--realtime and {option} do not go together")
    fails(capsys, ["render", tiny_path, "-o", out, "--realtime"], 2, "--realtime needs AUDIO")
    fails(
        capsys, ["render", tiny_path, "sample", "-o", out, "--latency-ms", "200"], 2, "--latency-ms is for --realtime"
    )
    fails(capsys, [*live, "--trace", out], 2, "--trace must end in .json")
    assert list(tmp_path.iterdir()) == []


def test_render_in_real_time(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    rate, samples = 22050, chirps(1.5, 22050, 2)
    sound = write_wav(tmp_path / "said.wav", samples, rate)
    out, trace = tmp_path / "out.mkv", tmp_path / "live.json"
    arguments = ["render", tiny_path, sound, "-o", out, "--realtime", *PATIENT, "--fps", "25", "--trace", trace]
    assert main([str(argument) for argument in arguments]) == 0
    shown, err = capsys.readouterr()
    assert shown == ""
    first, last = err.splitlines()
    frames = probe(out)[0]
    assert first.startswith(f"{out}: {frames} frames, 64x48, 25 fps, in ")
    assert last.startswith("live: ")
    assert "latency 500 ms, of which the voice looks ahead" in last
    offline = len(list(talksplat.load(tiny_path).render(sound, 25)))
    starved = int(last.split(" starved")[0].split()[-1])
    assert frames == offline + starved
    if not starved:  # as on any machine that is not overrun
        with av.open(str(out)) as container:
            heard = np.concatenate([frame.to_ndarray().reshape(-1, 2) for frame in container.decode(audio=0)])
        assert lag_s(heard[:, 0].astype(np.float32), samples[:, 0], rate) == 0
    events = json.loads(trace.read_text())["traceEvents"]
    require_nested(events)
    assert sum(event["name"] == "frame" for event in events) == frames


def test_render_in_real_time_for_machines(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "out.mp4"
    arguments = ["render", tiny_path, "sample", "-o", out, "--realtime", *PATIENT, "--seconds", "1", "--json"]
    assert main([str(argument) for argument in arguments]) == 0
    shown, err = capsys.readouterr()
    assert err.startswith("live: ")
    made = json.loads(shown)
    assert made["frames"] == probe(out)[0] == 30
    assert made["took_s"] > 0.8  # a second of sound is not there before it was spoken
    assert made["live"]["latency_ms"] == 500
    assert set(made["live"]) >= {"look_ahead_ms", "smallest_latency_ms", "p50_ms", "p99_ms", "late", "held", "starved"}


def test_a_sound_that_breaks_off_ends_a_render_in_real_time(tiny_path: Path, tmp_path: Path, capsys: Output) -> None:
    samples = np.zeros((16000, 1), np.float32)
    path = tmp_path / "loud.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("pcm_f32le", rate=16000)
        stream.layout = "mono"
        samples[12000] = np.nan
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
    out = tmp_path / "out.mp4"
    fails(capsys, ["render", tiny_path, path, "-o", out, "--realtime", *PATIENT, "-q"], 1, "must be finite; got nan")
    assert list(tmp_path.iterdir()) == [path]
