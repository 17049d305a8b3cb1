# SPDX-License-Identifier: Apache-2.0
"""Motion files that ask for more than they hold: refused, within bounded memory and time."""

import gzip
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import talksplat
from talksplat import MotionInvalid, load_motion
from talksplat._json import weight_of
from talksplat.motions import MAX_FRAMES, Motion

pytestmark = pytest.mark.filterwarnings("error")
MIB = 1 << 20


def npy_header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def packed(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def refused(file: Path, message: str, mib: float, seconds: float = 5.0, **options: Any) -> str:
    """The error that reading gives, where it comes in time and without the memory that the file asks for."""
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        with pytest.raises(MotionInvalid, match=re.escape(message)) as caught:
            load_motion(file, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - begin < seconds
    assert peak < mib * MIB
    assert str(caught.value).startswith(str(file))
    return str(caught.value)


# ---- inputs of the field ----

FIELD = [
    ("u8.npz", "cannot be unpacked as .npz: expr.npy unpacks from 291673 to 300000128 bytes", 2),
    ("lists.json.gz", "unpacks to more than 15873904 bytes, out of proportion to its size.", 20),
    ("cols.csv", "has 100000 columns; at most 8192 are read.", 20),
    ("bigtime.json", "frame 1: time must be finite seconds", 2),
    ("tc.csv", "row 2, column Timecode must be HH:MM:SS:FF.fff", 2),
    ("time.csv", "row 2: time must be seconds", 2),
    ("esc.csv", "not the name of a weight: \x1b]0;", 2),
]


@pytest.mark.parametrize(("name", "message", "mib"), FIELD, ids=[bad[0] for bad in FIELD])
def test_files_of_the_field(shared_dir: Path, tmp_path: Path, name: str, message: str, mib: float) -> None:
    folder = shared_dir / "data" / "field" / "misuse"
    file = folder / name
    if name == "cols.csv":
        file = tmp_path / name
        file.write_bytes(gzip.decompress((folder / "cols.csv.gz").read_bytes()))
    refused(file, message, mib, seconds=2)


# ---- .npz and .npy ----


def test_zeros_in_an_npz(tmp_path: Path) -> None:
    file = packed(tmp_path / "u8.npz", ("expr.npy", npy_header((50 * MIB, 1)) + bytes(50 * MIB)))
    assert file.stat().st_size < MIB / 10
    refused(file, "cannot be unpacked as .npz: expr.npy unpacks from", 1)


def test_what_the_avatar_lacks_is_refused_unread(tmp_path: Path, tiny: talksplat.Avatar) -> None:
    noise = os.urandom(2 * MIB)
    file = packed(tmp_path / "flame.npz", ("expr.npy", npy_header((2 * MIB, 1)) + noise), ("shape.npy", noise))
    with pytest.raises(MotionInvalid, match=r"tiny has no input expr\. It takes: .* FLAME's, and this avatar is moved"):
        load_motion(file, tiny)
    tracemalloc.start()
    with pytest.raises(MotionInvalid):
        load_motion(file, tiny)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MIB
    assert load_motion(file).inputs["expr"].shape == (2 * MIB, 1)


def test_names_given_twice(tmp_path: Path) -> None:
    rows = npy_header((3, 1), "<f4") + bytes(12)
    refused(packed(tmp_path / "a.npz", ("expr.npy", rows), ("expr", rows)), "expr is there twice.", 1)
    with pytest.warns(UserWarning, match="Duplicate name"):
        packed(tmp_path / "b.npz", ("expr.npy", rows), ("expr.npy", rows))
    refused(tmp_path / "b.npz", "has two members of the same name", 1)


def test_tables_longer_than_any_motion(tmp_path: Path) -> None:
    (tmp_path / "long.npy").write_bytes(npy_header((MAX_FRAMES + 1, 1)) + bytes(MAX_FRAMES + 1))
    message = f"is [{MAX_FRAMES + 1}, 1]; at most {MAX_FRAMES} frames"
    refused(tmp_path / "long.npy", message, 5 * 3, names=["jawOpen"])
    (tmp_path / "flat.npy").write_bytes(npy_header((10**12, 0)))
    refused(tmp_path / "flat.npy", "must be [T,size] numbers; got uint8 [1000000000000, 0].", 2, names=[])


def test_floats_beyond_float32(tmp_path: Path) -> None:
    np.save(tmp_path / "take.npy", np.full((2, 52), 1e300))
    refused(tmp_path / "take.npy", "frame 0, eyeBlinkLeft must be finite; got inf.", 2)
    np.savez(tmp_path / "take.npz", jaw_pose=np.full((2, 3), -1e39))
    refused(tmp_path / "take.npz", "frame 0, jaw_pose must be finite; got -inf.", 2)


def test_endless_names_beside_a_table(tmp_path: Path) -> None:
    np.save(tmp_path / "take.npy", np.zeros((2, 3), np.float32))
    (tmp_path / "take.names.txt").write_bytes(b"a\n" * MIB)
    with pytest.raises(MotionInvalid, match=r"take\.names\.txt: is 2097152 bytes; at most 1048576 are read\."):
        load_motion(tmp_path / "take.npy")


# ---- .json ----


def test_json_out_of_proportion(tmp_path: Path) -> None:
    text = b'{"names":["jawOpen"],"frames":[' + b"[]," * (8 * MIB) + b"[]]}"
    file = tmp_path / "lists.json.gz"
    file.write_bytes(gzip.compress(text))
    refused(file, "unpacks to more than", 20)


@pytest.mark.parametrize("item", [b"[]", b"{}", b"[0]", b'{"a":0}', b'"ab"', b"[[]]"])
def test_json_of_many_small_things(tmp_path: Path, item: bytes) -> None:
    file = tmp_path / "small.json"
    file.write_bytes(b"[" + (item + b",") * (12 * MIB // (len(item) + 1)) + b"0]")
    refused(file, "MiB of memory: it has very many small lists or objects, and no motion in them.", 20)


@pytest.mark.parametrize("item", [b"[]", b"{}", b"[0]", b'{"a":0}', b'"ab"', b"0.5", b"0", b"[[0.5,0.25],[1,2]]"])
def test_what_json_weighs(item: bytes) -> None:
    """The estimate is not below what Python takes by much."""
    text = b"[" + (item + b",") * 20000 + b"0]"
    tracemalloc.start()
    kept = json.loads(text)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(kept) == 20001
    assert taken < 1.3 * weight_of(text)


def test_an_hour_of_json_weighs_little(tmp_path: Path) -> None:
    names = [f"name{i}" for i in range(52)]
    for rows, digits in ((2000, 6), (2000, 0)):
        frames = [
            {"weights": [round(k * 0.0137 % 1, digits) for k in range(52)], "time": i / 25, "rotation": []}
            for i in range(rows)
        ]
        text = json.dumps({"names": names, "frames": frames}).encode()
        assert weight_of(text) < 10 * len(text)


def test_json_is_bounded_in_size(tmp_path: Path) -> None:
    with open(tmp_path / "big.json", "wb") as file:
        file.truncate((1 << 27) + 1)
    refused(tmp_path / "big.json", f"is {(1 << 27) + 1} bytes; at most {1 << 27} are read.", 1)


# ---- .csv ----


def test_a_header_of_many_columns(tmp_path: Path) -> None:
    file = tmp_path / "cols.csv"
    file.write_text(",".join(f"c{i}" for i in range(100_000)) + "\n")
    refused(file, "has 100000 columns; at most 8192 are read.", 20, seconds=2)
    file.write_text(",".join(f"jawOpen{i}" for i in range(8192)) + "\n")
    refused(file, "not the name of a weight: jawOpen0, jawOpen1, ", 20, seconds=2)
    file.write_text("jawOpen," + ",".join(f"{'_x' * 90}{i}" for i in range(5000)) + "\n0" + ",0" * 5000)
    begin = time.perf_counter()
    assert load_motion(file).names == ("jawOpen",)
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jawOpen" * MIB, "has a row of more than 1048576 letters"),
        ("jawOpen\n" + "," * 2 * MIB, "has a row of more than 1048576 letters"),
        ("jawOpen\n" + '"\n",' * MIB, "has a row of more than 1048576 letters"),
        ('jawOpen\n"' + "0" * 200_000, "field larger than field limit (131072)"),
    ],
)
def test_rows_without_end(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "take.csv").write_text(text)
    refused(tmp_path / "take.csv", message, 40)


def test_a_long_table_takes_memory_by_its_size(tmp_path: Path) -> None:
    header = ",".join(talksplat.arkit.ARKIT_NAMES)
    row = ",".join(["0"] * 52)
    (tmp_path / "take.csv").write_text("\n".join([header, *[row] * 20_000]))
    size = (tmp_path / "take.csv").stat().st_size
    tracemalloc.start()
    motion = load_motion(tmp_path / "take.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert motion.weights.shape == (20_000, 52)
    assert peak < 8 * size


# ---- rates ----


@pytest.mark.parametrize("own", [1e-6, 1e-300])
def test_a_rate_that_means_years(tmp_path: Path, own: float) -> None:
    data = {"names": ["jawOpen"], "frames": [{"weights": [0]}, {"weights": [1]}], "metadata": {"fps": own}}
    (tmp_path / "slow.json").write_text(json.dumps(data))
    motion = load_motion(tmp_path / "slow.json")
    with pytest.raises(ValueError, match=rf"resample: 2 frames at {own:g} fps would become .*; at most {MAX_FRAMES}"):
        motion.resample(25)
    assert load_motion(tmp_path / "slow.json", fps=25).resample(50).frames == 3


def test_resampling_is_bounded_by_numbers_too() -> None:
    wide = Motion(1, np.zeros((4001, 52)), [f"w{i}" for i in range(52)])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"resample: 4001 frames at 1 fps would become 4e\+06 at 1000; .*--motion-fps"):
        wide.resample(1000)
    narrow = Motion(1, np.arange(4001)[:, None] / 4000, ("w",)).resample(1000)
    assert narrow.frames == 4_000_001
    np.testing.assert_allclose(narrow.weights[[0, 2_000_000, 4_000_000], 0], [0, 0.5, 1], atol=1e-6)


# ---- devices and pipes ----


@pytest.mark.skipif(os.name == "nt", reason="devices of POSIX")
@pytest.mark.parametrize("name", ["z.npy", "z.csv", "z.json", "z.json.gz"])
def test_devices_that_never_end(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/dev/zero")
    code = f"""
import resource, talksplat
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
try:
    talksplat.load_motion({str(tmp_path / name)!r}, names=["jawOpen"])
except talksplat.MotionInvalid as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "is a pipe or a device that gives more than" in ran.stdout


def through_a_pipe(path: Path, data: bytes, read: Callable[[], Motion]) -> Motion:
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(data,), daemon=True)
    writer.start()
    motion = read()
    writer.join(timeout=10)
    assert not writer.is_alive()
    return motion


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_pipes_are_read(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).uniform(0, 1, (5, 52)).astype(np.float32)
    stream = io.BytesIO()
    np.save(stream, rows)
    frames = [{"weights": row.tolist()} for row in rows]
    texts = {
        "take.csv": ("\n".join([",".join(talksplat.arkit.ARKIT_NAMES), *(",".join(map(str, row)) for row in rows)])),
        "take.json": json.dumps({"names": talksplat.arkit.ARKIT_NAMES, "frames": frames}),
    }
    files = {name: text.encode() for name, text in texts.items()}
    files |= {"take.npy": stream.getvalue(), "take.json.gz": gzip.compress(files["take.json"])}
    for name, data in files.items():
        path = tmp_path / name
        motion = through_a_pipe(path, data, lambda path=path: load_motion(path))  # type: ignore[misc]
        np.testing.assert_allclose(motion.weights, rows, atol=1e-6)


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_pipe_is_not_asked_for_its_times_again(tmp_path: Path) -> None:
    from talksplat.motion_files import states_times

    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "take.csv").write_text("Time (s),jawOpen\n0,0\n")
    assert states_times(tmp_path / "take.csv")
    assert not states_times(tmp_path / "pipe.csv")
