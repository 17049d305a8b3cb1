# SPDX-License-Identifier: Apache-2.0
"""kernels/triton: its kernels under Triton's interpreter, by the tests of ops that all backends run; and what is built
of them ahead of time."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import aot
import both
import pytest
from both import Used

import talksplat
from conftest import ROOT, in_ci
from test_kernels import configure, fake_nvcc

SPEC = aot.SPECIALISATIONS[0]
MADE = aot.Compiled("deform_layers_kernel", 80, 128, 168, 16384, 0, 0, 52480, 20, 3, 0)
# Of tests/ops/test_deform.py: every network, and counts around a block. The interpreter takes half a second for 64
# Gaussians of a small network, and is not given the largest counts; a file's precision says nothing to a GPU. Of
# tests/ops/test_encode.py every kind of tower, but the two that take longest.
BODIES = {
    "deform": "test_deform and triton and not fp32 and not threads and not 193",
    "encode": "test_encode_rows or triton and (matches_the_oracle and not wide and not 65 or any_length and 161)",
}


@pytest.fixture
def triton() -> None:
    """Where Triton cannot be installed there is nothing to test. In CI it can."""
    why_not = aot.why_not()
    if why_not and in_ci():
        pytest.fail(f"{why_not}: make triton", pytrace=False)
    if why_not:
        pytest.skip(f"{why_not}: make triton")


# ---- the kernels ----


@pytest.mark.slow
@pytest.mark.parametrize("op", BODIES)
def test_the_ops_tests_pass_under_the_interpreter(op: str, triton: None, fake_driver: Path) -> None:
    settings = {
        "TALKSPLAT_TEST_LIBCUDA": str(fake_driver), "TALKSPLAT_TEST_INTERPRETED": "1", "FAKE_CUDA_CAPABILITY": "80",
    }  # fmt: skip
    files = [str(path) for path in (ROOT / "tests" / "ops").glob(f"test_{op}*.py")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", BODIES[op]],
        cwd=ROOT, env=os.environ | settings, capture_output=True, text=True,
    )  # fmt: skip
    last = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 0, done.stdout[-4000:]
    assert "passed" in last and "skipped" not in last, last


# ---- ahead of time ----


def test_a_cubin_within_its_limits_passes() -> None:
    assert aot.beyond(SPEC, MADE) == []


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (replace(MADE, stack_bytes=8), "sm_80 takes 8 B of stack and 0 B of local memory; neither is allowed."),
        (replace(MADE, local_bytes=4), "sm_80 takes 0 B of stack and 4 B of local memory; neither is allowed."),
        (replace(MADE, registers=169), "sm_80 takes 169 registers; 168 are allowed."),
        (replace(MADE, shared_bytes=49153), "sm_80 takes 49153 B of shared memory; 49152 are allowed."),
        (replace(MADE, matrix_instructions=0), "sm_80 has no HMMA instructions: its products are not on tensor cores."),
        (replace(MADE, parameters=2), "sm_80 has 2 parameters; csrc/cuda/stream.cc passes 3."),
        (replace(MADE, constant_loads=4), "sm_80 reads 4 times by ld.global.nc; values change while it runs."),
    ],
)
def test_what_is_wrong_with_a_cubin_is_said(made: aot.Compiled, sentence: str) -> None:
    assert aot.beyond(SPEC, made) == [f"deform_layers_kernel: {sentence}"]


def test_what_a_kernel_uses_is_read() -> None:
    said = " Function deform_layers_kernel:\n  REG:168 STACK:8 SHARED:0 LOCAL:0 CONSTANT[0]:376 TEXTURE:0\n"
    assert aot.usage_of(said) == {"REG": 168, "STACK": 8, "LOCAL": 0}
    with pytest.raises(ValueError, match="cuobjdump must say REG, STACK and LOCAL; got 'nothing'"):
        aot.usage_of("nothing\n")


def elf(section: str, size: int) -> bytes:
    """An ELF file of three sections: nothing, the names, and one more."""
    names = f"\0.shstrtab\0{section}\0".encode()
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF", 2, 190, 1, 0, 0, 64, 0, 64, 0, 0, 64, 3, 1)
    rows = [(0, 0, 0, 0, 0, 0), (1, 3, 0, 0, 64 + 3 * 64, len(names)), (11, 1, 0, 0, 0, size)]
    return header + b"".join(struct.pack("<IIQQQQ", *row).ljust(64, b"\0") for row in rows) + names


def test_code_is_measured() -> None:
    assert aot.code_bytes(elf(".text.a_kernel", 640), "a_kernel") == 640
    with pytest.raises(ValueError, match=r"a_kernel: its cubin must have the section \.text\.a_kernel"):
        aot.code_bytes(elf(".text.b_kernel", 640), "a_kernel")


def test_what_was_measured_is_in_the_table(tmp_path: Path) -> None:
    path = tmp_path / "measured.csv"
    path.write_text(
        "kernel,capability,from,gpu,date\na_kernel,90,4,NVIDIA H200,2026-11-30\nb_kernel,75,0,RTX 2060,2026-12-01\n"
    )
    measured = aot.read_measured(path)
    assert measured == [("a_kernel", 90, 4), ("b_kernel", 75, 0)]
    text = aot.table([MADE], [0], measured, tmp_path / "triton.bin")
    assert '{80, "deform_layers_kernel", 128, 16384, 0}' in text and "kTritonCubinCount = 1;" in text
    assert (
        'kTritonMeasured[] = {{"a_kernel", 90, 4}, {"b_kernel", 75, 0}};\nconst size_t kTritonMeasuredCount = 2;'
        in text
    )
    assert "kTritonMeasured[] = {{}};" in aot.table([MADE], [0], [], tmp_path / "triton.bin")


def test_the_build_says_what_it_wants(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        # No packages at all (-S), and so no Triton.
        command = [sys.executable, "-I", "-S", ROOT / "kernels" / "triton" / "aot.py", *words]
        return subprocess.run(command, capture_output=True, text=True)

    for word in ("--can", str(tmp_path)):
        done = run(word)
        assert (done.returncode, done.stdout) == (aot.NO_TRITON, f"Triton {aot.TRITON} is not installed\n")
    assert run().returncode == 2 and not list(tmp_path.iterdir())


# ---- beside the hand-written kernel ----


def test_both_kernels_are_counted() -> None:
    code = ("HMMA.16816.F32 R1, R2, R3, R1", "HGMMA.64x64x16.F32 R24, gdesc[UR4], !UPT", "IMMA.8816.S8.S8 R1", "EXIT")
    listing = "".join(f"        /*{16 * i:04x}*/                   {words} ;\n" for i, words in enumerate(code))
    assert both.in_listing(listing) == (64, 2)
    assert both.in_listing("") == (0, 0)
    table = both.side_by_side(
        {"deform_layers_kernel": {"sm_90": (Used(112, None, 94976, 78), Used(124, 8192, 51328, 6))}}, "13.0.88", "3.9.0"
    )
    assert "| sm_90 | 112 | dynamic | 94,976 | 78 | 124 | 8,192 | 51,328 | 6 |\n" in table
    assert "| | `deform_fast`: registers | shared | code | mma | `deform_layers`: registers |" in table
    assert table.startswith("By nvcc 13.0.88 and by Triton 3.9.0. ")


# ---- what CMake makes of it ----


def python_that_says(path: Path, words: str, status: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *aot.py*) echo "{words}"; exit {status};; esac\nexec {sys.executable} "$@"\n'
    )
    path.chmod(0o755)
    return f"-DPython_EXECUTABLE={path}"


def test_a_build_without_triton_says_why(tmp_path: Path) -> None:
    nvcc = fake_nvcc(tmp_path / "nvcc", "13.0.88")
    without = python_that_says(tmp_path / "without" / "python", "Triton 3.9.0 is not installed", aot.NO_TRITON)
    code, told = configure(tmp_path / "auto", without, CUDACXX=nvcc)
    assert code == 0 and "Triton's kernels: none, Triton 3.9.0 is not installed, where it was built" in told
    reason = (tmp_path / "auto" / "kernels" / "no_triton.cc").read_text()
    assert (
        "no Triton kernels: Triton 3.9.0 is not installed, where it was built. Unset it, or set it to cuda." in reason
    )
    assert str(tmp_path) not in reason
    code, told = configure(tmp_path / "on", without, "-DTALKSPLAT_TRITON=ON", CUDACXX=nvcc)
    assert code == 1 and "TALKSPLAT_TRITON is ON, but: Triton 3.9.0 is not installed, where it was built." in told
    code, told = configure(tmp_path / "cpu", "-DTALKSPLAT_TRITON=ON", "-DTALKSPLAT_CUDA=OFF")
    assert code == 1 and "is ON, but: it has no CUDA kernels, which they stand beside." in told
    code, told = configure(tmp_path / "off", "-DTALKSPLAT_TRITON=OFF", CUDACXX=nvcc)
    assert code == 0 and "Triton's kernels: none, it was built with TALKSPLAT_TRITON=OFF" in told
    code, told = configure(tmp_path / "what", "-DTALKSPLAT_TRITON=maybe")
    assert code == 1 and "TALKSPLAT_TRITON must be AUTO, ON or OFF; got 'maybe'." in told
    has = python_that_says(tmp_path / "with" / "python", "3.9.0", 0)
    code, told = configure(tmp_path / "with", has, CUDACXX=nvcc)
    assert code == 0 and "Triton's kernels: by Triton 3.9.0" in told


@pytest.mark.slow
@pytest.mark.parametrize("index", [3, 7])
def test_builds_are_alike_to_the_bit(index: int, triton: None, tmp_path: Path) -> None:
    """One architecture of each kernel, twice, then from another folder and without what the first left behind."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import aot; spec = aot.SPECIALISATIONS[int(sys.argv[2])];"
        "made, cubin = aot.compile_one(spec); sys.stdout.buffer.write(cubin); sys.exit(bool(aot.beyond(spec, made)))"
    )
    cubins = []
    for place in ("one", "the other"):
        folder = tmp_path / place
        folder.mkdir()
        for path in (ROOT / "kernels" / "triton").glob("*.py"):
            (folder / path.name).write_text(path.read_text())
        command = [sys.executable, "-I", "-c", program, folder, str(index)]
        environment = os.environ | {"TRITON_CACHE_DIR": str(folder / "cache")}
        done = subprocess.run(command, capture_output=True, env=environment)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        cubins.append(done.stdout)
    assert cubins[0] == cubins[1] and cubins[0][:4] == b"\x7fELF"
    assert str(tmp_path).encode() not in cubins[0]


def test_this_build_has_what_its_environment_can_build(triton: None) -> None:
    kernels = talksplat._core.system_info()["kernels"]
    if not kernels:
        pytest.skip("this build has no GPU kernels, for want of nvcc: make kernels installs it")
    for_all = ", ".join(f"sm_{capability}" for capability in aot.CAPABILITIES)
    assert kernels.endswith(f"; {for_all}, by Triton {aot.TRITON}"), "make triton builds Triton's kernels too"
