# SPDX-License-Identifier: Apache-2.0
"""Recorded motion as tools of the field write it: what is read of it, what is mended, and what the notes say."""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from runtime.test_motion import live_link, live_link_row, write
from talksplat import MotionInvalid, load_motion
from talksplat.arkit import ARKIT_NAMES, LIVE_LINK_NAMES, canonical_name
from talksplat.motions import Motion

pytestmark = pytest.mark.filterwarnings("error")


def jaw(motion: Motion) -> Any:
    return motion.weights[:, motion.names.index("jawOpen")]


def table(path: Path, header: str, rows: list[str]) -> Path:
    return write(path, "\n".join([header, *rows]) + "\n")


# ---- inputs of the field ----

FIELD = [
    # file, frames, fps, first, largest jawOpen, notes
    ("livelinkface_iPhone_cal_BlendshapeCount.csv", 120, 59.94, 0.0581, 0.0839, []),
    ("nvidia_a2f3d_animation_frames.csv", 90, 30, 0, 1, []),
    ("nvidia_audio2face_export.json", 90, 30, 0, 1, []),
    ("face_landmark_link_24fps.csv", 120, 24, 0.5, 1, ["the time of row 62 is out of order or unreadable"]),
    ("mediapipe_frame_time.csv", 90, 30, 0, 1, []),
    ("llf_trailing_comma.csv", 120, 59.8, 0, 1, []),
    ("llf_last_row_cut_off.csv", 120, 59.8, 0, 1, ["row 122, the last, is cut off (16 of 63 cells) and left out"]),
]


@pytest.mark.parametrize(("name", "frames", "fps", "first", "largest", "notes"), FIELD, ids=[f[0] for f in FIELD])
def test_files_of_the_field(
    shared_dir: Path, name: str, frames: int, fps: float, first: float, largest: float, notes: list[str]
) -> None:
    motion = load_motion(shared_dir / "data" / "field" / name)
    assert motion.frames == frames
    assert motion.fps == pytest.approx(fps, abs=0.01)
    assert set(motion.names) == set(ARKIT_NAMES)
    if first:
        assert jaw(motion)[0] == pytest.approx(first, abs=2e-3)
    assert jaw(motion).max() == pytest.approx(largest, abs=2e-3)
    assert jaw(motion).min() >= 0
    assert len(motion.notes) == len(notes)
    for note, want in zip(motion.notes, notes, strict=True):
        assert want in note


def test_a_row_at_a_wrong_time_stays_where_it_was_recorded(shared_dir: Path) -> None:
    file = shared_dir / "data" / "field" / "face_landmark_link_24fps.csv"
    by_times, by_rate = load_motion(file), load_motion(file, fps=24)
    np.testing.assert_array_equal(by_times.weights, by_rate.weights)
    assert by_rate.notes == ()


def test_viseme_events_of_azure_are_named(shared_dir: Path, tmp_path: Path) -> None:
    file = shared_dir / "data" / "field" / "azure_viseme_event.json"
    event = json.loads(file.read_text())
    files = [file, write(tmp_path / "events.json", json.dumps([event, event]))]
    for events in files:
        with pytest.raises(MotionInvalid) as caught:
            load_motion(events)
        for part in ("Azure's viseme events", "LAM's JSON", "Audio2Face's", ".npy table [T,52]", "--motion-fps 60"):
            assert part in str(caught.value)
    # The way out works.
    np.save(tmp_path / "visemes.npy", np.array(event["BlendShapes"])[:, :52])
    motion = load_motion(tmp_path / "visemes.npy", fps=60)
    assert (motion.fps, motion.names) == (60, ARKIT_NAMES)
    np.testing.assert_allclose(jaw(motion), [row[17] for row in event["BlendShapes"]], atol=1e-6)


# ---- names ----


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("EyeBlinkLeft", "eyeBlinkLeft"),
        ("eyeBlink_L", "eyeBlinkLeft"),
        ("eye_blink_left", "eyeBlinkLeft"),
        ("Mouth Smile Right", "mouthSmileRight"),
        ("MOUTHSMILER", "mouthSmileRight"),
        ("browInnerUp", "browInnerUp"),
        ("browInnerUp_L", "browInnerUp_L"),
        ("jaw", "jaw"),
    ],
)
def test_spellings(written: str, name: str) -> None:
    assert canonical_name(written) == name


