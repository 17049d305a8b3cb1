# SPDX-License-Identifier: Apache-2.0
"""Traces of live frames: what Perfetto is given."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from talksplat.trace import STAGES, Trace

FPS = 25.0
INTERVAL_S = 1 / FPS
START_S = 12345.678


def frame(index: int, **changes: Any) -> Any:
    """Drawn in 4 ms, 10 ms after its sound was there, 20 ms before its deadline. times: seconds after `opened`."""
    opened = START_S + (index - 1) * INTERVAL_S
    after = {
        "heard": 0.006,
        "released": 0.006,
        "begun": 0.016,
        "driven": 0.017,
        "ready": 0.020,
        **changes.pop("after", {}),
    }
    times = SimpleNamespace(deadline=opened + INTERVAL_S, **{name: opened + s for name, s in after.items()})
    stages = {
        "pose": 300.0,
        "deform": 0.0,
        "project": 500.0,
        "bin": 200.0,
        "blend": 1500.0,
        **changes.pop("stages", {}),
    }
    receipt = SimpleNamespace(n_visible=7, **{f"{name}_us": us for name, us in stages.items()})
    flags = dict.fromkeys(("starved", "late", "held", "fading", "segment_end"), False)
    return SimpleNamespace(
        index=index, pts=index / FPS, times=times, receipt=receipt, **{"kind": "speech", **flags, **changes}
    )


def events_of(trace: Trace, path: Path) -> list[dict[str, Any]]:
    count = trace.save(path)
    loaded = json.loads(path.read_text())
    assert loaded["displayTimeUnit"] == "ms"
    assert len(loaded["traceEvents"]) == count
    return list(loaded["traceEvents"])


def require_nested(events: list[dict[str, Any]]) -> None:
    """On each track, any two slices are apart or one lies within the other, as ui.perfetto.dev needs them."""
    by_track: dict[int, list[tuple[float, float]]] = {}
    for event in events:
        if event["ph"] == "X":
            assert event["dur"] >= 0
            by_track.setdefault(event["tid"], []).append((event["ts"], event["ts"] + event["dur"]))
    for slices in by_track.values():
        open_ends: list[float] = []
        for begin, end in sorted(slices, key=lambda s: (s[0], -s[1])):
            while open_ends and open_ends[-1] <= begin + 5e-4:
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1] + 5e-4, (begin, end, open_ends)
            open_ends.append(end)


def slices(events: list[dict[str, Any]], index: int | None = None) -> dict[str, tuple[float, float]]:
    """name → begin and duration, ms, of all frames or the one at that place."""
    found = [event for event in events if event["ph"] == "X"]
    if index is not None:
        ends = [i for i, event in enumerate(found) if event["name"] == "blend"]
        found = found[0 if index == 0 else ends[index - 1] + 1 : ends[index] + 1]
    return {event["name"]: (event["ts"] / 1e3, event["dur"] / 1e3) for event in found}


def test_a_frame_is_shown_stage_by_stage(tmp_path: Path) -> None:
    trace = Trace("engine of one")
    track = trace.track("anna", FPS)
    track.add(frame(0))
    track.add(frame(1))
    events = events_of(trace, tmp_path / "live.json")
    require_nested(events)
    names = {event["name"]: event["args"] for event in events if event["ph"] == "M"}
    assert names["process_name"] == {"name": "engine of one"}
    assert names["thread_name"] == {"name": "anna"}
    for number, start in ((0, 0.0), (1, 40.0)):
        found = slices(events, number)
        want = {
            "wait for sound": (0, 6), "queue": (6, 10), "frame": (16, 4), "drive": (16, 1), "pose": (17, 0.3),
            "project": (17.3, 0.5), "bin": (17.8, 0.2), "blend": (18, 1.5),
        }  # fmt: skip
        assert set(found) == set(want)  # deform took no time
        for name, (begin, length) in want.items():
            assert found[name] == pytest.approx((start + begin, length), abs=1e-3), name
    moments = [(event["name"], event["ts"] / 1e3) for event in events if event["ph"] == "i"]
    assert moments == [("deadline", pytest.approx(40, abs=1e-3)), ("deadline", pytest.approx(80, abs=1e-3))]
    args = next(event["args"] for event in events if event["name"] == "frame" and event["args"]["frame"] == 1)
    assert args == {
        "frame": 1, "pts_s": 0.04, "kind": "speech", "flags": [], "sound_ms": pytest.approx(6),
        "queue_ms": pytest.approx(10), "spare_ms": pytest.approx(20), "visible": 7,
    }  # fmt: skip


def test_late_frames_wait_on_one_another(tmp_path: Path) -> None:
    """A frame that is drawn until long after the next might be: their slices do not cross."""
    trace = Trace()
    track = trace.track("anna", FPS)
    track.add(frame(0, late=True, after={"ready": 0.095}))
    track.add(frame(1, late=True, held=True, after={"heard": -0.5, "released": 0, "begun": 0.055, "driven": 0.055,
                    "ready": 0.055}, stages=dict.fromkeys(STAGES, 0.0)))  # fmt: skip
    track.add(frame(2, starved=True, after={"heard": 0.0, "released": 0.04, "begun": 0.041, "driven": 0.041}))
    events = events_of(trace, tmp_path / "live.json")
    require_nested(events)
    late = [event for event in events if event["name"] == "late"]
    assert [event["args"] for event in late] == [
        {"frame": 0, "late_ms": pytest.approx(55)}, {"frame": 1, "late_ms": pytest.approx(15)}
    ]  # fmt: skip
    flags = [event["args"]["flags"] for event in events if event["name"] == "frame"]
    assert flags == [["late"], ["late", "held"], ["starved"]]
    waits = [event for event in events if event["name"] == "wait for sound"]
    assert len(waits) == 1  # frame 1's sound was long there, frame 2 waited for none


def test_stages_that_say_they_took_longer_stay_inside(tmp_path: Path) -> None:
    trace = Trace()
    trace.track("anna", FPS).add(frame(0, stages={"blend": 90_000.0}))
    events = events_of(trace, tmp_path / "live.json")
    require_nested(events)
    assert slices(events)["blend"] == pytest.approx((18, 2), abs=1e-3)


def test_with_the_callers_clock_a_frame_is_as_long_as_its_stages(tmp_path: Path) -> None:
    trace = Trace()
    track = trace.track("anna", FPS)
    for index in range(3):  # of one step
        track.add(frame(index, after=dict.fromkeys(("heard", "released", "begun", "driven", "ready"), -0.04 * index)))
    events = events_of(trace, tmp_path / "live.json")
    require_nested(events)
    frames = [(event["ts"], event["dur"]) for event in events if event["name"] == "frame"]
    assert [dur for _, dur in frames] == [pytest.approx(2500)] * 3
    assert [ts for ts, _ in frames] == [pytest.approx(2500 * i, abs=1) for i in range(3)]


def test_marks_and_frames_that_were_skipped(tmp_path: Path) -> None:
    trace = Trace()
    anna, ben = trace.track("anna", FPS), trace.track("ben", FPS)
    anna.add(frame(0))
    anna.add(frame(3, kind="idle"))
    ben.mark("interrupt", START_S + 0.01)
    events = events_of(trace, tmp_path / "live.json")
    require_nested(events)
    (skipped,) = (event for event in events if event["name"] == "skipped")
    assert skipped["args"] == {"frames": [1, 2]}
    (mark,) = (event for event in events if event["name"] == "interrupt")
    (other,) = {event["tid"] for event in events if event["name"] == "frame"}
    assert mark["tid"] != other
    assert mark["ts"] / 1e3 == pytest.approx(50, abs=1e-3)
    assert all(event["ts"] >= 0 for event in events if event["ph"] != "M")


def test_the_last_frames_are_kept(tmp_path: Path) -> None:
    trace = Trace(kept=5)
    track = trace.track("anna", FPS)
    for index in range(12):
        track.add(frame(index))
    for moment in range(2000):
        track.mark("mark", START_S + moment)
    events = events_of(trace, tmp_path / "live.json")
    assert [event["args"]["frame"] for event in events if event["name"] == "frame"] == [7, 8, 9, 10, 11]
    assert sum(event["name"] == "mark" for event in events) == 1000


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    target = tmp_path / "live.json"
    target.write_text("before")
    trace = Trace(name=object())  # type: ignore[arg-type]
    trace.track("anna", FPS).add(frame(0))
    with pytest.raises(TypeError):
        trace.save(target)
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        trace.save(tmp_path / "no" / "live.json")


def test_a_trace_of_nothing(tmp_path: Path) -> None:
    assert len(events_of(Trace(), tmp_path / "live.json")) == 1


@pytest.mark.parametrize("fps", [0, -25])
def test_rates_are_above_zero(fps: float) -> None:
    with pytest.raises(ValueError, match=r"Trace\.track: fps must be above 0; got"):
        Trace().track("anna", fps)
