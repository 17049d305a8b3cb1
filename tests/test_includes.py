# SPDX-License-Identifier: Apache-2.0
"""Directions of includes in csrc and kernels: a room uses those below it, and no header includes itself in a circle.
And what the C ABI's headers declare, beside what csrc knows of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[1] / "csrc"
ABI = "include"  # talksplat.h, and talksplat_session.h, which it includes
C_ABI = "capi"  # capi*.cc and their headers, which have no folder
DEVICES = "backends"  # backends.cc, which alone knows every backend, and fallback_backend.*, which joins two of them
KERNELS = "kernels"  # beside csrc
SIMT = "simt/simt.h"  # stands in for CUDA's own headers, where tests run kernels on a CPU

# Room → the rooms that it may include, beside itself.
BELOW: dict[str, set[str]] = {
    "math": set(),
    "core": set(),
    "ops": {"core", "math"},
    "cpu": {"ops", "core", "math"},
    KERNELS: {"ops", "math"},
    "cuda": {KERNELS, "ops", "core", "math"},
    "engine": {"ops", "core", "math"},
    DEVICES: {"cpu", "cuda", "ops", "core"},
    "session": {"engine", "ops", "core", "math"},
    C_ABI: {"session", "engine", "ops", "core", ABI},
    "bind": {ABI},
    ABI: set(),
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)
Includes = Mapping[str, set[str]]  # file → what it includes with quotes, both relative to csrc, or from kernels/ on


def room_of(name: str) -> str:
    folder, slash, _ = name.partition("/")
    return folder if slash else DEVICES if "backend" in folder else C_ABI


def name_of(path: Path, root: Path) -> str:
    return path.relative_to(root if path.is_relative_to(root) else root.parent).as_posix()


def resolved(includer: Path, text: str, root: Path) -> str:
    """The included file as the compiler finds it: csrc, csrc/include and the folder of all are on its path."""
    for folder in (includer.parent, root, root / ABI, root.parent):
        if (folder / text).is_file():
            return name_of((folder / text).resolve(), root)
    raise AssertionError(f'{name_of(includer, root)} includes "{text}", which is nowhere in {root.name}.')


def includes_under(root: Path) -> Includes:
    folders = (root, root.parent / KERNELS)
    paths = sorted(path for folder in folders for path in folder.rglob("*"))
    return {
        name_of(path, root): {
            resolved(path, name, root)
            for mark, name in INCLUDE.findall(path.read_text("utf-8"))
            if mark == '"' and name != SIMT
        }
        for path in paths
        if path.suffix in (".h", ".cc", ".cu", ".cuh")
    }


def upward(includes: Includes) -> set[tuple[str, str]]:
    """(file, include) of those that a room may not use."""
    return {
        (name, used)
        for name, uses in includes.items()
        for used in uses
        if room_of(used) not in {room_of(name), *BELOW[room_of(name)]}
    }


def circle_in(includes: Includes) -> str | None:
    """A circle of includes in words, or None."""
    try:
        TopologicalSorter(includes).prepare()
    except CycleError as error:
        return " is included by ".join(error.args[1])
    return None


@pytest.fixture(scope="module")
def includes() -> Includes:
    return includes_under(CSRC)


def test_every_room_is_known(includes: Includes) -> None:
    assert {room_of(name) for name in includes} == set(BELOW)
    assert {name for name in includes if room_of(name) == C_ABI and not name.startswith("capi")} == set()


def test_includes_point_down(includes: Includes) -> None:
    assert upward(includes) == set()


def test_no_circles(includes: Includes) -> None:
    assert circle_in(includes) is None


def test_only_the_bindings_know_python(includes: Includes) -> None:
    users = {
        name
        for name in includes
        if room_of(name) != KERNELS
        for _, used in INCLUDE.findall((CSRC / name).read_text("utf-8"))
        if used.startswith("pybind11/") or used == "Python.h"
    }
    assert {room_of(name) for name in users} == {"bind"}


def tree(folder: Path, files: Mapping[str, str]) -> Includes:
    root = folder / "csrc"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return includes_under(root)


def test_an_include_that_points_up_is_found(tmp_path: Path) -> None:
    files = {
        "ops/a.h": '#include "core/b.h"\n#include "a_args.h"\n  # include "talksplat.h"\n#include <cstdint>\n',
        "ops/a_args.h": '// #include "cpu/c.h"\n',
        "core/b.h": '#if 1\n#include "cpu/c.h"\n#endif\n',
        "cpu/c.h": '#include "ops/a.h"\n#include "cuda/d.h"\n',
        "cuda/d.h": '#include "kernels/cuda/k.h"\n',
        "../kernels/cuda/k.h": '#include "simt/simt.h"\n#include "ops/a_args.h"\n#include "cuda/e.h"\n',
        "cuda/e.h": "",
        "include/talksplat.h": "",
    }
    found = tree(tmp_path, files)
    assert upward(found) == {
        ("ops/a.h", "include/talksplat.h"),
        ("core/b.h", "cpu/c.h"),
        ("cpu/c.h", "cuda/d.h"),
        ("kernels/cuda/k.h", "cuda/e.h"),
    }
    circle = circle_in(found)
    assert circle is not None
    assert set(circle.split(" is included by ")) == {"ops/a.h", "core/b.h", "cpu/c.h"}


def test_an_include_of_nothing_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r'ops/a\.h includes "b\.h", which is nowhere'):
        tree(tmp_path, {"ops/a.h": '#include "b.h"'})


def test_every_older_size_of_a_struct_is_known() -> None:
    """csrc/capi_sizes.h has each field of each struct that grows, in the order of the header: where a field begins a
    struct of an older header ends, and a program that was compiled with that one must not be refused."""
    headers = "".join(path.read_text() for path in sorted((CSRC / "include").glob("*.h")))
    code = re.sub(r"/\*.*?\*/", "", headers, flags=re.S)
    grows = {}
    for name, body in re.findall(r"typedef struct (\w+) \{\s*uint32_t struct_size;(.*?)\n\} \1;", code, re.S):
        declared = [line.strip() for line in body.split(";") if line.strip()]
        grows[name] = [
            re.sub(r"\[.*?\]", "", part).split()[-1].lstrip("*") for line in declared for part in line.split(",")
        ]
    sizes = (CSRC / "capi_sizes.h").read_text()
    known = {
        name: re.findall(r"TS_AT\((\w+)\)", fields)
        for name, fields in re.findall(r"^TS_SIZES\((\w+),(.*?)\);", sizes, re.S | re.M)
    }
    assert len(known) > 20 and known == grows
