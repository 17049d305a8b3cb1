# SPDX-License-Identifier: Apache-2.0
"""The build of the GPU's kernels: which nvcc it takes, what it says without one, and the gate for their limits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import estimates
import gate
import pytest
import resources
import tables
from gate import ARCHITECTURES, Limit
from resources import Resources

from conftest import ROOT

LOG = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'project_kernel' for 'sm_75'
ptxas info    : Function properties for project_kernel
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 58 registers, used 0 barriers, 536 bytes cmem[0]
ptxas info    : Compile time = 46.341 ms
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'blend_fast_kernel' for 'sm_120'
ptxas info    : Function properties for blend_fast_kernel
    24 bytes stack frame, 16 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 9216 bytes smem
"""


# ---- what a log says ----


def test_a_log_is_read() -> None:
    assert resources.read_log(LOG) == {
        ("project_kernel", "sm_75"): Resources(58, 0, 0, 0),
        ("blend_fast_kernel", "sm_120"): Resources(40, 9216, 24, 36),
    }
    assert resources.read_log("") == {}
    assert resources.warnings_in(LOG) == []


def test_a_log_that_ends_early_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"kernels\.log: must say registers and stack of every kernel; got .*blend_fast"
    ):
        resources.read_log(LOG[: LOG.index("ptxas info    : Used 40")])


def test_warnings_are_found_once() -> None:
    spills = "ptxas warning : Registers are spilled to local memory in function 'x_kernel', 8 bytes spill stores"
    assert resources.warnings_in(f"{LOG}{spills}\n{spills}\nx.cu(3): warning #177-D: y was never used\n") == [
        spills,
        "x.cu(3): warning #177-D: y was never used",
    ]


@pytest.mark.parametrize(
    ("registers", "shared", "threads", "warps"),
    [
        (64, 0, 256, 32),
        (65, 0, 256, 24),
        (32, 0, 256, 32),
        (128, 0, 256, 16),
        (80, 768, 128, 24),
        (64, 32768, 256, 16),
        (64, 32769, 256, 8),
        (64, 0, 1024, 32),
        (72, 0, 1024, 0),
    ],
)
def test_warps_that_there_is_room_for(registers: int, shared: int, threads: int, warps: int) -> None:
    assert resources.warps_at_once(Resources(registers, shared, 0, 0), threads) == warps


# ---- the gate ----


def everywhere(name: str, used: Resources) -> dict[tuple[str, str], Resources]:
    return {(name, sm): used for sm in ARCHITECTURES}


def test_kernels_within_their_limits_pass() -> None:
    limits = {"a_kernel": Limit(256, 64, 1024)}
    assert gate.beyond(["a_kernel"], limits, everywhere("a_kernel", Resources(64, 1024, 0, 0))) == []


@pytest.mark.parametrize(
    ("used", "sentence"),
    [
        (Resources(65, 0, 0, 0), "a_kernel: sm_90 takes 65 registers; kernels/limits.csv allows 64."),
        (Resources(64, 1025, 0, 0), "a_kernel: sm_90 takes 1025 B of shared memory; 1024 are allowed."),
        (Resources(64, 0, 8, 4), "a_kernel: sm_90 has 8 B of local memory and spills 4 B; neither is allowed."),
        (None, "a_kernel: is in kernels/cuda/list.h, but was not compiled for sm_90."),
    ],
)
def test_a_kernel_beyond_them_is_named(used: Resources | None, sentence: str) -> None:
    found = everywhere("a_kernel", Resources(64, 0, 0, 0))
    del found["a_kernel", "sm_90"]
    if used is not None:
        found["a_kernel", "sm_90"] = used
    assert gate.beyond(["a_kernel"], {"a_kernel": Limit(256, 64, 1024)}, found) == [sentence]


def test_list_and_limits_and_kernels_must_agree() -> None:
    found = everywhere("stray_kernel", Resources(8, 0, 0, 0))
    assert gate.beyond(["a_kernel"], {"old_kernel": Limit(256, 64, 0)}, found) == [
        "stray_kernel: is compiled, but not in kernels/cuda/list.h.",
        "a_kernel: is in kernels/cuda/list.h, but has no row in kernels/limits.csv.",
        "old_kernel: has a row in kernels/limits.csv, but is not in kernels/cuda/list.h.",
    ]


def test_a_table_is_written_between_its_marks() -> None:
    found = everywhere("a_kernel", Resources(40, 9216, 0, 0))
    table = tables.resource_table({"a_kernel": 256}, ARCHITECTURES, found, "13.0.88", 4096)
    assert "| `a` | 256 | 9,216 | 40 | 40 | 40 | 40 | 40 | 40 | 32 |\n" in table
    page = f"before\n{tables.ESTIMATES}x\n{tables.END}{tables.RESOURCES}old\n{tables.END}after\n"
    assert tables.with_table(page, tables.RESOURCES, table) == page.replace("old\n", table)
    assert tables.toolkit_of(table) == "13.0.88"
    with pytest.raises(ValueError, match=r"kernels/README\.md: must have the lines '<!-- kernels/gate"):
        tables.with_table("before\nafter\n", tables.RESOURCES, table)