@pytest.mark.parametrize(
    "prefix", ["blendShapes.", "blendShape.", "ARKit_", "CTRL_expressions_", "Face|", "head_bs.", "blendShape1."]
)
def test_prefixes(tmp_path: Path, prefix: str) -> None:
    header = ",".join(f"{prefix}{name}" for name in ("_neutral", "JawOpen", "eyeBlink_L"))
    motion = load_motion(table(tmp_path / "take.csv", f"time,{header}", ["0,1,0.25,0.75", "0.04,1,0.5,0.5"]))
    assert (motion.names, motion.fps, motion.notes) == (("jawOpen", "eyeBlinkLeft"), 25, ())
    np.testing.assert_array_equal(motion.weights, [[0.25, 0.75], [0.5, 0.5]])


def test_one_name_behind_a_prefix_that_nobody_knows_is_no_weight(tmp_path: Path) -> None:
    header = "jawOpen,mouthClose,velocity.jawOpen,velocity.mouthClose"
    motion = load_motion(table(tmp_path / "take.csv", header, ["0.25,0.5,7,8"]))
    np.testing.assert_array_equal(motion.weights, [[0.25, 0.5]])
    assert motion.notes == (
        f"{tmp_path / 'take.csv'}: what is no known weight is left out: velocity.jawOpen, velocity.mouthClose",
    )
    with pytest.raises(MotionInvalid, match=r"not the name of a weight: upper_mouth_left\."):
        load_motion(table(tmp_path / "one.csv", "upper_mouth_left", ["0.5"]))


@pytest.mark.parametrize(
    "header",
    [
        "Timecode,BlendShapeCount,JawOpen",
        "Timecode,BlendshapeCount,JawOpen",
        "timecode,blendShapeCount,jawOpen",
        "Time Code,Blend Shape Count,Jaw Open",
        "TIMECODE,BLENDSHAPECOUNT,JAWOPEN",
    ],
)
def test_live_link_in_any_case(tmp_path: Path, header: str) -> None:
    rows = [f"00:00:{i // 30:02}:{i % 30:02}.000,61,{i / 100}" for i in range(40)]
    rows[7] = "00:00:00:07.000,0,"
    motion = load_motion(table(tmp_path / "take.csv", header, rows))
    assert (motion.fps, motion.frames, motion.notes) == (30, 40, ())
    np.testing.assert_allclose(jaw(motion), np.arange(40) / 100, atol=1e-6)


@pytest.mark.parametrize(
    ("column", "unit"),
    [("time_s", 1), ("Time", 1), ("Time (s)", 1), ("timestamp", 1), ("timestamp_ms", 1e3), ("Time [ms]", 1e3),
     ("timestamp_us", 1e6), ("timeCode", 1), ("Seconds", 1)],
)  # fmt: skip
def test_times_in_any_unit(tmp_path: Path, column: str, unit: float) -> None:
    rows = [f"{i},{i * unit / 50:.6g},{i / 100}" for i in range(60)]
    for index in ("", "Frame", "frame_number", "Unnamed: 0", "index"):
        motion = load_motion(table(tmp_path / "take.csv", f"{index},{column},jawOpen", rows))
        assert (motion.fps, motion.frames, motion.names, motion.notes) == (50, 60, ("jawOpen",), ())


@pytest.mark.parametrize(
    ("column", "form"), [("Time", "00:00:{:06.3f}"), ("Timecode", "0:{:.4f}"), ("time", " 1:02:{:.3f}")]
)
def test_times_of_a_clock(tmp_path: Path, column: str, form: str) -> None:
    file = table(tmp_path / "take.csv", f"{column},jawOpen", [f"{form.format(i / 50)},{i / 100}" for i in range(60)])
    assert (load_motion(file).fps, load_motion(file).frames) == (50, 60)


