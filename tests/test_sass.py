# SPDX-License-Identifier: Apache-2.0
"""kernels/sass.py: instructions of loops, from a listing in the words of cuobjdump."""

from __future__ import annotations

from pathlib import Path

import pytest
import sass
from sass import Loop

# Two loops within one: of two evaluations, and of one beside a NOP and a jump that is no loop's. A turn of the first is
# peeled off before it; behind the last EXIT a jump leads back into the second.
LISTING = """\
Fatbin elf code:
================
arch = sm_75

	code for sm_75
		Function : other_kernel
        /*0000*/                   MUFU.EX2 R1, R1 ;                       /* 0x0000000100017308 */
                                                                           /* 0x000fe400078e00ff */
        /*0010*/                   EXIT ;                                  /* 0x000000000000794d */
		..........
		Function : blend_fast_kernel
	.headerflags	@"EF_CUDA_SM75 EF_CUDA_VIRTUAL_SM(EF_CUDA_SM75)"
        /*0000*/                   S2R R0, SR_CTAID.X ;                    /* 0x0000000000007919 */
                                                                           /* 0x000e220000002600 */
        /*0010*/               @P0 EXIT ;                                  /* 0x000000000000094d */
        /*0020*/                   MUFU.EX2 R9, R8 ;                       /* 0x0000000800097308 */
        /*0030*/                   LDS.U.128 R4, [R3+0x80] ;               /* 0x0000800003047984 */
        /*0040*/                   MUFU.EX2 R1, R1 ;                       /* 0x0000000100017308 */
        /*0050*/                   FFMA R2, -R20.reuse, R20, R13 ;         /* 0x0000001414027223 */
        /*0060*/                   MUFU.EX2 R2, R2 ;                       /* 0x0000000200027308 */
        /*0070*/                   BRA.DIV 0x120 ;                         /* 0x000000a000007947 */
        /*0080*/              @!P0 BRA 0xf0 ;                              /* 0x0000006000008947 */
        /*0090*/              @!P0 BRA.U 0x30 ;                            /* 0xffffff9100008947 */
        /*00a0*/                   NOP ;                                   /* 0x0000000000007918 */
        /*00b0*/             @!UP0 UIADD3 UR4, UR4, 0x1, URZ ;             /* 0x0000000104048890 */
        /*00c0*/                   MUFU.EX2 R7, R8 ;                       /* 0x0000000800077308 */
        /*00d0*/                   NOP ;                                   /* 0x0000000000007918 */
        /*00e0*/               @P1 BRA 0xa0 ;                              /* 0xffffffb000001947 */
        /*00f0*/               @P2 BRA 0x20 ;                              /* 0xffffff2000002947 */
        /*0100*/                   EXIT ;                                  /* 0x000000000000794d */
        /*0110*/                   BRA 0x110;                              /* 0xfffffff000007947 */
        /*0120*/                   BRA 0x80 ;                              /* 0xffffff5000007947 */
        /*0130*/                   NOP;                                    /* 0x0000000000007918 */
		..........
"""


def test_innermost_loops_are_counted() -> None:
    assert sass.innermost_loops(LISTING, "blend_fast_kernel") == [Loop(7, 2), Loop(3, 1)]
    assert sass.instructions_per_evaluation(LISTING, "blend_fast_kernel") == 3.0


def test_a_listing_without_the_loop_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^blend_kernel: must be in the listing; it has other_kernel, blend_fast_k"):
        sass.innermost_loops(LISTING, "blend_kernel")
    with pytest.raises(ValueError, match=r"^blend_kernel: must be in the listing; it has no function\.$"):
        sass.innermost_loops("", "blend_kernel")
    with pytest.raises(ValueError, match=r"^other_kernel: must have a loop with MUFU\.EX2; its 2 instructions have no"):
        sass.innermost_loops(LISTING, "other_kernel")


def fake_cuobjdump(folder: Path, script: str) -> Path:
    tool = folder / "bin" / "cuobjdump"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    return tool


def test_a_fat_binary_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "listing").write_text(LISTING)
    tool = fake_cuobjdump(
        tmp_path, f'test "$*" = "-sass -arch sm_75 -fun blend_fast_kernel k" && cat {tmp_path}/listing'
    )
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    assert sass.find_cuobjdump() == tool
    assert sass.main(["k"]) == 0
    assert capsys.readouterr().out == (
        "blend_fast_kernel, sm_75: 3.50 instructions per warp and splat, 7 in a turn of 2\n"
        "blend_fast_kernel, sm_75: 3.00 instructions per warp and splat, 3 in a turn of 1\n"
    )
    assert sass.main([]) == 2


def test_cuobjdump_is_looked_for_under_cuda_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = fake_cuobjdump(tmp_path, "exit 0")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert sass.find_cuobjdump() == tool


def test_what_cuobjdump_says_is_passed_on(tmp_path: Path) -> None:
    tool = fake_cuobjdump(tmp_path, "echo 'cuobjdump fatal   : Could not open input file' >&2; exit 1")
    with pytest.raises(RuntimeError, match=r"cuobjdump: exit code 1 for k: cuobjdump fatal   : Could not open"):
        sass.listing_of(tool, Path("k"), "sm_75", "blend_fast_kernel")
