# SPDX-License-Identifier: Apache-2.0
"""What users get: a wheel, an installed C library that CMake finds, and a core that builds for Arm."""

import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import talksplat
from conftest import ROOT, in_ci
from talksplat.audio import open_audio
from talksplat.authoring.examples.recipes import NAMES

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent


def run(command: Sequence[str | Path], cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
    return done.stdout


def tool(name: str) -> str:
    found = shutil.which(name, path=str(BIN)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: pip install {name}")
    return found


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The core as `cmake --install` leaves it. The build folder is kept, so that only changes are built again."""
    build = ROOT / "build" / "package"
    prefix = tmp_path_factory.mktemp("prefix")
    cmake = tool("cmake")
    # The kernels are the wheel's to show (below); they take a while to compile.
    kernels = "-DTALKSPLAT_CUDA=OFF"
    run([cmake, "-S", ROOT, "-B", build, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}", kernels])
    run([cmake, "--build", build])
    run([cmake, "--install", build, "--prefix", prefix])
    return prefix


def test_only_one_header_is_installed(prefix: Path) -> None:
    assert sorted(path.name for path in prefix.rglob("*.h")) == ["talksplat.h", "talksplat_session.h"]


def test_voice_and_demo_are_installed(prefix: Path) -> None:
    """A C program speaks without Python: the voice and the demo head lie in the data folder."""
    for name in ("voice.safetensors", "demo.tsplat"):
        installed = prefix / "share" / "talksplat" / name
        assert installed.read_bytes() == (ROOT / "runtime" / "talksplat" / "assets" / name).read_bytes()


def test_library_exports_only_the_c_abi(prefix: Path) -> None:
    nm = shutil.which("nm")
    if nm is None or sys.platform != "linux":
        pytest.skip("needs nm and ELF")
    (library,) = [path for path in prefix.rglob("libtalksplat.so*") if not path.is_symlink()]
    exported = {line.split()[-1] for line in run([nm, "-D", "--defined-only", library]).splitlines()}
    headers = "".join(path.read_text() for path in sorted((prefix / "include").glob("*.h")))
    declared = set(re.findall(r"^TS_API .*?\b(ts_\w+)\(", headers, re.M))
    assert {"ts_frame_render", "ts_session_push_audio", "ts_engine_step"} <= declared
    assert declared <= exported
    # Weak copies of std templates may be visible; nothing of the project may.
    assert not {name for name in exported - declared if re.match(r"ts_|_ZN?K?2ts", name)}


def test_soname_is_the_abi_version(prefix: Path) -> None:
    """A program that was linked against another ABI does not start, instead of going wrong."""
    readelf = shutil.which("readelf")
    if readelf is None or sys.platform != "linux":
        pytest.skip("needs readelf and ELF")
    header = (prefix / "include" / "talksplat.h").read_text()
    (abi,) = re.findall(r"^#define TS_ABI_VERSION (\d+)$", header, re.M)
    (library,) = [path for path in prefix.rglob("libtalksplat.so*") if not path.is_symlink()]
    assert f"[libtalksplat.so.{abi}]" in run([readelf, "-d", library])


def test_cmake_package_serves_a_c_program(prefix: Path, tmp_path: Path) -> None:
    """examples/speak.c and live.c, built with find_package: speech in, frames out."""
    cmake = tool("cmake")
    run([cmake, "-S", ROOT / "examples", "-B", "build", "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}",
         f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Werror"], tmp_path)  # fmt: skip
    run([cmake, "--build", "build"], tmp_path)
    say(tmp_path / "build")
    live(tmp_path / "build")


def say(build: Path) -> None:
    samples = np.concatenate(list(open_audio("test", "sample").blocks()))[8000:16000, 0]  # slowed, being 22 kHz
    speech = (samples * 32767).astype(np.int16).tobytes()
    for avatar in ([], [ROOT / "tests" / "golden" / "format1" / "flame.tsplat"]):  # the demo head; a FLAME avatar
        spoke = subprocess.run([build / "speak", *avatar], input=speech, capture_output=True)
        assert spoke.returncode == 0, spoke.stderr.decode()
        frames = np.frombuffer(spoke.stdout, np.uint8).reshape(-1, 512, 512, 3)
        assert len(frames) == 13
        assert np.ptp(frames[0]) > 100 and (frames[0] != frames[-1]).any()


def live(build: Path) -> None:
    """Two seconds in real time: as many frames, and a line of what was counted."""
    speech = (np.sin(np.arange(32000) / 20) * 8000).astype(np.int16).tobytes()
    spoke = subprocess.run([build / "live"], input=speech, capture_output=True, timeout=60)
    assert spoke.returncode == 0, spoke.stderr.decode()
    frames = np.frombuffer(spoke.stdout, np.uint8).reshape(-1, 256, 256, 3)
    assert 50 <= len(frames) <= 62
    assert (frames[0] != frames[-1]).any()
    told = re.fullmatch(r"(\d+) frames, (\d+) late; drawn within .* ahead of them\n", spoke.stderr.decode())
    assert told is not None and int(told[1]) == len(frames)


def test_pkg_config_serves_a_c_program(prefix: Path, tmp_path: Path) -> None:
    """Flags and the data folder come from the .pc file, also after the installation was moved."""
    pkg_config, cc = shutil.which("pkg-config"), shutil.which("cc")
    if pkg_config is None or cc is None:
        pytest.skip("needs pkg-config and cc")
    moved = shutil.copytree(prefix, tmp_path / "moved here", symlinks=True)
    (found,) = moved.rglob("talksplat.pc")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(found.parent)}

    def ask(*what: str) -> list[str]:
        done = subprocess.run([pkg_config, *what, "talksplat"], env=environment, capture_output=True, check=True)
        return shlex.split(done.stdout.decode())

    (data,) = ask("--variable=datadir")
    assert sorted(path.name for path in Path(data).iterdir()) == ["demo.tsplat", "voice.safetensors"]
    (tmp_path / "main.c").write_text(
        f"#include <stdio.h>\n#include <talksplat.h>\n"
        f'int main(void) {{ ts_voice* v = NULL; int rc = ts_voice_load("{data}/voice.safetensors", &v);\n'
        f"puts(ts_version()); ts_voice_destroy(v); return rc; }}\n"
    )
    library = found.parent.parent
    run([cc, "main.c", *ask("--cflags", "--libs"), f"-Wl,-rpath,{library}", "-o", "main"], tmp_path)
    assert run([tmp_path / "main"]).split() == ask("--modversion")


def test_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, "."])
    (wheel,) = tmp_path.glob("*.whl")
    content = zipfile.ZipFile(wheel)
    names = content.namelist()
    assert {name.split("/")[0] for name in names} == {"talksplat", f"talksplat-{wheel.name.split('-')[1]}.dist-info"}
    (core,) = [name for name in names if re.fullmatch(r"talksplat/_core\.[^/]*(so|pyd)", name)]
    kernels = talksplat._core.system_info()["kernels"]  # nvcc's; Triton's: none where these were not there
    assert all(compiler.encode() in content.read(core) for compiler in kernels.split("; "))
    assets = ("assets/voice.safetensors", "assets/demo.tsplat", "assets/hello.flac")
    networks = [f"authoring/examples/weights/{method}.safetensors" for method in NAMES]
    for needed in ("__init__.py", "_core.pyi", "py.typed", "authoring/__init__.py", *assets, *networks):
        assert f"talksplat/{needed}" in names
    assert all(any(name.endswith(told) for name in names) for told in ("LICENSE", "NOTICE"))
    assert not [name for name in names if re.search(r"(^|/)(tests?|teachers)/|\.(cc|h|a|pyc)$", name)]


def test_core_builds_for_arm() -> None:
    """NEON compiles and links: the Makefile's cross-build makes a 64-bit Arm library with NEON kernels."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip(f"this {platform.machine()} machine builds the core for itself")
    if shutil.which("aarch64-linux-gnu-g++") is None and importlib.util.find_spec("ziglang") is None:
        reason = "no cross compiler for aarch64: pip install ziglang, or install g++-aarch64-linux-gnu"
        if in_ci():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    make = tool("make")
    # With this interpreter's tools as they are: `-o dev` keeps make from installing anything.
    run([make, "-o", "dev", "neon-check", f"VENV={BIN.parent}"])
    library = (ROOT / "build" / "aarch64" / "libtalksplat.so").read_bytes()
    assert library[:4] == b"\x7fELF"
    assert int.from_bytes(library[18:20], "little") == 183  # EM_AARCH64
    assert b"2ts4neon" in library  # symbols of namespace ts::neon