def test_columns_that_are_no_weights_are_left_out_with_a_note(tmp_path: Path) -> None:
    file = table(tmp_path / "take.csv", "subject,jawOpen,confidence,,tracked", ["anna,0.5,0.9,x,true"])
    motion = load_motion(file)
    assert motion.names == ("jawOpen",)
    assert motion.notes == (f"{file}: what is no known weight is left out: subject, confidence, tracked",)
    many = ",".join(f"extra{i}" for i in range(40))
    file = table(tmp_path / "many.csv", f"jawOpen,{many}", ["0.5" + ",0" * 40])
    assert load_motion(file).notes[0].endswith("extra10, extra11 and 28 more")


def test_json_names_that_are_no_weights_are_left_out_with_a_note(tmp_path: Path) -> None:
    a2f = {"facsNames": ["jawOpen", "tongueTipUp"], "weightMat": [[0.25, 1], [0.5, 1]], "exportFps": 60}
    file = write(tmp_path / "a2f.json", json.dumps(a2f))
    motion = load_motion(file)
    assert (motion.fps, motion.names) == (60, ("jawOpen",))
    np.testing.assert_array_equal(motion.weights, [[0.25], [0.5]])
    assert motion.notes == (f"{file}: what is no known weight is left out: tongueTipUp",)


@pytest.mark.parametrize(
    ("wrong", "meant"), [("jawOpne", "jawOpen"), ("mouthSmielLeft", "mouthSmileLeft"), ("Tounge_Out", "tongueOut")]
)
def test_slips_of_the_pen_are_no_notes(tmp_path: Path, wrong: str, meant: str) -> None:
    file = table(tmp_path / "take.csv", f"cheekPuff,comment,{wrong}", ["0,hello,0"])
    message = f'not the name of a weight: {wrong}. Did you mean "{meant}"?'
    with pytest.raises(MotionInvalid, match=re.escape(message)):
        load_motion(file)
    # Where the weight is there, a name like it is a column of something else.
    file = table(tmp_path / "take.csv", f"cheekPuff,{meant},{wrong}", ["0,0.5,0"])
    assert load_motion(file).names == ("cheekPuff", meant)


def test_halves_of_a_weight_are_no_slips(tmp_path: Path) -> None:
    file = table(tmp_path / "take.csv", "jawOpen,browInnerUp_L,browInnerUp_R,cheekPuffLeft", ["0.5,0,0,0"])
    assert load_motion(file).names == ("jawOpen",)


def test_the_avatars_own_names_come_first(tiny: talksplat.Avatar, tmp_path: Path) -> None:
    from dataclasses import replace
    from types import MappingProxyType

    class Other:
        inputs = MappingProxyType(
            {"face": replace(tiny.inputs["arkit"], name="face", names=("Frame", "ARKit_jawOpen"))}
        )
        fps = 25.0

    file = table(tmp_path / "take.csv", "Frame,ARKit_jawOpen", ["0.5,0.25"])
    assert load_motion(file, Other()).names == ("Frame", "ARKit_jawOpen")  # type: ignore[arg-type]
    assert load_motion(file).names == ("jawOpen",)


# ---- times ----


def codes(frames: int, fps: int = 30) -> list[str]:
    return [f"10:00:{i // fps:02}:{i % fps:02}.000" for i in range(frames)]


@pytest.mark.parametrize(
    ("row", "bad"),
    [
        (50, "10:00:00:20.000"),  # back by a second
        (50, "09:00:01:20.000"),
        (50, "11:00:01:20.000"),
        (50, "00:00:00:00.000"),
        (50, "23:59:59:20.000"),
        (59, "10:00:01:99.000"),
        (50, "########"),
        (50, ""),
        (50, f"10:00:01:{'9' * 400}"),
        (0, "00:00:00:00.000"),
        (0, "garbled"),
        (89, "10:59:00:00.000"),
        (89, "10:00:0"),
        (31, "10:00:01:00.000"),  # as the row before it
    ],
)
def test_one_bad_timecode_is_mended(tmp_path: Path, row: int, bad: str) -> None:
    stamps = codes(90)
    stamps[row] = bad
    file = live_link(tmp_path / "take.csv", [live_link_row(stamp, i / 100) for i, stamp in enumerate(stamps)])
    motion = load_motion(file)
    assert (motion.fps, motion.frames) == (30, 90)
    np.testing.assert_allclose(motion.weights[:, 0], np.arange(90) / 100, atol=1e-6)
    (note,) = motion.notes
    assert re.search(r"the time of row \d+ is out of order or unreadable; it is taken from its neighbours", note)