def test_networks_take_the_longer_of_products_and_rows() -> None:
    gpu = estimates.GPUS[0]
    rate = 30 * 512 * 1.365e9 * 0.4
    assert estimates.Network("a", 10**9, 0).us(gpu) == pytest.approx(2e9 / rate * 1e6)
    assert estimates.Network("a", 0, 10**9).us(gpu) == pytest.approx(1e9 / (336e9 * 0.75) * 1e6)
    assert estimates.Network("a", 0, 0).us(gpu) == 2.5
    one = 4 * 374_600 / (64 * 1.365e9) * 1e6
    assert [estimates.step_us(gpu, n) for n in (1, 15, 16, 64)] == pytest.approx([one, one, 2 * one, 5 * one])


def test_estimates_are_those_of_the_page() -> None:
    """`python kernels/estimates.py --write` brings them up to date."""
    page = (ROOT / "kernels" / "README.md").read_text()
    assert tables.table_in(page, tables.ESTIMATES) == estimates.estimates()


def test_an_estimate_is_of_what_is_slower() -> None:
    gpu = estimates.Gpu("played", multiprocessors=10, clock_hz=1e9, bytes_per_s=1e9, launch_us=1)
    issue = 1e6 / (10 * 4 * 1e9 * estimates.ISSUE_SHARE) * 1e6
    memory = 1e6 / (1e9 * estimates.BANDWIDTH_SHARE) * 1e6
    for work, us in (
        (estimates.Work("a", 1, 1000, 32, 1e6, 0, 0), issue),
        (estimates.Work("half of the multiprocessors", 1, 10, 128, 1e6, 0, 0), 2 * issue),
        (estimates.Work("a", 1, 1000, 32, 1e6, 5e5, 5e5), memory),
        (estimates.Work("launches", 3, 1000, 32, 10, 0, 0), 3),
    ):
        assert work.us(gpu) == pytest.approx(us)


