# SPDX-License-Identifier: Apache-2.0
"""Where encoder folders are written, and who writes them at one time: without torch."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from talksplat.authoring.encoders.place import locked, require_replaceable, whole_folder


def untold(step: str) -> None:
    pass


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(folder: Path, text: str = "new") -> None:
    with whole_folder(folder) as place:
        (place / "encoder.json").write_text(text)


@pytest.mark.parametrize("before", ["nothing", "empty", "encoder"])
def test_a_folder_is_whole_or_as_it_was(tmp_path: Path, before: str) -> None:
    folder = tmp_path / "above" / "encoder"
    if before != "nothing":
        folder.mkdir(parents=True)
    if before == "encoder":
        (folder / "encoder.json").write_text("old")
        (folder / "front.onnx").write_text("old")
    with pytest.raises(RuntimeError, match="in between"), whole_folder(folder) as place:
        (place / "encoder.json").write_text("half")
        raise RuntimeError("in between")
    assert folder.exists() == (before != "nothing")
    assert before != "encoder" or (folder / "encoder.json").read_text() == "old"
    fill(folder)
    assert names(folder) == ["encoder.json"]
    assert (folder / "encoder.json").read_text() == "new"
    assert names(folder.parent) == ["encoder"]


def test_what_is_no_encoder_is_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "encoder.json").write_text("{}")
    (folder / "wedding.jpg").write_text("dear")
    with pytest.raises(ValueError, match=r"photos also holds 'wedding.jpg', which would be lost\. Name another"):
        require_replaceable(folder)
    with pytest.raises(ValueError, match="would be lost"):
        fill(folder)
    assert names(folder) == ["encoder.json", "wedding.jpg"]
    with pytest.raises(ValueError, match=r"wedding.jpg is a file\. Name another"):
        require_replaceable(folder / "wedding.jpg")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    said = r"file/encoder: cannot be written \(Not a directory\)\. Name another folder \(-o\), or set TALKSPLAT_CACHE"
    with pytest.raises(NotADirectoryError, match=said):
        fill(file / "encoder")
    with pytest.raises(NotADirectoryError, match=said), locked(file / "encoder", untold):
        pass


def test_the_second_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    folder, told, order = tmp_path / "encoder", [], []
    first_has_it, first_may_go = threading.Event(), threading.Event()

    def first() -> None:
        with locked(folder, untold):
            first_has_it.set()
            first_may_go.wait(20)
            order.append("first")

    def tell(step: str) -> None:
        told.append(step)
        first_may_go.set()

    thread = threading.Thread(target=first)
    thread.start()
    first_has_it.wait(20)
    with locked(folder, tell, 20):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert told == [f"another process writes {folder}: waiting for it"]
    assert names(tmp_path) == []


def test_waiting_ends(tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    with (
        locked(folder, untold),
        pytest.raises(TimeoutError, match=r"encoder: another process has been writing it for 0\.2 s\. Wait for it"),
        locked(folder, untold, 0.2),
    ):
        pass
    with locked(folder, untold, 0.2):
        pass


def test_many_at_once_take_turns(tmp_path: Path) -> None:
    """Also in the moment in which the one before takes its lock's file away."""
    folder, inside, most = tmp_path / "encoder", [], []

    def work() -> None:
        for _ in range(20):
            with locked(folder, untold, 60):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 80 and set(most) == {1}


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    code = (
        "import sys, time; from pathlib import Path; from talksplat.authoring.encoders.place import locked\n"
        "with locked(Path(sys.argv[1]), print): print('has it', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "has it\n"
    child.kill()
    child.wait()
    assert names(tmp_path) == [".encoder.lock"]
    with locked(folder, untold, 0.0):
        fill(folder)
    assert names(tmp_path) == ["encoder"]