def test_a_glitch_in_a_take_within_one_second(tmp_path: Path) -> None:
    stamps = [f"00:00:05:{i:02}.000" for i in range(40)]
    stamps[10] = "00:00:04:10.000"
    motion = load_motion(live_link(tmp_path / "take.csv", [live_link_row(stamp, 0) for stamp in stamps]))
    assert (motion.fps, motion.frames, len(motion.notes)) == (60, 40, 1)


def test_few_bad_times_are_mended_and_many_are_not(tmp_path: Path) -> None:
    times = [f"{i / 25:.3f}" for i in range(200)]
    for bad in (20, 70, 71, 150):
        times[bad] = "0.000" if bad % 2 else "nan"
    rows = [f"{time},{i / 200}" for i, time in enumerate(times)]
    motion = load_motion(table(tmp_path / "take.csv", "time_s,jawOpen", rows))
    assert (motion.fps, motion.frames) == (25, 200)
    np.testing.assert_allclose(jaw(motion), np.arange(200) / 200, atol=1e-6)
    assert "the time of row 22 and 3 more is out of order" in motion.notes[0]
    rows[180] = f"0,{180 / 200}"
    with pytest.raises(MotionInvalid, match=r"row 22: time must be finite\. Or give its rate.*: --motion-fps"):
        load_motion(table(tmp_path / "take.csv", "time_s,jawOpen", rows))
    assert load_motion(tmp_path / "take.csv", fps=25).frames == 200


def test_a_clock_that_was_put_back_needs_a_rate(tmp_path: Path) -> None:
    stamps = [*codes(60), *codes(60)]
    file = live_link(tmp_path / "take.csv", [live_link_row(stamp, 0) for stamp in stamps])
    with pytest.raises(MotionInvalid, match=r"time must rise; row 62 is not after the row before it\. .*--motion-fps"):
        load_motion(file)
    assert (load_motion(file, fps=30).fps, load_motion(file, fps=30).frames) == (30, 120)


def test_json_times_are_mended_too(tmp_path: Path) -> None:
    frames: list[dict[str, Any]] = [{"weights": [i / 10], "time": i / 30} for i in range(9)]
    frames[4]["time"] = 0
    file = write(tmp_path / "take.json", json.dumps({"names": ["jawOpen"], "frames": frames}))
    motion = load_motion(file)
    assert (motion.fps, motion.frames) == (30, 9)
    np.testing.assert_allclose(jaw(motion), np.arange(9) / 10, atol=1e-6)
    assert motion.notes == (
        f"{file}: the time of frame 4 is out of order or unreadable; it is taken from its neighbours",
    )
    frames[4]["time"] = 10**400
    motion = load_motion(write(file, json.dumps({"names": ["jawOpen"], "frames": frames})))
    assert (motion.fps, motion.frames, len(motion.notes)) == (30, 9, 1)


TWO_FRAMES = '{"names":["jawOpen"],"frames":[{"weights":[0],"time":0},{"weights":[0],"time":%s}]}'
NINES = "9" * 400
BAD_TIMES = [
    ("bigtime.json", TWO_FRAMES % NINES, "frame 1: time must be finite seconds; got 99999"),
    ("tc.csv", f"Timecode,JawOpen\n00:00:00:{NINES},0\n00:00:01:00,0\n", "row 2, column Timecode must be HH:MM:SS:FF"),
    ("time.csv", "time_s,jawOpen\n-1e308,0\n1e308,0\n", "row 2: time must be seconds, at most 1e+11; got -1e+308."),
    ("word.csv", "time_s,jawOpen\n0,0\nsoon,0\n", "row 3, column time_s must be a number; got 'soon'."),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD_TIMES, ids=[bad[0] for bad in BAD_TIMES])
