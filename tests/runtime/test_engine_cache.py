# SPDX-License-Identifier: Apache-2.0
"""Plans in the cache: only what was written is read, only from where nobody else writes, and it is built once."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from talksplat.encoders.engines.engine_cache import HEADER, MAX_PLANS, CacheRefused, PlanCache, PlanParts

PARTS = PlanParts(
    onnx_sha256="ab" * 32, inputs=(("window", (1, 7, 5), "float32"),), outputs=(("features", (1, 2, 6), "float32"),),
    library="tensorrt 11.4.0.106", flavour={"tensorrt-cu13-libs": "11.4.0.106"}, driver_version=13000,
    system="Linux x86_64", gpu="NVIDIA GeForce RTX 2060", capability="7.5", multiprocessors=30, memory_bytes=6 << 30,
    options={"level": 3, "workspace_bytes": 1 << 30, "tf32": False},
)  # fmt: skip
KEY = PARTS.key()
PLAN = bytes(range(256)) * 3
posix = pytest.mark.skipif(os.name != "posix", reason="who may write to a folder is asked on POSIX alone")


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / "cache" / "engines")


def never() -> bytes:
    raise AssertionError("it was built")


OTHERS: dict[str, list[Any]] = {
    "onnx_sha256": ["ac" + "ab" * 31],
    "inputs": [
        (("windows", (1, 7, 5), "float32"),), (("window", (1, 5, 7), "float32"),), (("window", (1, 7, 5), "float16"),),
    ],
    "outputs": [(), (("features", (1, 2, 7), "float32"),)],
    "library": ["tensorrt 11.4.0.107", "tensorrt_rtx 11.4.0.106"],
    "flavour": [{}, {"tensorrt-cu12-libs": "11.4.0.106"}],
    "driver_version": [13010],
    "system": ["Linux aarch64", "Windows x86_64"],
    "gpu": ["NVIDIA GeForce RTX 2060 with Max-Q Design"],
    "capability": ["8.6"],
    "multiprocessors": [34],
    "memory_bytes": [12 << 30],
    "options": [
        {"level": 4, "workspace_bytes": 1 << 30, "tf32": False},
        {"level": 3, "workspace_bytes": 1 << 29, "tf32": False},
        {"level": 3, "workspace_bytes": 1 << 30, "tf32": True}, {"level": 3, "workspace_bytes": 1 << 30},
    ],
    "schema": [2],
}  # fmt: skip


def test_each_part_changes_the_key() -> None:
    assert set(OTHERS) == {field.name for field in dataclasses.fields(PlanParts)}
    keys = [KEY] + [
        dataclasses.replace(PARTS, **{name: value}).key() for name, values in OTHERS.items() for value in values
    ]
    assert len(set(keys)) == len(keys) == 1 + sum(map(len, OTHERS.values()))
    assert dataclasses.replace(PARTS, options=dict(reversed(PARTS.options.items()))).key() == KEY


def test_a_plan_comes_back(cache: PlanCache) -> None:
    assert cache.read(KEY) is None
    cache.write(KEY, PLAN)
    assert cache.read(KEY) == PLAN
    assert cache.load(KEY, never, lambda plan: plan) == PLAN
    assert [path.name for path in cache.folder.iterdir()] == [f"{KEY.hex()}.plan"]
    if os.name == "posix":
        assert cache.path(KEY).stat().st_mode & 0o777 == 0o600
        assert cache.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("length", [0, 1, 8, 12, 20, 52, HEADER.size - 1, HEADER.size, HEADER.size + 1, -1])
def test_truncated(cache: PlanCache, length: int) -> None:
    cache.write(KEY, PLAN)
    whole = cache.path(KEY).read_bytes()
    cache.path(KEY).write_bytes(whole[:length])
    assert cache.read(KEY) is None
    assert not cache.path(KEY).exists()


def test_longer(cache: PlanCache) -> None:
    cache.write(KEY, PLAN)
    with cache.path(KEY).open("ab") as file:
        file.write(b"\0")
    assert cache.read(KEY) is None
    assert not cache.path(KEY).exists()


def test_every_flipped_bit_of_the_header_and_some_of_the_plan(cache: PlanCache) -> None:
    cache.write(KEY, PLAN)
    whole = cache.path(KEY).read_bytes()
    for at in (*range(HEADER.size), HEADER.size, HEADER.size + 300, len(whole) - 1):
        for bit in (0, 7):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            cache.path(KEY).write_bytes(damaged)
            assert cache.read(KEY) is None, f"byte {at}, bit {bit}"
            assert not cache.path(KEY).exists()


@pytest.mark.parametrize("data", [b"PK\x03\x04" * 100, b"\x80\x04" + b"." * 200, b"ftrt" * 200])
def test_foreign(cache: PlanCache, data: bytes) -> None:
    cache.write(KEY, PLAN)
    cache.path(KEY).write_bytes(data)
    assert cache.read(KEY) is None
    assert not cache.path(KEY).exists()


def test_of_another_key(cache: PlanCache) -> None:
    other = dataclasses.replace(PARTS, driver_version=13010).key()
    cache.write(other, PLAN)
    os.replace(cache.path(other), cache.path(KEY))
    assert cache.read(KEY) is None
    assert not cache.path(KEY).exists()


@posix
def test_links_pipes_and_files_that_all_may_write(cache: PlanCache, tmp_path: Path) -> None:
    cache.write(KEY, PLAN)
    kept = tmp_path / "kept"
    os.replace(cache.path(KEY), kept)
    cache.path(KEY).symlink_to(kept)
    assert cache.read(KEY) is None
    assert kept.exists() and not cache.path(KEY).is_symlink()
    os.mkfifo(cache.path(KEY))
    assert cache.read(KEY) is None
    assert not cache.path(KEY).exists()
    cache.write(KEY, PLAN)
    cache.path(KEY).chmod(0o666)
    assert cache.read(KEY) is None
    assert not cache.path(KEY).exists()


@posix
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702, 0o770])
def test_a_folder_that_all_may_write_is_refused(cache: PlanCache, mode: int) -> None:
    cache.write(KEY, PLAN)
    cache.folder.chmod(mode)
    with pytest.raises(CacheRefused, match=r"engines can be written to by others.*chmod go-w.*TALKSPLAT_CACHE"):
        cache.load(KEY, never, lambda plan: plan)
    assert cache.path(KEY).exists()
    cache.folder.chmod(0o755)
    assert cache.load(KEY, never, lambda plan: plan) == PLAN


@posix
def test_a_folder_of_another_user_is_refused(cache: PlanCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write(KEY, PLAN)
    real = os.stat(cache.folder)
    fields = list(real)
    fields[4] = 4321  # st_uid
    monkeypatch.setattr(os, "stat", lambda path: os.stat_result(fields))
    with pytest.raises(CacheRefused, match=r"belongs to another user.*TALKSPLAT_CACHE"):
        cache.load(KEY, never, lambda plan: plan)


def test_what_cannot_be_written_costs_the_build_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")  # a folder's place, where no folder can be made, not even by root
    cache = PlanCache(tmp_path / "file" / "engines")
    built = []

    def build() -> bytes:
        built.append(1)
        return PLAN

    for count in (1, 2):
        assert cache.load(KEY, build, lambda plan: plan) == PLAN
        assert len(built) == count


def test_a_plan_of_no_use_is_built_anew(cache: PlanCache) -> None:
    cache.write(KEY, b"old")
    assert cache.load(KEY, lambda: b"new", lambda plan: plan if plan == b"new" else None) == b"new"
    assert cache.read(KEY) == b"new"


def test_a_new_plan_of_no_use_is_not_kept(cache: PlanCache) -> None:
    built = []

    def build() -> bytes:
        built.append(1)
        return PLAN

    cache.write(KEY, PLAN)
    assert cache.load(KEY, build, lambda plan: None) is None
    assert built == [1]
    assert cache.read(KEY) is None


def test_a_build_that_fails_leaves_nothing(cache: PlanCache) -> None:
    def build() -> bytes:
        raise RuntimeError("no")

    for _ in range(2):  # the lock was let go
        with pytest.raises(RuntimeError, match="no"):
            cache.load(KEY, build, lambda plan: plan)
    assert not cache.path(KEY).exists()


def test_the_plans_that_were_used_last_stay(cache: PlanCache) -> None:
    keys = [dataclasses.replace(PARTS, driver_version=n).key() for n in range(MAX_PLANS + 1)]
    for age, key in enumerate(keys[:-1]):
        cache.write(key, PLAN)
        os.utime(cache.path(key), (1000 + age, 1000 + age))
    assert cache.read(keys[0]) == PLAN  # used, and so the newest
    cache.write(keys[-1], PLAN)
    assert [cache.path(key).exists() for key in keys] == [True, False] + [True] * (MAX_PLANS - 1)


WORKER = textwrap.dedent(
    """
    import pathlib, sys, time
    from talksplat.encoders.engines.engine_cache import CacheRefused, PlanCache

    folder, wait_s, build_s = pathlib.Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])

    def build():
        with open(folder.parent / "built", "a") as file:
            file.write("x")
        time.sleep(build_s)
        return b"a plan"

    try:
        print(PlanCache(folder, wait_s).load(bytes.fromhex(sys.argv[4]), build, lambda plan: plan))
    except CacheRefused as error:
        print("refused:", error)
    """
)


def start(cache: PlanCache, wait_s: float, build_s: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(cache.folder), str(wait_s), str(build_s), KEY.hex()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def until_building(cache: PlanCache) -> None:
    until = time.monotonic() + 60
    while not (cache.folder.parent / "built").exists():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_processes_that_want_a_plan_at_once_build_it_once(cache: PlanCache) -> None:
    cache.folder.parent.mkdir()
    first = start(cache, 60, 1.0)
    until_building(cache)
    others = [start(cache, 60, 1.0) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in (first, *others)] == ["b'a plan'"] * 3
    assert (cache.folder.parent / "built").read_text() == "x"


def test_waiting_for_a_build_ends(cache: PlanCache) -> None:
    cache.folder.parent.mkdir()
    first = start(cache, 60, 60.0)
    until_building(cache)
    try:
        impatient = PlanCache(cache.folder, 0.2)
        with pytest.raises(CacheRefused, match=r"another process has been building this plan for more than 0\.2 s"):
            impatient.load(KEY, never, lambda plan: plan)
        other = dataclasses.replace(PARTS, gpu="another").key()  # another plan waits for nobody
        assert impatient.load(other, lambda: PLAN, lambda plan: plan) == PLAN
    finally:
        first.kill()
        first.communicate()
    # A builder that was ended holds nothing any more.
    assert cache.load(KEY, lambda: PLAN, lambda plan: plan) == PLAN
