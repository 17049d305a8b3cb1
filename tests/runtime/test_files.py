# SPDX-License-Identifier: Apache-2.0
"""Files that appear when they are whole, whatever lies at their place."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from talksplat import _files
from talksplat._files import WholeFile, require_place, whole_file, whole_text

pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="links, pipes and permissions of POSIX")


def write(path: Path, data: bytes = b"new") -> None:
    with whole_file(path) as file:
        file.write(data)


@pytest.mark.parametrize("name", ["a.mp4", "12:30.mp4", " ", "\udcff.mp4", "x" * 255, "ä" * 127])
def test_every_name_that_the_file_system_takes(tmp_path: Path, name: str) -> None:
    for data in (b"new", b"newer"):
        write(tmp_path / name, data)
        assert os.listdir(tmp_path) == [name]
        assert (tmp_path / name).read_bytes() == data


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"/x{256}: cannot be written \(File name too long\)\.$"):
        write(tmp_path / ("x" * 256))


def test_it_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        [partial] = set(os.listdir(tmp_path)) - {"out"}
        assert partial.startswith(".talksplat-") and partial.endswith(".part")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_nothing_stays_of_what_is_not_whole(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "old").write_bytes(b"old")
    for name in ("old", "new"):
        with pytest.raises(error), whole_file(tmp_path / name) as file:
            file.write(b"half")
            raise error
    whole = WholeFile(tmp_path / "new")
    whole.file.write(b"half")
    del whole  # neither kept nor dropped
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_links_are_written_through(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    (there / "old").write_bytes(b"old")
    (here / "chain").symlink_to("link")
    (here / "link").symlink_to("../there/old")
    (here / "dangling").symlink_to("../there/new")
    for link, target in (("chain", "old"), ("dangling", "new")):
        write(here / link)
        assert (here / link).is_symlink()
        assert (there / target).read_bytes() == b"new"
        assert not (there / target).is_symlink()
    assert sorted(os.listdir(here)) == ["chain", "dangling", "link"]
    assert sorted(os.listdir(there)) == ["new", "old"]


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("no/file")
    with pytest.raises(FileNotFoundError, match=r"no folder .*/no, to which the link .*/link leads\. Make it first\."):
        write(tmp_path / "link")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match=r"loop: cannot be written \(Too many levels of symbolic links\)\."):
        write(tmp_path / "loop")
    assert sorted(os.listdir(tmp_path)) == ["link", "loop"]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "folder").mkdir()
    listener = socket.socket(socket.AF_UNIX)
    before = os.getcwd()
    try:
        os.chdir(tmp_path)  # a socket's path is short
        listener.bind("socket")
    finally:
        os.chdir(before)
        listener.close()
    for name in ("pipe", "device", "socket"):
        with pytest.raises(OSError, match=rf"/{name} is a {name}, and a finished file would take its place\."):
            write(tmp_path / name)
    with pytest.raises(IsADirectoryError, match=r"folder is a folder\. Name a file in it\."):
        require_place(tmp_path / "folder")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    assert len(os.listdir(tmp_path)) == 4


def test_a_link_that_someone_put_there_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / "foretold").symlink_to("victim")
    (tmp_path / "nothing").symlink_to("made")
    for name in ("foretold", "nothing", "victim"):
        monkeypatch.setattr(_files, "partial_name", lambda name=name: name)
        with pytest.raises(FileExistsError, match=r"out: cannot be written \(File exists\)\."):
            write(tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["foretold", "nothing", "victim"]
    assert (tmp_path / "victim").read_bytes() == b"mine"


def test_names_of_partial_files_differ() -> None:
    names = {_files.partial_name() for _ in range(1000)}
    assert len(names) == 1000
    assert max(map(len, names)) < 50


def test_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "new")
        (tmp_path / "old").touch()
        (tmp_path / "old").chmod(0o604)
        write(tmp_path / "old")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o604


def test_text_has_the_line_ends_that_are_written(tmp_path: Path) -> None:
    with whole_text(tmp_path / "out.csv") as file:
        file.write("ä\n\r\n")
    assert (tmp_path / "out.csv").read_bytes() == "ä\n\r\n".encode()


def test_errors_of_other_files_keep_their_names(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as found, whole_file(tmp_path / "out"):
        (tmp_path / "source").read_bytes()
    assert found.value.filename == str(tmp_path / "source")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no files")
def test_a_folder_that_takes_no_files() -> None:
    with pytest.raises(FileNotFoundError, match=r"^/proc/out: cannot be written \(No such file or directory\)\.$"):
        write(Path("/proc/out"))


FULL = """
import resource, signal, sys
from pathlib import Path
from talksplat._files import whole_file, whole_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for whole, data in ((whole_file, b"x"), (whole_text, "x")):
    for size in (2000, 200_000):  # fails in the end, and at once
        try:
            with whole(Path("out")) as file:
                file.write(data * size)
        except OSError as error:
            print(error)
"""


def test_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    ran = subprocess.run([sys.executable, "-c", FULL], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "out: cannot be written (File too large).\n" * 4
    assert ran.stderr == ""
    assert os.listdir(tmp_path) == ["out"]
    assert (tmp_path / "out").read_bytes() == b"old"