def test_times_beyond_all_measure(tmp_path: Path, name: str, text: str, message: str) -> None:
    file = write(tmp_path / name, text)
    with pytest.raises(MotionInvalid, match=re.escape(message)) as caught:
        load_motion(file)
    assert str(caught.value).endswith("--motion-fps, or load_motion's fps.")
    assert len(str(caught.value)) < 400
    assert load_motion(file, fps=25).frames == 2


def test_the_rate_must_be_a_number() -> None:
    for wrong, message in ((0, r"fps must be in \(0, 1000\]; got 0"), ("25", "fps must be a number, finite; got '25'")):
        with pytest.raises(ValueError, match=f"load_motion: {message}"):
            load_motion("take.csv", fps=wrong)  # type: ignore[arg-type]


# ---- ends ----


def whole_take(rows: int) -> str:
    header = ",".join(["Timecode", "BlendShapeCount", *LIVE_LINK_NAMES])
    return header + "".join(f"\n00:00:00:{i:02}.000,61," + ",".join(["0.125"] * 52) for i in range(rows))


@pytest.mark.parametrize("kept", [1, 5, 14, 15, 16, 17, 18, 19, 20, 100, 277, 325])
def test_a_last_row_that_is_cut_off_is_left_out(tmp_path: Path, kept: int) -> None:
    text = whole_take(10)
    start = text.rindex("\n") + 1
    motion = load_motion(write(tmp_path / "take.csv", text[: start + kept]))
    assert motion.frames == 9
    assert (motion.weights == 0.125).all()
    assert len(motion.notes) == 1
    assert "row 11, the last, is cut off" in motion.notes[0]
    assert motion.resample(30).notes == motion.notes


def test_a_last_number_that_is_cut_off(tmp_path: Path) -> None:
    motion = load_motion(write(tmp_path / "take.csv", "mouthClose,jawOpen\n0,0.5\n0,1e"))
    assert (motion.frames, len(motion.notes)) == (1, 1)
    with pytest.raises(MotionInvalid, match="row 3, column jawOpen must be a number; got '1e'"):
        load_motion(write(tmp_path / "take.csv", "mouthClose,jawOpen\n0,0.5\n0,1e\n"))


def test_rows_that_end_early_within_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MotionInvalid, match=r"row 3 has 1 cells; the header has 2\."):
        load_motion(write(tmp_path / "take.csv", "jawOpen,mouthClose\n0,0\n0\n0,0\n"))
    with pytest.raises(MotionInvalid, match=r"row 2 has 1 cells; the header has 2\."):
        load_motion(write(tmp_path / "take.csv", "jawOpen,mouthClose\n0"))


def test_trailing_commas(tmp_path: Path) -> None:
    for text in (
        "jawOpen,mouthClose\n0.25,0.5,\n0.5,1,\n",
        "jawOpen,mouthClose,\n0.25,0.5,\n0.5,1,\n",
        "jawOpen,mouthClose,,\n0.25,0.5\n0.5,1\n",
        "jawOpen,mouthClose,comment\n0.25,0.5\n0.5,1\n",
    ):
        motion = load_motion(write(tmp_path / "take.csv", text))
        np.testing.assert_array_equal(motion.weights, [[0.25, 0.5], [0.5, 1]])
    with pytest.raises(MotionInvalid, match=r"row 2 has 3 cells; the header has 2\."):
        load_motion(write(tmp_path / "take.csv", "jawOpen,mouthClose\n0.25,0.5,1\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Timecode;JawOpen;MouthClose\n00:00:00:00;0,5;0\n", "semicolons are between its cells. Save it with commas"),
        ("Timecode\tJawOpen, all\tMouthClose\n0\t0\t0\n", "tabs are between its cells."),
    ],
)
def test_other_marks_between_cells(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MotionInvalid, match=re.escape(message)):
        load_motion(write(tmp_path / "take.csv", text))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "take.csv").write_bytes("jawOpen\n0.5\n".encode(encoding))
    with pytest.raises(MotionInvalid, match=r"is not a CSV text in UTF-8: .* It is UTF-16: save it as UTF-8\."):
        load_motion(tmp_path / "take.csv")


