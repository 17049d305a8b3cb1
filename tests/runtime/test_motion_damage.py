# SPDX-License-Identifier: Apache-2.0
"""Bad motion files: what they say, and that whatever is in a file, it is a Motion or a MotionInvalid."""

import gzip
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import talksplat
from talksplat import MotionInvalid, load_motion


def lam(frames: int = 4, **extra: Any) -> dict[str, Any]:
    made = [{"weights": [i / 10, 0.5], "time": i / 30, "rotation": []} for i in range(frames)]
    return {"names": ["jawOpen", "eyeBlink_L"], "frames": made, **extra}


def npz_bytes(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy_bytes(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def huge_npy() -> bytes:
    """A header that claims 10^12 rows."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 52), }"
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def shapeless_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("expr.npy", b"not an array")
    return stream.getvalue()


def bad_head() -> str:
    header = "jawOpen," + ",".join(f"m{i}{j}" for i in range(4) for j in range(4))
    return header + "\n0," + ",".join(["1"] * 16)


MATRIX_NAN = bad_head().replace("\n0,1", "\n0,nan")
BAD_FILES: list[tuple[str, str | bytes, str]] = [
    ("empty.csv", "", "has no weight and no input in it."),
    ("header.csv", "jawOpen\n", "has no frame in it."),
    ("word.csv", "jawOpen,mouthClose\n0,0\n0,wide\n", "row 3, column mouthClose must be a number; got 'wide'."),
    ("nan.csv", "jawOpen,mouthClose\n0,0\n\nnan,0\n", "row 4, column jawOpen must be finite; got nan."),
    ("percent.csv", "jawOpen\n50\n", "row 2, column jawOpen must be a weight of about 0..1; got 50. If the table"),
    ("ragged.csv", "jawOpen,mouthClose\n0\n", "row 2 has 1 cells; the header has 2."),
    ("twice.csv", "jawOpen,jawOpen\n0,0\n", "column 'jawOpen' is there twice."),
    ("alias.csv", "jawOpen,JawOpen\n0,0\n", "JawOpen names jawOpen a second time."),
    ("unknown.csv", "jawOpne,viseme_aa\n0,0\n", "weight: jawOpne, viseme_aa. Did you mean \"jawOpen\"?"),
    ("comment.csv", "comment\nhello\n", "not the name of a weight: comment."),
    ("slip.csv", "jawOpen,mouthColse\n0,0\n", "not the name of a weight: mouthColse. Did you mean \"mouthClose\"?"),
    ("fast.csv", "time,jawOpen\n0,0\n1e-320,0\n2e-320,0\n", "its times mean inf frames per second"),
    ("back.csv", "time,jawOpen\n0,0\n1,0\n0.5,0\n", "time must rise; row 4 is not after the row before it."),
    ("gap.csv", "time,jawOpen\n0,0\n0.04,0\n0.08,0\n999,0\n", "998.92 s pass after row 4; at most 60 may."),
    ("slow.csv", "time,jawOpen\n0,0\n9,0\n", "its times mean 0.111111 frames per second; 1 to 1000 are accepted."),
    ("when.csv", "time,jawOpen\ninf,0\n1,0\n", "row 2: time must be finite."),
    ("semi.csv", "jawOpen;mouthClose\n0,5;0\n", "semicolons are between its cells. Save it with commas, and points"),
    ("tabs.csv", "jawOpen\tmouthClose\n0.5\t0\n", "tabs are between its cells."),
    ("wide.csv", "jawOpen\n0.5\n".encode("utf-16"), "is not a CSV text in UTF-8: ", ),
    ("wide2.csv", "jawOpen\n0.5\n".encode("utf-16"), "It is UTF-16: save it as UTF-8."),
    ("code.csv", "Timecode,jawOpen\nnoon,0\n", "row 2, column Timecode must be HH:MM:SS:FF.fff; got 'noon'."),
    ("degrees.csv", "HeadYaw,HeadPitch,HeadRoll\n0,35,0\n", "column HeadPitch must be radians, -π to π; got 35."),
    ("headlost.csv", "HeadYaw,HeadPitch,HeadRoll\n0,0,nan\n", "row 2, column HeadRoll must be radians"),
    ("head.csv", bad_head(), "row 2, column m00..m22 is not a rotation."),
    ("headnan.csv", MATRIX_NAN, "row 2, column m00..m22 is not a rotation."),
    ("bytes.csv", b"jawOpen\n\xff\xfe\n", "is not a CSV text"),
    ("list.json", "[]", 'must be an object with "names" and "frames" (lists).'),
    ("cut.json", '{"names": [', "is not JSON"),
    ("deep.json", "[" * 100000, "is not JSON"),
    ("names.json", '{"names": [1], "frames": []}', "names must be texts."),
    ("none.json", '{"names": ["jawOpen"], "frames": []}', "has no frame in it."),
    ("short.json", json.dumps({**lam(), "names": ["jawOpen"]}), "frame 0 must have 1 weights (from names); got 2."),
    ("noweights.json", '{"names": ["jawOpen"], "frames": [3]}', "frame 0 must have 1 weights (from names); got none."),
    ("text.json", '{"names": ["jawOpen"], "frames": [{"weights": ["1"]}]}', "frame 0: weights must be numbers."),
    ("nan.json", '{"names": ["jawOpen"], "frames": [{"weights": [NaN]}]}', "frame 0, jawOpen must be finite; got nan."),
    ("when.json", '{"names": ["jawOpen"], "frames": [{"weights": [0], "time": "0"}]}', "frame 0: time must be finite"),
    ("stop.json", json.dumps({**lam(2), "frames": [lam(1)["frames"][0]] * 2}), "time must rise; frame 1 is not after"),
    ("pose.json", json.dumps(lam(head_pose=[[0, 0, 0]])), "head_pose must be [4,3] axis-angle radians; got [1, 3]."),
    ("ragged.json", json.dumps(lam(head_pose=[[0], [0, 1]])), "head_pose must be rows of equally many numbers."),
    ("rate.json", '{"names":["jawOpen"],"frames":[{"weights":[0]}],"metadata":{"fps":-1}}', "metadata.fps must be"),
    ("other.json", json.dumps({**lam(), "names": ["aah", "smile"]}), "not the name of a weight: aah, smile."),
    ("plain.json.gz", b"{}", "is not a whole gzip file"),
    ("cut.json.gz", gzip.compress(json.dumps(lam()).encode())[:-9], "is not a whole gzip file"),
    ("flat.npy", npy_bytes(np.zeros(52)), "must be [T,size] numbers; got float64 [52]."),
    ("wide.npy", npy_bytes(np.zeros((2, 53))), "must be [T,52], one column per name; got [2, 53]. Columns other than"),
    ("objects.npy", npy_bytes(np.array([[None]])), "must be [T,size] numbers; got object"),
    ("nan.npy", npy_bytes(np.full((2, 52), np.nan)), "frame 0, eyeBlinkLeft must be finite; got nan."),
    ("none.npy", npy_bytes(np.zeros((0, 52))), "has no frame in it."),
    ("cut.npy", npy_bytes(np.zeros((4, 52)))[:-8], "it says [4, 52] float64, and 1656 bytes follow."),
    ("huge.npy", huge_npy(), "is cut off or padded: it says [1000000000000, 52] float64, and 0 bytes follow."),
    ("text.npy", "hello", "is not a .npy array"),
    ("text.npz", "hello", "cannot be unpacked as .npz"),
    ("bad.npz", shapeless_zip(), "expr: is not a .npy array"),
    ("other.npz", npz_bytes(exp=np.zeros((1, 3))), 'exp is not a motion input. Did you mean "expr"? Known'),
    ("uneven.npz", npz_bytes(expr=np.zeros((2, 3)), jaw_pose=np.zeros((3, 3))), "arrays must have equally many frames"),
    ("eyes.npz", npz_bytes(eyes_pose=np.zeros((2, 3))), "eyes_pose must be [T,6]; got [2, 3]."),
    ("fixed.npz", npz_bytes(shape=np.zeros(300)), "has no weight and no input in it."),
    ("nan.npz", npz_bytes(jaw_pose=np.full((2, 3), np.inf)), "frame 0, jaw_pose must be finite; got inf."),
    ("take.fbx", "hello", "this kind of motion file is not known. Use .csv, .json, .json.gz, .npy, .npz or clip:NAME."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES, ids=[bad[0] for bad in BAD_FILES])
@pytest.mark.filterwarnings("error")
def test_bad_files(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(MotionInvalid, match=re.escape(message)) as caught:
        load_motion(file)
    assert str(caught.value).startswith(str(file))


def test_files_that_are_not_there(tmp_path: Path, tiny: talksplat.Avatar) -> None:
    with pytest.raises(MotionInvalid, match=re.escape("take.csv: no such file.")):
        load_motion(tmp_path / "take.csv")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(MotionInvalid, match=re.escape("folder.json: cannot be read (Is a directory).")):
        load_motion(tmp_path / "folder.json")
    with pytest.raises(MotionInvalid, match="clip:talk is in an avatar's file: pass the avatar to load_motion"):
        load_motion("clip:talk")
    with pytest.raises(MotionInvalid, match=r"tiny has no clip 'walk'\..* Its clips: talk, turn"):
        load_motion("clip:walk", tiny)
    with pytest.raises(ValueError, match=re.escape("load_motion: fps must be in (0, 1000]; got -1.")):
        load_motion("clip:talk", tiny, fps=-1)


# ---- whatever is in a file, it is a Motion or a MotionInvalid ----

FUZZ = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CELLS = st.one_of(
    st.floats(0, 1).map(str),
    st.sampled_from(["", "nan", "1e999", "-5", "x", '"', "00:00:01:05", "0", "61"]),
    st.text(max_size=4),
)
HEADS = st.lists(
    st.sampled_from(
        [
            "jawOpen",
            "EyeBlinkLeft",
            "Timecode",
            "time",
            "BlendShapeCount",
            "blendShapes.MouthClose",
            "comment",
            "HeadYaw",
            "HeadPitch",
            "HeadRoll",
            "m00",
            "",
        ]
    ),
    max_size=6,
)


def survives(file: Path) -> None:
    try:
        motion = load_motion(file)
    except MotionInvalid as error:
        assert str(error).startswith(str(file))
    else:
        assert motion.frames > 0
        assert np.isfinite(motion.weights).all()


@FUZZ
@given(HEADS, st.lists(st.lists(CELLS, max_size=6), max_size=5))
def test_any_table(tmp_path: Path, header: list[str], rows: list[list[str]]) -> None:
    (tmp_path / "any.csv").write_text(
        "\n".join(",".join(row) for row in [header, *rows]), encoding="utf-8", errors="replace"
    )
    survives(tmp_path / "any.csv")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["weights", "time", "rotation"]), inner)
    ),
    max_leaves=8,
)


@FUZZ
@given(st.fixed_dictionaries({"names": st.sampled_from([["jawOpen"], []]), "frames": st.lists(JSON, max_size=3)}), JSON)
def test_any_json(tmp_path: Path, data: dict[str, Any], head_pose: Any) -> None:
    (tmp_path / "any.json").write_text(json.dumps({**data, "head_pose": head_pose}))
    survives(tmp_path / "any.json")


@FUZZ
@given(st.sampled_from(["npy", "npz"]), st.data())
def test_any_damage_to_numpy_files(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    whole = (
        npy_bytes(np.zeros((2, 52))) if kind == "npy" else npz_bytes(jaw_pose=np.zeros((2, 3)), expr=np.ones((2, 4)))
    )
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, min(len(damaged), 400) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path / f"any.{kind}"
    file.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    survives(file)