def run_gate(folder: Path, log: str, kernels: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Over a copy of the room whose list has these kernels alone."""
    room = folder / "kernels"
    shutil.copytree(ROOT / "kernels", room)
    (room / "cuda" / "list.h").write_text("".join(f"  X({name}, Jobs<Job>) \\\n" for name in kernels))
    rows = [f"{name},256,64,0\n" for name in kernels]
    (room / "limits.csv").write_text("kernel,threads,registers,shared_bytes\n" + "".join(rows))
    build = folder / "build"
    build.mkdir()
    (build / "kernels.log").write_text(log)
    (build / "kernels.fatbin").write_bytes(b"x" * 2048)
    (build / "fatbin.cc").write_text('const char* const kFatbinContents = "sm_75, by nvcc 13.0.88";\n')
    command = [sys.executable, room / "gate.py", build]
    subprocess.run([*command, "--write"], capture_output=True)
    return subprocess.run(command, capture_output=True, text=True)


def test_the_gate_opens_and_shuts(tmp_path: Path) -> None:
    entry = LOG[LOG.index("ptxas info    : Compiling") : LOG.index("ptxas info    : Compile time")]
    log = "".join(entry.replace("sm_75", sm) for sm in ARCHITECTURES)
    passed = run_gate(tmp_path / "passes", log, ["project_kernel"])
    assert (passed.returncode, passed.stderr) == (0, "")
    assert passed.stdout == "1 kernels, 6 architectures, 2048 B, nvcc 13.0.88\n"
    assert "| `project` | 256 | 0 | 58 |" in (tmp_path / "passes" / "kernels" / "README.md").read_text()
    warned = run_gate(tmp_path / "warns", log + "x.cu(3): warning #177-D\n", ["project_kernel"])
    assert (warned.returncode, warned.stderr) == (1, "nvcc warns: x.cu(3): warning #177-D\n")


def test_instructions_of_blend_are_held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = "".join(f"  /*{16 * i:04x}*/ {words} ;\n" for i, words in enumerate(("MUFU.EX2 R1, R1", "BRA 0x0", "EXIT")))
    monkeypatch.setattr(gate, "listing_of", lambda *of: f"\t\tFunction : blend_fast_kernel\n{code}")
    monkeypatch.setattr(gate, "find_cuobjdump", lambda: tmp_path)
    assert gate.beyond_in_blend(tmp_path) == []
    monkeypatch.setattr(gate, "MAX_BLEND_INSTRUCTIONS", 1.5)
    sentence = "blend_fast_kernel: sm_75 issues 2 instructions per warp and splat; 1.5 are allowed."
    assert gate.beyond_in_blend(tmp_path) == [sentence]
    monkeypatch.setattr(gate, "find_cuobjdump", lambda: None)
    with pytest.raises(FileNotFoundError, match="cuobjdump is not here; pip install nvidia-cuda-cuobjdump"):
        gate.beyond_in_blend(tmp_path)


def test_the_last_build_is_taken(tmp_path: Path) -> None:
    assert gate.last_build(tmp_path) is None
    for age, name in enumerate(("newest", "old", "older")):
        log = tmp_path / "build" / name / "kernels" / "kernels.log"
        log.parent.mkdir(parents=True)
        log.touch()
        os.utime(log, (1000 - age, 1000 - age))
    assert gate.last_build(tmp_path) == tmp_path / "build" / "newest" / "kernels"
    assert gate.main([str(tmp_path / "build")]) == 2


# ---- which nvcc the build takes ----


def fake_nvcc(folder: Path, version: str, works: bool = True) -> Path:
    """A script that says this version, and writes what it is asked for, or fails as for a host compiler too new."""
    folder.mkdir(parents=True)
    script = folder / "nvcc"
    told = f"Cuda compilation tools, release {version.rpartition('.')[0]}, V{version}"
    compiles = 'while [ "$1" != -o ]; do shift; done; echo code >"$2"'
    fails = 'echo "host_config.h: fatal error: unsupported GNU version"; exit 1'
    script.write_text(
        f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{told}"; exit; fi\n{compiles if works else fails}\n'
    )
    script.chmod(0o755)
    return script


def cmake() -> str:
    found = shutil.which("cmake", path=str(Path(sys.executable).parent)) or shutil.which("cmake")
    if found is None:
        pytest.skip("cmake is not installed: pip install cmake")
    return found


def configure(build: Path, *options: str, **environment: str | Path) -> tuple[int, str]:
    """Exit code and the words of a configuration, on one line."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CUDA")}
    given = {name: str(value) for name, value in environment.items()}
    done = subprocess.run(
        [cmake(), "-S", ROOT, "-B", build, *options], env={**kept, **given}, capture_output=True, text=True
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def why_none(build: Path) -> str:
    return (build / "kernels" / "fatbin.cc").read_text()


def test_a_build_without_nvcc_says_why(tmp_path: Path) -> None:
    old = fake_nvcc(tmp_path / "old", "12.4.131")
    code, told = configure(tmp_path / "auto", CUDACXX=old)
    assert code == 0
    assert f"GPU kernels: none, nvcc 12.8 or newer was not found when it was built; {old} is 12.4.131" in told
    reason = why_none(tmp_path / "auto")
    assert "no CUDA kernels: nvcc 12.8 or newer was not found when it was built. Install nvcc (pip install" in reason
    assert str(tmp_path) not in reason
    code, told = configure(tmp_path / "on", "-DTALKSPLAT_CUDA=ON", CUDACXX=old)
    assert code == 1
    assert f"needs nvcc 12.8 or newer; none was found; {old} is 12.4.131. Install nvcc" in told
    code, told = configure(tmp_path / "off", "-DTALKSPLAT_CUDA=OFF", CUDACXX=fake_nvcc(tmp_path / "good", "13.0.88"))
    assert code == 0
    assert "it was built with TALKSPLAT_CUDA=OFF. Leave that out and build again" in why_none(tmp_path / "off")
    code, told = configure(tmp_path / "what", "-DTALKSPLAT_CUDA=maybe")
    assert code == 1
    assert "TALKSPLAT_CUDA must be AUTO, ON or OFF; got 'maybe'." in told


def test_an_nvcc_that_cannot_compile_is_passed_over(tmp_path: Path) -> None:
    broken = fake_nvcc(tmp_path / "broken" / "bin", "13.0.88", works=False)
    good = fake_nvcc(tmp_path / "good", "12.8.93")
    code, told = configure(
        tmp_path / "build", CUDA_HOME=tmp_path / "broken", PATH=f"{good.parent}{os.pathsep}{os.environ['PATH']}"
    )
    assert code == 0
    assert f"GPU kernels: {good} 12.8.93" in told
    code, told = configure(tmp_path / "alone", CUDACXX=broken)
    assert code == 0
    assert f"{broken} cannot compile: host_config.h: fatal error: unsupported GNU version" in told


def test_the_fatbin_is_embedded(tmp_path: Path) -> None:
    build = tmp_path / "build"
    code, _ = configure(build, CUDACXX=fake_nvcc(tmp_path / "good", "13.1.7"))
    assert code == 0
    source = (build / "kernels" / "fatbin.cc").read_text()
    assert "kFatbinCudaVersion = 13010;" in source
    assert "sm_75, sm_80, sm_86, sm_89, sm_90, sm_120, compute_75, compute_120, by nvcc 13.1.7" in source
    all_kernels = (build / "kernels" / "all.cu").read_text().splitlines()
    assert all_kernels == [
        f'#include "kernels/cuda/{path.name}"' for path in sorted((ROOT / "kernels/cuda").glob("*.cu"))
    ]
    subprocess.run([cmake(), "--build", build, "--target", "talksplat_fatbin"], check=True, capture_output=True)
    (compiled,) = build.rglob("fatbin.cc.o")
    # The fat binary, up to eight bytes, and its size.
    assert b"code\n\0\0\0\x05\0\0\0\0\0\0\0" in compiled.read_bytes()