# ---- kinds of JSON ----


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ([], "It is a list;"),
        ([[0.5, 0.25]], "It is a list of rows without names;"),
        ({}, "It is an empty object;"),
        (5, "It is one value;"),
        ({"asset": {}, "meshes": []}, "It is an object with asset, meshes;"),
        ([{"timeCode": 0, "blendShapes": {}}], "It is a list of objects with timeCode, blendShapes;"),
        ({"CTRL_expressions_jawOpen": [0]}, "It is MetaHuman's controls (CTRL_expressions_jawOpen);"),
        ({"k" * 500: 1, **{f"key{i}": i for i in range(9)}}, f"an object with {'k' * 37}..., key0, key1"),
    ],
)
def test_other_json_is_named(tmp_path: Path, data: Any, what: str) -> None:
    with pytest.raises(MotionInvalid, match=re.escape(what)) as caught:
        load_motion(write(tmp_path / "take.json", json.dumps(data)))
    assert "LAM's JSON is read, and Audio2Face's" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"facsNames": [1, "jawOpen"]}, "facsNames must be texts."),
        ({"weightMat": []}, "has no frame in it."),
        ({"weightMat": [[0]]}, "frame 0 must have 2 weights (from facsNames); got 1."),
        ({"weightMat": [0]}, "frame 0 must have 2 weights (from facsNames); got none."),
        ({"weightMat": [[0, "1"]]}, "frame 0: weights must be numbers."),
        ({"exportFps": -1}, "exportFps must be in (0, 1000]; got -1."),
        ({"exportFps": [[1]]}, "exportFps must be in (0, 1000]; got a list."),
        ({"weightMat": [[0, 10**400]]}, "weights must be rows of equally many numbers."),
        ({"weightMat": [[0, 1e300]]}, "frame 0, jawOpen must be finite; got inf."),
    ],
)
def test_damaged_audio2face(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    data = {"facsNames": ["mouthClose", "jawOpen"], "weightMat": [[0, 0.5]], "exportFps": 30, **change}
    with pytest.raises(MotionInvalid, match=re.escape(message)):
        load_motion(write(tmp_path / "take.json", json.dumps(data)))


def test_audio2face_without_a_rate(tmp_path: Path) -> None:
    data = {"facsNames": ["jawOpen"], "weightMat": [[0], [0.5]]}
    file = write(tmp_path / "take.json", json.dumps(data))
    assert load_motion(file).fps == 25
    assert load_motion(file, fps=48).fps == 48


# ---- notes, and numbers beyond float32 ----


def test_notes_travel_with_a_motion(tmp_path: Path) -> None:
    motion = Motion(30, np.zeros((3, 1)), ("jawOpen",), notes=("row 2 is missing",))
    assert motion.resample(60).notes == motion.notes
    assert pickle.loads(pickle.dumps(motion)).notes == motion.notes
    assert Motion(30, np.zeros((3, 1)), ("jawOpen",)).notes == ()
    motion.save(tmp_path / "take.csv")
    assert load_motion(tmp_path / "take.csv").notes == ()


def test_numbers_beyond_float32(tiny: talksplat.Avatar) -> None:
    huge = np.array([[0.0, 1e300]])
    with pytest.raises(ValueError, match=r"Motion: weights must be finite; got inf at \[0, 1\]"):
        Motion(30, huge, ("jawOpen", "mouthClose"))
    with pytest.raises(ValueError, match=r"control: head_pose must be finite; got inf at \[2\]"):
        tiny.render_frame({"head_pose": np.array([0, 0, 1e39])})
    for value in (1e300, 10**400):
        with pytest.raises(ValueError, match="control: arkit: jawOpen must be"):
            tiny.render_frame({"arkit": {"jawOpen": value}})
